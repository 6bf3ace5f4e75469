//! The suite of every backend (`support/conformance.rs`), for those that need no other machine. Another backend is one
//! line in [`PLACES`], and a [`Place`].

mod support;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coxswain_state::*;
use libtest_mimic::{Arguments, Trial};
use support::conformance::{Cut, Made, Place, trials};
use support::owner;

static PLACES: &[Made] = &[
    Made { name: "local", make: Local::make, begin: 0, stride: 1, fine: 1 },
    Made { name: "remote_cut", make: || Remote::make(Fault::Cut), begin: PROGRAM, stride: 307, fine: 5 },
    Made { name: "remote_killed", make: || Remote::make(Fault::Kill), begin: PROGRAM, stride: 311, fine: 7 },
    Made { name: "remote_deaf", make: || Remote::make(Fault::Deaf), begin: 0, stride: 307, fine: 3 },
];

/// About the bytes of the program that the other end is told first.
const PROGRAM: usize = 3950;

/// In memory where that can be: these tests end processes, not power, and a disk's syncs would take most of their time.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

/// A directory of this machine; the process dies between two operations of the disk, or in the middle of a write.
struct Local(tempfile::TempDir);

impl Local {
    fn make() -> Option<Box<dyn Place>> {
        Some(Box::new(Local(directory())))
    }
    fn dir(&self) -> PathBuf {
        self.0.path().join("state")
    }
}

impl Place for Local {
    fn client(&self) -> Box<dyn Backend> {
        Box::new(LocalBackend::new(self.dir()))
    }
    fn dying(&self, after: usize) -> Box<dyn Backend> {
        Box::new(LocalBackend::with_disk(self.dir(), Stopping(AtomicUsize::new(after))))
    }
}

/// Stops before its n-th operation; a write then does the half.
struct Stopping(AtomicUsize);

impl Stopping {
    fn step(&self) -> io::Result<()> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        left.map(|_| ()).map_err(|_| io::Error::other("the process is dead"))
    }
}

