//! What preferences of nodes come to: known tables, and what real clusters decided.

#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

use std::collections::BTreeMap;
use std::io::Read as _;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_wire::message::{decode, encode};
use coxswain_dv_wire::peer::PeerId;
use coxswain_dv_wire::priority::{Duty, PriorityMsg, PriorityResult, PriorityTopicProposal};
use coxswain_dv_wire::priority_result::{
    Agreed, DUTY_INFO_SYNC, Preferences, PriorityError, ProposalType, ResultError, check, result_of,
};
use coxswain_dv_wire::qbft::QbftConsensusMsg;
use coxswain_dv_wire::root::bytes_root;
use coxswain_dv_wire::version::Minor;
use coxswain_dv_wire::well_known::{Any, TextValue};
use proptest::prelude::*;
use serde_json::Value as Json;
use support::vectors;

const LIMIT: usize = 1 << 20;
const V1_10: Minor = Minor { major: 1, minor: 10 };
const V1_11: Minor = Minor { major: 1, minor: 11 };

/// A file of the vectors of the core; none where they are not.
fn file(name: &str) -> Option<Json> {
    let path = vectors("charon/core")?.join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

fn rows(json: &Json) -> &[Json] {
    let rows = json["rows"].as_array().expect("rows");
    assert!(!rows.is_empty());
    rows
}

fn hex(json: &Json) -> Vec<u8> {
    hex::decode(json.as_str().and_then(|text| text.strip_prefix("0x")).expect("0x and digits")).expect("hex")
}

fn texts(json: &Json) -> Vec<String> {
    json.as_array().expect("a list").iter().map(|one| one.as_str().expect("a text").to_owned()).collect()
}

fn topic<T: AsRef<str>>(name: &str, priorities: &[T]) -> PriorityTopicProposal {
    PriorityTopicProposal {
        topic: Some(TextValue::pack(name)),
        priorities: priorities.iter().map(|text| TextValue::pack(text.as_ref())).collect(),
    }
}

fn message(node: &str, topics: Vec<PriorityTopicProposal>) -> PriorityMsg {
    let duty = Some(Duty { slot: 7, r#type: DUTY_INFO_SYNC });
    PriorityMsg { duty, topics, peer_id: node.to_owned(), signature: vec![1; 65] }
}

/// Texts and scores of one topic of a result.
fn scored(result: &PriorityResult, name: &str) -> Vec<(String, i64)> {
    let wanted = TextValue::pack(name);
    let topic = result.topics.iter().find(|topic| topic.topic.as_ref() == Some(&wanted));
    let priorities = topic.map(|topic| topic.priorities.as_slice()).unwrap_or_default();
    let text = |any: &Any| TextValue::unpack(any, LIMIT).expect("a text");
    priorities.iter().map(|one| (text(one.priority.as_ref().expect("a priority")), one.score)).collect()
}

#[test]
fn scores_are_those_of_the_table() {
    let Some(table) = file("tables/priority_result.json") else { return };
    for row in rows(&table) {
        let name = row["name"].as_str().expect("a name");
        let required = usize::try_from(row["min_required"].as_u64().expect("a number")).expect("small");
        let all = row["peer_priorities"].as_array().expect("a list");
        let mut messages: Vec<PriorityMsg> = all
            .iter()
            .enumerate()
            .map(|(peer, priorities)| message(&peer.to_string(), vec![topic("t", &texts(priorities))]))
            .collect();
        let scores =
            row["scores"].as_array().expect("a list").iter().map(|one| one.as_i64().expect("a score"));
        let expected: Vec<(String, i64)> = texts(&row["result"]).into_iter().zip(scores).collect();
        for _ in 0..messages.len() {
            let result = result_of(&messages, required).expect("a result");
            assert_eq!(scored(&result, "t"), expected, "{name}");
            assert_eq!(result.msgs, messages, "{name}: messages stay as they came");
            messages.rotate_left(1);
        }
    }
}

#[test]
fn roots_of_small_messages_are_those_of_the_table() {
    let Some(table) = file("tables/priority_proto_hash.json") else { return };
    let peer1 = PriorityMsg { peer_id: "peer1".into(), ..PriorityMsg::default() };
    let signed = PriorityMsg { signature: vec![0xde, 0xad, 0xbe, 0xef], ..peer1.clone() };
    let with_messages = PriorityResult { msgs: vec![peer1.clone()], topics: Vec::new() };
    // Messages without a duty never go out, so these are written by prost itself.
    let written: BTreeMap<&str, Vec<u8>> = [
        ("empty_priority_msg", prost::Message::encode_to_vec(&PriorityMsg::default())),
        ("priority_msg_peer1", prost::Message::encode_to_vec(&peer1)),
        ("priority_msg_with_signature", prost::Message::encode_to_vec(&signed)),
        ("empty_priority_result", prost::Message::encode_to_vec(&PriorityResult::default())),
        ("priority_result_with_msgs", prost::Message::encode_to_vec(&with_messages)),
    ]
    .into();
    assert_eq!(rows(&table).len(), written.len());
    for row in rows(&table) {
        let name = row["name"].as_str().expect("a name");
        assert_eq!(bytes_root(&written[name]).to_vec(), hex(&row["hash"]), "{name}");
    }
}

#[test]
fn messages_of_nodes_are_byte_for_byte_those_of_the_table() {
    let Some(table) = file("derived/priority_messages.json") else { return };
    for known in table["topics"].as_array().expect("topics") {
        let any = TextValue::pack(known["topic"].as_str().expect("a text"));
        assert_eq!(encode(&any), hex(&known["any_bytes"]));
        assert_eq!(bytes_root(&encode(&any)).to_vec(), hex(&known["any_hash"]));
    }
    let keys: Vec<IdentityKey> = table["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| {
            let secret: [u8; 32] = hex(&node["private_key"]).try_into().expect("32 bytes");
            IdentityKey::from_bytes(&secret).expect("a key")
        })
        .collect();
    for row in rows(&table) {
        let key = &keys[usize::try_from(row["peer_idx"].as_u64().expect("a number")).expect("small")];
        let ours = Preferences::of_node(V1_11, &[]);
        let versions: Vec<String> = ours.versions.iter().map(ToString::to_string).collect();
        assert_eq!((versions, &ours.protocols), (texts(&row["versions"]), &texts(&row["protocols"])));
        let written = ours.message(31, key);
        let unsigned = PriorityMsg { signature: Vec::new(), ..written.clone() };
        assert_eq!(encode(&unsigned), hex(&row["unsigned_msg"]));
        assert_eq!(written.signing_root().to_vec(), hex(&row["signing_root"]));
        assert_eq!(written.signature, hex(&row["signature"]));
        assert_eq!(encode(&written), hex(&row["message"]));
        let sender = PeerId::of(&key.public());
        assert_eq!(check(&written, &sender), Ok(()));
        let result = result_of(&[written], 1).expect("a result");
        let order: Vec<String> = result
            .topics
            .iter()
            .map(|topic| TextValue::unpack(topic.topic.as_ref().expect("a topic"), LIMIT).expect("a text"))
            .collect();
        assert_eq!(order, texts(&table["result_topic_order"]));
    }
}

#[test]
fn lists_of_contributions_begin_with_v1_11() {
    let Some(table) = file("tables/sync_contribution_v2_gate.json") else { return };
    for row in rows(&table) {
        let agreed = Agreed { versions: texts(&row["versions"]), ..Agreed::default() };
        assert_eq!(Some(agreed.lists_contributions()), row["allowed"].as_bool(), "{row}");
    }
    let unreadable = Agreed { versions: vec!["v9".into(), "2.0".into(), String::new()], ..Agreed::default() };
    assert!(!unreadable.lists_contributions());
}

// ------------------------------------------------------------------------------------------- real clusters

/// A dump of charon's consensus debugger, as far as it is looked at here.
#[derive(Clone, PartialEq, prost::Message)]
struct Dump {
    #[prost(message, repeated, tag = "1")]
    instances: Vec<Instance>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Instance {
    #[prost(message, repeated, tag = "4")]
    msgs: Vec<Sniffed>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sniffed {
    #[prost(message, optional, tag = "2")]
    msg: Option<QbftConsensusMsg>,
}

/// Results that real clusters talked about, each once.
fn results_of(dump: &str) -> Vec<PriorityResult> {
    let Some(folder) = vectors("charon/runs") else { return Vec::new() };
    let file = std::fs::File::open(folder.join(dump)).expect("a dump");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("a whole dump");
    let dump = <Dump as prost::Message>::decode(bytes.as_slice()).expect("a dump");
    let messages = dump.instances.into_iter().flat_map(|instance| instance.msgs).filter_map(|one| one.msg);
    let mut results = Vec::new();
    for value in messages.flat_map(|message| message.values).filter(Any::is::<PriorityResult>) {
        let result = value.unpack::<PriorityResult>(LIMIT).expect("a result");
        assert_eq!(encode(&result), value.value, "it is written as it came");
        if !results.contains(&result) {
            results.push(result);
        }
    }
    assert!(!results.is_empty(), "infosync was decided");
    results
}

fn check_run(dump: &str, newest: Minor) -> usize {
    let results = results_of(dump);
    let mut checked = 0;
    for result in &results {
        for message in &result.msgs {
            let sender = PeerId::parse(&message.peer_id).expect("an id of a node");
            check(message, &sender).unwrap_or_else(|error| panic!("{dump}: {error}"));
            let duty = message.duty.expect("a duty");
            assert_eq!(duty.r#type, DUTY_INFO_SYNC);
            checked += 1;
        }
        let computed = result_of(&result.msgs, 3).expect("a result");
        assert_eq!(&computed, result, "{dump}");
        let agreed = Agreed::read(result);
        assert_eq!(agreed.versions[0], newest.to_string());
        assert_eq!(agreed.lists_contributions(), newest >= V1_11);
        assert!(agreed.protocols.iter().any(|id| id == "charon/priority/2.0.0"));
        assert!(agreed.has_proposal(ProposalType::Full) && !agreed.has_proposal(ProposalType::Builder));
    }
    checked
}

#[test]
fn results_of_real_clusters_come_out_the_same() {
    if vectors("charon/runs").is_none() {
        return;
    }
    let checked = [
        check_run("run-v1.11-n4-v1/consensus_messages.node0.pb.gz", V1_11),
        check_run("run-v1.11-n4-v10/consensus_messages.node0.pb.gz", V1_11),
        check_run("run-v1.10-n4/consensus_messages.node0.pb.gz", V1_10),
        check_run("run-v1.10-n4/consensus_messages.node1.pb.gz", V1_10),
    ];
    assert!(checked.iter().all(|count| *count >= 4), "{checked:?}");
}

// --------------------------------------------------------------------------------------------------- checks

#[test]
fn what_contradicts_itself_comes_to_nothing() {
    let one = || message("a", vec![topic("t", &["x"])]);
    let node = "a".to_owned();
    assert_eq!(result_of(&[], 1), Err(ResultError::Nothing));
    assert_eq!(result_of(&[one(), one()], 1), Err(ResultError::Node { node: node.clone() }));
    let later = PriorityMsg { duty: Some(Duty { slot: 8, r#type: DUTY_INFO_SYNC }), ..message("b", vec![]) };
    assert_eq!(result_of(&[one(), later], 1), Err(ResultError::Duty { node: "b".into() }));
    let two_topics = message("a", vec![topic("t", &["x"]), topic("t", &["y"])]);
    assert_eq!(result_of(&[two_topics], 1), Err(ResultError::Topic { node: node.clone() }));
    let two = message("a", vec![topic("t", &["x", "y", "x"])]);
    assert_eq!(result_of(&[two], 1), Err(ResultError::Priority { node: node.clone() }));
    let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let too_many = message("a", vec![topic("t", &many)]);
    assert_eq!(result_of(&[too_many], 1), Err(ResultError::TooMany { node, count: 1000 }));
    let just = message("a", vec![topic("t", &many[..999])]);
    let result = result_of(&[just], 0).expect("a result");
    let scores = scored(&result, "t");
    assert_eq!((scores.len(), scores[0].1, scores[998].1), (999, 1000, 2));
}

#[test]
fn a_topic_without_enough_support_is_there_and_empty() {
    let result =
        result_of(&[message("a", vec![topic("t", &["x"])]), message("b", vec![])], 2).expect("a result");
    assert_eq!((result.topics.len(), result.topics[0].priorities.len()), (1, 0));
    assert_eq!(Agreed::read(&result), Agreed::default());
}

#[test]
fn messages_are_those_of_their_senders() {
    let keys = [[1; 32], [2; 32]].map(|secret| IdentityKey::from_bytes(&secret).expect("a key"));
    let [sender, other] = [0, 1].map(|node: usize| PeerId::of(&keys[node].public()));
    let good =
        Preferences::of_node(V1_11, &[ProposalType::Synthetic, ProposalType::Builder]).message(31, &keys[0]);
    assert_eq!(check(&good, &sender), Ok(()));
    assert!(matches!(check(&good, &other), Err(PriorityError::Sender { .. })));
    let later = PriorityMsg { duty: Some(Duty { slot: 32, r#type: DUTY_INFO_SYNC }), ..good.clone() };
    assert!(matches!(check(&later, &sender), Err(PriorityError::Signature { .. })));
    let mut twice = PriorityMsg { topics: vec![topic("t", &["x", "x"])], ..good.clone() };
    twice.signature = keys[0].sign(&twice.signing_root()).to_vec();
    assert!(matches!(check(&twice, &sender), Err(PriorityError::Content { .. })));
    for damaged in [Vec::new(), vec![0; 65], vec![0xff; 65], good.signature[..64].to_vec()] {
        let damaged = PriorityMsg { signature: damaged, ..good.clone() };
        assert!(matches!(check(&damaged, &sender), Err(PriorityError::Signature { .. })));
    }
    let agreed = Agreed::read(&result_of(&[good], 1).expect("a result"));
    assert_eq!(agreed.proposals, ["builder", "synthetic", "full"]);
    assert!(agreed.is_at_least(V1_11) && !agreed.is_at_least(Minor { major: 1, minor: 12 }));
}

#[test]
fn versions_above_the_reported_one_are_not_offered() {
    let held_back = Preferences::of_node(Minor { major: 1, minor: 10 }, &[ProposalType::Full]);
    assert_eq!(held_back.versions[0], Minor { major: 1, minor: 10 });
    assert_eq!((held_back.versions.len(), held_back.proposals), (11, vec![ProposalType::Full]));
}

proptest! {
    /// Whatever nodes prefer and in whatever order messages come: the topics are the same, scores fall, and none is below
    /// what it must have.
    #[test]
    fn results_do_not_depend_on_the_order_of_messages(
        lists in prop::collection::vec(prop::collection::vec(0u8..12, 0..8), 1..8),
        required in 0usize..8,
        turn in 0usize..8,
    ) {
        let messages: Vec<PriorityMsg> = lists.iter().enumerate().map(|(node, list)| {
            let mut seen = Vec::new();
            for text in list.iter().map(u8::to_string) {
                if !seen.contains(&text) {
                    seen.push(text);
                }
            }
            message(&node.to_string(), vec![topic("t", &seen), topic("u", &["always"])])
        }).collect();
        let mut turned = messages.clone();
        turned.rotate_left(turn % messages.len());
        turned.reverse();
        let (result, again) = (result_of(&messages, required).unwrap(), result_of(&turned, required).unwrap());
        prop_assert_eq!(&result.topics, &again.topics);
        let scores: Vec<i64> = scored(&result, "t").into_iter().map(|(_, score)| score).collect();
        prop_assert!(scores.is_sorted_by(|a, b| a >= b));
        let least = i64::try_from(required.saturating_sub(1) * 1000).unwrap();
        prop_assert!(scores.iter().all(|score| *score > least));
        prop_assert_eq!(scored(&result, "u").len(), usize::from(messages.len() >= required));
        let written = encode(&result);
        prop_assert_eq!(decode::<PriorityResult>(&written, LIMIT).unwrap(), result);
    }
}
