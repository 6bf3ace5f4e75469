//! Guards on real machines: runs that are killed, stopped, cut or slow in a step that changes the way to a host, and
//! what the next run, or another controller, makes of it.

mod support;

use support::machines::{Machines, Tier};
use support::site::wait_for;

fn up() -> Option<Machines> {
    Machines::up(Tier::Fast, &["nfs"])
}

/// A firewall whose set `web` has these rules, and a guard of so many seconds.
fn firewall(guard: u32, ports: &[u16]) -> String {
    let rules: Vec<String> =
        ports.iter().map(|port| format!("{{ port = {port}, protocol = \"tcp\" }}")).collect();
    format!(
        "firewall \"nfs\" {{ host = host.nfs }}\n\
         firewall_rules \"ssh\" {{\n  host = host.nfs\n  name = \"ssh\"\n  \
         rules = [{{ port = 22, protocol = \"tcp\" }}]\n}}\n\
         firewall_rules \"web\" {{\n  host = host.nfs\n  name = \"web\"\n  guard = {guard}\n  rules = [{}]\n}}\n",
        rules.join(", ")
    )
}

/// What ufw has written down.
fn tuples(machines: &Machines) -> String {
    machines.at("nfs", "grep -h tuple /etc/ufw/user.rules /etc/ufw/user6.rules").ok().stdout
}

/// Puts a script before the real ufw, which is then `ufw.real`. Its text may use `$*`.
fn instead_of_ufw(machines: &Machines, text: &str) {
    let script = format!(
        "[ -e /usr/sbin/ufw.real ] || mv /usr/sbin/ufw /usr/sbin/ufw.real
cat >/usr/sbin/ufw <<'E'
#!/bin/sh
{text}
exec /usr/sbin/ufw.real \"$@\"
E
chmod +x /usr/sbin/ufw"
    );
    machines.at("nfs", &script).ok();
}

/// Waits at the command for this port until the file /tmp/go is there; says with /tmp/reached that it got there.
fn stop_at(machines: &Machines, port: u16) {
    instead_of_ufw(
        machines,
        &format!(
            "case \"$*\" in *' {port} '*|*' {port}/'*) echo $PPID >/tmp/reached.new; mv /tmp/reached.new /tmp/reached
while [ ! -e /tmp/go ]; do sleep 0.1; done ;; esac"
        ),
    );
}

fn reached(machines: &Machines) {
    wait_for("ufw", || machines.at("nfs", "test -e /tmp/reached").code == 0);
}

/// Nothing of a guard is left on the host; who counted sees it within a second.
#[track_caller]
fn nothing_left(machines: &Machines) {
    let look = "find /etc /var/lib -name 'coxswain-guard*' -o -path '/var/lib/coxswain/guard'";
    assert_eq!(machines.at("nfs", look).stdout, "");
    wait_for("the end of who counts", || {
        machines.at("nfs", "systemctl is-active coxswain-guard").stdout.trim() == "inactive"
    });
}

#[test]
fn a_run_that_was_killed_is_repeated_at_once() {
    let Some(machines) = up() else { return };
    machines.write(&firewall(10, &[80]));
    machines.apply().ok();
    let before = tuples(&machines);
    machines.write(&firewall(10, &[80, 443, 8443]));
    stop_at(&machines, 8443);
    let mut run = machines.spawn(&["apply", "--yes"]);
    reached(&machines);
    run.kill();
    let half = tuples(&machines);
    assert_ne!(half, before, "443 is let in already");
    // What it was doing ends by itself; nobody confirms it.
    machines.at("nfs", "touch /tmp/go").ok();
    // The next run waits until the host has taken it back, so that this does not happen to its own change.
    let again = machines.apply().ok();
    assert!(again.stderr.contains("waiting until this is confirmed or taken back"), "{}", again.stderr);
    assert!(again.stderr.contains("firewall_rules.web#apply"), "{}", again.stderr);
    nothing_left(&machines);
    machines.expect_no_op();
    assert!(tuples(&machines).contains(" 8443 "));
}

