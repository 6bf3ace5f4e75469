//! Blocks of every fork: what charon wrote is read and written again, byte for byte.

use std::error::Error as _;
use std::time::Instant;

use super::{compact, golden, table};
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::proposal::{Form, Proposal, SignedProposal};
use serde_json::Value as Json;

/// With addresses in lower case. charon writes some of them with the upper case of EIP-55 and takes any; nothing that
/// goes between nodes as JSON has an address in it, unless SSZ is off.
fn lower_addresses(text: &str) -> String {
    let lower = |part: &str| {
        let is_address = part.len() == 42 && part.starts_with("0x");
        if is_address { part.to_ascii_lowercase() } else { part.to_owned() }
    };
    text.split('"').map(lower).collect::<Vec<_>>().join("\"")
}

/// A proposal is written back as SSZ and as JSON of both kinds; returns its SSZ between nodes.
#[track_caller]
fn check_proposal(proposal: &Proposal) -> Vec<u8> {
    let (fork, form) = (proposal.fork(), proposal.form());
    let encoded = proposal.encode();
    let all = [
        Proposal::decode(&encoded),
        Proposal::decode(&proposal.versioned_json()),
        Proposal::from_ssz(fork, form, &proposal.to_ssz()),
        Proposal::from_json(fork, form, &proposal.to_json()),
    ];
    for again in all {
        assert!(again.as_ref().is_ok_and(|again| again == proposal), "{again:?}");
    }
    let (parts, signature) = proposal.clone().signed(Bytes([7; 96])).into_parts();
    assert!(parts == *proposal && signature == Bytes([7; 96]));
    encoded
}

#[track_caller]
fn check_signed(signed: &SignedProposal) -> Vec<u8> {
    let (fork, form) = (signed.fork(), signed.form());
    let encoded = signed.encode();
    let all = [
        SignedProposal::decode(&encoded),
        SignedProposal::decode(&signed.versioned_json()),
        SignedProposal::from_ssz(fork, form, &signed.to_ssz()),
        SignedProposal::from_json(fork, form, &signed.to_json()),
    ];
    for again in all {
        assert!(again.as_ref().is_ok_and(|again| again == signed), "{again:?}");
    }
    let (parts, signature) = signed.clone().into_parts();
    assert!(signed.is_of(&parts));
    assert!(parts.signed(signature) == *signed);
    encoded
}

/// Roots that the containers of the Python package `eth-consensus-specs` 1.7.0a13 have.
#[track_caller]
fn check_root(root: coxswain_dv_eth::Root, expected: &str) {
    assert_eq!(hex::encode(root), expected);
}

#[test]
fn proposals_of_charon() {
    let Some(text) = golden("TestJSONSerialisation_VersionedProposal.json.golden") else { return };
    let ssz = golden("TestSSZSerialisation_VersionedProposal.ssz.golden").expect("beside it");
    let read = Proposal::decode(&text).expect("JSON");
    assert!(Proposal::decode(&ssz).expect("SSZ") == read);
    assert!(check_proposal(&read) == ssz);
    let compact = lower_addresses(&compact(&text));
    assert!(String::from_utf8(read.versioned_json()).expect("UTF-8") == compact);
    assert_eq!((read.fork(), read.form()), (Fork::Fulu, Form::Full));
    check_root(read.root(), "f7251cae23410c7454437e8e52dc16d1b4fbec965288923a0daad08659c2be86");
    let recipient = read.fee_recipient().expect("a payload").to_string();
    assert_eq!(recipient, "0xE70A05B098fDb7cfb4907e4064CCC53165a38257".to_ascii_lowercase());
}

#[test]
fn signed_proposals_of_charon() {
    let Some(text) = golden("TestJSONSerialisation_VersionedSignedProposal.json.golden") else { return };
    let ssz = golden("TestSSZSerialisation_VersionedSignedProposal.ssz.golden").expect("beside it");
    let read = SignedProposal::decode(&text).expect("JSON");
    assert!(SignedProposal::decode(&ssz).expect("SSZ") == read);
    assert!(check_signed(&read) == ssz);
    let compact = lower_addresses(&compact(&text));
    assert!(String::from_utf8(read.versioned_json()).expect("UTF-8") == compact);
    check_root(read.root(), "cd3d0d0abc5d9ba7a85b8c3388a6d4ebe2ee6367e20bf3c77a8d4977c657c0e1");
}

