//! `coxswain destroy`: removes everything in the state.

use super::args::{HostArgs, SelectArgs, SourceArgs, UnreachableArgs, YesArgs};
use super::error::CliError;
use super::{Cx, Exit, Run, apply};
use crate::plan::Mode;
use crate::session::PlanRequest;

/// Remove everything in the state and give back what was there before
#[derive(Debug, clap::Parser)]
#[command(
    name = "destroy",
    after_help = "Examples:\n  coxswain plan --destroy\n  coxswain destroy\n  coxswain destroy --target file.motd --yes"
)]
pub(super) struct Destroy {
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    unreachable: UnreachableArgs,
    #[command(flatten)]
    hosts: HostArgs,
}

impl Run for Destroy {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let request = PlanRequest {
            mode: Mode::Destroy,
            selection: self.select.selection(&[]),
            allow_unreachable: self.unreachable.allow_unreachable,
        };
        apply::live(cx, self.sources.options(cx, &self.hosts), request, self.yes)
    }
}
