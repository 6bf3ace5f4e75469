//! Which machine this is, which directory, and what kind of disk that is on.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where the kernel says which start of the machine this is; containers see their host's.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A machine, from one start to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The name of the host.
    pub host: String,
    /// Which start of the machine; empty where the system has none.
    pub boot_id: String,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Machine {
        let name = rustix::system::uname();
        let host = name.nodename().to_string_lossy().into_owned();
        let boot_id = fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        Machine { host, boot_id }
    }

    /// Whether both are the same machine and it was not started anew between. A kernel's lock tells the truth then.
    #[must_use]
    pub fn is_same_boot(&self, other: &Machine) -> bool {
        !self.boot_id.is_empty() && self.boot_id == other.boot_id
    }
}

/// Which directory this is, by whatever name and wherever its disk is mounted. A copy of its files is another one, and so is what
/// was brought back from a backup of them; one that was moved on its disk is the same. A snapshot or an image of a whole disk has
/// all that is looked at here, and cannot be told from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    inode: u64,
    /// When it was made; none where the file system does not keep that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<String>,
    /// Its disk: the number lasts no longer than this is mounted.
    device: u64,
}

impl Directory {
    /// The directory at a path.
    ///
    /// # Errors
    /// The system does not say.
    pub fn at(path: &Path) -> io::Result<Directory> {
        let found = fs::metadata(path)?;
        let born = found.created().ok().and_then(|born| Timestamp::try_from(born).ok());
        Ok(Directory { inode: found.ino(), born: born.map(|born| born.to_string()), device: found.dev() })
    }

    /// Whether both are one, or nobody can say; `then` and `now` are where they were looked at.
    #[must_use]
    pub fn may_be(&self, other: &Directory, then: &Machine, now: &Machine) -> bool {
        let has_birth = self.born.is_some() && other.born.is_some();
        // Without it two disks are told apart by their numbers, which a machine gives out anew at its start.
        let is_of_disk = has_birth || !then.is_same_boot(now) || self.device == other.device;
        self.inode == other.inode && (self.born == other.born || !has_birth) && is_of_disk
    }
}

/// Who vouches that no other machine writes to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// The kind of the file system must be a local one.
    Local,
    /// The operator: whatever the kind is.
    Trusted,
}

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Other machines may write there, and the kernel's locks do not hold for them.
    #[error("{} is on {kind}, where another machine may write too", path.display())]
    Shared {
        /// The directory.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// The system does not say.
    #[error("asking for the file system of {}", path.display())]
    Unknown {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// File systems of more than one machine by their magic numbers (`statfs(2)`, and the sources of the file systems). FUSE
/// is among them: what is behind it is not known, and it is a network more often than not.
#[cfg(target_os = "linux")]
const SHARED: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x6573_5546, "FUSE"),
    (0x0bd0_0bd0, "Lustre"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x2003_0528, "OrangeFS"),
    (0xaad7_aaea, "PanFS"),
    (0xbeef_dead, "StorNext"),
    (0x786f_4256, "VirtualBox's shared folders"),
    (0xbacb_acbc, "VMware's shared folders"),
    (0x7c7c_6673, "Parallels' shared folders"),
];

/// Refuses directories that other machines may write to.
///
/// # Errors
/// [`DiskError`].
pub fn check_disk(dir: &Path, disk: Disk) -> Result<(), DiskError> {
    if disk == Disk::Trusted {
        return Ok(());
    }
    match shared_kind(dir) {
        Ok(None) => Ok(()),
        Ok(Some(kind)) => Err(DiskError::Shared { path: dir.to_owned(), kind }),
        Err(source) => Err(DiskError::Unknown { path: dir.to_owned(), source }),
    }
}

#[cfg(target_os = "linux")]
fn shared_kind(dir: &Path) -> io::Result<Option<&'static str>> {
    // The number is signed on some machines; its lower half is what counts.
    let found = rustix::fs::statfs(dir)?.f_type as u64 & 0xffff_ffff;
    Ok(kind_of(found))
}

#[cfg(target_os = "linux")]
fn kind_of(magic: u64) -> Option<&'static str> {
    SHARED.iter().find(|(known, _)| *known == magic).map(|(_, kind)| *kind)
}

/// Elsewhere there is no number that means the same; such machines are for development.
#[cfg(not(target_os = "linux"))]
fn shared_kind(_: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_itself() {
        let this = Machine::this();
        assert!(!this.host.is_empty());
        assert!(cfg!(not(target_os = "linux")) || this.is_same_boot(&Machine::this()));
        let nameless = Machine { host: this.host.clone(), boot_id: String::new() };
        assert!(!nameless.is_same_boot(&nameless));
    }

    #[test]
    fn a_directory_is_known_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let [one, moved, copy] = ["one", "moved", "copy"].map(|name| dir.path().join(name));
        fs::create_dir(&one).expect("made");
        let known = Directory::at(&one).expect("looked at");
        fs::rename(&one, &moved).expect("moved");
        fs::create_dir(&copy).expect("made");
        let this = Machine::this();
        let restarted = Machine { boot_id: "another".to_owned(), ..this.clone() };
        for then in [&this, &restarted] {
            assert!(known.may_be(&Directory::at(&moved).expect("looked at"), then, &this));
            assert!(!known.may_be(&Directory::at(&copy).expect("looked at"), then, &this));
        }
        let text = serde_json::to_string(&known).expect("written");
        assert_eq!(serde_json::from_str::<Directory>(&text).expect("read"), known);
        assert!(Directory::at(&one).is_err(), "it is gone");
    }

    #[test]
    fn directories_are_told_apart_by_what_the_disk_keeps() {
        let [this, restarted] =
            ["1", "2"].map(|boot| Machine { host: "a".to_owned(), boot_id: boot.to_owned() });
        let of =
            |inode, born: Option<&str>, device| Directory { inode, born: born.map(str::to_owned), device };
        let born = Some("2026-11-28T09:00:00Z");
        for (one, other, expected) in [
            (of(1, born, 1), of(1, born, 1), [true; 2]),
            // Mounted anew it has another number.
            (of(1, born, 1), of(1, born, 2), [true; 2]),
            (of(1, born, 1), of(2, born, 1), [false; 2]),
            (of(1, born, 1), of(1, Some("2026-11-28T09:00:01Z"), 1), [false; 2]),
            (of(1, None, 1), of(1, None, 1), [true; 2]),
            (of(1, None, 1), of(1, None, 2), [false, true]),
            (of(1, None, 1), of(2, None, 1), [false; 2]),
            (of(1, None, 1), of(1, born, 1), [true; 2]),
        ] {
            let found = [&this, &restarted].map(|now| one.may_be(&other, &this, now));
            assert_eq!(found, expected, "{one:?} and {other:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_known() {
        assert_eq!(kind_of(0x6969), Some("NFS"));
        assert_eq!(kind_of(0xef53), None);
        let dir = tempfile::tempdir().expect("a directory");
        check_disk(dir.path(), Disk::Local).expect("local");
        // The kernel's own tables are no place for files, and on no network.
        check_disk(Path::new("/proc"), Disk::Local).expect("local");
        let error = check_disk(&dir.path().join("gone"), Disk::Local).expect_err("not there");
        assert!(error.to_string().contains("gone"), "{error}");
        check_disk(&dir.path().join("gone"), Disk::Trusted).expect("not asked");
    }
}
