//! Real machines for tests: guests of `tests/lab`, a namespace for each test, and the binary run beside them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value as Json;

use super::site::Running;
use super::{Ran, TempProject, is_fast, run};

/// How much of a machine a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// A container with systemd: seconds less, and this machine's kernel.
    Fast,
    /// A kernel of its own.
    Full,
}

impl Tier {
    fn word(self) -> &'static str {
        match self {
            Tier::Fast => "fast",
            Tier::Full => "full",
        }
    }
}

/// Running guests; they end with the test.
pub(crate) struct Machines {
    net: String,
    names: Vec<String>,
    pub(crate) project: TempProject,
    /// What runs, below the cache.
    run: PathBuf,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab")
}

/// Where the lab keeps root and kernel.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache");
    let named = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    named("COXSWAIN_LAB").unwrap_or_else(|| named("XDG_CACHE_HOME").unwrap_or_else(home).join("coxswain-lab"))
}

/// Why there can be no guests here.
fn missing(tier: Tier) -> Option<String> {
    if is_fast() {
        return Some("no machines in a fast run".into());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("machines need root".into());
    }
    if !cache().join("made").exists() {
        return Some("the machines' root is not made: tests/lab/make-root".into());
    }
    let can = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().is_ok_and(|done| done.status.success())
    };
    if !can("unshare", &["--mount", "--pid", "--fork", "true"]) {
        return Some("machines need namespaces, and this machine gives none".into());
    }
    if tier == Tier::Fast && !can("systemd-nspawn", &["--version"]) {
        return Some("machines need systemd-nspawn".into());
    }
    let kernel = cache().join("kernel/linux");
    (tier == Tier::Full && !kernel.exists())
        .then(|| "the machines' kernel is not built: tests/lab/make-kernel".into())
}

/// The address of a guest by its name.
pub(crate) fn address(name: &str) -> &'static str {
    match name {
        "nfs" => "172.20.10.10",
        "master" => "172.20.10.11",
        "worker" => "172.20.10.12",
        other => panic!("there is no machine `{other}`"),
    }
}

impl Machines {
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    /// Starts guests. `None`, and a line that says `skipped`, where the machine cannot have them.
    pub(crate) fn up(tier: Tier, names: &[&str]) -> Option<Machines> {
        if let Some(why) = missing(tier) {
            println!("skipped: {why}");
            return None;
        }
        Some(Machines::start(tier, names))
    }

    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    /// The same, where the guests' root has this program too.
    pub(crate) fn up_with(tier: Tier, names: &[&str], program: &str) -> Option<Machines> {
        let has = cache().join("root/usr/bin").join(program).exists();
        if missing(tier).is_none() && !has {
            println!("skipped: the machines have no `{program}`: tests/lab/README.md says how to make such");
            return None;
        }
        Machines::up(tier, names)
    }

