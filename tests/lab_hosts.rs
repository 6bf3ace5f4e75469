//! Hosts that are real machines: what goes wrong while they are changed, and that nobody is kept out.

mod support;

use support::machines::{Machines, Tier, address};
use support::site::wait_for;

fn up(names: &[&str]) -> Option<Machines> {
    Machines::up(Tier::Fast, names)
}

/// The firewall, with the rule by which we come.
const FIREWALL: &str = r#"
firewall "nfs" { host = host.nfs }
firewall_rules "ssh" {
  host  = host.nfs
  name  = "ssh"
  guard = 10
  rules = [{ port = 22, protocol = "tcp" }]
}
"#;

/// What ufw has written down.
fn tuples(machines: &Machines) -> String {
    machines
        .at("nfs", "grep -h tuple /etc/ufw/user.rules /etc/ufw/user6.rules; ufw status | head -1")
        .ok()
        .stdout
}

#[test]
fn three_machines_from_nothing_and_back() {
    let Some(machines) = up(&["nfs", "master", "worker"]) else { return };
    let look = "getent passwd eth; getent group eth; ls -A /srv; timedatectl show -p Timezone; \
                cat /proc/sys/net/core/somaxconn; ufw status verbose; cat /etc/ssh/sshd_config.d/*.conf; ls /etc/sysctl.d";
    let before: Vec<String> =
        ["nfs", "master", "worker"].iter().map(|name| machines.at(name, look).stdout).collect();
    machines.write(
        r#"
locals { all = { nfs = host.nfs, master = host.master, worker = host.worker } }
timezone "all" {
  for_each = local.all
  host     = each.value
  name     = "Europe/Berlin"
}
sysctl "all" {
  for_each = local.all
  host     = each.value
  key      = "net.core.somaxconn"
  value    = "512"
}
group "eth" {
  for_each = local.all
  host     = each.value
  name     = "eth"
  gid      = 2000
}
user "eth" {
  for_each    = local.all
  host        = each.value
  name        = "eth"
  uid         = 1001
  group       = group.eth[each.key].name
  create_home = false
}
directory "data" {
  for_each = local.all
  host     = each.value
  path     = "/srv/data"
  mode     = "0750"
  owner    = user.eth[each.key].name
  group    = group.eth[each.key].name
}
firewall_rules "ssh" {
  for_each = local.all
  host     = each.value
  name     = "ssh"
  rules    = [{ port = 22, protocol = "tcp", comment = "management" }]
}
firewall "all" {
  for_each = local.all
  host     = each.value
}
sshd "all" {
  for_each                = local.all
  host                    = each.value
  password_authentication = false
}
"#,
    );
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(machines.drifted(), Vec::<String>::new());
    for name in ["nfs", "master", "worker"] {
        let seen = machines.at(name, look).ok().stdout;
        for part in
            ["eth:x:1001:2000", "Timezone=Europe/Berlin", "Status: active", "PasswordAuthentication no"]
        {
            assert!(seen.contains(part), "{name} lacks {part}:\n{seen}");
        }
    }
    machines.destroy().ok();
    for (name, before) in ["nfs", "master", "worker"].iter().zip(before) {
        assert_eq!(machines.at(name, look).stdout, before, "{name} is not as it was");
    }
}

