//! Streams of reports: one to every peer, one from every peer, for as long as the ceremony lasts.

use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_dkg::ceremony::Event;
use coxswain_dv_net::{FrameError, Network, PeerId, Place, Stream, finish, read_report, write_report};
use coxswain_dv_wire::message::{self, WireError};
use coxswain_dv_wire::protocol::SYNC;
use coxswain_dv_wire::sync::{self, MsgSync, MsgSyncResponse};
use coxswain_dv_wire::version::Minor;
use coxswain_dv_wire::{frame, well_known::Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

/// How often everybody reports.
const EVERY: Duration = Duration::from_millis(100);
/// First pause before a stream is opened again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Longest report that is read: real ones have 200 bytes.
const MAX_BYTES: usize = 64 << 10;

/// What we report at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) step: i64,
    pub(super) leaving: bool,
}

/// What is the same in all our reports.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) signature: Vec<u8>,
    pub(super) version: Minor,
    pub(super) nickname: String,
}

impl Identity {
    pub(super) fn new(key: &IdentityKey, ceremony: &[u8], version: Minor, nickname: &str) -> Self {
        Self { signature: sync::sign(key, ceremony), version, nickname: nickname.to_owned() }
    }
}

/// What comes of streams: an event, and where its answer goes.
pub(super) enum Heard {
    Event(Event),
    Report { from: usize, report: MsgSync, answer: oneshot::Sender<MsgSyncResponse> },
}

/// Why a stream of reports ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("a report that cannot be written")]
    Write(#[from] frame::FrameError),
    #[error("the ceremony is over")]
    Over,
}

fn now() -> Option<Timestamp> {
    Timestamp::from_unix_nanos(jiff::Timestamp::now().as_nanosecond())
}

/// Reports to one peer until we have said that we leave.
pub(super) async fn report_to(
    (place, peer): (usize, PeerId),
    network: Network,
    identity: Identity,
    mut report: watch::Receiver<Report>,
    heard: mpsc::Sender<Heard>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(mut stream) = network.open(peer, &[SYNC.id]).await {
            let ended = speak(place, &mut stream, &identity, &mut report, &heard).await;
            finish(stream).await;
            match ended {
                Ok(()) | Err(Ended::Over) => return,
                Err(error) => {
                    tracing::debug!(place, %error, "a stream of our reports ended");
                    pause = FIRST_PAUSE;
                }
            }
        }
        if heard.send(Heard::Event(Event::LostReports(place))).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 8 / 5).min(LONGEST_PAUSE);
    }
}

async fn speak(
    place: usize,
    stream: &mut Stream,
    identity: &Identity,
    report: &mut watch::Receiver<Report>,
    heard: &mpsc::Sender<Heard>,
) -> Result<(), Ended> {
    loop {
        let Report { step, leaving } = *report.borrow_and_update();
        let message = MsgSync {
            timestamp: now(),
            hash_signature: identity.signature.clone(),
            shutdown: leaving,
            version: identity.version.to_string(),
            step,
            nickname: identity.nickname.clone(),
        };
        write_report(stream, &frame::sync_frame(&message)?).await?;
        let answer: MsgSyncResponse = message::decode(&read_report(stream, MAX_BYTES).await?, MAX_BYTES)?;
        let event = Event::ReportAnswered { from: place, leaving, error: answer.error };
        heard.send(Heard::Event(event)).await.map_err(|_| Ended::Over)?;
        if leaving {
            return Ok(());
        }
        // What is new is said at once.
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            changed = report.changed() => changed.map_err(|_| Ended::Over)?,
        }
    }
}

/// Answers the reports of one peer, until it leaves or its stream ends.
pub(super) async fn hear_from(
    place: usize,
    (mut stream, _place): (Stream, Place),
    heard: mpsc::Sender<Heard>,
) {
    if let Err(error) = listen(place, &mut stream, &heard).await {
        tracing::debug!(place, %error, "a stream of a peer's reports ended");
    }
    finish(stream).await;
    drop(heard.send(Heard::Event(Event::LostPeer(place))).await);
}

async fn listen(place: usize, stream: &mut Stream, heard: &mpsc::Sender<Heard>) -> Result<(), Ended> {
    loop {
        let report: MsgSync = message::decode(&read_report(stream, MAX_BYTES).await?, MAX_BYTES)?;
        let leaving = report.shutdown;
        let (answer, answered) = oneshot::channel();
        heard.send(Heard::Report { from: place, report, answer }).await.map_err(|_| Ended::Over)?;
        let answer = answered.await.map_err(|_| Ended::Over)?;
        write_report(stream, &frame::sync_frame(&answer)?).await?;
        if leaving {
            return Ok(());
        }
    }
}