#[test]
fn another_controller_waits_and_a_guard_that_nobody_counts_counts_again() {
    let Some(machines) = up() else { return };
    machines.write(&firewall(10, &[80]));
    machines.apply().ok();
    let before = tuples(&machines);
    machines.write(&firewall(10, &[80, 443]));
    stop_at(&machines, 443);
    let run = machines.spawn(&["apply", "--yes"]);
    reached(&machines);
    // As long as the host is at it, nobody else's plan is made of it, and the guard does not count.
    let mut other = machines.spawn(&["plan"]);
    other.wait_until_it_says("waiting until this is confirmed or taken back");
    machines.at("nfs", "sleep 12; test -e /var/lib/coxswain/guard/revert").ok();
    assert!(!other.has_ended());
    machines.at("nfs", "touch /tmp/go").ok();
    let (run, other) = (run.end(), other.end());
    assert_eq!(run.code, 0, "{}\n{}", run.stdout, run.stderr);
    assert!(!other.stdout.contains("443"), "the change was confirmed: {}", other.stdout);
    nothing_left(&machines);

    // Who counts is killed with the run.
    machines.at("nfs", "rm /tmp/go /tmp/reached").ok();
    let confirmed = tuples(&machines);
    assert_ne!(confirmed, before);
    machines.write(&firewall(10, &[80, 443, 9000]));
    stop_at(&machines, 9000);
    let mut run = machines.spawn(&["apply", "--yes"]);
    reached(&machines);
    run.kill();
    machines.at("nfs", "systemctl kill -s KILL coxswain-guard; touch /tmp/go").ok();
    wait_for("its end", || machines.at("nfs", "systemctl is-active coxswain-guard").code != 0);
    machines.write(&firewall(10, &[80, 443]));
    machines.apply().ok();
    assert_eq!(tuples(&machines), confirmed);
    machines.expect_no_op();
}

#[test]
fn a_guard_does_not_fire_in_a_row_that_takes_longer() {
    let Some(machines) = up() else { return };
    machines.write(&firewall(10, &[80]));
    machines.apply().ok();
    instead_of_ufw(&machines, "sleep 3");
    machines.write(&firewall(10, &[80, 81, 82, 83, 84, 85]));
    machines.apply().ok();
    nothing_left(&machines);
    instead_of_ufw(&machines, ":");
    machines.expect_no_op();
}

#[test]
fn a_row_that_was_cut_in_the_middle_is_not_confirmed() {
    let Some(machines) = up() else { return };
    machines.write(&firewall(60, &[80]));
    machines.apply().ok();
    let before = tuples(&machines);
    machines.write(&firewall(60, &[80, 443, 8443]));
    stop_at(&machines, 8443);
    let run = machines.spawn(&["apply", "--yes"]);
    reached(&machines);
    assert_ne!(tuples(&machines), before, "443 is let in already");
    // The shell of the row dies; a new connection works at once.
    let kill = "up() { cut -d' ' -f4 /proc/$1/stat; }
program=$(cat /tmp/reached); timeout=$(up $program); kill -9 $(up $timeout) $timeout $program; touch /tmp/go";
    machines.at("nfs", kill).ok();
    let ended = run.end();
    assert_eq!(ended.code, 4, "{}\n{}", ended.stdout, ended.stderr);
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(all.contains("broke before the step had ended, so the change was taken back"), "{all}");
    assert_eq!(tuples(&machines), before);
    nothing_left(&machines);
    machines.apply().ok();
    machines.expect_no_op();
}

/// sshd of the host at these ports.
fn sshd(ports: &str) -> String {
    format!("sshd \"nfs\" {{\n  host  = host.nfs\n  ports = {ports}\n  guard = 10\n}}\n")
}

