//! A directory at another machine, kept by a shell there that one line of bytes leads to.
//!
//! ```text
//! RemoteBackend ── requests, contents ──→ sh (keeper.sh): state.json journal.jsonl … as in .coxswain/
//!               ←── one line for each ──    └ holds the kernel's lock on `lock`, and does every write
//! ```
//!
//! The shell that holds the lock is the only one that writes, so a client whose line is lost can neither write nor be
//! mistaken about the lock: from then on every call fails, and the run ends. There is no second line within a run. A
//! request counts only with its newline and a content only with its last byte, so a line cut anywhere leaves what was
//! there (of an append: a beginning).

mod process;

use std::io::{self, Read, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::names::{self, HISTORY, LOCK};
use super::{Backend, Guard, Name};
use crate::error::{Error, Owner};
use crate::snapshot::MAX_FILE_BYTES;

/// What runs there.
const KEEPER: &str = include_str!("remote/keeper.sh");
/// What the line's shell must be told to run: it takes nonce, directory, seconds and the program itself from its
/// input. No word of it depends on anything, so that no login shell can misread it.
pub const KEEPER_COMMAND: &str = "exec /bin/sh -c 'IFS= read -r n && IFS= read -r d && IFS= read -r alive && IFS= read -r s && eval \"$(dd bs=$s count=1 iflag=fullblock 2>/dev/null)\"'";
/// How often the keeper is told that we live.
const ALIVE: Duration = Duration::from_secs(10);
/// How long it waits for that before it gives up the lock.
const GIVEN_UP_S: u32 = 90;
/// What a login may print before the keeper speaks.
const NOISE_BYTES: u64 = 1 << 20;
/// The longest answer: the largest file, in base64, with room.
const ANSWER_BYTES: u64 = MAX_FILE_BYTES / 3 * 4 + 4096;

/// A line to a shell that runs [`KEEPER_COMMAND`].
pub struct Line {
    /// What it reads.
    pub input: Box<dyn Write + Send>,
    /// What it prints. A read that takes too long must end with an error.
    pub output: Box<dyn Read + Send>,
    /// Why the line ended, as far as anybody said.
    pub said: Box<dyn Fn() -> String + Send>,
}

/// Makes lines to the machine that has the state.
pub trait Dial: Send + Sync {
    /// A new line.
    ///
    /// # Errors
    /// When there can be none; the reason is for people.
    fn dial(&self) -> io::Result<Line>;
}

/// How long a client may be silent.
#[derive(Debug, Clone, Copy)]
struct Patience {
    alive: Duration,
    given_up_s: u32,
}

/// A state in a directory that a shell at the end of a line keeps.
#[derive(Clone)]
pub struct RemoteBackend(Arc<Inner>);

struct Inner {
    place: String,
    dir: String,
    dial: Box<dyn Dial>,
    patience: Patience,
    life: Mutex<Life>,
}

/// The line, as long as there is one.
enum Life {
    None,
    Open(Open),
    /// It was lost while the lock was held, and so was the lock.
    Lost(String),
}

struct Open {
    input: Box<dyn Write + Send>,
    output: io::BufReader<Box<dyn Read + Send>>,
    said: Box<dyn Fn() -> String + Send>,
    nonce: String,
    is_locked: bool,
}

/// What the keeper answered.
enum Answer {
    Done(Vec<u8>),
    Absent,
    Locked(Vec<u8>),
    Refused(String),
}

/// The lock, as long as it is held.
struct Held {
    inner: Arc<Inner>,
    /// Dropped first: nobody says `alive` any more.
    _alive: Sender<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut life = self.inner.life();
        // Best effort: a line that is lost has given up the lock by itself.
        if let Life::Open(open) = &mut *life
            && open.is_locked
        {
            open.is_locked = false;
            if open.ask("unlock", &[]).is_err() {
                *life = Life::None;
            }
        }
        if let Life::Lost(_) = &*life {
            *life = Life::None;
        }
    }
}

impl std::fmt::Debug for RemoteBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteBackend").field("place", &self.0.place).finish_non_exhaustive()
    }
}

impl RemoteBackend {
    /// In this directory at the other end; `place` is its name for people. A directory that begins with `~/` is
    /// below the home of whoever the line makes us there.
    pub fn new(place: impl Into<String>, dir: impl Into<String>, dial: impl Dial + 'static) -> RemoteBackend {
        RemoteBackend::patient(place, dir, dial, ALIVE, GIVEN_UP_S)
    }

