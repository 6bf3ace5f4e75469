//! Directories packed into one file, and removed once everything is in it.
//!
//! ```text
//! directories ─tar, gzip→ temporary file ─sync, rename→ archive ─read back, compared→ directories removed
//! ```
//!
//! # What must never happen
//!
//! - A file is removed that is not in the archive, byte for byte.
//! - An archive replaces something. Others can read one: there are keys in it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::disk::{self, DiskError, Mode};
use super::staging::Staging;

/// Bytes that are compared at a time.
const PIECE: usize = 64 << 10;

/// Why directories were not packed, or are there still.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A step on the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The archive is not what was packed; nothing was removed.
    #[error("reading back {}", path.display())]
    Wrong {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
}

/// Packs entries of a directory into a file of it, and removes them. Names in the archive are those below the directory;
/// only files are in it, with their modes.
///
/// # Errors
/// [`ArchiveError`]; nothing is removed unless it is in the archive.
pub fn pack(dir: &Path, names: &[String], archive: &str) -> Result<PathBuf, ArchiveError> {
    let path = dir.join(archive);
    let failed = |source| DiskError::Refused { doing: "reading the files of", path: path.clone(), source };
    let mut files = Vec::new();
    for name in names {
        collect(dir, Path::new(name), &mut files).map_err(failed)?;
    }
    files.sort();
    disk::create_with(&path, Mode::OwnerWrites, |file| write(dir, &files, file))?;
    check(dir, &files, &path).map_err(|source| ArchiveError::Wrong { path: path.clone(), source })?;
    let (staging, _) = Staging::begin(dir)?;
    staging.take_away(names)?;
    Ok(path)
}

/// Every file below, by its path from `dir`. What is neither a file nor a directory cannot be packed.
fn collect(dir: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let path = dir.join(below);
    let kind = fs::symlink_metadata(&path)?.file_type();
    if kind.is_file() {
        files.push(below.to_owned());
        return Ok(());
    }
    if !kind.is_dir() {
        let why = format!("{} is neither a file nor a directory", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    for entry in fs::read_dir(&path)? {
        collect(dir, &below.join(entry?.file_name()), files)?;
    }
    Ok(())
}

fn mode_of(file: &File) -> io::Result<u32> {
    Ok(file.metadata()?.permissions().mode() & 0o7777)
}

fn write(dir: &Path, files: &[PathBuf], out: &mut File) -> io::Result<()> {
    let zip = GzEncoder::new(BufWriter::new(out), Compression::default());
    let mut builder = tar::Builder::new(zip);
    for name in files {
        let mut file = File::open(dir.join(name))?;
        let mut header = tar::Header::new_ustar();
        header.set_metadata(&file.metadata()?);
        // Without the bits that say what kind of file it is.
        header.set_mode(mode_of(&file)?);
        builder.append_data(&mut header, name, &mut file)?;
    }
    builder.into_inner()?.finish()?.flush()
}

/// Whether the archive has exactly these files, with their content and modes.
fn check(dir: &Path, files: &[PathBuf], archive: &Path) -> io::Result<()> {
    let differs = |name: &Path| io::Error::other(format!("{} is not in it as it is", name.display()));
    let mut reader = tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?)));
    let mut wanted = files.iter();
    for entry in reader.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let file = File::open(dir.join(&name))?;
        let mode = mode_of(&file)?;
        let is_same = wanted.next() == Some(&name) && entry.header().mode()? == mode;
        if !is_same || !is_equal(&mut entry, file)? {
            return Err(differs(&name));
        }
    }
    if let Some(name) = wanted.next() {
        return Err(differs(name));
    }
    // The checksum stands behind everything.
    io::copy(&mut reader.into_inner(), &mut io::sink()).map(drop)
}

fn is_equal(entry: &mut impl Read, mut file: File) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let length = fill(entry, &mut left)?;
        if fill(&mut file, &mut right)? != length || left[..length] != right[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("node0/keys")).expect("a directory");
        for (name, mode, content) in [
            ("node0/lock", 0o400, vec![b'l'; 200_000]),
            ("node0/keys/k", 0o444, vec![]),
            ("other", 0o644, vec![1]),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, content).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_packed_is_in_the_archive_alone() {
        let dir = tree();
        let at = dir.path();
        let path = pack(at, &["node0".to_owned()], "x.tar.gz").expect("packed");
        assert_eq!(names(at), ["other", "x.tar.gz"]);
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o7777, 0o600);
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(&path).expect("a file")));
        let found: Vec<_> = archive
            .entries()
            .expect("entries")
            .map(|entry| {
                let entry = entry.expect("an entry");
                let name = entry.path().expect("a path").to_string_lossy().into_owned();
                (name, entry.header().mode().expect("a mode"), entry.size())
            })
            .collect();
        assert_eq!(found, [("node0/keys/k".to_owned(), 0o444, 0), ("node0/lock".to_owned(), 0o400, 200_000)]);
    }

    #[test]
    fn nothing_is_replaced_or_removed_without_an_archive() {
        let dir = tree();
        let at = dir.path();
        let error = pack(at, &["node0".to_owned()], "other").expect_err("there is something");
        assert!(matches!(error, ArchiveError::Disk(DiskError::Exists { .. })), "{error:?}");
        assert_eq!((names(at), fs::read(at.join("other")).expect("a file")), (tree_names(), vec![1]));
        std::os::unix::fs::symlink("/etc", at.join("node0/link")).expect("a link");
        let error = pack(at, &["node0".to_owned()], "x.tar.gz").expect_err("a link");
        assert!(matches!(error, ArchiveError::Disk(DiskError::Refused { .. })), "{error:?}");
        assert_eq!(names(at), tree_names());
    }

    fn tree_names() -> Vec<String> {
        vec!["node0".to_owned(), "other".to_owned()]
    }

    #[test]
    fn an_archive_that_differs_is_found_out() {
        let dir = tree();
        let at = dir.path();
        let all = [PathBuf::from("node0/keys/k"), PathBuf::from("node0/lock")];
        let archive = |files: &[PathBuf]| {
            let path = at.join("x");
            write(at, files, &mut File::create(&path).expect("a file")).expect("written");
            path
        };
        check(at, &all, &archive(&all)).expect("the same");
        check(at, &all, &archive(&all[1..])).expect_err("one is missing");
        check(at, &all[1..], &archive(&all)).expect_err("one too many");
        let path = archive(&all);
        fs::set_permissions(at.join("node0/lock"), fs::Permissions::from_mode(0o600)).expect("a mode");
        check(at, &all, &path).expect_err("another mode");
        let path = archive(&all);
        fs::write(at.join("node0/lock"), vec![b'm'; 200_000]).expect("a file");
        check(at, &all, &path).expect_err("other content");
        let path = archive(&all);
        let bytes = fs::read(&path).expect("a file");
        fs::write(&path, &bytes[..bytes.len() - 9]).expect("a file");
        check(at, &all, &path).expect_err("cut off");
    }
}
