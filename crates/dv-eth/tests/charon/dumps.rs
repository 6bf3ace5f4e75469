//! Values that clusters of charon agreed on: read, found valid, and written again as they were.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_eth::unsigned::{ContributionForm, Unsigned};
use coxswain_dv_eth::validity::{Standing, check};

/// The built-in chain of charon's test runs.
const CLOCK: Clock =
    Clock { genesis: Time::from_secs(1_742_213_400), slot: Duration::from_secs(1), slots_per_epoch: 16 };

/// A field of a protobuf message.
enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Fields of a message that has numbers and bytes only.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("short");
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value)
            }
            other => panic!("wire type {other}"),
        };
        found.push((tag >> 3, value));
    }
    found
}

fn all(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let of = |(n, field)| match field {
        Field::Bytes(bytes) if n == number => Some(bytes),
        Field::Bytes(_) | Field::Number(_) => None,
    };
    fields(bytes).into_iter().filter_map(of).collect()
}

fn number(bytes: &[u8], number: u64) -> u64 {
    let of = |(n, field)| match field {
        Field::Number(value) if n == number => Some(value),
        Field::Bytes(_) | Field::Number(_) => None,
    };
    fields(bytes).into_iter().find_map(of).unwrap_or(0)
}

/// Values of every duty, each once.
fn values(dump: &[u8]) -> BTreeMap<(Duty, Vec<u8>), ()> {
    let mut found = BTreeMap::new();
    let messages = all(dump, 1).into_iter().flat_map(|instance| all(instance, 4));
    for message in messages.flat_map(|sniffed| all(sniffed, 2)) {
        let duty = all(all(message, 1)[0], 2)[0];
        let kind = i32::try_from(number(duty, 2)).ok().and_then(DutyType::of).expect("a type");
        let duty = Duty::new(number(duty, 1), kind);
        for any in all(message, 3) {
            if all(any, 1)[0].ends_with(b".UnsignedDataSet") {
                let value = all(any, 2).first().map_or(Vec::new(), |bytes| bytes.to_vec());
                found.insert((duty, value), ());
            }
        }
    }
    found
}

#[test]
fn values_of_runs() {
    let Some(folder) = super::vectors::vectors("charon/runs") else { return };
    let mut seen = BTreeMap::<DutyType, usize>::new();
    for (run, dump) in [
        ("run-v1.11-n4-v1", "consensus_messages.node0.pb.gz"),
        ("run-v1.11-n4-v10", "consensus_messages.node0.pb.gz"),
        ("run-v1.10-n4", "consensus_messages.node0.pb.gz"),
    ] {
        let file = std::fs::File::open(folder.join(run).join(dump)).expect(run);
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
        for (duty, value) in values(&bytes).into_keys() {
            let mut set = BTreeMap::new();
            let mut indices = BTreeMap::new();
            for entry in all(&value, 1) {
                let key: Bytes48 =
                    std::str::from_utf8(all(entry, 1)[0]).expect("UTF-8").parse().expect("a key");
                let bytes = all(entry, 2)[0];
                let data = Unsigned::decode(duty.kind, bytes).unwrap_or_else(|e| panic!("{run} {duty}: {e}"));
                let is_list = bytes.first() == Some(&b'[');
                let form = if is_list { ContributionForm::List } else { ContributionForm::Single };
                assert!(data.encode(form) == bytes, "{run} {duty}");
                assert_eq!(is_list, run != "run-v1.10-n4" && duty.kind == DutyType::SyncContribution);
                let index = match &data {
                    Unsigned::Attester { duty, .. } => Standing::Validator(duty.validator_index),
                    Unsigned::Proposer(block) => Standing::Validator(block.proposer_index()),
                    Unsigned::Aggregator { .. } | Unsigned::SyncContribution(_) => Standing::Member,
                };
                indices.insert(key, index);
                set.insert(key, data);
            }
            let verdict = check(&duty, &set, &CLOCK, |key| indices[key]);
            assert_eq!(verdict, Ok(()), "{run} {duty}");
            let later = Duty::new(duty.slot + 1, duty.kind);
            assert!(check(&later, &set, &CLOCK, |key| indices[key]).is_err(), "{run} {duty}");
            *seen.entry(duty.kind).or_default() += 1;
        }
    }
    println!("{seen:?}");
    let types: Vec<_> = seen.keys().copied().collect();
    assert_eq!(
        types,
        [DutyType::Proposer, DutyType::Attester, DutyType::Aggregator, DutyType::SyncContribution]
    );
}
