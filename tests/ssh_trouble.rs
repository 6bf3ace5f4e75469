//! Hosts that fail: down, replaced by another machine, cut off in the middle of things.

mod support;

use support::site::{Site, temporary_files, wait_for};
use support::sshlab::Host;

/// Some megabytes, so that sending them takes a while.
const LONG: usize = 3 << 20;

const LONG_FILE: &str =
    "file \"long\" {\n  host = host.h0\n  path = \"/srv/long\"\n  source = \"long.txt\"\n}\n";

/// A host with an old file, and a configuration with a new and long one. Both contents.
fn with_long_file() -> Option<(Site, String, String)> {
    let site = Site::start(1)?;
    let (old, new) = ("old\n".repeat(1000), format!("{}\n", "n".repeat(63)).repeat(LONG / 64));
    site.project.write("long.txt", &old);
    site.write(LONG_FILE);
    site.apply().ok();
    site.project.write("long.txt", &new);
    Some((site, old, new))
}

/// Not with `assert_eq`, which would print megabytes.
#[track_caller]
fn check_content(host: &Host, content: &str) {
    let found = host.read_file("/srv/long").unwrap_or_default();
    assert!(found == content, "{} bytes, {:?} …", found.len(), found.get(..20));
}

#[test]
fn a_host_that_is_down_is_unknown_and_the_rest_goes_on() {
    let Some(site) = Site::start(2) else { return };
    let text = |content: &str| {
        ["h0", "h1"]
            .map(|host| {
                format!("file \"{host}\" {{\n  host = host.{host}\n  path = \"/etc/motd\"\n  content = \"{content}\"\n}}\n")
            })
            .concat()
    };
    site.write(&text("one\\n"));
    site.apply().ok();
    site.host(1).stop();
    site.write(&text("two\\n"));

    let planned = site.plan().expect(1);
    assert!(planned.stdout.contains("host.h1 cannot be reached: "), "{}", planned.stdout);
    assert!(
        planned.stdout.contains("2 instances planned as nothing: file.h1, host.h1"),
        "{}",
        planned.stdout
    );
    assert!(planned.stdout.contains("~ file.h0"), "{}", planned.stdout);
    assert!(!planned.stdout.contains("~ file.h1"), "{}", planned.stdout);
    assert!(planned.stderr.contains("--allow-unreachable"), "{}", planned.stderr);
    let (code, document) = site.document(&["plan"]);
    assert_eq!(code, 1);
    assert_eq!(document["unreadable"][0]["endpoint"], "host.h1");
    assert_eq!(document["unreadable"][0]["instances"], serde_json::json!(["file.h1", "host.h1"]));

    site.apply().expect(1);
    assert_eq!(site.host(0).read_file("/etc/motd").as_deref(), Some("one\n"), "nothing was begun");
    let applied = site.run(&["apply", "--yes", "--allow-unreachable"]).ok();
    assert!(applied.stdout.contains("1 step done"), "{}", applied.stdout);
    assert_eq!(site.host(0).read_file("/etc/motd").as_deref(), Some("two\n"));
    assert_eq!(site.host(1).read_file("/etc/motd").as_deref(), Some("one\n"));
    let drift = site.drift().expect(1);
    assert!(drift.stdout.contains("2 instances not compared: file.h1, host.h1"), "{}", drift.stdout);

    site.host(1).start();
    site.apply().ok();
    assert_eq!(site.host(1).read_file("/etc/motd").as_deref(), Some("two\n"));
    site.expect_no_op();
}

#[test]
fn a_host_that_answers_nothing_is_given_up_in_time() {
    let Some(site) = Site::start(1) else { return };
    let text =
        format!("host \"h0\" {{\n  address = \"{}\"\n  connect_timeout = 1\n}}\n", site.host(0).address);
    site.project.write("main.hcl", text);
    site.host(0).unplug();
    let planned = site.plan().expect(1);
    assert!(planned.stdout.contains("host.h0 cannot be reached: "), "{}", planned.stdout);
    site.host(0).plug();
    site.plan().expect(2);
}

