//! A laboratory of hosts: real sshd processes on this machine, each in a root, a network and a process space of
//! its own.
//!
//! ```text
//! namespace coxlab-PID-START-N        bridge 172.31.77.1/24 ── v0 … vN    (the program under test runs in here)
//! namespace coxlab-PID-START-N-h0 …   eth0 172.31.77.10 …   sshd in an overlay over /, written to memory only
//! ```
//!
//! PID and START (the tick it started at) name the process that made it: whether that lives can be told from the
//! name alone, so that nobody takes a laboratory that is just being made for one that was left behind.
//!
//! Users of every host: `root` and `admin` (sudo without password), `guarded` (sudo with the password `lab`) and
//! `noisy` (as `admin`, and its shell prints junk for every command). All log in with the laboratory's key.
//!
//! Never: a change of the machine's own files, addresses, firewall or processes. Dropping a [`Lab`] ends its
//! processes by their ids and removes its namespaces; what a killed run left is removed by the next start.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Ran;

/// The password of `guarded`.
pub(crate) const PASSWORD: &str = "lab";
/// Its SHA-512 crypt hash.
const PASSWORD_HASH: &str =
    "$6$coxswain$0kovhG1s3Rar5dFDHmCESz8fZvyAn.P9HFkQbNB3Ol0JYxqmGNUyUA2yvizbnBtmLnk62GcNhJBTOinzqXAx8.";
/// Users besides root, with their numbers.
const USERS: &[(&str, u32)] = &[("admin", 4001), ("guarded", 4002), ("noisy", 4003)];
/// Last byte of the first host's address.
const FIRST_ADDRESS: usize = 10;
/// As many as the network has addresses for.
const HOSTS_LIMIT: usize = 240;
/// A host that is not up by then never will be.
const UP_LIMIT: Duration = Duration::from_secs(30);
/// Names of namespaces and folders start so.
const PREFIX: &str = "coxlab-";
/// What a host does to become one.
const HOST_SCRIPT: &str = include_str!("host.sh");
/// Ends every connection of a host: every sshd but the listening one.
const KILL_CONNECTIONS: &str = r#"
    listener=$(cat /run/sshd.pid 2>/dev/null || echo 0)
    for process in /proc/[0-9]*; do
        id=${process#/proc/}
        read -r name 2>/dev/null <"$process/comm" || continue
        case $name in sshd*) [ "$id" = "$listener" ] || kill -9 "$id" 2>/dev/null || : ;; esac
    done"#;
