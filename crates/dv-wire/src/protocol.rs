//! Every protocol between nodes: ids, kinds, sizes and times.
//!
//! A new protocol is a row of [`PROTOCOLS`]. Times count from the opening of a stream; where a ceremony has none of its
//! own, the driver gives what `--timeout` says.

use std::time::Duration;

/// Bytes in a mebibyte.
const MIB: usize = 1024 * 1024;
/// Most bytes of a message, where nothing smaller is known.
const DEFAULT_MAX: usize = 128 * MIB;
/// Most bytes of what a node says of itself.
const PEERINFO_MAX: usize = MIB;
/// Most bytes of a message of consensus.
const QBFT_MAX: usize = 32 * MIB;
/// Most bytes of a message on the sync stream.
const SYNC_MAX: usize = 32 * MIB;

/// Reading a message and handling it.
const RECEIVE: TimeLimit = TimeLimit::After(Duration::from_secs(5));
/// Writing a message, and waiting for the answer.
const SEND: TimeLimit = TimeLimit::After(Duration::from_secs(7));
/// A server of the broadcast: its handler may wait until the lock is computed.
const BROADCAST_RECEIVE: TimeLimit = TimeLimit::After(Duration::from_secs(60));
/// A client of the broadcast waits a little longer than a server works.
const BROADCAST_SEND: TimeLimit = TimeLimit::After(Duration::from_secs(62));

/// Who says what on a stream. Errors are never sent: a side that has nothing to say closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One frame, then the stream is closed.
    OneWay,
    /// One frame, and an empty frame comes back that nobody needs.
    OneWayAnswered,
    /// One frame, the sender's side is closed, one frame comes back.
    RequestResponse,
    /// Frames both ways for as long as the ceremony lasts, in the framing of the sync stream.
    LongStream,
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeLimit {
    /// For ever.
    Never,
    /// So long.
    After(Duration),
    /// As long as the operator says with `--timeout`.
    Ceremony,
}

/// How long the two sides wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Times {
    /// The receiver: to read the message and to handle it.
    pub receive: TimeLimit,
    /// The sender: to write the message, and to get the answer.
    pub send: TimeLimit,
}

/// One protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol {
    /// As it is negotiated.
    pub id: &'static str,
    /// Who says what.
    pub kind: Kind,
    /// Most bytes of a message.
    pub max_bytes: usize,
    /// Its times while a cluster runs; none where it is not used there.
    pub run: Option<Times>,
    /// Its times in ceremonies; none where it is not used there.
    pub ceremony: Option<Times>,
}

impl Protocol {
    const fn new(id: &'static str, kind: Kind, max_bytes: usize) -> Protocol {
        Protocol { id, kind, max_bytes, run: None, ceremony: None }
    }

    const fn in_run(self, receive: TimeLimit, send: TimeLimit) -> Protocol {
        Protocol { run: Some(Times { receive, send }), ..self }
    }

    const fn in_ceremonies(self, receive: TimeLimit, send: TimeLimit) -> Protocol {
        Protocol { ceremony: Some(Times { receive, send }), ..self }
    }
}

/// What a node says of itself. In ceremonies nodes only answer: relays ask.
pub const PEERINFO: Protocol = Protocol::new("/charon/peerinfo/2.0.0", Kind::RequestResponse, PEERINFO_MAX)
    .in_run(RECEIVE, SEND)
    .in_ceremonies(RECEIVE, SEND);
/// Preferences of a cluster.
pub const PRIORITY: Protocol =
    Protocol::new("/charon/priority/2.0.0", Kind::RequestResponse, DEFAULT_MAX).in_run(RECEIVE, SEND);
/// The same, as nodes up to v1.11.0-rc1 call it.
pub const PRIORITY_LEGACY: Protocol =
    Protocol::new("charon/priority/2.0.0", Kind::RequestResponse, DEFAULT_MAX).in_run(RECEIVE, SEND);
/// Partial signatures.
pub const PARSIGEX: Protocol = Protocol::new("/charon/parsigex/2.0.0", Kind::OneWay, DEFAULT_MAX)
    .in_run(RECEIVE, SEND)
    .in_ceremonies(TimeLimit::Ceremony, TimeLimit::Ceremony);
/// Consensus.
pub const QBFT: Protocol =
    Protocol::new("/charon/consensus/qbft/2.0.0", Kind::OneWay, QBFT_MAX).in_run(RECEIVE, SEND);
