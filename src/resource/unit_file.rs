//! What kinds that write units of systemd have in common.

use super::act::{Act, Content, Expect, Permissions};
use super::answer::Answer;
use super::kind::Answers;
use super::probe::Probe;
use super::reading::{Got, got};

/// A word of `ExecStart=`: systemd.service(5), "COMMAND LINES"; systemd.unit(5), "SPECIFIERS".
pub(super) fn word(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

/// A word of another setting, in quotes.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{escaped}\"")
}

/// A value of a setting that is one path or word.
pub(super) fn plain(text: &str) -> String {
    text.replace('%', "%%")
}

/// Whether a file holds this; not, where there is no file.
pub(super) fn holds(answers: &Answers, probe: &Probe, wanted: &str) -> Got<bool> {
    let content = got(answers, probe, |a| match a {
        Answer::Content(bytes) => Some(bytes == wanted.as_bytes()),
        Answer::TooLong => Some(false),
        _ => None,
    });
    match content {
        Got::Absent => Got::Found(false),
        other => other,
    }
}

/// Writes a unit's file.
pub(super) fn write(path: String, content: String) -> Act {
    Act::WriteFile {
        path,
        content: Content::new(content.into_bytes()),
        permissions: Permissions { mode: Some("0644".into()), ..Permissions::default() },
        expects: Expect::Anything,
    }
}

/// Whether this may be the name of a unit of coxswain's.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The unit of a path: systemd.unit(5), "STRING ESCAPING FOR INCLUSION IN UNIT NAMES".
pub(super) fn of_path(path: &str, suffix: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    if parts.is_empty() {
        return format!("-.{suffix}");
    }
    let mut name = String::new();
    for (at, byte) in parts.join("/").bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b if b.is_ascii_alphanumeric() || b == b'_' || b == b':' || (b == b'.' && at > 0) => {
                name.push(char::from(b))
            }
            b => name.push_str(&format!("\\x{b:02x}")),
        }
    }
    format!("{name}.{suffix}")
}
