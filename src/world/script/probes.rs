//! Probes: the script that asks, and what its output means. Nothing here writes; a test holds this.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Frame, Nonce, is_readable_path, is_word, quote, wrap};
use crate::resource::answer::{
    Answer, FactsAnswer, FileType, GroupAnswer, GuardAnswer, PackageAnswer, SaidAnswer, StatAnswer,
    UnitAnswer, UserAnswer,
};
use crate::resource::probe::{CONTENT_LIMIT, Probe, ReadProgram};

/// Exit code of a path probe: not a regular file.
const NOT_REGULAR: i32 = 93;
/// Exit code of a content probe: longer than the limit.
const TOO_LONG: i32 = 94;

/// Paths in one call of `cx_many`: they are arguments of a program.
const MANY: usize = 200;

/// The functions of the probes. Errors of a probe go to its standard output. To start a program costs more than
/// what it does: what the shell can tell it tells, and `cx_many` asks one program about all paths that are there,
/// and again one by one about those that are not, or where one of them went away meanwhile.
const FUNCTIONS: &str = r#"cx_facts() {
x=; if [ -r /etc/machine-id ]; then read -r x </etc/machine-id || :; fi; printf 'machine_id=%s\n' "$x"
x=; if [ -r /proc/sys/kernel/random/boot_id ]; then read -r x </proc/sys/kernel/random/boot_id || :; fi; printf 'boot_id=%s\n' "$x"
if [ -r /etc/os-release ]; then
while IFS= read -r x || [ -n "$x" ]; do
case $x in ID=*) printf 'os=%s\n' "${x#*=}" ;; VERSION_ID=*) printf 'os_version=%s\n' "${x#*=}" ;; esac
done </etc/os-release
fi
x=$(dpkg --print-architecture 2>/dev/null) || x=$(uname -m); printf 'arch=%s\n' "$x"
cx_kernel hostname /proc/sys/kernel/hostname -n
cx_kernel kernel /proc/sys/kernel/osrelease -r
x=$(id -un); printf 'user=%s\n' "$x"
printf 'ssh_connection=%s\n' "$SSH_CONNECTION"
case $x in root) x=/var/lib/coxswain/guard ;; *) x=$HOME/.local/state/coxswain/guard ;; esac
if [ -e "$x/revert" ] || [ -e "$x/firing" ]; then
c=counts; if flock -n "$x/timer" true; then c=stopped; fi
printf 'guard=%s %s %s\n' "$c" "$(cat "$x/after")" "$(cat "$x/who")"
fi
}
cx_kernel() {
x=; if [ -r "$2" ]; then read -r x <"$2" || :; fi
if [ -z "$x" ]; then x=$(uname "$3"); fi
printf '%s=%s\n' "$1" "$x"
}
cx_plain() { [ -f "$1" ] && [ ! -L "$1" ]; }
cx_regular() {
if cx_plain "$1"; then return 0; fi
x=$(stat -c %f -- "$1" 2>&1) || { printf %s "$x"; return 1; }
case $x in 8???) return 0 ;; esac
return 93
}
cx_stat() { stat -c '%f %u %g %s %Y %U:%G' -- "$@"; }
cx_digest() { cx_regular "$1" && sha256sum -- "$1"; }
cx_content() {
cx_regular "$1" || return
x=$(stat -c %s -- "$1" 2>&1) || { printf %s "$x"; return 1; }
if [ "$x" -gt "$L" ]; then return 94; fi
base64 -w 0 -- "$1"
}
cx_user() {
x=$(getent passwd -- "$1") || return
printf '%s\n' "$x"
x=${x#*:*:*:}; x=${x%%:*}
x=$(getent group -- "$x") || x=
printf '%s\n' "${x%%:*}"
id -nGz -- "$1" 2>/dev/null | tr '\0' '\n'
}
cx_group() { getent group -- "$1"; }
cx_packages() { dpkg-query -W -f='${Package} ${Architecture} ${db:Status-Abbrev}|${Version}\n' -- "$@"; }
cx_unit() { printf 'Asked=%s\n' "$(date +%s)"; systemctl show --no-pager --property=LoadState,ActiveState,SubState,UnitFileState,FragmentPath,NeedDaemonReload,MainPID,ExecMainStartTimestamp,ActiveEnterTimestamp -- "$1"; }
cx_many() {
c=$1; j=$2; shift 2; n=$#; l=
for f in "$@"; do
if [ -e "$f" ] && { [ "$c" = cx_stat ] || cx_plain "$f"; }; then set -- "$@" "$f"; l="$l $j"; else cx_p "$j" "$c" "$f"; fi
j=$((j + 1))
done
shift "$n"
if [ $# = 0 ]; then return; fi
case $c in
cx_stat) y=$(cx_stat "$@" 2>/dev/null) ;;
*) y=$(sha256sum -- "$@" 2>/dev/null) ;;
esac
r=$?
for j in $l; do
if [ "$r" = 0 ]; then cx_b "$j"; printf '%s\n' "${y%%"$B"*}"; cx_e "$j" 0; y=${y#*"$B"}; else cx_p "$j" "$c" "$1"; shift; fi
done
}
cx_p() { i=$1; shift; cx_b "$i"; "$@" 2>&1; cx_e "$i" $?; }
"#;

/// A script that answers probes.
#[derive(Debug)]
pub struct ReadScript {
    /// For a shell's standard input.
    pub text: Zeroizing<String>,
    items: Vec<Item>,
    probes: Vec<Probe>,
}

/// One part of the script.
#[derive(Debug)]
enum Item {
    /// One probe.
    One(usize),
    /// All packages in one query.
    Packages(Vec<usize>),
}

/// Makes the script of these probes. Probes no script can ask are answered `Unknown` by [`ReadScript::parse`].
pub fn compile_probes(probes: &[Probe], nonce: &Nonce) -> ReadScript {
    let mut items = Vec::new();
    let mut body = String::new();
    let mut programs = BTreeSet::new();
    let mut packages = Vec::new();
    let (mut stats, mut digests) = (Vec::new(), Vec::new());
    for (index, probe) in probes.iter().enumerate() {
        if refuse(probe).is_some() {
            continue;
        }
        let call = match probe {
            Probe::Facts => "cx_facts".to_owned(),
            Probe::Stat(path) => {
                stats.push((index, path));
                continue;
            }
            Probe::Digest(path) => {
                digests.push((index, path));
                continue;
            }
            Probe::Content(path) => format!("cx_content {}", quote(path)),
            Probe::User(name) => format!("cx_user {}", quote(name)),
            Probe::Group(name) => format!("cx_group {}", quote(name)),
            Probe::Unit(name) => format!("cx_unit {}", quote(name)),
            Probe::Says { program, words } => {
                programs.insert(*program);
                let words: Vec<String> = words.iter().map(|w| quote(w)).collect();
                format!("cx_says_{} {}", program.name, words.join(" "))
            }
            Probe::Package(_) => {
                packages.push(index);
                continue;
            }
        };
        body.push_str(&format!("cx_p {} {call}\n", items.len()));
        items.push(Item::One(index));
    }
    for (function, paths) in [("cx_stat", &stats), ("cx_digest", &digests)] {
        for part in paths.chunks(MANY) {
            body.push_str(&format!("cx_many {function} {}", items.len()));
            for (index, path) in part {
                body.push(' ');
                body.push_str(&quote(path));
                items.push(Item::One(*index));
            }
            body.push('\n');
        }
    }
    if !packages.is_empty() {
        body.push_str(&format!("cx_p {} cx_packages", items.len()));
        for index in &packages {
            if let Probe::Package(name) = &probes[*index] {
                body.push(' ');
                body.push_str(&quote(name));
            }
        }
        body.push('\n');
        items.push(Item::Packages(packages));
    }
    let mut functions = format!("L={CONTENT_LIMIT}\nB='\n'\n{FUNCTIONS}");
    for ReadProgram { name, text } in programs {
        // A subshell: no program sees what another has set.
        functions.push_str(&format!("cx_says_{name}() (\n{text}\n)\n"));
    }
    ReadScript { text: wrap(nonce, &functions, &body), items, probes: probes.to_vec() }
}

/// Why no script can ask this.
fn refuse(probe: &Probe) -> Option<&'static str> {
    let is_name = |name: &str, more: &str| {
        !name.is_empty()
            && !name.starts_with('-')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    match probe {
        Probe::Facts => None,
        Probe::Stat(path) | Probe::Digest(path) | Probe::Content(path) => {
            (!is_readable_path(path)).then_some("not an absolute path")
        }
        Probe::User(name) | Probe::Group(name) => {
            let is_number = name.bytes().all(|b| b.is_ascii_digit());
            (is_number || !is_name(name, "._-$@+\\")).then_some("not a name of a user or group")
        }
        Probe::Package(name) => (!is_name(name, "+-.:")).then_some("not a name of a package"),
        Probe::Unit(name) => (!is_name(name, ":-_.\\@")).then_some("not a name of a unit"),
        Probe::Says { words, .. } => {
            words.iter().any(|w| !is_word(w)).then_some("a word no shell can be given")
        }
    }
}

impl ReadScript {
    /// Answers in the order of the probes. A part that is missing is `Unknown`.
    pub fn parse(&self, frames: &[Frame]) -> Vec<Answer> {
        let mut answers: Vec<Answer> = self
            .probes
            .iter()
            .map(|probe| Answer::Unknown(refuse(probe).unwrap_or("no answer came").to_owned()))
            .collect();
        for frame in frames {
            match self.items.get(frame.index) {
                Some(Item::One(index)) => answers[*index] = answer(&self.probes[*index], frame),
                Some(Item::Packages(indexes)) => {
                    for index in indexes {
                        if let Probe::Package(name) = &self.probes[*index] {
                            answers[*index] = package(name, frame);
                        }
                    }
                }
                None => {}
            }
        }
        answers
    }
}

/// The answer to one probe from its part of the output.
pub fn answer(probe: &Probe, frame: &Frame) -> Answer {
    let text = String::from_utf8_lossy(&frame.bytes);
    let parsed = match probe {
        Probe::Facts => Some(facts(&text)),
        Probe::Package(name) => Some(package(name, frame)),
        Probe::Stat(_) if frame.code == 0 => stat(&text),
        Probe::Digest(_) if frame.code == 0 => digest(&text),
        Probe::Content(_) if frame.code == 0 => content(&frame.bytes),
        Probe::Stat(_) | Probe::Digest(_) | Probe::Content(_) => Some(path_error(&text, frame.code)),
        // getent: 2 is "no such key", everything else is a failure of the lookup.
        Probe::User(_) | Probe::Group(_) if frame.code == 2 => Some(Answer::Absent),
        Probe::User(name) if frame.code == 0 => user(name, &text),
        Probe::Group(name) if frame.code == 0 => group(name, &text),
        Probe::Unit(_) if frame.code == 0 => unit(&text),
        Probe::Says { .. } => Some(Answer::Said(SaidAnswer { code: frame.code, text: text.to_string() })),
        Probe::User(_) | Probe::Group(_) | Probe::Unit(_) => Some(failure(&text, frame.code)),
    };
    parsed.unwrap_or_else(|| Answer::Unknown(format!("not understood: {}", sample(&text))))
}

fn sample(text: &str) -> String {
    text.trim().chars().take(300).collect()
}

fn failure(text: &str, code: i32) -> Answer {
    let said = sample(text);
    Answer::Unknown(if said.is_empty() { format!("exit code {code}") } else { said })
}

/// The reason stands last in what coreutils print, after the path: a path cannot pretend to be one.
fn path_error(text: &str, code: i32) -> Answer {
    let text = text.trim_end();
    match code {
        NOT_REGULAR => Answer::Unknown("not a regular file".to_owned()),
        TOO_LONG => Answer::TooLong,
        _ if text.ends_with(": No such file or directory") || text.ends_with(": Not a directory") => {
            Answer::Absent
        }
        _ => failure(text, code),
    }
}

fn facts(text: &str) -> Answer {
    let mut facts = FactsAnswer::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim().trim_matches(['"', '\'']).to_owned();
        match key {
            "machine_id" => facts.machine_id = value,
            "boot_id" => facts.boot_id = value,
            "os" => facts.os = value,
            "os_version" => facts.os_version = value,
            "arch" => facts.arch = debian_arch(&value),
            "hostname" => facts.hostname = value,
            "kernel" => facts.kernel = value,
            "user" => facts.user = value,
            "ssh_connection" => facts.ssh_connection = value,
            "guard" => facts.guard = guard(&value),
            _ => {}
        }
    }
    Answer::Facts(facts)
}

