//! Headers in front of SSZ: what does not fit is refused, and says why.

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::codec::CodecError;
use coxswain_dv_eth::duty::DutyType;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal, SignedProposal};
use coxswain_dv_eth::signed::SignedData;
use coxswain_dv_eth::unsigned::Unsigned;

use super::properties::block;
use super::{Row, rows};

/// What a header of 13 bytes is changed into, and what that is called.
fn changed(sample: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> CodecError {
    let mut bytes = sample.to_vec();
    change(&mut bytes);
    Proposal::decode(&bytes).expect_err("it does not fit")
}

#[test]
fn headers_of_proposals() {
    let blocks: Vec<Proposal> = (0..12).map(|which| block(which, 3)).collect();
    for proposal in &blocks {
        let bytes = proposal.encode();
        let is = |text: &str, error: CodecError| {
            assert!(error.to_string().contains(text), "{} {:?}: {error}", proposal.fork(), proposal.form());
        };
        is("ends with its length", changed(&bytes, |b| b[9] = 12));
        is("ends with its length", changed(&bytes, |b| b[9] = 14));
        is("ends with its length", changed(&bytes, |b| b[12] = 1));
        is("is of fork 7, which is not known", changed(&bytes, |b| b[0] = 7));
        is("is of fork", changed(&bytes, |b| b[7] = 1));
        is("says 2 where 0 is a full block", changed(&bytes, |b| b[8] = 2));
        is("ends with its length", changed(&bytes, |b| b.truncate(12)));
        is("ends with its length", changed(&bytes, Vec::clear));
        is("is not valid SSZ", changed(&bytes, |b| b.truncate(13)));
        // The other form has other containers.
        let flipped = changed(&bytes, |b| b[8] ^= 1);
        if proposal.fork() < Fork::Bellatrix {
            assert_eq!(
                flipped.to_string(),
                format!("the proposal is blinded, but blocks of {} have no payload", proposal.fork())
            );
        } else {
            is("is not valid SSZ", flipped);
        }
        let signed = proposal.clone().signed(Bytes([1; 96])).encode();
        assert!(Proposal::decode(&signed).is_err(), "signed");
        assert!(SignedProposal::decode(&bytes).is_err(), "not signed");
    }
}

/// A block of one fork is one of another only where the two have the same containers.
#[test]
fn blocks_of_other_forks() {
    for which in 0..12 {
        let proposal = block(which, 4);
        let bytes = proposal.to_ssz();
        for fork in Fork::all() {
            for form in [Form::Full, Form::Blinded] {
                let is_alike = |fork: Fork| fork >= Fork::Electra;
                let same = (fork, form) == (proposal.fork(), proposal.form())
                    || form == proposal.form() && is_alike(fork) && is_alike(proposal.fork());
                let read = Proposal::from_ssz(fork, form, &bytes);
                assert_eq!(
                    read.is_ok(),
                    same,
                    "{} {:?} as {fork} {form:?}",
                    proposal.fork(),
                    proposal.form()
                );
            }
        }
    }
}

/// Contents of Fulu hold the proofs of cells: 128 for each blob, where Deneb has one.
#[test]
fn contents_hold_as_many_proofs_as_their_fork_has() {
    let proposal = block(rows().iter().filter(|row| row.kind == "block").count() - 2, 5);
    let Proposal::Fulu(contents) = &proposal else { panic!("{} {:?}", proposal.fork(), proposal.form()) };
    for (proofs, is_electra) in [(4096, true), (4097, false)] {
        let mut many = contents.clone();
        many.kzg_proofs = vec![Bytes([3; 48]); proofs].try_into().expect("up to 524,288");
        let bytes = Proposal::Fulu(many).to_ssz();
        assert!(Proposal::from_ssz(Fork::Fulu, Form::Full, &bytes).is_ok());
        assert_eq!(Proposal::from_ssz(Fork::Electra, Form::Full, &bytes).is_ok(), is_electra, "{proofs}");
    }
}

#[test]
fn headers_of_attestations_and_aggregates() {
    let sample = |kind: &str| rows().into_iter().filter(|row| row.kind == kind).collect::<Vec<Row>>();
    for row in sample("Attestation") {
        let headed = |number: u64, length: u32| {
            let mut bytes = number.to_le_bytes().to_vec();
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&row.sample());
            bytes
        };
        for fork in Fork::all() {
            let is_of =
                fork.has_electra_attestations() == row.fork.is_some_and(Fork::has_electra_attestations);
            let bytes = headed(fork.number(), 12);
            assert_eq!(Unsigned::decode(DutyType::Aggregator, &bytes).is_ok(), is_of, "{fork}");
            assert_eq!(SignedData::decode(DutyType::Attester, &bytes).is_ok(), is_of, "{fork}");
        }
        for bytes in [headed(7, 12), headed(0, 13), headed(5, 20), headed(u64::MAX, 12)] {
            assert!(Unsigned::decode(DutyType::Aggregator, &bytes).is_err());
            assert!(SignedData::decode(DutyType::Attester, &bytes).is_err());
        }
    }
    for row in sample("SignedAggregateAndProof") {
        let is_phase0 = row.fork == Some(Fork::Phase0);
        let bare = SignedData::decode(DutyType::Aggregator, &row.sample());
        assert_eq!(bare.is_ok(), is_phase0, "only those of phase 0 were ever bare");
    }
}
