//! What a node says of itself.

use crate::message::{Missing, WireMessage, optional};
use crate::version::{Minor, Version, VersionError};
use crate::well_known::Timestamp;

/// What we name ourselves.
pub const DV_CLIENT: &str = "coxswain";
/// What a node is that does not name itself.
const UNNAMED_CLIENT: &str = "charon";
/// Characters of a hash of sources.
const GIT_HASH_CHARS: usize = 7;
/// What stands in its place where it is not known.
const GIT_HASH_UNKNOWN: &str = "unknown";
/// The largest offset of clocks that is told: one hour.
const MAX_OFFSET_NANOS: i128 = 3_600_000_000_000;

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PeerInfo {
    /// Its version, like `v1.11.0`, also where it is not charon.
    #[prost(string, tag = "1")]
    pub charon_version: String,
    /// The hash of its lock, 32 bytes; in ceremonies the id of the ceremony.
    #[prost(bytes = "vec", tag = "2")]
    pub lock_hash: Vec<u8>,
    /// Its clock. May be absent.
    #[prost(message, optional, tag = "3")]
    pub sent_at: Option<Timestamp>,
    /// Which sources it is made of.
    #[prost(string, tag = "4")]
    pub git_hash: String,
    /// When it was started. May be absent.
    #[prost(message, optional, tag = "5")]
    pub started_at: Option<Timestamp>,
    /// Whether it takes blocks from builders.
    #[prost(bool, tag = "6")]
    pub builder_api_enabled: bool,
    /// What its operator calls it.
    #[prost(string, tag = "7")]
    pub nickname: String,
    /// What it is; empty for charon.
    #[prost(string, tag = "8")]
    pub dv_client: String,
}

impl WireMessage for PeerInfo {
    const NAME: &'static str = "app.peerinfo.peerinfopb.v1.PeerInfo";
    fn present(&self) -> Result<(), Missing> {
        optional("sent_at", self.sent_at.as_ref())?;
        optional("started_at", self.started_at.as_ref())
    }
}

/// Why an answer is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerInfoError {
    /// A time is missing.
    #[error("the peer's answer does not say {0}")]
    NoTime(&'static str),
    /// The hash of sources is none.
    #[error("the peer's `git_hash` is neither 7 lower hexadecimal digits nor `unknown`")]
    GitHash,
}

/// Why a peer's version does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerVersionError {
    /// It is no version.
    #[error("the peer's version cannot be read")]
    Unparsable(#[source] VersionError),
    /// It is not one that this node works with.
    #[error("this node does not work with {version}; one of the two is to be updated")]
    Unsupported {
        /// The peer's version.
        version: Version,
    },
}

/// What a usable answer says beside its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerTimes {
    /// The peer's clock when it answered.
    pub sent_at: Timestamp,
    /// When it was started.
    pub started_at: Timestamp,
}

impl PeerInfo {
    /// Checks an answer.
    ///
    /// # Errors
    /// It is to be thrown away.
    pub fn check(&self) -> Result<PeerTimes, PeerInfoError> {
        let sent_at = self.sent_at.ok_or(PeerInfoError::NoTime("when it was sent"))?;
        let started_at = self.started_at.ok_or(PeerInfoError::NoTime("when the peer was started"))?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_hash = self.git_hash.len() == GIT_HASH_CHARS && self.git_hash.bytes().all(is_digit);
        if !is_hash && self.git_hash != GIT_HASH_UNKNOWN {
            return Err(PeerInfoError::GitHash);
        }
        Ok(PeerTimes { sent_at, started_at })
    }

    /// Whether its version is charon's, and to be checked as such.
    #[must_use]
    pub fn is_charon(&self) -> bool {
        self.dv_client.is_empty() || self.dv_client == UNNAMED_CLIENT
    }
}

/// Checks a peer's version against those that this node works with, the newest first. Newer ones pass: their nodes know
/// ours.
///
/// # Errors
/// It is no version, or older, or left out.
pub fn check_version(version: &str, supported: &[Minor]) -> Result<Version, PeerVersionError> {
    let version = Version::parse(version).map_err(PeerVersionError::Unparsable)?;
    let is_newer = supported.first().is_some_and(|newest| version.minor() > *newest);
    if is_newer || supported.contains(&version.minor()) {
        Ok(version)
    } else {
        Err(PeerVersionError::Unsupported { version })
    }
}

/// How far a peer's clock is ahead of ours in nanoseconds, at most one hour either way. Its answer came at `received`
/// after a round trip of `round_trip` nanoseconds, half of which it is old.
#[must_use]
pub fn clock_offset(sent_at: Timestamp, received: Timestamp, round_trip: u64) -> i64 {
    let offset = sent_at.unix_nanos() - (received.unix_nanos() - i128::from(round_trip / 2));
    let clamped = offset.clamp(-MAX_OFFSET_NANOS, MAX_OFFSET_NANOS);
    // An hour fits.
    i64::try_from(clamped).unwrap_or_default()
}
