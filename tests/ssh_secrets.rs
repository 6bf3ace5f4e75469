//! A sensitive value on its way to a host: seen nowhere but in the file it is for.

mod support;

use std::collections::BTreeSet;

use base64::Engine as _;
use support::site::{Site, wait_for};

/// Long enough not to occur by chance, with characters that quoting may change.
const SECRET: &str = "s3cr3t-Kq7'x\\Zt9w \"vN2\" pL5";

const CONFIGURATION: &str = r#"
variable "token" {
  type      = string
  sensitive = true
}
file "token" {
  host    = host.h0
  path    = "/srv/token"
  content = "${var.token}\n"
  mode    = "0640"
  owner   = "admin"
}
output "token" {
  value     = var.token
  sensitive = true
}
"#;

/// The secret as it might show: as it is, without what is quoted, and in base64 at any alignment.
fn shapes() -> Vec<Vec<u8>> {
    let mut shapes = vec![SECRET.as_bytes().to_vec(), b"s3cr3t-Kq7".to_vec(), b"pL5".to_vec()];
    for skipped in 0..3 {
        let text = base64::engine::general_purpose::STANDARD.encode(&SECRET.as_bytes()[skipped..]);
        shapes.push(text.as_bytes()[..text.len() - 4].to_vec());
    }
    shapes
}

#[track_caller]
fn check_absent(place: &str, bytes: &[u8]) {
    for shape in shapes() {
        let found = bytes.windows(shape.len()).any(|window| window == shape);
        assert!(!found, "{:?} is in {place}", String::from_utf8_lossy(&shape));
    }
}

/// Arguments and environments of every process of this machine and of the hosts, as they are now.
fn sample(seen: &mut BTreeSet<Vec<u8>>) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        for name in ["cmdline", "environ"] {
            seen.extend(std::fs::read(entry.path().join(name)));
        }
    }
}

#[test]
fn a_secret_is_seen_nowhere_but_in_its_file() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    host.exec("sed -i s/VERBOSE/DEBUG3/ /run/lab/sshd_config").ok();
    host.stop();
    host.start();
    host.write_file("/srv/token", "an old token");
    site.write(CONFIGURATION);
    // Beside the project: everything in it is searched.
    let variables = site.project.home().join("secret.hclvars");
    std::fs::write(&variables, format!("token = {SECRET:?}\n")).expect("a file in a temporary folder");
    let variables = variables.to_str().expect("a path of ours").to_owned();

    let mut seen = BTreeSet::new();
    let mut run = |args: &[&str], code: i32| {
        let mut running = site.spawn(&[args, &["--var-file", &variables]].concat());
        while !running.has_ended() {
            sample(&mut seen);
        }
        let ran = running.end().expect(code);
        check_absent(&format!("the output of {args:?}"), (ran.stdout + &ran.stderr).as_bytes());
    };
    run(&["plan"], 2);
    run(&["plan", "--json"], 2);
    run(&["plan", "--out", "p.coxplan"], 2);
    run(&["apply", "p.coxplan"], 0);
    assert_eq!(host.read_file("/srv/token"), Some(format!("{SECRET}\n")));
    assert_eq!(host.exec("stat -c '%a %U' /srv/token").ok().stdout, "640 admin\n");
    run(&["plan"], 0);
    host.write_file("/srv/token", "changed by hand");
    run(&["plan", "--json"], 2);
    run(&["apply", "--yes", "--json"], 0);
    host.exec("chmod 0666 /srv/token; echo more >>/srv/token").ok();
    for args in [&["drift"][..], &["drift", "--json"]] {
        let ran = site.run(args).expect(3);
        check_absent(&format!("the output of {args:?}"), (ran.stdout + &ran.stderr).as_bytes());
    }
    for args in [
        &["show", "p.coxplan"][..],
        &["show", "p.coxplan", "--json"],
        &["state", "show", "file.token"],
        &["output"],
    ] {
        let ran = site.run(args);
        check_absent(&format!("the output of {args:?}"), (ran.stdout + &ran.stderr).as_bytes());
    }
    // A write that fails says so without the content.
    host.exec("rm -rf /srv/token; mkdir -p /srv/token/x").ok();
    run(&["apply", "--yes"], 1);
    host.exec("rm -rf /srv/token").ok();
    run(&["destroy", "--yes"], 0);

    for process in &seen {
        check_absent("the arguments or the environment of a process", process);
    }
    assert!(seen.len() > 10, "the processes were looked at");
    for (name, bytes) in site.files() {
        check_absent(&name, &bytes);
    }
    let log = host.log();
    assert!(log.contains("debug3"), "the log is the long one");
    check_absent("the log of sshd", log.as_bytes());
}

