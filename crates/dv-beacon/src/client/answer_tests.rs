//! Foreign answers: never a panic. As plain tests each runs for a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS`
//! says.

use coxswain_dv_eth::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::super::request::{Encoding, ask};
use super::*;
use crate::mutate::mutate;

const WORDS: &[&str] = &[
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"0x\"",
    "0",
    "-1",
    "true",
    "18446744073709551616",
    ",",
    "\"data\":",
    "\"version\":",
    "electra",
    "phase0",
    "fulu",
];

fn calls() -> Vec<Call> {
    vec![
        Call::AttesterDuties { epoch: 1, validators: vec![1] },
        Call::ProposerDuties { epoch: 1 },
        Call::SyncDuties { epoch: 1, validators: vec![1] },
        Call::Validators { state: "head".into(), keys: vec![Bytes([1; 48])] },
        Call::AttestationData { slot: 1, committee: 1 },
        Call::Proposal { slot: 1, randao: Bytes([1; 96]), graffiti: Bytes([1; 32]), builder_boost: 0 },
        Call::Aggregate { slot: 1, data_root: Bytes([1; 32]), committee: 1 },
        Call::Contribution { slot: 1, subcommittee: 1, block_root: Bytes([1; 32]) },
        Call::Syncing,
        Call::Block { slot: 1 },
        Call::WholeBlock { slot: 1 },
        Call::Committees { slot: 1, epoch: 0 },
    ]
}

fn reply(kind: &'static str, fork: &'static str, body: &[u8]) -> Reply {
    let headers = [
        ("content-type", kind),
        ("eth-consensus-version", fork),
        ("eth-execution-payload-blinded", if body.len().is_multiple_of(2) { "true" } else { "false" }),
    ];
    let headers =
        headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    Reply { status: 200, headers: HeaderMap::from_iter(headers), body: bytes::Bytes::copy_from_slice(body) }
}

/// What is understood is of the slot that was asked for.
fn check(call: &Call, reply: &Reply) {
    let _ = is_nothing_yet(call, reply);
    match read(call, reply) {
        Ok(Answer::AttestationData(data)) => assert_eq!(data.slot, 1),
        Ok(Answer::Proposal(block)) => assert_eq!(block.slot(), 1),
        Ok(Answer::Aggregate(one)) => assert_eq!(one.data().slot, 1),
        Ok(Answer::Block(Some(block))) => assert_eq!(block.slot, 1),
        Ok(Answer::WholeBlock(Some(block))) => assert_eq!(block.slot(), 1),
        Ok(Answer::Committees(sizes)) => assert!(!sizes.is_empty()),
        Ok(Answer::Contribution(one)) => assert_eq!(one.slot, 1),
        Ok(_) => {}
        Err(why) => assert!(!why.is_empty()),
    }
}

#[test]
fn any_bytes() {
    let calls = calls();
    bolero::check!().with_max_len(512).for_each(|bytes: &[u8]| {
        let [which, kind, fork, body @ ..] = bytes else { return };
        let kind = ["application/json", "application/octet-stream"][usize::from(kind % 2)];
        let fork = ["phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu", "heze"]
            [usize::from(fork % 8)];
        check(&calls[usize::from(*which) % calls.len()], &reply(kind, fork, body));
    });
}

#[test]
fn damaged_documents() {
    const DUTIES: &[u8] =
        br#"{"dependent_root":"0x0101010101010101010101010101010101010101010101010101010101010101",
"execution_optimistic":false,"data":[{"pubkey":"0x01","validator_index":"9","slot":"1"}]}"#;
    const SYNCING: &[u8] =
        br#"{"data":{"head_slot":"1","sync_distance":"0","is_syncing":false,"is_optimistic":false}}"#;
    const VERSIONED: &[u8] =
        br#"{"version":"electra","execution_payload_blinded":false,"data":{"slot":"1"}}"#;
    let calls = calls();
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let [which, sample, script @ ..] = script else { return };
        let sample = [DUTIES, SYNCING, VERSIONED][usize::from(*sample) % 3];
        let body = mutate(sample, script, WORDS);
        check(&calls[usize::from(*which) % calls.len()], &reply("application/json", "electra", &body));
    });
}

/// Only what may be in a path is in one.
#[test]
fn paths_have_no_foreign_parts() {
    bolero::check!().with_max_len(64).for_each(|bytes: &[u8]| {
        let call = Call::Validators {
            state: String::from_utf8_lossy(bytes).into_owned(),
            keys: vec![Bytes([1; 48])],
        };
        let path = ask(&call, Encoding::JsonOnly, Fork::Deneb).path;
        assert_eq!(path.matches('/').count(), 6, "{path}");
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'%');
        assert!(path.bytes().all(is_plain), "{path}");
    });
}
