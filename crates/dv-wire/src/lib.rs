//! Messages between nodes of a distributed validator, byte for byte.
//!
//! ```text
//! protocol   one table: ids, kinds, sizes and times of every protocol; both versions of the broadcast
//! frame      length and message on a stream, read piece by piece; the frame of the sync stream
//! message    bytes to message and back: size, protobuf, and what must be there
//! well_known any value, time stamps, texts
//!
//! peerinfo   what a node says of itself      parsigex   partial signatures
//! priority   what a cluster would rather do  qbft       consensus
//! priority_result   what it comes to
//! sync       barriers of a ceremony          broadcast  reliable broadcast, and the hashes that are signed
//! frost      rounds of FROST                 pedersen   bundles of Pedersen
//! unsigned   what consensus decides          sniffed    consensus as a node saw it
//! node_sig   signatures of the new lock
//!
//! peer       ids of nodes                    version    versions that nodes report
//! canonical  bytes as all write them         root       what is signed of a message
//! bounds     how large messages of a ceremony can be
//! address    where nodes listen              relay      what the URL of a relay answers
//! ```
//!
//! A message is written in the order of its field numbers, with nothing for a field that is zero. Fields that are
//! messages are `Option`s, and they must be there unless their documentation says that they may be absent: others drop
//! what lacks one, so [`message::decode`] refuses it as well, and `Some(Default::default())` is what an empty one is.
//!
//! # What must never happen
//!
//! - Foreign bytes cause a panic, or memory that their limit does not allow.
//! - A hash is made of bytes that were written anew where the ones that were received are what was signed.
//! - A share of a secret is shown, or left in memory.

pub mod address;
pub mod bounds;
pub mod broadcast;
pub mod canonical;
pub mod frame;
pub mod frost;
pub mod message;
pub mod node_sig;
pub mod parsigex;
pub mod pedersen;
pub mod peer;
pub mod peerinfo;
pub mod priority;
pub mod priority_result;
pub mod protocol;
pub mod qbft;
pub mod relay;
pub mod root;
pub mod sniffed;
pub mod sync;
pub mod unsigned;
pub mod version;
pub mod well_known;
