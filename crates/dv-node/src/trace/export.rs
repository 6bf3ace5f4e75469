//! Sends spans to a collector: batches in a task of its own, one request at a time.
//!
//! A batch that a collector does not take is given up after the library's attempts; what comes meanwhile waits in the
//! queue, and what has no room there is counted. The log says once that a collector takes nothing, and once that it does
//! again, with how much was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use coxswain_dv_eth::time::Time;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::spans::{Span, Status, Value};
use super::{About, Collector, Tls};

/// Spans that wait to be sent, and spans of one request: the defaults of the specification of OpenTelemetry, which
/// charon has. A node of 1,000 validators makes less than 100 a second.
pub(super) const QUEUE: usize = 2_048;
const BATCH: usize = 512;
/// How long spans wait for others; the same specification.
const PAUSE: Duration = Duration::from_secs(5);
/// How long one request may take, with all attempts; the default of OTLP exporters.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What the end of a node waits for the last spans.
const LAST: Duration = Duration::from_secs(2);

/// Why traces are not sent.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A header.
    #[error("header {position} for the collector of traces has a name or a value that no header can have")]
    Header {
        /// Which, from 1: the text may be secret.
        position: usize,
    },
    /// The address, or the certificates of this machine.
    #[error("preparing to send traces to {address}")]
    Exporter {
        /// Of the collector.
        address: String,
        /// Why.
        source: ExporterBuildError,
    },
}

/// The task that sends.
#[derive(Debug)]
pub struct Exporting(pub(super) JoinHandle<()>);

impl Exporting {
    /// Waits until the last spans are sent, for 2 s at most. The tracer must be gone.
    pub async fn end(mut self) {
        if tokio::time::timeout(LAST, &mut self.0).await.is_err() {
            self.0.abort();
            tracing::warn!(
                seconds = LAST.as_secs(),
                "the last traces were not sent: the collector did not take them in time"
            );
        }
    }
}

pub(super) fn start(
    collector: &Collector,
    about: &About,
    lost: &Arc<AtomicU64>,
) -> Result<(mpsc::Sender<Span>, Exporting), StartError> {
    let exporter = exporter(collector, about)?;
    let (queue, spans) = mpsc::channel(QUEUE);
    let sender = Sender {
        exporter,
        address: collector.address.clone(),
        scope: InstrumentationScope::builder("coxswain").build(),
        lost: Arc::clone(lost),
        fails: false,
    };
    Ok((queue, Exporting(tokio::spawn(sender.run(spans)))))
}

fn exporter(collector: &Collector, about: &About) -> Result<SpanExporter, StartError> {
    let mut headers = HeaderMap::new();
    for (position, (name, value)) in collector.headers.iter().enumerate() {
        let refused = || StartError::Header { position: position + 1 };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        // Values under such names are not text, and the library drops them.
        if name.as_str().ends_with("-bin") {
            return Err(refused());
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let building = SpanExporter::builder()
        .with_tonic()
        .with_timeout(TIMEOUT)
        .with_metadata(MetadataMap::from_headers(headers));
    let address = &collector.address;
    let building = match collector.tls {
        Tls::On => building
            .with_endpoint(format!("https://{address}"))
            .with_tls_config(ClientTlsConfig::new().with_enabled_roots()),
        Tls::Off => building.with_endpoint(format!("http://{address}")),
    };
    let mut exporter =
        building.build().map_err(|source| StartError::Exporter { address: address.clone(), source })?;
    opentelemetry_sdk::trace::SpanExporter::set_resource(&mut exporter, &resource(about));
    Ok(exporter)
}

/// What is said of the node with every request.
fn resource(about: &About) -> Resource {
    let hash: String = about.lock_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let start: String = hash.chars().take(7).collect();
    let name = format!("{start}/{}", about.service);
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", name.trim_matches('/').to_owned()),
            KeyValue::new("service.version", about.version.clone()),
            KeyValue::new("cluster_peer", about.node.clone()),
            KeyValue::new("nickname", about.nickname.clone()),
        ])
        .build()
}

struct Sender {
    exporter: SpanExporter,
    address: String,
    scope: InstrumentationScope,
    lost: Arc<AtomicU64>,
    /// Whether the log says so.
    fails: bool,
}

impl Sender {
    /// Ends when the tracer is gone and everything was tried.
    async fn run(mut self, mut spans: mpsc::Receiver<Span>) {
        let mut batch = Vec::with_capacity(BATCH);
        while gather(&mut spans, &mut batch).await {
            self.send(std::mem::take(&mut batch)).await;
        }
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let count = batch.len() as u64;
        let data = batch.into_iter().map(|span| self.data(span)).collect();
        match self.exporter.export(data).await {
            Ok(()) if self.fails => {
                self.fails = false;
                let lost = self.lost.swap(0, Ordering::Relaxed);
                tracing::info!(collector = self.address, lost, "the collector takes traces again");
            }
            Ok(()) => {
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::warn!(
                        collector = self.address,
                        lost,
                        "the collector was too slow for all traces"
                    );
                }
            }
            Err(error) => {
                self.lost.fetch_add(count, Ordering::Relaxed);
                if !self.fails {
                    self.fails = true;
                    tracing::warn!(
                        collector = self.address,
                        %error,
                        "the collector takes no traces; they are lost until it does, and the node goes on"
                    );
                }
            }
        }
    }

    fn data(&self, span: Span) -> SpanData {
        let context = SpanContext::new(
            TraceId::from(span.trace),
            SpanId::from(span.id.0),
            // As charon: everything is recorded.
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        let value = |(key, value)| match value {
            Value::Text(text) => KeyValue::new(key, text),
            Value::Number(number) => KeyValue::new(key, i64::try_from(number).unwrap_or(i64::MAX)),
        };
        SpanData {
            span_context: context,
            parent_span_id: span.parent.map_or(SpanId::INVALID, |id| SpanId::from(id.0)),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: span.name.into(),
            start_time: at(span.from),
            end_time: at(span.to),
            attributes: span.attributes.into_iter().map(value).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match span.status {
                Status::Unset => opentelemetry::trace::Status::Unset,
                Status::Done => opentelemetry::trace::Status::Ok,
                Status::Failed(why) => opentelemetry::trace::Status::error(why),
            },
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// Waits for spans, and then for others until there are enough or the pause is over. Whether there are any: there are
/// none when the tracer is gone.
async fn gather(spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) -> bool {
    if spans.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let over = tokio::time::sleep(PAUSE);
    tokio::pin!(over);
    while batch.len() < BATCH {
        let room = BATCH - batch.len();
        tokio::select! {
            () = &mut over => break,
            count = spans.recv_many(batch, room) => if count == 0 {
                break;
            },
        }
    }
    true
}

fn at(time: Time) -> SystemTime {
    UNIX_EPOCH + time.0
}
