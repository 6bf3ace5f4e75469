//! Typed changes. A step of a host kind is a row of acts; the world runs them in one round trip, in order, and
//! stops at the first that fails. Contents travel over the standard input of the remote shell, never in arguments.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that may be secret: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Zeroizing<Vec<u8>>);

impl Content {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Content {
        Content(Zeroizing::new(bytes))
    }
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.0.len())
    }
}

/// Mode, owner and group of a path; `None` leaves it (a new file: 0644, the connecting user).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Octal.
    pub mode: Option<String>,
    /// Name or number.
    pub owner: Option<String>,
    /// Name or number.
    pub group: Option<String>,
}

/// What must be true of a path at the moment of the change, checked in the same script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Nothing is there.
    Absent,
    /// A regular file with this SHA-256.
    Digest(String),
    /// Not checked.
    Anything,
}

/// One change at an endpoint. Each is idempotent: doing it twice is doing it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Writes a file: temporary name beside it (0600 from its creation), permissions, content, fsync, rename.
    WriteFile {
        /// Where.
        path: String,
        /// What.
        content: Content,
        /// Set before the content is visible.
        permissions: Permissions,
        /// What must be there now.
        expects: Expect,
    },
    /// Makes one directory; its parent must exist.
    MakeDir {
        /// Where.
        path: String,
        /// Its permissions.
        permissions: Permissions,
    },
    /// Changes mode, owner and group of what is there.
    SetPermissions {
        /// Of what.
        path: String,
        /// To what.
        permissions: Permissions,
    },
    /// Removes a file; fine if it is gone.
    RemoveFile {
        /// Which.
        path: String,
        /// What must be there now.
        expects: Expect,
    },
    /// Removes a directory if it is empty; fine if it is gone; not empty is an error that says so.
    RemoveDir {
        /// Which.
        path: String,
    },
    /// Keeps a copy of a file's content under its SHA-256 in the endpoint's store (0700), for [`Act::Restore`].
    Keep {
        /// Which file.
        path: String,
        /// Its SHA-256 as observed.
        digest: String,
    },
    /// Puts a kept content back, as [`Act::WriteFile`] does.
    Restore {
        /// Where.
        path: String,
        /// Which content.
        digest: String,
        /// Set before the content is visible.
        permissions: Permissions,
    },
    /// Forgets a kept content; fine if it is gone.
    Drop {
        /// Its digest.
        digest: String,
    },
    /// Removes what a run that was cut off has left of keeping the content of a path and of writing it; the kept
    /// content and what is at the path stay.
    Sweep {
        /// Whose.
        path: String,
        /// Which content.
        digest: String,
    },
    /// Arms the host's guard: the host does the acts by itself after a time, unless [`Act::Disarm`] comes first. A host
    /// has one guard, so that no two changes of the way to it are unconfirmed. The output is `armed TOKEN`, or
    /// `held SECONDS WHO` where another one is armed.
    Arm {
        /// What is guarded and by whom, for people: one line, nothing secret.
        who: String,
        /// Seconds until the host acts, from the last moment when acts were done under the guard.
        after_s: u64,
        /// Seconds until the host acts whatever is still being done.
        outer_s: u64,
        /// What it does then. What the guarded acts kept is in the directory `$COXSWAIN_KEPT`.
        revert: Vec<Act>,
    },
    /// First in a row: the acts that follow are done under the guard, which does not count as long as they take. None
    /// is begun once it has fired. Programs find a directory of the guard's own in `$COXSWAIN_KEPT`.
    Hold {
        /// Which.
        token: String,
    },
    /// Has an armed guard count again where the counting was ended by force.
    Resume,
    /// Takes a guard back. The output says what had become of it: `disarmed`; `fired` and taken back by the host,
    /// `firing`, `failed`; `busy` where acts are still being done under it, `unfinished` where a row of them ended
    /// before its last; `gone` where there is another or none. In a row that begins with [`Act::Hold`] it is taken
    /// back whatever became of earlier rows.
    Disarm {
        /// Which.
        token: String,
    },
    /// Runs a program. Arguments hold nothing secret.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// Added to the fixed environment (`LC_ALL=C`, `PATH`, `DEBIAN_FRONTEND=noninteractive`).
        env: Vec<(String, String)>,
        /// Given to its standard input; may be secret.
        input: Option<Content>,
        /// Exit codes that mean success.
        ok: Vec<i32>,
    },
}

impl Act {
    /// The path it is about, where it is about one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Act::WriteFile { path, .. }
            | Act::MakeDir { path, .. }
            | Act::SetPermissions { path, .. }
            | Act::RemoveFile { path, .. }
            | Act::RemoveDir { path }
            | Act::Keep { path, .. }
            | Act::Restore { path, .. }
            | Act::Sweep { path, .. } => Some(path),
            Act::Drop { .. }
            | Act::Arm { .. }
            | Act::Hold { .. }
            | Act::Resume
            | Act::Disarm { .. }
            | Act::Run { .. } => None,
        }
    }
}

/// What an act did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActDone {
    /// Exit code; 0 for acts that are not programs.
    pub code: i32,
    /// Output, cut to a limit.
    pub stdout: String,
    /// Error output, cut to a limit.
    pub stderr: String,
}