/// Ends every process of a host but its first and this shell.
const KILL_ALL: &str = r#"
    for process in /proc/[0-9]*; do
        id=${process#/proc/}
        [ "$id" = 1 ] || [ "$id" = "$$" ] || kill -9 "$id" 2>/dev/null || :
    done"#;

/// Distinguishes the laboratories of one process.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The laboratory.
pub(crate) struct Lab {
    name: String,
    dir: PathBuf,
    hosts: Vec<Host>,
}

/// One host.
pub(crate) struct Host {
    /// `h0`, `h1`, …; also its name for ssh.
    pub(crate) name: String,
    /// `172.31.77.10`, ….
    pub(crate) address: String,
    /// Always 22.
    pub(crate) port: u16,
    index: usize,
    lab: String,
    lab_dir: PathBuf,
    dir: PathBuf,
    machine: Mutex<Option<Machine>>,
}

/// The processes of a host.
struct Machine {
    /// `unshare`, which takes everything with it when it ends.
    outer: Child,
    /// Process 1 of the host, as this machine numbers it.
    first: u32,
}

impl Lab {
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    /// Starts hosts. `None`, and a line that says `skipped`, where the machine cannot have a laboratory.
    pub(crate) fn start(n: usize) -> Option<Lab> {
        if super::is_fast() {
            println!("skipped: the laboratory of sshd hosts is not part of the fast tests");
            return None;
        }
        if let Some(missing) = missing_here() {
            println!("skipped: the laboratory of sshd hosts needs {missing}");
            return None;
        }
        assert!(n <= HOSTS_LIMIT, "the laboratory has addresses for {HOSTS_LIMIT} hosts");
        match Lab::build(n) {
            Ok(lab) => Some(lab),
            Err(error) => {
                println!("skipped: the laboratory of sshd hosts does not start: {error}");
                None
            }
        }
    }

    fn build(n: usize) -> io::Result<Lab> {
        remove_stale();
        let (id, number) = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{PREFIX}{id}-{}-{number}", start_time(id).unwrap_or_default());
        let dir = std::env::temp_dir().join(&name);
        fs::create_dir(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        // From here on, dropping cleans up.
        let mut lab = Lab { name, dir, hosts: Vec::new() };
        lab.write_template()?;
        lab.hosts = (0..n).map(|index| lab.describe_host(index)).collect();
        lab.make_network()?;
        make_keys(&lab.dir, &lab.hosts)?;
        lab.write_known_hosts()?;
        lab.write_ssh_config()?;
        for host in &lab.hosts {
            host.boot()?;
        }
        for host in &lab.hosts {
            host.wait_until_up()?;
            host.start();
        }
        Ok(lab)
    }

    /// The number of hosts.
    pub(crate) fn len(&self) -> usize {
        self.hosts.len()
    }
    /// A host, from 0.
    pub(crate) fn host(&self, index: usize) -> &Host {
        &self.hosts[index]
    }
    /// Every host.
    pub(crate) fn hosts(&self) -> &[Host] {
        &self.hosts
    }
    /// The laboratory's folder, for files that go with it.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
    /// Configuration of the ssh client: keys, known hosts, and the hosts by name and address.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }
    /// The private key that every user of every host accepts.
    pub(crate) fn identity_file(&self) -> PathBuf {
        self.dir.join("key")
    }
    /// The known hosts of the client.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }
    /// A program that will run in the laboratory's network, as the user we are.
    pub(crate) fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg("--").arg(program);
        command
    }
    /// Lets the network carry no more than this to a host, as `tc` writes rates.
    #[track_caller]
    pub(crate) fn limit_rate(&self, index: usize, rate: &str) {
        let link = format!("v{index}");
        check(
            Command::new("tc")
                .args(["-n", &self.name, "qdisc", "replace", "dev", &link, "root", "tbf"])
                .args(["rate", rate, "burst", "32kb", "latency", "100ms"]),
        )
        .expect("the link is there");
    }
    /// Runs a command on a host through the plain ssh client.
    #[track_caller]
    pub(crate) fn ssh(&self, index: usize, user: &str, command: &str) -> Ran {
        let host = self.host(index);
        let mut ssh = self.inside("ssh");
        ssh.arg("-F").arg(self.ssh_config()).arg(format!("{user}@{}", host.address)).arg(command);
        super::run(&mut ssh)
    }

    /// What all hosts have in `/etc`, and the homes.
    fn write_template(&self) -> io::Result<()> {
        let etc = self.dir.join("etc");
        for folder in ["etc/sudoers.d", "etc/ssh/lab", "users"] {
            fs::create_dir_all(self.dir.join(folder))?;
        }
        ssh_keygen(&self.dir.join("key"))?;
        let public = fs::read_to_string(self.dir.join("key.pub"))?;
        let (mut passwd, mut shadow, mut group) = (String::new(), String::new(), String::new());
        for (user, id) in USERS {
            let hash = if *user == "guarded" { PASSWORD_HASH } else { "*" };
            let _ = writeln!(passwd, "{user}:x:{id}:{id}:{user}:/home/{user}:/bin/bash");
            let _ = writeln!(shadow, "{user}:{hash}:19000:0:99999:7:::");
            let _ = writeln!(group, "{user}:x:{id}:");
            fs::create_dir(self.dir.join("users").join(user))?;
        }
        for (name, added, mode) in
            [("passwd", passwd, 0o644), ("shadow", shadow, 0o640), ("group", group, 0o644)]
        {
            let ours = |line: &&str| !USERS.iter().any(|(user, _)| line.starts_with(&format!("{user}:")));
            let text = fs::read_to_string(Path::new("/etc").join(name))?;
            let kept: Vec<_> = text.lines().filter(ours).collect();
            write_mode(&etc.join(name), &format!("{}\n{added}", kept.join("\n")), mode)?;
        }
        let sudoers = "admin ALL=(ALL:ALL) NOPASSWD: ALL\nnoisy ALL=(ALL:ALL) NOPASSWD: ALL\n\
                       guarded ALL=(ALL:ALL) ALL\n";
        write_mode(&etc.join("sudoers.d/lab"), sudoers, 0o440)?;
        for user in USERS.iter().map(|(user, _)| *user).chain(["root"]) {
            write_mode(&etc.join("ssh/lab").join(user), &public, 0o644)?;
        }
        // Debian's bash reads this file for `ssh HOST COMMAND` as well.
        let noise = "echo 'Welcome! 3 updates can be applied.'\necho 'this shell is noisy' >&2\n";
        write_mode(&self.dir.join("users/noisy/.bashrc"), noise, 0o644)
    }

    fn describe_host(&self, index: usize) -> Host {
        let name = format!("h{index}");
        Host {
            address: format!("172.31.77.{}", FIRST_ADDRESS + index),
            port: 22,
            index,
            lab: self.name.clone(),
            lab_dir: self.dir.clone(),
            dir: self.dir.join(&name),
            name,
            machine: Mutex::new(None),
        }
    }

    fn make_network(&self) -> io::Result<()> {
        check(Command::new("ip").args(["netns", "add", &self.name]))?;
        let mut commands = String::from(
            "link set lo up\nlink add br0 type bridge\naddr add 172.31.77.1/24 dev br0\nlink set br0 up\n",
        );
        for host in &self.hosts {
            check(Command::new("ip").args(["netns", "add", &host.namespace()]))?;
            let (index, namespace) = (host.index, host.namespace());
            let _ = writeln!(commands, "link add v{index} type veth peer name eth0 netns {namespace}");
            let _ = writeln!(commands, "link set v{index} master br0 up");
        }
        ip_batch(&self.name, &commands)?;
        for host in &self.hosts {
            let address = &host.address;
            let commands = format!("link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n");
            ip_batch(&host.namespace(), &commands)?;
        }
        Ok(())
    }

    fn write_known_hosts(&self) -> io::Result<()> {
        let lines: Vec<_> = self
            .hosts
            .iter()
            .map(|host| format!("{},{} {}", host.name, host.address, host.host_key()))
            .collect();
        fs::write(self.known_hosts(), lines.join("\n") + "\n")
    }

    fn write_ssh_config(&self) -> io::Result<()> {
        let mut text = String::new();
        for host in &self.hosts {
            let _ = writeln!(text, "Host {}\n    HostName {}\n", host.name, host.address);
        }
        let _ = write!(
            text,
            "Host *\n    User root\n    IdentityFile {}\n    IdentitiesOnly yes\n    IdentityAgent none\n    \
             UserKnownHostsFile {}\n    GlobalKnownHostsFile /dev/null\n    StrictHostKeyChecking yes\n    \
             BatchMode yes\n    ConnectTimeout 10\n    LogLevel ERROR\n",
            self.identity_file().display(),
            self.known_hosts().display()
        );
        fs::write(self.ssh_config(), text)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &self.hosts {
            host.kill();
        }
        for host in &self.hosts {
            host.end();
            remove_namespace(&host.namespace());
        }
        remove_namespace(&self.name);
        // What cannot be removed now is removed by the next start.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Host {
    /// The block that declares this host, for a user: `host "h0" { … }`.
    pub(crate) fn hcl(&self, user: &str) -> String {
        let sudo = if user == "root" { "" } else { "  sudo    = true\n" };
        format!(
            "host \"{}\" {{\n  address = \"{}\"\n  user    = \"{user}\"\n{sudo}}}\n",
            self.name, self.address
        )
    }
    /// The public host key, as a `known_hosts` line without the name.
    pub(crate) fn host_key(&self) -> String {
        let line = fs::read_to_string(self.dir.join("host_key.pub")).unwrap_or_default();
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
    /// `/etc/machine-id`.
    pub(crate) fn machine_id(&self) -> String {
        self.read_file("/etc/machine-id").unwrap_or_default().trim().to_owned()
    }

    /// Runs a shell command on the host as root, not through ssh.
    #[track_caller]
    pub(crate) fn exec(&self, command: &str) -> Ran {
        super::run(&mut self.enter(&["/bin/bash", "-c", command]))
    }
    /// A file of the host as text; `None` where there is none.
    pub(crate) fn read_file(&self, path: &str) -> Option<String> {
        fs::read(self.outer_path(path)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
    /// Writes a file of the host, with its folders, as root.
    #[track_caller]
    pub(crate) fn write_file(&self, path: &str, content: impl AsRef<[u8]>) {
        let outer = self.outer_path(path);
        let written =
            outer.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&outer, content));
        written.unwrap_or_else(|error| panic!("{} {path}: {error}", self.name));
    }
    /// Puts a script in front of a program of the host; the program itself is `$0.real`.
    #[track_caller]
    pub(crate) fn wrap(&self, program: &str, script: &str) {
        self.exec(&format!("mv {program} {program}.real")).ok();
        self.write_file(program, format!("#!/bin/bash\n{script}"));
        self.exec(&format!("chmod 0755 {program}")).ok();
    }
    /// Whether the host has this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.outer_path(path)).is_ok()
    }
    /// What sshd wrote since the host was made.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("sshd.log")).unwrap_or_default()
    }
    /// How many connections were accepted since the host was made.
    pub(crate) fn connections_count(&self) -> usize {
        self.log().matches("Accepted publickey for").count()
    }
    /// How many sessions (commands or shells) were started over all connections since the host was made.
    pub(crate) fn sessions_count(&self) -> usize {
        self.log().matches("Starting session:").count()
    }

    /// Stops sshd and every connection; the port is closed then.
    pub(crate) fn stop(&self) {
        self.exec("kill \"$(cat /run/sshd.pid)\"; while [ -e /run/sshd.pid ]; do sleep 0.01; done");
        self.kill_connections();
    }
    /// Starts sshd again.
    #[track_caller]
    pub(crate) fn start(&self) {
        let start = "/usr/sbin/sshd -f /run/lab/sshd_config -E /run/lab/sshd.log || exit
             n=0; until [ -s /run/sshd.pid ]; do n=$((n + 1)); [ $n -lt 1000 ] || exit 1; sleep 0.01; done";
        self.exec(start).ok();
    }
    /// Breaks every connection, with SIGKILL; the next one is accepted.
    pub(crate) fn kill_connections(&self) {
        self.exec(KILL_CONNECTIONS);
    }
    /// Takes the cable out: packets are lost, nothing answers.
    #[track_caller]
    pub(crate) fn unplug(&self) {
        self.set_link("down");
    }
    /// Puts the cable in again, and waits until the host can be reached.
    #[track_caller]
    pub(crate) fn plug(&self) {
        self.set_link("up");
        let mut dial = Command::new("nsenter");
        dial.arg(format!("--net=/run/netns/{}", self.lab));
        dial.args(["--", "/bin/bash", "-c", &format!(": </dev/tcp/{}/22", self.address)]);
        let start = Instant::now();
        // For some seconds after an address could not be found, nobody looks for it again.
        while !dial.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            assert!(start.elapsed() < UP_LIMIT, "{} cannot be reached", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    /// Ends every process, gives the host a new boot id and starts sshd. Files stay.
    #[track_caller]
    pub(crate) fn reboot(&self) {
        self.exec(KILL_ALL);
        fs::write(self.dir.join("boot_id"), boot_id()).expect("the laboratory's folder can be written");
        self.exec("rm -rf /run/sshd.pid /tmp/* /tmp/.[!.]*").ok();
        self.start();
    }
    /// Puts another machine in its place: same name, address and host key; fresh files and another machine id.
    #[track_caller]
    pub(crate) fn replace_machine(&self) {
        self.end();
        let replaced = self.boot().and_then(|()| self.wait_until_up());
        replaced.unwrap_or_else(|error| panic!("{} does not come up again: {error}", self.name));
        self.start();
    }
    /// Gives the host another host key, which no `known_hosts` has.
    #[track_caller]
    pub(crate) fn change_host_key(&self) {
        self.stop();
        for name in ["host_key", "host_key.pub"] {
            fs::remove_file(self.dir.join(name)).expect("the host has a key");
        }
        ssh_keygen(&self.dir.join("host_key")).expect("ssh-keygen makes a key");
        self.start();
    }

    fn namespace(&self) -> String {
        format!("{}-{}", self.lab, self.name)
    }
    fn first(&self) -> u32 {
        let machine = self.machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        machine.as_ref().map_or(0, |machine| machine.first)
    }
    /// A path of the host as this machine names it.
    fn outer_path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.first())).join(path.trim_start_matches('/'))
    }
    fn enter(&self, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.first()));
        command.args(["--mount", "--uts", "--net", "--pid", "--root", "--wd", "--"]).args(args);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", "/root").env("LC_ALL", "C");
        command
    }
    #[track_caller]
    fn set_link(&self, state: &str) {
        let link = format!("v{}", self.index);
        check(Command::new("ip").args(["-n", &self.lab, "link", "set", &link, state]))
            .expect("the link is there");
    }

    /// Makes the host's processes; sshd is not among them yet.
    fn boot(&self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        for (name, text) in [
            ("name", self.name.clone()),
            ("address", self.address.clone()),
            ("machine-id", uuid()?.replace('-', "") + "\n"),
            ("boot_id", boot_id()),
            ("sshd_config", SSHD_CONFIG.to_owned()),
        ] {
            fs::write(self.dir.join(name), text)?;
        }
        // The mark of the machine before.
        let _ = fs::remove_file(self.dir.join("up"));
        let errors = fs::File::create(self.dir.join("boot.log"))?;
        let outer = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace()))
            .args(["--", "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL"])
            .args(["--", "/bin/bash", "-c", HOST_SCRIPT, "host"])
            .args([&self.lab_dir, &self.dir])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()?;
        let id = outer.id();
        let written = fs::write(self.dir.join("pid"), format!("{id} {}", start_time(id).unwrap_or_default()));
        *self.machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some(Machine { outer, first: 0 });
        written
    }

    fn wait_until_up(&self) -> io::Result<()> {
        let start = Instant::now();
        let mut guard = self.machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let machine = guard.as_mut().ok_or_else(|| io::Error::other("not booted"))?;
        while !self.dir.join("up").exists() {
            let ended = machine.outer.try_wait()?.is_some();
            if ended || start.elapsed() > UP_LIMIT {
                let said = fs::read_to_string(self.dir.join("boot.log")).unwrap_or_default();
                return Err(io::Error::other(format!("{}: {}", self.name, said.trim())));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let id = machine.outer.id();
        machine.first = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?
            .split_whitespace()
            .next()
            .and_then(|first| first.parse().ok())
            .ok_or_else(|| io::Error::other(format!("{}: no first process", self.name)))?;
        Ok(())
    }

    /// Kills the first process of the host, which takes all others of its namespace with it, and does not wait.
    /// `unshare` collects it and ends: whoever collects orphans here may be slow.
    fn kill(&self) {
        let mut guard = self.machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(machine) = guard.as_mut() else { return };
        // It may have ended by itself.
        let _ = match pid(machine.first) {
            Some(first) => kill_process(first, Signal::KILL).map_err(io::Error::from),
            None => machine.outer.kill(),
        };
    }
    /// Ends the host's processes.
    fn end(&self) {
        self.kill();
        let mut guard = self.machine.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(mut machine) = guard.take() {
            // The process was ours to wait for; that it cannot be waited for means that it is gone.
            let _ = machine.outer.wait();
        }
    }
}

const SSHD_CONFIG: &str = "\
Port 22
AddressFamily inet
HostKey /run/lab/host_key
PidFile /run/sshd.pid
AuthorizedKeysFile /etc/ssh/lab/%u
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
PrintMotd no
LogLevel VERBOSE
Subsystem sftp internal-sftp
";

/// What the machine lacks for a laboratory.
fn missing_here() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !is_root {
        return Some("root".to_owned());
    }
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    ["ip", "sshd", "ssh", "ssh-keygen", "sudo", "unshare", "nsenter", "bash"]
        .into_iter()
        .find(|program| !folders.iter().any(|folder| Path::new(folder).join(program).exists()))
        .map(str::to_owned)
}

