//! Flags of `create cluster`: the directories of all nodes, made in one place.

use std::path::PathBuf;

use super::network::TestnetArgs;

/// Make the directories of all nodes of a cluster in one place
#[derive(Debug, clap::Parser)]
#[command(name = "cluster")]
pub struct CreateCluster {
    /// Where the directories of the nodes are made
    #[arg(long, value_name = "DIR", default_value = "./")]
    pub cluster_dir: PathBuf,
    /// Withdrawal credentials that compound (0x02)
    #[arg(long)]
    pub compounding: bool,
    /// The consensus protocol that the cluster prefers
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub consensus_protocol: String,
    /// A definition, as a file or URL, in place of the flags that describe the cluster
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub definition_file: String,
    /// Amounts of deposits in whole ETH
    #[arg(long, value_name = "ETH")]
    pub deposit_amounts: Vec<i64>,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub execution_client_rpc_endpoint: String,
    /// Who gets the fees: one address for all validators, or one for each
    #[arg(long, value_name = "ADDRESS")]
    pub fee_recipient_addresses: Vec<String>,
    /// Keystores that are written fast and protect nothing; for tests
    #[arg(long)]
    pub insecure_keys: bool,
    /// The keymanager of each node, to which its keys go in place of files
    #[arg(long, value_name = "URL")]
    pub keymanager_addresses: Vec<String>,
    /// The token of each keymanager
    #[arg(long, value_name = "TOKEN")]
    pub keymanager_auth_tokens: Vec<String>,
    /// The name of the cluster
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub name: String,
    /// The network
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    pub network: String,
    /// How many nodes, at least 3
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub nodes: i64,
    /// How many validators
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub num_validators: i64,
    /// Send the lock to the API
    #[arg(long)]
    pub publish: bool,
    /// The API
    #[arg(long, value_name = "URL", default_value = "https://api.obol.tech/v1")]
    pub publish_address: String,
    /// Share keys that are there already, in place of new ones
    #[arg(long)]
    pub split_existing_keys: bool,
    /// Where their keystores are
    #[arg(long, value_name = "DIR", default_value = "", hide_default_value = true)]
    pub split_keys_dir: String,
    /// The gas limit that builders are asked for
    #[arg(long, value_name = "GAS", default_value_t = 60_000_000)]
    pub target_gas_limit: u64,
    /// A network of one's own.
    #[command(flatten)]
    pub testnet: TestnetArgs,
    /// How many nodes must sign; without it, two thirds of them, rounded up
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub threshold: i64,
    /// Where withdrawals go: one address for all validators, or one for each
    #[arg(long, value_name = "ADDRESS")]
    pub withdrawal_addresses: Vec<String>,
    /// Pack everything into one archive
    #[arg(long)]
    pub zipped: bool,
}
