//! Roots are those of the consensus specifications.

use coxswain_dv_eth::attestation::{
    AggregateAndProof, Attestation, AttestationData, AttestationElectra, SingleAttestation,
};
use coxswain_dv_eth::block::{BlockHeader, BlockPhase0};
use coxswain_dv_eth::domain::{self, Signable};
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::operations::VoluntaryExit;
use coxswain_dv_eth::proposal::{Form, Proposal};
use coxswain_dv_eth::signed::SignedAggregate;
use coxswain_dv_eth::sync::{
    ContributionAndProof, SyncAggregatorSelectionData, SyncCommitteeContribution, SyncCommitteeMessage,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ssz::{Decode, Encode};
use tree_hash::TreeHash;

use super::{Row, rows};

/// SSZ and JSON are written as they were read.
#[track_caller]
fn root_of<T>(bytes: &[u8]) -> [u8; 32]
where
    T: Decode + Encode + TreeHash + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let read = T::from_ssz_bytes(bytes).expect("SSZ");
    assert_eq!(read.as_ssz_bytes(), bytes);
    let text = serde_json::to_vec(&read).expect("JSON");
    assert_eq!(serde_json::from_slice::<T>(&text).expect("JSON"), read);
    read.tree_hash_root().0
}

fn root_of_row(row: &Row) -> [u8; 32] {
    let bytes = row.sample();
    match (row.kind, row.fork) {
        ("block", Some(fork)) => {
            // From Deneb on a full block is among its contents: offsets of block, proofs and blobs, of which none.
            let form = row.form.expect("a form");
            let has_contents = form == Form::Full && fork >= Fork::Deneb;
            let mut whole = Vec::new();
            if has_contents {
                let end = u32::try_from(12 + bytes.len()).expect("short");
                for offset in [12, end, end] {
                    whole.extend_from_slice(&offset.to_le_bytes());
                }
            }
            whole.extend_from_slice(&bytes);
            let block = Proposal::from_ssz(fork, form, &whole).expect("a block");
            assert_eq!((block.fork(), block.form()), (fork, form));
            assert!(block.to_ssz() == whole);
            assert!(Proposal::from_json(fork, form, &block.to_json()).expect("JSON") == block);
            block.root()
        }
        ("SignedAggregateAndProof", Some(fork)) => {
            let signed = SignedAggregate::from_ssz(fork, &bytes).expect("SSZ");
            assert_eq!(signed.as_ssz_bytes(), bytes);
            let signature = (*signed.signature()).tree_hash_root();
            let both = [signed.message_root(), signature.0].concat();
            sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), both))
                .into()
        }
        ("AggregateAndProof", _) => root_of::<AggregateAndProof<AttestationElectra>>(&bytes),
        ("Attestation", Some(fork)) => Attestation::from_ssz(fork, &bytes).expect("SSZ").root(),
        ("AttestationData", _) => root_of::<AttestationData>(&bytes),
        ("SingleAttestation", _) => root_of::<SingleAttestation>(&bytes),
        ("SyncCommitteeMessage", _) => root_of::<SyncCommitteeMessage>(&bytes),
        ("SyncCommitteeContribution", _) => root_of::<SyncCommitteeContribution>(&bytes),
        ("ContributionAndProof", _) => root_of::<ContributionAndProof>(&bytes),
        ("SyncAggregatorSelectionData", _) => {
            SyncAggregatorSelectionData::from_ssz_bytes(&bytes).expect("SSZ").root()
        }
        ("VoluntaryExit", _) => root_of::<VoluntaryExit>(&bytes),
        ("BeaconBlockHeader", _) => root_of::<BlockHeader>(&bytes),
        (other, fork) => panic!("unknown type {other} of {fork:?}"),
    }
}

#[test]
fn rows_of_roots() {
    let all = rows();
    assert_eq!(all.len(), 25);
    for row in &all {
        assert_eq!(hex::encode(root_of_row(row)), hex::encode(row.root), "{} {:?}", row.kind, row.fork);
    }
}

/// The first block of mainnet: its root is known to everyone, its state is given, all else is zero.
#[test]
fn the_first_block_of_mainnet() {
    let mut ssz = vec![0; 84 + 220];
    let state = hex::decode("7e76880eb67bbdc86250aa578958e9d0675e64e714337855204fb5abaaf82c2b").expect("hex");
    ssz[48..80].copy_from_slice(&state);
    ssz[80..84].copy_from_slice(&84_u32.to_le_bytes());
    for list in 0..5 {
        ssz[84 + 200 + list * 4..][..4].copy_from_slice(&220_u32.to_le_bytes());
    }
    assert_eq!(
        hex::encode(root_of::<BlockPhase0>(&ssz)),
        "4d611d5b93fdab69013a7f0a2f961caca0c853f87cfe9595fe50038163079360"
    );
}

/// Exits count for Capella, registrations for no chain, all else for the fork of their epoch.
#[test]
fn signatures_are_bound_to_forks() {
    use coxswain_dv_eth::Bytes;
    use coxswain_dv_eth::domain::Chain;
    use coxswain_dv_eth::fork::Forks;
    use coxswain_dv_eth::time::{Clock, Time};

    let clock =
        Clock { genesis: Time::from_secs(0), slot: std::time::Duration::from_secs(12), slots_per_epoch: 32 };
    let rows = [0_u8, 1, 2, 3, 4, 5, 6].map(|n| (u64::from(n) * 10, Bytes([n; 4])));
    let chain = Chain { clock, forks: Forks::new(rows), genesis_validators_root: [7; 32] };
    let other = Chain { genesis_validators_root: [8; 32], ..chain.clone() };
    let root = |chain: &Chain, domain, epoch| chain.signing_root(&Signable { root: [1; 32], domain, epoch });
    let expected = |domain, version: u8, validators: u8| {
        let domain = coxswain_dv_types::network::domain(domain, [version; 4], &[validators; 32]);
        coxswain_dv_types::network::signing_root(&[1; 32], &domain)
    };
    for epoch in [0, 9, 10, 35, 59, 60, 1000] {
        let fork = u8::try_from(epoch / 10).expect("small").min(6);
        assert_eq!(root(&chain, domain::ATTESTER, epoch), expected(domain::ATTESTER, fork, 7));
        assert_eq!(root(&chain, domain::EXIT, epoch), expected(domain::EXIT, 3, 7));
        assert_eq!(root(&chain, domain::BUILDER, epoch), expected(domain::BUILDER, 0, 0));
        assert_ne!(root(&chain, domain::RANDAO, epoch), root(&other, domain::RANDAO, epoch));
        assert_eq!(root(&chain, domain::BUILDER, epoch), root(&other, domain::BUILDER, epoch));
    }
}
