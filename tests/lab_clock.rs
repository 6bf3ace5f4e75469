//! Clocks that are far off: what a plan says of them, that apply sets them, and that what was written meanwhile is
//! neither taken for newer nor for older than it is.

mod support;

use support::machines::{Machines, Tier};
use support::site::wait_for;

/// The clock of a guest and that of this machine, in seconds apart.
fn apart(machines: &Machines) -> u64 {
    let theirs = machines.at("nfs", "date +%s").ok().stdout.trim().parse::<u64>().expect("a time");
    let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    ours.abs_diff(theirs)
}

/// Chrony with a source that is asked like this, and a unit that restarts with its file.
fn write(machines: &Machines, polled: &str) {
    machines.write(&format!(
        r#"
chrony "nfs" {{
  host               = host.nfs
  servers            = [{{ address = "172.20.10.1", iburst = true{polled} }}]
  default_sources    = false
  makestep           = {{ threshold = 0.1, limit = 3 }}
  synchronised       = true
  synchronise_within = 50
}}
file "conf" {{
  host    = host.nfs
  path    = "/etc/reader.conf"
  content = "x\n"
}}
file "unit" {{
  host    = host.nfs
  path    = "/etc/systemd/system/reader.service"
  content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
}}
systemd_unit "reader" {{
  host       = host.nfs
  name       = "reader.service"
  state      = "running"
  enabled    = true
  restart_on = [file.conf, file.unit]
}}
"#
    ));
}

#[test]
fn a_clock_that_is_years_ahead_is_set_as_chronyd_starts() {
    let Some(machines) = Machines::up(Tier::Full, &["nfs"]) else { return };
    write(&machines, "");
    machines.at("nfs", "date -s '2031-05-05 10:00'").ok();
    let plan = machines.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("synchronised: false -> true"), "{}", plan.stdout);
    machines.apply().ok();
    assert!(apart(&machines) < 10);
    machines.expect_no_op();
    assert_eq!(machines.drifted(), Vec::<String>::new());
    // Files of a time to come are not newer than a process of today, nor than a chronyd that forgot what it read.
    machines.at("nfs", "touch -d '2031-05-05 10:00' /etc/reader.conf; rm /run/coxswain-chrony").ok();
    machines.expect_no_op();

    // Somebody sets it while chronyd asks once a minute: apply does not wait for that.
    machines.at("nfs", "date -s '2020-01-01 10:00'").ok();
    wait_for("chronyd to notice", || machines.drifted() == ["chrony.nfs.synchronised"]);
    machines.apply().ok();
    assert!(apart(&machines) < 10);
    machines.expect_no_op();
}

#[test]
fn a_clock_that_is_years_behind_is_set_under_a_running_chronyd() {
    let Some(machines) = Machines::up(Tier::Full, &["nfs"]) else { return };
    write(&machines, ", minpoll = 0, maxpoll = 0");
    machines.apply().ok();
    machines.expect_no_op();
    // chronyd sets the clock with its first three answers, and has had them.
    machines
        .at(
            "nfs",
            "last() { chronyc -c tracking | cut -d, -f4; }
             for i in 1 2 3 4; do r=$(last); until [ \"$(last)\" != \"$r\" ]; do sleep 0.2; done; done
             date -s '2020-01-01 10:00'",
        )
        .ok();
    let wrong = "set the clock at once, which is wrong by 2";
    wait_for("the answers", || machines.run(&["plan"]).stdout.contains(wrong));
    assert!(apart(&machines) > 100_000_000, "nobody but apply sets it");
    let plan = machines.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains(&format!("cannot be taken back: {wrong}")), "{}", plan.stdout);
    machines.apply().ok();
    assert!(apart(&machines) < 10);
    machines.expect_no_op();
    assert_eq!(machines.drifted(), Vec::<String>::new());
}
