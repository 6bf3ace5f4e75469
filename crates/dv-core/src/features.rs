//! What operators turn on and off. Names are those of charon's features, where there is one.

use coxswain_dv_qbft::consensus::Participation;
use coxswain_dv_qbft::timer::TimerFlags;

/// What is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `eager_double_linear`, `linear` and `proposal_timeout`.
    pub timers: TimerFlags,
    /// `consensus_participate`.
    pub participation: Participation,
    /// `fetch_only_commidx_0`.
    pub committees: Committees,
    /// `--synthetic-block-proposals`.
    pub synthetic: Synthetic,
    /// `fetch_att_on_block` and `fetch_att_on_block_with_delay`.
    pub early: Early,
    /// `chain_split_halt`.
    pub on_split: OnSplit,
}

/// For which committees beacon nodes are asked from Electra on, where data do not differ by committee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committees {
    /// For the first one, once.
    First,
    /// For each that a validator of the cluster is in.
    Each,
}

/// Whether there are proposals that are made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synthetic {
    /// No.
    Off,
    /// For each validator that does not propose in an epoch, at a slot at which no validator of the cluster does.
    On,
}

/// Whether attestation data are asked for as soon as there is a new head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Early {
    /// Yes; what votes for that head is what the duty begins with.
    pub on_head: Switch,
    /// The duty itself begins 300 ms later.
    pub delay: Switch,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Off.
    Off,
    /// On.
    On,
}

/// What a node does where a leader's attestation data have another source or target than what it sees itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSplit {
    /// It goes with the leader.
    Follow,
    /// It does not agree.
    Halt,
}

impl Features {
    /// As they are where nobody changes them.
    pub const STANDARD: Features = Features {
        timers: TimerFlags::STANDARD,
        participation: Participation::Early,
        committees: Committees::First,
        synthetic: Synthetic::Off,
        early: Early { on_head: Switch::Off, delay: Switch::Off },
        on_split: OnSplit::Follow,
    };
}
