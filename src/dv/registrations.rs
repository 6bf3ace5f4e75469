//! Registrations with builders that are newer than the lock's, while a node runs: of a file that is looked at every few
//! seconds, and of the API, where operators collect the signatures of a new one.
//!
//! ```text
//! file ─changed?→ read ─┐
//!                       ├─ Registrar (pure) ─→ the newest of each validator ─→ the node
//! API ─hour or day──────┘
//! ```
//!
//! What is wrong with either is said, and passed over: the node goes on with what it knew. The file is the operator's, and
//! says what it says now; the API is somebody else's, and cannot take back what validators have signed while the node runs.
//!
//! # What must never happen
//!
//! - A node stops, or does not start, for what is in the file or at the API.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coxswain_dv_cluster::{Found, Overrides, Registered, Registrar, take_newer};
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::{Bytes20, Bytes48};
use coxswain_dv_node::Handle;
use coxswain_dv_types::causes::in_full;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use super::http::{Client, Request};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Until the API is asked again where something is missing there, or nothing came back.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// The same where nothing is missing.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Largest file: ten thousand validators have some 7 MB.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Largest answer: ten thousand validators with ten partial signatures each have some 30 MB.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Entries of one source that the log names.
const MAX_NAMED: usize = 10;
/// What the API says where nobody has signed anything.
const NOTHING_YET: &str = "no partial registrations found";
/// What it says of a cluster that nobody has published.
const NO_LOCK: &str = "lock not found";

/// Where newer registrations come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The file; it may be absent.
    pub file: PathBuf,
    /// The API, where it is asked.
    pub api: Option<Api>,
}

/// The API of a cluster's registrations.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where they are.
    pub url: Url,
    /// How long a request may take.
    pub timeout: Duration,
}

/// By what a change of a file is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    /// Of the content and of the entry, in seconds and nanoseconds.
    times: [(i64, i64); 2],
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            bytes: metadata.len(),
            times: [(metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec())],
        }
    }
}

/// Whether the API has all that was begun there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Complete,
    Incomplete,
    Failed,
}

/// The file as it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Absent,
    /// It was read, or is not as it should be, which was said.
    File(Stamp),
    /// It cannot be looked at.
    Hidden(String),
}

