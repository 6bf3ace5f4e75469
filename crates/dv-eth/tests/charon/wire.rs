//! What goes over the wire between nodes: read and written as charon does, byte for byte, and bound to what was signed.

use std::time::Duration;

use super::{compact, golden, hex, table};
use coxswain_dv_crypto::bls::{PublicKey, SecretKey, Signature, verify};
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::api::AttesterDuty;
use coxswain_dv_eth::attestation::{Attestation, AttestationData, Checkpoint, SingleAttestation};
use coxswain_dv_eth::domain::{self, Chain, Signable};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::fork::{FAR_FUTURE, Fork, Forks};
use coxswain_dv_eth::signed::{Binding, ConversionError, SignedAttestation, SignedData};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_eth::unsigned::{ContributionForm, Unsigned};
use serde_json::Value as Json;

/// Reads as one type, and writes what it wrote.
#[track_caller]
fn check_signed(kind: DutyType, bytes: &[u8], json: Option<&str>) -> SignedData {
    let read = SignedData::decode(kind, bytes).unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    assert_eq!(read.kind(), kind);
    assert_eq!(hex::encode(read.encode()), hex::encode(bytes));
    let written = String::from_utf8(read.to_json()).expect("UTF-8");
    if let Some(json) = json {
        assert_eq!(written, json);
    }
    assert_eq!(SignedData::decode(kind, written.as_bytes()).expect("JSON"), read);
    read
}

#[track_caller]
fn check_unsigned(kind: DutyType, bytes: &[u8]) -> Unsigned {
    let read = Unsigned::decode(kind, bytes).unwrap_or_else(|error| panic!("{kind}: {error:?}"));
    assert_eq!(read.kind(), kind);
    assert_eq!(hex::encode(read.encode(ContributionForm::Single)), hex::encode(bytes));
    let list = read.encode(ContributionForm::List);
    assert_eq!(Unsigned::decode(kind, &list).expect("the other form"), read);
    read
}

fn json_golden(name: &str) -> Option<String> {
    golden(&format!("TestJSONSerialisation_{name}.json.golden")).map(|text| compact(&text))
}

fn ssz_golden(name: &str) -> Vec<u8> {
    golden(&format!("TestSSZSerialisation_{name}.ssz.golden")).expect("beside the JSON")
}

#[test]
fn goldens_that_have_ssz() {
    for (name, kind) in [
        ("VersionedAttestation", DutyType::Attester),
        ("VersionedSignedAggregateAndProof", DutyType::Aggregator),
        ("SignedSyncContributionAndProof", DutyType::SyncContribution),
    ] {
        let Some(text) = json_golden(name) else { return };
        check_signed(kind, &ssz_golden(name), Some(&text));
    }
    let text = json_golden("AttestationData").expect("beside the others");
    let read = check_unsigned(DutyType::Attester, &ssz_golden("AttestationData"));
    assert_eq!(String::from_utf8(read.to_json()).expect("UTF-8"), text);
    assert_eq!(Unsigned::decode(DutyType::Attester, text.as_bytes()).expect("JSON"), read);
    // Only inside a signed one.
    let text = json_golden("SyncContributionAndProof").expect("beside the others");
    let read: coxswain_dv_eth::sync::ContributionAndProof = serde_json::from_str(&text).expect("JSON");
    assert_eq!(ssz::Encode::as_ssz_bytes(&read), ssz_golden("SyncContributionAndProof"));
}

#[test]
fn goldens_that_are_json() {
    for (name, kind) in [
        ("SignedVoluntaryExit", DutyType::Exit),
        ("BeaconCommitteeSelection", DutyType::PrepareAggregator),
        ("SyncCommitteeSelection", DutyType::PrepareSyncContribution),
    ] {
        let Some(text) = json_golden(name) else { return };
        check_signed(kind, text.as_bytes(), Some(&text));
    }
    let text = json_golden("SignedVoluntaryExit").expect("beside the others");
    let exit =
        SignedData::decode(DutyType::Exit, &ssz_golden("SignedVoluntaryExit")).expect("SSZ is read too");
    assert_eq!(exit.encode(), text.as_bytes());
    // Of eight bytes: the same alphabet, but no signature.
    let text = json_golden("Signature").expect("beside the others");
    let error = SignedData::decode(DutyType::Signature, text.as_bytes()).expect_err("too short").to_string();
    assert_eq!(error, "the signature is refused: it is not 96 bytes in base64");
}

