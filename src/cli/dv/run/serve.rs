//! The node while it runs: until it is told to end, or the key is lost.

use std::time::{Duration, Instant};

use coxswain_dv_node::monitor::routes::{self, Soon};
use coxswain_dv_slashing::lease::{Lease, LeaseError};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::keylock::{FRESH, REFRESH};

use super::super::super::error::CliError;
use super::super::serving::open;
use crate::dv::run::{self, Checked, RunError};
use crate::dv::serve::{Limits, Server};

/// Where others look at the node.
pub(super) struct Looked {
    pub(super) monitoring: String,
    pub(super) debug: String,
}

/// By how much a node ends before others take its key for free: what is being signed then is over by that time.
const MARGIN: Duration = Duration::from_millis(500);

/// Those who look at a node: Prometheus, load balancers, people.
const LOOKERS: Limits = Limits { connections: 64, lasts: Duration::from_secs(60) };

pub(super) async fn serve(
    checked: Checked,
    looked: Looked,
    lease: Lease,
    stopped: impl Future<Output = ()>,
) -> Result<(), CliError> {
    let mut key = Key::new(lease);
    tokio::pin!(stopped);
    let ended = looked_at(checked, &looked, &mut key, &mut stopped).await;
    // Nothing is signed from here on, whoever still asks.
    key.free();
    ended
}

/// Serves those who look at the node, from the first moment to the last.
async fn looked_at(
    checked: Checked,
    looked: &Looked,
    key: &mut Key,
    stopped: &mut (impl Future<Output = ()> + Unpin),
) -> Result<(), CliError> {
    let monitor = Soon::default();
    let monitoring = routes::monitoring(monitor.clone());
    let monitoring = open("monitoring-address", &looked.monitoring, monitoring, LOOKERS).await?;
    let debugging = routes::debugging(monitor.clone());
    let ended = match open("debug-address", &looked.debug, debugging, LOOKERS).await {
        Ok(debugging) => {
            let ended = live(checked, &monitor, key, stopped).await;
            close(debugging).await;
            ended
        }
        Err(error) => Err(error),
    };
    close(monitoring).await;
    ended
}

async fn close(server: Option<Server>) {
    if let Some(server) = server {
        server.stop().await;
    }
}

/// The node, from its start until it is told to end or cannot go on. However long it waits for beacon nodes, the key is its own.
async fn live(
    checked: Checked,
    monitor: &Soon,
    key: &mut Key,
    stopped: &mut (impl Future<Output = ()> + Unpin),
) -> Result<(), CliError> {
    let Some(prepared) = while_kept(key, stopped, run::prepare(checked)).await? else { return Ok(()) };
    let prepared = prepared.map_err(explained)?;
    let _ = monitor.set(prepared.monitor());
    let head = match while_kept(key, stopped, prepared.wait()).await {
        Ok(Some(head)) => head,
        ended => {
            prepared.stop().await;
            return ended.map(drop);
        }
    };
    let Some(started) = while_kept(key, stopped, prepared.start(head)).await? else { return Ok(()) };
    let mut running = started.map_err(explained)?;
    let ended = match while_kept(key, stopped, running.ended()).await {
        Ok(None) => Ok(()),
        Ok(Some(())) => {
            let why = "its machine has ended by itself";
            Err(CliError::other("running the node", why, "start it again, and report this with the log"))
        }
        Err(error) => Err(error),
    };
    running.stop().await;
    ended
}

/// What comes of some work; none where the node was told to end before. It is an error where the key cannot be kept meanwhile.
async fn while_kept<T>(
    key: &mut Key,
    stopped: &mut (impl Future<Output = ()> + Unpin),
    work: impl Future<Output = T>,
) -> Result<Option<T>, CliError> {
    tokio::pin!(work);
    let mut next = key.said + REFRESH;
    loop {
        tokio::select! {
            done = &mut work => return Ok(Some(done)),
            () = &mut *stopped => {
                tracing::info!("the node ends: it was told to");
                return Ok(None);
            }
            () = tokio::time::sleep_until(next.into()) => match key.renew().await {
                // Others take the key for free after a while: whatever the reason is, nothing is signed then.
                Err(error) if error.is_final() || key.is_stale() => return Err(error.into()),
                Err(_) => next = Instant::now() + REFRESH,
                Ok(()) => next = key.said + REFRESH,
            },
        }
    }
}

/// The node's key, as long as others see that it is taken.
struct Key {
    /// None after a renewal that did not end.
    lease: Option<Lease>,
    /// Not after the time that the claim says.
    said: Instant,
}

/// Why a claim was not renewed.
enum NotRenewed {
    /// It could not be read or written, or is somebody else's.
    Failed(LeaseError),
    /// Reading or writing it did not come to an end while others still saw it as fresh.
    Stalled,
}

impl NotRenewed {
    /// Whether the key is not this node's any more, or nobody can say.
    fn is_final(&self) -> bool {
        matches!(self, NotRenewed::Failed(LeaseError::Lost { .. }) | NotRenewed::Stalled)
    }
}

impl From<NotRenewed> for CliError {
    fn from(not: NotRenewed) -> CliError {
        match not {
            NotRenewed::Failed(error) => refused_key(&error),
            NotRenewed::Stalled => CliError::other(
                "keeping the node's key",
                format!("its claim could not be renewed for {} s: the disk does not answer", FRESH.as_secs()),
                "look at the disk with the node's directory, and start the node again",
            ),
        }
    }
}

impl Key {
    /// Of a lease of which it is not known when it was taken.
    fn new(lease: Lease) -> Key {
        let now = Instant::now();
        Key { lease: Some(lease), said: now.checked_sub(REFRESH).unwrap_or(now) }
    }

