//! Deposits: what is signed, what the deposit contract takes, and the file that the launchpad reads.
//!
//! <https://github.com/ethereum/consensus-specs/blob/dev/specs/phase0/validator.md#submit-deposit>; credentials 0x02:
//! EIP-7251.

use coxswain_dv_crypto::k1::{Address, AddressError};
use serde::{Deserialize, Serialize};

use crate::Root;
use crate::network::{ForkVersion, Network, container, signing_root};
use crate::text;

/// Gwei of one ETH.
pub const GWEI: u64 = 1_000_000_000;
/// The least deposit.
pub const MIN_AMOUNT: u64 = GWEI;
/// What a validator needs to be activated, and the most that one deposit has without compounding.
pub const ACTIVATION_AMOUNT: u64 = 32 * GWEI;
/// The most that one deposit has with compounding (EIP-7251, `MAX_EFFECTIVE_BALANCE_ELECTRA`).
pub const MAX_COMPOUNDING_AMOUNT: u64 = 2048 * GWEI;
/// The version of the tool whose files the launchpad knows.
const CLI_VERSION: &str = "2.7.0";

/// What becomes of rewards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// 0x01: what is above 32 ETH is paid out.
    Execution([u8; 20]),
    /// 0x02: it stays, up to 2048 ETH.
    Compounding([u8; 20]),
}

/// Why a text says nothing of where money goes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// It is as long as an address, and none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is neither.
    #[error(
        "`{text}` is neither an address (0x and 40 digits) nor withdrawal credentials (0x and 64 digits)"
    )]
    Text {
        /// What was given.
        text: String,
    },
    /// Credentials by which no address could withdraw.
    #[error(
        "`{text}` are credentials of another kind: known are 0x01… and 0x02…, eleven zero bytes and an address"
    )]
    Kind {
        /// What was given.
        text: String,
    },
}

impl Credentials {
    /// Reads an address with its checksum, for which `rewards` says what becomes of rewards; or whole credentials, which
    /// say so themselves.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn parse(text: &str, rewards: Rewards) -> Result<Credentials, CredentialsError> {
        if text.len() == "0x".len() + 40 {
            let address = Address::parse_strict(text)?.0;
            return Ok(match rewards {
                Rewards::PaidOut => Credentials::Execution(address),
                Rewards::Compounding => Credentials::Compounding(address),
            });
        }
        let bytes =
            text::bytes::<32>(text).ok_or_else(|| CredentialsError::Text { text: text.to_owned() })?;
        Credentials::from_bytes(bytes).ok_or_else(|| CredentialsError::Kind { text: text.to_owned() })
    }

    /// As they stand in a deposit.
    pub fn to_bytes(self) -> Root {
        let (prefix, address) = match self {
            Credentials::Execution(address) => (1, address),
            Credentials::Compounding(address) => (2, address),
        };
        let mut bytes = [0; 32];
        bytes[0] = prefix;
        bytes[12..].copy_from_slice(&address);
        bytes
    }

    /// Those that an address of the execution layer can withdraw by; none for others.
    pub fn from_bytes(bytes: Root) -> Option<Credentials> {
        let (kind, address) = bytes.split_first_chunk::<12>()?;
        let address = address.try_into().ok()?;
        match kind {
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Some(Credentials::Execution(address)),
            [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Some(Credentials::Compounding(address)),
            _ => None,
        }
    }

    /// Who can withdraw.
    pub fn address(self) -> [u8; 20] {
        match self {
            Credentials::Execution(address) | Credentials::Compounding(address) => address,
        }
    }

    /// The most that one deposit may have.
    pub fn max_amount(self) -> u64 {
        match self {
            Credentials::Execution(_) => ACTIVATION_AMOUNT,
            Credentials::Compounding(_) => MAX_COMPOUNDING_AMOUNT,
        }
    }

    /// Checks the amount of one deposit.
    ///
    /// # Errors
    /// [`AmountError::OutOfRange`].
    pub fn check_amount(self, amount: u64) -> Result<(), AmountError> {
        let max = self.max_amount();
        if (MIN_AMOUNT..=max).contains(&amount) {
            Ok(())
        } else {
            Err(AmountError::OutOfRange { amount, max })
        }
    }
}

/// What a validator's key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositMessage {
    /// The validator's public key.
    pub pubkey: [u8; 48],
    /// Withdrawal credentials.
    pub credentials: Root,
    /// Gwei.
    pub amount: u64,
}

impl DepositMessage {
    /// `hash_tree_root(DepositMessage)`.
    pub fn root(&self) -> Root {
        container(|hasher| {
            hasher.put(&self.pubkey);
            hasher.put(&self.credentials);
            hasher.put_number(self.amount);
        })
    }

