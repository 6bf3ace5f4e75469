//! The loop on hosts over SSH: HCL → plan → apply → state → drift, as people run it.

mod support;

use support::site::{Site, temporary_files};

const EVERYTHING: &str = r#"
group "staking" {
  host = host.h0
  name = "staking"
  gid  = 5000
}
user "validator" {
  host        = host.h0
  name        = "validator"
  uid         = 5001
  group       = group.staking.name
  home        = "/srv/data"
  shell       = "/usr/sbin/nologin"
  create_home = false
}
directory "data" {
  host  = host.h0
  path  = "/srv/data"
  owner = user.validator.name
  group = group.staking.name
  mode  = "0750"
}
file "config" {
  host    = host.h0
  path    = "${directory.data.path}/config.toml"
  owner   = user.validator.name
  group   = group.staking.name
  mode    = "0640"
  content = "one = 1\ntwo = \"zwei\"\nhost = \"${host.h0.hostname}\"\n"
}
file "motd" {
  host    = host.h0
  path    = "/etc/motd"
  content = "Managed.\n"
  mode    = "0600"
}
"#;

fn stat(site: &Site, path: &str) -> String {
    site.host(0).exec(&format!("stat -c '%a %U %G' {path}")).ok().stdout.trim().to_owned()
}

#[test]
fn a_host_is_made_looked_at_changed_repaired_and_given_back() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    host.exec("echo 'Old words.' >/etc/motd; chmod 0664 /etc/motd; chown admin:guarded /etc/motd").ok();
    site.write(EVERYTHING);

    let planned = site.plan().expect(2);
    assert!(planned.stdout.contains("4 to create"), "{}", planned.stdout);
    assert!(planned.stdout.contains("2 to adopt"), "{}", planned.stdout);
    site.apply().ok();
    let config = "one = 1\ntwo = \"zwei\"\nhost = \"h0\"\n";
    assert_eq!(host.read_file("/srv/data/config.toml").as_deref(), Some(config));
    assert_eq!(stat(&site, "/srv/data/config.toml"), "640 validator staking");
    assert_eq!(stat(&site, "/srv/data"), "750 validator staking");
    assert_eq!(host.read_file("/etc/motd").as_deref(), Some("Managed.\n"));
    assert_eq!(stat(&site, "/etc/motd"), "600 admin guarded");
    site.expect_no_op();
    let (code, plan) = site.document(&["plan"]);
    assert_eq!((code, &plan["empty"]), (0, &true.into()));
    site.drift().ok();

    site.write(&EVERYTHING.replace("zwei", "deux"));
    let planned = site.plan().expect(2);
    assert!(planned.stdout.contains("~ file.config"), "{}", planned.stdout);
    assert!(planned.stdout.contains("- two = \"zwei\"") && planned.stdout.contains("+ two = \"deux\""));
    site.apply().ok();
    let config = config.replace("zwei", "deux");
    assert_eq!(host.read_file("/srv/data/config.toml").as_deref(), Some(config.as_str()));
    site.expect_no_op();

    host.exec("chmod 0777 /srv/data; echo three >>/srv/data/config.toml; usermod -s /bin/sh validator").ok();
    let (code, drift) = site.document(&["drift"]);
    let changes = |address: &str| -> Vec<String> {
        let found = drift["instances"].as_array().into_iter().flatten().find(|i| i["address"] == address);
        let changes = found.map(|i| i["changes"].as_array().cloned().unwrap_or_default());
        changes.unwrap_or_default().iter().map(|c| c["name"].as_str().unwrap_or("?").to_owned()).collect()
    };
    assert_eq!(code, 3, "{drift}");
    assert_eq!(changes("directory.data"), ["mode"]);
    assert_eq!(changes("file.config"), ["content"]);
    assert_eq!(changes("user.validator"), ["shell"]);
    let text = site.drift().expect(3).stdout;
    assert!(text.contains("mode: \"0750\" -> \"0777\"") && text.contains("+ three"), "{text}");
    site.apply().ok();
    assert_eq!(host.read_file("/srv/data/config.toml").as_deref(), Some(config.as_str()));
    assert_eq!(stat(&site, "/srv/data"), "750 validator staking");
    site.drift().ok();

    site.destroy().ok();
    assert_eq!(host.read_file("/etc/motd").as_deref(), Some("Old words.\n"));
    assert_eq!(stat(&site, "/etc/motd"), "664 admin guarded");
    assert!(!host.has("/srv/data"));
    assert_ne!(host.exec("getent passwd validator || getent group staking").code, 0);
    assert_eq!(temporary_files(host), "");
    let (code, plan) = site.document(&["plan", "--destroy"]);
    assert_eq!((code, &plan["empty"]), (0, &true.into()));
}

#[test]
fn facts_are_read_again_when_a_plan_is_carried_out() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    let text = |line: &str| {
        format!(
            "output \"name\" {{\n  value = host.h0.hostname\n}}\nfile \"name\" {{\n  host = host.h0\n  path = \"/srv/name\"\n  \
             content = \"{line} ${{host.h0.hostname}}\\n\"\n}}\n"
        )
    };
    site.write(&text("first"));
    site.apply().ok();
    assert_eq!(host.read_file("/srv/name").as_deref(), Some("first h0\n"));
    site.write(&text("second"));
    site.apply().ok();
    assert_eq!(host.read_file("/srv/name").as_deref(), Some("second h0\n"));

    // Between plan and apply the fact changes: the step is not what was planned.
    site.write(&text("third"));
    site.run(&["plan", "--out", "p.coxplan"]).expect(2);
    host.exec("echo renamed >/proc/sys/kernel/hostname; echo renamed >/etc/hostname").ok();
    let applied = site.run(&["apply", "p.coxplan"]).expect(4);
    assert!(applied.stdout.contains("`content` is not what was planned"), "{}", applied.stdout);
    assert_eq!(host.read_file("/srv/name").as_deref(), Some("second h0\n"));

    site.apply().ok();
    assert_eq!(host.read_file("/srv/name").as_deref(), Some("third renamed\n"));
    site.expect_no_op();
    assert_eq!(site.run(&["output", "name"]).ok().stdout.trim().trim_matches('"'), "renamed");
}
