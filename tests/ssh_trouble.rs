//! Hosts that fail: down, replaced by another machine, cut off in the middle of things.

mod support;

use support::site::{Site, temporary_files, wait_for};
use support::sshlab::Host;

/// Some megabytes, so that sending them takes a while.
const LONG: usize = 6 << 20;

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
    host.exec("mv /usr/bin/base64 /usr/bin/base64.real; mkfifo /run/gate").ok();
    host.write_file(
        "/usr/bin/base64",
        "#!/bin/bash\nmv -f /usr/bin/base64.real /usr/bin/base64\nbase64 -d >/run/whole\nhead -c 1000000 /run/whole\n\
         read -r line </run/gate\ntail -c +1000001 /run/whole\n",
    );
    host.exec("chmod 0755 /usr/bin/base64").ok();
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

#[test]
fn a_connection_that_dies_between_two_steps_is_made_again() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    // Every step of one host waits for the one before; the first of these waits for a pipe that the test opens.
    site.write(
        "user \"u\" {\n  host = host.h0\n  name = \"fresh\"\n}\n\
         file \"b\" {\n  host = host.h0\n  path = \"/srv/b\"\n  content = \"b\"\n  depends_on = [user.u]\n}\n\
         file \"c\" {\n  host = host.h0\n  path = \"/srv/c\"\n  content = \"c\"\n  depends_on = [file.b]\n}\n",
    );
    // The program that makes the account ends, and takes every connection with it a moment later.
    let break_after = "#!/bin/bash\n/usr/sbin/useradd.real \"$@\" || exit\n\
        listener=$(cat /run/sshd.pid)\n\
        (trap '' HUP; exec >/dev/null 2>&1 </dev/null; for p in $(pgrep sshd); do [ $p = $listener ] || kill -9 $p; done) &\n";
    host.exec("mv /usr/sbin/useradd /usr/sbin/useradd.real").ok();
    host.write_file("/usr/sbin/useradd", break_after);
    host.exec("chmod 0755 /usr/sbin/useradd").ok();
    let ended = site.apply();
    let said = ended.stdout.clone() + &ended.stderr;
    assert!([0, 4].contains(&ended.code), "{said}");
    if ended.code == 4 {
        assert!(said.contains("broke") || said.contains("cannot be reached"), "{said}");
    }
    site.apply().ok();
    for file in ["b", "c"] {
        assert_eq!(host.read_file(&format!("/srv/{file}")).as_deref(), Some(file));
    }
    assert_eq!(host.exec("grep -c ^fresh: /etc/passwd").ok().stdout, "1\n");
    site.expect_no_op();
}