#[test]
fn signatures_of_ceremonies_are_base64() {
    let text = format!("\"{}\"", "+/++".repeat(32));
    let read = check_signed(DutyType::Signature, text.as_bytes(), Some(&text));
    assert_eq!(read.message_root(), None);
    for refused in ["\"-_--\"", "\"\"", "\"====\"", "0", "{", "\"3q2+7w\""] {
        assert!(SignedData::decode(DutyType::Signature, refused.as_bytes()).is_err(), "{refused}");
    }
}

#[test]
fn registrations_have_a_version() {
    let text = concat!(
        r#"{"version":0,"registration":{"message":{"fee_recipient":"0x000000000000000000000000000000000000dEaD","#,
        r#""gas_limit":"30000000","timestamp":"1646092800","pubkey":"0x86966350b672bd502bfbdb37a6ea8a7392e8fb7f5eb"#,
        r#"b5c5e2055f4ee168ebfab0fef63084f28c9f62c3ba71f825e527e"},"signature":"0x"#,
    );
    let text = format!("{text}{}\"}}}}", "0a".repeat(96));
    let read = check_signed(DutyType::BuilderRegistration, text.as_bytes(), Some(&text));
    assert_eq!(read.signature(), Bytes([10; 96]));
    let later = text.replace("\"version\":0", "\"version\":1");
    let error = SignedData::decode(DutyType::BuilderRegistration, later.as_bytes()).expect_err("version 1");
    assert_eq!(error.to_string(), "the registration is refused: its version is not 0, the only one there is");
    assert!(SignedData::decode(DutyType::BuilderRegistration, text.replace("0a0a", "").as_bytes()).is_err());
}