#[test]
fn a_host_that_is_cut_off_in_the_middle_of_a_firewall_change_takes_it_back() {
    let Some(machines) = up(&["nfs"]) else { return };
    machines.write(FIREWALL);
    machines.apply().ok();
    let before = tuples(&machines);
    machines.write(&FIREWALL.replace("rules = [", "rules = [{ port = 8080, protocol = \"tcp\" }, "));
    let mut run = machines.spawn(&["apply", "--yes"]);
    run.wait_until_it_says("the host takes this back after 10 s");
    machines.cut("lab", "nfs");
    // What it was doing may have been done, or not: the guard does not ask.
    wait_for("the guard", || machines.inside("nfs", "test -e /var/lib/coxswain/guard/fired").code == 0);
    machines.heal();
    let ended = run.end();
    assert_eq!(ended.code, 4, "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(tuples(&machines), before);
    machines.apply().ok();
    machines.expect_no_op();
}

#[test]
fn sshd_at_a_port_that_is_shut_is_refused_or_taken_back() {
    let Some(machines) = up(&["nfs"]) else { return };
    let config = |ports: &str, rules: &str| {
        machines.write(&format!(
            "firewall \"nfs\" {{ host = host.nfs }}\n\
             firewall_rules \"ssh\" {{\n  host = host.nfs\n  name = \"ssh\"\n  \
             rules = [for p in {rules} : {{ port = p, protocol = \"tcp\" }}]\n}}\n\
             sshd \"nfs\" {{\n  host = host.nfs\n  ports = {ports}\n  guard = 10\n}}\n"
        ));
    };
    config("[22]", "[22]");
    machines.apply().ok();
    // A rule of the plan forbids it: nothing is begun.
    config("[2022]", "[22]");
    let refused = machines.run(&["plan"]).expect(1);
    assert!(
        refused.stderr.contains("locked-out") && refused.stderr.contains("2022/tcp"),
        "{}",
        refused.stderr
    );
    // Somebody else forbids it while the plan is carried out: the old port answers, and the state says so.
    config("[2022]", "[22, 2022]");
    machines.at("nfs", "iptables -I INPUT -p tcp --dport 2022 -j DROP").ok();
    let taken_back = machines.apply().expect(4);
    assert!(taken_back.stdout.contains("through port 2022"), "{}", taken_back.stdout);
    assert!(machines.at("nfs", "ss -Hltn | grep -c ':22 '").ok().stdout.trim() != "0");
    assert_eq!(machines.at("nfs", "ss -Hltn | grep -c ':2022 '").stdout.trim(), "0");
    // It is let in: it moves, and the host is reached there, although its block still says another port.
    machines.at("nfs", "iptables -D INPUT -p tcp --dport 2022 -j DROP").ok();
    machines.apply().ok();
    machines.expect_no_op();
    assert!(machines.at("nfs", "true").code != 0, "nothing answers at port 22");
    machines.destroy().ok();
    machines.at("nfs", "true").ok();
}

#[test]
fn a_guard_outlives_a_reboot() {
    let Some(machines) = up(&["nfs"]) else { return };
    machines.write(&FIREWALL.replace("guard = 10", "guard = 20"));
    machines.apply().ok();
    let before = tuples(&machines);
    machines.write(
        &FIREWALL
            .replace("guard = 10", "guard = 20")
            .replace("rules = [", "rules = [{ port = 8080, protocol = \"tcp\" }, "),
    );
    let mut run = machines.spawn(&["apply", "--yes"]);
    run.wait_until_it_says("the host takes this back after 20 s");
    run.kill();
    let boot = machines.at("nfs", "cat /proc/sys/kernel/random/boot_id").ok().stdout;
    // The way may have been confirmed by now; then there is nothing to take back.
    let armed = machines.at("nfs", "test -e /var/lib/coxswain/guard/revert").code == 0;
    machines.at("nfs", "systemctl reboot");
    wait_for("another boot", || {
        let now = machines.at("nfs", "cat /proc/sys/kernel/random/boot_id");
        now.code == 0 && now.stdout != boot
    });
    if armed {
        wait_for("the guard", || tuples(&machines) == before);
    }
    machines.apply().ok();
    machines.expect_no_op();
}

#[test]
fn a_firewall_that_is_switched_on_has_all_its_rules_in_the_kernel() {
    let Some(machines) = up(&["nfs"]) else { return };
    let tables = "for t in iptables ip6tables; do $t-save | sed -e '/^#/d' -e 's/\\[[0-9:]*\\]//'; done";
    machines.write(FIREWALL);
    // A machine without chains of ufw; and one with the chains of before, of which ufw only says that they are loaded.
    for (made, rule) in [
        ("true", "--dport 22 "),
        ("sed -i s/ENABLED=yes/ENABLED=no/ /etc/ufw/ufw.conf && ufw allow 99/tcp", "--dport 99 "),
    ] {
        machines.at("nfs", made).ok();
        machines.apply().ok();
        let loaded = machines.at("nfs", tables).ok().stdout;
        assert_eq!(loaded.matches(rule).count(), 2, "both tables have {rule}:\n{loaded}");
        machines.at("nfs", "ufw reload").ok();
        assert_eq!(machines.at("nfs", tables).ok().stdout, loaded, "a reload changes something");
    }
}

#[test]
fn sets_of_rules_do_not_touch_each_other() {
    let Some(machines) = up(&["nfs"]) else { return };
    let module = |label: &str, name: &str| {
        format!("module \"{label}\" {{\n  source = \"./{name}\"\n  host = host.nfs\n}}\n")
    };
    for (name, port) in [("base", 22), ("nfs", 2049)] {
        machines.project.write(
            &format!("{name}/main.hcl"),
            format!(
                "variable \"host\" {{ type = host }}\nfirewall_rules \"r\" {{\n  host = var.host\n  name = \"{name}\"\n  \
                 rules = [{{ port = {port}, protocol = \"tcp\" }}]\n}}\n"
            ),
        );
    }
    let microk8s = "module \"microk8s\" {\n  source = \"builtin:microk8s-firewall\"\n  host = host.nfs\n  \
                    nodes = [\"172.20.10.0/24\"]\n}\n";
    let switch = "firewall \"nfs\" { host = host.nfs }\n";
    let all = format!("{}{}{microk8s}{switch}", module("base", "base"), module("nfs", "nfs"));
    // A rule made by hand, and the four that MicroK8s makes at each start.
    machines
        .at("nfs", "ufw allow 8080/tcp; for d in in out; do for i in vxlan.calico cali+; do ufw allow $d on $i; done; done")
        .ok();
    machines.write(&all);
    machines.apply().ok();
    machines.expect_no_op();
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let before = lines(&tuples(&machines));
    // MicroK8s starts again.
    machines
        .at("nfs", "for d in in out; do for i in vxlan.calico cali+; do ufw allow $d on $i; done; done")
        .ok();
    machines.expect_no_op();
    // A module removed: exactly its rules vanish.
    machines.write(&format!("{}{microk8s}{switch}", module("base", "base")));
    machines.apply().ok();
    let after = lines(&tuples(&machines));
    let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.iter().all(|line| line.contains(" 2049 ")), "{gone:?}");
    assert!(after.iter().all(|line| before.contains(line)), "{after:?}");
    // A module renamed: not one command runs.
    machines.write(&format!(
        "{}{microk8s}{switch}moved {{\n  from = module.base\n  to = module.other\n}}\n",
        module("other", "base")
    ));
    machines.at("nfs", "touch /tmp/mark; sleep 1").ok();
    machines.apply().ok();
    let touched =
        machines.at("nfs", "find /etc/ufw /etc/default/ufw /var/lib/coxswain -newer /tmp/mark").ok().stdout;
    assert_eq!(touched, "");
    assert_eq!(lines(&tuples(&machines)), after);
}

