//! `coxswain validate`: every problem of every file at once; no host is asked.

use super::args::{HostArgs, SourceArgs};
use super::error::CliError;
use super::render::diagnostics;
use super::{Cx, Exit, Format, Run};
use crate::session::Session;

/// Check the configuration and show every problem at once
#[derive(Debug, clap::Parser)]
#[command(
    name = "validate",
    after_help = "Examples:\n  coxswain validate\n  coxswain validate --json\n\nReads files only: no host, no lock."
)]
pub(super) struct Validate {
    #[command(flatten)]
    sources: SourceArgs,
}

impl Run for Validate {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let (sources, opened) = Session::open(self.sources.options(cx, &HostArgs::default()));
        let failed = |failure| CliError::from((failure, &sources));
        let mut session = opened.map_err(failed)?;
        session.validate().map_err(failed)?;
        diagnostics::show(cx, session.warnings(), &sources);
        let warnings = session.warnings().len();
        cx.block_on(async {
            session.close().await;
            Ok(())
        })?;
        cx.terminal.out(&match cx.format {
            Format::Json => format!("{}\n", serde_json::json!({ "event": "valid", "warnings": warnings })),
            Format::Text => "The configuration is valid.\n".to_owned(),
        });
        Ok(Exit::Done)
    }
}
