//! Habits of validator clients: the same duties, asked and submitted in other ways.
//!
//! Prysm's row was recorded from a real client; the others follow what these clients are known to send, and are there
//! so that a node meets all of the ways, not to stand for a release of theirs.

use super::plan::{AttestAt, Rhythm};

/// How numbers stand in bodies of requests for duties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// `["1"]`
    Quoted,
    /// `[1]`
    Bare,
}

/// How validators are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// `POST …/validators`, all of them.
    Post,
    /// `GET …/validators?id=…`, some at a time.
    Get,
    /// `GET …/validators/{key}`, one at a time.
    Each,
}

/// The form of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// SSZ; JSON after a 415.
    Ssz,
    /// JSON.
    Json,
}

/// How many validators share a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// All.
    All,
    /// One each.
    Each,
}

/// Which committee attestation data are asked for from Electra on, where they are the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committee {
    /// Committee 0, once.
    Zero,
    /// That of each duty.
    Own,
}

/// What a block's randomness must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Randao {
    /// Anything: a cluster's is not what was sent.
    Any,
    /// What was sent, unless the node's version has `charon` in it.
    OwnUnlessCluster,
}

/// The habits of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// Whose.
    pub name: &'static str,
    /// `User-Agent`
    pub user_agent: &'static str,
    /// Numbers in bodies.
    pub numbers: Numbers,
    /// How validators are looked up.
    pub lookup: Lookup,
    /// Version of the path of proposer duties.
    pub proposer_duties: &'static str,
    /// `Accept` of requests for blocks.
    pub block_accept: &'static str,
    /// Form of blocks that are submitted.
    pub block_form: Form,
    /// Form of blinded blocks that are submitted.
    pub blinded_form: Form,
    /// Attestations and aggregates in one request.
    pub attestations: Batch,
    /// Selections in one request.
    pub selections: Batch,
    /// For which slots selections are asked together.
    pub select_for: Rhythm,
    /// What belongs to sync committees: votes and contributions, in one request.
    pub sync: Batch,
    /// The head, asked once or by each member of the sync committee.
    pub head: Batch,
    /// The committee of attestation data.
    pub committee: Committee,
    /// How often fee recipients are told.
    pub preparations: Rhythm,
    /// When it attests.
    pub attest_at: AttestAt,
    /// What a block's randomness must be.
    pub randao: Randao,
    /// Topics of the stream of events.
    pub topics: &'static str,
}

/// `Accept` where JSON is wanted.
pub(super) const JSON: &str = "application/json";

const LIGHTHOUSE: Habits = Habits {
    name: "lighthouse",
    user_agent: "Lighthouse",
    numbers: Numbers::Quoted,
    lookup: Lookup::Each,
    proposer_duties: "v1",
    block_accept: "application/octet-stream;q=1.0,application/json;q=0.9",
    block_form: Form::Ssz,
    blinded_form: Form::Ssz,
    attestations: Batch::All,
    selections: Batch::Each,
    select_for: Rhythm::Slot,
    sync: Batch::All,
    head: Batch::All,
    committee: Committee::Zero,
    preparations: Rhythm::Epoch,
    attest_at: AttestAt::Third,
    randao: Randao::Any,
    topics: "head",
};

/// All of them, by name.
pub const ALL: &[Habits] = &[
    LIGHTHOUSE,
    Habits {
        name: "lodestar",
        user_agent: "lodestar",
        lookup: Lookup::Post,
        block_accept: "application/octet-stream;q=1,application/json;q=0.9",
        selections: Batch::All,
        select_for: Rhythm::Epoch,
        attest_at: AttestAt::Head,
        topics: "head,chain_reorg",
        ..LIGHTHOUSE
    },
    Habits {
        name: "nimbus",
        user_agent: "nimbus",
        lookup: Lookup::Post,
        block_accept: "application/octet-stream,application/json;q=0.9",
        block_form: Form::Json,
        blinded_form: Form::Json,
        attestations: Batch::Each,
        selections: Batch::All,
        sync: Batch::Each,
        committee: Committee::Own,
        attest_at: AttestAt::Head,
        topics: "head,block,block_gossip",
        ..LIGHTHOUSE
    },
    Habits {
        name: "plain",
        user_agent: "coxswain-simnet",
        numbers: Numbers::Bare,
        lookup: Lookup::Get,
        block_accept: JSON,
        block_form: Form::Json,
        blinded_form: Form::Json,
        selections: Batch::All,
        committee: Committee::Own,
        topics: "head,chain_reorg",
        ..LIGHTHOUSE
    },
    Habits {
        name: "prysm",
        user_agent: "Prysm",
        lookup: Lookup::Post,
        proposer_duties: "v2",
        block_accept: "application/octet-stream;q=1,application/json;q=0.95",
        attestations: Batch::Each,
        selections: Batch::All,
        select_for: Rhythm::Epoch,
        sync: Batch::Each,
        head: Batch::Each,
        preparations: Rhythm::Slot,
        attest_at: AttestAt::Head,
        topics: "head,execution_payload_available",
        ..LIGHTHOUSE
    },
    Habits {
        name: "teku",
        user_agent: "teku",
        lookup: Lookup::Post,
        block_accept: "application/octet-stream;q=0.9, application/json;q=0.4",
        selections: Batch::All,
        select_for: Rhythm::Epoch,
        topics: "head,attester_slashing,proposer_slashing",
        ..LIGHTHOUSE
    },
    Habits {
        name: "vouch",
        user_agent: "go-eth2-client",
        lookup: Lookup::Post,
        block_accept: "application/octet-stream;q=1,application/json;q=0.9",
        selections: Batch::All,
        blinded_form: Form::Json,
        select_for: Rhythm::Epoch,
        committee: Committee::Own,
        randao: Randao::OwnUnlessCluster,
        attest_at: AttestAt::Head,
        ..LIGHTHOUSE
    },
];

impl Habits {
    /// Those of a client.
    #[must_use]
    pub fn of(name: &str) -> Option<Habits> {
        ALL.iter().find(|habits| habits.name == name).copied()
    }

    /// Those that are taken where nothing is said.
    #[must_use]
    pub fn usual() -> Habits {
        LIGHTHOUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_habits() {
        let names: Vec<&str> = ALL.iter().map(|habits| habits.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        for name in names {
            assert_eq!(Habits::of(name).map(|habits| habits.name), Some(name));
        }
        assert_eq!(Habits::of("other"), None);
    }
}
