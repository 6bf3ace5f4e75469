//! Flags for a network that is not in the table of networks.

/// A network of one's own; it counts when all four are given.
#[derive(Debug, Clone, clap::Args)]
pub struct TestnetArgs {
    /// Chain id of a network of your own
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub testnet_chain_id: u64,
    /// Genesis fork version of a network of your own, 4 bytes in hex
    #[arg(long, value_name = "HEX", default_value = "", hide_default_value = true)]
    pub testnet_fork_version: String,
    /// Genesis time of a network of your own, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    pub testnet_genesis_timestamp: i64,
    /// Name of a network of your own; it counts when all four --testnet flags are given
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub testnet_name: String,
}
