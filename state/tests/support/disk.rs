//! A disk in memory that stops at its n-th operation, as by loss of power, or that is full.
//!
//! It keeps two pictures: what a process sees, and what is on the platter. A file's content reaches the platter by
//! `sync`, a directory's entries by `sync_dir`. When the power goes, what was not synced may be there or not; the
//! tests go through the extremes: nothing of it, all of it, all of it with the last write torn, and renames without the
//! content, which is what punishes a missing `sync`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use coxswain_state::{Disk, Guard, Locked};

/// What is on the platter after the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Only what was synced.
    Unsynced,
    /// Nothing is lost: the process was killed.
    Nothing,
    /// As `Nothing`, but of the write at which it stopped only the half arrived.
    TornWrite,
    /// Renames arrived, contents that were not synced did not.
    Contents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// From this operation on, nothing works.
    StopAt(usize),
    /// From this operation on, writes find no room, until it is lifted.
    FullAt(usize),
    /// Every change is refused in this way, until it is lifted.
    Refuse(io::ErrorKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Needed,
    NotNeeded,
}

#[derive(Debug, Default)]
struct File {
    seen: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Debug)]
struct Inner {
    files: Vec<File>,
    seen: BTreeMap<PathBuf, usize>,
    synced: BTreeMap<PathBuf, usize>,
    fault: Fault,
    operations: usize,
    torn: Option<(usize, Vec<u8>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct MemoryDisk(Arc<Mutex<Inner>>);

impl MemoryDisk {
    pub(crate) fn new() -> MemoryDisk {
        MemoryDisk(Arc::new(Mutex::new(Inner {
            files: Vec::new(),
            seen: BTreeMap::new(),
            synced: BTreeMap::new(),
            fault: Fault::None,
            operations: 0,
            torn: None,
        })))
    }

    pub(crate) fn stop_at(&self, n: usize) {
        self.set(Fault::StopAt(n));
    }

    pub(crate) fn full_at(&self, n: usize) {
        self.set(Fault::FullAt(n));
    }

    pub(crate) fn refuse(&self, kind: io::ErrorKind) {
        self.set(Fault::Refuse(kind));
    }

    pub(crate) fn heal(&self) {
        self.set(Fault::None);
    }

    fn set(&self, fault: Fault) {
        let mut inner = self.0.lock().expect("no test panics inside");
        inner.fault = fault;
        inner.operations = 0;
    }

    /// How many mutating operations there were since the fault was set.
    pub(crate) fn operations(&self) -> usize {
        self.0.lock().expect("no test panics inside").operations
    }

    /// The disk as the next process finds it.
    pub(crate) fn after(&self, loss: Loss) -> MemoryDisk {
        let inner = self.0.lock().expect("no test panics inside");
        let entries = if loss == Loss::Unsynced { &inner.synced } else { &inner.seen };
        let disk = MemoryDisk::new();
        {
            let mut next = disk.0.lock().expect("fresh");
            for (path, id) in entries {
                let file = &inner.files[*id];
                let mut bytes = match loss {
                    Loss::Unsynced | Loss::Contents => file.synced.clone(),
                    Loss::Nothing | Loss::TornWrite => file.seen.clone(),
                };
                if let (Loss::TornWrite, Some((torn, content))) = (loss, &inner.torn)
                    && torn == id
                {
                    bytes.clone_from(content);
                }
                let id = next.files.len();
                next.files.push(File { seen: bytes.clone(), synced: bytes });
                next.seen.insert(path.clone(), id);
                next.synced.insert(path.clone(), id);
            }
        }
        disk
    }
}

impl Inner {
    /// Counts a mutating operation; says whether it happens.
    fn step(&mut self, room: Room) -> io::Result<()> {
        self.operations += 1;
        match self.fault {
            Fault::StopAt(n) if self.operations >= n => Err(io::Error::other("the power is gone")),
            Fault::FullAt(n) if room == Room::Needed && self.operations >= n => {
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::Refuse(kind) => Err(kind.into()),
            Fault::None | Fault::StopAt(_) | Fault::FullAt(_) => Ok(()),
        }
    }

    fn file(&mut self, path: &Path) -> usize {
        if let Some(id) = self.seen.get(path) {
            return *id;
        }
        self.files.push(File::default());
        let id = self.files.len() - 1;
        self.seen.insert(path.to_owned(), id);
        id
    }

    fn put(&mut self, path: &Path, at: usize, bytes: &[u8]) -> io::Result<()> {
        let first = matches!(self.fault, Fault::StopAt(n) if self.operations + 1 == n);
        let full = matches!(self.fault, Fault::FullAt(n) if self.operations + 1 >= n);
        if first || full {
            let id = self.file(path);
            let mut half = self.files[id].seen[..at].to_vec();
            half.extend_from_slice(&bytes[..bytes.len() / 2]);
            if full {
                self.files[id].seen = half;
            } else {
                self.torn = Some((id, half));
            }
        }
        self.step(Room::Needed)?;
        let id = self.file(path);
        self.files[id].seen.truncate(at);
        self.files[id].seen.extend_from_slice(bytes);
        Ok(())
    }
}

impl Disk for MemoryDisk {
    fn make_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let inner = self.0.lock().expect("no test panics inside");
        Ok(inner.seen.get(path).map(|id| inner.files[*id].seen.clone()))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().expect("no test panics inside").put(path, 0, bytes)
    }

    fn write_at(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(at).expect("small");
        self.0.lock().expect("no test panics inside").put(path, at, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().expect("no test panics inside");
        inner.step(Room::NotNeeded)?;
        let id = inner.file(path);
        inner.files[id].synced = inner.files[id].seen.clone();
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().expect("no test panics inside");
        inner.step(Room::NotNeeded)?;
        let inner = &mut *inner;
        inner.synced.retain(|entry, _| entry.parent() != Some(path));
        let here = inner.seen.iter().filter(|(entry, _)| entry.parent() == Some(path));
        inner.synced.extend(here.map(|(entry, id)| (entry.clone(), *id)));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().expect("no test panics inside");
        inner.step(Room::NotNeeded)?;
        let id = inner.seen.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.seen.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.0.lock().expect("no test panics inside");
        inner.step(Room::NotNeeded)?;
        inner.seen.remove(path);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let inner = self.0.lock().expect("no test panics inside");
        let here = inner.seen.keys().filter(|entry| entry.parent() == Some(path));
        Ok(here.filter_map(|entry| Some(entry.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn lock(&self, _path: &Path, _owner: &[u8]) -> io::Result<Locked> {
        Ok(Locked::Held(Guard::new(())))
    }
}