/// Runs a command to its end; what it says is the error.
fn check(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {}", said.trim())))
}

/// Commands for `ip`, one per line, in a namespace.
fn ip_batch(namespace: &str, commands: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    io::Write::write_all(&mut file, commands.as_bytes())?;
    check(Command::new("ip").args(["-n", namespace, "-batch"]).arg(file.path()))
}

fn write_mode(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn ssh_keygen_command(path: &Path) -> Command {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"]).arg(path);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn ssh_keygen(path: &Path) -> io::Result<()> {
    check(&mut ssh_keygen_command(path))
}

/// The hosts' keys, all at once.
fn make_keys(dir: &Path, hosts: &[Host]) -> io::Result<()> {
    let mut running = Vec::new();
    for host in hosts {
        fs::create_dir_all(&host.dir)?;
        running.push(ssh_keygen_command(&host.dir.join("host_key")).spawn()?);
    }
    for mut child in running {
        if !child.wait()?.success() {
            return Err(io::Error::other(format!("ssh-keygen failed in {}", dir.display())));
        }
    }
    Ok(())
}

fn uuid() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

fn boot_id() -> String {
    uuid().unwrap_or_default() + "\n"
}

/// When a process started, in ticks: with its id, what names it for good.
fn start_time(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the name in parentheses and may hold anything; the 22nd is wanted.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// Waits until it has ended; it need not have been collected.
fn wait_until_gone(id: u32) {
    let start = Instant::now();
    let lives = || {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    };
    while lives() && start.elapsed() < UP_LIMIT {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn remove_namespace(name: &str) {
    // It may not have been made.
    let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
}

/// Whether the process that made this laboratory or namespace lives.
fn is_owner_alive(name: &str) -> bool {
    let mut words = name.strip_prefix(PREFIX).unwrap_or_default().split('-');
    let (id, start) = (words.next().and_then(|id| id.parse().ok()), words.next());
    id.and_then(start_time).as_deref() == start
}

/// Removes what runs left that were killed.
fn remove_stale() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(PREFIX) || is_owner_alive(&name) {
            continue;
        }
        for host in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let Ok(text) = fs::read_to_string(host.path().join("pid")) else { continue };
            let mut words = text.split_whitespace();
            let id: u32 = words.next().and_then(|id| id.parse().ok()).unwrap_or(0);
            if let Some(outer) = pid(id)
                && start_time(id).as_deref() == words.next()
            {
                // It may end by itself in this moment.
                let _ = kill_process(outer, Signal::KILL);
                wait_until_gone(id);
            }
        }
        let _ = fs::remove_dir_all(entry.path());
    }
    let namespaces = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for entry in namespaces {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && !is_owner_alive(&name) {
            remove_namespace(&name);
        }
    }
}