/// Numbers without quotes, forks by name: a row reads our JSON so.
fn plain(json: &Json) -> Json {
    match json {
        Json::String(text) => {
            let is_number = text.bytes().all(|b| b.is_ascii_digit());
            if is_number && !text.is_empty() {
                text.parse::<u64>().expect("a number").into()
            } else {
                json.clone()
            }
        }
        Json::Array(all) => all.iter().map(plain).collect(),
        Json::Object(all) => {
            let named = |(name, value): (&String, &Json)| {
                let value = match (name.as_str(), value) {
                    ("version", Json::Number(n)) => {
                        Fork::of(n.as_u64().expect("a number")).expect("a fork").name().into()
                    }
                    (_, value) => plain(value),
                };
                (name.clone(), value)
            };
            Json::Object(all.iter().map(named).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
    }
}

#[track_caller]
fn check_decoded(row: &Json, json: &[u8]) {
    let ours = plain(&serde_json::from_slice(json).expect("JSON"));
    let mut decoded = row["decoded"].clone();
    let fields = decoded.as_object_mut().expect("fields");
    if let Some(aggregate) = fields.remove("signed_aggregate_and_proof") {
        fields.insert("aggregate_and_proof".into(), aggregate);
    }
    for (name, expected) in fields {
        assert_eq!(&ours[name.as_str()], expected, "{}: {name}", row["name"]);
    }
}

#[test]
fn rows_of_ssz() {
    let mut seen = 0;
    for row in table("ssz") {
        let bytes = hex(&row["ssz"]);
        let kind = row["type"].as_str().expect("a text").split(' ').next().expect("a name");
        match kind {
            "AttestationData" => {
                check_decoded(&row, &check_unsigned(DutyType::Attester, &bytes).to_json());
            }
            "VersionedAttestation" => {
                check_decoded(&row, &check_signed(DutyType::Attester, &bytes, None).to_json());
            }
            "VersionedAggregatedAttestation" => {
                check_decoded(&row, &check_unsigned(DutyType::Aggregator, &bytes).to_json());
            }
            "VersionedSignedAggregateAndProof" => {
                check_decoded(&row, &check_signed(DutyType::Aggregator, &bytes, None).to_json());
            }
            "SignedSyncMessage" => {
                check_decoded(&row, &check_signed(DutyType::SyncMessage, &bytes, None).to_json());
            }
            "SignedSyncContributionAndProof" => {
                check_decoded(&row, &check_signed(DutyType::SyncContribution, &bytes, None).to_json());
            }
            "SyncContribution" => {
                let json = check_unsigned(DutyType::SyncContribution, &bytes).to_json();
                let list: Vec<Json> = serde_json::from_slice(&json).expect("a list");
                check_decoded(&row, &serde_json::to_vec(&list[0]).expect("JSON"));
            }
            "SignedAggregateAndProof" => {
                let read = SignedData::decode(DutyType::Aggregator, &bytes).expect("a bare one");
                assert_eq!(read.encode()[12..], bytes, "written with a header");
                assert_eq!(SignedData::decode(DutyType::Aggregator, &read.encode()).expect("read"), read);
                let SignedData::Aggregator(signed) = &read else { panic!("{read:?}") };
                let bare = serde_json::to_vec(&**signed).expect("JSON");
                check_decoded(&row, &bare);
                assert_eq!(SignedData::decode(DutyType::Aggregator, &bare).expect("bare JSON"), read);
            }
            "AggregatedAttestation" => {
                let read = Unsigned::decode(DutyType::Aggregator, &bytes).expect("a bare one");
                assert_eq!(read.encode(ContributionForm::Single)[12..], bytes, "written with a header");
                let Unsigned::Aggregator { attestation, .. } = &read else { panic!("{read:?}") };
                let bare = serde_json::to_vec(attestation).expect("JSON");
                check_decoded(&row, &bare);
                assert_eq!(Unsigned::decode(DutyType::Aggregator, &bare).expect("bare JSON"), read);
            }
            "VersionedProposal" | "VersionedSignedProposal" => continue,
            other => panic!("unknown type {other}"),
        }
        seen += 1;
    }
    assert!(seen == 0 || seen >= 22, "{seen}");
}

#[test]
fn rows_of_marshal() {
    for row in table("marshal") {
        match row["name"].as_str().expect("a name") {
            "attestation_data_zeros/ssz" => {
                check_unsigned(DutyType::Attester, &hex(&row["bytes"]));
            }
            // JSON is written, and read where the committee has members.
            "attestation_data_zeros/json_ssz_disabled" => {
                let text = row["text"].as_str().expect("a text");
                let zeros = Unsigned::Attester { data: AttestationData::default(), duty: duty_of_zeros() };
                assert_eq!(String::from_utf8(zeros.to_json()).expect("UTF-8"), text);
                let error = Unsigned::decode(DutyType::Attester, text.as_bytes()).expect_err("no members");
                assert!(error.to_string().ends_with("its committee has no members"), "{error}");
                let one = text.replace("\"committee_length\":\"0\"", "\"committee_length\":\"1\"");
                assert!(Unsigned::decode(DutyType::Attester, one.as_bytes()).is_ok());
            }
            "signature/json" => {
                let text = row["text"].as_str().expect("a text");
                assert!(SignedData::decode(DutyType::Signature, text.as_bytes()).is_err(), "four bytes");
            }
            other => panic!("unknown row {other}"),
        }
    }
}

fn duty_of_zeros() -> AttesterDuty {
    AttesterDuty {
        pubkey: Bytes([0; 48]),
        validator_index: 0,
        committee_index: 0,
        committee_length: 0,
        committees_at_slot: 0,
        validator_committee_index: 0,
        slot: 0,
    }
}

#[test]
fn rows_of_malformed() {
    for row in table("malformed") {
        let bytes = hex(&row["bytes"]);
        let kind = DutyType::all().find(|kind| row["duty"] == kind.name()).expect("a type");
        assert_eq!(row["kind"], "unsigned");
        assert!(Unsigned::decode(kind, &bytes).is_err(), "{row}");
        assert!(SignedData::decode(kind, &bytes).is_err(), "{row}");
    }
}

fn version(json: &Json) -> Bytes<4> {
    json.as_str().expect("a text").parse().expect("four bytes")
}

fn chain(current: Bytes<4>, capella: Bytes<4>, genesis_validators_root: &Json) -> Chain {
    let mut rows = [(FAR_FUTURE, Bytes([0xee; 4])); 7];
    rows[Fork::Phase0 as usize] = (0, Bytes([0xdd; 4]));
    rows[Fork::Capella as usize] = (0, capella);
    rows[Fork::Deneb as usize] = (0, current);
    let clock = Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };
    let root = hex(genesis_validators_root).try_into().expect("32 bytes");
    Chain { clock, forks: Forks::new(rows), genesis_validators_root: root }
}

/// Partial signatures that others made: our signing roots are those that they signed.
#[test]
fn partial_signatures_are_of_our_roots() {
    let Some(file) = golden("derived/parsigex_messages.json") else { return };
    let file: Json = serde_json::from_slice(&file).expect("JSON");
    let versions = (version(&file["fork_version"]), version(&file["capella_fork_version"]));
    let chain = chain(versions.0, versions.1, &file["genesis_validators_root"]);
    let rows = file["rows"].as_array().expect("rows");
    assert!(rows.len() >= 4);
    for row in rows {
        let number = row["duty"]["type"].as_i64().and_then(|n| i32::try_from(n).ok()).expect("a number");
        let kind = DutyType::of(number).expect("a type");
        let payload = row["payload"].as_str().expect("a text");
        let bytes = match payload.strip_prefix("0x") {
            Some(digits) => hex::decode(digits).expect("hex"),
            None => payload.as_bytes().to_vec(),
        };
        let data = check_signed(kind, &bytes, None);
        let message = hex(&row["message"]);
        assert!(message.windows(bytes.len()).any(|part| part == bytes), "{}", row["name"]);
        let duty = Duty::new(row["duty"]["slot"].as_u64().expect("a slot"), kind);
        assert!(data.fits(&duty, &chain.clock), "{}", row["name"]);
        let signable = data.signable(&chain.clock).expect("a root");
        assert_eq!(signable.root.to_vec(), hex(&row["object_root"]), "{}", row["name"]);
        let root = chain.signing_root(&signable);
        assert_eq!(root.to_vec(), hex(&row["signing_root"]), "{}", row["name"]);
        let share = PublicKey::from_bytes(&hex(&row["public_share"])).expect("a key");
        let signature = Signature::from_bytes(&data.signature().0).expect("a signature");
        assert!(verify(&share, &root, &signature), "{}", row["name"]);
        assert!(!verify(&share, &[0; 32], &signature));
    }
}

#[test]
fn rows_of_signing_roots() {
    for row in table("signing_roots") {
        match row["name"].as_str().expect("a name") {
            "attestation" => {
                let fields = &row["attestation_data"];
                let mut root = [0; 32];
                let ascii = fields["beacon_block_root_ascii"].as_str().expect("a text").as_bytes();
                root[..ascii.len()].copy_from_slice(ascii);
                let number = |name: &str| fields[name].as_u64().expect("a number");
                let data = AttestationData {
                    slot: number("slot"),
                    index: number("index"),
                    beacon_block_root: Bytes(root),
                    source: Checkpoint { epoch: number("source_epoch"), root: Bytes::default() },
                    target: Checkpoint { epoch: number("target_epoch"), root: Bytes::default() },
                };
                assert_eq!(data.root().to_vec(), hex(&row["object_root"]));
                let current = version(&row["current_fork_version"]);
                let chain = chain(current, Bytes([0; 4]), &row["genesis_validators_root"]);
                let signable = Signable { root: data.root(), domain: domain::ATTESTER, epoch: 200 };
                check_signature(&row, &chain.signing_root(&signable));
            }
            "builder registration (hoodi)" => {
                let mut chain = chain(Bytes([1; 4]), Bytes([2; 4]), &row["object_root"]);
                let mut rows = [(0, Bytes([3; 4])); 7];
                rows[0].1 = version(&row["genesis_fork_version"]);
                chain.forks = Forks::new(rows);
                let text = serde_json::json!({
                    "version": 0,
                    "registration": {
                        "message": {
                            "fee_recipient": row["message"]["fee_recipient"],
                            "gas_limit": row["message"]["gas_limit"].to_string(),
                            "timestamp": row["message"]["timestamp"].to_string(),
                            "pubkey": row["message"]["pubkey"],
                        },
                        "signature": row["signature"],
                    },
                });
                let data = SignedData::decode(DutyType::BuilderRegistration, text.to_string().as_bytes());
                let signable = data.expect("a registration").signable(&chain.clock).expect("a root");
                assert_eq!(signable.root.to_vec(), hex(&row["object_root"]));
                check_signature(&row, &chain.signing_root(&signable));
            }
            "builder domain" => {
                let version = version(&row["genesis_fork_version"]).0;
                let domain = coxswain_dv_types::network::domain(domain::BUILDER, version, &[0; 32]);
                assert_eq!(domain.to_vec(), hex(&row["domain"]));
            }
            other => panic!("unknown row {other}"),
        }
    }
}

#[track_caller]
fn check_signature(row: &Json, root: &[u8; 32]) {
    assert_eq!(root.to_vec(), hex(&row["signing_root"]));
    let key = SecretKey::from_bytes(&hex(&row["secret_key"])).expect("a key");
    assert_eq!(key.sign(root).to_bytes().to_vec(), hex(&row["signature"]));
}

fn single(committee_index: u64) -> SingleAttestation {
    let target = Checkpoint { epoch: 2, root: Bytes([1; 32]) };
    let data = AttestationData { slot: 70, target, ..AttestationData::default() };
    SingleAttestation { committee_index, attester_index: 9, data, signature: Bytes([4; 96]) }
}

/// The place in the committee stays empty, as all nodes must write the same.
#[test]
fn single_attestations_are_turned_both_ways() {
    for committee in [0, 1, 63] {
        let signed = SignedAttestation::from_single(Fork::Electra, &single(committee)).expect("a committee");
        let Attestation::Electra(inner) = &signed.attestation else { panic!("{signed:?}") };
        assert_eq!(ssz::Encode::as_ssz_bytes(&inner.aggregation_bits), [1]);
        assert_eq!(inner.committee_bits.num_set_bits(), 1);
        assert_eq!(signed.encode()[8..20], [9, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0]);
        assert_eq!(signed.to_single(), Ok(single(committee)));
        assert_eq!(signed.to_phase0(), Err(ConversionError::Fork(Fork::Electra)));
    }
    let error = SignedAttestation::from_single(Fork::Fulu, &single(64)).expect_err("no committee");
    assert_eq!(error, ConversionError::Committee(64));
    assert!(SignedAttestation::from_single(Fork::Fulu, &single(u64::MAX)).is_err());
    assert!(SignedAttestation::from_single(Fork::Deneb, &single(1)).is_err());
    let mut unknown = SignedAttestation::from_single(Fork::Fulu, &single(1)).expect("a committee");
    unknown.validator_index = None;
    assert_eq!(unknown.to_single(), Err(ConversionError::NoValidator));
}

#[test]
fn attestations_of_slot_20_without_validator_are_not_mistaken() {
    for slot in [20, 20 | 1 << 32, 20 | 236 << 32, 20 | 228 << 32, 20 | 12 << 32] {
        for fork in [Fork::Phase0, Fork::Deneb, Fork::Electra, Fork::Fulu] {
            let mut electra = SignedAttestation::from_single(Fork::Fulu, &single(5)).expect("a committee");
            electra.fork = fork;
            let Attestation::Electra(inner) = &mut electra.attestation else { panic!("{electra:?}") };
            inner.data.slot = slot;
            if !fork.has_electra_attestations() {
                electra.attestation = Attestation::Phase0(coxswain_dv_eth::attestation::AttestationPhase0 {
                    aggregation_bits: ssz_types::BitList::with_capacity(9).expect("few"),
                    data: inner.data,
                    signature: inner.signature,
                });
            }
            for validator_index in [None, Some(3), Some(20 | 20 << 32), Some(12)] {
                electra.validator_index = validator_index;
                let read = SignedAttestation::decode(&electra.encode()).expect("what was written");
                assert_eq!(read, electra, "slot {slot} of {fork}");
            }
        }
    }
}

/// Slot 123 begins with `{`, slot 91 with `[`.
#[test]
fn ssz_that_begins_like_json_is_ssz() {
    let mut seen = 0;
    for row in table("ssz").iter().filter(|row| row["name"] == "nonzero/SignedSyncMessage") {
        let mut bytes = hex(&row["ssz"]);
        bytes[0] = b'{';
        let read = check_signed(DutyType::SyncMessage, &bytes, None);
        assert_eq!(read.binding(&CLOCK), Binding::Slot(123));
        seen += 1;
    }
    for row in table("ssz").iter().filter(|row| row["name"] == "slot100_subcommittee2_all_bits") {
        for first in [b'[', b'{', b'"', b' '] {
            let mut bytes = hex(&row["ssz"]);
            bytes[0] = first;
            check_unsigned(DutyType::SyncContribution, &bytes);
            seen += 1;
        }
    }
    assert!(seen == 0 || seen == 5, "{seen}");
}

const CLOCK: Clock =
    Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };

