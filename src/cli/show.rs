//! `coxswain show [FILE]`: a saved plan, or the state.

use std::path::{Path, PathBuf};

use super::args::StateArgs;
use super::error::CliError;
use super::render::state::StateView;
use super::render::{markdown, state as render};
use super::{Cx, Exit, Format, Run, rounds};
use crate::plan::{Plan, document};
use crate::session;

/// Show a saved plan, or the state
#[derive(Debug, clap::Parser)]
#[command(
    name = "show",
    after_help = "Examples:\n  coxswain show\n  coxswain show change.coxplan\n  \
        coxswain show change.coxplan --markdown > comment.md\n  coxswain show change.coxplan --json"
)]
pub(super) struct Show {
    /// A plan saved by `coxswain plan --out`; without it, the state is shown
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write Markdown for a pull request
    #[arg(long, requires = "file", conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    state: StateArgs,
}

impl Run for Show {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let text = match &self.file {
            Some(file) => {
                let plan = load(file)?;
                if self.markdown {
                    markdown::plan(&plan)
                } else {
                    rounds::plan_text(&plan, cx.format, cx.terminal.out_colour)
                }
            }
            None => {
                let view = StateView::of(&session::read_state(&self.state.options(cx))?);
                match cx.format {
                    Format::Json => render::json(&view),
                    Format::Text => render::state(&view, cx.terminal.out_colour),
                }
            }
        };
        cx.terminal.out(&text);
        Ok(Exit::Done)
    }
}

/// Reads a saved plan; to look at it, no configuration is needed.
pub(super) fn load(path: &Path) -> Result<Plan, CliError> {
    let what = || format!("reading the plan {}", path.display());
    let bytes = std::fs::read(path)
        .map_err(|e| CliError::other(what(), e, "make one with: coxswain plan --out FILE"))?;
    let saved = document::read(&bytes)
        .map_err(|e| CliError::other(what(), e, "make it again with: coxswain plan --out FILE"))?;
    Ok(saved.plan)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::render::Colour;
    use super::super::render::plan::tests::small;
    use super::*;
    use crate::cli::error::text;
    use crate::plan::SavedPlan;

    #[test]
    fn a_saved_plan_is_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("p.coxplan");
        let saved = SavedPlan {
            plan: small(),
            files: BTreeMap::new(),
            reads: BTreeMap::new(),
            variables: BTreeMap::new(),
            created: "2026-11-26T00:00:00Z".into(),
        };
        std::fs::write(&path, serde_json::to_string(&saved).expect("json")).expect("writes");
        assert_eq!(load(&path).expect("loads"), small());
    }

    #[test]
    fn what_is_no_plan_is_refused_with_a_reason() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("p");
        let refused = |content: &str| {
            std::fs::write(&path, content).expect("writes");
            text(&load(&path).expect_err("refused").failure, Colour::Off)
        };
        assert!(refused("nonsense").contains("it is no plan"));
        assert!(refused("{\"plan\":{\"format\":99}}").contains("format 99"));
        assert!(refused("{\"plan\":{\"format\":1}}").contains("missing field"));
    }
}
