//! Partial signatures as messages.

use std::collections::BTreeMap;

use coxswain_dv_eth::api::SyncCommitteeSelection;
use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::signed::{ParSigned, SignedData, SignedRandao};
use coxswain_dv_eth::time::Time;
use coxswain_dv_wire::message;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::mutate::mutate;
use super::{Keys, chain};
use crate::exchange::{self, Item, Refusal};
use crate::{Finding, Job, Output};

const SLOT: u64 = 9;
const DUTY: Duty = Duty { slot: SLOT, kind: DutyType::SyncMessage };

fn now() -> Time {
    chain().clock.start_of(SLOT)
}

/// A vote of the share of `node`, which calls itself another share.
fn vote(keys: &Keys, validator: usize, node: usize, share_index: u32) -> (Bytes48, ParSigned) {
    let data = SignedData::SyncMessage(keys.vote(validator, node, SLOT));
    (keys.validators[validator].key, ParSigned { data, share_index })
}

fn read(keys: &Keys, bytes: &[u8]) -> Result<(Duty, Vec<Item>), Refusal> {
    exchange::read(bytes, &keys.cluster(0), &chain(), now())
}

/// One message with these entries.
fn message(duty: Duty, entries: &[(String, ParSignedData)]) -> Vec<u8> {
    let set: BTreeMap<String, ParSignedData> = entries.iter().cloned().collect();
    let wire = coxswain_dv_wire::priority::Duty { slot: duty.slot, r#type: duty.kind.number() };
    message::encode(&ParSigExMsg { duty: Some(wire), data_set: Some(set.into()) })
}

fn entry(text: &str, (_, partial): &(Bytes48, ParSigned), share_idx: i32) -> (String, ParSignedData) {
    let (data, signature) = (partial.data.encode(), partial.data.signature().0.to_vec());
    (text.to_owned(), ParSignedData { data, signature, share_idx })
}

fn verify(items: &[Item]) -> Vec<bool> {
    let checks = items.iter().flat_map(|item| item.checks.iter().cloned()).collect();
    match Job::Verify(checks).run(&mut StdRng::seed_from_u64(1)) {
        Output::Verified(found) => found.into_iter().map(|one| one == Finding::Good).collect(),
        Output::Aggregated(_) => panic!("another output"),
    }
}

#[test]
fn what_is_written_is_read_and_verified() {
    let keys = Keys::new();
    let items: Vec<_> = (0..3).map(|validator| vote(&keys, validator, 2, 3)).collect();
    let written = exchange::write(DUTY, &items);
    assert_eq!(written.len(), 1);
    let (duty, found) = read(&keys, &written[0]).expect("a message");
    assert_eq!((duty, found.len()), (DUTY, 3));
    for item in &found {
        assert!(items.contains(&(item.key, item.partial.clone())));
    }
    assert_eq!(verify(&found), [true; 3]);
}

/// A share that signs for another one is read, and then seen not to have signed.
#[test]
fn a_share_does_not_speak_for_another() {
    let keys = Keys::new();
    let items = [vote(&keys, 0, 2, 2), vote(&keys, 1, 2, 3)];
    let (_, found) = read(&keys, &exchange::write(DUTY, &items)[0]).expect("a message");
    let good: BTreeMap<Bytes48, bool> = found.iter().map(|item| item.key).zip(verify(&found)).collect();
    assert_eq!(good, BTreeMap::from([(items[0].0, false), (items[1].0, true)]));
}

#[test]
fn own_shares_are_left_out() {
    let keys = Keys::new();
    let items = [vote(&keys, 0, 0, 1), vote(&keys, 1, 2, 3)];
    let (_, found) = read(&keys, &exchange::write(DUTY, &items)[0]).expect("a message");
    assert_eq!(found.iter().map(|item| item.key).collect::<Vec<_>>(), [items[1].0]);
}

#[test]
fn what_no_honest_peer_writes_is_refused() {
    let keys = Keys::new();
    let one = vote(&keys, 0, 2, 3);
    let key = one.0.to_string();
    let good = entry(&key, &one, 3);
    let refusal = |duty, entries: &[_]| read(&keys, &message(duty, entries)).expect_err("refused");
    let with_share = |share| refusal(DUTY, &[entry(&key, &one, share)]);
    for share in [0, 5, -1, i32::MAX, i32::MIN] {
        assert_eq!(with_share(share), Refusal::Share { key: one.0, index: share });
    }
    for text in ["", "0x00", &key.to_uppercase(), &key[2..], &Bytes48::from([7; 48]).to_string()] {
        let found = refusal(DUTY, &[entry(text, &one, 3)]);
        assert_eq!(found, Refusal::Key { text: text.to_owned() });
    }
    assert_eq!(refusal(DUTY, &[]), Refusal::Nothing);
    let many: Vec<_> = (0..4).map(|number| entry(&format!("{number}"), &one, 3)).collect();
    assert_eq!(refusal(DUTY, &many), Refusal::TooMany { found: 4, most: 3 });
    let late = Duty::new(SLOT + 1, DutyType::SyncMessage);
    assert_eq!(refusal(late, std::slice::from_ref(&good)), Refusal::Bound { key: one.0, duty: late });
    // Of epochs 2 to 4 are near in epoch 2.
    let far = Duty::new(20, DutyType::SyncMessage);
    assert_eq!(refusal(far, std::slice::from_ref(&good)), Refusal::Ahead { duty: far });
    let other = Duty::new(SLOT, DutyType::Attester);
    assert!(matches!(refusal(other, std::slice::from_ref(&good)), Refusal::Payload { .. }));
    for kind in [DutyType::InfoSync, DutyType::BuilderProposer] {
        assert!(matches!(
            refusal(Duty::new(SLOT, kind), std::slice::from_ref(&good)),
            Refusal::Payload { .. }
        ));
    }
    let wire = coxswain_dv_wire::priority::Duty { slot: SLOT, r#type: 99 };
    let strange = ParSigExMsg { duty: Some(wire), data_set: Some(BTreeMap::new().into()) };
    assert!(matches!(read(&keys, &message::encode(&strange)), Err(Refusal::Kind { number: 99 })));
    assert!(read(&keys, &message(DUTY, &[good])).is_ok(), "the sample itself is good");
}

/// Randomness is bound to the epoch of its duty, and not to its slot.
#[test]
fn randomness_is_of_its_epoch() {
    let keys = Keys::new();
    let data = SignedData::Randao(SignedRandao { epoch: 2, signature: Bytes96::default() });
    let partial = ParSigned { data: keys.signed(0, 2, data), share_index: 3 };
    let one = (keys.validators[0].key, partial);
    for (slot, is_good) in [(7, false), (8, true), (11, true), (12, false)] {
        let duty = Duty::new(slot, DutyType::Randao);
        let found = read(&keys, &exchange::write(duty, std::slice::from_ref(&one))[0]);
        assert_eq!(found.is_ok(), is_good, "slot {slot}");
    }
}

#[test]
fn sets_are_split() {
    let randao = |number: u8| {
        let data = SignedData::Randao(SignedRandao { epoch: 2, signature: Bytes96::default() });
        (Bytes48::from([number; 48]), ParSigned { data, share_index: 1 })
    };
    let many: Vec<_> = (0..130).map(randao).collect();
    let sizes = |written: &[Vec<u8>]| {
        let size = |bytes: &Vec<u8>| {
            let read: ParSigExMsg = message::decode(bytes, bytes.len()).expect("a message");
            BTreeMap::<String, ParSignedData>::from(read.data_set.unwrap_or_default()).len()
        };
        written.iter().map(size).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&exchange::write(Duty::new(8, DutyType::Randao), &many)), [64, 64, 2]);
    assert!(exchange::write(DUTY, &[]).is_empty());
    // A message has one signature of a validator: each subcommittee has its own.
    let selection = |number: u8, subcommittee_index| {
        let (validator_index, selection_proof) = (1, Bytes96::default());
        let one = SyncCommitteeSelection { validator_index, slot: 8, subcommittee_index, selection_proof };
        let data = SignedData::PrepareSyncContribution(one);
        (Bytes48::from([number; 48]), ParSigned { data, share_index: 1 })
    };
    let mixed = [selection(1, 0), selection(1, 3), selection(2, 3), selection(2, 0), selection(3, 3)];
    let duty = Duty::new(8, DutyType::PrepareSyncContribution);
    assert_eq!(sizes(&exchange::write(duty, &mixed)), [2, 3]);
}

/// Never a panic, and nothing is read that is not of the duty and of a share of another node.
#[test]
fn foreign_bytes() {
    let keys = Keys::new();
    let (cluster, chain) = (keys.cluster(0), chain());
    let items: Vec<_> = (0..3).map(|validator| vote(&keys, validator, 2, 3)).collect();
    let randao = SignedData::Randao(SignedRandao { epoch: 2, signature: Bytes96::default() });
    let randao = ParSigned { data: keys.signed(0, 2, randao), share_index: 3 };
    let samples = [
        exchange::write(DUTY, &items).remove(0),
        exchange::write(Duty::new(8, DutyType::Randao), &[(keys.validators[0].key, randao)]).remove(0),
    ];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let damaged = samples.iter().map(|sample| mutate(sample, script, &["0x", "\u{8}\u{7f}", "\0", "9"]));
        for bytes in damaged.chain([script.to_vec()]) {
            let Ok((duty, found)) = exchange::read(&bytes, &cluster, &chain, now()) else { continue };
            for item in found {
                assert!(item.partial.data.fits(&duty, &chain.clock), "{duty}");
                assert_ne!(item.partial.share_index, 1);
                assert_eq!(item.checks.len(), 1);
            }
        }
    });
}
