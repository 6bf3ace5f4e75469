//! `slashing show`: what this node has signed.

use std::collections::BTreeSet;

use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_slashing::store::{KeySummary, LedgerSummary};
use serde_json::{Value as Json, json};

use super::super::error::CliError;
use super::super::render::json;
use super::super::{Cx, Exit, Format, Run};
use super::slashing::{self, Owner, StoreArgs, or_none, short, table};

/// Show what this node has signed, and what it does not sign any more
#[derive(Debug, clap::Parser)]
#[command(
    name = "show",
    after_help = "Examples:\n  coxswain dv slashing show\n  coxswain dv slashing show --json\n\n\
        Two lines for each validator: what this node's share has signed, and what was put together for the group. The node must not \
        run."
)]
pub(super) struct SlashingShow {
    /// Where the node's files are.
    #[command(flatten)]
    store: StoreArgs,
}

impl Run for SlashingShow {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let owner = self.store.owner(cx)?;
        let store = owner.look()?;
        let failed = |error| slashing::refused("reading what was signed", &error);
        let all = in_order(&owner, store.summary().map_err(failed)?);
        let chain = Bytes32::from(store.chain());
        let (to, size) = (store.handed_over_to(), store.size_bytes().map_err(failed)?);
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&json!({
                "document": "coxswain.dv_slashing", "format": 1, "path": store.path(), "size_bytes": size,
                "genesis_validators_root": chain, "handed_over_to": to,
                "validators": all.iter().map(|one| as_json(&owner, one)).collect::<Vec<_>>(),
            })),
            Format::Text => {
                let mut text = format!("{}  {size} bytes, chain {chain}\n", store.path().display());
                if let Some(to) = to {
                    text += &format!("handed over to {to}: it signs nothing any more\n");
                }
                format!("{text}\n{}", as_text(&owner, &all))
            }
        });
        Ok(Exit::Done)
    }
}

/// The validators of the lock, also those that the store does not know yet; then what else is in the store.
fn in_order(owner: &Owner, mut stored: Vec<KeySummary>) -> Vec<KeySummary> {
    let known: BTreeSet<Bytes48> = stored.iter().map(|one| one.group).collect();
    let unknown = owner.pairs.iter().filter(|pair| !known.contains(&pair.group));
    stored.extend(unknown.map(|pair| KeySummary {
        group: pair.group,
        shares: Vec::new(),
        ledgers: <[LedgerSummary; 2]>::default(),
    }));
    stored.sort_by_key(|one| owner.position(&one.group).unwrap_or(usize::MAX));
    stored
}

fn as_json(owner: &Owner, one: &KeySummary) -> Json {
    let ledger = |ledger: &LedgerSummary| {
        json!({
            "started": ledger.floor.is_some(),
            "blocks": ledger.blocks,
            "last_block_slot": ledger.last_slot,
            "attestations": ledger.attestations,
            "last_source_epoch": ledger.last_vote.map(|(source, _)| source),
            "last_target_epoch": ledger.last_vote.map(|(_, target)| target),
            "no_block_to_slot": ledger.floor.and_then(|floor| floor.blocks_to),
            "no_source_below_epoch": ledger.floor.map(|floor| floor.sources_below),
            "no_target_to_epoch": ledger.floor.and_then(|floor| floor.targets_to),
        })
    };
    let [share, group] = &one.ledgers;
    json!({
        "validator": one.group, "position": owner.position(&one.group), "share_keys": one.shares,
        "share": ledger(share), "group": ledger(group),
    })
}

fn as_text(owner: &Owner, all: &[KeySummary]) -> String {
    let head = [
        "#",
        "validator",
        "signer",
        "last block",
        "last vote",
        "no block to",
        "no source below",
        "no target to",
        "kept",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for one in all {
        for (signer, ledger) in ["share", "group"].into_iter().zip(&one.ledgers) {
            let position = owner.position(&one.group).map(|at| at as u64);
            let vote = ledger.last_vote.map(|(source, target)| format!("{source} → {target}"));
            let floor = |number: Option<u64>| match ledger.floor {
                Some(_) => or_none(number),
                None => "no history".to_owned(),
            };
            rows.push([
                or_none(position),
                short(&one.group),
                signer.to_owned(),
                or_none(ledger.last_slot),
                vote.unwrap_or_else(|| "-".to_owned()),
                floor(ledger.floor.and_then(|floor| floor.blocks_to)),
                floor(ledger.floor.map(|floor| floor.sources_below)),
                floor(ledger.floor.and_then(|floor| floor.targets_to)),
                format!("{} blocks, {} votes", ledger.blocks, ledger.attestations),
            ]);
        }
    }
    table(&rows)
}
