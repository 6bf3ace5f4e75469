//! A configuration for the hosts of a laboratory, and the binary that is run on it as people run it.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value as Json;

use super::sshlab::{Host, Lab};
use super::{Ran, TempProject};

/// A condition that does not come true within this time never will.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// Waits until a condition holds; the test fails when it never does.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < WAIT_LIMIT, "{what}: not within {} s", WAIT_LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A laboratory with a project beside it.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) project: TempProject,
}

impl Site {
    /// Starts hosts. `None`, and a line that says `skipped`, where the machine cannot have them.
    pub(crate) fn start(n: usize) -> Option<Site> {
        Some(Site { lab: Lab::start(n)?, project: TempProject::new() })
    }
    /// A host, from 0.
    pub(crate) fn host(&self, index: usize) -> &Host {
        self.lab.host(index)
    }
    /// Writes the configuration: every host as this user, and the rest.
    pub(crate) fn write_as(&self, user: &str, rest: &str) {
        let hosts: String = self.lab.hosts().iter().map(|host| host.hcl(user)).collect();
        self.project.write("main.hcl", format!("{hosts}\n{rest}"));
    }
    /// Writes the configuration, with root at every host.
    pub(crate) fn write(&self, rest: &str) {
        self.write_as("root", rest);
    }
    /// Runs the binary.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.project.run_in(&self.lab, args)
    }
    #[track_caller]
    pub(crate) fn plan(&self) -> Ran {
        self.run(&["plan"])
    }
    #[track_caller]
    pub(crate) fn apply(&self) -> Ran {
        self.run(&["apply", "--yes"])
    }
    #[track_caller]
    pub(crate) fn drift(&self) -> Ran {
        self.run(&["drift"])
    }
    #[track_caller]
    pub(crate) fn destroy(&self) -> Ran {
        self.run(&["destroy", "--yes"])
    }
    /// The document a command prints with `--json`, and its exit code.
    #[track_caller]
    pub(crate) fn document(&self, args: &[&str]) -> (i32, Json) {
        let ran = self.run(&[args, &["--json"]].concat());
        let document = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| {
            panic!("{error}\n--- stdout\n{}\n--- stderr\n{}", ran.stdout, ran.stderr)
        });
        (ran.code, document)
    }
    /// Nothing is to be done.
    #[track_caller]
    pub(crate) fn expect_no_op(&self) {
        let ran = self.plan().expect(0);
        assert!(ran.stdout.contains("No changes"), "{}", ran.stdout);
    }
    /// A file of the state's directory, and of everything else below the project, by name.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let (mut files, mut folders) = (Vec::new(), vec![self.project.path()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(_) => {
                        let bytes = std::fs::read(entry.path()).unwrap_or_default();
                        files.push((entry.path().display().to_string(), bytes));
                    }
                    Err(_) => {}
                }
            }
        }
        files
    }
    /// Starts an apply whose first write at the first host waits for a line in the pipe `/run/gate` there, and returns
    /// when it waits.
    #[track_caller]
    pub(crate) fn spawn_gated(&self) -> Running {
        self.host(0).exec("mkfifo /run/gate").ok();
        self.host(0).wrap(
            "/usr/bin/base64",
            "[ \"$1\" = -d ] || exec $0.real \"$@\"\nmv -f $0.real $0\ntouch /run/waits\nread -r line </run/gate\nexec base64 -d\n",
        );
        let run = self.spawn(&["apply", "--yes"]);
        wait_for("the first step", || self.host(0).has("/run/waits"));
        run
    }
    /// Starts the binary and does not wait.
    #[track_caller]
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        Running::start(self.project.command_in(&self.lab, args))
    }
}

/// A run of the binary that goes on.
pub(crate) struct Running {
    child: std::process::Child,
    outputs: tempfile::TempDir,
}

impl Running {
    /// Starts a command and does not wait.
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Running {
        let outputs = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| std::fs::File::create(outputs.path().join(name)).expect("a file");
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Running { child, outputs }
    }
    /// Waits until it has said this.
    #[track_caller]
    pub(crate) fn wait_until_it_says(&mut self, text: &str) {
        wait_for(text, || {
            let said = self.output().contains(text);
            assert!(said || !self.has_ended(), "it ended without `{text}`:\n{}", self.output());
            said
        });
    }
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
    /// Kills it, with SIGKILL.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
    /// Presses Ctrl-C: as a terminal does, for the whole group of processes.
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("an id of a process");
        kill_process_group(pid, Signal::INT).expect("the group is ours");
    }
    /// What it has said so far, on both streams.
    pub(crate) fn output(&self) -> String {
        let read = |name: &str| std::fs::read(self.outputs.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("out"), read("err")].concat()).into_owned()
    }
    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        wait_for("the run's end", || self.has_ended());
        let status = self.child.wait().expect("it has ended");
        let text = |name: &str| {
            let bytes = std::fs::read(self.outputs.path().join(name)).expect("the output was written");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Ran { code: status.code().unwrap_or(-1), stdout: text("out"), stderr: text("err") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Temporary files of ours on a host.
#[track_caller]
pub(crate) fn temporary_files(host: &Host) -> String {
    host.exec("find /run/upper /tmp /root /home /run -xdev -name '*.coxswain-*'").ok().stdout
}
