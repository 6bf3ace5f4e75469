//! `slashing prune`: forget what cannot matter any more.

use coxswain_dv_eth::protect::Wall;
use coxswain_dv_slashing::store::KEEP_EPOCHS;
use serde_json::json;

use super::super::error::CliError;
use super::super::render::{json, plural};
use super::super::{Cx, Exit, Format, Run};
use super::beacon::BeaconArgs;
use super::slashing::{self, StoreArgs};

/// Forget what was signed long ago; nothing as old is signed any more
#[derive(Debug, clap::Parser)]
#[command(
    name = "prune",
    after_help = "Examples:\n  coxswain dv slashing prune\n  coxswain dv slashing prune --keep-epochs 64\n\n\
        A node that runs does this once an epoch. The highest numbers of what is forgotten stay, so that nothing up to them is \
        signed again. The node must not run.\n\n\
        On a network of your own a beacon node says what time it is."
)]
pub(super) struct SlashingPrune {
    /// Beacon nodes.
    #[command(flatten)]
    beacon: BeaconArgs,
    /// How many epochs before this one stay
    #[arg(long, value_name = "N", default_value_t = KEEP_EPOCHS)]
    keep_epochs: u64,
    /// Where the node's files are.
    #[command(flatten)]
    store: StoreArgs,
}

impl Run for SlashingPrune {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let owner = self.store.owner(cx)?;
        let _stopped = owner.stopped()?;
        // One that is not there is not made.
        owner.look().map(drop)?;
        let chain = owner.chain(cx, &self.beacon)?;
        let what = "pruning what was signed";
        let store = owner.open(what, &chain)?;
        let epoch = chain.wall().epoch.saturating_sub(self.keep_epochs);
        let before = Wall { slot: chain.clock.first_of(epoch), epoch };
        let pruned = store.prune(before).map_err(|error| slashing::refused(what, &error))?;
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&json!({
                "document": "coxswain.dv_slashing_prune", "format": 1, "path": store.path(),
                "before_slot": before.slot, "before_epoch": before.epoch,
                "blocks": pruned.blocks, "attestations": pruned.attestations,
            })),
            Format::Text => format!(
                "forgot {} before slot {} and {} before epoch {}\n",
                plural(usize::try_from(pruned.blocks).unwrap_or(usize::MAX), "block"),
                before.slot,
                plural(usize::try_from(pruned.attestations).unwrap_or(usize::MAX), "attestation"),
                before.epoch
            ),
        });
        Ok(Exit::Done)
    }
}
