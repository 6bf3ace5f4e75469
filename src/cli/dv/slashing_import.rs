//! `slashing import`: what another program has signed with these keys.

use std::path::PathBuf;

use coxswain_dv_eth::protect::Signer;
use coxswain_dv_slashing::interchange::{Interchange, MAX_BYTES};
use coxswain_dv_slashing::store::{ImportError, Imported, Strangers, Taken};
use coxswain_dv_types::causes::in_full;
use serde_json::{Value as Json, json};

use super::super::error::CliError;
use super::super::render::{clean, json, plural};
use super::super::{Cx, Exit, Format, Run};
use super::beacon::BeaconArgs;
use super::settings;
use super::slashing::{Owner, StoreArgs, or_none, short, table};

/// Take up what another program has signed with these keys (EIP-3076)
#[derive(Debug, clap::Parser)]
#[command(
    name = "import",
    after_help = "Examples:\n  coxswain dv slashing import history.json\n  coxswain dv slashing import --skip-unknown-keys history.json\n\n\
        Keys may be those of the groups or of this node's shares. All of the file is taken up, or nothing; what is there already \
        stays. Nothing up to the highest numbers of the file is signed any more, so it must not be of the future. Stop the program \
        that wrote it for good, before it writes it. The node must not run.\n\n\
        On a network of your own a beacon node says which chain it is."
)]
pub(super) struct SlashingImport {
    /// Beacon nodes.
    #[command(flatten)]
    beacon: BeaconArgs,
    /// The interchange
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
    /// Leave out keys that are of no validator of this cluster, instead of refusing the file
    #[arg(long)]
    skip_unknown_keys: bool,
    /// Where the node's files are.
    #[command(flatten)]
    store: StoreArgs,
}

impl Run for SlashingImport {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let owner = self.store.owner(cx)?;
        let path = cx.root.join(&self.file);
        let what = format!("reading the interchange {}", path.display());
        let text = settings::read_bounded(&path, &what, MAX_BYTES as u64)?;
        let history = Interchange::parse(&text).map_err(|error| {
            let next = "export it anew from the program that has signed; nothing was imported";
            CliError::other(what, in_full(&error), next)
        })?;
        let _stopped = owner.stopped()?;
        let chain = owner.chain(cx, &self.beacon)?;
        let what = format!("importing {}", path.display());
        let strangers = if self.skip_unknown_keys { Strangers::Skip } else { Strangers::Refuse };
        let store = owner.open(&what, &chain)?;
        let imported = store.import(&history, strangers, chain.wall()).map_err(|error| {
            let next = next(&error);
            CliError::other(what, in_full(&error), next)
        })?;
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&json!({
                "document": "coxswain.dv_slashing_import", "format": 1, "path": store.path(),
                "taken": imported.taken.iter().map(|one| as_json(&owner, one)).collect::<Vec<_>>(),
                "left_out": imported.strangers,
            })),
            Format::Text => as_text(&owner, &imported),
        });
        warn(cx, &imported);
        Ok(Exit::Done)
    }
}

fn next(error: &ImportError) -> &'static str {
    match error {
        ImportError::OtherChain { .. } => {
            "nothing was imported; check which network the program that wrote it was on"
        }
        ImportError::Strangers { .. } => {
            "nothing was imported; check that it is of this cluster, or leave such keys out with --skip-unknown-keys"
        }
        ImportError::Future { .. } => {
            "nothing was imported; set the clocks, and export it anew where its program's clock was wrong"
        }
        ImportError::Store(error) => error.next(),
    }
}

fn named(signer: Signer) -> &'static str {
    match signer {
        Signer::Share => "share",
        Signer::Group => "group",
    }
}

fn as_json(owner: &Owner, one: &Taken) -> Json {
    json!({
        "key": one.key, "key_of": named(one.signer), "validator": one.group,
        "position": owner.position(&one.group), "blocks": one.blocks, "attestations": one.attestations,
        "highest_slot": one.highest_slot, "highest_target_epoch": one.highest_target,
    })
}

fn as_text(owner: &Owner, imported: &Imported) -> String {
    let head = ["#", "validator", "key of", "blocks", "to slot", "attestations", "to epoch"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(imported.taken.iter().map(|one| {
        [
            or_none(owner.position(&one.group).map(|at| at as u64)),
            short(&one.group),
            named(one.signer).to_owned(),
            one.blocks.to_string(),
            or_none(one.highest_slot),
            one.attestations.to_string(),
            or_none(one.highest_target),
        ]
    }));
    format!("{}imported {}\n", table(&rows), plural(imported.taken.len(), "key"))
}

/// What is easily overlooked.
fn warn(cx: &Cx, imported: &Imported) {
    for key in &imported.strangers {
        cx.terminal.err(&format!("warning: {key} is of no validator of this cluster, and was left out\n"));
    }
    for one in imported.taken.iter().filter(|one| one.attestations == 0) {
        let key = clean(&one.key.to_string()).into_owned();
        if one.blocks > 0 {
            cx.terminal.err(&format!(
                "warning: the file has blocks of {key} and no attestation, which says that it never attested: no \
                 attestation is held back for it\n"
            ));
            continue;
        }
        cx.terminal.err(&format!(
            "warning: the file has no record of {key}, which says that it never signed anything: nothing is held back for it\n"
        ));
    }
}