/// Barriers of a ceremony. The id ends with a slash.
pub const SYNC: Protocol = Protocol::new("/charon/dkg/sync/1.0.0/", Kind::LongStream, SYNC_MAX)
    .in_ceremonies(TimeLimit::Never, TimeLimit::Never);
/// Asks for a signature of a broadcast, up to v1.10.
pub const BROADCAST_1_SIG: Protocol =
    Protocol::new("/charon/dkg/bcast/1.0.0/sig", Kind::RequestResponse, DEFAULT_MAX)
        .in_ceremonies(BROADCAST_RECEIVE, SEND);
/// A broadcast message, up to v1.10.
pub const BROADCAST_1_MSG: Protocol =
    Protocol::new("/charon/dkg/bcast/1.0.0/msg", Kind::OneWayAnswered, DEFAULT_MAX)
        .in_ceremonies(BROADCAST_RECEIVE, BROADCAST_SEND);
/// Asks for a signature of a broadcast, from v1.11.
pub const BROADCAST_2_SIG: Protocol =
    Protocol::new("/charon/dkg/bcast/2.0.0/sig", Kind::RequestResponse, DEFAULT_MAX)
        .in_ceremonies(BROADCAST_RECEIVE, SEND);
/// A broadcast message, from v1.11.
pub const BROADCAST_2_MSG: Protocol =
    Protocol::new("/charon/dkg/bcast/2.0.0/msg", Kind::OneWayAnswered, DEFAULT_MAX)
        .in_ceremonies(BROADCAST_RECEIVE, BROADCAST_SEND);
/// Shares of the first round of FROST.
pub const FROST_SHARES: Protocol =
    Protocol::new("/charon/dkg/frost/2.0.0/round1/p2p", Kind::OneWay, DEFAULT_MAX)
        .in_ceremonies(RECEIVE, SEND);
/// Deals of Pedersen.
pub const PEDERSEN_DEALS: Protocol =
    Protocol::new("/charon/dkg/pedersen/1.0.0/deal_bundle", Kind::OneWayAnswered, DEFAULT_MAX)
        .in_ceremonies(RECEIVE, SEND);
/// Responses of Pedersen.
pub const PEDERSEN_RESPONSES: Protocol =
    Protocol::new("/charon/dkg/pedersen/1.0.0/resp_bundle", Kind::OneWayAnswered, DEFAULT_MAX)
        .in_ceremonies(RECEIVE, SEND);
/// Justifications of Pedersen.
pub const PEDERSEN_JUSTIFICATIONS: Protocol =
    Protocol::new("/charon/dkg/pedersen/1.0.0/just_bundle", Kind::OneWayAnswered, DEFAULT_MAX)
        .in_ceremonies(RECEIVE, SEND);
/// Public keys of the shares that Pedersen made.
pub const PEDERSEN_SHARES: Protocol =
    Protocol::new("/charon/dkg/pedersen/1.0.0/val_pubkey_share", Kind::OneWayAnswered, DEFAULT_MAX)
        .in_ceremonies(RECEIVE, SEND);

/// All of them.
pub static PROTOCOLS: [Protocol; 15] = [
    PEERINFO,
    PRIORITY,
    PRIORITY_LEGACY,
    PARSIGEX,
    QBFT,
    SYNC,
    BROADCAST_1_SIG,
    BROADCAST_1_MSG,
    BROADCAST_2_SIG,
    BROADCAST_2_MSG,
    FROST_SHARES,
    PEDERSEN_DEALS,
    PEDERSEN_RESPONSES,
    PEDERSEN_JUSTIFICATIONS,
    PEDERSEN_SHARES,
];

/// The protocol of this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.id == id)
}

/// What a Go node lists through identify for a handler of these ids: the id, or what all begin with and a star.
#[must_use]
pub fn listed_name(ids: &[&str]) -> String {
    let Some((first, others)) = ids.split_first() else { return String::new() };
    if others.is_empty() {
        return (*first).to_owned();
    }
    let mut shared = first.len();
    for other in others {
        let same = first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        shared = shared.min(same);
    }
    // Ids are ASCII; in another text the cut may be inside a character, and goes before it.
    let start = (0..=shared).rev().find_map(|end| first.get(..end)).unwrap_or_default();
    format!("{start}*")
}

/// Whether a name that a node lists is this id, or the shared beginning of several that this id may be among.
#[must_use]
pub fn lists(name: &str, id: &str) -> bool {
    name.strip_suffix('*').map_or(name == id, |start| id.starts_with(start))
}
