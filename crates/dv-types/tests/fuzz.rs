//! Foreign bytes: never a panic. As a plain test each runs for a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_dv_types::cluster::{Definition, Lock, VERSIONS};
use coxswain_dv_types::json::Json;
use coxswain_dv_types::network::Networks;
use coxswain_dv_types::{deposit, enr, keylock, text};
use jiff::Timestamp;
use mutate::mutate;

/// EIP-778, "Test Vectors".
const RECORD: &str = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";

#[test]
fn records() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(RECORD.as_bytes(), script, &["enr:", "_", "=", "gmlk", "A", "ÿ"]);
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(read) = enr::parse(&text) {
            assert_eq!(enr::parse(read.text()).as_ref(), Ok(&read), "{text}");
        }
    });
}

#[test]
fn deposits() {
    const FILE: &[u8] = br#"[{"pubkey": "00", "withdrawal_credentials": "01", "amount": 1000000000, "signature": "02",
"deposit_message_root": "03", "deposit_data_root": "04", "fork_version": "00000000", "network_name": "mainnet",
"deposit_cli_version": "2.7.0"}]"#;
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let bytes = mutate(FILE, script, &["\"pubkey\"", "1e9", "-1", "null", "[]", "{}", "0x", ","]);
        if let Ok(read) = deposit::parse(&bytes) {
            assert!(read.iter().all(|read| read.data.message.root() != [0; 32]));
        }
    });
}

/// Whatever the file says, a claim that is as old as `now` is never free, and what is read is written and read again.
#[test]
fn claims() {
    const FILE: &[u8] = br#"{"command":"charon run","timestamp":"2026-08-21T10:26:51.123456789+02:00","cluster_lock_hash":"0xab"}"#;
    const TIMES: &[&str] = &[
        "-009999-01-02T01:59:59Z",
        "9999-12-30T22:00:00.999999999Z",
        "0001-01-01T00:00:00Z",
        "2026-08-21T24:00:00+25:59",
        "null",
        "\"timestamp\"",
        "{}",
        "\\u0000",
        ",",
    ];
    let ends = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX];
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let text = mutate(FILE, script, TIMES);
        let claim = match keylock::parse(&text) {
            Ok(claim) => claim,
            Err(error) => return assert!(!error.to_string().is_empty()),
        };
        for now in ends {
            if let Err(refusal) = claim.check(now, "0xab") {
                assert!(refusal.to_string().contains(&claim.command));
            }
        }
        assert!(claim.check(claim.timestamp, &claim.cluster_lock_hash).is_err());
        assert_eq!(keylock::parse(claim.to_text().as_bytes()), Ok(claim));
    });
}

/// Words that files of clusters have, or should not.
const WORDS: &[&str] = &[
    "null",
    "[]",
    "{}",
    "\"\"",
    "\"0x\"",
    "-1",
    "1.5",
    "1e99",
    "\"1\"",
    "18446744073709551616",
    "\\ud800",
    "v1.0.0",
    "v1.2.0",
    "v1.3.0",
    "v1.4.0",
    "v1.5.0",
    "v1.6.0",
    "v1.7.0",
    "v1.8.0",
    "v1.9.0",
    "v1.10.0",
    "v1.11.0",
    ",",
    "[[",
    "\"nonce\":1,",
    "\"num_validators\":99999999999,",
    "AAAA",
    "0x00",
    "true",
    "\"32000000000\"",
    "ÿ",
];

/// A definition with something of every version; which one it is, a change of the version decides.
const DEFINITION: &str = r#"{"name":"a","creator":{"address":"","config_signature":""},"operators":[{"address":
"0x86b8145c98e5bd25ba722645b15ed65f024a87ec","enr":"enr:-","nonce":0,"config_signature":"","enr_signature":""},{}],"uuid":
"u","version":"v1.11.0","timestamp":"t","num_validators":1,"threshold":2,"fee_recipient_address":"","withdrawal_address":
"","validators":[{"fee_recipient_address":"","withdrawal_address":""}],"dkg_algorithm":"default","fork_version":
"0x90000069","deposit_amounts":["32000000000"],"consensus_protocol":"qbft","target_gas_limit":1,"compounding":true,
"config_hash":"","definition_hash":""}"#;

fn versions(script: &[u8]) -> &'static str {
    let version = script.first().map_or(0, |byte| usize::from(*byte) % VERSIONS.len());
    VERSIONS[version].name
}

/// Whether every number is whole: nobody writes others, and reading them may lose digits.
fn is_whole(json: &Json) -> bool {
    match json {
        Json::Number(number) => !number.is_f64(),
        Json::List(items) => items.iter().all(is_whole),
        Json::Object(members) => members.iter().all(|(_, value)| is_whole(value)),
        Json::Null | Json::Flag(_) | Json::Text(_) => true,
    }
}

#[test]
fn trees() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let text = mutate(DEFINITION.as_bytes(), script, WORDS);
        if let Ok(json) = Json::parse(&text)
            && is_whole(&json)
        {
            let written = text::compact(&json);
            assert_eq!(Json::parse(written.as_bytes()), Ok(json), "{written}");
        }
    });
}

#[test]
fn definitions() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let sample = DEFINITION.replace("v1.11.0", versions(script));
        let text = mutate(sample.as_bytes(), script.get(1..).unwrap_or_default(), WORDS);
        let Ok(definition) = Definition::parse(&text) else { return };
        drop(definition.verify(&Networks::default()));
        let Ok(definition) = definition.with_hashes() else { return };
        let written = definition.to_json().expect("it has hashes");
        // One pair for no validator is nowhere.
        assert_eq!(Definition::parse(written.as_bytes()), Ok(definition), "{written}");
    });
}

#[test]
fn locks() {
    const VALIDATOR: &str = r#"{"distributed_public_key":"0xab","public_shares":["","0x01"],"deposit_data":{"pubkey":"",
"withdrawal_credentials":"","amount":"0","signature":""},"builder_registration":{"message":{"fee_recipient":"","gas_limit"
:1,"timestamp":2,"pubkey":""},"signature":""},"partial_deposit_data":[{"amount":"1"}]}"#;
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let definition = DEFINITION.replace("v1.11.0", versions(script));
        let sample = format!(
            r#"{{"cluster_definition":{definition},"distributed_validators":[{VALIDATOR}],"signature_aggregate":"","lock_hash":"","node_signatures":[]}}"#
        );
        let text = mutate(sample.as_bytes(), script.get(1..).unwrap_or_default(), WORDS);
        let Ok(lock) = Lock::parse(&text) else { return };
        // None that a generator hits on is signed, but those that need not be.
        let verdict = lock.verify_signatures(&Networks::default());
        assert!(verdict.is_err() || lock.signature_aggregate.is_empty(), "{lock:?}");
        let Ok(lock) = lock.with_hashes() else { return };
        let written = lock.to_json().expect("it has hashes");
        assert_eq!(Lock::parse(written.as_bytes()), Ok(lock), "{written}");
    });
}
