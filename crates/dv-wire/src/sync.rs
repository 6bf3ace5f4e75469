//! Barriers of a ceremony: what goes over the sync stream.
//!
//! A client proves who it is and which ceremony it is in with a signature that is the same in every message.

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic, K1Error, verify_der};
use sha2::{Digest as _, Sha256};

use crate::message::{Missing, WireMessage, required};
use crate::well_known::Timestamp;

/// What a client reports.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MsgSync {
    /// When it was sent.
    #[prost(message, optional, tag = "1")]
    pub timestamp: Option<Timestamp>,
    /// [`sign`] of the ceremony.
    #[prost(bytes = "vec", tag = "2")]
    pub hash_signature: Vec<u8>,
    /// It is about to leave.
    #[prost(bool, tag = "3")]
    pub shutdown: bool,
    /// Its version in the minor form, like `v1.11`.
    #[prost(string, tag = "4")]
    pub version: String,
    /// The barrier that it has come to.
    #[prost(int64, tag = "5")]
    pub step: i64,
    /// What its operator calls it.
    #[prost(string, tag = "6")]
    pub nickname: String,
}

impl WireMessage for MsgSync {
    const NAME: &'static str = "dkg.dkgpb.v1.MsgSync";
    fn present(&self) -> Result<(), Missing> {
        required("timestamp", self.timestamp.as_ref())
    }
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct MsgSyncResponse {
    /// The time stamp of the report.
    #[prost(message, optional, tag = "1")]
    pub sync_timestamp: Option<Timestamp>,
    /// What is wrong with the report; empty for nothing.
    #[prost(string, tag = "2")]
    pub error: String,
}

impl WireMessage for MsgSyncResponse {
    const NAME: &'static str = "dkg.dkgpb.v1.MsgSyncResponse";
    fn present(&self) -> Result<(), Missing> {
        required("sync_timestamp", self.sync_timestamp.as_ref())
    }
}

/// What is signed: the hash of the ceremony's id, as libp2p signs bytes.
fn digest(ceremony: &[u8]) -> [u8; 32] {
    Sha256::digest(ceremony).into()
}

/// A node's signature over the id of the ceremony (DER). The same every time.
#[must_use]
pub fn sign(key: &IdentityKey, ceremony: &[u8]) -> Vec<u8> {
    key.sign_der(&digest(ceremony))
}

/// Checks a node's signature over the id of the ceremony.
///
/// # Errors
/// It is another key's or of another ceremony, or no signature.
pub fn verify(public: &IdentityPublic, ceremony: &[u8], signature: &[u8]) -> Result<(), K1Error> {
    verify_der(public, &digest(ceremony), signature)
}
