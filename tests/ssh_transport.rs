//! Hosts over SSH, against an `sshd` this test starts on the loopback. Where there is none: `skipped`.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coxswain::resource::act::{Act, ActDone, Content, Expect, Permissions};
use coxswain::resource::answer::Answer;
use coxswain::resource::kind::{Endpoint, HostId};
use coxswain::resource::probe::Probe;
use coxswain::world::real::RealWorld;
use coxswain::world::{Connection, Sudo, World, WorldError};
use coxswain_model::Address;
use zeroize::Zeroizing;

mod support;

use support::loopback::{Server, keygen, me, private, server};

const LIMIT: Duration = Duration::from_secs(20);

fn host() -> Endpoint {
    Endpoint::Host(Arc::new(HostId { address: Address::root("host", "a"), uid: "u1".into() }))
}

fn introduce(world: &RealWorld, connection: Connection) {
    let Endpoint::Host(id) = host() else { unreachable!() };
    world.introduce(&id, connection);
}

async fn read(world: &RealWorld, probe: Probe) -> Result<Answer, WorldError> {
    Ok(world.read(&host(), &[probe]).await?.remove(0))
}

async fn write(world: &RealWorld, path: &Path, text: &str) -> Result<Vec<ActDone>, WorldError> {
    let act = Act::WriteFile {
        path: path.to_str().unwrap().into(),
        content: Content::new(text.as_bytes().to_vec()),
        permissions: Permissions::default(),
        expects: Expect::Anything,
    };
    world.act(&host(), &[act], LIMIT, &|_: &str| {}).await
}

#[tokio::test]
async fn one_login_and_one_session_for_everything() {
    let Some(server) = server() else { return };
    let left = server.at("run").join("coxswain-ssh-4000000-0");
    fs::create_dir(&left).unwrap();
    let world = server.world();
    introduce(&world, server.connection());
    let Answer::Facts(facts) = read(&world, Probe::Facts).await.unwrap() else { panic!() };
    assert_eq!(facts.user, me());
    assert!(!left.exists(), "what dead processes left is removed");
    let machine_id = Some(facts.machine_id.clone());
    introduce(&world, Connection { machine_id, ..server.connection() });
    let path = server.at("f o o");
    write(&world, &path, "hello\n").await.unwrap();
    let probe = Probe::Content(path.to_str().unwrap().into());
    assert_eq!(read(&world, probe).await.unwrap(), Answer::Content(b"hello\n".to_vec()));
    assert_eq!(server.count("Starting session"), 1, "{}", server.log());
    assert_eq!(server.count("Accepted publickey"), 1, "{}", server.log());
    let modes: Vec<u32> = fs::read_dir(server.at("run"))
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o700]);
    world.close().await;
    assert_eq!(fs::read_dir(server.at("run")).unwrap().count(), 0);
    let start = Instant::now();
    while !server.children().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5), "a master is left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn host_keys_are_checked() {
    let Some(server) = server() else { return };
    let other = keygen(&server.at("other"));
    let path = server.at("f");
    let world = server.world();
    introduce(&world, Connection { host_key: Some(server.host_key()), ..server.connection() });
    fs::write(server.at("known_hosts"), "").unwrap();
    write(&world, &path, "pinned").await.unwrap();
    // Told again with another key: the connection that is there is not used.
    introduce(&world, Connection { host_key: Some(other), ..server.connection() });
    let error = write(&world, &path, "wrong").await.unwrap_err();
    let WorldError::HostKey { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("it shows SHA256:") && reason.contains("expected is SHA256:"), "{reason}");
    introduce(&world, server.connection());
    let error = read(&world, Probe::Facts).await.unwrap_err();
    assert!(matches!(error, WorldError::HostKey { .. }), "an unknown host: {error}");
    introduce(&world, Connection { host_key: Some("garbage".into()), ..server.connection() });
    assert!(read(&world, Probe::Facts).await.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "pinned");
}

