//! Flags of `create dkg`: the definition of a cluster whose operators make their keys together.

use std::path::PathBuf;

use super::network::TestnetArgs;

/// Make the definition with which operators begin a ceremony
#[derive(Debug, clap::Parser)]
#[command(name = "dkg")]
pub struct CreateDkg {
    /// Withdrawal credentials that compound (0x02)
    #[arg(long)]
    pub compounding: bool,
    /// The consensus protocol that the cluster prefers
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub consensus_protocol: String,
    /// Amounts of deposits in whole ETH
    #[arg(long, value_name = "ETH")]
    pub deposit_amounts: Vec<i64>,
    /// How keys are made: default, frost or pedersen
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub dkg_algorithm: String,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub execution_client_rpc_endpoint: String,
    /// Who gets the fees: one address for all validators, or one for each
    #[arg(long, value_name = "ADDRESS")]
    pub fee_recipient_addresses: Vec<String>,
    /// The name of the cluster
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub name: String,
    /// The network
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    pub network: String,
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub num_validators: i64,
    /// Addresses of the operators, with --publish
    #[arg(long, value_name = "ADDRESS")]
    pub operator_addresses: Vec<String>,
    /// Node records of the operators
    #[arg(long, value_name = "ENR")]
    pub operator_enrs: Vec<String>,
    /// Where the definition is written
    #[arg(long, value_name = "DIR", default_value = ".charon")]
    pub output_dir: PathBuf,
    /// Send the definition to the API, in place of a file
    #[arg(long)]
    pub publish: bool,
    /// The API
    #[arg(long, value_name = "URL", default_value = "https://api.obol.tech/v1")]
    pub publish_address: String,
    /// The gas limit that builders are asked for
    #[arg(long, value_name = "GAS", default_value_t = 60_000_000)]
    pub target_gas_limit: u64,
    /// A network of one's own.
    #[command(flatten)]
    pub testnet: TestnetArgs,
    /// How many nodes must sign; without it, two thirds of them, rounded up
    #[arg(long, short = 't', value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub threshold: i64,
    /// Where withdrawals go: one address for all validators, or one for each
    #[arg(long, value_name = "ADDRESS")]
    pub withdrawal_addresses: Vec<String>,
}
