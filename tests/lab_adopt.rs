//! What `adopt` writes of a real machine: a plan of it changes nothing, the next plan is empty, and destroy leaves the
//! machine as it was.

mod support;

use support::machines::{Machines, Tier};

/// Things that people do to machines by hand.
const BY_HAND: &str = r#"
useradd -m -u 1500 -s /bin/bash -c "Ada \"L.\"" -G sudo ada
groupadd -g 2000 eth
printf 'vm.swappiness = 10\n-net.ipv4.conf.all.rp_filter=1\n# a=b\n' >/etc/sysctl.d/60-mine.conf
printf 'net.ipv4.tcp_syncookies=1\n' >>/etc/sysctl.conf
printf '[Service]\nExecStart=/bin/sleep inf\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/mine.service
systemctl daemon-reload
systemctl enable --now mine
printf 'a ${x} %%{y}\n\tb\nEOT\n' >/etc/odd
timedatectl set-timezone Europe/Berlin
sed -i 's/^maxupdateskew.*/maxupdateskew 5.5/' /etc/chrony/chrony.conf
while [ "$(date +%s)" -le "$(stat -c %Z /etc/chrony/chrony.conf)" ]; do sleep 0.1; done
systemctl restart chrony
"#;

/// Everything below /etc and /home, and what runs.
const LOOK: &str = "find /etc /home -xdev -type f | sort | xargs sha256sum; \
    find /etc /home -xdev | sort | xargs stat -c '%n %U %G %a %F'; \
    systemctl is-active mine ssh ufw chrony; systemctl show -p ExecMainPID chrony; systemctl is-enabled mine; apt-mark showmanual; \
    cat /proc/sys/vm/swappiness /proc/sys/net/ipv4/tcp_syncookies; timedatectl show -p Timezone; ufw status";

#[test]
fn a_machine_set_up_by_hand() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs"]) else { return };
    machines.at("nfs", BY_HAND).ok();
    let before = machines.at("nfs", LOOK).stdout;
    machines.write("");
    let paths = ["--path", "/etc/odd", "--path", "/etc/exports", "--path", "/etc/shadow", "--path", "/srv"];
    let adopted = machines.run(&[&["adopt", "host.nfs"][..], &paths].concat()).ok();
    for expected in [
        "user \"ada\" {",
        "comment = \"Ada \\\"L.\\\"\"",
        "group \"eth\" {",
        "systemd_unit \"mine_service\" {",
        "sysctl \"vm_swappiness\" {",
        "sysctl \"net_ipv4_tcp_syncookies\" {",
        "name = \"Europe/Berlin\"",
        "to = chrony.nfs",
        "maxupdateskew   = 5.5",
        "    \"chrony\",",
        "a $${x} %%{y}\n\tb\nEOT\nEOT_\n",
        "directory \"srv\" {",
        "to = sshd.nfs",
    ] {
        assert!(adopted.stdout.contains(expected), "{expected} is not in\n{}", adopted.stdout);
    }
    assert!(adopted.stderr.contains("left out: file /etc/shadow: content"), "{}", adopted.stderr);
    assert!(!adopted.stdout.contains("\"libc6\""), "{}", adopted.stdout);
    assert_eq!(machines.at("nfs", LOOK).stdout, before, "adopt changes nothing");

    machines.write(&adopted.stdout);
    let plan = machines.run(&["plan"]);
    assert!(
        plan.stdout.contains("Plan: 0 to create, 0 to change, 0 to replace, 0 to remove,"),
        "{}",
        plan.stdout
    );
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(machines.drifted(), Vec::<String>::new());
    assert_eq!(machines.at("nfs", LOOK).stdout, before, "taking over changes nothing");
    let again = machines.run(&["adopt", "host.nfs"]).ok();
    assert_eq!(again.stdout, "");

    machines.destroy().ok();
    assert_eq!(machines.at("nfs", LOOK).stdout, before, "destroy gives everything back");
}
