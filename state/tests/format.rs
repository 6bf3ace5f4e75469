//! The bytes of snapshots and journals: golden, round trips, damage, arbitrary input.

mod support;

use coxswain_state::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use support::*;

const GOLDEN: &str = include_str!("golden/state.json");

fn bytes_of(state: &State) -> Vec<u8> {
    Snapshot { state: state.clone(), folded: Some("ab".into()) }.to_bytes()
}

/// The journal of a run that is not ended, as the store writes it.
fn journal_bytes() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    store.begin_run(begin("r1")).expect("begins");
    store.intent(intent("a", "create")).expect("intent");
    store.outcome(outcome("a", "create", vec![put("a", "x")])).expect("outcome");
    store.intent(intent("b", "create")).expect("intent");
    std::fs::read(dir.path().join("journal.jsonl")).expect("is there")
}

#[test]
fn snapshot_is_as_recorded() {
    let bytes = bytes_of(&sample());
    let text = String::from_utf8(bytes).expect("text");
    assert_eq!(text, GOLDEN, "got:\n{text}");
    assert_eq!(parse_snapshot(GOLDEN.as_bytes()).expect("parses").state, sample());
    serde_json::from_str::<Json>(GOLDEN).expect("the whole file is one JSON document");
}

#[test]
fn every_flipped_byte_of_a_snapshot_is_refused() {
    let bytes = bytes_of(&sample());
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            assert!(parse_snapshot(&bad).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
}

#[test]
fn every_shortened_snapshot_is_refused() {
    let bytes = bytes_of(&sample());
    for len in 0..bytes.len() {
        assert!(parse_snapshot(&bytes[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn damage_is_said_with_its_line() {
    let text = GOLDEN.replacen("\"file.motd\":{", "\"file.motd\":[", 1);
    let Err(ParseError::Corrupt { position, .. }) = parse_snapshot(text.as_bytes()) else {
        panic!("is damaged")
    };
    assert_eq!(position.line, 3);
}

#[test]
fn every_flipped_byte_of_a_journal_is_refused() {
    let bytes = journal_bytes();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80, 0xff, bytes[at] ^ b'\n'] {
            let mut bad = bytes.clone();
            bad[at] ^= flip;
            assert!(flip == 0 || parse_journal(&bad).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
}

#[test]
fn a_journal_cut_anywhere_gives_its_whole_records() {
    let bytes = journal_bytes();
    let whole = parse_journal(&bytes).expect("parses");
    let header = bytes.iter().position(|b| *b == b'\n').expect("a header") + 1;
    for len in 0..bytes.len() {
        if len < header {
            // The header is put in place by a rename; no crash cuts it.
            assert!(parse_journal(&bytes[..len]).is_err(), "{len} bytes");
            continue;
        }
        let cut = parse_journal(&bytes[..len]).unwrap_or_else(|e| panic!("{len} bytes: {e}"));
        // A record is whole also without its line end.
        let n = whole.offsets.iter().skip(1).chain([&bytes.len()]).filter(|end| **end <= len + 1).count();
        assert_eq!(cut.entries, whole.entries[..n], "{len} bytes");
    }
}

#[test]
fn a_record_left_out_doubled_or_swapped_is_refused() {
    let bytes = journal_bytes();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let orders: [&[usize]; 4] = [&[0, 1, 3, 4], &[0, 1, 2, 2, 3, 4], &[0, 2, 1, 3, 4], &[1, 2, 3, 4]];
    for order in orders {
        let bad: Vec<u8> = order.iter().flat_map(|i| lines[*i].iter().copied()).collect();
        assert!(parse_journal(&bad).is_err(), "{order:?}");
    }
}

#[test]
fn a_later_format_is_told_apart_from_damage() {
    let later = GOLDEN.replacen("\"format\":1", "\"format\":12", 1);
    assert_eq!(parse_snapshot(later.as_bytes()), Err(ParseError::Newer { found: 12 }));
    let later = String::from_utf8(journal_bytes()).expect("text").replacen("\"format\":1", "\"format\":2", 1);
    assert_eq!(parse_journal(later.as_bytes()), Err(ParseError::Newer { found: 2 }));
}

fn leaf() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_filter("JSON has no such number", |n| n.is_finite()).prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    leaf().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn state() -> impl Strategy<Value = State> {
    let instance = ("[a-z]{1,3}", prop::option::of(any::<String>()), value(), any::<String>());
    (prop::collection::vec(instance, 0..5), any::<u64>(), value()).prop_map(|(instances, serial, output)| {
        let mut state = sample();
        state.serial = serial;
        state.outputs.insert("o".into(), OutputRecord { value: output, sensitive: true });
        for (name, key, value, text) in instances {
            let mut record = record(&text, &text);
            record.attributes.insert(text, value.clone());
            record.handle = Some(value).filter(|value| !value.is_null());
            let key = key.map(|key| coxswain_model::Key::Str(key.into()));
            state.instances.insert(address(&format!("file.{name}")).with_key(key), record);
        }
        state
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn snapshots_round_trip_and_are_byte_stable(state in state()) {
        let bytes = bytes_of(&state);
        let back = parse_snapshot(&bytes).expect("parses");
        prop_assert_eq!(&back.state, &state);
        prop_assert_eq!(bytes_of(&back.state), bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_snapshot(&bytes);
        let _ = parse_journal(&bytes);
    }

    #[test]
    fn mutated_bytes_never_panic_and_are_refused(at in any::<prop::sample::Index>(), insert in any::<Vec<u8>>()) {
        let mut bytes = GOLDEN.as_bytes().to_vec();
        let i = at.index(bytes.len());
        bytes.splice(i..i, insert.iter().copied());
        prop_assert!(insert.is_empty() || parse_snapshot(&bytes).is_err());
        let mut bytes = JOURNAL.with(Clone::clone);
        let i = at.index(bytes.len());
        bytes.splice(i..i, insert.iter().copied());
        let _ = parse_journal(&bytes);
    }
}

thread_local! {
    static JOURNAL: Vec<u8> = journal_bytes();
}

#[test]
fn deep_nesting_is_refused_before_it_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = open(dir.path()).expect("opens");
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let change =
        Change::Output { name: "o".into(), output: Some(OutputRecord { value: deep, sensitive: false }) };
    let error = store.edit("test", vec![change], AT).expect_err("is refused");
    assert!(matches!(error, Error::Misfit { .. }), "{error}");
    drop(store);
    open(dir.path()).expect("still opens");
}
