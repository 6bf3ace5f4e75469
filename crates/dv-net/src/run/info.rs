//! What nodes say of themselves: asked of each peer every minute, and answered.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_wire::message;
use coxswain_dv_wire::peerinfo::{PeerInfo, PeerTimes, PeerVersionError, check_version, clock_offset};
use coxswain_dv_wire::protocol::PEERINFO;
use coxswain_dv_wire::version::SUPPORTED;
use coxswain_dv_wire::well_known::Timestamp;
use libp2p::PeerId;
use tokio::time::Instant;

use super::{Shared, lock, spoken};

/// How often a peer is asked, as charon does.
const EVERY: Duration = Duration::from_secs(60);
/// How long it is waited after a request that failed: a peer that has just started may not answer yet.
const AGAIN: Duration = Duration::from_secs(10);
/// Characters of a peer's text that are kept: a nickname has at most 32.
const MAX_TEXT: usize = 64;

/// Whether this node works with a peer's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Supported,
    /// It does not: one of the two is to be updated.
    Unsupported,
    /// The peer is not charon: its version says nothing.
    Unchecked,
}

/// What a peer says of itself. Its texts are cut short, and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its version, as charon counts.
    pub version: String,
    /// Whether this node works with it.
    pub support: Support,
    /// Which sources it is made of: seven hexadecimal digits or `unknown`.
    pub git_hash: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// How far its clock is ahead of ours, in nanoseconds; at most an hour either way.
    pub clock_offset_nanos: i64,
    /// Whether it takes blocks from builders.
    pub builder_api_enabled: bool,
    /// What its operator calls it.
    pub nickname: String,
    /// What it is: `charon`, `coxswain`.
    pub dv_client: String,
    /// Whether it has the lock of this node.
    pub is_same_lock: bool,
}

/// The clock of this host.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap_or_default()).unwrap_or_default()
}

/// What this node answers.
pub(super) fn answer(info: &PeerInfo) -> Vec<u8> {
    message::encode(&PeerInfo { sent_at: Some(now()), ..info.clone() })
}

fn cut(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(MAX_TEXT).collect()
}

/// Reads an answer that came at `received` after a round trip; none where it is to be thrown away.
fn read(ours: &PeerInfo, answer: &[u8], received: Timestamp, round_trip: Duration) -> Result<Said, String> {
    let theirs: PeerInfo = message::decode(answer, PEERINFO.max_bytes).map_err(|error| error.to_string())?;
    let PeerTimes { sent_at, started_at } = theirs.check().map_err(|error| error.to_string())?;
    let support = match check_version(&theirs.charon_version, &SUPPORTED) {
        _ if !theirs.is_charon() => Support::Unchecked,
        Ok(_) => Support::Supported,
        Err(PeerVersionError::Unparsable(_) | PeerVersionError::Unsupported { .. } | _) => {
            Support::Unsupported
        }
    };
    let nanos = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
    Ok(Said {
        version: cut(&theirs.charon_version),
        support,
        git_hash: theirs.git_hash.clone(),
        started_at,
        clock_offset_nanos: clock_offset(sent_at, received, nanos),
        builder_api_enabled: theirs.builder_api_enabled,
        nickname: cut(&theirs.nickname),
        dv_client: if theirs.dv_client.is_empty() { "charon".to_owned() } else { cut(&theirs.dv_client) },
        is_same_lock: theirs.lock_hash == ours.lock_hash,
    })
}

/// Tells operators what does not fit, when it is new.
fn warn(peer: PeerId, ours: &PeerInfo, before: Option<&Said>, said: &Said) {
    if said.support == Support::Unsupported && before.is_none_or(|before| before.version != said.version) {
        tracing::error!(%peer, version = %said.version, "a peer's version does not work with this node: update one of them");
    }
    if !said.is_same_lock && before.is_none_or(|before| before.is_same_lock) {
        tracing::warn!(%peer, nickname = %said.nickname, "a peer has another cluster lock than this node");
    }
    let differs = |said: &Said| said.builder_api_enabled != ours.builder_api_enabled;
    if differs(said) && before.is_none_or(|before| !differs(before)) {
        tracing::warn!(%peer, nickname = %said.nickname, is_enabled = said.builder_api_enabled,
            "a peer has another setting of the builder API than this node");
    }
}

/// Asks a peer for ever.
pub(super) async fn ask(shared: Arc<Shared>, peer: PeerId, ours: Arc<PeerInfo>) {
    let protocol = spoken(&PEERINFO);
    let mut status = shared.network.status();
    loop {
        if status.wait_for(|status| status.connected.contains_key(&peer)).await.is_err() {
            return;
        }
        let began = Instant::now();
        let result = shared.network.request(peer, &protocol, &answer(&ours)).await;
        let round_trip = began.elapsed();
        let said = match result {
            Ok(bytes) => read(&ours, &bytes, now(), round_trip),
            Err(error) => Err(error.to_string()),
        };
        let pause = match said {
            Ok(said) => {
                warn(peer, &ours, lock(&shared.said).get(&peer), &said);
                lock(&shared.said).insert(peer, said);
                EVERY
            }
            Err(why) => {
                tracing::debug!(%peer, why, "a peer does not say what it is");
                AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}
