//! `coxswain apply [FILE]`: makes the world what the configuration says.

use std::path::{Path, PathBuf};

use coxswain_model::Address;

use super::args::{HostArgs, SelectArgs, SourceArgs, UnreachableArgs, YesArgs};
use super::error::CliError;
use super::{Cx, Exit, Run, rounds};
use crate::plan::Mode;
use crate::session::{Options, PlanRequest, Session};

/// Make the world what the configuration says
#[derive(Debug, clap::Parser)]
#[command(
    name = "apply",
    after_help = "Examples:\n  coxswain apply\n  coxswain apply --yes\n  coxswain apply change.coxplan\n  \
        coxswain apply --target host.a --parallelism 2\n\n\
        Without FILE it goes on in rounds: plan, show, confirm, apply, until nothing is left or nothing moves.\n\
        With FILE it carries out that plan once, without a question, and exits 2 if something is left.\n\
        Ctrl-C once: running steps are finished, no more are started. Twice: they are not waited for."
)]
pub(super) struct Apply {
    /// A plan saved by `coxswain plan --out`
    #[arg(value_name = "FILE", conflicts_with_all = ["targets", "excludes", "replace"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    select: SelectArgs,
    /// Replace this resource or instance; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    replace: Vec<Address>,
    #[command(flatten)]
    yes: YesArgs,
    #[command(flatten)]
    unreachable: UnreachableArgs,
    #[command(flatten)]
    hosts: HostArgs,
}

impl Run for Apply {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let options = self.sources.options(cx, &self.hosts);
        if let Some(file) = &self.file {
            return saved(cx, options, file);
        }
        let request = PlanRequest {
            mode: Mode::Apply,
            selection: self.select.selection(&self.replace),
            allow_unreachable: self.unreachable.allow_unreachable,
        };
        live(cx, options, request, self.yes)
    }
}

/// Rounds over a configuration; also what `destroy` does.
pub(super) fn live(cx: &Cx, options: Options, request: PlanRequest, yes: YesArgs) -> Result<Exit, CliError> {
    rounds::check_can_confirm(cx, yes)?;
    let (sources, opened) = Session::open(options);
    let mut session = opened.map_err(|failure| CliError::from((failure, &sources)))?;
    cx.block_on(async {
        let mut rounds = rounds::Rounds::new(cx, &sources, yes);
        let result = rounds.run(&mut session, &request).await;
        session.close().await;
        result
    })
}

/// One round of a saved plan.
fn saved(cx: &Cx, options: Options, file: &Path) -> Result<Exit, CliError> {
    let (sources, loaded) = Session::load_saved(options, file);
    let (mut session, plan) = loaded.map_err(|failure| CliError::from((failure, &sources)))?;
    cx.block_on(async {
        let mut rounds = rounds::Rounds::new(cx, &sources, YesArgs::default());
        let result = rounds.run_saved(&mut session, &plan).await;
        session.close().await;
        result
    })
}
