//! What is spoken on a stream, and how long it may take here.

use std::time::Duration;

use coxswain_dv_wire::protocol::{self as wire, TimeLimit, Times};

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
