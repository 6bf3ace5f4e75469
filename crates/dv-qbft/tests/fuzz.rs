//! Foreign bytes: never a panic, whatever a peer sends and however it is damaged. As a plain test it runs for a second, or
//! as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;
#[path = "support/node.rs"]
mod node;
#[path = "support/sign.rs"]
mod sign;

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_qbft::consensus::{Consensus, Effect, Event};
use coxswain_dv_qbft::machine::Verdict;
use coxswain_dv_qbft::message::Kind;
use coxswain_dv_qbft::value::Value;
use coxswain_dv_wire::canonical::Fields;
use coxswain_dv_wire::message::{decode, encode};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::unsigned::{UnsignedDataSet, qbft_signing_root, value_root};
use coxswain_dv_wire::well_known::Any;
use mutate::mutate;
use node::{CLOCK, key, settings};
use sign::{plain, signed, whole};

const DUTY: Duty = Duty { slot: 10, kind: DutyType::Attester };
/// Tags, lengths, and numbers that are too large.
const WORDS: &[&str] =
    &["\n\0", "\u{12}\0", "\u{1a}\0", "\u{8}\u{7f}", "(\u{1}", "\u{7f}", "2\0", "\0\0\0\0"];

fn value(byte: u8) -> Any {
    UnsignedDataSet::pack(&BTreeMap::from([("0x00".to_owned(), vec![byte; 40])]))
}

fn samples() -> Vec<Vec<u8>> {
    let one = value(1);
    let vote = |kind, source, round| signed(plain(kind, DUTY, source, round, Some(&one)));
    let votes = |kind| (1..4).map(|source| vote(kind, source, 1)).collect::<Vec<_>>();
    let values = vec![one.clone()];
    let mut change = plain(Kind::RoundChange, DUTY, 1, 2, None);
    (change.prepared_round, change.prepared_value_hash) = (1, votes(Kind::Prepare)[0].value_hash.clone());
    vec![
        whole(vote(Kind::PrePrepare, 1, 3), votes(Kind::RoundChange), values.clone()),
        whole(vote(Kind::PrePrepare, 1, 1), Vec::new(), values.clone()),
        whole(vote(Kind::Prepare, 2, 1), Vec::new(), values.clone()),
        whole(vote(Kind::Commit, 3, 1), Vec::new(), values.clone()),
        whole(vote(Kind::Decided, 3, 1), votes(Kind::Commit), values.clone()),
        whole(signed(change), votes(Kind::Prepare), values),
    ]
}

/// One message, then what wakes after it.
fn feed(node: &mut Consensus, from: usize, bytes: &[u8]) {
    let now = DUTY.start(&CLOCK);
    let effects = node.step(now, Event::Received { from, bytes: bytes.to_vec() });
    for effect in effects {
        match effect {
            Effect::Check { duty, round, .. } => {
                node.step(now, Event::Checked { duty, round, verdict: Verdict::Accepted });
            }
            Effect::Send { message, .. } => {
                let read: QbftConsensusMsg = decode(&message, message.len()).expect("what goes out is read");
                for any in &read.values {
                    Value::new(any.clone()).expect("a value");
                }
            }
            _ => {}
        }
    }
}

#[test]
fn messages_of_peers() {
    let samples = samples();
    let fresh = || {
        let mut node = Consensus::new(settings(0, 4));
        node.step(DUTY.start(&CLOCK), Event::Propose { duty: DUTY, value: value(9) });
        node
    };
    let mut node = fresh();
    let mut count = 0_u32;
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        count += 1;
        // Most go to a node that has seen many before.
        if count.is_multiple_of(50) {
            node = fresh();
        }
        feed(&mut node, 1, script);
        let Some((which, script)) = script.split_first() else { return };
        let sample = &samples[usize::from(*which) % samples.len()];
        let damaged = mutate(sample, script, WORDS);
        feed(&mut node, usize::from(*which) % 6, &damaged);
        // Damaged, but signed anew by its node: so deep checks are reached as well.
        if let Ok(mut read) = decode::<QbftConsensusMsg>(&damaged, damaged.len())
            && let Some(message) = read.msg.take()
            && let Ok(source @ 0..4) = usize::try_from(message.peer_idx)
        {
            let mut message = message;
            message.signature = key(source).sign(&message.signing_root()).to_vec();
            feed(&mut node, source, &whole(message, read.justification, read.values));
        }
        let later = DUTY.start(&CLOCK) + Duration::from_secs(u64::from(*which % 4));
        node.step(later, Event::Wake);
    });
}

/// Whether a message has no fields but these.
fn is_known(bytes: &[u8], numbers: &[u64]) -> bool {
    Fields::of(bytes).all(|field| numbers.contains(&field.number))
}

/// What is written for a root is written alike again, and keeps its meaning.
#[test]
fn roots_of_values_and_messages() {
    let sample = value(3).value;
    let message = encode(&plain(Kind::Prepare, DUTY, 1, 1, Some(&value(3))));
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        for bytes in [script.to_vec(), mutate(&sample, script, WORDS), mutate(&message, script, WORDS)] {
            let any = Any { value: bytes.clone(), ..value(1) };
            if let Ok(root) = value_root(&any) {
                let read: UnsignedDataSet = any.unpack(bytes.len()).expect("a set");
                let known = UnsignedDataSet::pack(&read.into());
                let again = value_root(&known).expect("a root");
                assert_eq!(again == root, is_known(&bytes, &[1]), "{bytes:02x?}");
            }
            if let Ok(read) = decode::<QbftMsg>(&bytes, bytes.len()) {
                let root = qbft_signing_root(&bytes).expect("a root");
                let duties = Fields::of(&bytes).filter(|field| field.number == 2);
                let is_known = is_known(&bytes, &[1, 2, 3, 4, 6, 8, 11, 12])
                    && duties.into_iter().all(|duty| is_known(duty.payload, &[1, 2]));
                assert_eq!(read.signing_root() == root, is_known, "{bytes:02x?}");
            }
        }
    });
}