    /// As [`RemoteBackend::new`], for tests that cannot wait as long: how often the client says that it lives, and
    /// for how many seconds it may fail to.
    pub fn patient(
        place: impl Into<String>,
        dir: impl Into<String>,
        dial: impl Dial + 'static,
        alive: Duration,
        given_up_s: u32,
    ) -> RemoteBackend {
        RemoteBackend(Arc::new(Inner {
            place: place.into(),
            dir: dir.into(),
            dial: Box::new(dial),
            patience: Patience { alive, given_up_s },
            life: Mutex::new(Life::None),
        }))
    }

    fn failed(&self, op: &'static str, file: &str) -> impl FnOnce(io::Error) -> Error {
        let path = format!("{}/{file}", self.0.place);
        move |source| Error::Io { path, op, source }
    }

    /// What an answer means; `None` where there is nothing.
    fn take(
        &self,
        op: &'static str,
        file: &str,
        answer: io::Result<Answer>,
    ) -> Result<Option<Vec<u8>>, Error> {
        match answer {
            Ok(Answer::Done(bytes)) => Ok(Some(bytes)),
            Ok(Answer::Absent) => Ok(None),
            Ok(Answer::Locked(owner)) => {
                let owner = serde_json::from_slice(&owner).ok();
                Err(Error::Busy { place: self.0.place.clone(), owner })
            }
            Ok(Answer::Refused(why)) => Err(self.failed(op, file)(io::Error::new(kind_of(&why), why))),
            Err(error) => Err(self.failed(op, file)(error)),
        }
    }

    fn ask(
        &self,
        op: &'static str,
        file: &str,
        request: &str,
        content: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        self.take(op, file, self.0.over_line(|open| open.ask(request, content)))
    }
}

impl Inner {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> io::Result<Open> {
        let line = self.dial.dial()?;
        let mut open = Open {
            input: line.input,
            output: io::BufReader::with_capacity(1 << 16, line.output),
            said: line.said,
            nonce: nonce()?,
            is_locked: false,
        };
        let begin =
            format!("{}\n{}\n{}\n{}\n{KEEPER}", open.nonce, self.dir, self.patience.given_up_s, KEEPER.len());
        let greeting = match open.send(begin.as_bytes()).and_then(|()| open.answer(NOISE_BYTES)) {
            Ok(answer) => answer,
            Err(error) => return Err(open.end(error)),
        };
        let Answer::Done(lacking) = greeting else {
            return Err(io::Error::other("it answers what was not asked"));
        };
        let lacking = String::from_utf8_lossy(&lacking).trim().to_owned();
        if lacking.is_empty() {
            return Ok(open);
        }
        Err(io::Error::other(format!("that machine lacks programs that keep a state: {lacking}")))
    }

    /// Does something over the line, and makes it first where there is none. An error is the line's; it is not used
    /// again.
    fn over_line(&self, mut ask: impl FnMut(&mut Open) -> io::Result<Answer>) -> io::Result<Answer> {
        let mut life = self.life();
        let (mut open, is_new) = match std::mem::replace(&mut *life, Life::None) {
            Life::Open(open) => (open, false),
            Life::None => (self.open()?, true),
            Life::Lost(why) => {
                let error = lost(&why);
                *life = Life::Lost(why);
                return Err(error);
            }
        };
        let answer = ask(&mut open);
        let Err(error) = answer else {
            *life = Life::Open(open);
            return answer;
        };
        let was_locked = open.is_locked;
        let error = open.end(error);
        if was_locked {
            let why = error.to_string();
            *life = Life::Lost(why.clone());
            return Err(lost(&why));
        }
        if is_new {
            return Err(error);
        }
        // A line that idled without the lock may have ended in any way; nothing can have been written over it.
        let mut open = self.open()?;
        match ask(&mut open) {
            Ok(answer) => {
                *life = Life::Open(open);
                Ok(answer)
            }
            Err(error) => Err(open.end(error)),
        }
    }
}

fn lost(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        format!("the connection was lost while the state was locked, and the lock with it: {why}"),
    )
}

