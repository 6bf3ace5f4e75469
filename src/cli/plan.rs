//! `coxswain plan`: what differs between configuration and world.

use std::path::PathBuf;

use coxswain_model::Address;

use super::args::{HostArgs, SelectArgs, SourceArgs, UnreachableArgs};
use super::error::CliError;
use super::progress::Spinner;
use super::render::diagnostics;
use super::{Cx, Exit, Format, Run, rounds};
use crate::plan::Mode;
use crate::session::{PlanRequest, Session};

/// Show what differs between the configuration and the world
#[derive(Debug, clap::Parser)]
#[command(
    name = "plan",
    after_help = "Examples:\n  coxswain plan\n  coxswain plan --env prod --var ssh_port=2222\n  \
        coxswain plan --target 'file.motd[\"a\"]' --out change.coxplan\n  coxswain apply change.coxplan\n\n\
        Exits 0 when nothing is to be done, 2 when changes are pending, 6 when others are waited for."
)]
pub(super) struct PlanCommand {
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    select: SelectArgs,
    /// Replace this resource or instance; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    replace: Vec<Address>,
    /// Plan to remove everything in the state
    #[arg(long, conflicts_with = "replace")]
    destroy: bool,
    /// Save the plan for `coxswain apply FILE`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    unreachable: UnreachableArgs,
    /// Become root for nothing but reads on the allow-list
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    hosts: HostArgs,
}

impl Run for PlanCommand {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let mut options = self.sources.options(cx, &self.hosts);
        options.read_only = self.read_only;
        let (sources, opened) = Session::open(options);
        let failed = |failure| CliError::from((failure, &sources));
        let mut session = opened.map_err(failed)?;
        let request = PlanRequest {
            mode: if self.destroy { Mode::Destroy } else { Mode::Apply },
            selection: self.select.selection(&self.replace),
            allow_unreachable: self.unreachable.allow_unreachable,
        };
        let plan = cx.block_on(async {
            let spinner = Spinner::new(cx, rounds::PLANNING);
            let planned = session.plan(&request).await.map_err(failed);
            drop(spinner);
            let planned = planned.and_then(|plan| match &self.out {
                Some(path) => session.save(&plan, path).map(|()| plan).map_err(failed),
                None => Ok(plan),
            });
            if let Ok(plan) = &planned {
                diagnostics::show_beside(cx, &rounds::other_warnings(session.warnings(), plan), &sources);
            }
            session.close().await;
            planned
        })?;
        cx.terminal.out(&rounds::plan_text(&plan, cx.format, cx.terminal.out_colour));
        if let (Some(path), Format::Text) = (&self.out, cx.format) {
            let path = path.display();
            cx.terminal.out(&format!("Saved in {path}. Next: coxswain apply {path}\n"));
        }
        if rounds::blocked(&plan, &request) {
            cx.terminal.err(rounds::BLOCKED);
        }
        Ok(rounds::plan_exit(&plan, &request))
    }
}