impl Disk for Stopping {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.make_dir(path)
    }
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.step()?;
        RealDisk.read(path)
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step() {
            RealDisk.write(path, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        RealDisk.write(path, bytes)
    }
    fn write_at(&self, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.step() {
            RealDisk.write_at(path, at, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        RealDisk.write_at(path, at, bytes)
    }
    fn sync(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.sync(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.sync_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.remove(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.step()?;
        RealDisk.list(path)
    }
    fn lock(&self, path: &Path, owner: &[u8]) -> io::Result<Locked> {
        self.step()?;
        RealDisk.lock(path, owner)
    }
}

/// What happens to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// After so many bytes nothing more arrives there, and the shell sees its end.
    Cut,
    /// After so many bytes the shell is killed; what it had started goes on.
    Kill,
    /// After so many bytes nothing more comes back.
    Deaf,
}

/// A directory kept by a shell, over a line of this machine.
struct Remote {
    dir: tempfile::TempDir,
    fault: Fault,
}

impl Remote {
    fn make(fault: Fault) -> Option<Box<dyn Place>> {
        Some(Box::new(Remote { dir: directory(), fault }))
    }
    fn dial(&self, fault: Option<(Fault, usize)>) -> Shells {
        Shells { dir: self.dir.path().to_owned(), fault, greeted: Arc::default() }
    }
    fn state(&self) -> String {
        self.dir.path().join("deep/er/state").display().to_string()
    }
}

impl Place for Remote {
    fn client(&self) -> Box<dyn Backend> {
        Box::new(RemoteBackend::new("shell://here", self.state(), self.dial(None)))
    }
    fn dying(&self, after: usize) -> Box<dyn Backend> {
        let dial = self.dial(Some((self.fault, after)));
        Box::new(RemoteBackend::new("shell://here", self.state(), dial))
    }
}

/// Lines to shells here.
struct Shells {
    dir: PathBuf,
    fault: Option<(Fault, usize)>,
    /// How many were made: a client that dies does not come back.
    greeted: Arc<AtomicUsize>,
}

impl Dial for Shells {
    fn dial(&self) -> io::Result<Line> {
        if self.fault.is_some() && self.greeted.fetch_add(1, Ordering::Relaxed) > 0 {
            return Err(io::Error::other("the client is dead"));
        }
        let pid = self.dir.join(format!("pid-{:x}", rand::random::<u64>()));
        let mut command = Command::new("sh");
        let noise = "echo Welcome.; echo 'Last login: never'";
        command.args(["-c", &format!("echo $$ >{}; {noise}; {KEEPER_COMMAND}", pid.display())]);
        let line = Line::to(command, Duration::from_secs(20))?;
        let Some((fault, after)) = self.fault else { return Ok(line) };
        Ok(match fault {
            Fault::Deaf => Line { output: Box::new(Deaf { output: line.output, left: after }), ..line },
            Fault::Cut | Fault::Kill => {
                let end = move || {
                    if fault == Fault::Kill {
                        kill(&pid);
                    }
                };
                Line { input: Box::new(Cut::after(after, line.input, end)), ..line }
            }
        })
    }
}

/// Kills the process whose number is in a file.
fn kill(pid: &Path) {
    let pid = std::fs::read_to_string(pid).unwrap_or_default().trim().parse().unwrap_or(0);
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

struct Deaf {
    output: Box<dyn Read + Send>,
    left: usize,
}

impl Read for Deaf {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(self.left);
        if n == 0 {
            return Ok(0);
        }
        let n = self.output.read(&mut buffer[..n])?;
        self.left -= n;
        Ok(n)
    }
}

fn remote() -> Remote {
    Remote { dir: directory(), fault: Fault::Cut }
}

/// A client that says nothing loses the lock, and cannot write any more; one that works does not.
fn silence_gives_the_lock_up() {
    let place = remote();
    let silent = RemoteBackend::patient("shell://here", place.state(), place.dial(None), Duration::MAX, 1);
    let guard = silent.lock(&owner()).expect("locks");
    silent.write_atomic(Name::Snapshot, b"former").expect("writes");
    let other =
        RemoteBackend::patient("shell://here", place.state(), place.dial(None), Duration::from_millis(50), 1);
    let start = Instant::now();
    let other_guard = loop {
        match other.lock(&owner()) {
            Ok(guard) => break guard,
            Err(Error::Busy { .. }) if start.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    };
    let error = silent.write_atomic(Name::Snapshot, b"late").expect_err("the lock is another's");
    let why = std::error::Error::source(&error).expect("a reason").to_string();
    assert!(why.contains("the connection was lost while the state was locked"), "{why}");
    silent.append_sync(Name::Snapshot, 0, b"late").expect_err("and stays so");
    assert_eq!(other.read(Name::Snapshot).expect("reads"), Some(b"former".to_vec()));
    // Three times its patience: whoever says that it lives keeps the lock.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let third = RemoteBackend::new("shell://here", place.state(), place.dial(None));
        assert!(matches!(third.lock(&owner()), Err(Error::Busy { .. })));
    }
    other.write_atomic(Name::Snapshot, b"later").expect("writes");
    drop((other_guard, guard));
    assert_eq!(silent.read(Name::Snapshot).expect("reads over another line"), Some(b"later".to_vec()));
}

/// Without the lock nothing is written, and content is never taken for requests.
fn without_the_lock_nothing_is_written() {
    let place = remote();
    let backend = place.client();
    let content = b"lock\nput state.json 3\nabc\nexit\n";
    let refused = [
        backend.write_atomic(Name::Snapshot, content),
        backend.append_sync(Name::Journal, 0, content),
        backend.remove(Name::Journal),
    ];
    for refusal in refused {
        let error = refusal.expect_err("no lock");
        let why = std::error::Error::source(&error).expect("a reason").to_string();
        assert_eq!(why, "the lock is not held");
    }
    assert_eq!(backend.read(Name::Snapshot).expect("reads"), None);
}

/// The lock is the kernel's, and the same as that of a run on the machine itself.
fn the_lock_is_the_local_one() {
    let place = remote();
    let local = LocalBackend::new(place.state());
    let held = place.client().lock(&owner()).expect("locks");
    assert!(matches!(local.lock(&owner()), Err(Error::Busy { owner: Some(_), .. })));
    drop(held);
    let held = local.lock(&owner()).expect("is free at once");
    assert!(matches!(place.client().lock(&owner()), Err(Error::Busy { owner: Some(_), .. })));
    drop(held);
    place.client().lock(&owner()).expect("is free at once");
}

/// Files and directories are for the owner alone.
fn remote_files_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = remote();
    drop(Store::open(place.client(), &owner(), support::fresh()).expect("opens"));
    let backend = place.client();
    let guard = backend.lock(&owner()).expect("locks");
    backend.write_atomic(Name::Past(1), b"x").expect("writes");
    drop(guard);
    let mode = |name: &str| {
        let path = Path::new(&place.state()).join(name);
        std::fs::metadata(&path).expect("is there").permissions().mode() & 0o777
    };
    for directory in [".", "history"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    for file in
        ["state.json", "journal.jsonl", "digest.key", "lock", ".gitignore", "history/000000000001.json"]
    {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

/// What is wrong there is said with the words of that machine.
fn refusals_say_why() {
    let place = remote();
    std::fs::write(place.dir.path().join("deep"), "a file").expect("writes");
    let why = |error: &Error| std::error::Error::source(error).expect("a reason").to_string();
    let error = place.client().lock(&owner()).expect_err("a file is in the way");
    assert!(error.to_string().starts_with("cannot lock shell://here/lock"), "{error}");
    assert!(why(&error).contains("Not a directory"), "{}", why(&error));
    let error = place.client().read(Name::Snapshot).expect_err("a file is in the way");
    assert!(why(&error).contains("Not a directory"), "{}", why(&error));
    std::fs::remove_file(place.dir.path().join("deep")).expect("removes");
    std::fs::create_dir_all(Path::new(&place.state()).join("state.json")).expect("a directory in the way");
    let error = place.client().read(Name::Snapshot).expect_err("a directory is no content");
    assert!(why(&error).contains("Is a directory"), "{}", why(&error));
    let nobody =
        RemoteBackend::new("shell://here", "/x", Words("echo 'This account is closed.' >&2; exit 1"));
    let error = nobody.read(Name::Snapshot).expect_err("no shell");
    assert_eq!(why(&error), "This account is closed.");
    let noisy = RemoteBackend::new("shell://here", "/x", Words("exec yes"));
    let error = noisy.read(Name::Snapshot).expect_err("no shell");
    assert_eq!(why(&error), "it prints without end");
}

/// A line to something that is no keeper.
struct Words(&'static str);

impl Dial for Words {
    fn dial(&self) -> io::Result<Line> {
        let mut command = Command::new("sh");
        command.args(["-c", self.0]);
        Line::to(command, Duration::from_secs(20))
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let mut all: Vec<Trial> = PLACES.iter().flat_map(trials).collect();
    let more: [(&str, fn()); 5] = [
        ("silence_gives_the_lock_up", silence_gives_the_lock_up),
        ("without_the_lock_nothing_is_written", without_the_lock_nothing_is_written),
        ("the_lock_is_the_local_one", the_lock_is_the_local_one),
        ("remote_files_are_for_the_owner_alone", remote_files_are_for_the_owner_alone),
        ("refusals_say_why", refusals_say_why),
    ];
    all.extend(more.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    }));
    libtest_mimic::run(&arguments, all).exit();
}
