//! What is spoken on a stream, and how long it may take here.

use std::time::Duration;

use coxswain_dv_wire::protocol::{self as wire, TimeLimit, Times};

/// Bytes in a mebibyte.
const MIB: usize = 1 << 20;
/// Most bytes of a set of partial signatures in a running cluster. The largest is one of a block with its blobs, whose
/// contents are the value of a consensus: no more than its limit.
const RUN_PARSIGEX_MAX: usize = 32 * MIB;
/// Most bytes of a node's preferences: three topics of at most a dozen short texts each, with room for many more.
const RUN_PRIORITY_MAX: usize = MIB;
/// Longer than anything lasts, where there is no limit.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How the two sides of a stream take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One message, and nothing back: the stream ends when it was read.
    OneWay,
    /// One message, and one back.
    Answered,
    /// A stream that lasts, with turns of its own.
    Long,
}

/// A protocol of streams, and its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Its id.
    pub id: &'static str,
    /// How sides take turns.
    pub kind: Kind,
    /// Longest message.
    pub max_bytes: usize,
    /// How long reading a message and handling it may take.
    pub receive: Duration,
    /// How long writing a message and reading the answer may take.
    pub send: Duration,
}

impl Protocol {
    /// A protocol of charon's with the limits of a ceremony whose operators gave `--timeout`; none where it is not
    /// spoken in ceremonies.
    pub fn of_ceremony(protocol: &'static wire::Protocol, timeout: Duration) -> Option<Protocol> {
        protocol.ceremony.map(|times| Self::with(protocol, times, timeout))
    }

    /// A protocol of charon's with the limits of a running cluster; none where it is not spoken there. Where charon reads
    /// up to 128 MiB, this node reads as much as there can be reason to send.
    #[must_use]
    pub fn of_run(protocol: &'static wire::Protocol) -> Option<Protocol> {
        let most = match protocol.id {
            id if id == wire::PARSIGEX.id => RUN_PARSIGEX_MAX,
            id if id == wire::PRIORITY.id || id == wire::PRIORITY_LEGACY.id => RUN_PRIORITY_MAX,
            _ => protocol.max_bytes,
        };
        let known = Self::with(protocol, protocol.run?, NEVER);
        Some(Protocol { max_bytes: most.min(known.max_bytes), ..known })
    }

    fn with(protocol: &'static wire::Protocol, times: Times, timeout: Duration) -> Protocol {
        let limit = |limit| match limit {
            TimeLimit::Never => NEVER,
            TimeLimit::After(limit) => limit,
            TimeLimit::Ceremony => timeout,
        };
        let kind = match protocol.kind {
            wire::Kind::OneWay => Kind::OneWay,
            wire::Kind::OneWayAnswered | wire::Kind::RequestResponse => Kind::Answered,
            wire::Kind::LongStream => Kind::Long,
        };
        Protocol {
            id: protocol.id,
            kind,
            max_bytes: protocol.max_bytes,
            receive: limit(times.receive),
            send: limit(times.send),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_cluster_speaks_five_protocols() {
        let spoken: Vec<Protocol> = wire::PROTOCOLS.iter().filter_map(Protocol::of_run).collect();
        let ids: Vec<&str> = spoken.iter().map(|one| one.id).collect();
        assert_eq!(
            ids,
            [
                "/charon/peerinfo/2.0.0",
                "/charon/priority/2.0.0",
                "charon/priority/2.0.0",
                "/charon/parsigex/2.0.0",
                "/charon/consensus/qbft/2.0.0"
            ]
        );
        for one in spoken {
            assert_eq!((one.receive.as_secs(), one.send.as_secs()), (5, 7), "{}", one.id);
            assert!(one.max_bytes <= 32 * MIB, "{}", one.id);
            assert_eq!(one.kind == Kind::OneWay, one.id.contains("qbft") || one.id.contains("parsigex"));
        }
    }
}
