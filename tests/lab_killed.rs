//! Runs that are killed, with what they started on a real machine, at the moment between a daemon's configuration and
//! its restart, and just after a reboot was ordered: the next plan says what is left, the next apply does it, once.

mod support;

use support::machines::{Machines, Tier};
use support::site::wait_for;

/// Applies, and kills the run and what it runs on the host at the moment when it calls systemctl with these words. What
/// systemctl does then does not happen.
#[track_caller]
fn kill_at(machines: &Machines, words: &str) {
    let stop = format!(
        "cat >/usr/sbin/systemctl <<'E'
#!/bin/sh
case \"$*\" in
'{words}') echo $PPID $$ >/tmp/reached.new; mv /tmp/reached.new /tmp/reached; exec sleep infinity ;;
esac
exec /usr/bin/systemctl \"$@\"
E
chmod +x /usr/sbin/systemctl"
    );
    machines.at("nfs", &stop).ok();
    let mut run = machines.spawn(&["apply", "--yes"]);
    wait_for(words, || {
        assert!(!run.has_ended(), "it ended without `systemctl {words}`:\n{}", run.output());
        machines.at("nfs", "test -e /tmp/reached").code == 0
    });
    run.kill();
    machines.at("nfs", "kill -9 $(cat /tmp/reached); rm /tmp/reached /usr/sbin/systemctl").ok();
}

/// The plan has one change, and says this of it.
#[track_caller]
fn planned(machines: &Machines, text: &str) {
    let plan = machines.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains(text), "there is no `{text}`:\n{}", plan.stdout);
}

/// Nothing of a killed run is left on the host.
#[track_caller]
fn nothing_left(machines: &Machines) {
    let left = machines
        .at("nfs", "find /etc /var/lib -name '*.coxswain*' -o -name 'coxswain-guard*' -o -path '/var/lib/coxswain/guard'")
        .ok();
    assert_eq!(left.stdout, "");
}

#[test]
fn chrony_that_was_not_restarted_is_restarted() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs"]) else { return };
    let server = |more: &str| {
        machines.write(&format!(
            "chrony \"nfs\" {{\n  host = host.nfs\n  servers = [\"172.20.10.1\"]\n  default_sources = false\n{more}}}\n"
        ));
    };
    // What chronyd asks, not what is written down.
    let asks = || machines.at("nfs", "chronyc -n sources | grep -c ' 172.20.10.1 '").stdout.trim() == "1";
    server("");
    kill_at(&machines, "restart chrony.service");
    assert!(!asks());
    planned(&machines, "loaded: false -> true");
    planned(&machines, "restart chrony, which does not run with its configuration");
    machines.apply().ok();
    machines.expect_no_op();
    assert!(asks());
    nothing_left(&machines);

    // A second time, where another configuration of ours is loaded.
    server("  maxupdateskew = 5\n");
    kill_at(&machines, "restart chrony.service");
    planned(&machines, "loaded: false -> true");
    // A reboot starts it with what is there.
    let boot = machines.at("nfs", "cat /proc/sys/kernel/random/boot_id").ok().stdout;
    machines.at("nfs", "systemctl reboot");
    wait_for("another boot", || {
        let now = machines.at("nfs", "cat /proc/sys/kernel/random/boot_id");
        now.code == 0 && now.stdout != boot
    });
    wait_for("chronyd", || machines.at("nfs", "systemctl is-active chrony").code == 0);
    machines.apply().ok();
    machines.expect_no_op();
}

#[test]
fn sshd_that_was_not_reloaded_is_reloaded() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs"]) else { return };
    let config = |guard: u32, passwords: bool| {
        machines.write(&format!(
            "sshd \"nfs\" {{\n  host = host.nfs\n  password_authentication = {passwords}\n  guard = {guard}\n}}\n"
        ));
    };
    // What sshd offers, not what is written down.
    let offers = || {
        machines
            .at("nfs", "ssh -o PreferredAuthentications=none -o StrictHostKeyChecking=no root@localhost 2>&1")
            .stdout
            .contains("password")
    };
    config(600, true);
    machines.apply().ok();
    assert!(offers());

    // The host does not take it back: its guard went with the run.
    config(600, false);
    kill_at(&machines, "reload-or-restart ssh.service");
    machines
        .at(
            "nfs",
            "systemctl stop coxswain-guard && rm -r /var/lib/coxswain/guard \
             /etc/systemd/system/coxswain-guard.service /etc/systemd/system/*/coxswain-guard.service",
        )
        .ok();
    assert!(offers());
    planned(&machines, "loaded: false -> true");
    planned(&machines, "have sshd read its configuration");
    machines.apply().ok();
    machines.expect_no_op();
    assert!(!offers());
    nothing_left(&machines);

    // It does: the former configuration is loaded, and the plan has the change again.
    config(10, true);
    kill_at(&machines, "reload-or-restart ssh.service");
    // It waits for the guard.
    planned(&machines, "password_authentication: false -> true");
    assert!(!offers());
    machines.apply().ok();
    machines.expect_no_op();
    assert!(offers());
    nothing_left(&machines);
}