/// A guard that went while it was looked at has no words left.
fn guard(text: &str) -> Option<Box<GuardAnswer>> {
    let mut words = text.splitn(3, ' ');
    let is_counting = words.next()? == "counts";
    let after_s = words.next()?.parse().ok()?;
    Some(Box::new(GuardAnswer { after_s, who: words.next().unwrap_or_default().to_owned(), is_counting }))
}

fn debian_arch(name: &str) -> String {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "armhf",
        "i686" | "i586" => "i386",
        other => other,
    }
    .to_owned()
}

fn stat(text: &str) -> Option<Answer> {
    let mut words = text.trim_end_matches('\n').splitn(6, ' ');
    let raw = u32::from_str_radix(words.next()?, 16).ok()?;
    let uid: u32 = words.next()?.parse().ok()?;
    let gid: u32 = words.next()?.parse().ok()?;
    let size = words.next()?.parse().ok()?;
    let mtime = words.next()?.parse().ok()?;
    let (owner, group) = words.next()?.split_once(':')?;
    let named = |name: &str, id: u32| if name == "UNKNOWN" { id.to_string() } else { name.to_owned() };
    let file_type = match raw & 0o170_000 {
        0o100_000 => FileType::File,
        0o040_000 => FileType::Directory,
        0o120_000 => FileType::Symlink,
        _ => FileType::Other,
    };
    Some(Answer::Stat(StatAnswer {
        file_type,
        mode: format!("{:04o}", raw & 0o7777),
        uid,
        gid,
        owner: named(owner, uid),
        group: named(group, gid),
        size,
        mtime,
    }))
}

