//! What the test programs share: a project in a temporary folder, run hermetically, and a laboratory of sshd hosts.
//!
//! A test program says `mod support;` and uses its part of it.

#![expect(dead_code, reason = "each test program uses a part of this module")]

pub(crate) mod engine;
pub(crate) mod loopback;
pub(crate) mod machines;
pub(crate) mod ports;
pub(crate) mod site;
pub(crate) mod sshlab;
pub(crate) mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Keeps the expectation above true in a program that uses everything.
const NEVER_USED: () = ();

/// A run that takes longer is killed and fails its test.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// Whether the slow tests are left out (`tests/run --fast`).
pub(crate) fn is_fast() -> bool {
    std::env::var_os("COXSWAIN_TEST_FAST").is_some_and(|value| !value.is_empty())
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code; -1 where a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The same, if it ended with this code; otherwise the test fails and shows everything.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }
    /// The same, if it succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Ran {
        self.expect(0)
    }
}

/// Runs a command to its end, without input and with a limit on time.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    let outputs = tempfile::tempdir().expect("a temporary folder");
    let (out, err) = (outputs.path().join("out"), outputs.path().join("err"));
    let file = |path: &Path| fs::File::create(path).expect("a file in a temporary folder");
    command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let start = Instant::now();
    let status: ExitStatus = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if start.elapsed() > RUN_LIMIT {
            // It may end by itself in this moment; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end within {} s", RUN_LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text =
        |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("the output was written")).into_owned();
    Ran { code: status.code().unwrap_or(-1), stdout: text(&out), stderr: text(&err) }
}

/// A program in a folder that is its home, too. It sees no variables of ours.
pub(crate) fn program(path: &Path, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.args(args).current_dir(dir).env_clear().env("HOME", dir);
    command
}

/// The binary in a folder that is its home, too.
pub(crate) fn coxswain(dir: &Path, args: &[&str]) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_coxswain")), dir, args)
}

/// A configuration in a folder of its own. The binary sees no home, no variables and no time zone of ours.
pub(crate) struct TempProject {
    dir: tempfile::TempDir,
}

impl TempProject {
    /// An empty project.
    pub(crate) fn new() -> TempProject {
        let dir = tempfile::Builder::new().prefix("cx").tempdir().expect("a temporary folder");
        for name in ["project", "home", "tmp"] {
            fs::create_dir(dir.path().join(name)).expect("a folder in a temporary folder");
        }
        TempProject { dir }
    }
    /// A project with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> TempProject {
        let project = TempProject::new();
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }
    /// The root directory of the configuration.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("project")
    }
    /// The home the binary sees.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }
    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        let parent = path.parent().expect("a file of the project has a folder");
        fs::create_dir_all(parent).expect("a folder in a temporary folder");
        fs::write(path, text).expect("a file in a temporary folder");
    }
    /// A file of the project; the test fails where there is none.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
    /// Whether the project has this file or folder.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }
    /// Removes a file of the project.
    #[track_caller]
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    /// The binary in this project, for a test that wants to change something first.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coxswain"));
        command.args(args);
        self.make_hermetic(&mut command);
        command
    }
    /// Runs the binary in this project.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }
    /// The binary in this project, inside the laboratory's network.
    pub(crate) fn command_in(&self, lab: &sshlab::Lab, args: &[&str]) -> Command {
        let mut command = lab.inside(env!("CARGO_BIN_EXE_coxswain"));
        command.args(args);
        self.make_hermetic(&mut command);
        command.env("COXSWAIN_SSH_CONFIG", lab.ssh_config());
        command
    }
    /// Runs the binary in this project, inside the laboratory's network.
    #[track_caller]
    pub(crate) fn run_in(&self, lab: &sshlab::Lab, args: &[&str]) -> Ran {
        run(&mut self.command_in(lab, args))
    }

    pub(crate) fn make_hermetic(&self, command: &mut Command) {
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.home())
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "dumb")
            .env("NO_COLOR", "1");
    }
}
