//! What `create cluster` and `create dkg` share: from flags to a definition.

use std::path::Path;

use coxswain_dv_types::cluster::{
    self, Creator, Definition, LowThreshold, NewDefinition, Operator, Refused, Version,
};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::network::{Network, Networks};
use rand::RngExt as _;

use super::super::error::CliError;
use super::network::TestnetArgs;

/// Largest definition that is read: what a server may send, too.
const MAX_DEFINITION_BYTES: u64 = 16 << 20;

/// What is not built yet is said, and nothing is done half.
pub(super) fn not_yet(flag: &str, next: &str) -> CliError {
    CliError::other(format!("using --{flag}"), "this version cannot do that yet", next)
}

/// The networks there are, with one of one's own.
pub(super) fn networks(own: &TestnetArgs) -> Result<Networks, CliError> {
    let given = [
        own.testnet_chain_id != 0,
        !own.testnet_fork_version.is_empty(),
        own.testnet_genesis_timestamp != 0,
        !own.testnet_name.is_empty(),
    ];
    if !given.contains(&true) {
        return Ok(Networks::default());
    }
    if given.contains(&false) {
        return Err(CliError::other(
            "reading the network of your own",
            "not all four of --testnet-chain-id, --testnet-fork-version, --testnet-genesis-timestamp and --testnet-name \
             are given",
            "give all four, or none",
        ));
    }
    let wrong = |flag: &str, why: &str| CliError::other(format!("reading --{flag}"), why, "see --help");
    let hex_text = &own.testnet_fork_version;
    let mut version = [0; 4];
    hex::decode_to_slice(hex_text.strip_prefix("0x").unwrap_or(hex_text), &mut version)
        .map_err(|_| wrong("testnet-fork-version", "it is not 4 bytes in hex"))?;
    let genesis_time = u64::try_from(own.testnet_genesis_timestamp)
        .map_err(|_| wrong("testnet-genesis-timestamp", "it is negative"))?;
    Ok(Networks::with(Network {
        name: own.testnet_name.clone().into(),
        chain_id: own.testnet_chain_id,
        genesis_fork_version: version,
        capella_fork_version: None,
        genesis_time,
        slot_seconds: 12,
    }))
}

/// The network that is meant: one of one's own counts more than `--network`.
pub(super) fn network<'n>(
    networks: &'n Networks,
    own: &TestnetArgs,
    name: &str,
) -> Result<&'n Network, CliError> {
    let name = if own.testnet_name.is_empty() { name } else { &own.testnet_name };
    networks.named(name).ok_or_else(|| {
        CliError::other(
            "finding the network",
            format!("`{name}` is not known"),
            "use mainnet, gnosis, chiado, sepolia or hoodi, or the four --testnet flags",
        )
    })
}

/// A number that is not negative.
pub(super) fn count(flag: &str, given: i64) -> Result<usize, CliError> {
    usize::try_from(given).map_err(|_| {
        CliError::other(format!("reading --{flag}"), format!("{given} is negative"), "see --help")
    })
}

pub(super) fn refused(doing: &'static str) -> impl Fn(Refused) -> CliError {
    move |why| CliError::other(doing, &why, next_of(&why))
}

/// What to do about a setting that is refused.
fn next_of(why: &Refused) -> &'static str {
    match why {
        Refused::LowThreshold { .. } => {
            "leave --threshold away, or give a higher one; --allow-low-threshold takes it as it is, for tests"
        }
        Refused::Address { .. } => {
            "write addresses with their checksum, in upper and lower case as a wallet shows them"
        }
        Refused::Enr { .. } => "ask the operator for the line that `enr` prints on the node",
        _ => "mend the setting and run the command again",
    }
}

/// The settings of a new definition that flags give.
pub(super) struct Flags<'a> {
    pub(super) creator: Creator,
    pub(super) name: &'a str,
    pub(super) threshold: i64,
    pub(super) validators: usize,
    pub(super) fee_recipients: &'a [String],
    pub(super) withdrawals: &'a [String],
    pub(super) dkg_algorithm: &'a str,
    pub(super) deposit_amounts: &'a [i64],
    pub(super) consensus_protocol: &'a str,
    pub(super) target_gas_limit: u64,
    pub(super) rewards: Rewards,
    pub(super) low: LowThreshold,
}

/// What `--allow-low-threshold` says.
#[expect(clippy::fn_params_excessive_bools, reason = "it makes a word of a flag, which is true or false")]
pub(super) fn low_threshold(is_allowed: bool) -> LowThreshold {
    if is_allowed { LowThreshold::Allow } else { LowThreshold::Refuse }
}

/// What is allowed and seldom meant.
pub(super) fn warnings(definition: &Definition) -> Vec<String> {
    let (threshold, nodes) = (definition.threshold, definition.operators.len());
    let usual = cluster::default_threshold(nodes);
    if threshold == usual {
        return Vec::new();
    }
    vec![match definition.check_threshold(LowThreshold::Refuse) {
        Err(low @ Refused::LowThreshold { .. }) => low.to_string(),
        _ => format!(
            "the threshold is {threshold} of {nodes} nodes, and {usual} is the one that consensus is safe and lively with"
        ),
    }]
}

/// A new definition, of the newest version.
pub(super) fn new_definition(
    flags: &Flags<'_>,
    operators: Vec<Operator>,
    network: &Network,
) -> Result<Definition, CliError> {
    let refused = refused("making the definition");
    let validators = cluster::pair_addresses(flags.fee_recipients, flags.withdrawals, flags.validators)
        .map_err(&refused)?;
    let threshold = match count("threshold", flags.threshold)? {
        0 => None,
        given => Some(given as u64),
    };
    let amounts = flags.deposit_amounts.iter().map(|eth| {
        let eth = count("deposit-amounts", *eth)?;
        cluster::gwei_of_eth(eth as u64).map_err(&refused)
    });
    let from = NewDefinition {
        name: flags.name.to_owned(),
        uuid: cluster::uuid_text(rand::rng().random()),
        timestamp: local_time(),
        version: Version::newest(),
        creator: flags.creator.clone(),
        operators,
        threshold,
        validators,
        dkg_algorithm: flags.dkg_algorithm.to_owned(),
        deposit_amounts: amounts.collect::<Result<_, CliError>>()?,
        consensus_protocol: flags.consensus_protocol.to_owned(),
        target_gas_limit: flags.target_gas_limit,
        rewards: flags.rewards,
    };
    Definition::new(from, network, flags.low).map_err(&refused)
}

/// Now, to the second, with the offset of this place; `Z` where there is none.
pub(super) fn local_time() -> String {
    let now = jiff::Zoned::now();
    let form = if now.offset().seconds() == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
    now.strftime(form).to_string()
}

/// The text of a definition's file.
pub(super) fn read_definition(path: &Path) -> Result<Vec<u8>, CliError> {
    read_bounded(path, &format!("reading the definition {}", path.display()), MAX_DEFINITION_BYTES)
}

/// A file that is not larger than it can be.
pub(super) fn read_bounded(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>, CliError> {
    let read = |error: std::io::Error| CliError::other(what, error, "check the path and who may read it");
    let length = std::fs::metadata(path).map_err(read)?.len();
    if length > limit {
        let why = format!("it has {length} bytes, and {limit} are read at most");
        return Err(CliError::other(what, why, "check that it is the right file"));
    }
    std::fs::read(path).map_err(read)
}
