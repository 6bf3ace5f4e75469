//! A state at another machine, over ssh: two controllers, kills, cuts, a full disk, and what people read.

mod support;

use support::TempProject;
use support::site::{Running, Site, wait_for};

const PLACE: &str = "ssh://root@h1/var/lib/coxswain/prod";

/// Two hosts: h0 is managed, h1 has the state. Two controllers with the same configuration.
struct Team {
    site: Site,
    other: TempProject,
}

impl Team {
    fn start(rest: &str) -> Option<Team> {
        let team = Team { site: Site::start(2)?, other: TempProject::new() };
        team.write(rest);
        Some(team)
    }
    fn write(&self, rest: &str) {
        self.write_at(PLACE, rest);
    }
    fn write_at(&self, place: &str, rest: &str) {
        let host = self.site.host(0).hcl("root");
        let state = format!("coxswain {{\n  state = {{ backend = \"ssh\", url = \"{place}\" }}\n}}\n");
        let text = format!("{state}{host}{rest}");
        self.site.project.write("main.hcl", &text);
        self.other.write("main.hcl", &text);
    }
    fn other(&self, args: &[&str]) -> support::Ran {
        self.other.run_in(&self.site.lab, args)
    }
    /// A run of the first controller whose first step waits for [`Team::go`].
    fn start_gated(&self) -> Running {
        self.site.spawn_gated()
    }
    /// The gated run ends, because its line to the state is gone.
    #[track_caller]
    fn expect_lost(&self, run: Running) {
        self.go();
        let ended = run.end();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, 1, "{said}");
        assert!(said.contains("the connection was lost while the state was locked"), "{said}");
        assert!(!self.site.host(0).has("/srv/b"), "no step begins that is not written down");
    }
    fn go(&self) {
        self.site.host(0).exec("timeout 10 bash -c 'echo go >/run/gate'").ok();
    }
}

const TWO_FILES: &str = r#"
file "a" {
  host    = host.h0
  path    = "/srv/a"
  content = "a"
}
file "b" {
  host       = host.h0
  path       = "/srv/b"
  content    = "b"
  depends_on = [file.a]
}
"#;

#[test]
fn what_one_controller_applied_the_other_knows() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    team.site.apply().ok();
    assert!(!team.site.project.has(".coxswain/state.json"), "nothing is kept here");
    let plan = team.other(&["plan"]).expect(0);
    assert!(plan.stdout.contains("No changes"), "{}", plan.stdout);
    let listed = team.other(&["state", "list"]).ok();
    assert!(listed.stdout.contains("file.a") && listed.stdout.contains("file.b"), "{}", listed.stdout);
    team.other(&["state", "mv", "file.b", "file.c"]).ok();
    team.write(&TWO_FILES.replace("file \"b\"", "file \"c\""));
    team.site.expect_no_op();
    team.site.host(0).exec("echo changed >/srv/a").ok();
    assert!(team.other(&["drift"]).expect(3).stdout.contains("file.a"));
    // Who looks for drift needs to know where the state is, and nothing else.
    let guard = TempProject::new();
    guard.write(
        "main.hcl",
        format!("coxswain {{\n  state = {{ backend = \"ssh\", url = \"{PLACE}\" }}\n}}\n"),
    );
    assert!(guard.run_in(&team.site.lab, &["drift"]).expect(3).stdout.contains("file.a"));
    team.other(&["destroy", "--yes"]).ok();
    assert!(!team.site.host(0).has("/srv/a"));
    assert!(!team.site.run(&["state", "list"]).ok().stdout.contains("file."), "the first one knows it");
    let history = team.site.run(&["state", "history"]).ok();
    assert!(history.stdout.lines().count() > 2, "{}", history.stdout);
    let modes = team.site.host(1).exec("cd /var/lib/coxswain && stat -c '%a %n' prod prod/* prod/history/*");
    for line in modes.ok().stdout.lines() {
        let is_directory = line.ends_with(" prod") || line.ends_with("/history");
        assert!(line.starts_with(if is_directory { "700 " } else { "600 " }), "{line}");
    }
}

#[test]
fn a_state_that_was_left_behind_is_no_empty_state() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    team.site.host(1).exec("mkdir -p /var/lib/coxswain").ok();
    team.site.project.write("main.hcl", format!("{}{TWO_FILES}", team.site.host(0).hcl("root")));
    team.site.apply().ok();
    team.write(TWO_FILES);
    let refused = team.site.run(&["plan"]).expect(1);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("there is none yet, and there is one at"), "{said}");
    for args in [&["state", "rm", "file.a"][..], &["state", "history"], &["apply", "--yes"], &["drift"]] {
        let ran = team.site.run(args).expect(1);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("there is none yet, and there is one at"), "{args:?}: {said}");
    }
    assert!(!team.site.host(1).has("/var/lib/coxswain/prod"), "nothing was made there");
    let copy = format!(
        "cd {} && tar -c . | ssh -F {} root@h1 'mkdir -m 700 /var/lib/coxswain/prod && tar -xC /var/lib/coxswain/prod'",
        team.site.project.path().join(".coxswain").display(),
        team.site.lab.ssh_config().display()
    );
    let mut shell = team.site.lab.inside("sh");
    shell.args(["-c", &copy]);
    support::run(&mut shell).ok();
    std::fs::remove_dir_all(team.site.project.path().join(".coxswain")).expect("removes");
    team.site.expect_no_op();
    assert!(team.other(&["plan"]).expect(0).stdout.contains("No changes"));
}