#[test]
fn a_wrong_sudo_password_is_said_and_not_repeated() {
    let Some(machines) = up(&["nfs"]) else { return };
    let with = |password: &str| {
        let more = format!("  sudo_password = \"{password}\"\n");
        let hosts = machines.hosts_as("guarded", &more);
        machines.project.write(
            "main.hcl",
            format!("{hosts}timezone \"x\" {{\n  host = host.nfs\n  name = \"Europe/Berlin\"\n}}\n"),
        );
    };
    with("not-it-at-all");
    let refused = machines.apply();
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("sudo") && said.contains("password"), "{said}");
    assert!(!said.contains("not-it-at-all"), "{said}");
    let attempts = machines.at("nfs", "journalctl -q _COMM=sudo | grep -c 'incorrect password'").stdout;
    assert_eq!(attempts.trim(), "1", "an account must not be locked by us");
    with("lab");
    machines.apply().ok();
    machines.expect_no_op();
}

#[test]
fn a_full_disk_loses_nothing() {
    let Some(machines) = up(&["nfs"]) else { return };
    let file = |content: &str| {
        machines.write(&format!(
            "file \"x\" {{\n  host = host.nfs\n  path = \"/mnt/small/x\"\n  content = {content}\n}}\n"
        ));
    };
    machines.at("nfs", "mkdir /mnt/small && mount -t tmpfs -o size=64k none /mnt/small").ok();
    file("\"small\"");
    machines.apply().ok();
    file("join(\"\", [for i in range(20000) : \"0123456789\"])");
    let full = machines.apply();
    assert_eq!(full.code, 4, "{}", full.stdout);
    assert!(full.stdout.contains("No space left on device"), "{}", full.stdout);
    assert_eq!(machines.at("nfs", "cat /mnt/small/x; ls -A /mnt/small").ok().stdout, "smallx\n");
    machines.at("nfs", "mount -o remount,size=4m /mnt/small").ok();
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(machines.at("nfs", "stat -c %s /mnt/small/x").ok().stdout, "200000\n");
}

