//! The log to servers of Loki, as charon sends it: debug and above, as logfmt, in batches.
//!
//! ```text
//! event ─line→ queue of each server (bounded, never waits) ─→ batch ─snappy, protobuf→ POST
//! ```
//!
//! A thread of its own sends, so that lines of the start and of the end arrive, too. Nothing is sent before it is known
//! which node it is, because labels do not change later, or until the end.
//!
//! # What must never happen
//!
//! - A server that is slow or gone holds up whoever logs, or fills memory.
//! - The password or the path of an address is in the log.

mod push;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Ended, channel};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use url::Url;

use super::super::super::error::CliError;
use super::line::Entry;
use crate::dv::http;
use push::Pusher;

/// Lines that wait for a server, as charon; a second of a node that logs very much.
const QUEUE: usize = 1_000;
/// Longest line; servers refuse more by default, or cut it.
const MAX_LINE_BYTES: usize = 4 << 10;
/// What the end of a command waits for its last lines.
const LAST: Duration = Duration::from_secs(2);

/// Logs that go to a server of Loki.
#[derive(Debug, Clone, clap::Args)]
pub struct LokiArgs {
    /// Servers of Loki that get the log as well, like http://loki:3100/loki/api/v1/push
    #[arg(long, value_name = "URL")]
    pub loki_addresses: Vec<String>,
    /// What the log is called there
    #[arg(long, value_name = "NAME", default_value = "charon")]
    pub loki_service: String,
}

/// A line, and when it was.
#[derive(Debug)]
struct Line {
    time: jiff::Timestamp,
    text: String,
}

/// What a stream of lines is known by.
type Labels = BTreeMap<&'static str, String>;

/// Servers that get the log. Dropped, it sends what is left, for 2 s at most.
#[derive(Debug)]
pub struct Loki {
    outbox: Outbox,
    labels: watch::Sender<Option<Labels>>,
    quit: watch::Sender<bool>,
    /// Hears when the thread has ended; none where there is none.
    ended: Option<Ended<()>>,
}

/// Takes lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    queues: Vec<mpsc::Sender<Line>>,
    /// Lines that no server got, and that were too long; of each server.
    dropped: Arc<AtomicU64>,
}

impl LokiArgs {
    /// Starts to send, where a server is given.
    ///
    /// # Errors
    /// An address is none, or there is no thread.
    pub fn start(&self) -> Result<Loki, CliError> {
        let addresses: Vec<&String> = self.loki_addresses.iter().filter(|text| !text.is_empty()).collect();
        let (labels, known) = watch::channel(None);
        let (quit, quits) = watch::channel(false);
        let mut outbox = Outbox::default();
        let mut pushers = Vec::with_capacity(addresses.len());
        for text in addresses {
            let url: Url = http::parse_url(text).map_err(|why| {
                CliError::other(
                    "reading --loki-addresses",
                    why,
                    "give URLs, like http://loki:3100/loki/api/v1/push, with commas between them",
                )
            })?;
            let (queue, lines) = mpsc::channel(QUEUE);
            outbox.queues.push(queue);
            let service = self.loki_service.clone();
            pushers.push(Pusher::new((url, service), lines, known.clone(), Arc::clone(&outbox.dropped)));
        }
        let ended = if pushers.is_empty() { None } else { Some(run(pushers, &quits)?) };
        Ok(Loki { outbox, labels, quit, ended })
    }
}

fn run(pushers: Vec<Pusher>, quits: &watch::Receiver<bool>) -> Result<Ended<()>, CliError> {
    let failed = |error| {
        CliError::other("starting to send the log to Loki", error, "check the limits of this process")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (ends, ended) = channel();
    let quits = quits.clone();
    let work = move || {
        let running = pushers.into_iter().map(|pusher| pusher.run(quits.clone()));
        runtime.block_on(futures::future::join_all(running));
        // Nobody listens where the command did not wait.
        let _ = ends.send(());
    };
    std::thread::Builder::new().name("loki".to_owned()).spawn(work).map_err(failed)?;
    Ok(ended)
}

impl Loki {
    /// Says which node this is. The first time counts; nothing is sent before.
    pub fn label(&self, labels: impl IntoIterator<Item = (&'static str, String)>) {
        self.labels.send_if_modified(|known| {
            let is_new = known.is_none();
            if is_new {
                *known = Some(labels.into_iter().collect());
            }
            is_new
        });
    }

    /// Lines that a server did not get: it was too slow or refused them, or they were too long.
    #[must_use]
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.outbox.dropped)
    }

    pub(super) fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }
}

impl Drop for Loki {
    fn drop(&mut self) {
        self.quit.send_replace(true);
        if let Some(ended) = &self.ended {
            // What is not sent by then is lost: the end of a command does not hang on a server.
            let _ = ended.recv_timeout(LAST);
        }
    }
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    pub(super) fn put(&self, entry: &Entry) {
        let mut text = entry.with_pretty();
        if text.len() > MAX_LINE_BYTES {
            text = entry.plain();
        }
        let is_short = text.len() <= MAX_LINE_BYTES;
        for queue in &self.queues {
            let line = Line { time: entry.timestamp(), text: text.clone() };
            if !is_short || queue.try_send(line).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
