//! The modules that come with coxswain, on real machines, and the steps of a tutorial from nothing and back.

mod support;

use support::machines::{Machines, Tier};
use support::site::wait_for;

/// Guests that ask nobody outside for packages: an empty repository of their own.
fn without_mirrors(machines: &Machines, names: &[&str]) {
    for name in names {
        machines
            .at(
                name,
                "mkdir -p /repo && : >/repo/Packages && rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* && \
                 echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list.d/lab.list && apt-get -qq update",
            )
            .ok();
    }
}

const CLUSTER: &str = r#"
locals { all = { nfs = host.nfs, master = host.master, worker = host.worker } }

module "baseline" {
  source      = "builtin:host-baseline"
  for_each    = local.all
  host        = each.value
  ntp_pools   = []
  ntp_servers = ["172.20.10.1"]
}

module "nfs" {
  source      = "builtin:nfs-server"
  host        = host.nfs
  directories = ["beacon", "validator"]
  clients     = [host.master.address, host.worker.address]
  depends_on  = [module.baseline]
}

module "microk8s" {
  source        = "builtin:microk8s-firewall"
  for_each      = { master = host.master, worker = host.worker }
  host          = each.value
  nodes         = [host.master.address, host.worker.address]
  control_plane = each.key == "master" ? [host.master.address] : null
  depends_on    = [module.baseline]
}
"#;

#[test]
fn the_tutorials_hosts_with_one_apply_and_back() {
    let all = ["nfs", "master", "worker"];
    let Some(machines) = Machines::up(Tier::Fast, &all) else { return };
    without_mirrors(&machines, &all);
    let look = "timedatectl show -p Timezone; ufw status verbose; cat /etc/ssh/sshd_config.d/*.conf; \
                cat /etc/chrony/chrony.conf /etc/chrony/sources.d/*; ls -A /srv; exportfs -v; ls -d /etc/exports.d; \
                grep -h tuple /etc/ufw/user.rules /etc/ufw/user6.rules";
    let before: Vec<String> = all.iter().map(|name| machines.at(name, look).stdout).collect();
    machines.write(CLUSTER);
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(machines.drifted(), Vec::<String>::new());
    let nfs = machines.at("nfs", look).ok().stdout;
    for part in
        ["Timezone=Etc/UTC", "Status: active", "PasswordAuthentication no", "172.20.10.12(", "2049/tcp"]
    {
        assert!(nfs.contains(part), "there is no {part}:\n{nfs}");
    }
    // A mistake made by hand is said, and is not ours to take away.
    machines.at("nfs", "echo '/home 172.20.10.12 (rw,no_subtree_check)' >>/etc/exports").ok();
    let warned = machines.run(&["plan"]).expect(0);
    assert!(
        warned.stdout.contains("nfs-export-open") && warned.stdout.contains("/etc/exports:"),
        "{}",
        warned.stdout
    );
    machines.at("nfs", "sed -i '/^.home/d' /etc/exports").ok();
    machines.destroy().ok();
    for (name, before) in all.iter().zip(before) {
        assert_eq!(machines.at(name, look).stdout, before, "{name} is not as it was");
        // How the last guard ended, for whoever may still ask, and its lock.
        assert_eq!(machines.at(name, "ls -A /var/lib/coxswain").stdout, "guard.last\nguard.lock\n", "{name}");
    }
}

#[test]
fn a_worker_writes_to_the_share_as_the_pods_will() {
    let Some(machines) = Machines::up(Tier::Full, &["nfs", "worker"]) else { return };
    machines.write(
        r#"
module "nfs" {
  source      = "builtin:nfs-server"
  host        = host.nfs
  directories = ["beacon"]
  clients     = [host.worker.address]
}
nfs_mount "data" {
  host       = host.worker
  target     = "/mnt/data"
  source     = module.nfs.source
  depends_on = [module.nfs]
}
"#,
    );
    machines.apply().ok();
    machines.expect_no_op();
    machines
        .at(
            "worker",
            "setpriv --reuid=1001 --regid=2000 --clear-groups sh -c 'echo x >/mnt/data/beacon/file'",
        )
        .ok();
    let seen =
        machines.at("nfs", "stat -c '%u %g' /srv/data/beacon/file; cat /srv/data/beacon/file").ok().stdout;
    assert_eq!(seen, "1001 2000\nx\n");
    // The export is in use: it is not taken away.
    let refused = machines.destroy();
    assert!(
        refused.code != 0 && refused.stderr.contains("nfs-export-in-use"),
        "{}\n{}",
        refused.stdout,
        refused.stderr
    );
    // A reboot of the client: the mount is back by itself.
    let boot = machines.at("worker", "cat /proc/sys/kernel/random/boot_id").ok().stdout;
    machines.at("worker", "systemctl reboot");
    wait_for("another boot", || {
        let now = machines.at("worker", "cat /proc/sys/kernel/random/boot_id");
        now.code == 0 && now.stdout != boot
    });
    wait_for("the mount", || machines.at("worker", "grep -q ' /mnt/data nfs4 ' /proc/mounts").code == 0);
    machines.expect_no_op();
}