/// The first word; a backslash before it says that the name after it is escaped.
fn digest(text: &str) -> Option<Answer> {
    let word = text.strip_prefix('\\').unwrap_or(text).split(' ').next()?;
    let is_digest = word.len() == 64 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_digest.then(|| Answer::Digest(word.to_owned()))
}

fn content(bytes: &[u8]) -> Option<Answer> {
    let bytes = STANDARD.decode(bytes).ok()?;
    Some(if bytes.len() > CONTENT_LIMIT { Answer::TooLong } else { Answer::Content(bytes) })
}

fn user(name: &str, text: &str) -> Option<Answer> {
    let mut lines = text.lines();
    let fields: Vec<&str> = lines.next()?.split(':').collect();
    let [found, _, uid, gid, comment, home, shell] = fields[..] else { return None };
    if found != name {
        return Some(Answer::Absent);
    }
    let gid: u32 = gid.parse().ok()?;
    let primary = lines.next()?;
    let primary_group = if primary.is_empty() { gid.to_string() } else { primary.to_owned() };
    let mut all: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    if all.is_empty() {
        // `id` names at least the primary group; nothing at all is a failure, not "no groups".
        return None;
    }
    all.sort_unstable();
    all.dedup();
    let groups = all.into_iter().filter(|g| *g != primary_group).map(str::to_owned).collect();
    Some(Answer::User(UserAnswer {
        uid: uid.parse().ok()?,
        gid,
        primary_group,
        comment: comment.to_owned(),
        home: home.to_owned(),
        shell: shell.to_owned(),
        groups,
    }))
}

