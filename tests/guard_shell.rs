//! A guard whose way back fails: tried again, with its log, until it works or is given up. The host's own functions in
//! this machine's shell, for a user without systemd, with pauses that take no time.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::site::wait_for;
use support::{Ran, run};

/// Programs in the place of the machine's: nobody is root, and a pause of whole seconds is only noted.
const ID: &str = "#!/bin/sh\necho 1000\n";
const SLEEP: &str =
    "#!/bin/sh\ncase $1 in 0.1) exec /bin/sleep 0.1 ;; *) echo \"$1\" >>\"$HOME/pauses\" ;; esac\n";

/// A home directory with a guard in it.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Option<Home> {
        let can =
            |program: &str| Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
        if !can("flock") || !can("setsid") {
            skipped("a guard needs flock and setsid");
            return None;
        }
        let home = Home { dir: tempfile::tempdir().expect("a temporary folder") };
        for (name, text) in [("id", ID), ("sleep", SLEEP)] {
            let path = home.path("bin").join(name);
            fs::create_dir_all(home.path("bin")).expect("a folder in a temporary one");
            fs::write(&path, text).expect("a file in a temporary folder");
            run(Command::new("chmod").arg("755").arg(&path)).ok();
        }
        Some(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn guard(&self, name: &str) -> PathBuf {
        self.path(".local/state/coxswain/guard").join(name)
    }

    fn read(&self, path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Calls the host's functions.
    #[track_caller]
    fn sh(&self, script: &str) -> Ran {
        let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/world/script");
        let text = format!(". {0}/acts.sh; . {0}/guard.sh; H=; {script}", functions.display());
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.path("bin").display());
        run(Command::new("sh").args(["-c", &text]).env("HOME", self.dir.path()).env("PATH", path))
    }

    /// Arms the guard of a step that has ended; what it does at its end is `revert`. Returns its name.
    #[track_caller]
    fn arm(&self, revert: &str) -> String {
        fs::write(self.path("way-back"), revert).expect("a file in a temporary folder");
        let armed =
            self.sh("cx_fill() { cat \"$HOME/way-back\"; }; cx_arm 2 600 'firewall_rules.web#apply'").ok();
        armed.stdout.strip_prefix("armed ").unwrap_or_else(|| panic!("{}", armed.stdout)).to_owned()
    }

    /// The pauses since it was armed.
    fn pauses(&self) -> Vec<String> {
        self.read(&self.path("pauses")).lines().map(str::to_owned).collect()
    }
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// A way back that works when it is tried for the time that is in the file `works`.
const STUBBORN: &str =
    "n=$(cat \"$HOME/tries\" 2>/dev/null || echo 0); n=$((n + 1)); echo $n >\"$HOME/tries\"
if [ $n -lt \"$(cat \"$HOME/works\")\" ]; then echo \"ufw is busy, $n\" >&2; exit 1; fi
: >\"${COXSWAIN_KEPT%/*}/reverted\"
";

#[test]
fn a_way_back_that_fails_is_tried_again_until_it_works() {
    let Some(home) = Home::new() else { return };
    fs::write(home.path("works"), "4").expect("a file in a temporary folder");
    let token = home.arm(STUBBORN);
    wait_for("the guard to fire", || home.guard("fired").exists());
    assert_eq!(home.read(&home.guard("log")), "ufw is busy, 1\nufw is busy, 2\nufw is busy, 3\n");
    // It counts to two; then the first try is at once.
    assert_eq!(home.pauses(), ["1", "1", "0", "10", "10", "30"]);
    assert_eq!(home.sh(&format!("cx_disarm {token}")).ok().stdout, "fired");
    assert!(!home.guard("").exists(), "nothing of it is left");
    assert_eq!(home.sh(&format!("cx_disarm {token}")).ok().stdout, "fired", "the host remembers");
}

#[test]
fn a_way_back_that_never_works_is_kept_with_its_log() {
    let Some(home) = Home::new() else { return };
    fs::write(home.path("works"), "100").expect("a file in a temporary folder");
    let token = home.arm(STUBBORN);
    fs::write(home.guard("kept/user.rules"), "old rules").expect("what the step kept");
    wait_for("the guard to give up", || home.guard("failed").exists());
    assert_eq!(home.read(&home.path("tries")).trim(), "6");
    assert_eq!(home.pauses(), ["1", "1", "0", "10", "10", "30", "30", "60"]);
    assert_eq!(home.sh(&format!("cx_disarm {token}")).ok().stdout, "failed");
    // The next guard takes its place; what it kept and why it failed is still there.
    home.arm(": >\"${COXSWAIN_KEPT%/*}/reverted\"\n");
    let aside = home.path(".local/state/coxswain/guard.failed");
    assert_eq!(home.read(&aside.join("kept/user.rules")), "old rules");
    assert!(home.read(&aside.join("log")).starts_with("ufw is busy, 1\n"));
    wait_for("the next guard to fire", || home.guard("fired").exists());
}

#[test]
fn a_way_back_that_was_killed_is_taken_up_at_once() {
    let Some(home) = Home::new() else { return };
    // The first try notes who began it, and hangs.
    let token = home.arm(
        "if [ ! -e \"$HOME/first\" ]; then echo $PPID $$ >\"$HOME/first.new\"; mv \"$HOME/first.new\" \"$HOME/first\"
while [ ! -e \"$HOME/go\" ]; do /bin/sleep 0.1; done; exit 1; fi
: >\"${COXSWAIN_KEPT%/*}/reverted\"
",
    );
    wait_for("the first try", || home.path("first").exists());
    assert_eq!(home.sh(&format!("cx_disarm {token}")).ok().stdout, "firing");
    let pids = home.read(&home.path("first"));
    run(Command::new("kill").arg("-9").args(pids.split_whitespace())).ok();
    assert!(home.guard("firing").exists() && !home.guard("fired").exists());
    fs::remove_file(home.path("pauses")).expect("it counted");
    // What it had begun may outlive it; until that ends it counts as being at it.
    let is_free = "flock -n \"$HOME/.local/state/coxswain/guard/timer\" true";
    wait_for("the end of what it had begun", || home.sh(is_free).code == 0);
    home.sh("cx_resume").ok();
    wait_for("the guard to fire", || home.guard("fired").exists());
    assert_eq!(home.pauses(), ["0"], "it does not count once more");
    assert_eq!(home.sh(&format!("cx_disarm {token}")).ok().stdout, "fired");
}