fn contribution(subcommittee: u64) -> String {
    format!(
        r#"{{"slot":"5","beacon_block_root":"{}","subcommittee_index":"{subcommittee}","aggregation_bits":"0x{}","signature":"{}"}}"#,
        Bytes([1; 32]),
        "01".repeat(16),
        Bytes([2; 96]),
    )
}

#[test]
fn lists_of_contributions() {
    let list = |n: u64| format!("[{}]", (0..n).map(contribution).collect::<Vec<_>>().join(","));
    for n in 1..=4 {
        let read = Unsigned::decode(DutyType::SyncContribution, list(n).as_bytes()).expect("a list");
        assert_eq!(String::from_utf8(read.encode(ContributionForm::List)).expect("UTF-8"), list(n));
        let single = read.encode(ContributionForm::Single);
        assert_eq!(single.len(), 160);
        let Unsigned::SyncContribution(all) = &read else { panic!("{read:?}") };
        let lowest = Unsigned::decode(DutyType::SyncContribution, &single).expect("one");
        assert_eq!(lowest, Unsigned::SyncContribution(vec![all[0].clone()]));
    }
    for n in [0, 5, 6] {
        assert!(Unsigned::decode(DutyType::SyncContribution, list(n).as_bytes()).is_err(), "{n}");
    }
    let bare = Unsigned::decode(DutyType::SyncContribution, contribution(0).as_bytes()).expect("JSON of one");
    assert_eq!(bare, Unsigned::decode(DutyType::SyncContribution, list(1).as_bytes()).expect("a list"));
}

