//! `coxswain version`.

use super::error::CliError;
use super::render::json;
use super::{Cx, Exit, Format, Run};
use crate::plan::model::FORMAT;

/// Show the version
#[derive(Debug, clap::Parser)]
#[command(name = "version", after_help = "Examples:\n  coxswain version\n  coxswain version --json")]
pub(super) struct Version {}

impl Run for Version {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let version = env!("CARGO_PKG_VERSION");
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({
                "version": version, "plan_format": FORMAT, "state_format": coxswain_state::FORMAT,
            })),
            Format::Text => format!("coxswain {version}\n"),
        });
        Ok(Exit::Done)
    }
}
