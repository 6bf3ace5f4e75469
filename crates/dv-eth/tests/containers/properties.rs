//! Any value is written and read alike.

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::AttesterDuty;
use coxswain_dv_eth::attestation::{AttestationData, Checkpoint, SingleAttestation};
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal, SignedProposal};
use coxswain_dv_eth::signed::{SignedAggregate, SignedAttestation, SignedData, SignedRandao};
use coxswain_dv_eth::unsigned::{ContributionForm, Unsigned};
use proptest::prelude::*;
use ssz::Decode as _;

use super::{Row, rows};

/// Free bytes from a seed: more than proptest wants to make and to shrink. None is zero: a list of bits ends with one
/// that is not.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3].max(1)
    })
}

fn row(kind: &str, seed: usize) -> Row {
    let all: Vec<Row> = rows().into_iter().filter(|row| row.kind == kind).collect();
    let at = seed % all.len();
    all.into_iter().nth(at).expect("one of them")
}

/// A block with free bytes from a seed, of one of all forks and forms.
pub(crate) fn block(which: usize, seed: u64) -> Proposal {
    let row = row("block", which);
    let (fork, form) = (row.fork.expect("a fork"), row.form.expect("a form"));
    let block = row.with(noise(seed));
    if form == Form::Blinded || fork < Fork::Deneb {
        return Proposal::from_ssz(fork, form, &block).expect("a block");
    }
    // With two proofs and no blob.
    let proofs = 12 + u32::try_from(block.len()).expect("short");
    let mut whole = Vec::new();
    for offset in [12, proofs, proofs + 96] {
        whole.extend_from_slice(&offset.to_le_bytes());
    }
    whole.extend_from_slice(&block);
    whole.extend(noise(seed ^ 9).take(96));
    Proposal::from_ssz(fork, form, &whole).expect("contents")
}

fn signed_alike(data: &SignedData) -> Result<(), TestCaseError> {
    let bytes = data.encode();
    let read = SignedData::decode(data.kind(), &bytes);
    prop_assert!(read.as_ref().is_ok_and(|read| read == data), "{read:?}");
    let text = SignedData::decode(data.kind(), &data.to_json());
    prop_assert!(text.as_ref().is_ok_and(|read| read == data), "{text:?}");
    Ok(())
}

fn unsigned_alike(data: &Unsigned) -> Result<(), TestCaseError> {
    for bytes in [data.encode(ContributionForm::List), data.to_json()] {
        let read = Unsigned::decode(data.kind(), &bytes);
        prop_assert!(read.as_ref().is_ok_and(|read| read == data), "{read:?}");
    }
    Ok(())
}

fn fork() -> impl Strategy<Value = Fork> {
    prop::sample::select(Fork::all().collect::<Vec<_>>())
}

prop_compose! {
    fn data()(slot: u64, index: u64, head: [u8; 32], source: (u64, [u8; 32]), target: (u64, [u8; 32]))
        -> AttestationData
    {
        AttestationData {
            slot,
            index,
            beacon_block_root: Bytes(head),
            source: Checkpoint { epoch: source.0, root: Bytes(source.1) },
            target: Checkpoint { epoch: target.0, root: Bytes(target.1) },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_block(which in 0_usize..12, seed: u64, signature in any::<u8>()) {
        let proposal = block(which, seed);
        unsigned_alike(&Unsigned::Proposer(Box::new(proposal.clone())))?;
        let signature = Bytes([signature; 96]);
        let signed = proposal.clone().signed(signature);
        prop_assert!(signed.is_of(&proposal));
        prop_assert_eq!(*signed.signature(), signature);
        let again = SignedProposal::from_ssz(signed.fork(), signed.form(), &signed.to_ssz());
        prop_assert!(again.is_ok_and(|again| again == signed));
        signed_alike(&SignedData::Proposer(Box::new(signed)))?;
    }

    #[test]
    fn any_aggregate(which in 0_usize..2, seed: u64, fork in fork()) {
        let row = row("SignedAggregateAndProof", which);
        let of_row = row.fork.expect("a fork");
        let bytes = row.with(noise(seed));
        if of_row.has_electra_attestations() == fork.has_electra_attestations() {
            let signed = SignedAggregate::from_ssz(fork, &bytes).expect("SSZ");
            prop_assert_eq!(signed.fork(), fork);
            let attestation = Box::new(signed.aggregate());
            prop_assert_eq!(attestation.data(), signed.data());
            unsigned_alike(&Unsigned::Aggregator { fork, attestation: attestation.clone() })?;
            let mut again = SignedAggregate::new(
                fork,
                signed.aggregator_index(),
                *attestation,
                *signed.selection_proof(),
            ).expect("its shape");
            again.set_signature(*signed.signature());
            prop_assert_eq!(&again, &signed);
            signed_alike(&SignedData::Aggregator(Box::new(signed)))?;
        } else {
            prop_assert!(SignedAggregate::from_ssz(fork, &bytes).is_err());
        }
    }

    #[test]
    fn any_attestation(
        fork in fork(), data in data(), committee_index in 0_u64..64, attester_index: u64, known: bool, byte: u8,
    ) {
        let single = SingleAttestation { committee_index, attester_index, data, signature: Bytes([byte; 96]) };
        match SignedAttestation::from_single(fork, &single) {
            Ok(mut signed) => {
                prop_assert!(fork.has_electra_attestations());
                prop_assert_eq!(signed.to_single(), Ok(single));
                if !known {
                    signed.validator_index = None;
                }
                signed_alike(&SignedData::Attester(Box::new(signed)))?;
            }
            Err(_) => prop_assert!(!fork.has_electra_attestations()),
        }
    }

    #[test]
    fn any_attester_value(data in data(), pubkey in any::<u8>(), numbers: [u64; 6]) {
        let [validator_index, committee_index, committee_length, committees_at_slot, place, slot] = numbers;
        let duty = AttesterDuty {
            pubkey: Bytes([pubkey; 48]),
            validator_index,
            committee_index,
            committee_length: committee_length.max(1),
            committees_at_slot,
            validator_committee_index: place,
            slot,
        };
        unsigned_alike(&Unsigned::Attester { data, duty })?;
    }

    #[test]
    fn any_contribution(seed: u64, count in 1_u64..=4, epoch: u64, byte: u8) {
        let row = row("SyncCommitteeContribution", 0);
        let one = |n| coxswain_dv_eth::sync::SyncCommitteeContribution::from_ssz_bytes(&row.with(noise(seed ^ (n * 2))));
        let all: Result<Vec<_>, _> = (0..count).map(one).collect();
        unsigned_alike(&Unsigned::SyncContribution(all.expect("SSZ")))?;
        signed_alike(&SignedData::Randao(SignedRandao { epoch, signature: Bytes([byte; 96]) }))?;
        signed_alike(&SignedData::Signature(Bytes([byte; 96])))?;
    }

    /// Every beginning of it is refused, and so is what has something behind.
    #[test]
    fn any_part_is_refused(which in 0_usize..12, seed: u64, cut: prop::sample::Index) {
        let bytes = block(which, seed).signed(Bytes([1; 96])).encode();
        let short = &bytes[..cut.index(bytes.len())];
        // A block may end early only where its last list does; then it is another block.
        if let Ok(read) = SignedData::decode(DutyType::Proposer, short) {
            prop_assert_eq!(read.encode(), short);
        }
    }
}