/// Blinded blocks and old forks: files that charon once wrote, under a header that it uses no more.
#[test]
fn blocks_of_old_types() {
    let Some(text) = golden("TestJSONSerialisation_VersionedBlindedProposal.json.golden") else { return };
    let json: Json = serde_json::from_slice(&text).expect("JSON");
    let block = serde_json::to_vec(&json["block"]).expect("JSON");
    let blinded = Proposal::from_json(Fork::Deneb, Form::Blinded, &block).expect("a block");
    check_proposal(&blinded);
    let written = String::from_utf8(blinded.to_json()).expect("UTF-8");
    assert_eq!(serde_json::from_str::<Json>(&written).expect("JSON"), {
        serde_json::from_str::<Json>(&lower_addresses(&String::from_utf8(block).expect("UTF-8")))
            .expect("JSON")
    });

    let samples = [
        (
            ("VersionedBeaconBlock", Fork::Altair, Form::Full, false),
            "8017bbdd58e803f567bc572224feaad3e74d0e828dc1442456d296a47435242c",
        ),
        (
            ("VersionedSignedBlindedBeaconBlock", Fork::Deneb, Form::Blinded, true),
            "886e0f9eac32f3cb18ccc93bfb98677e7c3584f20b950e70a578f68a5118ba52",
        ),
    ];
    for ((name, fork, form, is_signed), root) in samples {
        let text = golden(&format!("TestJSONSerialisation_{name}.json.golden")).expect("beside it");
        let ssz = golden(&format!("TestSSZSerialisation_{name}.ssz.golden")).expect("beside it");
        let json: Json = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(json["version"], fork.number(), "{name}");
        let block = serde_json::to_vec(&json["block"]).expect("JSON");
        let written = if is_signed {
            let signed = SignedProposal::from_json(fork, form, &block).expect(name);
            check_signed(&signed);
            check_root(signed.root(), root);
            signed.to_ssz()
        } else {
            let proposal = Proposal::from_json(fork, form, &block).expect(name);
            check_proposal(&proposal);
            check_root(proposal.root(), root);
            proposal.to_ssz()
        };
        assert_eq!(written, ssz[12..], "{name}");
    }
    // The JSON of this one has eight attester slashings where Electra has one at most.
    let text = golden("TestJSONSerialisation_VersionedSignedBeaconBlock.json.golden").expect("beside it");
    let error = SignedProposal::decode(&text).expect_err("too long a list");
    assert!(error.source().is_some_and(|source| source.to_string().contains("maximum length 1")), "{error}");
    let ssz = golden("TestSSZSerialisation_VersionedSignedBeaconBlock.ssz.golden").expect("beside it");
    check_signed(&SignedProposal::from_ssz(Fork::Altair, Form::Full, &ssz[12..]).expect("Altair"));
}

#[test]
fn rows_of_blocks() {
    let mut seen = 0;
    for row in table("ssz") {
        let kind = row["type"].as_str().expect("a text");
        let bytes = super::hex(&row["ssz"]);
        let (written, fork, form) = if kind.starts_with("VersionedProposal") {
            let read = Proposal::decode(&bytes).expect("a proposal");
            (check_proposal(&read), read.fork(), read.form())
        } else if kind.starts_with("VersionedSignedProposal") {
            let read = SignedProposal::decode(&bytes).expect("a signed proposal");
            (check_signed(&read), read.fork(), read.form())
        } else {
            continue;
        };
        assert_eq!(written, bytes, "{}", row["name"]);
        assert_eq!(row["decoded"]["version"], fork.name());
        assert_eq!(row["decoded"]["blinded"], form == Form::Blinded);
        seen += 1;
    }
    assert!(seen == 0 || seen >= 7, "{seen}");
}

/// Root and form are what a signature is of; blobs hang on their commitments.
#[test]
fn signed_blocks_are_of_their_proposals_only() {
    let Some(ssz) = golden("TestSSZSerialisation_VersionedProposal.ssz.golden") else { return };
    let proposal = Proposal::decode(&ssz).expect("SSZ");
    let signed = proposal.clone().signed(Bytes([7; 96]));
    assert!(signed.is_of(&proposal));
    let Proposal::Fulu(contents) = proposal.clone() else { panic!("Fulu") };
    let mut other = contents.clone();
    other.block.slot += 1;
    assert!(!signed.is_of(&Proposal::Fulu(other)));
    let as_electra = coxswain_dv_eth::block::ContentsOf {
        block: contents.block,
        kzg_proofs: contents.kzg_proofs.to_vec().try_into().expect("few"),
        blobs: contents.blobs,
    };
    assert!(!signed.is_of(&Proposal::Electra(as_electra)));
    assert_eq!(proposal.root(), signed.root());
}

/// What a large block costs; `--nocapture` shows it. The root of what was read is that of what was written.
#[test]
fn large_blocks() {
    let Some(text) = golden("TestJSONSerialisation_VersionedProposal.json.golden") else { return };
    let start = Instant::now();
    let read = Proposal::decode(&text).expect("JSON");
    let json_read = start.elapsed();
    let ssz = read.encode();
    let ssz_written = start.elapsed() - json_read;
    let again = Proposal::decode(&ssz).expect("SSZ");
    let ssz_read = start.elapsed() - json_read - ssz_written;
    let root = again.root();
    let hashed = start.elapsed() - json_read - ssz_written - ssz_read;
    println!("JSON read {json_read:?}, SSZ written {ssz_written:?}, SSZ read {ssz_read:?}, root {hashed:?}");
    assert_eq!(root, read.root());
}
