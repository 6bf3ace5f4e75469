//! What must be there, what may be absent, and what is written for it; for any message, what is written is read alike.

use std::collections::BTreeMap;

use coxswain_dv_wire::broadcast::{BCastMessage, BCastSigRequest, BCastSigResponse};
use coxswain_dv_wire::frost::{
    FrostMsgKey, FrostRound1Cast, FrostRound1Casts, FrostRound1P2P, FrostRound1ShamirShare, FrostRound2Casts,
};
use coxswain_dv_wire::message::{WireError, WireMessage, decode, encode};
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::parsigex::{
    ParSigExMsg, ParSignedData, ParSignedDataSet, ParSignedDataSetEntry, SIGNATURE_BYTES, signature_data,
};
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, NodePubKeyShares, PedersenDeal, PedersenDealBundle, PedersenJustification,
    PedersenResponse, PedersenResponseBundle,
};
use coxswain_dv_wire::peerinfo::{PeerInfo, PeerInfoError, clock_offset};
use coxswain_dv_wire::priority::{
    Duty, PriorityMsg, PriorityResult, PriorityScoredResult, PriorityTopicProposal, PriorityTopicResult,
};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::root::bytes_root;
use coxswain_dv_wire::sync::{MsgSync, MsgSyncResponse};
use coxswain_dv_wire::well_known::{Any, TextValue, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// The path of the field that is missing; none where the message is taken.
#[track_caller]
fn check_missing<M: WireMessage>(hexadecimal: &str, expected: Option<&str>) {
    let bytes = hex::decode(hexadecimal.replace(' ', "")).expect("hex");
    match decode::<M>(&bytes, LIMIT) {
        Ok(_) => assert_eq!(None, expected, "{}: {hexadecimal}", M::NAME),
        Err(error @ WireError::Missing { .. }) => {
            let path = expected.unwrap_or_else(|| panic!("{hexadecimal}: {error}"));
            assert_eq!(error.to_string(), format!("{}: the field `{path}` is missing", M::NAME));
        }
        Err(other) => panic!("{hexadecimal}: {other}"),
    }
}

#[test]
fn what_ceremonies_cannot_do_without() {
    check_missing::<MsgSync>("0a00", None);
    check_missing::<MsgSync>("", Some("timestamp"));
    check_missing::<MsgSync>("2801", Some("timestamp"));
    check_missing::<MsgSyncResponse>("0a00", None);
    check_missing::<MsgSyncResponse>("1200", Some("sync_timestamp"));
    check_missing::<BCastSigRequest>("1a00", None);
    // Field 2 is reserved, and not what stands in 3.
    check_missing::<BCastSigRequest>("1200", Some("message"));
    check_missing::<BCastSigResponse>("", None);
    check_missing::<BCastMessage>("1200", None);
    check_missing::<BCastMessage>("1a00", Some("message"));
    check_missing::<MsgNodeSig>("", None);
    check_missing::<FrostRound1Casts>("", None);
    check_missing::<FrostRound1Casts>("0a02 0a00", None);
    check_missing::<FrostRound1Casts>("0a02 0a00 0a00", Some("casts[1].key"));
    check_missing::<FrostRound1P2P>("0a02 0a00", None);
    check_missing::<FrostRound1P2P>("0a02 1001", Some("shares[0].key"));
    check_missing::<FrostRound2Casts>("0a02 0a00", None);
    check_missing::<FrostRound2Casts>("0a02 1200", Some("casts[0].key"));
}

#[test]
fn what_pedersen_can_do_without() {
    check_missing::<NodePubKeyMessage>("", None);
    check_missing::<NodePubKeyMessage>("1a00", None);
    check_missing::<PedersenDealBundle>("", None);
    check_missing::<PedersenDealBundle>("1200", None);
    check_missing::<PedersenResponseBundle>("1200", None);
}

#[test]
fn what_a_running_cluster_cannot_do_without() {
    check_missing::<PeerInfo>("", None);
    check_missing::<ParSigExMsg>("0a00 1200", None);
    check_missing::<ParSigExMsg>("1200", Some("duty"));
    check_missing::<ParSigExMsg>("0a00", Some("data_set"));
    check_missing::<PriorityMsg>("0a00", None);
    check_missing::<PriorityMsg>("", Some("duty"));
    check_missing::<PriorityMsg>("0a00 1202 0a00 1202 1200", Some("topics[1].topic"));
    check_missing::<PriorityResult>("", None);
    check_missing::<PriorityResult>("0a02 0a00 0a00", Some("msgs[1].duty"));
    check_missing::<PriorityResult>("0a06 0a00 1202 1200", Some("msgs[0].topics[0].topic"));
    check_missing::<PriorityResult>("1202 0a00 1204 1202 0a00", Some("topics[1].topic"));
    check_missing::<PriorityResult>("1206 0a00 1202 1001", Some("topics[0].priorities[0].priority"));
    check_missing::<QbftConsensusMsg>("0a02 1200", None);
    check_missing::<QbftConsensusMsg>("", Some("msg"));
    check_missing::<QbftConsensusMsg>("0a02 0801", Some("msg.duty"));
    check_missing::<QbftConsensusMsg>("0a02 1200 1202 1200 1202 0801", Some("justification[1].duty"));
}

#[test]
fn what_is_empty_and_must_be_there_is_written() {
    let key = Some(FrostMsgKey::default());
    assert_eq!(encode(&FrostRound1Cast { key, ..FrostRound1Cast::default() }), [0x0a, 0]);
    assert_eq!(
        encode(&ParSigExMsg { duty: Some(Duty::default()), data_set: Some(ParSignedDataSet::default()) }),
        [0x0a, 0, 0x12, 0]
    );
    let duty = Some(Duty::default());
    assert_eq!(encode(&QbftMsg { duty, ..QbftMsg::default() }), [0x12, 0]);
    assert_eq!(encode(&TextValue { text: Some(String::new()) }), [0x1a, 0]);
}

/// Go writes key and value of an entry also where they are empty.
#[test]
fn entries_of_maps_are_written_whole_and_in_order() {
    let data = |share_idx| ParSignedData { share_idx, ..ParSignedData::default() };
    let map = BTreeMap::from([("b".to_owned(), data(0)), (String::new(), data(1)), ("B".into(), data(2))]);
    let set = ParSignedDataSet::from(map.clone());
    let bytes = encode(&set);
    assert_eq!(hex::encode(&bytes), "0a060a0012021801".to_owned() + "0a070a014212021802" + "0a050a01621200");
    let read: ParSignedDataSet = decode(&bytes, LIMIT).expect("a set");
    assert_eq!(read, set);
    assert_eq!(BTreeMap::from(read), map);
}

/// <https://protobuf.dev/programming-guides/encoding/#maps>
#[test]
fn the_last_of_equal_keys_is_taken_and_what_an_entry_lacks_is_empty() {
    let bytes = hex::decode("0a070a016112021801 0a00 0a070a016112021802 0a030a0162".replace(' ', ""));
    let read: ParSignedDataSet = decode(&bytes.expect("hex"), LIMIT).expect("a set");
    let lacking = ParSignedDataSetEntry { key: Some("b".into()), value: None };
    assert_eq!(read.set.len(), 4);
    assert_eq!(read.set[3], lacking);
    let map = BTreeMap::from(read);
    assert_eq!(map["a"].share_idx, 2);
    assert_eq!(map["b"], ParSignedData::default());
    assert_eq!(map[""], ParSignedData::default());
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let refuses = |bytes: &[u8], limit| decode::<MsgSync>(bytes, limit).expect_err("refused").to_string();
    assert_eq!(refuses(&[0; 9], 8), "dkg.dkgpb.v1.MsgSync: it has 9 bytes, and at most 8 are read");
    // A field that ends early, a text that is none, a group without an end, a number of eleven bytes, field 0.
    for bytes in [
        &b"\x0a\x05\x08"[..],
        b"\x0a\x00\x22\x01\xff",
        b"\x0a\x00\x7b",
        b"\x0a\x00\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\x00\x00\x00",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ] {
        let refused = refuses(bytes, LIMIT);
        assert!(refused.contains("no message of this type"), "{bytes:?}: {refused}");
    }
    // What another version adds is passed over.
    decode::<MsgSync>(b"\x0a\x00\xc2\x3e\x01a", LIMIT).expect("a message with an unknown field");
}

#[test]
fn any_values_are_of_the_type_that_they_say() {
    let message = MsgNodeSig { signature: vec![1], peer_index: 3 };
    let any = Any::pack(&message);
    assert_eq!(any.type_url, "type.googleapis.com/dkg.dkgpb.v1.MsgNodeSig");
    assert_eq!(any.unpack(LIMIT), Ok(message));
    assert!(matches!(any.unpack::<MsgNodeSig>(4), Err(WireError::TooLong { limit: 4, .. })));
    assert!(matches!(any.unpack::<MsgSync>(LIMIT), Err(WireError::Type { .. })));
    for url in ["", "dkg.dkgpb.v1.MsgNodeSig", "/dkg.dkgpb.v1.MsgNodeSig", "type.googleapis.com/MsgNodeSig"] {
        let other = Any { type_url: url.into(), ..any.clone() };
        let refused = other.unpack::<MsgNodeSig>(LIMIT).expect_err(url);
        assert!(refused.to_string().ends_with(&format!("of the type {url:?}")), "{refused}");
    }
    let long = Any { type_url: "\u{1b}".repeat(1000), value: Vec::new() };
    assert!(long.unpack::<MsgSync>(LIMIT).expect_err("long").to_string().len() < 700);
    // What is missing inside is found as well.
    let hollow = Any { type_url: format!("type.googleapis.com/{}", MsgSync::NAME), value: Vec::new() };
    assert!(matches!(hollow.unpack::<MsgSync>(LIMIT), Err(WireError::Missing { .. })));
    // A value that is a number.
    let number = Any { type_url: "type.googleapis.com/google.protobuf.Value".into(), value: vec![0x11; 9] };
    assert!(TextValue::unpack(&number, LIMIT).expect_err("a number").to_string().contains("no text"));
    assert_eq!(TextValue::unpack(&TextValue::pack("é"), LIMIT).as_deref(), Ok("é"));
}

#[test]
fn bare_signatures_are_in_one_form_only() {
    let signature: [u8; SIGNATURE_BYTES] = std::array::from_fn(|at| u8::try_from(at).expect("small"));
    let good = ParSignedData::of_signature(&signature, 1);
    assert_eq!(good.bare_signature(), Ok(signature));
    let data = |data: &[u8]| ParSignedData { data: data.to_vec(), ..good.clone() };
    let text = signature_data(&signature);
    for wrong in [
        &b""[..],
        b"\"",
        b"\"\"",
        &text[1..],
        &text[..text.len() - 1],
        &[b" ".as_slice(), &text].concat(),
        &signature_data(&[0; SIGNATURE_BYTES])[..],
        &text.iter().map(|byte| if *byte == b'A' { b'=' } else { *byte }).collect::<Vec<u8>>(),
    ] {
        assert!(data(wrong).bare_signature().is_err(), "{}", String::from_utf8_lossy(wrong));
    }
    let short = ParSignedData { signature: signature[..95].to_vec(), ..good.clone() };
    let refused = short.bare_signature().expect_err("another signature").to_string();
    assert_eq!(refused, "core.corepb.v1.ParSignedData: `data` and `signature` are two signatures");
}

#[test]
fn shares_are_not_shown() {
    let secret = vec![0xab; 32];
    let share = FrostRound1ShamirShare { key: Some(FrostMsgKey::default()), id: 7, value: secret.clone() };
    let all = FrostRound1P2P { shares: vec![share] };
    let opened = PedersenJustification { share_index: 7, share: secret };
    for shown in [format!("{all:?}"), format!("{all:#?}"), format!("{opened:?}")] {
        assert!(shown.contains('7') && !shown.contains("171"), "{shown}");
    }
}

#[test]
fn answers_of_peers_without_times_or_sources_are_thrown_away() {
    let now = Timestamp { seconds: 1, nanos: 2 };
    let info = |git_hash: &str| PeerInfo {
        sent_at: Some(now),
        started_at: Some(now),
        git_hash: git_hash.into(),
        ..PeerInfo::default()
    };
    for good in ["0123abc", "unknown"] {
        assert_eq!(info(good).check().map(|times| times.sent_at), Ok(now), "{good}");
    }
    for wrong in ["", "0123AbC", "0123abcd", "0123ab", "Unknown", "0123abg", "0123abç"] {
        assert_eq!(info(wrong).check(), Err(PeerInfoError::GitHash), "{wrong}");
    }
    let never = PeerInfo { sent_at: None, ..info("unknown") };
    assert!(matches!(never.check(), Err(PeerInfoError::NoTime(_))));
    let unborn = PeerInfo { started_at: None, ..info("unknown") };
    assert!(matches!(unborn.check(), Err(PeerInfoError::NoTime(_))));
    let named = |name: &str| PeerInfo { dv_client: name.into(), ..PeerInfo::default() };
    assert!(named("").is_charon() && named("charon").is_charon() && !named("coxswain").is_charon());
}

#[test]
fn offsets_of_clocks_allow_for_the_way_and_end_at_an_hour() {
    let at = |seconds| Timestamp { seconds, nanos: 0 };
    assert_eq!(clock_offset(at(100), at(101), 2_000_000_000), 0);
    assert_eq!(clock_offset(at(103), at(101), 0), 2_000_000_000);
    assert_eq!(clock_offset(at(i64::MAX), at(i64::MIN), u64::MAX), 3_600_000_000_000);
    assert_eq!(clock_offset(at(i64::MIN), at(i64::MAX), u64::MAX), -3_600_000_000_000);
    let wild = Timestamp { seconds: 1, nanos: i32::MIN };
    assert_eq!(
        Timestamp::from_unix_nanos(wild.unix_nanos()).expect("a time").unix_nanos(),
        wild.unix_nanos()
    );
    assert_eq!(Timestamp::from_unix_nanos(-1), Some(Timestamp { seconds: -1, nanos: 999_999_999 }));
    assert_eq!(Timestamp::from_unix_nanos(i128::MAX), None);
}

// ------------------------------------------------------------------------------------------------ any message

/// What is written is read alike, and nothing is written that is not needed.
fn check_alike<M: WireMessage + Clone + PartialEq + std::fmt::Debug>(message: &M) {
    let bytes = encode(message);
    let read: M = decode(&bytes, bytes.len()).unwrap_or_else(|error| panic!("{message:?}: {error}"));
    assert_eq!(&read, message);
    assert_eq!(encode(&read), bytes);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn text() -> impl Strategy<Value = String> {
    ".{0,12}"
}

fn any_value() -> impl Strategy<Value = Any> {
    (text(), bytes()).prop_map(|(type_url, value)| Any { type_url, value })
}

fn time() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), any::<i32>()).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