    /// What is signed.
    pub fn signing_root(&self, network: &Network) -> Root {
        signing_root(&self.root(), &network.deposit_domain())
    }
}

/// A signed deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositData {
    /// What was signed.
    pub message: DepositMessage,
    /// By the validator's key.
    pub signature: [u8; 96],
}

impl DepositData {
    /// `hash_tree_root(DepositData)`: what the deposit contract checks.
    pub fn root(&self) -> Root {
        container(|hasher| {
            hasher.put(&self.message.pubkey);
            hasher.put(&self.message.credentials);
            hasher.put_number(self.message.amount);
            hasher.put(&self.signature);
        })
    }
}

/// Why amounts cannot be deposited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// One of them.
    #[error("a deposit of {amount} gwei is not between {} and {max} gwei", MIN_AMOUNT)]
    OutOfRange {
        /// The amount.
        amount: u64,
        /// The most there may be.
        max: u64,
    },
    /// All of them together.
    #[error(
        "deposits of {sum} gwei together do not activate a validator, which needs {} gwei",
        ACTIVATION_AMOUNT
    )]
    TooLittle {
        /// Their sum.
        sum: u64,
    },
}

/// Whether one deposit may have more than 32 ETH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewards {
    /// Paid out.
    PaidOut,
    /// Compounding.
    Compounding,
}

/// Checks the amounts of a definition; none at all stands for the usual ones.
///
/// # Errors
/// [`AmountError`].
pub fn check_amounts(amounts: &[u64], rewards: Rewards) -> Result<(), AmountError> {
    let max = match rewards {
        Rewards::PaidOut => ACTIVATION_AMOUNT,
        Rewards::Compounding => MAX_COMPOUNDING_AMOUNT,
    };
    if let Some(amount) = amounts.iter().find(|amount| !(MIN_AMOUNT..=max).contains(amount)) {
        return Err(AmountError::OutOfRange { amount: *amount, max });
    }
    let sum = amounts.iter().fold(0_u64, |sum, amount| sum.saturating_add(*amount));
    if !amounts.is_empty() && sum < ACTIVATION_AMOUNT {
        return Err(AmountError::TooLittle { sum });
    }
    Ok(())
}

/// The amounts that are signed: each once, the least first; the usual ones where none are given.
pub fn signed_amounts(given: &[u64], rewards: Rewards) -> Vec<u64> {
    let usual: &[u64] = match rewards {
        Rewards::PaidOut => &[1, 32],
        Rewards::Compounding => &[1, 8, 32, 256],
    };
    let mut amounts: Vec<u64> =
        if given.is_empty() { usual.iter().map(|eth| eth * GWEI).collect() } else { given.to_vec() };
    amounts.sort_unstable();
    amounts.dedup();
    amounts
}

/// The name of the file with deposits of an amount.
pub fn file_name(amount: u64) -> String {
    if amount == ACTIVATION_AMOUNT {
        return "deposit-data.json".to_owned();
    }
    let (whole, part) = (amount / GWEI, amount % GWEI);
    let part = format!("{part:09}");
    let point = if part.trim_end_matches('0').is_empty() { "" } else { "." };
    format!("deposit-data-{whole}{point}{}eth.json", part.trim_end_matches('0'))
}

/// Why deposits are no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no deposit to write")]
    Empty,
    /// They have different amounts.
    #[error("a file holds deposits of one amount, and these have {first} and {other} gwei")]
    Mixed {
        /// The first amount.
        first: u64,
        /// Another.
        other: u64,
    },
    /// It is no such file.
    #[error("it is no deposit data: {0}")]
    Malformed(String),
    /// A field of a deposit.
    #[error("deposit {position}: {field}: {why}")]
    Field {
        /// From 0.
        position: usize,
        /// Its name.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// A deposit as a file has it, in this order.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    pubkey: String,
    withdrawal_credentials: String,
    amount: u64,
    signature: String,
    deposit_message_root: String,
    deposit_data_root: String,
    fork_version: String,
    network_name: String,
    deposit_cli_version: String,
}