#[test]
fn another_machine_at_the_address_is_an_error() {
    let Some(site) = Site::start(1) else { return };
    let text = "file \"a\" {\n  host = host.h0\n  path = \"/srv/a\"\n  content = \"mine\\n\"\n}\n";
    site.write(text);
    site.apply().ok();
    let old = site.host(0).machine_id();
    site.host(0).replace_machine();
    let new = site.host(0).machine_id();

    for args in [
        &["plan"][..],
        &["apply", "--yes"],
        &["apply", "--yes", "--allow-unreachable"],
        &["plan", "--destroy"],
    ] {
        let ran = site.run(args).expect(1);
        let said = ran.stdout + &ran.stderr;
        assert!(
            said.contains("another machine answers") && said.contains(&old) && said.contains(&new),
            "{said}"
        );
        assert!(!said.contains("+ file.a"), "{said}");
    }
    let drift = site.drift().expect(1);
    assert!(drift.stdout.contains("another machine answers"), "{}", drift.stdout);
    assert!(!drift.stdout.contains("not there any more"), "{}", drift.stdout);
    assert!(!site.host(0).has("/srv/a"), "nothing was written to it");

    // The way that the message names.
    site.run(&["state", "rm", "file.a"]).ok();
    site.run(&["state", "rm", "host.h0"]).ok();
    site.apply().ok();
    assert_eq!(site.host(0).read_file("/srv/a").as_deref(), Some("mine\n"));
}

#[test]
fn a_connection_that_dies_while_a_file_is_sent_leaves_the_old_one() {
    let Some((site, old, new)) = with_long_file() else { return };
    let host = site.host(0);
    site.lab.limit_rate(0, "20mbit");
    let run = site.spawn(&["apply", "--yes"]);
    let received = || -> u64 {
        let ran = host.exec("cat /sys/class/net/eth0/statistics/rx_bytes");
        ran.stdout.trim().parse().unwrap_or(0)
    };
    let before = received();
    wait_for("the upload", || received() > before + LONG as u64 / 4);
    host.kill_connections();
    let ended = run.end().expect(4);
    let said = ended.stdout + &ended.stderr;
    assert!(said.contains("file.long#apply") && said.contains("the connection to host.h0 broke"), "{said}");
    check_content(host, &old);
    assert_eq!(temporary_files(host), "", "a script that did not arrive whole is not begun");

    site.apply().ok();
    check_content(host, &new);
    assert_eq!(temporary_files(host), "");
    site.expect_no_op();
}

/// The next content stops half-way through until the pipe `/run/gate` is opened; those after it do not.
fn stop_half_way(host: &Host) {
    host.exec("mkfifo /run/gate").ok();
    host.wrap(
        "/usr/bin/base64",
        "[ \"$1\" = -d ] || exec $0.real \"$@\"\nmv -f $0.real $0\n\
         base64 -d >/run/whole\nhead -c 1000000 /run/whole\nread -r line </run/gate\ntail -c +1000001 /run/whole\n",
    );
}

#[test]
fn a_connection_that_dies_while_a_file_is_written_leaves_the_old_one() {
    let Some((site, old, new)) = with_long_file() else { return };
    let host = site.host(0);
    stop_half_way(host);
    let run = site.spawn(&["apply", "--yes"]);
    let temporary = || temporary_files(host).trim().to_owned();
    wait_for("the temporary file", || host.exec("stat -c %s /srv/.long.coxswain-*").stdout == "1000000\n");
    host.kill_connections();
    let ended = run.end().expect(4);
    let said = ended.stdout + &ended.stderr;
    assert!(said.contains("the connection to host.h0 broke"), "{said}");
    check_content(host, &old);
    assert!(!temporary().is_empty(), "the shell of the dead connection is still at it");

    // While it is: its temporary file goes, and when it goes on it finds nothing to put in place.
    site.apply().ok();
    check_content(host, &new);
    assert_eq!(temporary(), "");
    host.exec("echo go >/run/gate").ok();
    wait_for("the end of the old shell", || host.exec("pgrep -x base64 || pgrep -x sh").code != 0);
    check_content(host, &new);
    assert_eq!(temporary(), "");
    site.expect_no_op();
}

