//! Probes and acts as POSIX `sh` scripts, and the framed output of these scripts. Pure.
//!
//! ```text
//! [Probe] ─compile→ ( functions; b 0; probe 0; e 0 … ) </dev/null; z ─sh→ frames ─parse→ [Answer]
//! ```
//!
//! A script is one compound command: a shell that got only half of it runs nothing. It runs in a subshell, so that
//! nothing it does changes the persistent shell. Each part prints between two marks that hold a nonce given by the
//! caller, on standard output and standard error alike; what is printed outside the marks (a noisy login) is skipped.
//! Contents travel as base64 through the `printf` builtin: no process ever has them among its arguments.

pub mod acts;
pub mod frames;
pub mod probes;

use std::fmt::Write as _;

use zeroize::Zeroizing;

pub use acts::{ActOptions, ActScript, compile_acts};
pub use frames::{Frame, Frames};
pub use probes::{ReadScript, compile_probes};

/// A random word that separates our frames from everything else a shell prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// From random bits, drawn by the caller at the edge.
    pub fn from_bits(bits: u128) -> Nonce {
        Nonce(format!("{bits:032x}"))
    }
    /// As text: 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The environment of everything that runs at an endpoint: machine-readable output, known programs.
pub const ENVIRONMENT: &str = "LC_ALL=C LANGUAGE=C TZ=UTC PATH=/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
export LC_ALL LANGUAGE TZ PATH
unset CDPATH
umask 022
cd /
";

/// Marks: begin, end with exit code, and the end of the script.
const MARKS: &str = "cx_b() { printf '\\036%s b %s\\n' \"$N\" \"$1\"; printf '\\036%s b %s\\n' \"$N\" \"$1\" >&2; }
cx_e() { printf '\\n\\036%s e %s %s\\n' \"$N\" \"$1\" \"$2\"; printf '\\n\\036%s e %s %s\\n' \"$N\" \"$1\" \"$2\" >&2; }
";

/// Wraps the body of a script: one subshell without standard input, then the final mark on both streams.
fn wrap(nonce: &Nonce, functions: &str, body: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(functions.len() + body.len() + 1024));
    out.push_str("(\nN=");
    out.push_str(nonce.as_str());
    out.push('\n');
    out.push_str(ENVIRONMENT);
    out.push_str(MARKS);
    out.push_str(functions);
    out.push_str(body);
    let n = nonce.as_str();
    let _ = write!(*out, ") </dev/null; printf '\\n\\036%s z\\n' {n}; printf '\\n\\036%s z\\n' {n} >&2\n");
    out
}

/// The first script of a shell: reads the machine id. Its one frame holds it.
pub fn hello(nonce: &Nonce) -> Zeroizing<String> {
    wrap(
        nonce,
        "",
        "cx_b 0; x=; if [ -r /etc/machine-id ]; then read -r x </etc/machine-id || :; fi; printf %s \"$x\"; cx_e 0 0\n",
    )
}

/// A script that does nothing: whether the shell is alive.
pub fn ping(nonce: &Nonce) -> Zeroizing<String> {
    wrap(nonce, "", "")
}

/// Quotes one word for `sh`. The word must not hold a NUL; [`is_word`] says so.
pub fn quote(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 2);
    out.push('\'');
    for c in word.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Whether a shell can be given this word at all.
pub fn is_word(word: &str) -> bool {
    !word.contains('\0')
}

/// Whether this is an absolute path to something below the root, in the form scripts take: no NUL, no slash at
/// the end, a last part that is a name.
pub fn is_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or("");
    path.starts_with('/') && is_word(path) && !matches!(name, "" | "." | "..")
}

/// Whether this is an absolute path that may be read; the root is one.
pub fn is_readable_path(path: &str) -> bool {
    path.starts_with('/') && is_word(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote("$(rm)\n`x`"), "'$(rm)\n`x`'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn paths_are_absolute_and_end_in_a_name() {
        for good in ["/a", "/etc/motd", "/a b/'c'", "/a/\n"] {
            assert!(is_path(good), "{good:?}");
        }
        for bad in ["", "/", "a", "/a/", "/a/..", "/.", "/a\0b", "-rf"] {
            assert!(!is_path(bad), "{bad:?}");
        }
        assert!(is_readable_path("/"));
    }
}