#[test]
fn a_host_that_reboots_in_the_middle_is_taken_up_again() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs"]) else { return };
    let sets: String = (1..=6)
        .map(|n| {
            format!(
                "firewall_rules \"r{n}\" {{\n  host = host.nfs\n  name = \"r{n}\"\n  rules = [{{ port = {}, protocol = \"tcp\" }}]\n}}\n",
                8000 + n
            )
        })
        .collect();
    machines.write(&sets);
    let mut run = machines.spawn(&["apply", "--yes"]);
    run.wait_until_it_says("set the firewall's rules of r2  done");
    machines.at("nfs", "systemctl --no-block reboot");
    let ended = run.end();
    assert!(matches!(ended.code, 0 | 4), "{}\n{}", ended.stdout, ended.stderr);
    wait_for("the host", || machines.at("nfs", "systemctl is-active ssh").code == 0);
    machines.apply().ok();
    machines.expect_no_op();
    let rules = machines
        .at("nfs", "grep -c coxswain /etc/ufw/user.rules || grep -c '636f7873' /etc/ufw/user.rules")
        .stdout;
    assert_eq!(rules.lines().last(), Some("6"), "every rule once: {rules}");
}

/// A repository with one package, and a stand-in for unattended-upgrades that holds the file it is given.
const LOCKS: &str = r#"set -e; mkdir -p /repo/tool/DEBIAN; cd /repo
printf 'Package: coxlab-tool\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.invalid>\nDescription: x\n' >tool/DEBIAN/control
dpkg-deb -b tool tool.deb >/dev/null
{ cat tool/DEBIAN/control; printf 'Filename: ./tool.deb\nSize: %s\nSHA256: %s\n\n' "$(stat -c %s tool.deb)" "$(sha256sum <tool.deb | cut -d' ' -f1)"; } >Packages
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list.d/lab.list; apt-get -qq update
cat >/usr/local/bin/unattended-upgrade <<'E'
#!/usr/bin/python3
import fcntl, signal, sys
f = open(sys.argv[1], "a")
fcntl.lockf(f, fcntl.LOCK_EX)
open("/tmp/held", "w").close()
signal.pause()
E
chmod +x /usr/local/bin/unattended-upgrade"#;

#[test]
fn who_holds_a_lock_of_apt_is_named_and_waited_for() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs"]) else { return };
    machines.at("nfs", LOCKS).ok();
    let hold = |file: &str| {
        let script = format!(
            "rm -f /tmp/held; systemd-run --quiet --collect --unit=holder unattended-upgrade {file}
             until [ -e /tmp/held ]; do sleep 0.1; done; systemctl show -p MainPID --value holder"
        );
        machines.at("nfs", &script).ok().stdout.trim().to_owned()
    };
    let release = || machines.at("nfs", "systemctl stop holder").ok();
    let held = |file: &str, pid: &str| format!("waiting: unattended-upgr (pid {pid}) holds {file}");
    machines.write("packages \"x\" {\n  host  = host.nfs\n  names = [\"coxlab-tool\"]\n}\n");

    // As lines.
    let file = "/var/lib/dpkg/lock-frontend";
    let pid = hold(file);
    let mut run = machines.spawn(&["apply", "--yes"]);
    let line = format!("host.nfs  packages.x  install coxlab-tool  {}", held(file, &pid));
    run.wait_until_it_says(&line);
    assert_eq!(machines.at("nfs", "dpkg-query -W coxlab-tool").code, 1, "nothing is done meanwhile");
    release();
    let ended = run.end().ok();
    assert_eq!(ended.stdout.matches("waiting: ").count(), 1, "it is said once: {}", ended.stdout);
    machines.expect_no_op();

    // As JSON. This lock apt-get does not wait for by itself.
    machines.destroy().ok();
    machines
        .at("nfs", "touch -d '2 days ago' /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp")
        .ok();
    let file = "/var/lib/apt/lists/lock";
    let pid = hold(file);
    let mut run = machines.spawn(&["apply", "--yes", "--json"]);
    run.wait_until_it_says(&format!(
        "{{\"event\":\"blocked\",\"step\":\"packages.x#apply\",\"why\":\"{}\"}}",
        held(file, &pid)
    ));
    release();
    run.end().ok();
    machines.expect_no_op();
}

#[test]
fn the_example_of_three_hosts_converges() {
    let Some(machines) = Machines::up(Tier::Fast, &["nfs", "master", "worker"]) else { return };
    machines.project.write("main.hcl", include_str!("../examples/three-hosts/main.hcl"));
    let vars = ["--var", "upgrade=false", "--var", "ntp_pools=[]", "--var", "ntp_servers=[\"172.20.10.1\"]"];
    let run = |words: &[&str]| machines.run(&[words, &vars].concat());
    run(&["apply", "--yes"]).ok();
    let plan = run(&["plan"]).expect(0);
    assert!(plan.stdout.contains("No changes"), "{}", plan.stdout);
    machines.run(&["drift"]).ok();
    run(&["destroy", "--yes"]).ok();
}