#[test]
fn sshd_that_was_not_told_of_its_configuration_is_told() {
    let Some(machines) = up(&["nfs"]) else { return };
    machines.write("sshd \"nfs\" {\n  host = host.nfs\n  max_sessions = 20\n}\n");
    machines.apply().ok();
    machines.write("sshd \"nfs\" {\n  host = host.nfs\n  max_sessions = 30\n}\n");
    // A run that is killed between the file and the reload leaves just this.
    machines
        .at("nfs", "sed -i 's/MaxSessions 20/MaxSessions 30/' /etc/ssh/sshd_config.d/10-coxswain.conf")
        .ok();
    let plan = machines.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("loaded: false -> true"), "{}", plan.stdout);
    machines.apply().ok();
    machines.expect_no_op();
    assert_eq!(address("nfs"), "172.20.10.10");
}

#[test]
fn drift_found_by_the_schedule_is_a_failed_unit_and_a_metric() {
    let Some(machines) = up(&["nfs"]) else { return };
    machines.install_binary("nfs");
    let config = "file \"motd\" {\n  path = \"/etc/motd\"\n  content = \"ours\\n\"\n}\n\
                  drift_schedule \"x\" {\n  name = \"x\"\n  directory = \"/srv/cluster\"\n  metrics = \"/srv/coxswain.prom\"\n}\n";
    machines
        .at(
            "nfs",
            &format!(
                "set -e; mkdir -p /srv/cluster; cd /srv/cluster; cat >main.hcl <<'E'\n{config}\nE\n\
                 coxswain apply --yes; coxswain plan; systemctl is-active coxswain-drift-x.timer"
            ),
        )
        .ok();
    machines.at("nfs", "systemctl start coxswain-drift-x.service && grep -x 'coxswain_drift_instances 0' /srv/coxswain.prom").ok();
    machines.at("nfs", "echo theirs >/etc/motd").ok();
    assert!(machines.at("nfs", "systemctl start coxswain-drift-x.service").code != 0);
    let seen = machines
        .at("nfs", "systemctl --failed --plain --no-legend; grep drift /srv/coxswain.prom; journalctl -q -u coxswain-drift-x.service -o cat")
        .ok()
        .stdout;
    for part in [
        "coxswain-drift-x.service",
        "coxswain_drift_instances 1",
        "address=\"file.motd\"",
        "file.motd\n",
        "theirs",
    ] {
        assert!(seen.contains(part), "there is no {part}:\n{seen}");
    }
    machines
        .at("nfs", "cd /srv/cluster && coxswain apply --yes && systemctl start coxswain-drift-x.service")
        .ok();
}
