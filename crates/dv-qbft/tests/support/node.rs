//! One node's consensus in tests: keys by number, a clock with a plain genesis, and what goes out.

use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_qbft::consensus::{Participation, Settings};
use coxswain_dv_qbft::timer::{Profile, TimerFlags};

/// Slots of twelve seconds from 1970 on.
pub(crate) const CLOCK: Clock =
    Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };

/// The key of a node.
pub(crate) fn key(node: usize) -> IdentityKey {
    IdentityKey::from_bytes(&[u8::try_from(node + 1).expect("few"); 32]).expect("a key")
}

pub(crate) fn settings(me: usize, nodes: usize) -> Settings {
    Settings {
        me,
        peers: (0..nodes).map(|node| key(node).public()).collect(),
        key: key(me),
        clock: CLOCK,
        flags: TimerFlags::STANDARD,
        profile: Profile::EveryRound,
        participation: Participation::Early,
        observe_before: Time::default(),
    }
}