impl Seen {
    fn at(path: &Path) -> Seen {
        match fs::metadata(path) {
            Ok(metadata) => Seen::File(Stamp::of(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Seen::Absent,
            Err(error) => Seen::Hidden(error.to_string()),
        }
    }
}

/// What is known of registrations.
#[derive(Debug)]
pub struct Updates {
    registrar: Registrar,
    sources: Sources,
    seen: Seen,
    file: Overrides,
    /// The newest that the API has told since the start.
    api: Overrides,
}

impl Updates {
    /// What the lock has; nothing is read yet.
    #[must_use]
    pub fn new(registrar: Registrar, sources: Sources) -> Updates {
        let (file, api) = (Overrides::new(), Overrides::new());
        Updates { registrar, sources, seen: Seen::Absent, file, api }
    }

    /// Looks at the file, and reads it where it has changed; whether something else may hold then. One that cannot be
    /// read, or is no list, leaves what was known; one that is gone says nothing any more.
    pub fn look(&mut self) -> bool {
        let seen = Seen::at(&self.sources.file);
        if seen == self.seen {
            return false;
        }
        self.seen = seen;
        let file = self.sources.file.display();
        let read = match &self.seen {
            Seen::Absent => {
                tracing::info!(%file, "the file of newer registrations is gone: it does not count any more");
                self.file = Overrides::new();
                return true;
            }
            Seen::Hidden(error) => Err(error.clone()),
            Seen::File(_) => read(&self.sources.file)
                .map_err(|error| error.to_string())
                .and_then(|text| self.registrar.read_file(&text).map_err(|error| in_full(&error))),
        };
        match read {
            Ok(found) => {
                tell_odd(&found, &file.to_string());
                tracing::info!(%file, registrations = found.overrides.len(), "newer registrations were read");
                self.file = found.overrides;
                true
            }
            Err(error) => {
                tracing::warn!(
                    %file, error,
                    "newer registrations cannot be read; what was known holds. The file is a list of \
                     {{\"version\":\"v1\",\"v1\":{{\"message\":…,\"signature\":…}}}}"
                );
                false
            }
        }
    }

    /// What holds now.
    #[must_use]
    pub fn registered(&self) -> Registered {
        self.registrar.merge(&self.file, &self.api)
    }

    /// Takes what the API answered.
    fn take(&mut self, answer: Option<&[u8]>) -> Asked {
        let found = answer.map_or_else(|| Ok(Found::default()), |text| self.registrar.read_answer(text));
        match found {
            Ok(found) => {
                tell_odd(&found, "the API");
                let (registrations, incomplete) = (found.overrides.len(), found.incomplete);
                tracing::info!(registrations, incomplete, "the API was asked for newer registrations");
                take_newer(&mut self.api, found.overrides);
                if incomplete > 0 { Asked::Incomplete } else { Asked::Complete }
            }
            Err(error) => {
                let error = in_full(&error);
                tracing::warn!(
                    error,
                    "what the API says of registrations is not understood; what was known holds"
                );
                Asked::Failed
            }
        }
    }
}

/// What is passed over, where it is.
fn tell_odd(found: &Found, source: &str) {
    for odd in found.odd.iter().take(MAX_NAMED) {
        tracing::warn!(source, place = odd.place, why = odd.why, "a newer registration is passed over");
    }
    if let Some(more) = found.odd.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        tracing::warn!(source, more, "more newer registrations are passed over");
    }
}

/// The bytes of a file that is one, and not too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let no = |why: String| io::Error::other(why);
    // A pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(no("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(no(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

/// What the API has; none where nobody has signed anything.
async fn ask(client: &Client, api: &Api) -> Result<Option<Vec<u8>>, String> {
    // No keys: all validators.
    let mut request = Request::post(&api.url, r#"{"pubkeys":null}"#);
    (request.timeout, request.max_answer_bytes) = (api.timeout, MAX_ANSWER_BYTES);
    let answer = client.send(&request).await.map_err(|error| in_full(&error))?;
    if answer.is_success() {
        return Ok(Some(answer.body));
    }
    let refused = request.refused(&answer);
    let said = in_full(&refused);
    if answer.status == 404 && said.contains(NOTHING_YET) {
        return Ok(None);
    }
    let hint = if answer.status == 404 && said.contains(NO_LOCK) {
        "; the API does not know this cluster: publish its lock first"
    } else {
        ""
    };
    Err(format!("{said}{hint}"))
}

/// As the machine takes it.
#[must_use]
pub fn payees(registered: &Registered) -> BTreeMap<Bytes48, Bytes20> {
    registered.fee_recipients.iter().map(|(key, address)| (Bytes(*key), Bytes(address.0))).collect()
}

/// Keeps a node up to date, until it ends. The file was looked at once already.
pub async fn keep(mut updates: Updates, handle: Handle) {
    let api = updates.sources.api.clone();
    let mut told = updates.registered();
    let mut due = Instant::now();
    // One at a time; the file is looked at meanwhile.
    let mut asking = JoinSet::new();
    loop {
        let work = tokio::select! {
            () = tokio::time::sleep(LOOK) => Work::File,
            Some(Ok(answer)) = asking.join_next() => Work::Api(answer),
            () = tokio::time::sleep_until(due), if api.is_some() && asking.is_empty() => {
                if let Some(api) = api.clone() {
                    asking.spawn(async move { ask(&Client::new(), &api).await });
                }
                continue;
            }
        };
        // Signatures are checked, which takes a processor.
        let done = tokio::task::spawn_blocking(move || work.done(updates)).await;
        let Ok((known, next)) = done else { return };
        updates = known;
        if let Some(pause) = next {
            due = Instant::now() + pause;
        }
        let registered = updates.registered();
        if registered != told {
            tell_changes(&told, &registered);
            told = registered.clone();
            if handle.registered(payees(&registered), registered.registrations).await.is_err() {
                return;
            }
        }
    }
}

/// What there is to be read.
enum Work {
    File,
    Api(Result<Option<Vec<u8>>, String>),
}

impl Work {
    /// What is known then, and after which time the API is asked again, where that changes.
    fn done(self, mut updates: Updates) -> (Updates, Option<Duration>) {
        let next = match self {
            // Whoever changes the file may have put something at the API, too.
            Work::File => updates.look().then_some(Duration::ZERO),
            Work::Api(Ok(answer)) => Some(match updates.take(answer.as_deref()) {
                Asked::Complete => DAY,
                Asked::Incomplete | Asked::Failed => HOUR,
            }),
            Work::Api(Err(error)) => {
                tracing::warn!(error, "the API was not asked for newer registrations; what was known holds");
                Some(HOUR)
            }
        };
        (updates, next)
    }
}

/// Whom blocks pay from now on, where that has changed.
fn tell_changes(before: &Registered, now: &Registered) {
    let changed =
        now.fee_recipients.iter().filter(|(key, payee)| before.fee_recipients.get(*key) != Some(payee));
    for (key, payee) in changed.clone().take(MAX_NAMED) {
        let validator = format!("0x{}", hex::encode(key));
        tracing::info!(validator, fee_recipient = %payee, "blocks of this validator pay somebody else from now on");
    }
    if let Some(more) = changed.count().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        tracing::info!(more, "blocks of more validators pay somebody else from now on");
    }
}

#[cfg(test)]
mod tests;
