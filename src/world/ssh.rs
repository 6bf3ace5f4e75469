//! Hosts over SSH: the user's own `ssh` with its configuration, agent and keys, one connection and one shell each.
//!
//! The openssh crate starts a master process; the shell is a channel of it. A generated configuration file holds what
//! the crate has no setting for, and includes the user's own. Host keys are always checked.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio as ProcessStdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openssh::{Child, ControlPersist, KnownHosts, Session, SessionBuilder, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::real::nonce;
use super::script::{Nonce, hello};
use super::shell::{Request, Shell, ShellError, last_lines};
use super::{Connection, Sudo, WorldError};

/// Start of the name of a control directory; the process id follows.
const PREFIX: &str = "coxswain-ssh-";
/// Seconds without a channel after which a master that was left behind ends.
const PERSIST_S: usize = 60;
/// How often a silent connection is asked; three times without an answer end it.
const ALIVE: Duration = Duration::from_secs(5);
/// Added to the limit on connecting for authentication and the first answer.
const GRACE: Duration = Duration::from_secs(10);
/// Limit on a master's answer when it is told to end.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Bytes a login may print before sudo is ready.
const NOISE_LIMIT: usize = 1 << 20;

/// The directory of control sockets, known hosts and generated configurations: 0700, removed at the end.
#[derive(Debug)]
pub struct Control {
    dir: PathBuf,
    config: Option<PathBuf>,
    next: AtomicU64,
}

impl Control {
    /// Makes the directory, and ends what dead processes of the same user left behind.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn make(runtime: Option<&Path>, config: Option<PathBuf>) -> io::Result<Control> {
        let base = match runtime {
            Some(base) => base.to_owned(),
            None => std::env::var_os("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                // A control path must fit into 108 bytes.
                .filter(|p| p.is_absolute() && p.is_dir() && p.as_os_str().len() < 30)
                .unwrap_or_else(|| PathBuf::from("/tmp")),
        };
        sweep(&base);
        let name = format!("{PREFIX}{}-{:08x}", std::process::id(), rand::random::<u32>());
        let dir = base.join(name);
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        Ok(Control { dir, config, next: AtomicU64::new(0) })
    }

    /// Writes a private file, and gives its path.
    fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        use std::io::Write as _;
        let path = self.dir.join(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }

    /// The configuration of one connection.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, connection: &Connection, known_as: Option<&str>) -> io::Result<PathBuf> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = String::new();
        if let Some(key) = connection.host_key.as_deref().and_then(host_key) {
            let alias = format!("coxswain-{number}");
            let known = self.write(&format!("known-{number}"), &format!("{alias} {key}\n"))?;
            // For this host alone: a jump host's key is looked up as the user has it.
            text.push_str(&format!(
                "Host {}\n  HostKeyAlias {alias}\n  UserKnownHostsFile \"{}\"\n  GlobalKnownHostsFile /dev/null\n  CheckHostIP no\n  UpdateHostKeys no\n",
                connection.address,
                known.display()
            ));
        } else if let Some(alias) = known_as {
            text.push_str(&format!("Host {}\n  HostKeyAlias {alias}\n", connection.address));
        }
        text.push_str("Host *\n  BatchMode yes\n  StrictHostKeyChecking yes\n  ServerAliveCountMax 3\n");
        match &self.config {
            Some(config) => text.push_str(&format!("  Include \"{}\"\n", config.display())),
            None => text.push_str("  Include ~/.ssh/config\n  Include /etc/ssh/ssh_config\n"),
        }
        self.write(&format!("config-{number}"), &text)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Ends masters whose process died without ending them.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)) else { continue };
        let pid =
            rest.split('-').next().and_then(|p| p.parse().ok()).and_then(rustix::process::Pid::from_raw);
        let is_ours = fs::symlink_metadata(entry.path())
            .is_ok_and(|m| m.is_dir() && m.uid() == rustix::process::getuid().as_raw());
        let Some(pid) = pid.filter(|_| is_ours) else { continue };
        if rustix::process::test_kill_process(pid).is_ok() {
            continue;
        }
        for inner in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let socket = inner.path().join("master");
            if socket.exists() {
                end_master(&socket);
            }
        }
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// Asks the master to end, in the words of OpenSSH's PROTOCOL.mux; another `ssh` that would ask takes longer than
/// all else at the end of a run.
fn ask_to_end(socket: &Path) -> io::Result<()> {
    use std::io::{Read as _, Write as _};
    const HELLO: u32 = 1;
    const VERSION: u32 = 4;
    const TERMINATE: u32 = 0x1000_0005;
    const OK: u32 = 0x8000_0001;
    let mut master = std::os::unix::net::UnixStream::connect(socket)?;
    master.set_read_timeout(Some(END_LIMIT))?;
    master.set_write_timeout(Some(END_LIMIT))?;
    let words = [8, HELLO, VERSION, 8, TERMINATE, 0];
    master.write_all(&words.map(u32::to_be_bytes).concat())?;
    // Its own hello, then the answer: length, kind and number of the request each.
    let mut said = [0; 24];
    master.read_exact(&mut said)?;
    if said[16..20] == OK.to_be_bytes() { Ok(()) } else { Err(io::Error::other("the master refuses to end")) }
}

