//! The programs for `sh` below `src/resource`: what only reads holds nothing that writes, and all are shell.
//!
//! Programs that read are run by every plan and by the drift check, as root, while others work on the host: this
//! test is what "a plan changes nothing" stands on.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Words that change something, as programs or as what they are told.
const WRITES: &[&str] = &[
    "rm",
    "mv",
    "cp",
    "ln",
    "dd",
    "tee",
    "touch",
    "mkdir",
    "rmdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "install",
    "truncate",
    "chmod",
    "chown",
    "chgrp",
    "setfacl",
    "chattr",
    "mount",
    "umount",
    "swapon",
    "swapoff",
    "mkswap",
    "kill",
    "pkill",
    "killall",
    "reboot",
    "shutdown",
    "poweroff",
    "start",
    "stop",
    "restart",
    "reload",
    "enable",
    "disable",
    "mask",
    "unmask",
    "daemon-reload",
    "set-timezone",
    "set-property",
    "apt",
    "dpkg",
    "useradd",
    "usermod",
    "userdel",
    "groupadd",
    "groupmod",
    "groupdel",
    "passwd",
    "modprobe",
    "insmod",
    "rmmod",
    "insert",
    "delete",
    "allow",
    "deny",
    "reject",
    "limit",
    "flush",
    "refresh",
    "remove",
    "purge",
    "hold",
    "unhold",
    "sed -i",
    "exportfs -r",
    "exportfs -a",
    "exportfs -u",
    "sysctl -w",
    "sysctl -p",
    "systemd-run",
    "apt-get install",
    "apt-get update",
    "apt-get upgrade",
    "POST",
    "PUT",
];
/// Redirections that change nothing.
const HARMLESS: &[&str] = &["1>&3", "3>&-", "3>&1", ">/dev/null", ">&1", ">&2", "2>&1", "> 0", ">= ", "> 1"];

fn programs(directory: &str) -> Vec<(String, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/resource").join(directory);
    let mut found: Vec<(String, String)> = fs::read_dir(&directory)
        .unwrap_or_else(|e| panic!("{}: {e}", directory.display()))
        .map(|entry| {
            let entry = entry.expect("an entry of the directory");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(entry.path()).expect("a program is text"))
        })
        .collect();
    found.sort();
    assert!(found.iter().all(|(name, _)| name.ends_with(".sh")), "{found:?}");
    assert!(!found.is_empty());
    found
}

/// The code of a line, without a comment that is the whole line.
fn code(line: &str) -> &str {
    if line.trim_start().starts_with('#') { "" } else { line }
}

/// What in a line writes.
fn writing(line: &str) -> Option<String> {
    // A look-up is no change.
    let line = &code(line).replace("getent passwd", "");
    let mut redirected = line.to_owned();
    for harmless in HARMLESS {
        redirected = redirected.replace(harmless, "");
    }
    if redirected.contains('>') {
        return Some(">".to_owned());
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./$*".contains(c);
    let found = WRITES.iter().find(|word| {
        line.match_indices(*word)
            .any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
    });
    found.map(|word| (*word).to_owned())
}

#[test]
fn what_reads_does_not_write() {
    let mut places = Vec::new();
    for (name, text) in programs("read") {
        for (at, line) in text.lines().enumerate() {
            if let Some(word) = writing(line) {
                places.push(format!("{name}:{}: `{word}`: {line}", at + 1));
            }
        }
    }
    assert!(places.is_empty(), "programs that only read hold words that write:\n{}", places.join("\n"));
}

#[test]
fn what_writes_is_found() {
    for line in [
        "rm -f x",
        "x=$(ufw delete 1)",
        "echo a >b",
        "echo a >>\"$f\"",
        "sed -i s/a/b/ f",
        "\tsystemctl restart x",
    ] {
        assert!(writing(line).is_some(), "{line}");
    }
    for line in [
        "# rm",
        "cat /etc/x 2>/dev/null",
        "stat -- \"$1\" 2>&1",
        "ufw status",
        "ls /run/reboot-required",
        "[ -e a ]",
    ] {
        assert_eq!(writing(line), None, "{line}");
    }
}

#[test]
fn programs_are_shell() {
    for (name, text) in programs("read").into_iter().chain(programs("run")) {
        assert!(!text.contains('\r') && text.ends_with('\n'), "{name}");
        let said =
            Command::new("sh").args(["-n", "-c", &text]).stdin(Stdio::null()).output().expect("sh runs");
        assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));
    }
}
