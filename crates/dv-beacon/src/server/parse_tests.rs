//! Foreign requests: never a panic, and what is understood keeps its bounds. As plain tests each runs for a second, or
//! as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

use super::super::route::{ROUTES, find, is_plain, label};
use super::*;
use crate::mutate::mutate;

const WORDS: &[&str] = &[
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"0x\"",
    "0",
    "-1",
    "1e9",
    "18446744073709551616",
    ",",
    "[",
    "{\"ids\":[\"1\"]}",
    "%00",
    "&slot=",
    "0x00",
];

fn endpoint(number: u8) -> Endpoint {
    ROUTES[usize::from(number) % ROUTES.len()].endpoint
}

/// Whatever comes is understood, or refused with a status of an error and a message of bounded length.
fn check(endpoint: Endpoint, incoming: &Incoming<'_>) {
    match parse(endpoint, incoming) {
        Ok(Parsed::Ask(Request::SubmitAttestations(list))) => {
            assert!(!list.is_empty() && list.iter().all(|one| one.attestation.is_of(one.fork)));
        }
        Ok(Parsed::Ask(Request::Validators { state, .. })) => {
            assert!(is_plain(&format!("/{state}")), "{state}")
        }
        Ok(Parsed::Ask(_)) => {}
        Ok(Parsed::Reply(reply)) => assert_eq!(reply.status, 200),
        Err(problem) => {
            assert!((400..=500).contains(&problem.status), "{problem:?}");
            assert!(problem.message.len() < 1000 && !problem.message.contains('\n'), "{problem:?}");
        }
    }
}

#[test]
fn any_bytes() {
    bolero::check!().with_max_len(256).for_each(|bytes: &[u8]| {
        let [which, form, version, rest @ ..] = bytes else { return };
        let (one, body) = rest.split_at(rest.len() / 2);
        let text = String::from_utf8_lossy(one);
        let (path, query) = text.split_at(text.floor_char_boundary(text.len() / 2));
        let versions = [None, Some("phase0"), Some("deneb"), Some("ELECTRA"), Some("fulu"), Some(path)];
        let incoming = Incoming {
            parts: path.split('/').collect(),
            query,
            version: versions[usize::from(*version) % versions.len()],
            sent: if form % 2 == 0 { Wanted::Json } else { Wanted::Ssz },
            body,
        };
        check(endpoint(*which), &incoming);
        let _ = find("GET", &text).or_else(|| find("POST", &text));
        assert!(!label(&text).contains('/'));
    });
}

/// A request of each kind, as it should be.
const SAMPLES: &[(Endpoint, &str, &str)] = &[
    (Endpoint::AttesterDuties, "", r#"["1","2"]"#),
    (Endpoint::SyncDuties, "", "[1,2]"),
    (Endpoint::PostValidators, "", r#"{"ids":["1","0x12"],"statuses":null}"#),
    (Endpoint::Validators, "id=1,2&id=0x12", ""),
    (Endpoint::AttestationData, "slot=1&committee_index=2", ""),
    (
        Endpoint::SubmitAttestations,
        "",
        r#"[{"committee_index":"3","attester_index":"9","data":{"slot":"65","index":"0","beacon_block_root":
"0x0202020202020202020202020202020202020202020202020202020202020202","source":{"epoch":"1","root":
"0x0202020202020202020202020202020202020202020202020202020202020202"},"target":{"epoch":"2","root":
"0x0202020202020202020202020202020202020202020202020202020202020202"}},"signature":
"0x040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404"}]"#,
    ),
    (
        Endpoint::SyncSelections,
        "",
        r#"[{"validator_index":"9","slot":"65","subcommittee_index":"1","selection_proof":
"0x040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404"}]"#,
    ),
    (
        Endpoint::SubmitExit,
        "",
        r#"{"message":{"epoch":"5","validator_index":"9"},"signature":
"0x040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404040404"}"#,
    ),
];

fn incoming<'a>(query: &'a str, body: &'a [u8]) -> Incoming<'a> {
    Incoming { parts: vec!["17"], query, version: Some("electra"), sent: Wanted::Json, body }
}

#[test]
fn the_samples_are_understood_where_they_should_be() {
    for (endpoint, query, body) in SAMPLES {
        let parsed = parse(*endpoint, &incoming(query, body.as_bytes()));
        let has_half_a_key = query.contains("0x12") || body.contains("0x12");
        assert_eq!(parsed.is_err(), has_half_a_key, "{endpoint:?} {parsed:?}");
    }
}

#[test]
fn damaged_requests() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Some((which, script)) = script.split_first() else { return };
        let (endpoint, query, body) = SAMPLES[usize::from(*which) % SAMPLES.len()];
        let query = String::from_utf8_lossy(&mutate(query.as_bytes(), script, WORDS)).into_owned();
        let body = mutate(body.as_bytes(), script, WORDS);
        check(endpoint, &incoming(&query, &body));
    });
}