#[tokio::test]
async fn refusals_have_their_reasons() {
    let Some(server) = server() else { return };
    let world = server.world();
    let error = read(&world, Probe::Facts).await.unwrap_err();
    assert!(matches!(error, WorldError::Unreachable { .. }), "not introduced: {error}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    introduce(&world, Connection { port: Some(closed), ..server.connection() });
    let error = read(&world, Probe::Facts).await.unwrap_err();
    assert!(
        matches!(&error, WorldError::Unreachable { reason, .. } if reason.contains("refused")),
        "{error}"
    );
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Some(silent.local_addr().unwrap().port());
    let timeout = Duration::from_secs(1);
    introduce(&world, Connection { port, timeout, ..server.connection() });
    let start = Instant::now();
    let error = read(&world, Probe::Facts).await.unwrap_err();
    assert!(matches!(error, WorldError::Unreachable { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(8));
    introduce(&world, Connection { user: Some("no-such-user".into()), ..server.connection() });
    let error = read(&world, Probe::Facts).await.unwrap_err();
    assert!(matches!(&error, WorldError::Unreachable { reason, .. } if reason.contains("denied")), "{error}");
    introduce(&world, Connection { address: "-oProxyCommand=x".into(), ..server.connection() });
    assert!(matches!(read(&world, Probe::Facts).await, Err(WorldError::Unreachable { .. })));
    introduce(&world, Connection { machine_id: Some("another".into()), ..server.connection() });
    let error = write(&world, &server.at("f"), "x").await.unwrap_err();
    assert!(matches!(error, WorldError::AnotherMachine { .. }), "{error}");
    assert!(!server.at("f").exists());
}

#[tokio::test]
async fn a_connection_that_dies_is_made_again() {
    let Some(server) = server() else { return };
    let world = server.world();
    introduce(&world, server.connection());
    read(&world, Probe::Facts).await.unwrap();
    server.kill_connections();
    read(&world, Probe::Facts).await.unwrap();
    assert_eq!(server.count("Starting session"), 2, "{}", server.log());
    server.kill_connections();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let error = write(&world, &server.at("f"), "x").await.unwrap_err();
    assert!(matches!(error, WorldError::Broken { .. }), "an act is not repeated: {error}");
    write(&world, &server.at("f"), "y").await.unwrap();
    world.disconnect(&host()).await;
    read(&world, Probe::Facts).await.unwrap();
    assert_eq!(server.count("Starting session"), 4, "{}", server.log());
}

#[tokio::test]
async fn a_noisy_login_is_passed_over() {
    let Some(server) = server() else { return };
    let world = server.world();
    let key = server.at("noisy").to_str().unwrap().to_owned();
    introduce(&world, Connection { identity_file: Some(key), ..server.connection() });
    let config = server.at("ssh_config");
    let text = fs::read_to_string(&config).unwrap();
    let text: String =
        text.lines().filter(|l| !l.contains("IdentityFile")).map(|l| format!("{l}\n")).collect();
    fs::write(&config, text).unwrap();
    write(&world, &server.at("f"), "through the noise").await.unwrap();
    assert_eq!(fs::read_to_string(server.at("f")).unwrap(), "through the noise");
}

#[tokio::test]
async fn a_host_is_reached_through_another() {
    let Some(server) = server() else { return };
    let world = server.world();
    let jump = Some(format!("{}@localhost:{}", me(), server.port));
    introduce(&world, Connection { jump, host_key: Some(server.host_key()), ..server.connection() });
    read(&world, Probe::Facts).await.unwrap();
    assert_eq!(server.count("Accepted publickey"), 2, "{}", server.log());
    assert_eq!(server.count("Starting session"), 1, "{}", server.log());
}

/// A user with a password who may use sudo; gone at the end.
struct Sudoer {
    name: String,
    password: String,
}

impl Sudoer {
    fn make(server: &Server) -> Option<Sudoer> {
        let is_wanted = std::env::var_os("COXSWAIN_TEST_SUDO").is_some();
        if !is_wanted || !rustix::process::getuid().is_root() || !Path::new("/etc/sudoers.d").is_dir() {
            eprintln!("skipped: needs root and COXSWAIN_TEST_SUDO=1, for it makes a user");
            return None;
        }
        let name = format!("cxt{}", std::process::id());
        let sudoer = Sudoer { password: format!("p'$ {}", server.port), name };
        let made = Command::new("useradd").args(["-m", "-s", "/bin/sh", &sudoer.name]).status().unwrap();
        assert!(made.success());
        let mut chpasswd = Command::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
        let line = format!("{}:{}\n", sudoer.name, sudoer.password);
        chpasswd.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        assert!(chpasswd.wait().unwrap().success());
        sudoer.allow("ALL");
        Some(sudoer)
    }
    fn rule(&self) -> PathBuf {
        Path::new("/etc/sudoers.d").join(&self.name)
    }
    fn allow(&self, what: &str) {
        private(&self.rule(), &format!("{} ALL=(ALL) {what}\n", self.name));
    }
}

impl Drop for Sudoer {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.rule());
        let _ = Command::new("userdel").args(["-f", "-r", &self.name]).stderr(Stdio::null()).status();
    }
}

#[tokio::test]
async fn root_is_reached_through_sudo() {
    let Some(server) = server() else { return };
    let Some(sudoer) = Sudoer::make(&server) else { return };
    let as_sudoer = |sudo: Sudo| Connection { user: Some(sudoer.name.clone()), sudo, ..server.connection() };
    let password = |text: &str| Sudo::Password(Zeroizing::new(text.to_owned()));
    let user = |answer: Answer| if let Answer::Facts(f) = answer { f.user } else { panic!("{answer:?}") };
    let world = server.world();
    introduce(&world, as_sudoer(Sudo::No));
    assert_eq!(user(read(&world, Probe::Facts).await.unwrap()), sudoer.name);
    let answer = read(&world, Probe::Digest("/etc/shadow".into())).await.unwrap();
    assert!(matches!(&answer, Answer::Unknown(r) if r.contains("Permission denied")), "{answer:?}");
    introduce(&world, as_sudoer(Sudo::Passwordless));
    let error = read(&world, Probe::Facts).await.unwrap_err();
    assert!(matches!(error, WorldError::Sudo { .. }), "{error}");
    let start = Instant::now();
    introduce(&world, as_sudoer(password("wrong")));
    let error = read(&world, Probe::Facts).await.unwrap_err();
    assert!(matches!(error, WorldError::Sudo { .. }), "{error}");
    assert!(!error.to_string().contains("wrong"));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    introduce(&world, as_sudoer(password(&sudoer.password)));
    assert_eq!(user(read(&world, Probe::Facts).await.unwrap()), "root");
    assert!(matches!(read(&world, Probe::Digest("/etc/shadow".into())).await.unwrap(), Answer::Digest(_)));
    // A password that sudo does not ask for is not run as a command.
    sudoer.allow("NOPASSWD: ALL");
    introduce(&world, as_sudoer(password("touch /tmp/coxswain-was-here")));
    assert_eq!(user(read(&world, Probe::Facts).await.unwrap()), "root");
    assert!(!Path::new("/tmp/coxswain-was-here").exists());
    introduce(&world, as_sudoer(Sudo::Passwordless));
    assert_eq!(user(read(&world, Probe::Facts).await.unwrap()), "root");
    write(&world, &server.at("root-owned"), "x").await.unwrap();
}
