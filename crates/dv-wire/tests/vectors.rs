//! What others computed and wrote: bytes of messages, frames, ids of nodes, hashes and signatures, versions.

#[path = "../../dv-types/tests/support/vectors.rs"]
mod support;

use std::collections::BTreeMap;

use coxswain_dv_crypto::k1::{IdentityKey, verify65};
use coxswain_dv_types::enr;
use coxswain_dv_wire::address::{Listen, Multiaddr, MultiaddrError, PrivateAddresses, Transport, advertised};
use coxswain_dv_wire::broadcast::{BCastMessage, BCastSigRequest, BCastSigResponse, BroadcastVersion};
use coxswain_dv_wire::frame::{FrameError, FrameReader, Read, frame, frame_bytes, sync_frame};
use coxswain_dv_wire::frost::{FrostRound1Casts, FrostRound1P2P, FrostRound2Casts};
use coxswain_dv_wire::message::{WireMessage, decode, encode};
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData};
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, PedersenDealBundle, PedersenJustification, PedersenJustificationBundle,
    PedersenResponseBundle, ValidatorPubKeyShareMessage,
};
use coxswain_dv_wire::peer::PeerId;
use coxswain_dv_wire::peerinfo::{PeerInfo, PeerVersionError, check_version};
use coxswain_dv_wire::priority::{Duty, PriorityMsg, PriorityTopicProposal};
use coxswain_dv_wire::relay::{RelayError, read_answer, record_addresses};
use coxswain_dv_wire::root::bytes_root;
use coxswain_dv_wire::sync::{self, MsgSync, MsgSyncResponse};
use coxswain_dv_wire::version::{Minor, Version};
use coxswain_dv_wire::well_known::{Any, TextValue, Timestamp};
use coxswain_dv_wire::{protocol, qbft};
use serde_json::Value as Json;
use support::vectors;

/// Most bytes of a message in these files.
const LIMIT: usize = 1 << 20;

/// The cases of one file; none where the vectors are not.
fn cases(name: &str) -> Vec<Json> {
    let Some(folder) = vectors("charon/p2p-dkg") else { return Vec::new() };
    let path = folder.join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut file: Json = serde_json::from_slice(&text).expect("JSON");
    match file["cases"].take() {
        Json::Array(cases) if !cases.is_empty() => cases,
        other => panic!("{name} has no cases: {other}"),
    }
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_else(|| panic!("a text, not {json}"))
}

fn bytes(json: &Json) -> Vec<u8> {
    hex::decode(text(json)).expect("hex")
}

fn array<const N: usize>(json: &Json) -> [u8; N] {
    bytes(json).try_into().expect("the length that it says")
}

fn key(json: &Json) -> IdentityKey {
    IdentityKey::from_bytes(&array(json)).expect("a key")
}

// --------------------------------------------------------------------------------------------------- messages

fn time(json: &Json) -> Option<Timestamp> {
    let nanos = json["nanos"].as_i64().unwrap_or_default();
    json["seconds"].as_i64().map(|seconds| Timestamp { seconds, nanos: i32::try_from(nanos).expect("small") })
}

fn texts(json: &Json, name: &str) -> String {
    json[name].as_str().unwrap_or_default().to_owned()
}

fn maybe(json: &Json, name: &str) -> Vec<u8> {
    json.get(name).map(bytes).unwrap_or_default()
}

fn number(json: &Json, name: &str) -> u32 {
    u32::try_from(json[name].as_u64().unwrap_or_default()).expect("small")
}

