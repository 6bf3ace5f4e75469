//! Foreign bytes: never a panic, and what is read is written and read alike. As a plain test each target runs for a
//! second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_dv_wire::address::{Host, Listen, Multiaddr};
use coxswain_dv_wire::broadcast::{BCastMessage, BCastSigRequest, BCastSigResponse};
use coxswain_dv_wire::frame::{FrameReader, Read, frame_bytes};
use coxswain_dv_wire::frost::{
    FrostMsgKey, FrostRound1Cast, FrostRound1Casts, FrostRound1P2P, FrostRound1ShamirShare, FrostRound2Cast,
    FrostRound2Casts,
};
use coxswain_dv_wire::message::{WireMessage, decode, encode};
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::parsigex::{
    ParSigExMsg, ParSignedData, ParSignedDataSet, ParSignedDataSetEntry, SIGNATURE_BYTES,
};
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, NodePubKeyShares, PedersenDeal, PedersenDealBundle, PedersenJustification,
    PedersenJustificationBundle, PedersenResponse, PedersenResponseBundle, ValidatorPubKeyShareMessage,
};
use coxswain_dv_wire::peer::PeerId;
use coxswain_dv_wire::peerinfo::PeerInfo;
use coxswain_dv_wire::priority::{
    Duty, PriorityMsg, PriorityResult, PriorityScoredResult, PriorityTopicProposal, PriorityTopicResult,
};
use coxswain_dv_wire::priority_result::{Agreed, result_of};
use coxswain_dv_wire::qbft::{QbftConsensusMsg, QbftMsg};
use coxswain_dv_wire::relay::{RelaySource, read_answer};
use coxswain_dv_wire::sniffed::{SniffedConsensusInstance, SniffedConsensusInstances, SniffedConsensusMsg};
use coxswain_dv_wire::sync::{MsgSync, MsgSyncResponse};
use coxswain_dv_wire::unsigned::{UnsignedDataSet, canonical_value};
use coxswain_dv_wire::version::Version;
use coxswain_dv_wire::well_known::{Any, TextValue, Timestamp};
use mutate::mutate;

const LIMIT: usize = 1 << 16;
/// Tags and lengths, as texts where they are ASCII.
const WORDS: &[&str] =
    &["\n\0", "\u{12}\0", "\u{1a}\0", "\u{8}\u{1}", "\"\0", "\u{7f}", "\n\u{1}", "\0\0\0\0\0\0\0\0"];

/// What is read is written and read alike, and in a frame.
fn check<M: WireMessage + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(read) = decode::<M>(bytes, LIMIT) {
        let written = encode(&read);
        let again = decode::<M>(&written, LIMIT).unwrap_or_else(|error| panic!("{read:?}: {error}"));
        assert_eq!(again, read);
        assert_eq!(encode(&again), written);
    }
}

/// Bytes as they are, and damaged samples.
fn damaged(samples: &[Vec<u8>], script: &[u8], check: impl Fn(&[u8])) {
    check(script);
    let Some((which, script)) = script.split_first() else { return };
    let sample = &samples[usize::from(*which) % samples.len()];
    check(&mutate(sample, script, WORDS));
}

fn any_value() -> Any {
    TextValue::pack("version")
}

#[test]
fn messages_of_ceremonies() {
    let key = Some(FrostMsgKey { val_idx: 1, source_id: 2, target_id: 3 });
    let message = Some(any_value());
    let cast = FrostRound1Cast { key, wi: vec![1; 32], ci: vec![2; 32], commitments: vec![vec![3; 48]; 2] };
    let share = FrostRound1ShamirShare { key, id: 3, value: vec![4; 32] };
    let second = FrostRound2Cast { key, verification_key: vec![5; 48], vk_share: vec![6; 48] };
    let samples = [
        encode(&MsgSync {
            timestamp: Some(Timestamp { seconds: 1, nanos: 2 }),
            hash_signature: vec![1; 70],
            shutdown: true,
            version: "v1.11".into(),
            step: 3,
            nickname: "n".into(),
        }),
        encode(&MsgSyncResponse { sync_timestamp: Some(Timestamp::default()), error: "e".into() }),
        encode(&BCastSigRequest { id: "i".into(), message: message.clone() }),
        encode(&BCastSigResponse { id: "i".into(), signature: vec![1; 65] }),
        encode(&BCastMessage { id: "i".into(), message, signatures: vec![vec![1; 65]; 2] }),
        encode(&MsgNodeSig { signature: vec![1; 65], peer_index: 1 }),
        encode(&FrostRound1Casts { casts: vec![cast; 2] }),
        encode(&FrostRound1P2P { shares: vec![share; 2] }),
        encode(&FrostRound2Casts { casts: vec![second; 2] }),
    ];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        damaged(&samples, script, |bytes| {
            check::<MsgSync>(bytes);
            check::<MsgSyncResponse>(bytes);
            check::<BCastSigRequest>(bytes);
            check::<BCastSigResponse>(bytes);
            check::<BCastMessage>(bytes);
            check::<MsgNodeSig>(bytes);
            check::<FrostRound1Casts>(bytes);
            check::<FrostRound1P2P>(bytes);
            check::<FrostRound2Casts>(bytes);
        });
    });
}

