//! Foreign bytes: never a panic, and what is read is written and read alike. As a plain test each target runs for a
//! second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::ErrorBody;
use coxswain_dv_eth::attestation::{Attestation, SingleAttestation};
use coxswain_dv_eth::beacon::ChainEvent;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal};
use coxswain_dv_eth::signed::{SignedAttestation, SignedData};
use coxswain_dv_eth::spec::{Genesis, Spec};
use coxswain_dv_eth::unsigned::{ContributionForm, Unsigned};

use super::mutate::mutate;
use super::{Row, rows};

/// What SSZ and JSON are made of.
const WORDS: &[&str] = &[
    "\0\0\0\0",
    "\u{c}\0\0\0",
    "\u{d}\0\0\0",
    "\u{14}\0\0\0",
    "\u{1}",
    "\u{5}\0\0\0\0\0\0\0",
    "null",
    "{}",
    "[]",
    "\"",
    "0x",
    "\"version\":",
    "\"18446744073709551616\"",
    ",",
    "-1",
    "1e9",
    "\u{7f}\u{7f}\u{7f}\u{7f}",
];

fn check_signed(kind: DutyType, bytes: &[u8]) {
    if let Ok(read) = SignedData::decode(kind, bytes) {
        for written in [read.encode(), read.to_json()] {
            let again = SignedData::decode(kind, &written);
            assert!(again.as_ref().is_ok_and(|again| *again == read), "{kind}: {again:?}");
        }
        assert_eq!(read.kind(), kind);
        assert!(read.message_root().is_some() || kind == DutyType::Signature);
    }
}

fn check_unsigned(kind: DutyType, bytes: &[u8]) {
    if let Ok(read) = Unsigned::decode(kind, bytes) {
        let again = Unsigned::decode(kind, &read.encode(ContributionForm::List));
        assert!(again.as_ref().is_ok_and(|again| *again == read), "{kind}: {again:?}");
        assert_eq!(read.kind(), kind);
    }
}

/// Bytes as they are, and damaged samples, for each type.
fn damaged(samples: &[(DutyType, Vec<u8>)], check: impl Fn(DutyType, &[u8]) + std::panic::RefUnwindSafe) {
    assert!(!samples.is_empty());
    for (kind, sample) in samples {
        check(*kind, sample);
    }
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Some((which, script)) = script.split_first() else { return };
        let (kind, sample) = &samples[usize::from(*which) % samples.len()];
        check(*kind, script);
        check(*kind, &mutate(sample, script, WORDS));
    });
}

/// A block of phase 0 is the smallest with all kinds of lists; the last forks have the most.
fn blocks() -> Vec<Proposal> {
    let kept = |row: &Row| {
        row.kind == "block"
            && (row.form == Some(Form::Blinded) || row.fork.is_some_and(|fork| fork < Fork::Deneb))
    };
    let block = |row: Row| {
        Proposal::from_ssz(row.fork.expect("a fork"), row.form.expect("a form"), &row.sample())
            .expect("a block")
    };
    rows().into_iter().filter(kept).map(block).collect()
}

#[test]
fn proposals() {
    let samples: Vec<_> = blocks().iter().map(|block| (DutyType::Proposer, block.encode())).collect();
    damaged(&samples, check_unsigned);
}

#[test]
fn proposals_as_json() {
    let kept = |block: &Proposal| matches!(block.fork(), Fork::Phase0 | Fork::Fulu);
    let samples: Vec<_> = blocks()
        .iter()
        .filter(|block| kept(block))
        .map(|block| (DutyType::Proposer, block.versioned_json()))
        .collect();
    damaged(&samples, check_unsigned);
}

#[test]
fn signed_proposals() {
    let samples: Vec<_> = blocks()
        .into_iter()
        .map(|block| (DutyType::Proposer, block.signed(Bytes([1; 96])).encode()))
        .collect();
    damaged(&samples, check_signed);
}

fn sample(kind: &str) -> Vec<Row> {
    rows().into_iter().filter(|row| row.kind == kind).collect()
}