fn end_master(socket: &Path) {
    if ask_to_end(socket).is_ok() {
        return;
    }
    let _ = std::process::Command::new("ssh")
        .args(["-F", "/dev/null", "-O", "exit", "-S"])
        .arg(socket)
        .arg("coxswain")
        .stdin(ProcessStdio::null())
        .stdout(ProcessStdio::null())
        .stderr(ProcessStdio::null())
        .status();
}

/// Type and key out of a public key line, whatever stands before and after.
fn host_key(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|w| ["ssh-", "ecdsa-", "sk-"].iter().any(|p| w.starts_with(p)))?;
    let key = words.get(at + 1)?;
    let is_key = key.len() > 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    is_key.then(|| format!("{} {key}", words[at]))
}

/// Keeps the channel and the connection; ends the master when dropped.
struct Guard {
    child: Option<Child<Arc<Session>>>,
    session: Option<Arc<Session>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let socket = self.session.as_ref().map(|s| s.control_socket().to_owned());
        drop(self.child.take());
        if let Some(socket) = socket {
            end_master(&socket);
        }
        drop(self.session.take());
    }
}

/// A shell at a host, and the machine id it gave.
pub struct Greeted {
    /// The shell.
    pub shell: Shell,
    /// Empty where the host has none.
    pub machine_id: String,
}

/// As `start`, through the one port that counts, or through the first that answers. The host key is the one that is
/// known for the usual port: it is the same machine.
///
/// # Errors
/// As `start`, of the usual port.
pub async fn start_at_any(
    name: &str,
    connection: &Connection,
    only: Option<u16>,
    control: &Control,
) -> Result<Greeted, WorldError> {
    let through = |port: u16| Connection { port: Some(port), ..connection.clone() };
    if let Some(port) = only {
        return start(name, &through(port), Some(known_as(connection)), control).await;
    }
    let first = start(name, connection, None, control).await;
    let Err(error @ WorldError::Unreachable { .. }) = first else { return first };
    for port in connection.other_ports.iter().filter(|p| Some(**p) != connection.port) {
        if let Ok(greeted) = start(name, &through(*port), Some(known_as(connection)), control).await {
            return Ok(greeted);
        }
    }
    Err(error)
}

/// The name under which `known_hosts` has the key of a host: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
fn known_as(connection: &Connection) -> String {
    match connection.port {
        None | Some(22) => connection.address.clone(),
        Some(port) => format!("[{}]:{port}", connection.address),
    }
}

/// Connects, becomes root if that is wanted, and checks that it is the machine we mean.
///
/// # Errors
/// `Unreachable`, `HostKey`, `Sudo`, `AnotherMachine`, `Timeout`.
async fn start(
    name: &str,
    connection: &Connection,
    known_as: Option<String>,
    control: &Control,
) -> Result<Greeted, WorldError> {
    let unreachable = |reason: String| WorldError::Unreachable { endpoint: name.to_owned(), reason };
    check(connection).map_err(&unreachable)?;
    let limit = connection.timeout + GRACE;
    let timeout = || WorldError::Timeout { endpoint: name.to_owned(), limit };
    let session = tokio::time::timeout(limit, connect(connection, known_as.as_deref(), control))
        .await
        .map_err(|_| unreachable(format!("no connection within {} s", limit.as_secs())))?
        .map_err(|said| refused(name, connection, &said))?;
    let session = Arc::new(session);
    let ready = nonce();
    let mut guard = Guard { child: None, session: Some(Arc::clone(&session)) };
    let mut command = Arc::clone(&session).arc_raw_command(remote_command(&connection.sudo, &ready));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tokio::time::timeout(limit, command.spawn())
        .await
        .map_err(|_| timeout())?
        .map_err(|e| unreachable(last_lines(&said(&e))))?;
    let streams = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    guard.child = Some(child);
    let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) = streams else {
        return Err(unreachable("the channel has no streams".to_owned()));
    };
    if let Sudo::Password(password) = &connection.sudo {
        let mut line = zeroize::Zeroizing::new(String::with_capacity(password.len() + 1));
        line.push_str(password);
        line.push('\n');
        let sent = stdin.write_all(line.as_bytes()).await;
        let become_root = wait_for_sudo(&mut stdout, &mut stderr, &ready);
        let ended = tokio::time::timeout(limit, become_root).await.map_err(|_| timeout())?;
        ended.map_err(|reason| WorldError::Sudo { endpoint: name.to_owned(), reason })?;
        sent.map_err(|e| unreachable(e.to_string()))?;
        let go = format!("{}\n", ready.as_str());
        stdin.write_all(go.as_bytes()).await.map_err(|e| unreachable(e.to_string()))?;
    }
    let mut shell = Shell::new(Box::new(stdin), Box::new(stdout), Box::new(stderr), Box::new(guard));
    let machine_id = greet(name, connection, &session, &mut shell).await?;
    Ok(Greeted { shell, machine_id })
}

