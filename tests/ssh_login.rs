//! Ways to a host: sudo with and without a password, shells that print noise, jump hosts, host keys.

mod support;

use support::site::{Site, temporary_files};
use support::sshlab::PASSWORD;

/// A file that only root can write and only root can read.
const MOTD: &str = r#"
file "motd" {
  host    = host.h0
  path    = "/etc/motd"
  content = "Managed.\n"
  mode    = "0600"
  owner   = "root"
}
"#;

/// Plan, apply, no-op, change by hand, repair, destroy.
#[track_caller]
fn check_loop(site: &Site) {
    let host = site.host(0);
    let old = host.read_file("/etc/motd");
    site.plan().expect(2);
    site.apply().ok();
    assert_eq!(host.read_file("/etc/motd").as_deref(), Some("Managed.\n"));
    assert_eq!(host.exec("stat -c '%a %U' /etc/motd").ok().stdout, "600 root\n");
    site.expect_no_op();
    host.exec("chmod 0644 /etc/motd").ok();
    assert!(site.drift().expect(3).stdout.contains("mode: \"0600\" -> \"0644\""));
    site.apply().ok();
    site.drift().ok();
    site.destroy().ok();
    assert_eq!(host.read_file("/etc/motd"), old);
    assert_eq!(temporary_files(host), "");
}

/// The host is not read and why is said; nothing was asked and nothing changed. Gives what `plan` said.
#[track_caller]
fn check_refused(site: &Site, reason: &str) -> String {
    let before = site.host(0).read_file("/etc/motd");
    let planned = site.plan().expect(1);
    let said = planned.stdout + &planned.stderr;
    assert!(said.contains(reason), "{said}");
    site.apply().expect(1);
    assert_eq!(site.host(0).read_file("/etc/motd"), before);
    said
}

#[test]
fn sudo_without_a_password() {
    let Some(site) = Site::start(1) else { return };
    site.write_as("admin", MOTD);
    check_loop(&site);
    assert!(!site.host(0).log().contains("for root"), "nobody logged in as root");
}

#[test]
fn sudo_with_a_password() {
    let Some(site) = Site::start(1) else { return };
    let host = format!(
        "variable \"password\" {{\n  sensitive = true\n}}\nhost \"h0\" {{\n  address = \"{}\"\n  user = \"guarded\"\n  \
         sudo_password = var.password\n}}\n",
        site.host(0).address
    );
    site.project.write("main.hcl", host + MOTD);
    site.project.write("terra.hclvars", format!("password = \"{PASSWORD}\"\n"));
    let old = site.host(0).read_file("/etc/motd");
    let with = |args: &[&str]| site.run(&[args, &["--var-file", "terra.hclvars"]].concat());
    with(&["plan"]).expect(2);
    with(&["apply", "--yes"]).ok();
    assert_eq!(site.host(0).exec("stat -c '%a %U' /etc/motd").ok().stdout, "600 root\n");
    with(&["plan"]).ok();

    site.project.write("terra.hclvars", "password = \"wrong\"\n");
    let refused = with(&["plan"]).expect(1);
    assert!(refused.stdout.contains("the password was refused"), "{}", refused.stdout);
    assert!(!refused.stdout.contains("wrong") && !refused.stderr.contains("wrong"));
    site.project.write("terra.hclvars", format!("password = \"{PASSWORD}\"\n"));
    with(&["destroy", "--yes"]).ok();
    assert_eq!(site.host(0).read_file("/etc/motd"), old);
}

#[test]
fn sudo_that_refuses_is_said_so() {
    let Some(site) = Site::start(1) else { return };
    site.write_as("guarded", MOTD);
    let said = check_refused(&site, "sudo does not work: sudo: a password is required");
    assert!(said.contains("2 instances planned as nothing: file.motd, host.h0"), "{said}");
    assert!(said.contains("0 unchanged, 2 unknown"), "{said}");
    site.host(0).exec("mv /usr/bin/sudo /usr/bin/no-sudo").ok();
    check_refused(&site, "sudo");
}

#[test]
fn a_login_shell_that_prints_noise() {
    let Some(site) = Site::start(1) else { return };
    site.host(0)
        .exec("echo 'yes noise | head -n 3000; printf \"no line end\"; printf \"no line end\" >&2' >>/home/noisy/.bashrc")
        .ok();
    site.write_as("noisy", MOTD);
    check_loop(&site);
}

#[test]
fn a_host_behind_another() {
    let Some(site) = Site::start(2) else { return };
    let (jump, host) = (site.host(1), site.host(0));
    let text = format!(
        "host \"h0\" {{\n  address = \"{}\"\n  user = \"admin\"\n  sudo = true\n  jump = \"admin@{}\"\n}}\n",
        host.address, jump.address
    );
    site.project.write("main.hcl", text + MOTD);
    check_loop(&site);
    let from =
        |address: &str| host.log().matches(&format!("Accepted publickey for admin from {address} ")).count();
    assert!(from(&jump.address) > 0, "{}", host.log());
    assert_eq!(from("172.31.77.1"), 0, "{}", host.log());

    // A jump host that is down is named.
    jump.stop();
    site.project.write("main.hcl", site.project.read("main.hcl"));
    let planned = site.plan().expect(1);
    assert!(planned.stdout.contains(&jump.address), "{}", planned.stdout);
}

#[test]
fn an_unknown_host_key_is_never_accepted() {
    let Some(site) = Site::start(1) else { return };
    site.write(MOTD);
    std::fs::write(site.lab.known_hosts(), "").expect("the laboratory's folder can be written");
    let said = check_refused(&site, "host key");
    assert!(said.contains("known_hosts") && said.contains("host_key"), "{said}");
    assert_eq!(
        std::fs::read_to_string(site.lab.known_hosts()).expect("it is there"),
        "",
        "nothing was added"
    );
    assert_eq!(site.host(0).connections_count(), 0);

    // The key in the configuration is enough, and knows better than known_hosts.
    let with = |key: &str| {
        let text = format!(
            "host \"h0\" {{\n  address = \"{}\"\n  host_key = \"{key}\"\n}}\n{MOTD}",
            site.host(0).address
        );
        site.project.write("main.hcl", text);
    };
    let key = site.host(0).host_key();
    with(&key);
    check_loop(&site);

    site.host(0).change_host_key();
    let said = check_refused(&site, "host key");
    assert!(said.contains("expected is SHA256:"), "{said}");
    with(&format!("{} root@h0", site.host(0).host_key()));
    check_loop(&site);
}

#[test]
fn a_host_key_that_changed_is_an_error() {
    let Some(site) = Site::start(1) else { return };
    site.write(MOTD);
    site.apply().ok();
    site.host(0).change_host_key();
    site.write(&MOTD.replace("Managed", "Changed"));
    let said = check_refused(&site, "host key");
    assert!(said.contains("known_hosts"), "{said}");
    // That a host may be passed over does not make another machine out of it.
    let passed = site.run(&["apply", "--yes", "--allow-unreachable"]);
    assert_ne!(passed.code, 0, "{}", passed.stdout);
    assert_eq!(site.host(0).read_file("/etc/motd").as_deref(), Some("Managed.\n"));
    assert_eq!(site.drift().code, 1);
}