#[test]
fn a_temporary_file_is_private_from_its_creation() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    // Notes permissions before a byte is in the temporary file, and when it is put in place.
    host.wrap("/usr/bin/mv", "stat -c 'moved %a %U' \"$3\" >>/run/seen\nexec $0.real \"$@\"\n");
    host.wrap(
        "/usr/bin/base64",
        "[ \"$1\" = -d ] || exec $0.real \"$@\"\n\
         stat -c 'begun %a %U %s' /srv/.token.coxswain-* >>/run/seen\n\
         $0.real -d >/run/whole\nhead -c 10 /run/whole\n\
         touch /run/half\nread -r line </run/gate\ntail -c +11 /run/whole\n",
    );
    host.exec("mkfifo /run/gate").ok();
    host.write_file("/srv/token", "an old token");
    host.exec("chmod 0666 /srv/token; chown noisy /srv/token").ok();
    site.write(&CONFIGURATION.replace("var.token", "\"a secret of some length\""));
    site.project.write("secret.hclvars", "token = \"another\"\n");
    let run = site.spawn(&["apply", "--yes", "--var-file", "secret.hclvars"]);
    wait_for("half of the file", || host.has("/run/half"));
    assert_eq!(host.exec("stat -c '%a %U %s' /srv/.token.coxswain-*").ok().stdout, "600 root 10\n");
    host.exec("echo go >/run/gate").ok();
    run.end().ok();
    let seen = host.read_file("/run/seen").unwrap_or_default();
    // First what was there is kept; then the file is made.
    assert_eq!(seen, "moved 600 root\nbegun 600 root 0\nmoved 640 admin\n");
    assert_eq!(host.exec("stat -c '%a %U' /srv/token").ok().stdout, "640 admin\n");
    let kept = host.exec(
        "stat -c '%a %U' /var/lib/coxswain/kept; find /var/lib/coxswain/kept -type f -printf '%m %u\\n'",
    );
    assert_eq!(kept.ok().stdout, "700 root\n600 root\n");
}

#[test]
fn a_password_for_sudo_is_seen_nowhere() {
    const SUDO: &str = "hunter2-of-some-length";
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    host.exec(&format!("echo guarded:{SUDO} | chpasswd")).ok();
    let text = format!(
        "variable \"password\" {{\n  sensitive = true\n}}\nhost \"h0\" {{\n  address = \"{}\"\n  user = \"guarded\"\n  \
         sudo_password = var.password\n}}\nfile \"a\" {{\n  host = host.h0\n  path = \"/srv/a\"\n  content = \"a\"\n}}\n",
        host.address
    );
    site.project.write("main.hcl", text);
    let variables = site.project.home().join("secret.hclvars");
    std::fs::write(&variables, format!("password = {SUDO:?}\n")).expect("a file in a temporary folder");
    let variables = variables.to_str().expect("a path of ours").to_owned();
    let absent = |place: &str, bytes: &[u8]| {
        assert!(!bytes.windows(SUDO.len()).any(|window| window == SUDO.as_bytes()), "it is in {place}");
    };
    let mut seen = BTreeSet::new();
    for args in [&["plan", "--out", "p.coxplan"][..], &["apply", "--yes"], &["plan", "--json"]] {
        let mut running = site.spawn(&[args, &["--var-file", &variables]].concat());
        while !running.has_ended() {
            sample(&mut seen);
        }
        let ran = running.end();
        assert!([0, 2].contains(&ran.code), "{args:?}: {}{}", ran.stdout, ran.stderr);
        absent(&format!("the output of {args:?}"), (ran.stdout + &ran.stderr).as_bytes());
    }
    assert_eq!(host.read_file("/srv/a").as_deref(), Some("a"));
    seen.iter().for_each(|process| absent("the arguments or the environment of a process", process));
    site.files().iter().for_each(|(name, bytes)| absent(name, bytes));
    absent("the log of sshd", host.log().as_bytes());
    // The state has no password: what can be read without is compared, and nobody is asked.
    site.drift().ok();
    host.exec("chmod 0700 /srv").ok();
    let drift = site.drift().expect(1);
    assert!(drift.stdout.contains("Permission denied"), "{}", drift.stdout);
    assert!(!drift.stdout.contains("not there any more"), "{}", drift.stdout);
}
