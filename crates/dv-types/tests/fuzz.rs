//! Foreign bytes: never a panic. As a plain test each runs for a second, or as long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_dv_types::{deposit, enr};
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