/// The text of a file, in the order of public keys. The caller has verified the signatures.
///
/// # Errors
/// When there is none, or they are of several amounts.
pub fn to_text(deposits: &[DepositData], network: &Network) -> Result<String, FileError> {
    let first = deposits.first().ok_or(FileError::Empty)?.message.amount;
    if let Some(other) = deposits.iter().map(|d| d.message.amount).find(|amount| *amount != first) {
        return Err(FileError::Mixed { first, other });
    }
    let mut ordered: Vec<&DepositData> = deposits.iter().collect();
    ordered.sort_by_key(|deposit| deposit.message.pubkey);
    let entry = |deposit: &&DepositData| Entry {
        pubkey: hex::encode(deposit.message.pubkey),
        withdrawal_credentials: hex::encode(deposit.message.credentials),
        amount: deposit.message.amount,
        signature: hex::encode(deposit.signature),
        deposit_message_root: hex::encode(deposit.message.root()),
        deposit_data_root: hex::encode(deposit.root()),
        fork_version: hex::encode(network.genesis_fork_version),
        network_name: network.name.to_string(),
        deposit_cli_version: CLI_VERSION.to_owned(),
    };
    let entries: Vec<Entry> = ordered.iter().map(entry).collect();
    Ok(text::pretty(&entries))
}

/// A deposit that was read, and whose roots are those of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadDeposit {
    /// The deposit; its signature is not verified yet.
    pub data: DepositData,
    /// The genesis fork version that it is for.
    pub fork_version: ForkVersion,
    /// The network's name as written.
    pub network_name: String,
}

/// Reads a file.
///
/// # Errors
/// The first thing that is wrong; a root that is not the content's is one.
pub fn parse(text: &[u8]) -> Result<Vec<ReadDeposit>, FileError> {
    let entries: Vec<Entry> =
        serde_json::from_slice(text).map_err(|error| FileError::Malformed(error.to_string()))?;
    entries.into_iter().enumerate().map(|(position, entry)| read_entry(position, entry)).collect()
}

fn read_entry(position: usize, entry: Entry) -> Result<ReadDeposit, FileError> {
    let data = DepositData {
        message: DepositMessage {
            pubkey: fixed(position, "pubkey", &entry.pubkey)?,
            credentials: fixed(position, "withdrawal_credentials", &entry.withdrawal_credentials)?,
            amount: entry.amount,
        },
        signature: fixed(position, "signature", &entry.signature)?,
    };
    let roots = [
        ("deposit_message_root", &entry.deposit_message_root, data.message.root()),
        ("deposit_data_root", &entry.deposit_data_root, data.root()),
    ];
    for (field, text, computed) in roots {
        if fixed::<32>(position, field, text)? != computed {
            let why = format!("it is {text}, and that of the deposit is {}", hex::encode(computed));
            return Err(FileError::Field { position, field, why });
        }
    }
    let fork_version = fixed(position, "fork_version", &entry.fork_version)?;
    Ok(ReadDeposit { data, fork_version, network_name: entry.network_name })
}

