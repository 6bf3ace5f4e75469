//! What `deposit sign` and `deposit fetch` share: their flags, the lock, the validators that are meant, the API.

use std::error::Error as _;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use coxswain_dv_crypto::k1::Address;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::deposit::{Credentials, DepositData, GWEI};
use coxswain_dv_types::network::{Network, Networks};

use super::super::Cx;
use super::super::error::CliError;
use super::forms;
use super::servers;
use crate::dv::combine::{self, CombineFailure};
use crate::dv::deposits::Api;
use crate::dv::http;

/// Flags of both.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DepositArgs {
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    execution_client_rpc_endpoint: String,
    /// The lock of the cluster
    #[arg(long, value_name = "FILE", default_value = ".charon/cluster-lock.json")]
    lock_file: PathBuf,
    /// The key of the node
    #[arg(long, value_name = "FILE", default_value = ".charon/charon-enr-private-key")]
    pub(super) private_key_file: PathBuf,
    /// The API
    #[arg(long, value_name = "URL", default_value = "https://api.obol.tech/v1")]
    publish_address: String,
    /// How long one request to the API may take
    #[arg(long, value_name = "TIME", default_value = "5m0s", value_parser = forms::parse_duration)]
    publish_timeout: Duration,
    /// The directory of the node's keystores
    #[arg(long, value_name = "DIR", default_value = ".charon/validator_keys")]
    pub(super) validator_keys_dir: PathBuf,
    /// Public keys of the validators
    #[arg(long, value_name = "KEY", required = true)]
    validator_public_keys: Vec<String>,
}

/// A cluster, and the validators of it that are meant.
pub(super) struct Meant {
    pub(super) lock: Lock,
    pub(super) network: Network,
    /// Positions in the lock, each once, in the order of the flag.
    pub(super) positions: Vec<usize>,
}

impl DepositArgs {
    pub(super) fn api(&self) -> Result<Api, CliError> {
        Ok(Api { at: servers::api(&self.publish_address)?, timeout: self.publish_timeout })
    }

    /// Where it is, for people.
    pub(super) fn api_shown(&self) -> String {
        http::parse_url(&self.publish_address).map_or_else(|_| String::new(), |url| http::shown(&url))
    }

    pub(super) fn meant(&self, cx: &Cx) -> Result<Meant, CliError> {
        let networks = Networks::default();
        let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let path = cx.root.join(&self.lock_file);
        let (lock, checked) = combine::read_lock(&path, &networks).map_err(lock_failed)?;
        let what = || format!("checking the lock {}", path.display());
        let questions =
            checked.map_err(|problem| CliError::other(what(), problem, "take the lock of another node"))?;
        cx.block_on(async {
            contracts.settle(&questions).await.map_err(|unsettled| {
                let next = unsettled.next();
                CliError::other(what(), unsettled, next)
            })
        })?;
        let network = lock.definition.network(&networks).map_err(|problem| {
            CliError::other(
                "finding the network of the lock",
                problem,
                "deposits are signed for known networks alone",
            )
        })?;
        let network = network.clone();
        let mut positions = Vec::with_capacity(self.validator_public_keys.len());
        for text in &self.validator_public_keys {
            let position = position_of(&lock, text)?;
            if positions.contains(&position) {
                return Err(wrong_key(text, "it is given twice", "give each key once"));
            }
            positions.push(position);
        }
        Ok(Meant { lock, network, positions })
    }
}

fn wrong_key(text: &str, why: impl Display, next: &str) -> CliError {
    CliError::other(format!("reading `{text}` of --validator-public-keys"), why, next)
}

fn position_of(lock: &Lock, text: &str) -> Result<usize, CliError> {
    let next = "give 48 bytes in hex, as `distributed_public_key` in the lock";
    let mut key = [0; 48];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut key)
        .map_err(|_| wrong_key(text, "it is no public key of a validator", next))?;
    let found = lock.validators.iter().position(|validator| *validator.public_key == key);
    found.ok_or_else(|| wrong_key(text, "it is the key of no validator of the lock", next))
}

fn lock_failed(failure: CombineFailure) -> CliError {
    let why = failure.source().map(ToString::to_string);
    let next = "give the lock of the cluster with --lock-file";
    match failure {
        CombineFailure::Lock { path, source } => {
            CliError::other(format!("reading the lock {}", path.display()), source, next)
        }
        other => CliError::other(other.to_string(), why.unwrap_or_default(), next),
    }
}

/// An amount as people write it.
pub(super) fn eth(gwei: u64) -> String {
    let (whole, part) = (gwei / GWEI, format!("{:09}", gwei % GWEI));
    match part.trim_end_matches('0') {
        "" => format!("{whole} ETH"),
        part => format!("{whole}.{part} ETH"),
    }
}

/// What became of a validator's deposits, one line for each: `0x… 8 ETH to 0x… (0x01)`.
pub(super) fn lines(deposits: &[DepositData]) -> String {
    let line = |data: &DepositData| {
        let message = &data.message;
        let to = match Credentials::from_bytes(message.credentials) {
            Some(Credentials::Execution(to)) => format!("{} (0x01: rewards are paid out)", Address(to)),
            Some(Credentials::Compounding(to)) => format!("{} (0x02: rewards compound)", Address(to)),
            None => format!("0x{}", hex::encode(message.credentials)),
        };
        format!("  0x{}  {} to {to}\n", hex::encode(message.pubkey), eth(message.amount))
    };
    deposits.iter().map(line).collect()
}

/// The same for machines.
pub(super) fn entries(deposits: &[DepositData]) -> Vec<serde_json::Value> {
    let entry = |data: &DepositData| {
        serde_json::json!({
            "validator": format!("0x{}", hex::encode(data.message.pubkey)),
            "withdrawal_credentials": format!("0x{}", hex::encode(data.message.credentials)),
            "amount_gwei": data.message.amount,
        })
    };
    deposits.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_without_zeros_behind() {
        for (gwei, text) in
            [(GWEI, "1 ETH"), (32 * GWEI, "32 ETH"), (GWEI + GWEI / 2, "1.5 ETH"), (1, "0.000000001 ETH")]
        {
            assert_eq!(eth(gwei), text);
        }
    }
}