fn duty() -> impl Strategy<Value = Duty> {
    (any::<u64>(), any::<i32>()).prop_map(|(slot, r#type)| Duty { slot, r#type })
}

fn frost_key() -> impl Strategy<Value = FrostMsgKey> {
    (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(val_idx, source_id, target_id)| FrostMsgKey {
        val_idx,
        source_id,
        target_id,
    })
}

fn qbft() -> impl Strategy<Value = QbftMsg> {
    let numbers = (any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>());
    (numbers, duty(), bytes(), bytes(), bytes()).prop_map(
        |(numbers, duty, signature, value_hash, prepared)| QbftMsg {
            r#type: numbers.0,
            duty: Some(duty),
            peer_idx: numbers.1,
            round: numbers.2,
            prepared_round: numbers.3,
            signature,
            value_hash,
            prepared_value_hash: prepared,
        },
    )
}

fn preferences() -> impl Strategy<Value = PriorityMsg> {
    let topic = (any_value(), vec(any_value(), 0..3))
        .prop_map(|(topic, priorities)| PriorityTopicProposal { topic: Some(topic), priorities });
    (duty(), vec(topic, 0..3), text(), bytes()).prop_map(|(duty, topics, peer_id, signature)| PriorityMsg {
        duty: Some(duty),
        topics,
        peer_id,
        signature,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_report(time in time(), a in bytes(), step in any::<i64>(), shutdown: bool, v in text(), n in text()) {
        check_alike(&MsgSync {
            timestamp: Some(time), hash_signature: a, shutdown, version: v.clone(), step, nickname: n,
        });
        check_alike(&MsgSyncResponse { sync_timestamp: Some(time), error: v });
    }

    #[test]
    fn any_broadcast(id in text(), message in any_value(), signatures in vec(bytes(), 0..5)) {
        check_alike(&BCastSigRequest { id: id.clone(), message: Some(message.clone()) });
        check_alike(&BCastMessage { id, message: Some(message), signatures });
    }

    #[test]
    fn any_round(key in frost_key(), wi in bytes(), ci in bytes(), points in vec(bytes(), 0..4)) {
        let cast = FrostRound1Cast { key: Some(key), wi: wi.clone(), ci, commitments: points };
        check_alike(&FrostRound1Casts { casts: vec![cast; 2] });
        let share = FrostRound1ShamirShare { key: Some(key), id: key.source_id, value: wi };
        check_alike(&FrostRound1P2P { shares: vec![share; 2] });
    }

    #[test]
    fn any_bundle(index in any::<u32>(), status: bool, a in bytes(), b in bytes(), points in vec(bytes(), 0..4)) {
        let deal = PedersenDeal { share_index: index, encrypted_share: a.clone() };
        check_alike(&PedersenDealBundle {
            dealer_index: index, deals: vec![deal; 2], public: points.clone(), session_id: a.clone(),
            signature: b.clone(),
        });
        let response = PedersenResponse { dealer_index: index, status };
        check_alike(&PedersenResponseBundle {
            share_index: index, responses: vec![response; 2], session_id: a.clone(), signature: b.clone(),
        });
        let shares = status.then_some(NodePubKeyShares { public_key_shares: points });
        check_alike(&NodePubKeyMessage { session_id: a, public_key: b, shares });
    }

    #[test]
    fn any_set(duty in duty(), map in proptest::collection::btree_map(text(), (bytes(), bytes(), any::<i32>()), 0..5)) {
        let data = |(data, signature, share_idx)| ParSignedData { data, signature, share_idx };
        let map: BTreeMap<String, ParSignedData> = map.into_iter().map(|(key, value)| (key, data(value))).collect();
        let message = ParSigExMsg { duty: Some(duty), data_set: Some(map.clone().into()) };
        check_alike(&message);
        prop_assert_eq!(BTreeMap::from(message.data_set.expect("a set")), map);
    }

    #[test]
    fn any_consensus(msg in qbft(), justification in vec(qbft(), 0..3), values in vec(any_value(), 0..3)) {
        let unsigned = QbftMsg { signature: Vec::new(), ..msg.clone() };
        prop_assert_eq!(msg.signing_root(), bytes_root(&encode(&unsigned)));
        let other_round = QbftMsg { round: msg.round ^ 1, ..msg.clone() };
        prop_assert_ne!(msg.signing_root(), other_round.signing_root());
        check_alike(&QbftConsensusMsg { msg: Some(msg), justification, values });
    }

    #[test]
    fn any_preferences(msgs in vec(preferences(), 0..3), topic in any_value(), score in any::<i64>()) {
        let scored = PriorityScoredResult { priority: Some(topic.clone()), score };
        let topics = vec![PriorityTopicResult { topic: Some(topic), priorities: vec![scored] }];
        check_alike(&PriorityResult { msgs, topics });
    }

    #[test]
    fn any_peer(texts in (text(), text(), text(), text()), hash in bytes(), times in (time(), time()), builder: bool) {
        check_alike(&PeerInfo {
            charon_version: texts.0,
            lock_hash: hash,
            sent_at: builder.then_some(times.0),
            git_hash: texts.1,
            started_at: Some(times.1),
            builder_api_enabled: builder,
            nickname: texts.2,
            dv_client: texts.3,
        });
    }
}