#[test]
fn duties_without_data_have_none() {
    for kind in DutyType::all() {
        let is_signed = !matches!(kind, DutyType::BuilderProposer | DutyType::InfoSync);
        let signed = SignedData::decode(kind, b"").expect_err("nothing is nothing").to_string();
        assert_eq!(signed.contains("have no such data"), !is_signed, "{kind}: {signed}");
        let is_agreed = matches!(
            kind,
            DutyType::Proposer | DutyType::Attester | DutyType::Aggregator | DutyType::SyncContribution
        );
        let agreed = Unsigned::decode(kind, b"").expect_err("nothing is nothing").to_string();
        assert_eq!(agreed.contains("have no such data"), !is_agreed, "{kind}: {agreed}");
    }
}

/// Data of one slot is not that of another's duty.
#[test]
fn data_is_bound_to_its_slot() {
    let signature = Bytes([4; 96]);
    let cases = [
        (format!(r#"{{"epoch":"3","signature":"{signature}"}}"#), DutyType::Randao, 96..=127),
        (
            format!(r#"{{"validator_index":"7","slot":"100","selection_proof":"{signature}"}}"#),
            DutyType::PrepareAggregator,
            100..=100,
        ),
        (
            format!(
                r#"{{"validator_index":"7","slot":"100","subcommittee_index":"3","selection_proof":"{signature}"}}"#
            ),
            DutyType::PrepareSyncContribution,
            100..=100,
        ),
        (
            format!(r#"{{"message":{{"epoch":"3","validator_index":"7"}},"signature":"{signature}"}}"#),
            DutyType::Exit,
            96..=96,
        ),
    ];
    for (text, kind, slots) in cases {
        let data = check_signed(kind, text.as_bytes(), Some(&text));
        for slot in 90..=130 {
            assert_eq!(data.fits(&Duty::new(slot, kind), &CLOCK), slots.contains(&slot), "{kind} {slot}");
            assert!(!data.fits(&Duty::new(slot, DutyType::InfoSync), &CLOCK));
        }
        let is_of_subcommittee = kind == DutyType::PrepareSyncContribution;
        assert_eq!(data.subcommittee(), if is_of_subcommittee { 3 } else { 0 });
        let mut other = data.clone();
        other.set_signature(Bytes([5; 96]));
        assert_eq!(other.signature(), Bytes([5; 96]));
        assert_eq!(other.message_root(), data.message_root());
        assert_ne!(other.to_json(), data.to_json());
    }
}
