//! Which machine this is, and what kind of disk a directory is on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