/// The first script: proves that there is a shell, and that the machine is the one we mean.
async fn greet(
    name: &str,
    connection: &Connection,
    session: &Session,
    shell: &mut Shell,
) -> Result<String, WorldError> {
    let endpoint = || name.to_owned();
    let nonce = nonce();
    let text = hello(&nonce);
    let limit = connection.timeout + GRACE;
    let request = Request { text: &text, nonce: &nonce, limit_bytes: 4096, limit, progress: &|_: &str| {} };
    let transcript = match shell.run(&request).await {
        Ok(transcript) => transcript,
        Err(ShellError::Timeout { limit }) => {
            return Err(WorldError::Timeout { endpoint: endpoint(), limit });
        }
        Err(error @ ShellError::Noise(_)) => {
            return Err(WorldError::Unreachable { endpoint: endpoint(), reason: error.to_string() });
        }
        Err(ShellError::Ended { said }) => {
            let is_alive = session.check().await.is_ok();
            return Err(match connection.sudo {
                Sudo::Passwordless | Sudo::Password(_) if is_alive && is_of_sudo(&said) => {
                    WorldError::Sudo { endpoint: endpoint(), reason: said }
                }
                Sudo::Passwordless | Sudo::Password(_) | Sudo::No => WorldError::Unreachable {
                    endpoint: endpoint(),
                    reason: format!("there is no shell: {said}"),
                },
            });
        }
    };
    let found = transcript
        .out
        .first()
        .map_or_else(String::new, |f| String::from_utf8_lossy(&f.bytes).trim().to_owned());
    match &connection.machine_id {
        Some(expected) if *expected != found => {
            let found = if found.is_empty() { "none".to_owned() } else { found };
            Err(WorldError::AnotherMachine { endpoint: endpoint(), found, expected: expected.clone() })
        }
        Some(_) | None => Ok(found),
    }
}

/// Whether it was sudo that said this, and not a login shell that lets nobody in.
fn is_of_sudo(said: &str) -> bool {
    said.is_empty() || said.contains("sudo")
}

async fn connect(
    connection: &Connection,
    known_as: Option<&str>,
    control: &Control,
) -> Result<Session, String> {
    let config = control.configure(connection, known_as).map_err(|e| e.to_string())?;
    let mut builder = SessionBuilder::default();
    builder
        .known_hosts_check(KnownHosts::Strict)
        .connect_timeout(connection.timeout.max(Duration::from_secs(1)))
        .server_alive_interval(ALIVE)
        .control_directory(&control.dir)
        .control_persist(
            NonZeroUsize::new(PERSIST_S).map_or(ControlPersist::Forever, ControlPersist::IdleFor),
        )
        .config_file(config);
    if let Some(port) = connection.port {
        builder.port(port);
    }
    if let Some(user) = &connection.user {
        builder.user(user.clone());
    }
    if let Some(file) = &connection.identity_file {
        builder.keyfile(file);
    }
    if let Some(jump) = &connection.jump {
        builder.jump_hosts([jump]);
    }
    builder.connect_mux(&connection.address).await.map_err(|e| said(&e))
}

/// What ssh said, not what the crate says about it.
fn said(error: &openssh::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return "there is no program `ssh` on this machine".to_owned();
    }
    let text = cause.to_string();
    if text.trim().is_empty() { "ssh ended without a word".to_owned() } else { text }
}