/// One of each other type, in each encoding.
#[test]
fn signed_data() {
    let signature = Bytes([4; 96]);
    let single: SingleAttestation =
        ssz::Decode::from_ssz_bytes(&sample("SingleAttestation")[0].sample()).expect("SSZ");
    let single = SingleAttestation { committee_index: 7, ..single };
    let mut attestation = SignedAttestation::from_single(Fork::Fulu, &single).expect("a committee");
    let mut samples = vec![(DutyType::Attester, attestation.encode())];
    attestation.validator_index = None;
    samples.push((DutyType::Attester, attestation.encode()));
    samples.push((DutyType::Attester, SignedData::Attester(Box::new(attestation)).to_json()));
    for row in sample("SignedAggregateAndProof") {
        let read = SignedData::decode(DutyType::Aggregator, &row.sample());
        if let Ok(read) = read {
            samples.push((DutyType::Aggregator, read.to_json()));
            samples.push((DutyType::Aggregator, read.encode()));
        }
        samples.push((DutyType::Aggregator, row.sample()));
    }
    samples.push((DutyType::SyncMessage, sample("SyncCommitteeMessage")[0].sample()));
    let mut contribution = sample("ContributionAndProof")[0].sample();
    contribution.extend_from_slice(&signature.0);
    samples.push((DutyType::SyncContribution, contribution));
    samples.push((DutyType::Signature, format!("\"{}\"", "+/++".repeat(32)).into_bytes()));
    for (kind, text) in [
        (
            DutyType::Exit,
            format!(r#"{{"message":{{"epoch":"5","validator_index":"7"}},"signature":"{signature}"}}"#),
        ),
        (DutyType::Randao, format!(r#"{{"epoch":"3","signature":"{signature}"}}"#)),
        (
            DutyType::PrepareAggregator,
            format!(r#"{{"validator_index":"7","slot":"1","selection_proof":"{signature}"}}"#),
        ),
        (
            DutyType::PrepareSyncContribution,
            format!(
                r#"{{"validator_index":"7","slot":"1","subcommittee_index":"2","selection_proof":"{signature}"}}"#
            ),
        ),
        (
            DutyType::BuilderRegistration,
            format!(
                r#"{{"version":0,"registration":{{"message":{{"fee_recipient":"0x{}","gas_limit":"1","timestamp":"2","pubkey":"{}"}},"signature":"{signature}"}}}}"#,
                "0a".repeat(20),
                Bytes([3; 48])
            ),
        ),
    ] {
        samples.push((kind, text.into_bytes()));
    }
    let kinds: std::collections::BTreeSet<_> = samples.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.len(), 10, "all but blocks, and what has no data");
    damaged(&samples, check_signed);
}

#[test]
fn agreed_values() {
    let mut samples = Vec::new();
    for row in sample("Attestation") {
        let fork = row.fork.expect("a fork");
        let attestation = Box::new(Attestation::from_ssz(fork, &row.sample()).expect("SSZ"));
        let value = Unsigned::Aggregator { fork, attestation };
        samples.push((DutyType::Aggregator, value.encode(ContributionForm::Single)));
        samples.push((DutyType::Aggregator, value.to_json()));
    }
    samples.push((DutyType::Aggregator, sample("Attestation")[0].sample()));
    let mut attester = vec![8, 0, 0, 0, 136, 0, 0, 0];
    attester.extend_from_slice(&sample("AttestationData")[0].sample());
    attester.extend_from_slice(&[1; 96]);
    let value = Unsigned::decode(DutyType::Attester, &attester).expect("a value");
    samples.push((DutyType::Attester, attester));
    samples.push((DutyType::Attester, value.to_json()));
    let contribution = sample("SyncCommitteeContribution")[0].sample();
    let value = Unsigned::decode(DutyType::SyncContribution, &contribution).expect("one");
    samples.push((DutyType::SyncContribution, contribution));
    samples.push((DutyType::SyncContribution, value.encode(ContributionForm::List)));
    damaged(&samples, check_unsigned);
}

/// What beacon nodes answer.
#[test]
fn documents() {
    const DOCUMENTS: [&str; 3] = [
        r#"{"SECONDS_PER_SLOT":"12","SLOT_DURATION_MS":12000,"SLOTS_PER_EPOCH":"32","ALTAIR_FORK_EPOCH":"1",
"ALTAIR_FORK_VERSION":"0x01000000","GLOAS_FORK_EPOCH":"5","BLOB_SCHEDULE":[]}"#,
        r#"{"slot":"10","depth":"3","block":"0x9a2fefd2fdb57f74993c7780ea5b9030d2897b615b89f808011ca5aebed54eaf"}"#,
        r#"{"code":400,"message":"m","failures":[{"index":"1","message":"n"}]}"#,
    ];
    let genesis = Genesis {
        genesis_time: 1,
        genesis_validators_root: Bytes([1; 32]),
        genesis_fork_version: Bytes([0; 4]),
    };
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Some((which, script)) = script.split_first() else { return };
        let text = mutate(DOCUMENTS[usize::from(*which) % 3].as_bytes(), script, WORDS);
        if let Ok(spec) = serde_json::from_slice::<Spec>(&text) {
            match spec.chain(&genesis) {
                Ok(chain) => {
                    // Whatever the numbers are, time does not run out of its type.
                    let far = Duty::new(u64::MAX, DutyType::PrepareAggregator);
                    assert!(far.deadline(&chain.clock) >= Some(chain.clock.start_of(u64::MAX)));
                    assert!(far.start(&chain.clock) >= chain.clock.genesis);
                    assert!(chain.clock.slots_per_epoch > 0 && !chain.clock.slot.is_zero());
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            assert!(spec.unknown_forks().len() <= 2);
        }
        for topic in ["head", "chain_reorg"] {
            if let Some(ChainEvent::Head { .. }) = ChainEvent::read(topic, &text) {
                assert_eq!(topic, "head");
            }
        }
        if let Ok(error) = serde_json::from_slice::<ErrorBody>(&text) {
            let written = serde_json::to_vec(&error).expect("JSON");
            assert_eq!(serde_json::from_slice::<ErrorBody>(&written).expect("JSON"), error);
        }
    });
}

/// SSZ and JSON of blocks as beacon nodes and validator clients send them: the fork is beside them.
#[test]
fn blocks_of_any_fork() {
    let samples: Vec<Vec<u8>> = blocks().iter().map(Proposal::to_ssz).collect();
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let [which, fork, form, script @ ..] = script else { return };
        let bytes = mutate(&samples[usize::from(*which) % samples.len()], script, WORDS);
        let fork = Fork::of(u64::from(fork % 7)).expect("one of seven");
        let form = Form::from(form % 2 == 1);
        if let Ok(read) = Proposal::from_ssz(fork, form, &bytes) {
            assert!(Proposal::from_ssz(fork, form, &read.to_ssz()).is_ok_and(|again| again == read));
            assert_eq!((read.fork(), read.form()), (fork, form));
        }
        if let Ok(read) = Proposal::from_json(fork, form, &bytes) {
            assert!(Proposal::from_json(fork, form, &read.to_json()).is_ok_and(|again| again == read));
        }
    });
}