    fn start(tier: Tier, names: &[&str]) -> Machines {
        // Short: it is a part of names of network interfaces.
        let net = format!("cx{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let run = cache().join("run").join(&net);
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        let machines = Machines { net, names, project: TempProject::new(), run };
        let mut args = vec!["-t", tier.word()];
        args.extend(machines.names.iter().map(String::as_str));
        let started = machines.script("up", &args);
        assert_eq!(started.code, 0, "the machines do not start:\n{}", started.stderr);
        machines
    }

    fn script(&self, name: &str, args: &[&str]) -> Ran {
        let mut command = Command::new(scripts().join(name));
        command.args(args).env("COXSWAIN_LAB_NET", &self.net).env("COXSWAIN_LAB_RUN", &self.run);
        run(&mut command)
    }

    /// Runs a shell script at a guest as root.
    #[track_caller]
    pub(crate) fn at(&self, name: &str, script: &str) -> Ran {
        self.script("ssh", &[name, script])
    }

    /// Runs a shell script in a guest's own namespaces, past its network: for guests that are cut off.
    pub(crate) fn inside(&self, name: &str, script: &str) -> Ran {
        let noted = std::fs::read_to_string(self.run.join(name).join("pid")).expect("the guest runs");
        let first = noted.split(' ').next().expect("a process");
        let mut find = Command::new("sh");
        // The guest's systemd is the first process in the innermost of the namespaces.
        find.args(["-c", "for p in $(pgrep -x systemd); do case $(cat /proc/$p/status | grep NSpid) in *[[:space:]]1) \
            q=$p; while [ $q -gt 1 ]; do if [ $q = $1 ]; then echo $p; exit; fi; q=$(ps -o ppid= -p $q | tr -d ' '); done ;; esac; done", "find", first]);
        let pid = run(&mut find).ok().stdout.trim().to_owned();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-a", "sh", "-c", script]);
        run(&mut command)
    }

    /// Puts the binary on a guest of the fast tier, whose root is a directory of ours.
    pub(crate) fn install_binary(&self, name: &str) {
        let to = self.run.join(name).join("disk/root/usr/local/bin/coxswain");
        std::fs::copy(env!("CARGO_BIN_EXE_coxswain"), &to).expect("the guest's root takes the binary");
    }

    /// Drops what two guests, or a guest and the lab (`lab`), say to each other.
    pub(crate) fn cut(&self, a: &str, b: &str) {
        self.script("fault", &["cut", a, b]).ok();
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        self.script("fault", &["heal"]).ok();
    }

    /// The blocks of all guests, reached as this user.
    pub(crate) fn hosts_as(&self, user: &str, more: &str) -> String {
        let block = |name: &String| {
            let address = address(name);
            format!("host \"{name}\" {{\n  address = \"{address}\"\n  user    = \"{user}\"\n{more}}}\n")
        };
        self.names.iter().map(block).collect()
    }

    /// Writes the configuration: every guest as root, and the rest.
    pub(crate) fn write(&self, rest: &str) {
        self.project.write("main.hcl", format!("{}\n{rest}", self.hosts_as("root", "")));
    }

    /// The binary in the guests' network.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let config = self.project.path().join(".ssh_config");
        if !config.exists() {
            let lab = cache();
            let text = format!(
                "IdentityFile {0}/key\nIdentitiesOnly yes\nUserKnownHostsFile {0}/known_hosts\n\
                 GlobalKnownHostsFile /dev/null\n",
                lab.display()
            );
            std::fs::write(&config, text).expect("a file in a temporary folder");
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.net, env!("CARGO_BIN_EXE_coxswain")]).args(args);
        self.project.make_hermetic(&mut command);
        command.env("COXSWAIN_SSH_CONFIG", &config);
        command
    }

    /// Starts the binary and does not wait.
    #[track_caller]
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// Runs the binary.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    #[track_caller]
    pub(crate) fn apply(&self) -> Ran {
        self.run(&["apply", "--yes"])
    }

    #[track_caller]
    pub(crate) fn destroy(&self) -> Ran {
        self.run(&["destroy", "--yes"])
    }

    /// Nothing is to be done.
    #[track_caller]
    pub(crate) fn expect_no_op(&self) {
        let ran = self.run(&["plan"]).expect(0);
        assert!(ran.stdout.contains("No changes"), "{}", ran.stdout);
    }

    /// What `drift` finds: every attribute that differs as `ADDRESS.ATTRIBUTE`, or `ADDRESS gone`; sorted.
    #[track_caller]
    pub(crate) fn drifted(&self) -> Vec<String> {
        let ran = self.run(&["drift", "--json"]);
        let document: Json = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| {
            panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", ran.stdout, ran.stderr)
        });
        assert_eq!(document["unreadable"], serde_json::json!([]), "{document:#}");
        let mut found = Vec::new();
        for instance in document["instances"].as_array().expect("instances") {
            let address = instance["address"].as_str().expect("an address");
            if instance["gone"] == true {
                found.push(format!("{address} gone"));
            }
            for change in instance["changes"].as_array().expect("changes") {
                found.push(format!("{address}.{}", change["name"].as_str().expect("a name")));
            }
        }
        found.sort();
        found
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        let ended = self.script("down", &[]);
        if ended.code != 0 && !std::thread::panicking() {
            panic!("the machines do not end:\n{}", ended.stderr);
        }
    }
}
