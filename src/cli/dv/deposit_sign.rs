//! Flags of `deposit sign`: a node's part of new deposits.

use coxswain_dv_cluster::{Missing, NewDeposit, sign_deposits};
use coxswain_dv_types::deposit::{Credentials, GWEI};

use super::super::error::CliError;
use super::super::progress::Spinner;
use super::super::render::json;
use super::super::{Cx, Exit, Format, Run};
use super::deposit::{self, DepositArgs, Meant};
use crate::dv::deposits::{self, Signer, SignerError};
use crate::dv::http::{Client, Sent};

/// Sign this node's part of new deposits, and send it to the API
#[derive(Debug, clap::Parser)]
#[command(
    name = "sign",
    after_help = "Examples:\n  coxswain dv deposit sign --validator-public-keys 0xb9b9… \\\n      \
        --withdrawal-addresses 0x388C818CA8B9251b393131C08a736A67ccB19297\n  \
        coxswain dv deposit sign --validator-public-keys 0xb9b9…,0x81ea… --deposit-amounts 1,31 \\\n      \
        --withdrawal-addresses 0x388C818CA8B9251b393131C08a736A67ccB19297\n\n\
        Changes where the money of a validator goes, or how much is deposited, as long as nothing was deposited: its first\n\
        deposit decides for good. As many nodes as the threshold says must sign the same; then `deposit fetch` has it."
)]
pub(super) struct DepositSign {
    /// The node has keystores of some validators alone
    #[arg(long)]
    allow_incomplete_keystores: bool,
    /// Amounts of deposits in whole ETH
    #[arg(long, value_name = "ETH", default_value = "32")]
    deposit_amounts: Vec<u64>,
    /// Flags of both commands.
    #[command(flatten)]
    shared: DepositArgs,
    /// Where withdrawals go, an address or whole withdrawal credentials: one for all validators, or one for each
    #[arg(long, value_name = "ADDRESS", required = true)]
    withdrawal_addresses: Vec<String>,
}

impl Run for DepositSign {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let api = self.shared.api()?;
        let meant = self.shared.meant(cx)?;
        let wanted = self.wanted(&meant)?;
        let missing = if self.allow_incomplete_keystores { Missing::Allow } else { Missing::Refuse };
        let key = cx.root.join(&self.shared.private_key_file);
        let keystores = cx.root.join(&self.shared.validator_keys_dir);
        let spinner = Spinner::new(cx, "opening keystores");
        let signer = Signer::load(&meant.lock, &key, &keystores, missing);
        drop(spinner);
        let signer = signer.map_err(explained)?;
        let Meant { lock, network, .. } = &meant;
        let signed = sign_deposits(lock, &signer.shares, &wanted, network).map_err(|why| {
            CliError::other("signing deposits", why, "nothing was sent; mend it and run the command again")
        })?;
        let index = signer.share_index;
        let sent = cx.block_on(async {
            Ok(deposits::send(&Client::new(), &api, &lock.lock_hash, index, &signed).await?)
        })?;
        let threshold = lock.definition.threshold;
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({
                "document": "coxswain.dv_deposit_signed", "format": 1, "share_index": index, "threshold": threshold,
                "api": self.shared.api_shown(), "already_there": sent == Sent::AlreadyThere,
                "lock_hash": format!("0x{}", hex::encode(&*lock.lock_hash)), "deposits": deposit::entries(&signed),
            })),
            Format::Text => format!(
                "Signed as node {index} of {}, and {} {}:\n{}\nWhen {threshold} nodes have signed the same, any of them has \
                 the deposits with `deposit fetch`.\n",
                lock.definition.operators.len(),
                match sent {
                    Sent::New => "sent to",
                    Sent::AlreadyThere => "already there at",
                },
                self.shared.api_shown(),
                deposit::lines(&signed)
            ),
        });
        Ok(Exit::Done)
    }
}

impl DepositSign {
    /// What is signed, each amount of a validator once.
    fn wanted(&self, meant: &Meant) -> Result<Vec<NewDeposit>, CliError> {
        let (given, validators) = (self.withdrawal_addresses.len(), meant.positions.len());
        let what = "reading --withdrawal-addresses";
        if given != 1 && given != validators {
            let why = format!("there are {given} for {validators} validators");
            return Err(CliError::other(what, why, "give one for all, or one for each"));
        }
        let rewards = meant.lock.definition.rewards();
        let mut amounts = Vec::with_capacity(self.deposit_amounts.len());
        for eth in &self.deposit_amounts {
            let gwei = eth.checked_mul(GWEI).ok_or_else(|| {
                CliError::other("reading --deposit-amounts", format!("{eth} ETH is too much"), "see --help")
            })?;
            if !amounts.contains(&gwei) {
                amounts.push(gwei);
            }
        }
        let deposit = |(at, position): (usize, &usize)| {
            let text = &self.withdrawal_addresses[if given == 1 { 0 } else { at }];
            let credentials = Credentials::parse(text, rewards).map_err(|why| {
                CliError::other(what, why, "write the address with its checksum, as a wallet shows it")
            })?;
            if credentials.address() == [0; 20] && meant.network.has_value() {
                let why =
                    format!("nobody has the zero address, and {} is a network of value", meant.network.name);
                return Err(CliError::other(what, why, "give an address of your own"));
            }
            Ok(NewDeposit { position: *position, credentials, amounts: amounts.clone() })
        };
        meant.positions.iter().enumerate().map(deposit).collect()
    }
}

fn explained(error: SignerError) -> CliError {
    match error {
        SignerError::Key(error) => error.into(),
        SignerError::Keystores(error) => error.into(),
        SignerError::NoNode { .. } => CliError::other(
            "finding the node in the lock",
            error,
            "give key and lock of the same cluster with --private-key-file and --lock-file",
        ),
        SignerError::Shares { path, source } => CliError::other(
            format!("checking the keystores in {}", path.display()),
            source,
            "give the directory of this node with --validator-keys-dir; where some are elsewhere on purpose, \
             --allow-incomplete-keystores",
        ),
    }
}