fn refused(name: &str, connection: &Connection, said: &str) -> WorldError {
    let is_key = ["Host key verification failed", "HOST IDENTIFICATION HAS CHANGED", "host key is known for"]
        .iter()
        .any(|text| said.contains(text));
    let endpoint = name.to_owned();
    if !is_key {
        // What the ssh of the jump host said is lost with it; that there is one must not be.
        let through = connection.jump.as_ref().map(|jump| format!("through {jump}: ")).unwrap_or_default();
        return WorldError::Unreachable { endpoint, reason: format!("{through}{}", last_lines(said)) };
    }
    let shown = said
        .split_whitespace()
        .find(|word| word.starts_with("SHA256:"))
        .map(|word| format!("it shows {}; ", word.trim_end_matches('.')))
        .unwrap_or_default();
    let expected = connection
        .host_key
        .as_deref()
        .and_then(fingerprint)
        .map(|print| format!("expected is {print}; "))
        .unwrap_or_default();
    WorldError::HostKey { endpoint, reason: format!("{shown}{expected}{}", last_lines(said)) }
}

/// As ssh writes it: SHA-256 of the key in base64 without padding.
fn fingerprint(line: &str) -> Option<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use sha2::{Digest as _, Sha256};
    let key = host_key(line)?;
    let bytes = STANDARD.decode(key.split(' ').nth(1)?).ok()?;
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(bytes))))
}

/// sudo clears what tells over which connection we came; the firewall's rules are judged by it.
const KEEP: &str = "SSH_CONNECTION=$1; export SSH_CONNECTION";

/// What the user's login shell is told to become. Under NOPASSWD sudo reads no line: the loop passes over the
/// password, which would otherwise be run as a command.
fn remote_command(sudo: &Sudo, ready: &Nonce) -> String {
    let n = ready.as_str();
    match sudo {
        Sudo::No => "exec /bin/sh".to_owned(),
        Sudo::Passwordless => {
            format!("exec sudo -n -- /bin/sh -c '{KEEP}; exec /bin/sh' sh \"$SSH_CONNECTION\"")
        }
        Sudo::Password(_) => format!(
            "exec sudo -S -p '[coxswain-{n}]' -- /bin/sh -c '{KEEP}; printf \"%s\\n\" {n}; while IFS= read -r l; do if [ \"$l\" = {n} ]; then exec /bin/sh; fi; done' sh \"$SSH_CONNECTION\""
        ),
    }
}

/// Waits until the shell under sudo says it is there. A second prompt means that the password was refused; nothing
/// more is sent then, so that no account is locked by us.
async fn wait_for_sudo(
    stdout: &mut (dyn AsyncRead + Send + Unpin),
    stderr: &mut (dyn AsyncRead + Send + Unpin),
    ready: &Nonce,
) -> Result<(), String> {
    let prompt = format!("[coxswain-{}]", ready.as_str());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut out_buffer, mut err_buffer) = ([0; 4096], [0; 4096]);
    let mut is_err_open = true;
    loop {
        tokio::select! {
            read = stdout.read(&mut out_buffer) => {
                let read = read.unwrap_or(0);
                if read == 0 {
                    let _ = tokio::time::timeout(Duration::from_secs(1), stderr.read_to_end(&mut err)).await;
                    return Err(sudo_said(&err, &prompt));
                }
                out.extend_from_slice(&out_buffer[..read]);
                if String::from_utf8_lossy(&out).contains(&format!("{}\n", ready.as_str())) {
                    return Ok(());
                }
            }
            read = stderr.read(&mut err_buffer), if is_err_open => {
                let read = read.unwrap_or(0);
                is_err_open = read > 0;
                err.extend_from_slice(&err_buffer[..read]);
                if String::from_utf8_lossy(&err).matches(&prompt).count() > 1 {
                    return Err("the password was refused".to_owned());
                }
            }
        }
        if out.len() + err.len() > NOISE_LIMIT {
            return Err("the login prints without end".to_owned());
        }
    }
}

fn sudo_said(err: &[u8], prompt: &str) -> String {
    let text = last_lines(&String::from_utf8_lossy(err).replace(prompt, ""));
    if text.is_empty() { "it ended without a word".to_owned() } else { text }
}

/// Words that go on ssh's command line or into its configuration: nothing that could be an option or a second line.
///
/// # Errors
/// The word that is another.
pub fn check(connection: &Connection) -> Result<(), String> {
    let is_plain = |text: &str, more: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if !is_plain(&connection.address, ".-_:") {
        return Err(format!("{:?} is not a host name or IP address", connection.address));
    }
    if let Some(user) = connection.user.as_deref().filter(|user| !is_plain(user, "._-@$+\\")) {
        return Err(format!("{user:?} is not a login name"));
    }
    if let Some(jump) = connection.jump.as_deref().filter(|jump| !is_plain(jump, "._-:@[],")) {
        return Err(format!("{jump:?} is not [user@]host[:port]"));
    }
    match connection.host_key.as_deref() {
        Some(key) if host_key(key).is_none() => Err("host_key is not a public key line".to_owned()),
        Some(_) | None => Ok(()),
    }
}
