//! Traces: what each duty went through, for collectors that speak OTLP.
//!
//! ```text
//! driver ─notes→ Tracer ─→ whoever watches besides
//!                  └─ spans ─→ queue (bounded, never waits) ─→ export task ─OTLP/gRPC→ collector
//! ```
//!
//! The trace of a duty has the same id on every node of a cluster, ours and charon's, so that a collector shows what all
//! of them did as one. Names of spans are charon's. A span is a call, as there: one step of a duty, for all the validators
//! that took it together.
//!
//! # What must never happen
//!
//! - A collector that is slow, gone or hostile slows a duty, or fills memory.
//! - A header's value is in a log or an error.

mod export;
mod ids;
mod spans;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coxswain_dv_core::Note;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_qbft::debugger::Record;
use tokio::sync::mpsc;

pub use export::{Exporting, StartError};

use crate::driver::Watch;
use ids::Ids;
use spans::{Span, Spans};

/// Whether what goes to a collector is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It is, and the certificate is one of an authority that this machine trusts.
    On,
    /// It is not.
    Off,
}

/// Where traces go. It has no `Debug`: there are secrets in it.
#[derive(Clone)]
pub struct Collector {
    /// Host and port, as `collector:4317`; nothing in it is secret.
    pub address: String,
    /// Whether it is spoken to over TLS.
    pub tls: Tls,
    /// Headers of every request, which may be secret: names in lower case, and values.
    pub headers: Vec<(String, String)>,
}

/// What traces say of their node.
#[derive(Debug, Clone)]
pub struct About {
    /// The hash of the cluster's lock.
    pub lock_hash: Vec<u8>,
    /// The name of the service; what collectors show is `<7 hexadecimal digits of the hash>/<name>`, as of charon.
    pub service: String,
    /// The version that is reported to peers.
    pub version: String,
    /// What the cluster calls the node.
    pub node: String,
    /// What its operator calls the node.
    pub nickname: String,
    /// Shares that make a signature of the group.
    pub threshold: usize,
    /// The clock of the chain.
    pub clock: Clock,
}

/// Makes spans of notes, and passes everything on to another one who watches.
pub struct Tracer {
    spans: Spans,
    queue: mpsc::Sender<Span>,
    /// Spans for which there was no room.
    lost: Arc<AtomicU64>,
    others: Box<dyn Watch>,
}

/// Starts to trace: what watches now, with traces. Within a runtime.
///
/// # Errors
/// [`StartError`]; that no collector is there is none.
pub fn start(
    collector: &Collector,
    about: &About,
    others: Box<dyn Watch>,
) -> Result<(Tracer, Exporting), StartError> {
    let lost = Arc::new(AtomicU64::new(0));
    let (queue, exporting) = export::start(collector, about, &lost)?;
    let ids = Ids::new(about.lock_hash.clone(), rand::make_rng());
    let spans = Spans::new(about.clock, about.threshold, ids);
    Ok((Tracer { spans, queue, lost, others }, exporting))
}

impl Tracer {
    fn send(&self, spans: Vec<Span>) {
        for span in spans {
            if self.queue.try_send(span).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Watch for Tracer {
    fn note(&mut self, now: Time, note: &Note) {
        let spans = self.spans.note(now, note);
        self.send(spans);
        self.others.note(now, note);
    }

    fn record(&mut self, record: Record) {
        self.others.record(record);
    }
}

impl Drop for Tracer {
    /// The node has ended: what is under way ends, too.
    fn drop(&mut self) {
        let spans = self.spans.end();
        self.send(spans);
    }
}
