//! `simnet validator`: a simulated validator client.

use std::path::PathBuf;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_types::causes::in_full;
use coxswain_simnet::client::{Builders, Habits, Keys, Mode, Settings, run};
use url::Url;

use super::super::error::CliError;
use super::super::{Cx, Exit, Run};

/// Simulate a validator client
#[derive(Debug, clap::Parser)]
#[command(
    name = "validator",
    after_help = "Examples:\n  coxswain simnet validator --node http://127.0.0.1:3600 --keys-dir node0/validator_keys\n\n\
        It performs all duties of its keys. Never use it with keys that hold money: it is for trials. Ctrl-C ends it with a \
        report."
)]
pub(super) struct Validator {
    /// The node of the distributed validator, or a beacon node
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3600")]
    node: Url,
    /// Keystores with their passwords: keystore-0.json, keystore-0.txt, …
    #[arg(long, value_name = "DIR", default_value = ".charon/validator_keys")]
    keys_dir: PathBuf,
    /// The keys are whole, and the node is a beacon node
    #[arg(long)]
    whole_keys: bool,
    /// Ask as this validator client does: lighthouse, lodestar, nimbus, plain, prysm, teku or vouch
    #[arg(long, value_name = "NAME", default_value = "plain")]
    habits: String,
    /// Register with builders, and prefer their blocks
    #[arg(long)]
    builder: bool,
    /// Let a validator leave: its public key in the keystores, and the epoch
    #[arg(long, value_name = "KEY=EPOCH", value_parser = exit)]
    exit: Vec<(Bytes48, u64)>,
    /// Where to keep what was signed; in memory without it
    #[arg(long, value_name = "FILE")]
    marks: Option<PathBuf>,
}

/// A key and the epoch at which it leaves.
fn exit(text: &str) -> Result<(Bytes48, u64), String> {
    let (key, epoch) = text.split_once('=').ok_or("it is not KEY=EPOCH")?;
    let key = key.parse().map_err(|_| format!("`{key}` is no public key"))?;
    let epoch = epoch.parse().map_err(|_| format!("`{epoch}` is no epoch"))?;
    Ok((key, epoch))
}

impl Run for Validator {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let folder = cx.root.join(&self.keys_dir);
        let keys = Keys::load(&folder).map_err(|error| {
            let what = format!("reading the keys in {}", folder.display());
            CliError::other(what, in_full(&error), "name the directory of the keystores with --keys-dir")
        })?;
        let mode = if self.whole_keys { Mode::Whole } else { Mode::Distributed };
        let mut settings = Settings::new(self.node, keys, mode);
        settings.habits = Habits::of(&self.habits).ok_or_else(|| {
            CliError::other("reading --habits", format!("`{}` is not known", self.habits), "see --help")
        })?;
        settings.exits = self.exit;
        settings.marks = self.marks.map(|file| cx.root.join(file));
        if self.builder {
            settings.builders = Builders::Registered;
            settings.terms.builder_boost = u64::MAX;
        }
        cx.block_on(async {
            let stopped = super::super::dv::stopped()?;
            let report = run(settings, stopped).await.map_err(|error| {
                CliError::other(
                    "starting the validator client",
                    in_full(&error),
                    "check --marks and the limits of this process",
                )
            })?;
            cx.terminal.out(&format!("{}\n", report.to_json()));
            Ok(Exit::Done)
        })
    }
}