#[test]
fn a_unit_that_was_not_restarted_after_its_file_is_restarted() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs"]) else { return };
    let config = |content: &str| {
        machines.write(&format!(
            r#"
file "unit" {{
  host    = host.nfs
  path    = "/etc/systemd/system/reader.service"
  content = "[Service]\nExecStart=/bin/sh -c 'cp /etc/reader.conf /run/reader; exec sleep infinity'\n"
}}
file "conf" {{
  host    = host.nfs
  path    = "/etc/reader.conf"
  content = "{content}\n"
}}
systemd_unit "reader" {{
  host       = host.nfs
  name       = "reader.service"
  state      = "running"
  restart_on = [file.unit, file.conf]
}}
"#
        ));
    };
    let started = "date -d \"$(systemctl show -p ExecMainStartTimestamp --value reader)\" +%s";
    config("first");
    machines.apply().ok();
    machines.expect_no_op();
    // Files and processes are compared by the second.
    wait_for("the next second", || {
        machines.at("nfs", &format!("[ $(date +%s) -gt $({started}) ]")).code == 0
    });
    config("second");
    kill_at(&machines, "restart -- reader.service");
    assert_eq!(machines.at("nfs", "cat /etc/reader.conf /run/reader").ok().stdout, "second\nfirst\n");
    planned(&machines, "file.conf is newer than what runs");
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(machines.at("nfs", "cat /run/reader").ok().stdout, "second\n");
}

#[test]
fn a_timer_whose_units_were_written_is_started() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs"]) else { return };
    let config = |hour: u32| {
        machines.write(&format!(
            "systemd_timer \"tick\" {{\n  host = host.nfs\n  name = \"tick\"\n  command = [\"/bin/true\"]\n  \
             calendar = \"*-*-* {hour:02}:00:00\"\n}}\n"
        ));
    };
    // What systemd waits for, not what is written down.
    let waits = |hour: u32| {
        let text = machines.at("nfs", "systemctl show -p TimersCalendar tick.timer").stdout;
        text.contains(&format!("OnCalendar=*-*-* {hour:02}:00:00"))
            && machines.at("nfs", "systemctl is-active tick.timer && systemctl is-enabled tick.timer").code
                == 0
    };
    for (hour, words) in
        [(3, "daemon-reload"), (4, "daemon-reload"), (5, "enable tick.timer"), (6, "restart tick.timer")]
    {
        config(hour);
        kill_at(&machines, words);
        let written = machines.at("nfs", "cat /etc/systemd/system/tick.timer").ok().stdout;
        assert!(written.contains(&format!("{hour:02}:00:00")), "it was killed too early: {written}");
        machines.run(&["plan"]).expect(2);
        machines.apply().ok();
        assert!(waits(hour), "killed at {words}");
        machines.expect_no_op();
        nothing_left(&machines);
    }
}

#[test]
fn a_reboot_that_was_ordered_is_not_ordered_again() {
    let Some(machines) = Machines::up(Tier::Full, &["nfs"]) else { return };
    // The lists of an empty repository, a need of a reboot, and a line for each boot.
    machines
        .at(
            "nfs",
            "set -e; mkdir -p /repo; : >/repo/Packages; rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
             echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list.d/lab.list; apt-get -qq update
             cat >/etc/systemd/system/boots.service <<'E'
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'cat /proc/sys/kernel/random/boot_id >>/var/boots'
[Install]
WantedBy=multi-user.target
E
             systemctl -q enable boots.service
             cat >/usr/sbin/systemd-run <<'E'
#!/bin/sh
/usr/bin/systemd-run \"$@\" && : >/var/ordered && sync /var/ordered
exec sleep infinity
E
             chmod +x /usr/sbin/systemd-run
             touch /run/reboot-required",
        )
        .ok();
    machines.write("system_upgrade \"nfs\" {\n  host = host.nfs\n  reboot = \"when_required\"\n}\n");
    planned(&machines, "reboot");
    let mut run = machines.spawn(&["apply", "--yes"]);
    wait_for("the order", || machines.at("nfs", "test -e /var/ordered").code == 0);
    assert!(!run.has_ended(), "{}", run.output());
    run.kill();
    // Somebody tries again at once, while the host is still up, or goes down.
    let again = machines.apply();
    assert!(matches!(again.code, 0 | 1 | 4), "{}\n{}", again.stdout, again.stderr);
    wait_for("the boot", || machines.at("nfs", "test -e /var/boots").code == 0);
    machines.at("nfs", "rm /usr/sbin/systemd-run /var/ordered").ok();
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(machines.at("nfs", "cat /var/boots").ok().stdout.lines().count(), 1);
}
