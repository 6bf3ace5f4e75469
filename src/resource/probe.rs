//! Typed reads. A probe never changes anything; the world turns all probes of one host into one script.

/// One read at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// Machine id, boot id, operating system, architecture, host name, kernel, the user we are.
    Facts,
    /// Type, mode, owner, size and target of a path; links are not followed.
    Stat(String),
    /// SHA-256 of a regular file.
    Digest(String),
    /// Content of a regular file, if it is not longer than [`CONTENT_LIMIT`].
    Content(String),
    /// A user by name: uid, gid, home, shell, comment, supplementary groups, whether the password is locked.
    User(String),
    /// A group by name: gid, members.
    Group(String),
    /// A package as dpkg knows it.
    Package(String),
    /// A systemd unit: load, active and enablement state, fragment path, when it started (monotonic and epoch).
    Unit(String),
    /// What a program says.
    Says {
        /// The program.
        program: ReadProgram,
        /// Its arguments.
        words: Vec<String>,
    },
}

impl Probe {
    /// What `program` says of `words`.
    pub fn says<S: Into<String>>(program: ReadProgram, words: impl IntoIterator<Item = S>) -> Probe {
        Probe::Says { program, words: words.into_iter().map(Into::into).collect() }
    }
}

/// A program for `sh` that only reads: a file below `src/resource/read/`, which a test searches for anything that
/// writes. Its arguments are `$1` and so on; what it prints and its exit code are the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadProgram {
    /// The name of the file.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// The [`ReadProgram`] of this name.
macro_rules! read_program {
    ($name:literal) => {
        $crate::resource::probe::ReadProgram {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/resource/read/", $name, ".sh")),
        }
    };
}
pub(crate) use read_program;

/// Bytes of a file that a plan shows as lines; longer files are compared by digest alone.
pub const CONTENT_LIMIT: usize = 256 * 1024;