fn duty(json: &Json) -> Option<Duty> {
    let kind = i32::try_from(json["type"].as_i64().expect("a type")).expect("small");
    Some(Duty { slot: json["slot"].as_u64().expect("a slot"), r#type: kind })
}

fn made_ceremony(name: &str, fields: &Json) -> Option<Vec<u8>> {
    Some(match name {
        "MsgSync" => encode(&MsgSync {
            timestamp: time(&fields["timestamp"]),
            hash_signature: maybe(fields, "hash_signature"),
            shutdown: fields["shutdown"].as_bool().unwrap_or_default(),
            version: texts(fields, "version"),
            step: number(fields, "step").into(),
            nickname: texts(fields, "nickname"),
        }),
        "MsgSyncResponse" => encode(&MsgSyncResponse {
            sync_timestamp: time(&fields["sync_timestamp"]),
            error: texts(fields, "error"),
        }),
        "MsgNodeSig" => encode(&MsgNodeSig {
            signature: maybe(fields, "signature"),
            peer_index: number(fields, "peer_index"),
        }),
        "BCastSigRequest" => encode(&BCastSigRequest {
            id: texts(fields, "id"),
            message: Some(Any {
                type_url: texts(&fields["message"], "type_url"),
                value: maybe(&fields["message"], "value"),
            }),
        }),
        "BCastSigResponse" => {
            encode(&BCastSigResponse { id: texts(fields, "id"), signature: maybe(fields, "signature") })
        }
        "NodePubKeyMessage" => encode(&NodePubKeyMessage {
            session_id: maybe(fields, "session_id"),
            public_key: maybe(fields, "public_key"),
            shares: None,
        }),
        "ValidatorPubKeyShareMessage" => encode(&ValidatorPubKeyShareMessage {
            session_id: maybe(fields, "session_id"),
            public_key_share: maybe(fields, "public_key_share"),
        }),
        "PedersenJustificationBundle" => encode(&PedersenJustificationBundle {
            dealer_index: number(fields, "dealer_index"),
            justifications: fields["justifications"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|item| PedersenJustification {
                    share_index: number(item, "share_index"),
                    share: maybe(item, "share"),
                })
                .collect(),
            session_id: maybe(fields, "session_id"),
            signature: maybe(fields, "signature"),
        }),
        _ => return None,
    })
}

fn made_in_run(name: &str, fields: &Json) -> Option<Vec<u8>> {
    Some(match name {
        "PeerInfo" => encode(&PeerInfo {
            charon_version: texts(fields, "charon_version"),
            lock_hash: maybe(fields, "lock_hash"),
            sent_at: time(&fields["sent_at"]),
            git_hash: texts(fields, "git_hash"),
            started_at: time(&fields["started_at"]),
            builder_api_enabled: fields["builder_api_enabled"].as_bool().unwrap_or_default(),
            nickname: texts(fields, "nickname"),
            dv_client: texts(fields, "dv_client"),
        }),
        "ParSigExMsg" => {
            let set = fields["data_set"].as_object().expect("a map");
            let data = |json: &Json| ParSignedData {
                data: text(&json["data_utf8"]).as_bytes().to_vec(),
                signature: bytes(&json["signature"]),
                share_idx: i32::try_from(number(json, "share_idx")).expect("small"),
            };
            let set: BTreeMap<String, ParSignedData> =
                set.iter().map(|(key, value)| (key.clone(), data(value))).collect();
            encode(&ParSigExMsg { duty: duty(&fields["duty"]), data_set: Some(set.into()) })
        }
        "PriorityMsg" => encode(&PriorityMsg {
            duty: duty(&fields["duty"]),
            topics: fields["topics"]
                .as_array()
                .expect("topics")
                .iter()
                .map(|topic| PriorityTopicProposal {
                    topic: Some(TextValue::pack(text(&topic[0]))),
                    priorities: topic[1]
                        .as_array()
                        .expect("priorities")
                        .iter()
                        .map(|priority| TextValue::pack(text(priority)))
                        .collect(),
                })
                .collect(),
            peer_id: texts(fields, "peer_id"),
            signature: maybe(fields, "signature"),
        }),
        _ => return None,
    })
}

/// The bytes are read, written alike, and in a frame.
#[track_caller]
fn check_bytes<M: WireMessage>(encoded: &[u8], delimited: &[u8]) -> M {
    let message: M = decode(encoded, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(hex::encode(encode(&message)), hex::encode(encoded), "{}", M::NAME);
    assert_eq!(frame(&message), delimited, "{}", M::NAME);
    assert_eq!(frame_bytes(encoded), delimited, "{}", M::NAME);
    let mut reader = FrameReader::new(encoded.len());
    let whole = Read::Whole { message: encoded.to_vec().into(), used: delimited.len() };
    assert_eq!(reader.push(delimited), Ok(whole));
    message
}

#[test]
fn messages_have_the_bytes_of_others() {
    let mut made = 0;
    for case in cases("protobuf_messages.json") {
        let full = text(&case["message"]);
        let name = full.rsplit('.').next().expect("a name");
        let (encoded, delimited) = (bytes(&case["encoded"]), bytes(&case["delimited"]));
        let check = match name {
            "MsgSync" => |e: &[u8], d: &[u8]| check_name::<MsgSync>(e, d),
            "MsgSyncResponse" => |e: &[u8], d: &[u8]| check_name::<MsgSyncResponse>(e, d),
            "MsgNodeSig" => |e: &[u8], d: &[u8]| check_name::<MsgNodeSig>(e, d),
            "BCastSigRequest" => |e: &[u8], d: &[u8]| check_name::<BCastSigRequest>(e, d),
            "BCastSigResponse" => |e: &[u8], d: &[u8]| check_name::<BCastSigResponse>(e, d),
            "BCastMessage" => |e: &[u8], d: &[u8]| check_name::<BCastMessage>(e, d),
            "FrostRound1Casts" => |e: &[u8], d: &[u8]| check_name::<FrostRound1Casts>(e, d),
            "FrostRound1P2P" => |e: &[u8], d: &[u8]| check_name::<FrostRound1P2P>(e, d),
            "FrostRound2Casts" => |e: &[u8], d: &[u8]| check_name::<FrostRound2Casts>(e, d),
            "PedersenDealBundle" => |e: &[u8], d: &[u8]| check_name::<PedersenDealBundle>(e, d),
            "PedersenResponseBundle" => |e: &[u8], d: &[u8]| check_name::<PedersenResponseBundle>(e, d),
            "PedersenJustificationBundle" => {
                |e: &[u8], d: &[u8]| check_name::<PedersenJustificationBundle>(e, d)
            }
            "NodePubKeyMessage" => |e: &[u8], d: &[u8]| check_name::<NodePubKeyMessage>(e, d),
            "ValidatorPubKeyShareMessage" => {
                |e: &[u8], d: &[u8]| check_name::<ValidatorPubKeyShareMessage>(e, d)
            }
            "ParSigExMsg" => |e: &[u8], d: &[u8]| check_name::<ParSigExMsg>(e, d),
            "PriorityMsg" => |e: &[u8], d: &[u8]| check_name::<PriorityMsg>(e, d),
            "QBFTConsensusMsg" => |e: &[u8], d: &[u8]| check_name::<qbft::QbftConsensusMsg>(e, d),
            "PeerInfo" => |e: &[u8], d: &[u8]| check_name::<PeerInfo>(e, d),
            other => panic!("{other}"),
        };
        assert_eq!(check(&encoded, &delimited), full);
        let fields = &case["fields"];
        if fields.get("from").is_some() {
            continue;
        }
        let ours = made_ceremony(name, fields).or_else(|| made_in_run(name, fields));
        let ours = ours.unwrap_or_else(|| panic!("{full}: {fields}"));
        assert_eq!(hex::encode(ours), hex::encode(&encoded), "{full}: {fields}");
        made += 1;
    }
    assert!(made > 10 || cases("protobuf_messages.json").is_empty(), "{made}");
}

fn check_name<M: WireMessage>(encoded: &[u8], delimited: &[u8]) -> &'static str {
    check_bytes::<M>(encoded, delimited);
    M::NAME
}

#[test]
fn a_signature_of_a_ceremony_is_data_and_back() {
    for case in cases("protobuf_messages.json") {
        if text(&case["message"]) == ParSigExMsg::NAME {
            let message: ParSigExMsg = decode(&bytes(&case["encoded"]), LIMIT).expect("a message");
            let set: BTreeMap<String, ParSignedData> = message.data_set.expect("a set").into();
            for (validator, data) in &set {
                let signature = data.bare_signature().unwrap_or_else(|error| panic!("{validator}: {error}"));
                assert_eq!(&ParSignedData::of_signature(&signature, data.share_idx), data);
            }
        }
    }
}

#[test]
fn frames_of_the_sync_stream() {
    for case in cases("sync_framing.json") {
        let framed = bytes(&case["framed"]);
        let mut reader = FrameReader::sync(protocol::SYNC.max_bytes);
        let read = reader.push(&framed);
        match case.get("reject").map(text) {
            Some("size") => assert!(
                matches!(read, Err(FrameError::Empty { .. } | FrameError::TooLong { .. })),
                "{case}: {read:?}"
            ),
            Some("short body") => {
                assert_eq!(read, Ok(Read::More));
                assert_eq!(reader.end(), Err(FrameError::Short { got: framed.len() }));
            }
            Some(other) => panic!("{other}"),
            None => {
                let encoded = bytes(&case["encoded"]);
                let whole = Read::Whole { message: encoded.clone().into(), used: framed.len() };
                assert_eq!(read, Ok(whole), "{case}");
                let again = match text(&case["message"]) {
                    MsgSync::NAME => sync_frame(&decode::<MsgSync>(&encoded, LIMIT).expect("a message")),
                    MsgSyncResponse::NAME => {
                        sync_frame(&decode::<MsgSyncResponse>(&encoded, LIMIT).expect("a message"))
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(again, Ok(framed));
            }
        }
    }
}

// ------------------------------------------------------------------------------------------ keys and signatures

#[test]
fn ids_of_nodes_are_those_of_their_keys() {
    for case in cases("identity_keys.json") {
        let public = key(&case["private"]).public();
        let id = PeerId::of(&public);
        assert_eq!(id.to_string(), text(&case["peer_id"]));
        assert_eq!(id.to_bytes().to_vec(), bytes(&case["peer_id_bytes"]));
        assert_eq!(id.to_bytes()[2..], bytes(&case["libp2p_public_key_protobuf"]));
        assert_eq!(PeerId::parse(text(&case["peer_id"])), Ok(id));
        assert_eq!(PeerId::from_bytes(&bytes(&case["peer_id_bytes"])), Ok(id));
        assert_eq!(id.public().to_bytes().to_vec(), bytes(&case["public_compressed"]));
    }
}

#[test]
fn of_two_nodes_the_lesser_id_dials() {
    for case in cases("dial_order.json") {
        let id = |name: &str| PeerId::parse(text(&case[name])).expect("an id");
        let (ours, theirs) = (id("self"), id("remote"));
        assert_eq!(Some(ours.dials(&theirs)), case["self_dials"].as_bool(), "{case}");
        assert_ne!(ours.dials(&theirs), theirs.dials(&ours), "{case}");
        assert!(!ours.dials(&ours));
    }
}

#[test]
fn roots_of_bytes() {
    for case in cases("bytes_root.json") {
        let root = bytes_root(&bytes(&case["encoded"]));
        assert_eq!(hex::encode(root), text(&case["root"]), "{case}");
    }
}

#[test]
fn hashes_of_broadcasts_and_their_signatures() {
    for case in cases("bcast_hash.json") {
        let version = match text(&case["version"]) {
            "1.0.0" => BroadcastVersion::Unbound,
            "2.0.0" => BroadcastVersion::SessionBound,
            other => panic!("{other}"),
        };
        let message = Any { type_url: texts(&case, "type_url"), value: bytes(&case["value"]) };
        let hash = version.hash(&maybe(&case, "session_hash"), &texts(&case, "msg_id"), &message);
        assert_eq!(hex::encode(hash), text(&case["hash"]), "{case}");
        let signatures = case["signatures_by_keys_1_to_3"].as_array().expect("a list");
        for (number, signature) in (1_u8..).zip(signatures) {
            let key = IdentityKey::from_bytes(&[number; 32]).expect("a key");
            assert_eq!(hex::encode(key.sign(&hash)), text(signature));
        }
    }
}

#[test]
fn preferences_are_signed() {
    for case in cases("priority_signature.json") {
        let unsigned: PriorityMsg = decode(&bytes(&case["unsigned_encoded"]), LIMIT).expect("a message");
        let key = key(&case["private"]);
        let signature = bytes(&case["signature"]);
        let signed = PriorityMsg { signature: signature.clone(), ..unsigned };
        assert_eq!(hex::encode(signed.signing_root()), text(&case["root"]));
        assert_eq!(key.sign(&signed.signing_root()).to_vec(), signature);
        let public = *PeerId::parse(&signed.peer_id).expect("an id").public();
        assert_eq!(verify65(&public, &signed.signing_root(), &signature), Ok(()));
    }
}

#[test]
fn ceremonies_are_signed() {
    for case in cases("sync_hash_signature.json") {
        let (key, ceremony) = (key(&case["private"]), bytes(&case["definition_hash"]));
        let signature = sync::sign(&key, &ceremony);
        assert_eq!(hex::encode(&signature), text(&case["hash_signature_der"]));
        let peer = PeerId::parse(text(&case["peer_id"])).expect("an id");
        assert_eq!(sync::verify(peer.public(), &ceremony, &signature), Ok(()));
        let mut other = ceremony.clone();
        other[0] ^= 1;
        assert!(sync::verify(peer.public(), &other, &signature).is_err(), "{case}");
        assert!(sync::verify(peer.public(), &ceremony, &signature[1..]).is_err(), "{case}");
    }
}

// --------------------------------------------------------------------------------------------------- versions

fn minor(text: &str) -> Minor {
    Version::parse(text).expect("a version").minor()
}

#[test]
fn versions_compare() {
    for case in cases("version_compare.json") {
        let version = |name: &str| Version::parse(text(&case[name])).expect("a version");
        let order = version("a").compare(&version("b"));
        assert_eq!(Some(order as i64), case["compare"].as_i64(), "{case}");
        assert_eq!(version("b").compare(&version("a")), order.reverse(), "{case}");
    }
}

#[test]
fn versions_of_peers() {
    for case in cases("peerinfo_version.json") {
        let supported: Vec<Minor> =
            case["supported"].as_array().expect("a list").iter().map(|item| minor(text(item))).collect();
        let reason = match check_version(text(&case["peer"]), &supported) {
            Ok(_) => None,
            Err(PeerVersionError::Unparsable(_)) => Some("unparsable"),
            Err(PeerVersionError::Unsupported { .. }) => Some("unsupported"),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(case["ok"].as_bool(), Some(reason.is_none()), "{case}");
        assert_eq!(case["reason"].as_str(), reason, "{case}");
    }
}

#[test]
fn names_of_handlers_of_several_ids() {
    for case in cases("protocol_prefix.json") {
        let ids: Vec<&str> = case["ids"].as_array().expect("a list").iter().map(text).collect();
        let name = protocol::listed_name(&ids);
        assert_eq!(name, text(&case["registered_name"]));
        assert!(ids.iter().all(|id| protocol::lists(&name, id)), "{name}");
        assert!(!protocol::lists(&name, "another"), "{name}");
    }
}

// -------------------------------------------------------------------------------------------------- addresses

fn address(json: &Json) -> Multiaddr {
    let address = Multiaddr::parse(text(json)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(address.to_string(), text(json));
    address
}

fn addresses(json: &Json) -> Vec<Multiaddr> {
    json.as_array().expect("a list").iter().map(address).collect()
}

#[test]
fn addresses_through_relays() {
    for case in cases("circuit_addrs.json") {
        let peer = PeerId::parse(text(&case["peer"])).expect("an id");
        let through = Multiaddr::through(&address(&case["relay_addr"]), &peer).expect("a relay");
        assert_eq!(through, address(&case["circuit_addr"]));
        assert_eq!(through.peer(), Some(text(&case["peer"])));
        assert!(through.is_relayed());
    }
}

#[test]
fn transports_of_addresses() {
    for case in cases("addr_transport.json") {
        let address = address(&case["addr"]);
        let label = address.transport().map(|transport| match transport {
            Transport::Tcp => "tcp",
            Transport::Quic => "quic",
        });
        assert_eq!(label, case["transport"].as_str(), "{case}");
        assert_eq!(Some(address.is_relayed()), case["via_relay"].as_bool(), "{case}");
    }
}

#[test]
fn addresses_to_listen_on() {
    for case in cases("listen_addrs.json") {
        let listen = Listen::parse(text(&case["listen"]));
        if case.get("reject").is_some() {
            assert!(matches!(listen, Err(MultiaddrError::Listen { .. })), "{case}: {listen:?}");
            continue;
        }
        let Listen { host, port } = listen.expect("an address");
        assert_eq!(Multiaddr::tcp(&host, port), address(&case["tcp"]));
        assert_eq!(Multiaddr::quic(&host, port), address(&case["udp"]));
    }
}

#[test]
fn addresses_that_others_are_told() {
    for case in cases("advertised_addrs.json") {
        let private = match case["exclude_private_internal"].as_bool().expect("a flag") {
            true => PrivateAddresses::Leave,
            false => PrivateAddresses::Tell,
        };
        let told = advertised(&addresses(&case["internal"]), &addresses(&case["external"]), private);
        assert_eq!(told, addresses(&case["advertised"]), "{case}");
    }
}

#[test]
fn answers_of_relays() {
    for case in cases("relay_url_answers.json") {
        let status = u16::try_from(number(&case, "status")).expect("a status");
        let mut body = case.get("body").or(case.get("body_start")).map(text).expect("a body").to_owned();
        if let Some(length) = case["body_padded_with_spaces_to"].as_u64() {
            body.extend(std::iter::repeat_n(' ', usize::try_from(length).expect("small") - body.len()));
        }
        let read = read_answer(status, body.as_bytes());
        match case.get("retry").map(text) {
            None => {
                let expected = addresses(&case["accept"]);
                let read = read.unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(read.addresses, expected);
                assert_eq!(Some(read.peer.as_str()), expected[0].peer());
            }
            Some("status") => assert_eq!(read, Err(RelayError::Status(status))),
            Some("parse") => assert_eq!(read, Err(RelayError::Unreadable)),
            Some(_) => assert!(read.is_err(), "{case}"),
        }
    }
}

#[test]
fn node_records_of_relays() {
    for case in cases("enr_parse.json") {
        let Ok(record) = enr::parse(text(&case["enr"])) else {
            assert!(case.get("reject").is_some(), "{case}");
            continue;
        };
        let found = record_addresses(&record);
        match case["relay_multiaddrs_in_order"].as_array() {
            Some(expected) if !expected.is_empty() => {
                assert_eq!(found, Ok(addresses(&case["relay_multiaddrs_in_order"])), "{case}");
                let answer = read_answer(200, text(&case["enr"]).as_bytes()).expect("an answer");
                assert_eq!(Ok(answer.addresses), found);
            }
            Some(_) | None => assert!(found.is_err() || case["relay_error"].is_null(), "{case}: {found:?}"),
        }
    }
}