impl Open {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input.write_all(bytes)?;
        self.input.flush()
    }

    /// One request.
    fn ask(&mut self, request: &str, content: &[u8]) -> io::Result<Answer> {
        self.send(&[request.as_bytes(), b"\n", content].concat())?;
        self.answer(NOISE_BYTES)
    }

    /// The next answer; what others print before it is passed over.
    fn answer(&mut self, noise: u64) -> io::Result<Answer> {
        let junk = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        let mut left = noise;
        loop {
            let line = read_line(&mut self.output, ANSWER_BYTES)?;
            let text = std::str::from_utf8(&line).unwrap_or_default();
            let mut words = text.trim_end_matches('\n').split(' ');
            if words.next() != Some(self.nonce.as_str()) {
                left = left.checked_sub(line.len() as u64).ok_or_else(|| junk("it prints without end"))?;
                continue;
            }
            let (Some(payload), Some(code), None) = (words.next(), words.next(), words.next()) else {
                return Err(junk("its answer makes no sense"));
            };
            let bytes = STANDARD.decode(payload).map_err(|_| junk("its answer is not base64"))?;
            return Ok(match code {
                "0" => Answer::Done(bytes),
                "2" => Answer::Absent,
                "3" => Answer::Locked(bytes),
                _ if bytes.is_empty() => Answer::Refused("it failed without a word".to_owned()),
                _ => Answer::Refused(String::from_utf8_lossy(&bytes).trim().to_owned()),
            });
        }
    }

    /// Ends the line, and tells its error with what was said about its end.
    fn end(self, error: io::Error) -> io::Error {
        drop(self.input);
        let said = (self.said)();
        if said.is_empty() { error } else { io::Error::new(error.kind(), said) }
    }
}

/// A line with its newline.
fn read_line(from: &mut impl io::BufRead, limit: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    io::BufRead::read_until(&mut from.take(limit), b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(line),
        _ if line.len() as u64 >= limit => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "it prints a line without end"))
        }
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended")),
    }
}

/// Tells answers from what others print; it guards against nobody.
fn nonce() -> io::Result<String> {
    use rand::TryRng as _;
    let mut bytes = [0; 12];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(hex::encode(bytes))
}

/// What the reason of a refusal is to the file system.
fn kind_of(reason: &str) -> io::ErrorKind {
    let kinds = [
        ("No space left on device", io::ErrorKind::StorageFull),
        ("Disk quota exceeded", io::ErrorKind::QuotaExceeded),
        ("Read-only file system", io::ErrorKind::ReadOnlyFilesystem),
        ("Permission denied", io::ErrorKind::PermissionDenied),
    ];
    kinds.iter().find(|(text, _)| reason.contains(text)).map_or(io::ErrorKind::Other, |(_, kind)| *kind)
}

/// Says that we live, until the lock is given up or the line is lost.
fn say_alive(inner: &Weak<Inner>, every: Duration, ended: &std::sync::mpsc::Receiver<()>) {
    while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let Some(inner) = inner.upgrade() else { return };
        if inner.over_line(|open| open.ask("alive", &[])).is_err() {
            return;
        }
    }
}

impl Backend for RemoteBackend {
    fn place(&self) -> String {
        self.0.place.clone()
    }

    fn show(&self, name: Name) -> String {
        format!("{}/{}", self.0.place, names::file(name))
    }

    fn read(&self, name: Name) -> Result<Option<Vec<u8>>, Error> {
        let file = names::file(name);
        self.ask("read", &file, &format!("get {file} {MAX_FILE_BYTES}"), &[])
    }

    fn write_atomic(&self, name: Name, bytes: &[u8]) -> Result<(), Error> {
        let file = names::file(name);
        self.ask("write", &file, &format!("put {file} {}", bytes.len()), bytes).map(|_| ())
    }

    fn append_sync(&self, name: Name, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let file = names::file(name);
        self.ask("append to", &file, &format!("append {file} {at} {}", bytes.len()), bytes).map(|_| ())
    }

    fn list_past(&self) -> Result<Vec<Name>, Error> {
        let listed = self.ask("list", HISTORY, "past", &[])?.unwrap_or_default();
        Ok(names::past(String::from_utf8_lossy(&listed).lines()))
    }

    fn remove(&self, name: Name) -> Result<(), Error> {
        let file = names::file(name);
        self.ask("remove", &file, &format!("drop {file}"), &[]).map(|_| ())
    }

    fn lock(&self, owner: &Owner) -> Result<Guard, Error> {
        let answer = self.0.over_line(|open| {
            if open.is_locked {
                // The kernel's lock belongs to the shell, and would be granted to it again.
                return Ok(Answer::Locked(Vec::new()));
            }
            let answer = open.ask("lock", &[])?;
            open.is_locked = matches!(answer, Answer::Done(_));
            Ok(answer)
        });
        self.take("lock", LOCK, answer)?;
        let (alive, ended) = channel();
        let held = Held { inner: Arc::clone(&self.0), _alive: alive };
        let (inner, every) = (Arc::downgrade(&self.0), self.0.patience.alive);
        std::thread::Builder::new()
            .name("state-alive".to_owned())
            .spawn(move || say_alive(&inner, every, &ended))
            .map_err(self.failed("lock", LOCK))?;
        let text = serde_json::to_vec(owner).expect("an owner is plain data");
        self.ask("lock", LOCK, &format!("sign {}", text.len()), &text)?;
        Ok(Guard::new(held))
    }
}
