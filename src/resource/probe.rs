//! Typed reads. A probe never changes anything; the world turns all probes of one host into one script.

use serde::{Deserialize, Serialize};

/// One read at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
}

/// Bytes of a file that a plan shows as lines; longer files are compared by digest alone.
pub const CONTENT_LIMIT: usize = 256 * 1024;
