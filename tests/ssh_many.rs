//! Twenty hosts at once: what a plan costs each, and what one that is down costs the others.

mod support;

use support::site::Site;
use support::sshlab::Host;

const HOSTS: usize = 20;
/// The one that goes down.
const DOWN: usize = 7;

fn configuration(site: &Site, line: &str) {
    let entries: String =
        site.lab.hosts().iter().map(|host| format!("    {} = \"{}\"\n", host.name, host.address)).collect();
    let text = format!(
        "host \"all\" {{\n  for_each = {{\n{entries}  }}\n  address = each.value\n}}\n\
         file \"peers\" {{\n  for_each = host.all\n  host = each.value\n  path = \"/srv/peers\"\n  \
         content = join(\"\", concat([\"{line}\\n\"], [for h in host.all : \"${{h.address}}\\n\"]))\n}}\n"
    );
    site.project.write("main.hcl", text);
}

fn peers(site: &Site, line: &str) -> String {
    // The order of the keys: h0, h1, h10, …
    let mut hosts: Vec<&Host> = site.lab.hosts().iter().collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    let addresses: String = hosts.iter().map(|host| format!("{}\n", host.address)).collect();
    format!("{line}\n{addresses}")
}

/// Notes every script that the host's shell is given.
#[track_caller]
fn count_scripts(host: &Host) {
    let shell = "#!/bin/bash\n[ $# = 0 ] || exec /usr/bin/dash \"$@\"\ntee -a /run/scripts | /usr/bin/dash\n";
    host.exec("rm /usr/bin/sh").ok();
    host.write_file("/usr/bin/sh", shell);
    host.exec("chmod 0755 /usr/bin/sh").ok();
}

/// Every script ends with the final mark.
fn scripts_count(host: &Host) -> usize {
    host.read_file("/run/scripts").unwrap_or_default().matches(") </dev/null; printf").count()
}

#[test]
fn twenty_hosts_at_once() {
    let Some(site) = Site::start(HOSTS) else { return };
    configuration(&site, "one");
    let planned = site.plan().expect(2);
    assert!(
        planned.stdout.contains("20 to create") && planned.stdout.contains("20 to adopt"),
        "{}",
        planned.stdout
    );
    site.apply().ok();
    for host in site.lab.hosts() {
        assert_eq!(host.read_file("/srv/peers"), Some(peers(&site, "one")), "{}", host.name);
    }
    a_plan_costs_one_session_and_one_round_trip(&site);
    one_that_is_down_holds_nobody_up(&site);
}

#[track_caller]
fn a_plan_costs_one_session_and_one_round_trip(site: &Site) {
    count_scripts(site.host(3));
    let counts = || -> Vec<_> {
        site.lab.hosts().iter().map(|host| (host.connections_count(), host.sessions_count())).collect()
    };
    let before = counts();
    site.expect_no_op();
    for (host, (before, after)) in site.lab.hosts().iter().zip(before.into_iter().zip(counts())) {
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{}", host.name);
    }
    assert_eq!(scripts_count(site.host(3)), 2, "the greeting, and all reads together");
}

#[track_caller]
fn one_that_is_down_holds_nobody_up(site: &Site) {
    site.host(DOWN).stop();
    configuration(site, "two");
    let (code, plan) = site.document(&["plan"]);
    assert_eq!(code, 1);
    assert_eq!(plan["summary"]["update"], 19, "{}", plan["summary"]);
    assert_eq!(plan["summary"]["unknown"], 2, "{}", plan["summary"]);
    assert_eq!(plan["deferred"], serde_json::json!([]));
    let unreadable = plan["unreadable"].as_array().map_or(0, Vec::len);
    assert_eq!(unreadable, 1);
    assert_eq!(
        plan["unreadable"][0]["instances"],
        serde_json::json!(["host.all[\"h7\"]", "file.peers[\"h7\"]"])
    );

    let applied = site.run(&["apply", "--yes", "--allow-unreachable"]).ok();
    assert!(applied.stdout.contains("19 steps done"), "{}", applied.stdout);
    for (index, host) in site.lab.hosts().iter().enumerate() {
        let line = if index == DOWN { "one" } else { "two" };
        assert_eq!(host.read_file("/srv/peers"), Some(peers(site, line)), "{}", host.name);
    }
    site.host(DOWN).start();
    let applied = site.apply().ok();
    assert!(applied.stdout.contains("1 step done"), "{}", applied.stdout);
    assert_eq!(site.host(DOWN).read_file("/srv/peers"), Some(peers(site, "two")));
}
