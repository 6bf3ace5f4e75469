//! The table of protocols, and how large messages of a ceremony get.

use std::collections::BTreeSet;
use std::time::Duration;

use coxswain_dv_wire::bounds::CeremonySize;
use coxswain_dv_wire::broadcast::{
    BCastMessage, BCastSigRequest, BroadcastVersion, FROST_ROUND1, PEDERSEN_KEYS,
};
use coxswain_dv_wire::frost::{
    FrostMsgKey, FrostRound1Cast, FrostRound1Casts, FrostRound1P2P, FrostRound1ShamirShare,
};
use coxswain_dv_wire::message::{WireMessage, encode};
use coxswain_dv_wire::parsigex::{ParSigExMsg, ParSignedData, ParSignedDataSet, ParSignedDataSetEntry};
use coxswain_dv_wire::pedersen::{
    NodePubKeyMessage, NodePubKeyShares, PedersenDeal, PedersenDealBundle, PedersenJustification,
    PedersenJustificationBundle, PedersenResponse, PedersenResponseBundle, ValidatorPubKeyShareMessage,
};
use coxswain_dv_wire::priority::Duty;
use coxswain_dv_wire::protocol::{self, Kind, PROTOCOLS, Protocol, TimeLimit, Times};
use coxswain_dv_wire::version::Version;
use coxswain_dv_wire::well_known::Any;
use proptest::prelude::*;

#[test]
fn ids_are_those_of_others_and_unique() {
    let ids: BTreeSet<&str> = PROTOCOLS.iter().map(|protocol| protocol.id).collect();
    assert_eq!(ids.len(), PROTOCOLS.len());
    for protocol in &PROTOCOLS {
        assert_eq!(protocol::find(protocol.id), Some(protocol));
        assert!(protocol.run.is_some() || protocol.ceremony.is_some(), "{}", protocol.id);
        // Only the one that go nodes of long ago gave has no slash.
        assert_eq!(protocol.id.starts_with('/'), *protocol != protocol::PRIORITY_LEGACY, "{}", protocol.id);
    }
    assert_eq!(protocol::find("/charon/dkg/sync/1.0.0"), None, "the slash at the end is a part of the id");
    assert_eq!(protocol::find("/charon/dkg/sync/1.0.0/").map(|p| p.kind), Some(Kind::LongStream));
    for name in ["deal_bundle", "resp_bundle", "just_bundle", "val_pubkey_share"] {
        let id = format!("/charon/dkg/pedersen/1.0.0/{name}");
        assert_eq!(protocol::find(&id).map(|p| p.kind), Some(Kind::OneWayAnswered), "{id}");
    }
}

#[test]
fn sizes_and_times_are_those_of_others() {
    const MIB: usize = 1 << 20;
    let seconds = |seconds| TimeLimit::After(Duration::from_secs(seconds));
    let usual = Some(Times { receive: seconds(5), send: seconds(7) });
    for (protocol, size, run, ceremony) in [
        (&protocol::PEERINFO, MIB, usual, usual),
        (&protocol::PRIORITY, 128 * MIB, usual, None),
        (&protocol::PRIORITY_LEGACY, 128 * MIB, usual, None),
        (&protocol::QBFT, 32 * MIB, usual, None),
        (
            &protocol::PARSIGEX,
            128 * MIB,
            usual,
            Some(Times { receive: TimeLimit::Ceremony, send: TimeLimit::Ceremony }),
        ),
        (&protocol::SYNC, 32 * MIB, None, Some(Times { receive: TimeLimit::Never, send: TimeLimit::Never })),
        (&protocol::BROADCAST_1_SIG, 128 * MIB, None, Some(Times { receive: seconds(60), send: seconds(7) })),
        (
            &protocol::BROADCAST_2_MSG,
            128 * MIB,
            None,
            Some(Times { receive: seconds(60), send: seconds(62) }),
        ),
        (&protocol::FROST_SHARES, 128 * MIB, None, usual),
        (&protocol::PEDERSEN_DEALS, 128 * MIB, None, usual),
    ] {
        assert_eq!(
            (protocol.max_bytes, protocol.run, protocol.ceremony),
            (size, run, ceremony),
            "{}",
            protocol.id
        );
    }
}

#[test]
fn the_reported_version_decides_on_the_broadcast() {
    for (version, expected, sig, msg) in [
        ("v1.10.3", BroadcastVersion::Unbound, "/charon/dkg/bcast/1.0.0/sig", "/charon/dkg/bcast/1.0.0/msg"),
        ("v1.0", BroadcastVersion::Unbound, "/charon/dkg/bcast/1.0.0/sig", "/charon/dkg/bcast/1.0.0/msg"),
        (
            "v1.11-dev",
            BroadcastVersion::SessionBound,
            "/charon/dkg/bcast/2.0.0/sig",
            "/charon/dkg/bcast/2.0.0/msg",
        ),
        (
            "v2.0.0",
            BroadcastVersion::SessionBound,
            "/charon/dkg/bcast/2.0.0/sig",
            "/charon/dkg/bcast/2.0.0/msg",
        ),
    ] {
        let of = BroadcastVersion::of(Version::parse(version).expect("a version").minor());
        assert_eq!((of, of.signing().id, of.sending().id), (expected, sig, msg), "{version}");
    }
}

#[test]
fn parts_of_a_hash_cannot_be_moved_across_their_borders() {
    let any = |kind: &str, value: &[u8]| Any { type_url: kind.into(), value: value.to_vec() };
    let bound = BroadcastVersion::SessionBound;
    let hash = bound.hash(b"ab", "cd", &any("ef", b"gh"));
    for other in [
        bound.hash(b"abc", "d", &any("ef", b"gh")),
        bound.hash(b"ab", "cde", &any("f", b"gh")),
        bound.hash(b"ab", "cd", &any("efg", b"h")),
        bound.hash(b"", "abcd", &any("ef", b"gh")),
    ] {
        assert_ne!(other, hash);
    }
}