fn fixed<const N: usize>(position: usize, field: &'static str, text: &str) -> Result<[u8; N], FileError> {
    let why = || FileError::Field { position, field, why: format!("it is not {N} bytes in hex") };
    text::bytes(text).ok_or_else(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NETWORKS;

    fn deposit(key: u8, amount: u64) -> DepositData {
        let credentials = Credentials::Execution([7; 20]).to_bytes();
        let message = DepositMessage { pubkey: [key; 48], credentials, amount };
        DepositData { message, signature: [key; 96] }
    }

    #[test]
    fn files_are_named_after_their_amount() {
        for (amount, name) in [
            (32 * GWEI, "deposit-data.json"),
            (GWEI, "deposit-data-1eth.json"),
            (256 * GWEI, "deposit-data-256eth.json"),
            (32 * GWEI - 1, "deposit-data-31.999999999eth.json"),
            (GWEI + GWEI / 2, "deposit-data-1.5eth.json"),
            (GWEI + 10, "deposit-data-1.00000001eth.json"),
        ] {
            assert_eq!(file_name(amount), name);
        }
    }

    #[test]
    fn amounts_are_bounded() {
        let says = |amounts: &[u64], rewards, expected: Option<&str>| {
            let error = check_amounts(amounts, rewards).err().map(|e| e.to_string());
            match (&error, expected) {
                (None, None) => {}
                (Some(error), Some(expected)) if error.contains(expected) => {}
                other => panic!("{amounts:?}: {other:?}"),
            }
        };
        says(&[], Rewards::PaidOut, None);
        says(&[16 * GWEI, 16 * GWEI], Rewards::PaidOut, None);
        says(&[2048 * GWEI], Rewards::Compounding, None);
        says(
            &[48 * GWEI],
            Rewards::PaidOut,
            Some("48000000000 gwei is not between 1000000000 and 32000000000"),
        );
        says(&[2049 * GWEI], Rewards::Compounding, Some("not between"));
        says(&[1], Rewards::PaidOut, Some("not between"));
        says(&[16 * GWEI], Rewards::PaidOut, Some("16000000000 gwei together do not activate"));
        says(&[2048 * GWEI; 9], Rewards::Compounding, None);
        assert_eq!(signed_amounts(&[31, 1, 31], Rewards::PaidOut), [1, 31]);
        assert_eq!(signed_amounts(&[], Rewards::Compounding), [1, 8, 32, 256].map(|eth| eth * GWEI));
    }

    #[test]
    fn what_is_written_is_read_in_the_order_of_keys() {
        let network = &NETWORKS[5];
        let text = to_text(&[deposit(9, GWEI), deposit(3, GWEI)], network).expect("one amount");
        let read = parse(text.as_bytes()).expect("its own text");
        let data: Vec<&DepositData> = read.iter().map(|read| &read.data).collect();
        assert_eq!(data, [&deposit(3, GWEI), &deposit(9, GWEI)]);
        assert_eq!((read[0].fork_version, read[0].network_name.as_str()), ([0x10, 0, 0x09, 0x10], "hoodi"));
        assert_eq!(to_text(&[], network), Err(FileError::Empty));
        let mixed = to_text(&[deposit(1, GWEI), deposit(2, 2 * GWEI)], network);
        assert_eq!(mixed, Err(FileError::Mixed { first: GWEI, other: 2 * GWEI }));
    }

    #[test]
    fn credentials_are_read_or_of_nobody() {
        for credentials in [Credentials::Execution([7; 20]), Credentials::Compounding([0; 20])] {
            assert_eq!(Credentials::from_bytes(credentials.to_bytes()), Some(credentials));
        }
        let right = Credentials::Execution([7; 20]).to_bytes();
        for (at, byte) in [(0, 0), (0, 3), (0, 255), (1, 1), (11, 1)] {
            let mut bytes = right;
            bytes[at] = byte;
            assert_eq!(Credentials::from_bytes(bytes), None, "{at}");
        }
        let address = "0x388C818CA8B9251b393131C08a736A67ccB19297";
        let parse = |text: &str, rewards| Credentials::parse(text, rewards).map_err(|e| e.to_string());
        let paid_out = parse(address, Rewards::PaidOut).expect("an address");
        let Credentials::Execution(bytes) = paid_out else { panic!("{paid_out:?}") };
        assert_eq!(parse(address, Rewards::Compounding), Ok(Credentials::Compounding(bytes)));
        // Whole credentials say themselves what becomes of rewards.
        let whole = format!("0x{}", hex::encode(paid_out.to_bytes()));
        assert_eq!(parse(&whole, Rewards::Compounding), Ok(paid_out));
        assert_eq!(parse(&whole[2..], Rewards::PaidOut), Ok(paid_out));
        let says = |text: &str, expected: &str| {
            let error = parse(text, Rewards::PaidOut).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        says(&address.to_lowercase(), address);
        says(&format!("{}g", &address[..41]), "0x388C818CA8B9251b393131C08a736A67ccB1929g");
        says(&whole[..64], "is neither an address");
        says("", "is neither an address");
        says(&whole.replace("0x01", "0x00"), "credentials of another kind");
        says(&whole.replacen("0x0100", "0x0101", 1), "credentials of another kind");
        let check = |credentials: Credentials, amount| credentials.check_amount(amount).is_ok();
        let (paid, kept) = (Credentials::Execution([7; 20]), Credentials::Compounding([7; 20]));
        assert!(check(paid, GWEI) && check(paid, 32 * GWEI) && check(kept, 2048 * GWEI));
        assert!(!check(paid, GWEI - 1) && !check(paid, 32 * GWEI + 1) && !check(kept, 2048 * GWEI + 1));
    }

    /// Every byte of a deposit is under its root.
    #[test]
    fn a_changed_field_is_seen() {
        let text = to_text(&[deposit(3, GWEI)], &NETWORKS[5]).expect("one amount");
        for (field, from, to) in [
            ("deposit_message_root", "\"03030303", "\"13030303"),
            ("deposit_message_root", "\"01000000", "\"02000000"),
            ("deposit_message_root", "1000000000,", "1000000001,"),
            ("deposit_data_root", "\"signature\": \"0303", "\"signature\": \"0313"),
        ] {
            assert!(text.contains(from), "{text}");
            let error = parse(text.replacen(from, to, 1).as_bytes()).expect_err(field).to_string();
            assert!(error.starts_with(&format!("deposit 0: {field}: it is ")), "{error}");
        }
        let error = parse(text.replace("\"pubkey\": \"03", "\"pubkey\": \"").as_bytes()).expect_err("short");
        assert_eq!(error.to_string(), "deposit 0: pubkey: it is not 48 bytes in hex");
    }
}
