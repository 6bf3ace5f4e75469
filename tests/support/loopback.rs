//! An `sshd` on the loopback, for tests that need a real one and no more.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coxswain::world::real::{Mode, Options, RealWorld};
use coxswain::world::{Connection, Sudo};
use tempfile::TempDir;

use super::ports;

const SSHD: &str = "/usr/sbin/sshd";

/// The server; it ends when this is dropped.
pub(crate) struct Server {
    dir: TempDir,
    pub(crate) port: u16,
    sshd: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

pub(crate) fn keygen(path: &Path) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .expect("the test's own files and processes");
    assert!(made.success());
    fs::read_to_string(path.with_extension("pub"))
        .expect("the test's own files and processes")
        .trim()
        .to_owned()
}

pub(crate) fn private(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .expect("the test's own files and processes");
    file.write_all(text.as_bytes()).expect("the test's own files and processes");
}

pub(crate) fn me() -> String {
    let out = Command::new("id").arg("-un").output().expect("the test's own files and processes");
    String::from_utf8(out.stdout).expect("the test's own files and processes").trim().to_owned()
}

#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
/// A server whose users may log in with `key`, and with `noisy` through a shell that prints first.
pub(crate) fn server() -> Option<Server> {
    if !Path::new(SSHD).exists() || Command::new("ssh").arg("-V").output().is_err() {
        eprintln!("skipped: no sshd");
        return None;
    }
    let dir = TempDir::new().expect("the test's own files and processes");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
        .expect("the test's own files and processes");
    if rustix::process::getuid().is_root() {
        // Where Debian's sshd separates privileges.
        fs::create_dir_all("/run/sshd").expect("the test's own files and processes");
    }
    let at = |name: &str| dir.path().join(name);
    let host_key = keygen(&at("host"));
    let (key, noisy) = (keygen(&at("key")), keygen(&at("noisy")));
    let noise =
        r#"command="echo Welcome; echo noise >&2; yes noise | head -n 5000; eval \"$SSH_ORIGINAL_COMMAND\"""#;
    fs::write(at("authorized"), format!("{key}\n{noise} {noisy}\n"))
        .expect("the test's own files and processes");
    let port = ports::free_port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel VERBOSE\nUseDNS no\n",
        at("host").display(),
        at("authorized").display()
    );
    fs::write(at("sshd_config"), config).expect("the test's own files and processes");
    let words: Vec<&str> = host_key.split(' ').collect();
    let known = format!("[127.0.0.1]:{port} {0} {1}\n[localhost]:{port} {0} {1}\n", words[0], words[1]);
    fs::write(at("known_hosts"), known).expect("the test's own files and processes");
    let client = format!(
        "Host *\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  IdentityFile {}\n  IdentitiesOnly yes\n",
        at("known_hosts").display(),
        at("key").display()
    );
    fs::write(at("ssh_config"), client).expect("the test's own files and processes");
    let sshd = Command::new(SSHD)
        .arg("-D")
        .arg("-f")
        .arg(at("sshd_config"))
        .arg("-E")
        .arg(at("log"))
        .stdin(Stdio::null())
        .spawn()
        .expect("the test's own files and processes");
    let server = Server { dir, port, sshd };
    let start = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(5), "{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::create_dir(server.at("run")).expect("the test's own files and processes");
    Some(server)
}

impl Server {
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// The listening process.
    pub(crate) fn pid(&self) -> u32 {
        self.sshd.id()
    }
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }
    pub(crate) fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }
    pub(crate) fn host_key(&self) -> String {
        fs::read_to_string(self.at("host.pub")).expect("the test's own files and processes")
    }
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            other_ports: Vec::new(),
            address: "127.0.0.1".into(),
            port: Some(self.port),
            user: Some(me()),
            sudo: Sudo::No,
            jump: None,
            host_key: None,
            identity_file: None,
            machine_id: None,
            timeout: Duration::from_secs(5),
        }
    }
    pub(crate) fn world(&self) -> RealWorld {
        let mut options = Options::new(Mode::ReadWrite, self.at("store"));
        options.runtime = Some(self.at("run"));
        options.ssh_config = Some(self.at("ssh_config"));
        RealWorld::new(options)
    }
    /// Processes of connections: the monitor and, where it has one, its child.
    pub(crate) fn children(&self) -> Vec<i32> {
        let mut found = Vec::<i32>::new();
        let mut parents = vec![self.sshd.id().to_string()];
        while let Some(parent) = parents.pop() {
            for entry in fs::read_dir("/proc").expect("the test's own files and processes").flatten() {
                let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
                    continue;
                };
                let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                let (name, after) = stat.rsplit_once(") ").unwrap_or_default();
                let mut words = after.split(' ');
                let is_alive = words.next().is_some_and(|state| state != "Z");
                if is_alive && name.contains("(sshd") && words.next() == Some(parent.as_str()) {
                    found.push(pid);
                    parents.push(pid.to_string());
                }
            }
        }
        found
    }
    pub(crate) fn kill_connections(&self) {
        for pid in self.children() {
            let pid = rustix::process::Pid::from_raw(pid).expect("the test's own files and processes");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}
