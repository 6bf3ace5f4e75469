//! What probes answer. Parsed at the edge, once, into these types.

use serde::{Deserialize, Serialize};

/// The answer to one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`super::Probe::Facts`].
    Facts(FactsAnswer),
    /// To [`super::Probe::Stat`].
    Stat(StatAnswer),
    /// To [`super::Probe::Digest`]: lower-case hex.
    Digest(String),
    /// To [`super::Probe::Content`].
    Content(#[serde(with = "bytes_as_base64")] Vec<u8>),
    /// To [`super::Probe::Content`] of a file longer than the limit.
    TooLong,
    /// To [`super::Probe::User`].
    User(UserAnswer),
    /// To [`super::Probe::Group`].
    Group(GroupAnswer),
    /// To [`super::Probe::Package`].
    Package(PackageAnswer),
    /// To [`super::Probe::Unit`].
    Unit(UnitAnswer),
    /// To [`super::Probe::Says`].
    Said(SaidAnswer),
    /// There is no such thing.
    Absent,
    /// It cannot be said: no permission, not understood. Never read as absent.
    Unknown(String),
}

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaidAnswer {
    /// Its exit code.
    pub code: i32,
    /// What it printed, errors too.
    pub text: String,
}

/// Facts of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FactsAnswer {
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `ID` of os-release: `debian`, `ubuntu`.
    pub os: String,
    /// `VERSION_ID` of os-release.
    pub os_version: String,
    /// As Debian names it: `amd64`, `arm64`.
    pub arch: String,
    /// The host's own name.
    pub hostname: String,
    /// `uname -r`.
    pub kernel: String,
    /// The user the probes ran as.
    pub user: String,
    /// `SSH_CONNECTION`: address and port of the client as the host sees it, then its own; empty without ssh.
    pub ssh_connection: String,
    /// The guard, where one is armed or taking a change back.
    pub guard: Option<Box<GuardAnswer>>,
}

/// A guard: a change of the way to a host that is not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardAnswer {
    /// Seconds that it gives.
    pub after_s: u64,
    /// What was done, and by whom.
    pub who: String,
    /// Whether somebody counts these seconds.
    pub is_counting: bool,
}

/// What kind of file a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatAnswer {
    /// What it is.
    pub file_type: FileType,
    /// Four octal digits.
    pub mode: String,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// The owner's name; the number where it has none.
    pub owner: String,
    /// The group's name; the number where it has none.
    pub group: String,
    /// Bytes.
    pub size: u64,
    /// Modification time in seconds since the epoch.
    pub mtime: i64,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAnswer {
    /// Number.
    pub uid: u32,
    /// Number of the primary group.
    pub gid: u32,
    /// Name of the primary group.
    pub primary_group: String,
    /// The GECOS field.
    pub comment: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Supplementary groups, sorted.
    pub groups: Vec<String>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAnswer {
    /// Number.
    pub gid: u32,
    /// Members by name, sorted.
    pub members: Vec<String>,
}

/// A package, from dpkg's three status letters (`ii `, `hi `, `rc `).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageAnswer {
    /// Installed version.
    pub version: String,
    /// Whether it is installed and whole.
    pub installed: bool,
    /// Whether it is on hold.
    pub held: bool,
    /// Half-installed, half-configured, triggers pending or in error: somebody must run `dpkg --configure -a`.
    pub broken: bool,
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitAnswer {
    /// `LoadState`: `loaded`, `not-found`, `masked`.
    pub load: String,
    /// `ActiveState`: `active`, `inactive`, `failed`, `activating`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// `UnitFileState`: `enabled`, `disabled`, `static`, `masked`; empty where there is no file.
    pub enabled: String,
    /// Where the unit's file is.
    pub fragment: String,
    /// Whether the file changed since systemd read it.
    pub needs_reload: bool,
    /// When the main process started, seconds since the epoch; 0 where it does not run.
    pub started: i64,
    /// The host's time when it was asked, seconds since the epoch; 0 for not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub asked: i64,
}

/// For serde, which hands over references.
fn is_zero(number: &i64) -> bool {
    *number == 0
}

mod bytes_as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}