#[test]
fn names_that_nodes_list() {
    assert_eq!(protocol::listed_name(&[]), "");
    assert_eq!(protocol::listed_name(&["a", "b"]), "*");
    assert_eq!(protocol::listed_name(&["é1", "è1"]), "*", "they share a byte of a character");
    let both = [protocol::PRIORITY.id, protocol::PRIORITY_LEGACY.id];
    assert_eq!(protocol::listed_name(&both), "*");
    assert!(
        protocol::lists("/charon/*", protocol::QBFT.id) && !protocol::lists("/charon/", protocol::QBFT.id)
    );
}

// ------------------------------------------------------------------------------------------------------- sizes

/// Bundles with something of every node.
fn bundles(size: CeremonySize) -> [(&'static Protocol, usize); 3] {
    let CeremonySize { nodes, threshold, .. } = size;
    let most = u32::MAX;
    let (scalar, point, signature) = (vec![1; 32], vec![1; 48], vec![1; 96]);
    let length = |bytes: Vec<u8>| bytes.len();
    [
        (
            &protocol::PEDERSEN_DEALS,
            length(encode(&PedersenDealBundle {
                dealer_index: most,
                deals: vec![PedersenDeal { share_index: most, encrypted_share: signature.clone() }; nodes],
                public: vec![point; threshold],
                session_id: scalar.clone(),
                signature: signature.clone(),
            })),
        ),
        (
            &protocol::PEDERSEN_RESPONSES,
            length(encode(&PedersenResponseBundle {
                share_index: most,
                responses: vec![PedersenResponse { dealer_index: most, status: true }; nodes],
                session_id: scalar.clone(),
                signature: signature.clone(),
            })),
        ),
        (
            &protocol::PEDERSEN_JUSTIFICATIONS,
            length(encode(&PedersenJustificationBundle {
                dealer_index: most,
                justifications: vec![
                    PedersenJustification { share_index: most, share: scalar.clone() };
                    nodes
                ],
                session_id: scalar,
                signature,
            })),
        ),
    ]
}

/// The largest messages of a ceremony, with the protocol that they go by.
fn largest(size: CeremonySize) -> Vec<(&'static Protocol, usize)> {
    let CeremonySize { nodes, validators, threshold } = size;
    let most = u32::MAX;
    let key = Some(FrostMsgKey { val_idx: most, source_id: most, target_id: most });
    let (scalar, point) = (vec![1; 32], vec![1; 48]);
    let commitments = vec![point.clone(); threshold];
    let cast = FrostRound1Cast { key, wi: scalar.clone(), ci: scalar.clone(), commitments };
    let casts = Any::pack(&FrostRound1Casts { casts: vec![cast; validators] });
    let share = FrostRound1ShamirShare { key, id: most, value: scalar.clone() };
    let keys = Any::pack(&NodePubKeyMessage {
        session_id: scalar.clone(),
        public_key: point.clone(),
        shares: Some(NodePubKeyShares { public_key_shares: vec![point.clone(); validators] }),
    });
    let data = ParSignedData::of_signature(&[1; 96], i32::MAX);
    let entry = ParSignedDataSetEntry { key: Some("a".repeat(98)), value: Some(data) };
    let set = ParSignedDataSet { set: vec![entry; validators] };
    let length = |bytes: Vec<u8>| bytes.len();
    let signatures = vec![vec![1; 65]; nodes];
    let mut all = vec![
        (&protocol::FROST_SHARES, length(encode(&FrostRound1P2P { shares: vec![share; validators] }))),
        (
            &protocol::PARSIGEX,
            length(encode(&ParSigExMsg { duty: Some(Duty::default()), data_set: Some(set) })),
        ),
        (
            &protocol::PEDERSEN_SHARES,
            length(encode(&ValidatorPubKeyShareMessage {
                session_id: scalar.clone(),
                public_key_share: point.clone(),
            })),
        ),
    ];
    all.extend(bundles(size));
    for (id, message) in [(FROST_ROUND1, casts), (PEDERSEN_KEYS, keys)] {
        let request = BCastSigRequest { id: id.into(), message: Some(message.clone()) };
        let sent = BCastMessage { id: id.into(), message: Some(message), signatures: signatures.clone() };
        all.push((&protocol::BROADCAST_2_SIG, length(encode(&request))));
        all.push((&protocol::BROADCAST_2_MSG, length(encode(&sent))));
        assert!(sent.present().is_ok());
    }
    all
}

#[test]
fn limits_of_a_ceremony_are_never_above_those_of_the_protocol() {
    let huge = CeremonySize { nodes: usize::MAX, validators: usize::MAX, threshold: usize::MAX };
    let small = CeremonySize { nodes: 4, validators: 1, threshold: 3 };
    for protocol in &PROTOCOLS {
        assert!(huge.max_bytes(protocol) <= protocol.max_bytes, "{}", protocol.id);
        if protocol.run.is_none() {
            assert!(small.max_bytes(protocol) < 100_000, "{}", protocol.id);
        }
    }
    assert_eq!(small.max_bytes(&protocol::QBFT), protocol::QBFT.max_bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_messages_take_at_most_half_of_their_limit(nodes in 3_usize..300, validators in 1_usize..600) {
        let size = CeremonySize { nodes, validators, threshold: nodes };
        for (protocol, length) in largest(size) {
            let limit = size.max_bytes(protocol);
            prop_assert!(limit == protocol.max_bytes || 2 * length <= limit, "{}: {} {}", protocol.id, length, limit);
            prop_assert!(length <= limit);
        }
    }
}
