//! `enr`: the record of a node.

use std::path::PathBuf;

use coxswain_dv_types::enr;

use super::super::error::CliError;
use super::super::render::json;
use super::super::{Cx, Exit, Format, Run};
use super::{NO_KEY_YET, no_key};
use crate::dv::key;

/// Show the record of a node
#[derive(Debug, clap::Parser)]
#[command(
    name = "enr",
    after_help = "Examples:\n  coxswain dv enr\n  coxswain dv enr --data-dir node0 --verbose\n  coxswain dv enr --json"
)]
pub(super) struct Enr {
    /// The directory of the node
    #[arg(long, value_name = "DIR", default_value = ".charon")]
    data_dir: PathBuf,
    /// Show public key and signature as well
    #[arg(long)]
    verbose: bool,
}

impl Run for Enr {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let key = key::load(&cx.root.join(&self.data_dir).join(key::FILE));
        let record = enr::record(&key.map_err(|error| no_key(&error, NO_KEY_YET))?);
        let public = format!("0x{}", record.public());
        let signature = format!("0x{}", hex::encode(record.signature()));
        cx.terminal.out(&match (cx.format, self.verbose) {
            (Format::Json, _) => json::pretty(&serde_json::json!({
                "enr": record.text(), "public_key": public, "signature": signature,
            })),
            (Format::Text, false) => format!("{}\n", record.text()),
            (Format::Text, true) => {
                format!("{}\n\npublic key  {public}\nsignature   {signature}\n", record.text())
            }
        });
        Ok(Exit::Done)
    }
}
