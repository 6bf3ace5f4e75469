//! Reliable broadcast: every peer signs the hash of a message before anybody takes the message.
//!
//! ```text
//! author ── BCastSigRequest ──→ each peer ── BCastSigResponse ──→ author ── BCastMessage ──→ each peer
//! ```
//!
//! The hash covers the bytes of the message as they were received.

use coxswain_dv_types::Root;
use sha2::{Digest as _, Sha256};

use crate::message::{Missing, WireMessage, required};
use crate::protocol::{self, Protocol};
use crate::version::Minor;
use crate::well_known::Any;

/// The id of casts of the first round of FROST.
pub const FROST_ROUND1: &str = "/charon/dkg/frost/2.0.0/round1/cast";
/// The id of casts of the second round of FROST.
pub const FROST_ROUND2: &str = "/charon/dkg/frost/2.0.0/round2/cast";
/// The id of signatures of the new lock.
pub const NODE_SIGNATURE: &str = "/charon/dkg/node_sig";
/// The id of the keys that a Pedersen ceremony begins with.
pub const PEDERSEN_KEYS: &str = "/charon/dkg/pedersen/1.0.0/node_pubkeys";

/// The first version that speaks 2.0.0. Release candidates 1 and 2 of v1.11.0 speak 1.0.0 none the less.
const FIRST_SESSION_BOUND: Minor = Minor { major: 1, minor: 11 };

/// Asks a peer to sign.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BCastSigRequest {
    /// Which broadcast it is.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What is broadcast.
    #[prost(message, optional, tag = "3")]
    pub message: Option<Any>,
}

impl WireMessage for BCastSigRequest {
    const NAME: &'static str = "dkg.dkgpb.v1.BCastSigRequest";
    fn present(&self) -> Result<(), Missing> {
        required("message", self.message.as_ref())
    }
}

/// A peer's signature.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BCastSigResponse {
    /// Which broadcast it is.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Over the hash, 65 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
}

impl WireMessage for BCastSigResponse {
    const NAME: &'static str = "dkg.dkgpb.v1.BCastSigResponse";
    fn present(&self) -> Result<(), Missing> {
        Ok(())
    }
}

/// A message with the signatures of all.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BCastMessage {
    /// Which broadcast it is.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What is broadcast.
    #[prost(message, optional, tag = "2")]
    pub message: Option<Any>,
    /// One of each peer, the author's among them, in the order of peers.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub signatures: Vec<Vec<u8>>,
}

impl WireMessage for BCastMessage {
    const NAME: &'static str = "dkg.dkgpb.v1.BCastMessage";
    fn present(&self) -> Result<(), Missing> {
        required("message", self.message.as_ref())
    }
}

/// A version of the broadcast: its protocols, and what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BroadcastVersion {
    /// 1.0.0: bound to the message alone.
    Unbound,
    /// 2.0.0: bound to session, id and message.
    SessionBound,
}

impl BroadcastVersion {
    /// What nodes of this version speak.
    #[must_use]
    pub fn of(version: Minor) -> BroadcastVersion {
        if version < FIRST_SESSION_BOUND { Self::Unbound } else { Self::SessionBound }
    }

    /// The protocol that asks for signatures.
    #[must_use]
    pub fn signing(self) -> &'static Protocol {
        match self {
            Self::Unbound => &protocol::BROADCAST_1_SIG,
            Self::SessionBound => &protocol::BROADCAST_2_SIG,
        }
    }

    /// The protocol of messages.
    #[must_use]
    pub fn sending(self) -> &'static Protocol {
        match self {
            Self::Unbound => &protocol::BROADCAST_1_MSG,
            Self::SessionBound => &protocol::BROADCAST_2_MSG,
        }
    }

    /// What each peer signs: SHA-256 of the session, the id, the type and the value, each behind its length in 8 bytes,
    /// big end first; of type and value alone in 1.0.0.
    ///
    /// The session of new validators and new clusters is the definition hash, that of other edits the present lock hash.
    #[must_use]
    pub fn hash(self, session: &[u8], id: &str, message: &Any) -> Root {
        let (kind, value) = (message.type_url.as_bytes(), message.value.as_slice());
        match self {
            Self::Unbound => Sha256::new().chain_update(kind).chain_update(value).finalize().into(),
            Self::SessionBound => {
                let mut hash = Sha256::new();
                for part in [session, id.as_bytes(), kind, value] {
                    hash.update((part.len() as u64).to_be_bytes());
                    hash.update(part);
                }
                hash.finalize().into()
            }
        }
    }
}