/// Kills the shell in the middle of writing the file, and what it had started; its temporary file is left.
#[track_caller]
fn kill_shell_half_way(site: &Site) {
    let host = site.host(0);
    stop_half_way(host);
    let run = site.spawn(&["apply", "--yes"]);
    wait_for("the temporary file", || host.exec("stat -c %s /srv/.long.coxswain-*").stdout == "1000000\n");
    host.exec("pkill -9 -x sh; pkill -9 -x base64").ok();
    run.end().expect(4);
    assert!(!temporary_files(host).is_empty(), "nobody was left to remove it");
}

#[test]
fn a_shell_that_is_killed_while_a_file_is_written_leaves_nothing_for_long() {
    let Some((site, old, new)) = with_long_file() else { return };
    kill_shell_half_way(&site);
    check_content(site.host(0), &old);
    site.apply().ok();
    check_content(site.host(0), &new);
    assert_eq!(temporary_files(site.host(0)), "");
    site.expect_no_op();
}

#[test]
fn a_file_that_was_never_made_and_is_not_wanted_any_more_leaves_nothing() {
    let Some(site) = Site::start(1) else { return };
    site.project.write("long.txt", "n".repeat(2_000_000));
    site.write(LONG_FILE);
    kill_shell_half_way(&site);
    site.write("");
    site.apply().ok();
    assert!(!site.host(0).has("/srv/long"));
    assert_eq!(temporary_files(site.host(0)), "");
    assert_eq!(site.run(&["state", "list"]).ok().stdout, "host.h0\n");
}

/// Every step waits for the one before.
const THREE_STEPS: &str = r#"
user "a" {
  host = host.h0
  name = "fresh"
}
file "b" {
  host       = host.h0
  path       = "/srv/b"
  content    = "b"
  depends_on = [user.a]
}
file "c" {
  host       = host.h0
  path       = "/srv/c"
  content    = "c"
  depends_on = [file.b]
}
"#;

/// For a script: ends every connection, the one it runs in among them.
const CUT: &str = "trap '' HUP PIPE TERM\nlistener=$(cat /run/sshd.pid)\nfor p in $(pgrep sshd); do [ $p = $listener ] || kill -9 $p; done\n";

#[track_caller]
fn check_three_steps(site: &Site) {
    for file in ["b", "c"] {
        assert_eq!(site.host(0).read_file(&format!("/srv/{file}")).as_deref(), Some(file));
    }
    assert_eq!(site.host(0).exec("grep -c ^fresh: /etc/passwd").ok().stdout, "1\n");
    assert_eq!(temporary_files(site.host(0)), "");
    site.expect_no_op();
}

#[test]
fn a_connection_that_dies_between_two_steps_is_made_again() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    site.write(THREE_STEPS);
    // Dies in the read before the second step, once the first has been done.
    host.wrap("/usr/sbin/useradd", "touch /run/armed\nexec $0.real \"$@\"\n");
    let stat = format!(
        "case $* in */srv/b) if rm /run/armed 2>/dev/null; then {CUT}fi ;; esac\nexec $0.real \"$@\"\n"
    );
    host.wrap("/usr/bin/stat", &stat);
    let applied = site.apply().ok();
    assert!(applied.stdout.contains("4 steps done"), "{}", applied.stdout);
    assert_eq!(host.connections_count(), 2, "one died, one was made");
    check_three_steps(&site);
}

#[test]
fn a_connection_that_dies_in_a_step_fails_it_and_is_made_again_by_the_next_run() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    site.write(THREE_STEPS);
    host.wrap("/usr/sbin/useradd", &format!("$0.real \"$@\" || exit\n{CUT}"));
    let ended = site.apply().expect(4);
    assert!(ended.stdout.contains("user.a#apply  the connection to host.h0 broke"), "{}", ended.stdout);
    assert!(ended.stdout.contains("Not started"), "{}", ended.stdout);
    assert!(!host.has("/srv/b") && !host.has("/srv/c"), "what needs it did not start");
    site.apply().ok();
    check_three_steps(&site);
}