fn group(name: &str, text: &str) -> Option<Answer> {
    let fields: Vec<&str> = text.lines().next()?.split(':').collect();
    let [found, _, gid, members] = fields[..] else { return None };
    if found != name {
        return Some(Answer::Absent);
    }
    let mut members: Vec<String> = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
    members.sort_unstable();
    members.dedup();
    Some(Answer::Group(GroupAnswer { gid: gid.parse().ok()?, members }))
}

/// One package from the output of the query of all: 1 means that some are not known, and the known ones are there.
fn package(name: &str, frame: &Frame) -> Answer {
    let text = String::from_utf8_lossy(&frame.bytes);
    if frame.code != 0 && frame.code != 1 {
        return failure(&text, frame.code);
    }
    let mut best = None;
    for line in text.lines().filter(|line| !line.starts_with("dpkg-query: ")) {
        let Some(parsed) = package_line(name, line) else { continue };
        if best.as_ref().is_none_or(|old: &PackageAnswer| !old.installed && parsed.installed) {
            best = Some(parsed);
        }
    }
    if let Some(best) = best {
        return Answer::Package(best);
    }
    let not_found = format!("dpkg-query: no packages found matching {name}");
    let is_uninstalled = text.lines().any(|line| {
        line == not_found || line.split(' ').next().is_some_and(|p| name.split(':').next() == Some(p))
    });
    if is_uninstalled { Answer::Absent } else { failure(&text, frame.code) }
}

