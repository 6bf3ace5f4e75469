//! `create enr`: the key of a node.

use std::path::PathBuf;

use coxswain_dv_types::enr;

use super::super::error::CliError;
use super::super::render::json;
use super::super::{Cx, Exit, Format, Run};
use crate::dv::key;

/// Make the key of a node and show its record
#[derive(Debug, clap::Parser)]
#[command(
    name = "enr",
    after_help = "Examples:\n  coxswain dv create enr\n  coxswain dv create enr --data-dir node0\n\n\
        Writes charon-enr-private-key, for its owner alone. A file of this name is never replaced, whatever is in it."
)]
pub(super) struct CreateEnr {
    /// The directory of the node; it is made where it is not there
    #[arg(long, value_name = "DIR", default_value = ".charon")]
    data_dir: PathBuf,
}

impl Run for CreateEnr {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let (path, key) = key::create(&cx.root.join(&self.data_dir))?;
        let record = enr::record(&key);
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({
                "enr": record.text(), "private_key_file": path, "public_key": format!("0x{}", record.public()),
            })),
            Format::Text => format!(
                "The node's private key is in {}\n{}\n\n{BACKUP}",
                path.display(),
                record.text()
            ),
        });
        Ok(Exit::Done)
    }
}

const BACKUP: &str = "\
Keep a copy of this file in a safe place: without it, this node cannot take part in the cluster, and nobody can make it anew.
Show nobody the file; give the other operators only the line that begins with `enr:`.
";
