//! `coxswain graph [FILE]`: what comes before what.

use std::path::PathBuf;

use super::args::{HostArgs, SelectArgs, SourceArgs};
use super::error::CliError;
use super::progress::Spinner;
use super::render::{diagnostics, graph};
use super::{Cx, Exit, Format, Run, rounds, show};
use crate::plan::{Mode, Plan};
use crate::session::{PlanRequest, Session};

/// Draw the steps of a plan and their order (the instances, where nothing is to be done)
#[derive(Debug, clap::Parser)]
#[command(
    name = "graph",
    after_help = "Examples:\n  coxswain graph | dot -Tsvg > graph.svg\n  coxswain graph --format mermaid\n  \
        coxswain graph change.coxplan --format json"
)]
pub(super) struct Graph {
    /// A plan saved by `coxswain plan --out`; without it, one is made
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Drawing::Dot)]
    format: Drawing,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    hosts: HostArgs,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Drawing {
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
    /// For machines
    Json,
}

impl Run for Graph {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let plan = match &self.file {
            Some(file) => show::load(file)?,
            None => self.plan(cx)?,
        };
        let graph = graph::of_plan(&plan);
        cx.terminal.out(&match (self.format, cx.format) {
            (Drawing::Json, _) | (Drawing::Dot, Format::Json) => graph.json(),
            (Drawing::Dot, Format::Text) => graph.dot(),
            (Drawing::Mermaid, _) => graph.mermaid(),
        });
        Ok(Exit::Done)
    }
}

impl Graph {
    fn plan(&self, cx: &Cx) -> Result<Plan, CliError> {
        let (sources, opened) = Session::open(self.sources.options(cx, &self.hosts));
        let failed = |failure| CliError::from((failure, &sources));
        let mut session = opened.map_err(failed)?;
        diagnostics::show_beside(cx, session.warnings(), &sources);
        let request =
            PlanRequest { mode: Mode::Apply, selection: self.select.selection(&[]), allow_unreachable: true };
        cx.block_on(async {
            let spinner = Spinner::new(cx, rounds::PLANNING);
            let plan = session.plan(&request).await.map_err(failed);
            drop(spinner);
            session.close().await;
            plan
        })
    }
}