/// `NAME ARCH ii |VERSION`; `None` for another package and for one that dpkg only knows by name.
fn package_line(name: &str, line: &str) -> Option<PackageAnswer> {
    let (left, version) = line.split_once('|')?;
    let mut words = left.splitn(3, ' ');
    let (found, arch, status) = (words.next()?, words.next()?, words.next()?);
    let is_same = match name.split_once(':') {
        Some((name, wanted)) => found == name && (arch == wanted || wanted == "any"),
        None => found == name,
    };
    let mut letters = status.chars();
    let (want, state, error) = (letters.next()?, letters.next()?, letters.next().unwrap_or(' '));
    if !is_same || state == 'n' {
        return None;
    }
    let broken = matches!(state, 'H' | 'F' | 'U' | 'W' | 't') || error == 'R';
    Some(PackageAnswer {
        version: version.to_owned(),
        installed: state == 'i' && !broken,
        held: want == 'h',
        broken,
    })
}

fn unit(text: &str) -> Option<Answer> {
    let mut unit = UnitAnswer::default();
    let (mut is_running, mut main, mut entered) = (false, 0, 0);
    for line in text.lines() {
        let (key, value) = line.split_once('=')?;
        match key {
            "LoadState" => unit.load = value.to_owned(),
            "ActiveState" => unit.active = value.to_owned(),
            "SubState" => unit.sub = value.to_owned(),
            "UnitFileState" => unit.enabled = value.to_owned(),
            "FragmentPath" => unit.fragment = value.to_owned(),
            "NeedDaemonReload" => unit.needs_reload = value == "yes",
            "MainPID" => is_running = value != "0",
            "ExecMainStartTimestamp" => main = epoch(value),
            "ActiveEnterTimestamp" => entered = epoch(value),
            "Asked" => unit.asked = value.parse().ok()?,
            _ => {}
        }
    }
    // Units without a main process (timers, mounts, one-shots that remain) started when they became active.
    unit.started = match (is_running, unit.active.as_str()) {
        (true, _) => main,
        (false, "active") => entered,
        (false, _) => 0,
    };
    (!unit.load.is_empty()).then_some(Answer::Unit(unit))
}

