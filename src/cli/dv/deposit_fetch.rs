//! Flags of `deposit fetch`: whole deposits, from what enough nodes have signed.

use coxswain_dv_cluster::{Whole, deposit_files};

use super::super::error::CliError;
use super::super::render::json;
use super::super::{Cx, Exit, Format, Run};
use super::deposit::{self, DepositArgs};
use super::settings;
use crate::dv::deposits::{self, FetchError};
use crate::dv::http::Client;

/// The part of a path that becomes the time of the run.
const TIMESTAMP: &str = "<TIMESTAMP>";

/// Fetch deposits that enough nodes have signed
#[derive(Debug, clap::Parser)]
#[command(
    name = "fetch",
    after_help = "Examples:\n  coxswain dv deposit fetch --validator-public-keys 0xb9b9…\n  \
        coxswain dv deposit fetch --validator-public-keys 0xb9b9…,0x81ea… --deposit-data-dir ./deposits\n\n\
        Needs the lock, and neither the key nor the keystores of the node. Each part is verified with the lock, and so is\n\
        what comes of them. The files are for the launchpad: look at amounts and addresses before you deposit."
)]
pub(super) struct DepositFetch {
    /// Where the files are written
    #[arg(long, value_name = "DIR", default_value = ".charon/deposit-data-<TIMESTAMP>")]
    deposit_data_dir: String,
    /// Flags of both commands.
    #[command(flatten)]
    shared: DepositArgs,
}

impl Run for DepositFetch {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let api = self.shared.api()?;
        let meant = self.shared.meant(cx)?;
        let cluster = (&meant.lock, &meant.network);
        let fetched = cx.block_on(async {
            let client = Client::new();
            let mut all: Vec<(usize, Whole)> = Vec::with_capacity(meant.positions.len());
            for position in &meant.positions {
                let whole = deposits::fetch(&client, &api, cluster, *position).await;
                all.push((*position, whole.map_err(explained)?));
            }
            Ok(all)
        })?;
        let (mut all, mut notes) = (Vec::new(), Vec::new());
        for (position, whole) in fetched {
            let key = hex::encode(&*meant.lock.validators[position].public_key);
            notes.extend(whole.notes.into_iter().map(|note| format!("0x{key}: {note}")));
            all.extend(whole.deposits);
        }
        for note in &notes {
            cx.terminal.err(&format!("warning: {note}\n"));
        }
        let files = deposit_files(&all, &meant.network)
            .map_err(|why| CliError::other("making the files", why, "nothing was written"))?;
        let dir = cx.root.join(self.deposit_data_dir.replace(TIMESTAMP, &settings::local_time()));
        deposits::write(&dir, &files)?;
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({
                "document": "coxswain.dv_deposits", "format": 1, "dir": dir, "files": names,
                "deposits": deposit::entries(&all), "warnings": notes,
            })),
            Format::Text => format!(
                "Deposits of {} validators are in {}: {}\n{}",
                meant.positions.len(),
                dir.display(),
                names.join(", "),
                deposit::lines(&all)
            ),
        });
        Ok(Exit::Done)
    }
}

fn explained(error: FetchError) -> CliError {
    let doing = error.to_string();
    match error {
        FetchError::Http(error) => error.into(),
        FetchError::Nothing { .. } => CliError::other(
            "fetching deposits",
            error,
            "nothing was written; have the nodes sign first: deposit sign",
        ),
        FetchError::Answer { source, .. } => CliError::other(
            format!("reading {doing}"),
            source,
            "nothing was written; check that --publish-address is the API",
        ),
        FetchError::Whole { source, .. } => CliError::other(
            format!("putting together {doing}"),
            source,
            "nothing was written; have more nodes sign the same: deposit sign",
        ),
    }
}
