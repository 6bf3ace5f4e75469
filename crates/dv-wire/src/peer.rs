//! Ids of nodes: their public key, wrapped.
//!
//! ```text
//! 00 25 ‖ 08 02 ‖ 12 21 ‖ compressed key of 33 bytes
//! └ the bytes themselves, 37 of them (multihash "identity")
//!         └ type secp256k1 ‖ data of 33 bytes (message of libp2p)
//! ```
//!
//! The text is base58btc, and begins with `16Uiu2HA`. <https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md>

use std::cmp::Ordering;
use std::fmt;

use coxswain_dv_crypto::k1::{IdentityPublic, K1Error, PUBLIC_LEN};

use crate::message::shown;

/// Bytes of an id.
pub const PEER_ID_BYTES: usize = 39;
/// What stands before the key.
const PREFIX: [u8; PEER_ID_BYTES - PUBLIC_LEN] = [0x00, 0x25, 0x08, 0x02, 0x12, 0x21];
/// Longest text that is read: decoding takes time by the square of its length.
const MAX_TEXT: usize = 64;

/// Why something is no id of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerIdError {
    /// It is no text of an id.
    #[error("an id of a node is a text in base58 that begins with 16Uiu2HA, not {text:?}")]
    Text {
        /// What was given, cut short where it is long.
        text: String,
    },
    /// It is something else than a key of secp256k1.
    #[error("an id of a node is its secp256k1 key in {PEER_ID_BYTES} bytes; these {length} are not")]
    Bytes {
        /// How many were given.
        length: usize,
    },
    /// The key is none.
    #[error("the key in the id of a node is none: {0}")]
    Key(#[source] K1Error),
}

/// The id of a node. Compared and ordered by its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId(IdentityPublic);

impl PeerId {
    /// The id of a key.
    #[must_use]
    pub fn of(public: &IdentityPublic) -> PeerId {
        PeerId(*public)
    }

    /// Reads the bytes of an id.
    ///
    /// # Errors
    /// They are something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<PeerId, PeerIdError> {
        let wrong = PeerIdError::Bytes { length: bytes.len() };
        let key = bytes.strip_prefix(&PREFIX).filter(|key| key.len() == PUBLIC_LEN).ok_or(wrong)?;
        IdentityPublic::from_bytes(key).map(PeerId).map_err(PeerIdError::Key)
    }

    /// Reads the text of an id.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<PeerId, PeerIdError> {
        let wrong = || PeerIdError::Text { text: shown(text) };
        if text.len() > MAX_TEXT {
            return Err(wrong());
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| wrong())?;
        match Self::from_bytes(&bytes) {
            Err(PeerIdError::Bytes { .. }) => Err(wrong()),
            read => read,
        }
    }

    /// The bytes of the id.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PEER_ID_BYTES] {
        let mut out = [0; PEER_ID_BYTES];
        let (prefix, key) = out.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(&PREFIX);
        key.copy_from_slice(&self.0.to_bytes());
        out
    }

    /// The key of the node.
    #[must_use]
    pub fn public(&self) -> &IdentityPublic {
        &self.0
    }

    /// Whether this node dials that one through relays: of two nodes, the one whose bytes are less does.
    #[must_use]
    pub fn dials(&self, other: &PeerId) -> bool {
        self < other
    }
}

impl PartialOrd for PeerId {
    fn partial_cmp(&self, other: &PeerId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PeerId {
    /// The prefix is the same for all.
    fn cmp(&self, other: &PeerId) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.to_bytes()).into_string())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}
