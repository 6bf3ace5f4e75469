//! Addresses, relays, versions and ids: what is refused, and why.

use std::cmp::Ordering;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_wire::address::{
    Host, Listen, Multiaddr, MultiaddrError, PrivateAddresses, Transport, advertised, external,
};
use coxswain_dv_wire::peer::{PeerId, PeerIdError};
use coxswain_dv_wire::relay::{MAX_ANSWER, RelayError, RelaySource, read_answer};
use coxswain_dv_wire::version::{Minor, SUPPORTED, Version};
use proptest::prelude::*;

/// Ids of two nodes, and of one with a key of another kind (Ed25519).
const A: &str = "16Uiu2HAm1bSDxrCubda6Esz3NkXamvzEjQh4jzMp1PdckJwwMcuw";
const B: &str = "16Uiu2HAmEWQnHq2jLKJypwVnVoQeFCULuyop6atvq2eWjYSUjzNi";
const HASHED: &str = "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC";

fn address(text: &str) -> Multiaddr {
    Multiaddr::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn addresses_are_written_as_all_write_them() {
    for (given, written) in [
        ("/ip4/1.2.3.4/tcp/0001", "/ip4/1.2.3.4/tcp/1"),
        ("/ip6/0:0:0:0:0:0:0:1/udp/1/quic-v1/", "/ip6/::1/udp/1/quic-v1"),
        ("/dns4/relay.example/tcp/443/wss", "/dns4/relay.example/tcp/443/wss"),
        (
            "/dns/a.b/tcp/1/ipfs/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC",
            "/dns/a.b/tcp/1/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC",
        ),
    ] {
        assert_eq!(address(given).to_string(), written);
    }
}

#[test]
fn texts_that_are_no_addresses_are_refused() {
    for (text, why) in [
        ("", "does not begin with /"),
        ("ip4/1.2.3.4", "does not begin with /"),
        ("/", "a part that is not known"),
        ("//tcp/1", "a part that is not known"),
        ("/ip4", "ends early"),
        ("/ip4/", "ends early"),
        ("/ip4/1.2.3", "value of a part is wrong"),
        ("/ip4/::1", "value of a part is wrong"),
        ("/ip6/1.2.3.4", "value of a part is wrong"),
        ("/ip4/1.2.3.4/tcp/65536", "value of a part is wrong"),
        ("/ip4/1.2.3.4/tcp/+1", "value of a part is wrong"),
        ("/dns/-a/tcp/1", "value of a part is wrong"),
        ("/dns/a..b/tcp/1", "value of a part is wrong"),
        ("/ip4/1.2.3.4/p2p/0OIl", "value of a part is wrong"),
        ("/ip4/1.2.3.4/p2p/2g", "value of a part is wrong"),
        ("/ip4/1.2.3.4/onion/x", "a part that is not known"),
    ] {
        let refused = Multiaddr::parse(text).expect_err(text).to_string();
        assert!(refused.contains(why), "{text}: {refused}");
    }
    assert!(Multiaddr::parse(&"/ws".repeat(33)).expect_err("long").to_string().contains("too many parts"));
    assert!(Multiaddr::parse(&"/ws".repeat(1000)).expect_err("long").to_string().contains("too long"));
}

#[test]
fn a_relay_has_to_say_which_node_it_is() {
    let relay = address("/ip4/1.2.3.4/tcp/1");
    let peer = PeerId::parse(A).expect("an id");
    assert!(matches!(Multiaddr::through(&relay, &peer), Err(MultiaddrError::NoRelay { .. })));
    assert!(matches!(RelaySource::parse("/ip4/1.2.3.4/tcp/1"), Err(MultiaddrError::NoRelay { .. })));
    assert!(matches!(RelaySource::parse("relay.example"), Err(MultiaddrError::Text { .. })));
    for url in ["http://relay", "https://0.relay.example/enr", "httpx"] {
        assert_eq!(RelaySource::parse(url), Ok(RelaySource::Url(url.into())));
    }
    let whole = format!("/ip4/1.2.3.4/tcp/1/p2p/{A}");
    assert_eq!(RelaySource::parse(&whole), Ok(RelaySource::Address(address(&whole))));
    assert_eq!(relay.of_peer(&peer), address(&whole));
}

#[test]
fn answers_of_relays_that_are_of_no_use() {
    let answer = |body: &str| read_answer(200, body.as_bytes());
    assert_eq!(answer("null"), Err(RelayError::Nothing));
    assert_eq!(answer("[]"), Err(RelayError::Nothing));
    assert_eq!(answer("[\"/ip4/1.2.3.4\", \"x\"]"), Err(RelayError::NoPeer(address("/ip4/1.2.3.4"))));
    assert_eq!(answer("[\"x\"]"), Err(RelayError::Nothing));
    for unreadable in ["", "{}", "[1]", "[\"a\"", "\"a\"", "[] []", "ENR:"] {
        assert_eq!(answer(unreadable), Err(RelayError::Unreadable), "{unreadable}");
    }
    assert!(matches!(answer("enr:-"), Err(RelayError::Record(_))));
    assert_eq!(read_answer(200, &[b' '; MAX_ANSWER + 1]), Err(RelayError::TooLong));
    for status in [100, 199, 300, 404, 500] {
        assert_eq!(read_answer(status, b"[]"), Err(RelayError::Status(status)));
    }
    let two = format!("[\"/ip4/1.2.3.4/tcp/1/p2p/{A}\", \"/ip4/1.2.3.4/tcp/2/p2p/{B}\"]");
    assert_eq!(answer(&two), Err(RelayError::Peers { first: A.into(), second: B.into() }));
    let unnamed = format!("[\"/ip4/1.2.3.4/tcp/1/p2p/{A}\", \"/ip4/1.2.3.4/tcp/2\"]");
    assert_eq!(answer(&unnamed), Err(RelayError::NoPeer(address("/ip4/1.2.3.4/tcp/2"))));
}

#[test]
fn entries_that_are_no_addresses_are_passed_over_and_told() {
    let body = format!("[\"{}\", \"/ip4/1.2.3.4/tcp/1/p2p/{HASHED}\"]", "x".repeat(500));
    let read = read_answer(201, body.as_bytes()).expect("an answer");
    assert_eq!(read.peer, HASHED);
    assert_eq!(read.addresses.len(), 1);
    assert!(read.skipped.len() == 1 && read.skipped[0].len() < 100);
}

#[test]
fn what_an_operator_says_where_to_listen() {
    let host = |text: &str| Listen::parse(text).map(|listen| (listen.host, listen.port));
    assert_eq!(host("0.0.0.0:3610"), Ok((Host::Ip([0, 0, 0, 0].into()), 3610)));
    assert_eq!(host("relay.example:1"), Ok((Host::Name("relay.example".into()), 1)));
    for wrong in [
        "",
        "1.2.3.4",
        ":1",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "::1:1",
        "[1.2.3.4]:1",
        "[::1:1",
        "a b:1",
    ] {
        assert!(matches!(host(wrong), Err(MultiaddrError::Listen { .. })), "{wrong}");
    }
    assert_eq!(Multiaddr::tcp(&Host::Name("a.b".into()), 1), address("/dns/a.b/tcp/1"));
}

#[test]
fn an_external_host_is_told_with_every_port() {
    let hosts = ["1.2.3.4", "node.example", "2001:db8::1"].map(|text| Host::parse(text).expect("a host"));
    let texts: Vec<String> =
        external(&hosts, &[3610, 3611], &[3630]).iter().map(Multiaddr::to_string).collect();
    assert_eq!(
        texts[..6],
        [
            "/ip4/1.2.3.4/tcp/3610",
            "/ip4/1.2.3.4/tcp/3611",
            "/ip4/1.2.3.4/udp/3630/quic-v1",
            "/dns/node.example/tcp/3610",
            "/dns/node.example/tcp/3611",
            "/dns/node.example/udp/3630/quic-v1",
        ]
    );
    assert_eq!(texts[8], "/ip6/2001:db8::1/udp/3630/quic-v1");
    assert_eq!(texts.len(), 9);
    for wrong in ["", "a b", "-a", "a/b", "1.2.3.4:1"] {
        assert_eq!(Host::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn private_addresses_are_told_only_where_they_were_given() {
    for private in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.0.1",
        "100.64.0.1",
        "100.127.0.1",
    ] {
        let address = address(&format!("/ip4/{private}/tcp/1"));
        assert!(address.is_private(), "{private}");
        let (one, none) = (std::slice::from_ref(&address), &[][..]);
        assert_eq!(advertised(one, none, PrivateAddresses::Leave), [], "{private}");
        assert_eq!(advertised(one, none, PrivateAddresses::Tell), one, "{private}");
        assert_eq!(advertised(none, one, PrivateAddresses::Leave), one, "{private}");
        assert_eq!(advertised(one, one, PrivateAddresses::Tell), one, "{private}");
    }
    for public in
        ["/ip4/172.32.0.1", "/ip4/100.128.0.1", "/ip4/100.63.0.1", "/ip6/2001:db8::1", "/dns/localhost"]
    {
        assert!(!address(&format!("{public}/tcp/1")).is_private(), "{public}");
    }
    for private in ["::1", "fc00::1", "fdff::1", "fe80::1"] {
        assert!(address(&format!("/ip6/{private}/tcp/1")).is_private(), "{private}");
    }
    assert_eq!(address("/dns/a/tcp/1/ws").transport(), Some(Transport::Tcp));
    assert_eq!(address("/dns/a/udp/1").transport(), None);
}

#[test]
fn ids_of_other_keys_are_no_ids_of_nodes() {
    for text in [
        "",
        HASHED,
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
        "0OIl",
        &A[1..],
        &format!("{A}1"),
    ] {
        assert!(matches!(PeerId::parse(text), Err(PeerIdError::Text { .. })), "{text}");
    }
    let long = "1".repeat(1 << 20);
    assert!(PeerId::parse(&long).expect_err("long").to_string().len() < 500);
    let bytes = PeerId::parse(A).expect("an id").to_bytes();
    assert_eq!(PeerId::from_bytes(&bytes[1..]), Err(PeerIdError::Bytes { length: 38 }));
    let mut off_curve = bytes;
    off_curve[7..].fill(0xff);
    assert!(matches!(PeerId::from_bytes(&off_curve), Err(PeerIdError::Key(_))));
}

#[test]
fn texts_that_are_no_versions_are_refused() {
    for text in [
        "",
        "v",
        "1.2",
        "v1",
        "v1.",
        "v1.2.",
        "v1.2.3.4",
        "v1.2-",
        "v1.2.3-",
        "v1.+2",
        "v1. 2",
        "v-1.2",
        "V1.2",
        "v1.2\n",
        "v1.2-a\nb",
        "v1.2-\u{1b}",
        "v1.4294967296",
        "v１.2",
    ] {
        assert!(Version::parse(text).is_err(), "{text:?}");
    }
    assert!(Version::parse(&format!("v1.2-{}", "a".repeat(200))).is_err());
    for text in ["v1.11", "v1.11.0", "v1.11.0-rc3", "v1.11-dev", "v0.0.0-a-b.c"] {
        assert_eq!(Version::parse(text).expect(text).to_string(), text);
    }
}

#[test]
fn patches_count_only_between_two_releases() {
    for (a, b, expected) in [
        ("v1.11.2", "v1.11.10", Ordering::Less),
        ("v1.9.5", "v1.10.0", Ordering::Less),
        ("v2.0", "v1.11.9", Ordering::Greater),
        ("v1.11.0-rc3", "v1.11.1", Ordering::Equal),
        ("v1.11.0-rc3", "v1.11.1-rc1", Ordering::Equal),
        ("v1.11", "v1.11.1", Ordering::Equal),
        ("v1.11.0-rc3", "v1.12.0", Ordering::Less),
    ] {
        let version = |text: &str| Version::parse(text).expect("a version");
        assert_eq!(version(a).compare(&version(b)), expected, "{a} {b}");
        assert_eq!(version(b).compare(&version(a)), expected.reverse(), "{b} {a}");
    }
}

#[test]
fn what_we_work_with_goes_from_the_newest_down() {
    let names: Vec<String> = SUPPORTED.iter().map(Minor::to_string).collect();
    assert_eq!(names.join(" "), "v1.11 v1.10 v1.9 v1.8 v1.7 v1.6 v1.5 v1.4 v1.3 v1.2 v1.1 v1.0");
    assert_eq!(Version::parse("v1.11.0-rc3").map(|v| v.minor()), Ok(SUPPORTED[0]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ids_are_read_as_they_are_written(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        let id = |secret: &[u8; 32]| IdentityKey::from_bytes(secret).map(|key| PeerId::of(&key.public()));
        let (Ok(a), Ok(b)) = (id(&a), id(&b)) else { return Ok(()) };
        prop_assert_eq!(PeerId::parse(&a.to_string()), Ok(a));
        prop_assert_eq!(PeerId::from_bytes(&a.to_bytes()), Ok(a));
        prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        prop_assert_eq!(a.dials(&b) as u8 + b.dials(&a) as u8, u8::from(a != b));
    }
}