/// Lets `ss` wait where this is so, until the file /tmp/go is there; /tmp/reached says that it waits.
fn stop_ss_where(machines: &Machines, condition: &str) {
    let script = format!(
        "mv /usr/bin/ss /usr/bin/ss.real
cat >/usr/bin/ss <<'E'
#!/bin/sh
if [ ! -e /tmp/go ] && {condition}; then : >/tmp/reached; while [ ! -e /tmp/go ]; do sleep 0.1; done; fi
exec /usr/bin/ss.real \"$@\"
E
chmod +x /usr/bin/ss"
    );
    machines.at("nfs", &script).ok();
}

#[test]
fn a_run_killed_before_it_noted_the_new_port_is_found_there() {
    let Some(machines) = up() else { return };
    machines.write(&sshd("[22]"));
    machines.apply().ok();
    // The look at what came of the change, once it is confirmed.
    let condition = "[ \"$1\" = -Hltnp ] && [ ! -e /var/lib/coxswain/guard ] && \
        ! /usr/bin/ss.real -Hltn | grep -q ':22 '";
    stop_ss_where(&machines, condition);
    machines.write(&sshd("[2222]"));
    let mut run = machines.spawn(&["apply", "--yes"]);
    wait_for("the confirmed change", || machines.inside("nfs", "test -e /tmp/reached").code == 0);
    run.kill();
    machines.inside("nfs", "touch /tmp/go").ok();
    assert_ne!(machines.at("nfs", "true").code, 0, "nobody answers at the old port");

    let plan = machines.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("an earlier run was interrupted"), "{}", plan.stdout);
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(machines.drifted(), Vec::<String>::new());
}

#[test]
fn a_run_killed_while_the_old_port_is_closed_is_found_where_the_guard_puts_it() {
    let Some(machines) = up() else { return };
    machines.write(&sshd("[22]"));
    machines.apply().ok();
    // sshd listens at the new port alone, and whoever closed the old one has not ended.
    stop_ss_where(&machines, "[ \"$1\" = -Hltnpe ] && ! /usr/bin/ss.real -Hltn | grep -q ':22 '");
    machines.write(&sshd("[2222]"));
    let mut run = machines.spawn(&["apply", "--yes"]);
    wait_for("the closed port", || machines.inside("nfs", "test -e /tmp/reached").code == 0);
    run.kill();
    // It is found at the new port at once, and the plan says for what it waits.
    let mut plan = machines.spawn(&["plan"]);
    plan.wait_until_it_says("waiting until this is confirmed or taken back");
    machines.inside("nfs", "touch /tmp/go").ok();
    let plan = plan.end();
    assert_eq!(plan.code, 2, "{}\n{}", plan.stdout, plan.stderr);
    assert!(plan.stdout.contains("listen no more on 22"), "{}", plan.stdout);
    machines.at("nfs", "true").ok();
    machines.apply().ok();
    machines.expect_no_op();
}

#[test]
fn a_change_that_cuts_the_way_to_a_host_behind_is_taken_back() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs", "worker"]) else { return };
    let hosts = "host \"nfs\" {\n  address = \"172.20.10.10\"\n  user    = \"root\"\n}\n\
        host \"worker\" {\n  address = \"172.20.10.12\"\n  user    = \"root\"\n  jump    = \"root@172.20.10.10\"\n}\n\
        timezone \"worker\" {\n  host = host.worker\n  name = \"Europe/Berlin\"\n}\n";
    let with = |forwarding: &str| {
        let sshd = format!("  host  = host.nfs\n  allow_tcp_forwarding = \"{forwarding}\"\n  guard = 10\n");
        machines.project.write("main.hcl", format!("{hosts}sshd \"nfs\" {{\n{sshd}}}\n"));
    };
    with("local");
    machines.apply().ok();
    machines.expect_no_op();
    with("no");
    let refused = machines.apply().expect(4);
    let said = "host.worker, the way to which leads through host.nfs, is not reached any more, so the change was taken back";
    assert!(refused.stdout.contains(said), "{}\n{}", refused.stdout, refused.stderr);
    nothing_left(&machines);
    with("local");
    machines.apply().ok();
    machines.expect_no_op();
}