#[test]
fn environments_have_states_of_their_own() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    team.site.project.write("env/test.hclvars", "");
    team.site.run(&["apply", "--yes", "--env", "test"]).ok();
    assert!(team.site.host(1).has("/var/lib/coxswain/prod/env/test/state.json"));
    assert!(team.site.run(&["state", "list"]).ok().stdout.trim().is_empty());
}

#[test]
fn a_second_writer_is_told_who_holds_the_lock() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    let run = team.start_gated();
    let busy = team.other(&["apply", "--yes"]).expect(5);
    let said = format!("{}{}", busy.stdout, busy.stderr);
    assert!(said.contains(&format!("the state in {PLACE} is locked by")), "{said}");
    assert!(said.contains(&format!("process {}, `coxswain apply`", run.id())), "{said}");
    let plan = team.other(&["plan"]);
    assert!(plan.stdout.contains("file.b"), "a plan needs no lock: {}{}", plan.stdout, plan.stderr);
    team.go();
    assert_eq!(run.end().code, 0);
    assert!(team.other(&["plan"]).expect(0).stdout.contains("No changes"));
}

#[test]
fn a_controller_that_is_killed_lets_go_at_once() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    let mut run = team.start_gated();
    run.kill();
    team.go();
    // The kernel there ends the lock with the connection; that takes the time of a packet.
    wait_for("the lock", || team.other(&["state", "rm", "file.nothing"]).code != 5);
    let applied = team.other(&["apply", "--yes"]).ok();
    assert!(applied.stdout.contains("done"), "{}", applied.stdout);
    team.site.expect_no_op();
    assert_eq!(team.site.host(0).read_file("/srv/b").as_deref(), Some("b"));
}

#[test]
fn ctrl_c_ends_the_run_and_writes_it_down() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    let mut run = team.start_gated();
    run.interrupt();
    wait_for("the word that it was understood", || run.output().contains("finishing running steps"));
    assert!(!run.has_ended());
    team.go();
    let ended = run.end().expect(4);
    assert!(ended.stdout.contains("Interrupted: 2 steps done, 1 not started"), "{}", ended.stdout);
    let listed = team.other(&["state", "list"]).ok().stdout;
    assert!(listed.contains("file.a") && !listed.contains("file.b"), "{listed}");
}

#[test]
fn a_run_whose_line_is_cut_stops_and_loses_nothing() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    let run = team.start_gated();
    team.site.host(1).kill_connections();
    team.expect_lost(run);
    let applied = team.other(&["apply", "--yes"]).ok();
    assert_eq!(team.site.host(0).read_file("/srv/b").as_deref(), Some("b"), "{}", applied.stdout);
    team.site.expect_no_op();
}

#[test]
fn a_machine_that_is_gone_is_noticed() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    let run = team.start_gated();
    team.site.host(1).unplug();
    team.expect_lost(run);
    let plan = team.other(&["plan"]).expect(1);
    assert!(format!("{}{}", plan.stdout, plan.stderr).contains(PLACE), "{}{}", plan.stdout, plan.stderr);
    team.site.host(1).plug();
    // The shell there still waits for a client that will never speak again.
    team.site.host(1).kill_connections();
    team.other(&["apply", "--yes"]).ok();
    team.site.expect_no_op();
}

#[test]
fn a_full_disk_there_is_said() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    let at = "/var/lib/coxswain";
    team.site.host(1).exec(&format!("mkdir -p {at} && mount -t tmpfs -o size=160k none {at}")).ok();
    team.site.apply().ok();
    team.site.host(1).exec(&format!("dd if=/dev/zero of={at}/fill bs=1k count=256 || :")).ok();
    team.write(&TWO_FILES.replace("content = \"a\"", "content = \"new\""));
    let ended = team.site.apply();
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert_ne!(ended.code, 0, "{said}");
    assert!(said.contains("the disk is full; make room"), "{said}");
    assert_eq!(team.site.host(0).read_file("/srv/a").as_deref(), Some("a"), "no step began");
    team.site.host(1).exec(&format!("rm {at}/fill")).ok();
    team.site.apply().ok();
    team.site.expect_no_op();
}

#[test]
fn what_keeps_it_from_its_state_is_said() {
    let Some(team) = Team::start(TWO_FILES) else { return };
    let says = |args: &[&str], expected: &str| {
        let ran = team.site.run(args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, 1, "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
        // Nothing may be taken for an empty state.
        assert!(!said.contains("to create"), "{said}");
    };
    team.write_at("ssh://nobody-here@h1/x", TWO_FILES);
    says(&["plan"], "Permission denied");
    team.write_at("ssh://root@h1:2/x", TWO_FILES);
    says(&["state", "list"], "Connection refused");
    team.write_at("ssh://root@h1/etc/passwd/x", TWO_FILES);
    says(&["plan"], "Not a directory");
    team.write(TWO_FILES);
    team.site.host(1).exec("mv /usr/bin/flock /usr/bin/flock.away").ok();
    says(&["plan"], "lacks programs that keep a state: flock");
    team.site.host(1).exec("mv /usr/bin/flock.away /usr/bin/flock").ok();
    team.site.host(1).change_host_key();
    says(&["plan"], "Host key verification failed");
    // A configuration that does not say where its state is must not be taken for one that keeps it here.
    team.site.project.write("main.hcl", "coxswain {\n  state = { backend = \"ssh\" }\n}\n");
    says(&["state", "list"], "main.hcl:2: the backend `ssh` needs a `url`");
}
