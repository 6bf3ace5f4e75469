//! What peers, beacon nodes and clocks can do to a node, one by one.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it made it")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_core::{
    Builder, Channel, Cluster, Effect, Event, Features, Majority, Node, Note, Settings, Step, Ticket,
    Validator,
};
use coxswain_dv_crypto::bls::{Polynomial, SecretKey};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::{ProposerDuty, SyncCommitteeSelection};
use coxswain_dv_eth::beacon::{Answer, Call, ChainEvent, Duties};
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_eth::domain::Chain;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::Forks;
use coxswain_dv_eth::signed::{SignedData, SignedRandao};
use coxswain_dv_eth::sync::SyncCommitteeMessage;
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::priority_result::Preferences;
use coxswain_dv_wire::version::Version;
use support::{active, block};

struct Lab {
    node: Node,
    chain: Chain,
    shares: Vec<SecretKey>,
    key: Bytes48,
    notes: Vec<Note>,
    calls: Vec<(Ticket, Call)>,
}

fn lab() -> Lab {
    let mut rng = rand::rng();
    let secret = SecretKey::generate(&mut rng);
    let poly = Polynomial::random(&secret, 3, &mut rng).unwrap();
    let shares: Vec<SecretKey> = (1..=4).map(|i| poly.share(i).unwrap()).collect();
    let key = Bytes(secret.public().to_bytes());
    let v = Validator {
        key,
        group: secret.public(),
        shares: shares.iter().map(|s| (Bytes(s.public().to_bytes()), s.public())).collect(),
    };
    let keys: Vec<IdentityKey> = (0..4).map(|_| IdentityKey::generate(&mut rng)).collect();
    let clock = Clock { genesis: Time::from_secs(1000), slot: Duration::from_secs(12), slots_per_epoch: 8 };
    let chain = Chain {
        clock,
        forks: Forks::new(std::array::from_fn(|i| (0u64, Bytes([u8::try_from(i).unwrap(); 4])))),
        genesis_validators_root: [7; 32],
    };
    let node = Node::new(Settings {
        cluster: Cluster::new(4, 3, 0, vec![v], Majority::Required).unwrap(),
        chain: chain.clone(),
        peers: keys.iter().map(|k| k.public()).collect(),
        key: keys[0].clone(),
        boot: Time::from_secs(900),
        builder: Builder::Off,
        graffiti: BTreeMap::new(),
        fee_recipients: BTreeMap::new(),
        registrations: vec![],
        preferences: Preferences::of_node(Version::parse("v1.11.0").unwrap().minor(), &[]),
        features: Features::STANDARD,
    });
    Lab { node, chain, shares, key, notes: vec![], calls: vec![] }
}