#[test]
fn messages_of_pedersen() {
    let session_id = vec![1; 32];
    let signature = vec![2; 96];
    let samples = [
        encode(&NodePubKeyMessage {
            session_id: session_id.clone(),
            public_key: vec![3; 48],
            shares: Some(NodePubKeyShares { public_key_shares: vec![vec![4; 48]; 2] }),
        }),
        encode(&ValidatorPubKeyShareMessage {
            session_id: session_id.clone(),
            public_key_share: vec![5; 48],
        }),
        encode(&PedersenDealBundle {
            dealer_index: 1,
            deals: vec![PedersenDeal { share_index: 2, encrypted_share: vec![6; 96] }; 2],
            public: vec![vec![7; 48]; 2],
            session_id: session_id.clone(),
            signature: signature.clone(),
        }),
        encode(&PedersenResponseBundle {
            share_index: 1,
            responses: vec![PedersenResponse { dealer_index: 2, status: true }; 2],
            session_id: session_id.clone(),
            signature: signature.clone(),
        }),
        encode(&PedersenJustificationBundle {
            dealer_index: 1,
            justifications: vec![PedersenJustification { share_index: 2, share: vec![8; 32] }; 2],
            session_id,
            signature,
        }),
    ];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        damaged(&samples, script, |bytes| {
            check::<NodePubKeyMessage>(bytes);
            check::<ValidatorPubKeyShareMessage>(bytes);
            check::<PedersenDealBundle>(bytes);
            check::<PedersenResponseBundle>(bytes);
            check::<PedersenJustificationBundle>(bytes);
        });
    });
}

#[test]
fn messages_of_a_running_cluster() {
    let duty = Some(Duty { slot: 1, r#type: 3 });
    let data = ParSignedData::of_signature(&[9; SIGNATURE_BYTES], 1);
    let entry = ParSignedDataSetEntry { key: Some("0x00".into()), value: Some(data) };
    let topic =
        PriorityTopicProposal { topic: Some(any_value()), priorities: vec![any_value(), any_value()] };
    let preferences =
        PriorityMsg { duty, topics: vec![topic; 2], peer_id: "16U".into(), signature: vec![1; 65] };
    let scored = PriorityScoredResult { priority: Some(any_value()), score: 1000 };
    let result = PriorityTopicResult { topic: Some(any_value()), priorities: vec![scored] };
    let qbft =
        QbftMsg { r#type: 1, duty, peer_idx: 1, round: 2, value_hash: vec![1; 32], ..QbftMsg::default() };
    let samples = [
        encode(&PeerInfo {
            charon_version: "v1.11.0".into(),
            lock_hash: vec![1; 32],
            sent_at: Some(Timestamp { seconds: 1, nanos: 2 }),
            git_hash: "unknown".into(),
            started_at: Some(Timestamp::default()),
            builder_api_enabled: true,
            nickname: "n".into(),
            dv_client: "coxswain".into(),
        }),
        encode(&ParSigExMsg { duty, data_set: Some(ParSignedDataSet { set: vec![entry; 2] }) }),
        encode(&preferences),
        encode(&PriorityResult { msgs: vec![preferences], topics: vec![result] }),
        encode(&QbftConsensusMsg {
            msg: Some(qbft.clone()),
            justification: vec![qbft; 2],
            values: vec![any_value()],
        }),
    ];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        damaged(&samples, script, |bytes| {
            check::<PeerInfo>(bytes);
            check::<ParSigExMsg>(bytes);
            check::<PriorityMsg>(bytes);
            check::<PriorityResult>(bytes);
            check::<QbftConsensusMsg>(bytes);
            if let Ok(result) = decode::<PriorityResult>(bytes, LIMIT) {
                let agreed = Agreed::read(&result);
                let texts = agreed.versions.len() + agreed.protocols.len() + agreed.proposals.len();
                assert!(texts <= result.topics.iter().map(|topic| topic.priorities.len()).sum::<usize>() * 3);
                if let Ok(computed) = result_of(&result.msgs, 1) {
                    assert_eq!(computed.msgs, result.msgs);
                    assert!(computed.topics.len() <= result.msgs.iter().map(|one| one.topics.len()).sum());
                }
            }
            if let Ok(message) = decode::<ParSigExMsg>(bytes, LIMIT) {
                for entry in message.data_set.unwrap_or_default().set {
                    let data = entry.value.unwrap_or_default();
                    if let Ok(signature) = data.bare_signature() {
                        assert_eq!(data.signature, signature);
                    }
                }
            }
            if let Ok(message) = decode::<PeerInfo>(bytes, LIMIT)
                && let Ok(times) = message.check()
            {
                assert_eq!(Some(times.sent_at), message.sent_at);
            }
        });
    });
}

/// What is canonical stays as it is, and means the same.
#[test]
fn values_of_consensus() {
    let set = [("0xab".to_owned(), vec![1; 20]), ("0xac".to_owned(), Vec::new())].into();
    let duty = Some(Duty { slot: 1, r#type: 13 });
    let preferences = PriorityMsg { duty, peer_id: "16U".into(), ..PriorityMsg::default() };
    let result = PriorityResult { msgs: vec![preferences], topics: Vec::new() };
    let qbft = QbftMsg { duty, ..QbftMsg::default() };
    let message = QbftConsensusMsg { msg: Some(qbft), ..QbftConsensusMsg::default() };
    let seen =
        SniffedConsensusMsg { timestamp: Some(Timestamp { seconds: 1, nanos: 2 }), msg: Some(message) };
    let instance = SniffedConsensusInstance { nodes: 4, msgs: vec![seen; 2], ..Default::default() };
    let dump = SniffedConsensusInstances { instances: vec![instance], git_hash: "abc".into() };
    let values = [UnsignedDataSet::pack(&set), Any::pack(&result)];
    let samples = [values[0].value.clone(), values[1].value.clone(), encode(&dump)];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        damaged(&samples, script, |bytes| {
            check::<UnsignedDataSet>(bytes);
            check::<SniffedConsensusInstances>(bytes);
            for value in &values {
                let any = Any { value: bytes.to_vec(), ..value.clone() };
                let Ok(canonical) = canonical_value(&any) else { continue };
                let again = Any { value: canonical.clone(), ..any.clone() };
                assert_eq!(canonical_value(&again), Ok(canonical));
                if let (Ok(first), Ok(second)) =
                    (any.unpack::<UnsignedDataSet>(LIMIT), again.unpack::<UnsignedDataSet>(LIMIT))
                {
                    let sets = [first, second].map(std::collections::BTreeMap::from);
                    assert_eq!(sets[0], sets[1]);
                }
            }
        });
    });
}

/// Both readers take the same bytes alike, whole and one by one, and keep to their limit.
#[test]
fn frames() {
    let samples = [frame_bytes(&[1; 300]), [vec![5, 0, 0, 0, 0, 0, 0, 0], vec![2; 5]].concat()];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        damaged(&samples, script, |bytes| {
            for reader in [|| FrameReader::new(256), || FrameReader::sync(256)] {
                let whole = reader().push(bytes);
                let mut slow = reader();
                let mut last = Ok(Read::More);
                let mut taken = 0;
                for byte in bytes {
                    last = slow.push(&[*byte]);
                    taken += 1;
                    if last != Ok(Read::More) {
                        break;
                    }
                }
                match (whole, last) {
                    (Ok(Read::Whole { message, used }), Ok(Read::Whole { message: slowly, .. })) => {
                        assert_eq!((&message, used), (&slowly, taken));
                        assert!(message.len() <= 256);
                    }
                    (whole, last) => assert_eq!(whole, last),
                }
            }
        });
    });
}

