//! One server: what waits for it, and how it is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coxswain_dv_wire::well_known::Timestamp;
use prost::Message as _;
use rand::RngExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use url::Url;

use super::{Labels, Line};
use crate::dv::http::{Client, HttpError, Redirects, Request, Shown};

/// How long lines wait for others; and how many bytes of them go out at once. Both as charon.
const PAUSE: Duration = Duration::from_secs(1);
const BATCH_BYTES: usize = 5 << 20;
/// How long a request may take, as charon's.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between attempts, as gRPC has them, and charon: longer by this each time, up to two minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGER: f64 = 1.6;
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// Of lines about this: their topic is `loki`, as charon's.
pub(super) const TARGET: &str = "coxswain::loki";
/// What Loki says to a batch that it takes is empty.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// What is posted: the messages of Loki's push API.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) streams: Vec<Stream>,
}

/// Lines with the same labels.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Stream {
    #[prost(string, tag = "1")]
    pub(super) labels: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) entries: Vec<LokiLine>,
}

/// A line.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LokiLine {
    #[prost(message, optional, tag = "1")]
    pub(super) timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    pub(super) line: String,
}

/// Sends to one server.
pub(super) struct Pusher {
    url: Url,
    service: String,
    client: Client,
    lines: mpsc::Receiver<Line>,
    labels: watch::Receiver<Option<Labels>>,
    dropped: Arc<AtomicU64>,
    batch: Vec<LokiLine>,
    batch_bytes: usize,
    /// Attempts that came to nothing, and when the next one is due.
    failures: u32,
    due: Instant,
    /// Lines that were dropped while the log said that nothing arrives.
    missing: u64,
}

impl Pusher {
    pub(super) fn new(
        (url, service): (Url, String),
        lines: mpsc::Receiver<Line>,
        labels: watch::Receiver<Option<Labels>>,
        dropped: Arc<AtomicU64>,
    ) -> Pusher {
        Pusher {
            url,
            service,
            client: Client::new(),
            lines,
            labels,
            dropped,
            batch: Vec::new(),
            batch_bytes: 0,
            failures: 0,
            due: Instant::now(),
            missing: 0,
        }
    }

    /// Ends when it is told to, with one last attempt.
    pub(super) async fn run(mut self, mut quits: watch::Receiver<bool>) {
        let mut tick = interval(PAUSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Whoever would tell it is gone: that is the end, too.
                _ = quits.wait_for(|quits| *quits) => break,
                Some(line) = self.lines.recv() => {
                    self.take(line);
                    if self.batch_bytes >= BATCH_BYTES {
                        self.push_if_due().await;
                    }
                }
                _ = tick.tick() => self.push_if_due().await,
            }
        }
        while let Ok(line) = self.lines.try_recv() {
            self.take(line);
        }
        if !self.batch.is_empty() {
            // The command ends: nobody would read what comes of it.
            let _ = self.send().await;
        }
    }

    fn take(&mut self, line: Line) {
        if self.batch_bytes >= BATCH_BYTES {
            self.drop_lines(1);
            return;
        }
        self.batch_bytes += line.text.len();
        let nanos = line.time.as_nanosecond();
        self.batch.push(LokiLine { timestamp: Timestamp::from_unix_nanos(nanos), line: line.text });
    }

    fn drop_lines(&mut self, count: u64) {
        self.missing += count;
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    async fn push_if_due(&mut self) {
        let is_labelled = self.labels.borrow().is_some();
        if self.batch.is_empty() || !is_labelled || Instant::now() < self.due {
            return;
        }
        let sent = self.send().await;
        let server = self.url.origin().ascii_serialization();
        match sent {
            Ok(()) => {
                self.clear();
                if self.failures > 0 {
                    let missing = std::mem::take(&mut self.missing);
                    tracing::info!(target: TARGET, server, missing, "Loki takes the log again");
                }
                self.failures = 0;
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::warn!(target: TARGET, server, error = %error.why, "Loki does not take the log; it is tried again");
                }
                // The same lines again would be refused again, and hold up those that come.
                if error.is_refusal() && !error.is_passing() {
                    self.drop_lines(self.batch.len() as u64);
                    self.clear();
                }
                self.failures = self.failures.saturating_add(1);
                self.due = Instant::now() + pause(self.failures).mul_f64(rand::rng().random_range(0.8..1.2));
            }
        }
    }

    fn clear(&mut self) {
        self.batch.clear();
        self.batch_bytes = 0;
    }

    async fn send(&mut self) -> Result<(), HttpError> {
        let labels = self.labels.borrow().clone().unwrap_or_default();
        let labels = text(&self.service, labels);
        let entries = std::mem::take(&mut self.batch);
        let push = PushRequest { streams: vec![Stream { labels, entries }] };
        let body = compressed(&push.encode_to_vec());
        self.batch = push.streams.into_iter().flat_map(|stream| stream.entries).collect();
        let request = Request {
            timeout: TIMEOUT,
            max_answer_bytes: MAX_ANSWER_BYTES,
            content_type: "application/x-protobuf",
            redirects: Redirects::Repeat,
            shown: Shown::Origin,
            ..Request::post(&self.url, body)
        };
        self.client.fetch(&request).await.map(|_| ())
    }
}

/// The block format of snappy.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    // It refuses only what is larger than 4 GiB, and a batch has a limit.
    snap::raw::Encoder::new().compress_vec(bytes).unwrap_or_default()
}

/// The pause after so many failures, 1 and more.
pub(super) fn pause(failures: u32) -> Duration {
    let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX).min(60);
    FIRST_PAUSE.mul_f64(LONGER.powi(exponent)).min(LONGEST_PAUSE)
}

/// Labels as Loki reads them. Empty ones are none.
pub(super) fn text(service: &str, labels: Labels) -> String {
    let mut all: BTreeMap<&str, String> = labels;
    all.insert("service", service.to_owned());
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs = all.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{{{}}}", pairs.join(","))
}