impl Lab {
    fn step(&mut self, now: Time, event: Event) {
        let mut todo = vec![event];
        while let Some(event) = todo.pop() {
            for effect in self.node.step(now, event) {
                match effect {
                    Effect::Compute { ticket, job, .. } => {
                        todo.push(Event::Computed { ticket, output: job.run(&mut rand::rng()) })
                    }
                    Effect::Judge { ticket, requests, .. } => todo.push(Event::Judged {
                        ticket,
                        verdicts: Ok(requests
                            .iter()
                            .map(|_| coxswain_dv_eth::protect::Verdict::Recorded)
                            .collect()),
                    }),
                    Effect::Note(n) => self.notes.push(n),
                    Effect::Call { ticket, call } => self.calls.push((ticket, call)),
                    _ => {}
                }
            }
        }
    }
    fn partial(&self, duty: Duty, share: usize, mut data: SignedData) -> Event {
        let root = self.chain.signing_root(&data.signable(&self.chain.clock).unwrap());
        data.set_signature(Bytes96::from(self.shares[share].sign(&root).to_bytes()));
        let set: BTreeMap<String, ParSignedData> = [(
            self.key.to_string(),
            ParSignedData {
                data: data.encode(),
                signature: data.signature().0.to_vec(),
                share_idx: i32::try_from(share).unwrap() + 1,
            },
        )]
        .into();
        let wire = coxswain_dv_wire::priority::Duty { slot: duty.slot, r#type: duty.kind.number() };
        let bytes = message::encode(&ParSigExMsg { duty: Some(wire), data_set: Some(set.into()) });
        Event::Received { from: share, channel: Channel::Parsigex, bytes }
    }
    /// Answers what resolves epochs.
    fn resolve(&mut self, now: Time, proposer_slot: u64) {
        for _ in 0..4 {
            for (ticket, call) in std::mem::take(&mut self.calls) {
                let answer = match &call {
                    Call::Validators { .. } => Answer::Validators(vec![active(5, self.key)]),
                    Call::AttesterDuties { .. } => {
                        Answer::AttesterDuties(Duties { dependent_root: Bytes([0; 32]), duties: vec![] })
                    }
                    Call::SyncDuties { .. } => Answer::SyncDuties(vec![]),
                    Call::ProposerDuties { .. } => Answer::ProposerDuties(Duties {
                        dependent_root: Bytes([0; 32]),
                        duties: vec![ProposerDuty {
                            pubkey: self.key,
                            validator_index: 5,
                            slot: proposer_slot,
                        }],
                    }),
                    _ => {
                        self.calls.push((ticket, call));
                        continue;
                    }
                };
                self.step(now, Event::Answered { ticket, result: Ok(answer) });
            }
        }
    }
}

/// There are four, and each is a place of its own.
#[test]
fn a_peer_cannot_make_up_subcommittees() {
    let mut lab = lab();
    let now = Time::from_secs(1001);
    lab.step(now, Event::Wake);
    let n = 30;
    for i in 0..n as u64 {
        let duty = Duty::new(3, DutyType::PrepareSyncContribution);
        let e = lab.partial(
            duty,
            1,
            SignedData::PrepareSyncContribution(SyncCommitteeSelection {
                validator_index: 5,
                slot: 3,
                subcommittee_index: 1_000_000 + i,
                selection_proof: Bytes([0; 96]),
            }),
        );
        lab.step(now, e);
    }
    let kept = lab
        .notes
        .iter()
        .filter(|n| matches!(n, Note::Duty { step: Step::ParSigDbExternal, error: None, .. }))
        .count();
    assert_eq!(kept, 0);
    let refused = lab.notes.iter().filter(|note| matches!(note, Note::Refused { from: 1, .. })).count();
    assert_eq!(refused, n);
}

/// Roots do not cover the validator's index.
#[test]
fn a_peer_cannot_name_another_validator() {
    let mut lab = lab();
    let now = Time::from_secs(1001);
    lab.step(now, Event::Wake);
    lab.resolve(now, 99);
    for (share, index) in [(1, 999), (2, 5), (3, 5)] {
        let duty = Duty::new(0, DutyType::SyncMessage);
        let e = lab.partial(
            duty,
            share,
            SignedData::SyncMessage(SyncCommitteeMessage {
                slot: 0,
                beacon_block_root: Bytes([3; 32]),
                validator_index: index,
                signature: Bytes([0; 96]),
            }),
        );
        lab.step(now, e);
    }
    let sent: Vec<_> = lab
        .calls
        .iter()
        .filter_map(|(_, c)| match c {
            Call::SubmitSyncMessages(v) => Some(v[0].validator_index),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [5]);
}

#[derive(PartialEq)]
enum Branch {
    Same,
    Other,
}

fn proposal_calls(branch: Branch) -> usize {
    let mut lab = lab();
    let start = |slot: u64| Time::from_secs(1000 + 12 * slot);
    lab.step(start(0), Event::Wake);
    lab.resolve(start(0), 99);
    for slot in 1..=7 {
        lab.step(start(slot), Event::Wake);
        lab.resolve(start(slot), 8);
    }
    lab.step(start(8), Event::Wake);
    let mut now = start(8) + Duration::from_millis(1200);
    lab.step(now, Event::Wake);
    if branch == Branch::Other {
        lab.step(now, Event::Chain(ChainEvent::Reorg { slot: 8, depth: 2 }));
    }
    for effect in lab.node.step(
        now,
        Event::Asked {
            ticket: Ticket(77),
            request: coxswain_dv_eth::client::Request::Proposal { slot: 8, randao: Bytes([1; 96]) },
        },
    ) {
        assert!(!matches!(effect, Effect::Reply { .. }), "a block is waited for: {effect:?}");
    }
    for share in [1, 2, 3] {
        let duty = Duty::new(8, DutyType::Randao);
        let e = lab.partial(
            duty,
            share,
            SignedData::Randao(SignedRandao { epoch: 1, signature: Bytes([0; 96]) }),
        );
        now = now + Duration::from_millis(10);
        lab.step(now, e);
    }
    now = now + Duration::from_millis(100);
    lab.resolve(now, 8);
    for _ in 0..60 {
        now = now + Duration::from_millis(75);
        lab.step(now, Event::Wake);
    }
    lab.calls.iter().filter(|(_, c)| matches!(c, Call::Proposal { .. })).count()
}

/// A block carries megabytes: one of the future, or of a validator that does not propose, is not even checked.
#[test]
fn a_peer_cannot_send_blocks_of_others() {
    let mut lab = lab();
    let now = Time::from_secs(1001);
    lab.step(now, Event::Wake);
    lab.resolve(now, 1);
    let kept = |lab: &mut Lab, slot: u64| {
        let before = lab.notes.len();
        let block = SignedData::Proposer(Box::new(block(slot, 5, 0)));
        let event = lab.partial(Duty::new(slot, DutyType::Proposer), 1, block);
        lab.step(now, event);
        lab.notes[before..]
            .iter()
            .any(|note| matches!(note, Note::Duty { step: Step::ParSigDbExternal, error: None, .. }))
    };
    assert!(kept(&mut lab, 1), "it proposes at slot 1");
    assert!(!kept(&mut lab, 0), "it does not propose at slot 0");
    assert!(!kept(&mut lab, 9), "slot 9 is far");
}

/// Old duties hold until new ones are known.
#[test]
fn a_reorganisation_at_an_epoch_boundary_loses_no_block() {
    assert_eq!((proposal_calls(Branch::Same), proposal_calls(Branch::Other)), (1, 1));
}

/// What was an hour ahead is set back: slots go on.
#[test]
fn a_clock_that_is_set_back_does_not_silence_a_node() {
    let mut lab = lab();
    lab.step(Time::from_secs(1000 + 3600), Event::Wake);
    lab.notes.clear();
    lab.step(Time::from_secs(1001), Event::ClockSet { by: Duration::from_secs(3599) });
    for second in 2..600 {
        lab.step(Time::from_secs(1000 + second), Event::Wake);
    }
    let slots: Vec<u64> = lab
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::Slot { slot, .. } => Some(*slot),
            _ => None,
        })
        .collect();
    assert_eq!(slots, (0..50).collect::<Vec<u64>>());
}
