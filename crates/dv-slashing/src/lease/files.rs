//! The files beside a key.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::{LeaseError, io_error};

/// Both files are for everybody to read, whatever the umask is: operators look, other programs must.
const FILE_MODE: u32 = 0o644;

/// `path` with more at its end.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What is in a file, up to a length; none where there is no file.
pub(super) fn read_limited(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, LeaseError> {
    let reading = io_error("reading", path);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(&reading)?,
    };
    let mut text = Vec::new();
    file.take(limit).read_to_end(&mut text).map_err(reading)?;
    Ok(Some(text))
}

/// What a file outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The process. A loss of power may take it, which ends the process that it tells of as well.
    Process,
    /// A loss of power.
    Disk,
}

/// Puts a whole file in the place of another.
pub(super) fn write(path: &Path, text: &str, durability: Durability) -> Result<(), LeaseError> {
    let part = beside(path, ".part");
    let writing = io_error("writing", &part);
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&part);
    let mut file = opened.map_err(&writing)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(&writing)?;
    file.write_all(text.as_bytes()).map_err(&writing)?;
    if durability == Durability::Disk {
        file.sync_all().map_err(&writing)?;
    }
    fs::rename(&part, path).map_err(io_error("naming", path))?;
    if durability == Durability::Disk {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("writing the directory", dir))?;
    }
    Ok(())
}
