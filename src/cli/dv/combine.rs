//! Flags of `combine`: the whole keys of validators, from the shares of the nodes.

use std::path::PathBuf;

use super::network::TestnetArgs;

/// Combine the shares of a cluster's nodes to the validators' whole keys
#[derive(Debug, clap::Parser)]
#[command(name = "combine")]
pub struct Combine {
    /// The directory with one directory for each node, or for enough of them
    #[arg(long, value_name = "DIR", default_value = "./")]
    pub cluster_dir: PathBuf,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub execution_client_rpc_endpoint: String,
    /// Remove the keystores that are in the output directory
    #[arg(long)]
    pub force: bool,
    /// Do not check the hashes and signatures of the locks
    #[arg(long)]
    pub no_verify: bool,
    /// Where the keystores of the validators are written
    #[arg(long, value_name = "DIR", default_value = "./validator_keys")]
    pub output_dir: PathBuf,
    /// A network of one's own.
    #[command(flatten)]
    pub testnet: TestnetArgs,
}