#[test]
fn ids_and_versions() {
    let samples: Vec<Vec<u8>> =
        ["16Uiu2HAmEWQnHq2jLKJypwVnVoQeFCULuyop6atvq2eWjYSUjzNi", "v1.11.0-rc3", "v1.11"]
            .map(|text| text.as_bytes().to_vec())
            .into();
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        damaged(&samples, script, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(id) = PeerId::parse(&text) {
                assert_eq!(id.to_string(), text);
            }
            if let Ok(id) = PeerId::from_bytes(bytes) {
                assert_eq!(id.to_bytes()[..], *bytes);
            }
            if let Ok(version) = Version::parse(&text) {
                assert_eq!(Version::parse(&version.to_string()).as_ref(), Ok(&version));
                assert!(version.compare(&version).is_eq());
            }
        });
    });
}

#[test]
fn addresses_and_answers_of_relays() {
    const ADDRESS: &str =
        "/ip4/1.2.3.4/udp/3031/quic-v1/p2p/16Uiu2HAm1bSDxrCubda6Esz3NkXamvzEjQh4jzMp1PdckJwwMcuw";
    let samples = [
        ADDRESS.to_owned(),
        "/ip6/fe80::1/tcp/1/p2p-circuit".to_owned(),
        format!("[\"{ADDRESS}\",\"\"]"),
        "[ff02::1]:3610".to_owned(),
        "enr:-Iu4QIdyWoZzwEUVwpMI_OjjBTRJ".to_owned(),
    ]
    .map(String::into_bytes);
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        damaged(&samples, script, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(address) = Multiaddr::parse(&text) {
                assert_eq!(Multiaddr::parse(&address.to_string()).as_ref(), Ok(&address), "{text}");
            }
            if let Ok(RelaySource::Address(address)) = RelaySource::parse(&text) {
                assert!(address.peer().is_some());
            }
            if let Ok(Listen { host, port }) = Listen::parse(&text) {
                let address = Multiaddr::tcp(&host, port);
                assert_eq!(Multiaddr::parse(&address.to_string()), Ok(address.clone()), "{text}");
                assert_eq!(address.ip().is_some(), matches!(host, Host::Ip(_)), "{text}");
            }
            if let Ok(read) = read_answer(200, bytes) {
                assert!(read.addresses.iter().all(|address| address.peer() == Some(&read.peer)));
                assert!(!read.addresses.is_empty());
            }
        });
    });
}
