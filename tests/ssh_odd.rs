//! Hosts that are odd: full disks, shells that let nobody in, ways that change; and what must stay in the state.

mod support;

use support::site::{Site, temporary_files};

const FILE: &str = "file \"a\" {\n  host = host.h0\n  path = \"/srv/a\"\n  source = \"a.txt\"\n}\n";

#[test]
fn a_full_disk_leaves_the_old_file_and_no_temporary_one() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    host.exec("mount -t tmpfs -o size=64k lab /srv").ok();
    site.project.write("a.txt", "old");
    site.write(FILE);
    site.apply().ok();
    site.project.write("a.txt", "new\n".repeat(100_000));
    let failed = site.apply().expect(4);
    assert!(failed.stdout.contains("No space left on device"), "{}", failed.stdout);
    assert!(failed.stdout.contains("write /srv/a"), "{}", failed.stdout);
    assert_eq!(host.read_file("/srv/a").as_deref(), Some("old"));
    assert_eq!(host.exec("ls -A /srv").ok().stdout, "a\n");
    host.exec("mount -o remount,size=8m /srv").ok();
    site.apply().ok();
    assert_eq!(host.read_file("/srv/a").map(|text| text.len()), Some(400_000));
    site.expect_no_op();
}

#[test]
fn a_read_only_directory_is_a_clear_error() {
    let Some(site) = Site::start(1) else { return };
    let host = site.host(0);
    site.project.write("a.txt", "old");
    site.write(FILE);
    site.apply().ok();
    host.exec("mount --bind /srv /srv && mount -o remount,ro,bind /srv").ok();
    site.project.write("a.txt", "new");
    let failed = site.apply().expect(4);
    assert!(failed.stdout.contains("Read-only file system"), "{}", failed.stdout);
    host.exec("umount /srv").ok();
    site.apply().ok();
    assert_eq!(host.read_file("/srv/a").as_deref(), Some("new"));
    assert_eq!(temporary_files(host), "");
}

#[test]
fn a_login_shell_that_lets_nobody_in_is_named() {
    let Some(site) = Site::start(1) else { return };
    site.host(0).exec("usermod -s /usr/sbin/nologin admin").ok();
    site.project.write("a.txt", "a");
    site.write_as("admin", FILE);
    let planned = site.plan().expect(1);
    assert!(
        planned.stdout.contains("there is no shell: This account is currently not available"),
        "{}",
        planned.stdout
    );
}

#[test]
fn the_way_to_a_host_may_change() {
    let Some(site) = Site::start(2) else { return };
    site.project.write("a.txt", "a");
    site.write(FILE);
    site.apply().ok();
    site.write_as("admin", FILE);
    let planned = site.plan().expect(2);
    assert!(planned.stdout.contains("user: \"root\" -> \"admin\""), "{}", planned.stdout);
    assert!(planned.stdout.contains("2 noted in the state alone"), "{}", planned.stdout);
    site.apply().ok();
    site.expect_no_op();
    site.drift().ok();
    assert!(site.host(0).log().contains("Accepted publickey for admin"));
    // Another address, and another machine at it: what is at h1 is not taken for h0.
    let text = site
        .project
        .read("main.hcl")
        .replace(&format!("\"{}\"", site.host(0).address), &format!("\"{}\"", site.host(1).address));
    site.project.write("main.hcl", text);
    let planned = site.plan().expect(1);
    assert!(planned.stderr.contains("another machine answers at host.h0"), "{}", planned.stderr);
}

#[test]
fn destroy_passes_over_a_host_that_is_down() {
    let Some(site) = Site::start(2) else { return };
    let text = ["h0", "h1"]
        .map(|h| format!("file \"{h}\" {{\n  host = host.{h}\n  path = \"/srv/a\"\n  content = \"x\"\n}}\n"))
        .concat();
    site.write(&text);
    site.apply().ok();
    site.host(1).stop();
    site.destroy().expect(1);
    assert!(site.host(0).has("/srv/a"));
    site.run(&["destroy", "--yes", "--allow-unreachable"]).ok();
    assert!(!site.host(0).has("/srv/a"));
    assert_eq!(site.run(&["state", "list"]).ok().stdout, "file.h1\nhost.h1\n");
    site.host(1).start();
    site.destroy().ok();
    assert!(!site.host(1).has("/srv/a"));
    assert_eq!(site.run(&["state", "list"]).ok().stdout, "");
}

#[test]
fn a_host_stays_in_the_state_with_what_stays_on_it() {
    let Some(site) = Site::start(1) else { return };
    site.project.write("a.txt", "a");
    site.write(
        &(FILE.to_owned() + "file \"b\" {\n  host = host.h0\n  path = \"/srv/b\"\n  content = \"x\"\n}\n"),
    );
    site.apply().ok();
    site.run(&["destroy", "--yes", "--exclude", "file.a"]).ok();
    assert_eq!(site.run(&["state", "list"]).ok().stdout, "file.a\nhost.h0\n");
    assert!(site.host(0).has("/srv/a") && !site.host(0).has("/srv/b"));
    site.destroy().ok();
    assert_eq!(site.run(&["state", "list"]).ok().stdout, "");
    assert!(!site.host(0).has("/srv/a"));
}

#[test]
fn what_cannot_be_removed_keeps_its_host() {
    let Some(site) = Site::start(1) else { return };
    site.project.write("a.txt", "a");
    site.write(FILE);
    site.apply().ok();
    site.host(0).exec("mount --bind /srv /srv && mount -o remount,ro,bind /srv").ok();
    let failed = site.destroy().expect(4);
    assert!(failed.stdout.contains("Read-only file system"), "{}", failed.stdout);
    assert_eq!(site.run(&["state", "list"]).ok().stdout, "file.a  # indeterminate\nhost.h0\n");
    site.host(0).exec("umount /srv").ok();
    site.destroy().ok();
    assert_eq!(site.run(&["state", "list"]).ok().stdout, "");
    assert!(!site.host(0).has("/srv/a"));
}
