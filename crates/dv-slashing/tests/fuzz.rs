//! Foreign bytes: never a panic. As a plain test each runs for a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_dv_slashing::interchange::Interchange;
use mutate::mutate;

/// Words that histories have, or should not.
const WORDS: &[&str] = &[
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"0x\"",
    "\"-1\"",
    "18446744073709551616",
    "\"signing_root\":null,",
    "\"slot\"",
    "\\u0000",
    ",",
    "[[[[",
];

/// Whatever is read is written so that it is read again, and no record is lost.
#[test]
fn histories() {
    let key = hex::encode([7; 48]);
    let root = hex::encode([9; 32]);
    let text = format!(
        r#"{{"metadata":{{"interchange_format_version":"5","genesis_validators_root":"0x{root}"}},"data":[{{"pubkey":
"0x{key}","signed_blocks":[{{"slot":"7","signing_root":"0x{root}"}},{{"slot":"8"}}],"signed_attestations":
[{{"source_epoch":"1","target_epoch":"2","signing_root":"0x{root}"}},{{"source_epoch":"2","target_epoch":"3"}}]}}]}}"#
    );
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(text.as_bytes(), script, WORDS);
        if let Ok(read) = Interchange::parse(&bytes) {
            assert_eq!(Interchange::parse(read.to_text().as_bytes()).expect("written"), read);
            let records = read.entries.iter().map(|entry| entry.blocks.len() + entry.attestations.len());
            let named = String::from_utf8_lossy(&bytes).matches("\"slot\"").count();
            assert!(records.sum::<usize>() <= named + 2 + bytes.len() / 20);
        }
    });
}
