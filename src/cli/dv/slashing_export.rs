//! `slashing export`: what this node has signed, for another program.

use std::path::{Path, PathBuf};

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_slashing::store::KeyPair;
use serde_json::json;

use super::super::error::CliError;
use super::super::render::{clean, json, plural};
use super::super::{Cx, Exit, Format, Run};
use super::slashing::{self, Owner, StoreArgs, short};
use crate::dv::disk::{self, Mode};

/// Write what this node has signed as an interchange (EIP-3076), for another program
#[derive(Debug, clap::Parser)]
#[command(
    name = "export",
    after_help = "Examples:\n  coxswain dv slashing export history.json\n  coxswain dv slashing export --share-keys history.json\n\n\
        A file of this name is replaced. Keys are those of the groups, which the chain knows and every node of the cluster has; with \
        --share-keys those of this node's shares, which validator clients know. The node must not run: what it signs afterwards is \
        not in the file, so whoever takes the file up must be the only one to sign then."
)]
pub(super) struct SlashingExport {
    /// Where it is written
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
    /// Name each validator by this node's share, as its validator client does
    #[arg(long)]
    share_keys: bool,
    /// Where the node's files are.
    #[command(flatten)]
    store: StoreArgs,
}

impl Run for SlashingExport {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let owner = self.store.owner(cx)?;
        let _stopped = owner.stopped()?;
        let store = owner.look()?;
        let failed = |error| slashing::refused("exporting what was signed", &error);
        let unknown = store.not_started().map_err(failed)?;
        let Names { pairs, left_out } = names(&owner, &store.groups(), &unknown, self.share_keys.into());
        let history = store.export_for(&pairs).map_err(failed)?;
        let path = cx.root.join(&self.file);
        disk::sweep(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        disk::replace(&path, Mode::OwnerWrites, history.to_text().as_bytes())?;
        for (key, why) in &left_out {
            cx.terminal.err(&format!("warning: {key} is left out: {why}\n"));
        }
        let blocks: usize = history.entries.iter().map(|entry| entry.blocks.len()).sum();
        let votes: usize = history.entries.iter().map(|entry| entry.attestations.len()).sum();
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&json!({
                "document": "coxswain.dv_slashing_export", "format": 1, "path": path,
                "keys": history.entries.iter().map(|entry| entry.key).collect::<Vec<_>>(),
                "blocks": blocks, "attestations": votes,
                "left_out": left_out.iter().map(|(key, why)| json!({ "validator": key, "why": why })).collect::<Vec<_>>(),
            })),
            Format::Text => format!(
                "{}: {} with {} and {}\n",
                clean(&path.to_string_lossy()),
                plural(history.entries.len(), "key"),
                plural(blocks, "block"),
                plural(votes, "attestation")
            ),
        });
        Ok(Exit::Done)
    }
}

/// What validators are called in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Called {
    Groups,
    Shares,
}

impl From<bool> for Called {
    fn from(is_by_shares: bool) -> Called {
        if is_by_shares { Called::Shares } else { Called::Groups }
    }
}

struct Names {
    /// Each group with its name in the file.
    pairs: Vec<KeyPair>,
    /// Keys, and why they are not in it.
    left_out: Vec<(Bytes48, String)>,
}

/// A validator whose history is not known is left out: an entry without records says that it never signed anything.
fn names(owner: &Owner, groups: &[KeyPair], unknown: &[Bytes48], called: Called) -> Names {
    let mut names = Names { pairs: Vec::new(), left_out: Vec::new() };
    for pair in groups {
        let share = owner.pairs.iter().find(|known| known.group == pair.group).map(|known| known.share);
        match (unknown.contains(&pair.group), called, share) {
            (true, ..) => {
                names.left_out.push((pair.group, "nothing is known of what it has signed".to_owned()))
            }
            (false, Called::Groups, _) => names.pairs.push(*pair),
            (false, Called::Shares, Some(share)) => names.pairs.push(KeyPair { share, ..*pair }),
            (false, Called::Shares, None) => {
                let why =
                    format!("{} is no validator of the lock, so its share is not known", short(&pair.group));
                names.left_out.push((pair.group, why));
            }
        }
    }
    names
}
