//! Ctrl-C while a step runs on a host: once finishes what runs, twice stops waiting for it.

mod support;

use support::site::{Running, Site, temporary_files, wait_for};

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

/// A run whose first step waits for the pipe `/run/gate`.
fn start() -> Option<(Site, Running)> {
    let site = Site::start(1)?;
    site.write("");
    site.apply().ok();
    site.write(TWO_FILES);
    let run = site.spawn_gated();
    Some((site, run))
}

#[test]
fn ctrl_c_once_finishes_the_step_and_starts_no_other() {
    let Some((site, mut run)) = start() else { return };
    run.interrupt();
    wait_for("the word that it was understood", || run.output().contains("finishing running steps"));
    assert!(!run.has_ended(), "it waits for the step");
    site.host(0).exec("echo go >/run/gate").ok();
    let ended = run.end().expect(4);
    assert!(ended.stdout.contains("Interrupted: 1 step done, 1 not started"), "{}", ended.stdout);
    assert_eq!(site.host(0).read_file("/srv/a").as_deref(), Some("a"));
    assert!(!site.host(0).has("/srv/b"));
    let applied = site.apply().ok();
    assert!(applied.stdout.contains("1 step done"), "{}", applied.stdout);
    site.expect_no_op();
}

#[test]
fn ctrl_c_twice_does_not_wait() {
    let Some((site, mut run)) = start() else { return };
    run.interrupt();
    wait_for("the word that it was understood", || run.output().contains("finishing running steps"));
    run.interrupt();
    wait_for("the end of the run", || run.has_ended());
    let ended = run.end().expect(4);
    assert!(ended.stdout.contains("Interrupted"), "{}", ended.stdout);
    site.host(0).exec("timeout 10 bash -c 'echo go >/run/gate' || :").ok();
    wait_for("the end of the step's shell", || site.host(0).exec("pgrep -x sh").code != 0);
    site.apply().ok();
    assert_eq!(site.host(0).read_file("/srv/b").as_deref(), Some("b"));
    assert_eq!(temporary_files(site.host(0)), "");
    site.expect_no_op();
}