    /// Until when nothing may be signed unless it is renewed before: a little earlier than others take the key for free.
    fn end(&self) -> Instant {
        self.said + (FRESH - MARGIN)
    }

    /// How long a renewal may take: to that end; and where this process stood still until it was past, long enough to look whose
    /// the key is now.
    fn patience(&self) -> Duration {
        self.end().saturating_duration_since(Instant::now()).max(MARGIN)
    }

    fn is_stale(&self) -> bool {
        Instant::now() >= self.end()
    }

    /// On another thread: a disk that stalls must not hold up what runs on this one, and a node must not go on with a claim
    /// that others take for an old one.
    async fn renew(&mut self) -> Result<(), NotRenewed> {
        let Some(mut lease) = self.lease.take() else { return Err(NotRenewed::Stalled) };
        let renewing = tokio::task::spawn_blocking(move || {
            // Before the claim's own time: it is never taken for newer than it is.
            let said = Instant::now();
            let result = lease.renew(jiff::Timestamp::now());
            (lease, said, result)
        });
        let Ok(Ok((lease, said, result))) = tokio::time::timeout(self.patience(), renewing).await else {
            tracing::warn!("the claim to the key is not renewed: the disk does not answer");
            return Err(NotRenewed::Stalled);
        };
        self.lease = Some(lease);
        result.map(|()| self.said = said).map_err(|error| {
            tracing::warn!(error = in_full(&error), "the claim to the key was not renewed");
            NotRenewed::Failed(error)
        })
    }

    /// What has stalled is left as after a crash.
    fn free(self) {
        if let Some(Err(error)) = self.lease.map(Lease::free) {
            tracing::warn!(error = in_full(&error), "the key was not given back");
        }
    }
}

/// How long to wait for a key: commands that look at what was signed have it for a moment.
pub(super) fn wait_of(error: &LeaseError) -> Option<Duration> {
    match error {
        LeaseError::Held { .. } => Some(Duration::from_millis(500)),
        other => other.wait(),
    }
}

pub(super) fn refused_key(error: &LeaseError) -> CliError {
    CliError::other("taking the node's key", in_full(error), error.next())
}

pub(super) fn explained(error: RunError) -> CliError {
    let next = match &error {
        RunError::Lock { .. } | RunError::Operators(_) | RunError::Key(_) => {
            "bring the lock back from your backup, or from another operator"
        }
        RunError::Stranger => "name the key of this node with --private-key-file: its record is in the lock",
        RunError::Cluster(_) => {
            "a cluster like this is not safe; --allow-low-threshold takes a low threshold as it is, for tests"
        }
        RunError::Network { .. } | RunError::Chains { .. } => {
            "name beacon nodes of the cluster's network with --beacon-node-endpoints and --fallback-beacon-node-endpoints"
        }
        RunError::Store(error) => error.next(),
        RunError::Peers(_) => "check --p2p-tcp-address, and whether another program listens there",
        RunError::Server(_) => "check --validator-api-address, and whether another program listens there",
        RunError::Traces(_) => "check --otlp-address and --otlp-headers, or leave --otlp-address away",
        RunError::Thread(_) => "check the limits of this process",
    };
    CliError::other("starting the node", in_full(&error), next)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use coxswain_dv_slashing::lease::{Applicant, claim_path, record_path};
    use coxswain_dv_slashing::machine::{Disk, Machine};
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn held() -> (tempfile::TempDir, PathBuf, Key) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        std::fs::write(&path, "k").expect("written");
        let applicant = Applicant {
            command: "test".to_owned(),
            cluster_lock_hash: String::new(),
            machine: Machine::this(),
            disk: Disk::Local,
            takes_over_from: None,
        };
        let lease = Lease::take(&path, applicant, jiff::Timestamp::now()).expect("nobody has it");
        (dir, path, Key::new(lease))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    #[test]
    fn a_key_is_kept_and_given_back() {
        let (_dir, path, mut key) = held();
        let before = std::fs::read(claim_path(&path)).expect("a claim");
        runtime().block_on(async {
            // A process that stood still until the claim was old looks whose the key is, and goes on.
            key.said = Instant::now().checked_sub(FRESH * 2).expect("the machine runs for longer");
            assert!(key.is_stale());
            assert!(key.renew().await.is_ok());
            assert!(!key.is_stale());
        });
        assert_ne!(std::fs::read(claim_path(&path)).expect("a claim"), before, "it says a later time");
        key.free();
        let record = std::fs::read_to_string(record_path(&path)).expect("a record");
        assert!(record.contains(r#""is_free":true"#), "{record}");
    }

    /// A file that never answers: a pipe that nobody writes to. What else runs on the thread goes on, and the node ends.
    #[test]
    fn a_disk_that_stalls_ends_the_node_and_holds_nothing_up() {
        let (_dir, path, mut key) = held();
        let claim = claim_path(&path);
        std::fs::remove_file(&claim).expect("it is there");
        mknodat(CWD, &claim, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
        let turns = Arc::new(AtomicU32::new(0));
        let runtime = runtime();
        runtime.block_on(async {
            let counted = turns.clone();
            let other = tokio::spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
            let Err(stalled) = key.renew().await else { panic!("it was renewed") };
            assert!(stalled.is_final());
            let text = CliError::from(stalled).summary();
            assert!(text.contains("the disk does not answer"), "{text}");
            other.abort();
            assert!(key.renew().await.is_err_and(|again| again.is_final()), "nobody knows whose it is");
        });
        assert!(turns.load(Ordering::Relaxed) > 10, "others had their turns");
        key.free();
        // What waits for the pipe hears that nothing comes.
        drop(std::fs::OpenOptions::new().write(true).open(&claim).expect("somebody reads"));
        runtime.shutdown_background();
    }
}
