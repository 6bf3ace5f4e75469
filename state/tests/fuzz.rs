//! Fuzz targets of the readers: damaged files as they are, and with their checksums made right again, so that
//! damage reaches what lies behind them. As a plain test each runs
//! for a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../tests/support/mutate.rs"]
mod mutate;
mod support;

use coxswain_state::*;
use mutate::mutate;
use sha2::{Digest, Sha256};
use support::*;

const SNAPSHOT: &[u8] = include_bytes!("golden/state.json");

const WORDS: &[&str] = &[
    "null",
    "true",
    "1e999",
    "-0.0",
    "0.1",
    "18446744073709551616",
    "\"",
    "{}",
    "[]",
    "\"a\":",
    ",",
    "}",
    "{",
    "\n",
    "\\u0000",
    "\\ud800",
    "é",
    "\"file.motd\"",
    "\"put\"",
    "\"remove\"",
    "\"intent\"",
    "\"outcome\"",
    "\"begin\"",
    "\"end\"",
    "\"claim\"",
    "\"indeterminate\"",
    "\"lineage\":",
    "\"serial\":",
    "\"entry\":",
    "[[[[[[[[[[",
];

fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The snapshot with the checksum of what is before it.
fn sealed_snapshot(bytes: &[u8]) -> Vec<u8> {
    let mark = b"\"sum\":\"sha256:";
    let end = bytes.windows(mark.len()).rposition(|w| w == mark).unwrap_or(bytes.len());
    let body = &bytes[..end];
    let mut out = body.to_vec();
    out.extend_from_slice(format!("\"sum\":\"sha256:{}\"}}\n", hex(body)).as_bytes());
    out
}

/// A journal of these entries, with its checksums.
fn sealed_journal<'e>(entries: impl Iterator<Item = &'e [u8]>) -> Vec<u8> {
    let body = format!("{{\"format\":{FORMAT},\"lineage\":\"l\",\"base\":0,");
    let mut sum = hex(body.as_bytes());
    let mut out = format!("{body}\"sum\":\"{sum}\"}}\n").into_bytes();
    for (i, entry) in entries.enumerate() {
        sum = hex(&[sum.as_bytes(), entry].concat());
        out.extend_from_slice(format!("{{\"seq\":{},\"sum\":\"{sum}\",\"entry\":", i + 1).as_bytes());
        out.extend_from_slice(entry);
        out.extend_from_slice(b"}\n");
    }
    out
}

/// Entries of a run that was not ended, each on a line.
fn entries() -> Vec<u8> {
    let entries = [
        Entry::RunBegin(begin("r1")),
        Entry::Intent(Box::new(intent("a", "create"))),
        Entry::Outcome(outcome("a", "create", vec![put("a", "x")])),
        Entry::Intent(Box::new(intent("b", "create"))),
    ];
    let lines: Vec<String> = entries.iter().map(|e| serde_json::to_string(e).expect("an entry")).collect();
    lines.join("\n").into_bytes()
}

#[test]
fn snapshots() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(SNAPSHOT, script, WORDS);
        assert!(parse_snapshot(&bytes).is_err() || bytes == SNAPSHOT, "damage was not seen");
        let Ok(read) = parse_snapshot(&sealed_snapshot(&bytes)) else { return };
        let again = parse_snapshot(&read.to_bytes()).expect("what was read can be written");
        assert_eq!(again, read, "it reads back as it was written");
    });
}

#[test]
fn journals() {
    let (entries, whole) = (entries(), sealed_journal(entries().split(|b| *b == b'\n')));
    assert_eq!(parse_journal(&whole).expect("a whole journal").entries.len(), 4);
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        // A beginning of a journal is one that a crash left.
        let damaged = mutate(&whole, script, WORDS);
        if let Ok(read) = parse_journal(&damaged) {
            assert!(whole.starts_with(&damaged[..damaged.len() - read.torn]), "damage was not seen");
        }
        let damaged = mutate(&entries, script, WORDS);
        let sealed = sealed_journal(damaged.split(|b| *b == b'\n'));
        let Ok(read) = parse_journal(&sealed) else { return };
        let mut state = State::new("l");
        if fold(&mut state, &read.entries).is_ok() {
            let bytes = Snapshot { state: state.clone(), folded: None }.to_bytes();
            assert_eq!(parse_snapshot(&bytes).expect("a folded state can be read").state, state);
        }
    });
}
