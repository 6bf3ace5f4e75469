//! The laboratory itself: hosts come up, are different machines, break in the ways they are made to, and leave
//! nothing behind.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use support::sshlab::{Lab, PASSWORD};

/// Wide: a loaded machine with two cores needs a few seconds.
const TWENTY_HOSTS_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn twenty_hosts_are_twenty_machines_and_leave_nothing() {
    let start = Instant::now();
    let Some(lab) = Lab::start(20) else { return };
    println!("20 hosts up in {} ms", start.elapsed().as_millis());
    assert!(start.elapsed() < TWENTY_HOSTS_LIMIT);

    let ids: BTreeSet<_> = lab.hosts().iter().map(|host| host.machine_id()).collect();
    assert_eq!(ids.len(), 20);
    let t = Instant::now();
    for (index, host) in lab.hosts().iter().enumerate() {
        host.write_file("/var/lib/coxswain/mark", &host.name);
        assert_eq!(lab.ssh(index, "root", "cat /var/lib/coxswain/mark").ok().stdout, host.name);
        assert_eq!(
            lab.ssh(index, "root", "cat /etc/motd; hostname").ok().stdout,
            format!("This is {0}.\n{0}\n", host.name)
        );
    }
    assert!(!Path::new("/var/lib/coxswain/mark").exists());

    let dir = lab.dir().to_owned();
    let name = dir.file_name().unwrap().to_string_lossy().into_owned();
    let namespaces = || {
        let names = std::fs::read_dir("/run/netns").unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|entry| entry.to_string_lossy().starts_with(&name)).count()
    };
    assert_eq!(namespaces(), 21);
    println!("ssh {:?}", t.elapsed());
    drop(lab);
    println!("drop {:?}", t.elapsed());
    assert_eq!(namespaces(), 0);
    assert!(!dir.exists());
}

#[test]
fn users_log_in_and_become_root_as_they_may() {
    let Some(lab) = Lab::start(1) else { return };
    assert_eq!(lab.ssh(0, "admin", "id -un; sudo -n id -un").ok().stdout, "admin\nroot\n");
    assert_ne!(lab.ssh(0, "guarded", "sudo -n id -un").code, 0);
    let with = |password: &str| format!("sudo -k; echo {password} | sudo -S -p '' id -un");
    assert_eq!(lab.ssh(0, "guarded", &with(PASSWORD)).ok().stdout, "root\n");
    assert_ne!(lab.ssh(0, "guarded", &with("wrong")).code, 0);
    let noisy = lab.ssh(0, "noisy", "echo wanted").ok();
    assert!(noisy.stdout.ends_with("wanted\n") && noisy.stdout != "wanted\n", "{}", noisy.stdout);
    assert!(noisy.stderr.contains("noisy"));
}

#[test]
fn hosts_break_as_they_are_told() {
    let Some(lab) = Lab::start(2) else { return };
    let host = lab.host(0);
    let sessions = host.sessions_count();
    lab.ssh(0, "root", "echo kept >/srv/file").ok();
    assert_eq!(host.sessions_count(), sessions + 1);
    assert_eq!(host.connections_count(), sessions + 1);

    host.stop();
    assert_eq!(lab.ssh(0, "root", "true").code, 255);
    lab.ssh(1, "root", "true").ok();
    host.start();
    assert_eq!(lab.ssh(0, "root", "cat /srv/file").ok().stdout, "kept\n");

    let boot = host.read_file("/proc/sys/kernel/random/boot_id");
    host.reboot();
    let again = lab.ssh(0, "root", "cat /proc/sys/kernel/random/boot_id /srv/file").ok().stdout;
    assert_ne!(boot.map(|boot| boot + "kept\n"), Some(again));

    let id = host.machine_id();
    host.replace_machine();
    assert_ne!(host.machine_id(), id);
    assert!(!host.has("/srv/file"));
    lab.ssh(0, "root", "true").ok();

    host.change_host_key();
    let refused = lab.ssh(0, "root", "true").expect(255);
    assert!(refused.stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"), "{}", refused.stderr);
}

#[test]
fn a_broken_connection_ends_the_client() {
    let Some(lab) = Lab::start(1) else { return };
    let host = lab.host(0);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| lab.ssh(0, "root", "touch /tmp/started; sleep 100"));
        let start = Instant::now();
        while !host.has("/tmp/started") && start.elapsed() < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        host.kill_connections();
        assert_eq!(client.join().unwrap().code, 255);
    });
    lab.ssh(0, "root", "true").ok();
}