/// `Thu 2026-11-26 06:32:05 UTC`, as systemctl prints with `TZ=UTC`; 0 for none.
fn epoch(text: &str) -> i64 {
    let mut words = text.split(' ');
    let (Some(_), Some(date), Some(time), Some("UTC"), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return 0;
    };
    let time = time.split('.').next().unwrap_or(time);
    format!("{date}T{time}Z").parse::<jiff::Timestamp>().map_or(0, |t| t.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WRITING: &[&str] = &[
        "rm",
        "mv",
        "cp",
        "ln",
        "dd",
        "tee",
        "touch",
        "install",
        "truncate",
        "mkdir",
        "rmdir",
        "mktemp",
        "chmod",
        "chown",
        "chgrp",
        "sync",
        "kill",
        "useradd",
        "usermod",
        "userdel",
        "groupadd",
        "apt-get",
        "start",
        "stop",
        "restart",
        "enable",
        "disable",
        "mask",
        "unmask",
        "daemon-reload",
        "eval",
        "source",
        "sudo",
        "mount",
    ];

    fn all() -> Vec<Probe> {
        let path = || "/etc/motd".to_owned();
        vec![
            Probe::Facts,
            Probe::Stat(path()),
            Probe::Digest(path()),
            Probe::Content(path()),
            Probe::User("eth".into()),
            Probe::Group("eth".into()),
            Probe::Package("jq".into()),
            Probe::Package("chrony".into()),
            Probe::Unit("chrony.service".into()),
        ]
    }

    fn one(probe: &Probe, code: i32, text: &str) -> Answer {
        answer(probe, &Frame { index: 0, code, bytes: text.as_bytes().to_vec() })
    }

    #[test]
    fn probes_never_write() {
        let script = compile_probes(&all(), &Nonce::from_bits(7));
        let text = script.text.as_str();
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')) {
            assert!(!WRITING.contains(&word), "{word}");
        }
        // Output goes to the streams, or nowhere.
        for (at, _) in text.match_indices('>') {
            let rest = &text[at + 1..];
            assert!(
                rest.starts_with("&1") || rest.starts_with("&2") || rest.starts_with("/dev/null"),
                "{rest}"
            );
        }
    }

    #[test]
    fn packages_are_asked_in_one_query_and_hostile_names_not_at_all() {
        let script = compile_probes(&all(), &Nonce::from_bits(7));
        assert_eq!(script.text.matches("cx_packages 'jq' 'chrony'").count(), 1);
        let hostile = [
            Probe::Package("*".into()),
            Probe::Package("--admindir=/x".into()),
            Probe::User("a;b".into()),
            Probe::Unit("$(x).service".into()),
            Probe::Stat("relative".into()),
        ];
        let script = compile_probes(&hostile, &Nonce::from_bits(7));
        assert!(!script.text.contains("cx_p 0"));
        assert!(script.parse(&[]).iter().all(|a| matches!(a, Answer::Unknown(_))));
    }

    #[test]
    fn a_path_cannot_pretend_to_be_absent() {
        let probe = Probe::Stat("/x".into());
        let said = "stat: cannot statx '/x: No such file or directory': Permission denied";
        assert!(matches!(one(&probe, 1, said), Answer::Unknown(_)));
        assert_eq!(one(&probe, 1, "stat: cannot statx '/x': No such file or directory\n"), Answer::Absent);
        assert_eq!(one(&probe, 1, "stat: cannot statx '/x/y': Not a directory"), Answer::Absent);
        assert!(matches!(one(&probe, 0, "gibberish"), Answer::Unknown(r) if r.contains("not understood")));
    }

    #[test]
    fn stat_and_digest() {
        let Answer::Stat(stat) = one(&Probe::Stat("/x".into()), 0, "89ed 1000 7 12 1700000000 eth:UNKNOWN\n")
        else {
            panic!()
        };
        assert_eq!((stat.file_type, stat.mode.as_str()), (FileType::File, "4755"));
        assert_eq!((stat.owner.as_str(), stat.group.as_str(), stat.size), ("eth", "7", 12));
        let digest = "a".repeat(64);
        let probe = Probe::Digest("/x".into());
        assert_eq!(one(&probe, 0, &format!("\\{digest}  /a\\nb\n")), Answer::Digest(digest));
        assert!(matches!(one(&probe, NOT_REGULAR, ""), Answer::Unknown(_)));
        assert_eq!(one(&Probe::Content("/x".into()), TOO_LONG, ""), Answer::TooLong);
    }

    #[test]
    fn accounts() {
        let probe = Probe::User("eth".into());
        let text = "eth:x:2000:2000:Mr, E:/srv/eth:/bin/bash\neth\neth\nsudo\ndocker\n\n";
        let Answer::User(user) = one(&probe, 0, text) else { panic!() };
        assert_eq!((user.uid, user.primary_group.as_str(), user.comment.as_str()), (2000, "eth", "Mr, E"));
        assert_eq!(user.groups, ["docker", "sudo"]);
        assert_eq!(one(&probe, 2, ""), Answer::Absent);
        assert!(matches!(one(&probe, 127, "sh: getent: not found"), Answer::Unknown(_)));
        assert!(
            matches!(one(&probe, 0, "eth:x:2000:2000::/:/bin/sh\neth\n"), Answer::Unknown(_)),
            "no groups"
        );
        assert_eq!(
            one(&Probe::Group("g".into()), 0, "g:x:5:b,a\n"),
            Answer::Group(GroupAnswer { gid: 5, members: vec!["a".into(), "b".into()] })
        );
    }

    #[test]
    fn packages_by_their_three_letters() {
        let text = "jq amd64 ii |1.7-1\nheld amd64 hi |2\nrest amd64 rc |3\nhalf amd64 iF |4\nbad amd64 iiR|5\nknown  un |\nlib i386 rc |1\nlib amd64 ii |2\ndpkg-query: no packages found matching none\n";
        let frame = Frame { index: 0, code: 1, bytes: text.as_bytes().to_vec() };
        let flags = |name: &str| match package(name, &frame) {
            Answer::Package(p) => format!("{} {} {} {}", p.version, p.installed, p.held, p.broken),
            other => format!("{other:?}"),
        };
        assert_eq!(flags("jq"), "1.7-1 true false false");
        assert_eq!(flags("held"), "2 true true false");
        assert_eq!(flags("rest"), "3 false false false");
        assert_eq!(flags("half"), "4 false false true");
        assert_eq!(flags("bad"), "5 false false true");
        assert_eq!(flags("lib"), "2 true false false");
        assert_eq!(flags("lib:i386"), "1 false false false");
        assert_eq!(flags("known"), "Absent");
        assert_eq!(flags("none"), "Absent");
        assert!(flags("unheard").starts_with("Unknown"));
        let lock = Frame { index: 0, code: 2, bytes: b"dpkg-query: error: x".to_vec() };
        assert!(matches!(package("jq", &lock), Answer::Unknown(_)));
    }

    #[test]
    fn units() {
        let text = "Asked=1795674800\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nFragmentPath=/etc/systemd/system/x.service\nNeedDaemonReload=yes\nMainPID=7\nExecMainStartTimestamp=Thu 2026-11-26 06:32:05 UTC\nActiveEnterTimestamp=\n";
        let Answer::Unit(unit) = one(&Probe::Unit("x.service".into()), 0, text) else { panic!() };
        assert!(unit.needs_reload);
        assert_eq!((unit.started, unit.enabled.as_str()), (1_795_674_725, "enabled"));
        assert_eq!(unit.asked, 1_795_674_800);
        let Answer::Unit(stopped) =
            one(&Probe::Unit("x".into()), 0, &text.replace("=7", "=0").replace("=active", "=failed"))
        else {
            panic!()
        };
        assert_eq!(stopped.started, 0);
        let said = "System has not been booted with systemd as init system (PID 1). Can't operate.";
        assert!(matches!(one(&Probe::Unit("x".into()), 1, said), Answer::Unknown(r) if r == said));
    }

    proptest! {
        #[test]
        fn random_answers_never_panic(code in 0i32..130, bytes in proptest::collection::vec(any::<u8>(), 0..200), which in 0usize..9) {
            let probe = &all()[which];
            let _ = answer(probe, &Frame { index: 0, code, bytes });
        }
    }
}
