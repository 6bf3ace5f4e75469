//! Flags of `create dkg`: the definition of a cluster whose operators make their keys together.

use std::path::PathBuf;

use super::super::render::json;
use coxswain_dv_crypto::k1::{Address, IdentityKey};
use coxswain_dv_types::cluster::{Creator, Definition, Operator};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::network::Network;

use super::super::error::CliError;
use super::super::{Cx, Exit, Format, Run};
use super::network::TestnetArgs;
use super::settings::{self, Flags};
use super::{publish, servers};
use crate::dv::disk::{self, Mode};

/// The file that is written.
const FILE: &str = "cluster-definition.json";

/// Make the definition with which operators begin a ceremony
#[derive(Debug, clap::Parser)]
#[command(
    name = "dkg",
    after_help = "Examples:\n  coxswain dv create dkg --name mine --network hoodi --num-validators 2 \\\n      \
        --operator-enrs enr:-A…,enr:-B…,enr:-C…,enr:-D… \\\n      \
        --fee-recipient-addresses 0x388C818CA8B9251b393131C08a736A67ccB19297 \\\n      \
        --withdrawal-addresses 0x388C818CA8B9251b393131C08a736A67ccB19297\n\n\
        Each operator prints its line `enr:…` with `enr`. Give the file to all operators.\n\
        With --publish the API has it instead, and operators that are named by their addresses sign it there."
)]
pub struct CreateDkg {
    /// Take a threshold of half of the nodes or less: two parts of them can then sign different things, and the
    /// validators are slashed
    #[arg(long)]
    pub allow_low_threshold: bool,
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

impl Run for CreateDkg {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        self.check_flags()?;
        let networks = settings::networks(&self.testnet)?;
        let network = settings::network(&networks, &self.testnet, &self.network)?;
        let api = if self.publish { Some(servers::api(&self.publish_address)?) } else { None };
        // Nothing in a new definition is signed by a contract; that the endpoint answers is what charon checks, too.
        servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let creator = api.map(|api| (api, IdentityKey::generate(&mut rand::rng())));
        let definition = self.definition(network, creator.as_ref().map(|(_, key)| key))?;
        let warnings = settings::warnings(&definition);
        for warning in &warnings {
            cx.terminal.err(&format!("warning: {warning}\n"));
        }
        match creator {
            Some((api, key)) => publish::publish(cx, &api, &key, definition, network),
            None => self.write(cx, &definition, &warnings),
        }
    }
}

impl CreateDkg {
    /// Combinations of flags that mean nothing.
    fn check_flags(&self) -> Result<(), CliError> {
        if self.operator_addresses.is_empty() {
            return Ok(());
        }
        let what = "reading --operator-addresses";
        if !self.publish {
            let next = "add --publish, or give --operator-enrs and hand the file to the operators";
            return Err(CliError::other(what, "operators with addresses need --publish to sign", next));
        }
        if !self.operator_enrs.is_empty() {
            let why = "--operator-enrs is given as well";
            return Err(CliError::other(what, why, "name operators by their addresses or by their records"));
        }
        Ok(())
    }

    fn operators(&self) -> Result<Vec<Operator>, CliError> {
        let addresses = self.operator_addresses.iter().enumerate().map(|(position, text)| {
            let address = Address::parse(text).map_err(|e| {
                let what = format!("reading --operator-addresses, number {position}");
                CliError::other(what, e, "give the address of each operator's wallet")
            })?;
            Ok(Operator { address: address.to_string(), ..Operator::default() })
        });
        let records =
            self.operator_enrs.iter().map(|enr| Ok(Operator { enr: enr.clone(), ..Operator::default() }));
        addresses.chain(records).collect()
    }

    fn definition(&self, network: &Network, creator: Option<&IdentityKey>) -> Result<Definition, CliError> {
        let address = creator.map(|key| key.public().address().to_string());
        let flags = Flags {
            creator: Creator { address: address.unwrap_or_default(), ..Creator::default() },
            name: &self.name,
            threshold: self.threshold,
            validators: settings::count("num-validators", self.num_validators)?,
            fee_recipients: &self.fee_recipient_addresses,
            withdrawals: &self.withdrawal_addresses,
            dkg_algorithm: &self.dkg_algorithm,
            deposit_amounts: &self.deposit_amounts,
            consensus_protocol: &self.consensus_protocol,
            target_gas_limit: self.target_gas_limit,
            rewards: if self.compounding { Rewards::Compounding } else { Rewards::PaidOut },
            low: settings::low_threshold(self.allow_low_threshold),
        };
        let definition = settings::new_definition(&flags, self.operators()?, network)?;
        if self.operator_addresses.is_empty() {
            definition.nodes().map_err(settings::refused("reading --operator-enrs"))?;
        }
        Ok(definition)
    }

    fn write(&self, cx: &Cx, definition: &Definition, warnings: &[String]) -> Result<Exit, CliError> {
        let text = definition.to_json().map_err(|e| {
            CliError::other("writing the definition", e, "shorten what is too long and run the command again")
        })?;
        let dir = cx.root.join(&self.output_dir);
        disk::make_directory(&dir)?;
        disk::sweep(&dir)?;
        let path = dir.join(FILE);
        disk::create(&path, Mode::AllRead, text.as_bytes())?;
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({
                "document": "coxswain.dv_definition", "format": 1, "file": path,
                "config_hash": format!("0x{}", hex::encode(&*definition.config_hash)),
                "definition_hash": format!("0x{}", hex::encode(&*definition.definition_hash)),
                "warnings": warnings,
            })),
            Format::Text => format!(
                "The definition is in {}\nConfig hash  0x{}\n\nGive this file to all {} operators, who begin the ceremony \
                 with it.\n",
                path.display(),
                hex::encode(&*definition.config_hash),
                definition.operators.len()
            ),
        });
        Ok(Exit::Done)
    }
}
