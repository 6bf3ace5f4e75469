//! Rounds of `apply`: plan → show → confirm → apply, until nothing is left or nothing moves.
//!
//! What is decided here is decided by pure functions (`plan_exit`, `run_exit`, `goes_on`,
//! `must_ask`); the rest is talk. Never: a destructive step of a later round that nobody agreed to.

use std::sync::Arc;

use coxswain_model::{Diagnostic, Diagnostics};

use super::args::{Yes, YesArgs};
use super::error::CliError;
use super::progress::{self, Progress, Spinner};
use super::render::{Colour, diagnostics, json, plan as plan_render, plural, summary as summary_render};
use super::{Cx, Exit, Format};
use crate::apply::{Event, Summary};
use crate::plan::model::DeferredAfter;
use crate::plan::{Mode, Plan};
use crate::resource::{Action, StepClass};
use crate::session::{Failure, Interrupt, PlanRequest, Session, Sources};

/// Rounds of one run. Each must finish a step to be followed by another, so that a run ends anyway; more rounds
/// than this mean a configuration that makes itself anew.
const MAX_ROUNDS: usize = 32;

/// What is said while a plan is made.
pub(super) const PLANNING: &str = "reading the world";

/// What is said where hosts cannot be read and nobody allowed that.
pub(super) const BLOCKED: &str =
    "error: some hosts cannot be read\n  mend them, or pass --allow-unreachable to go on without them\n";

/// The plan as the format wants it.
pub(super) fn plan_text(plan: &Plan, format: Format, colour: Colour) -> String {
    match format {
        Format::Json => json::plan(plan),
        Format::Text => plan_render::text(plan, colour),
    }
}

/// The session's warnings that are not in the plan (which shows its own).
pub(super) fn other_warnings(all: &Diagnostics, plan: &Plan) -> Vec<Diagnostic> {
    all.iter().filter(|w| !plan.warnings.contains(w)).cloned().collect()
}

/// Whether the plan must not be carried out because hosts cannot be read.
pub(super) fn blocked(plan: &Plan, request: &PlanRequest) -> bool {
    !plan.unreadable.is_empty() && !request.allow_unreachable
}

fn waits(plan: &Plan) -> bool {
    plan.instances.iter().any(|i| i.waiting.is_some())
        || plan.deferred.iter().any(|d| d.after == DeferredAfter::Others)
}

/// Whether everything that the plan found waiting or running was brought to its end by this run.
fn came_to_its_end(plan: &Plan, summary: &Summary) -> bool {
    let mut waited = plan.instances.iter().enumerate().filter(|(_, i)| i.waiting.is_some()).peekable();
    waited.peek().is_some()
        && waited.all(|(at, _)| {
            let mut steps = plan.steps.iter().filter(|s| s.instance == at).peekable();
            steps.peek().is_some() && steps.all(|s| summary.done.contains(&s.id))
        })
}

fn has_next_round(plan: &Plan) -> bool {
    plan.deferred.iter().any(|d| d.after == DeferredAfter::NextRound)
}

/// Whether carrying out the plan changes the world or the state.
fn has_work(plan: &Plan) -> bool {
    !plan.steps.is_empty()
        || !plan.outputs.is_empty()
        || plan.instances.iter().any(|i| i.moved_from.is_some() || i.settles)
}

/// How `plan` ends.
pub(super) fn plan_exit(plan: &Plan, request: &PlanRequest) -> Exit {
    let is_pending =
        !plan.steps.is_empty() || !plan.outputs.is_empty() || plan.settled() > 0 || has_next_round(plan);
    [(blocked(plan, request), Exit::Error), (waits(plan), Exit::Waiting), (is_pending, Exit::Pending)]
        .into_iter()
        .filter_map(|(holds, exit)| holds.then_some(exit))
        .fold(Exit::Done, Exit::worse)
}

/// How a run ends whose last round carried out `plan` with this result.
fn run_exit(plan: &Plan, summary: &Summary) -> Exit {
    let is_partly = !summary.failed.is_empty()
        || !summary.refused.is_empty()
        || !summary.not_started.is_empty()
        || summary.interrupted;
    let is_waiting = !summary.waiting.is_empty()
        || !summary.running.is_empty()
        || (waits(plan) && !came_to_its_end(plan, summary));
    let is_left = !plan.deferred.is_empty() || !summary.held.is_empty();
    [(is_partly, Exit::Partly), (is_waiting, Exit::Waiting), (is_left, Exit::Pending)]
        .into_iter()
        .filter_map(|(holds, exit)| holds.then_some(exit))
        .fold(Exit::Done, Exit::worse)
}

/// Whether another round may bring more: something is left that a round of this run can bring, something moved,
/// and nothing went wrong.
fn goes_on(plan: &Plan, summary: &Summary) -> bool {
    let is_left = has_next_round(plan) || !summary.refused.is_empty() || came_to_its_end(plan, summary);
    let moved = !summary.done.is_empty();
    is_left && moved && summary.failed.is_empty() && !summary.interrupted
}

/// Whether the plan removes something or has a step that cannot be taken back.
fn is_destructive(plan: &Plan) -> bool {
    plan.steps.iter().any(|s| s.step.class == StepClass::Danger)
        || plan.instances.iter().any(|i| match i.action {
            Action::Delete | Action::Replace => true,
            Action::NoOp
            | Action::Create
            | Action::Adopt
            | Action::Update
            | Action::Forget
            | Action::Read => false,
        })
}

/// Whether a person must agree to the plan of this round (1-based).
fn must_ask(plan: &Plan, yes: Option<Yes>, round: usize) -> bool {
    match yes {
        Some(Yes::All) => false,
        Some(Yes::Plan) => round > 1 && is_destructive(plan),
        None => true,
    }
}

/// Refuses at once what would stop at the first question.
///
/// # Errors
/// When nobody can be asked and nothing was answered beforehand.
pub(super) fn check_can_confirm(cx: &Cx, yes: YesArgs) -> Result<(), CliError> {
    let can_ask = cx.terminal.can_ask && cx.format == Format::Text;
    if can_ask || yes.yes.is_some() {
        return Ok(());
    }
    Err(CliError::other(
        "asking whether to apply",
        "nobody can be asked: this is no terminal, or --json was given",
        "pass --yes, or a plan saved by: coxswain plan --out FILE",
    ))
}

/// The command to type after a run that ended so.
fn next_command(exit: Exit, mode: Mode) -> Option<&'static str> {
    let again = match mode {
        Mode::Apply => "coxswain apply",
        Mode::Destroy => "coxswain destroy",
    };
    match exit {
        Exit::Done | Exit::Busy | Exit::Drift => None,
        Exit::Error | Exit::Partly => Some("coxswain plan   (then mend what failed and apply again)"),
        Exit::Pending | Exit::Waiting => Some(again),
    }
}

/// What a run needs of the engine; tests have one that follows a script.
pub(super) trait Engine {
    /// As [`Session::warnings`].
    fn warnings(&self) -> &Diagnostics;
    /// As [`Session::plan`].
    async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, Failure>;
    /// As [`Session::apply`].
    async fn apply(
        &mut self,
        plan: &Plan,
        sink: &Sink<'_>,
        interrupt: Arc<Interrupt>,
    ) -> Result<Summary, Failure>;
}

/// Where events go.
type Sink<'a> = dyn Fn(Event) + Send + Sync + 'a;

impl Engine for Session {
    fn warnings(&self) -> &Diagnostics {
        Session::warnings(self)
    }
    async fn plan(&mut self, request: &PlanRequest) -> Result<Plan, Failure> {
        Session::plan(self, request).await
    }
    async fn apply(
        &mut self,
        plan: &Plan,
        sink: &Sink<'_>,
        interrupt: Arc<Interrupt>,
    ) -> Result<Summary, Failure> {
        Session::apply(self, plan, sink, interrupt).await
    }
}

/// A run.
#[derive(Debug)]
pub(super) struct Rounds<'a> {
    cx: &'a Cx,
    sources: &'a Sources,
    yes: YesArgs,
    interrupt: Arc<Interrupt>,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(cx: &'a Cx, sources: &'a Sources, yes: YesArgs) -> Rounds<'a> {
        Rounds { cx, sources, yes, interrupt: Arc::new(Interrupt::default()) }
    }

    fn failed(&self, failure: Failure) -> CliError {
        CliError::from((failure, self.sources))
    }

    fn begin(&self) {
        if self.cx.format == Format::Json {
            self.cx.terminal.out(&json::version_line());
        }
    }

    fn end(&self, exit: Exit) -> Exit {
        if self.cx.format == Format::Json {
            self.cx.terminal.out(&json::exit_line(exit as u8));
        }
        exit
    }

    fn say(&self, text: &str) {
        match self.cx.format {
            Format::Json => self.cx.terminal.out(&json::message_line(text)),
            Format::Text => self.cx.terminal.err(&format!("{text}\n")),
        }
    }

    fn show(&self, plan: &Plan) {
        let terminal = &self.cx.terminal;
        terminal.out(&match self.cx.format {
            Format::Json => json::plan_line(plan),
            Format::Text => plan_render::text(plan, terminal.out_colour),
        });
    }

    /// Rounds over a configuration.
    pub(super) async fn run(
        &mut self,
        engine: &mut impl Engine,
        request: &PlanRequest,
    ) -> Result<Exit, CliError> {
        self.begin();
        let mut exit = Exit::Done;
        for round in 1..=MAX_ROUNDS {
            let spinner = Spinner::new(self.cx, PLANNING);
            let planned = progress::interruptible(engine.plan(request)).await;
            drop(spinner);
            let plan = match planned {
                Some(plan) => plan.map_err(|failure| self.failed(failure))?,
                None => return Ok(self.interrupted(round)),
            };
            if round == 1 {
                diagnostics::show(self.cx, &other_warnings(engine.warnings(), &plan), self.sources);
            }
            self.show(&plan);
            if blocked(&plan, request) {
                return Err(CliError::other(
                    format!("reading {}", plural(plan.unreadable.len(), "host")),
                    "nothing is applied while hosts cannot be read",
                    "mend them, or pass --allow-unreachable to go on without them",
                ));
            }
            if !has_work(&plan) {
                return Ok(self.end(plan_exit(&plan, request)));
            }
            if !plan.is_empty() && !self.confirm(&plan, round).await {
                return Ok(self.end(Exit::Pending));
            }
            let summary = self.carry_out(engine, &plan).await?;
            exit = run_exit(&plan, &summary);
            let more = goes_on(&plan, &summary) && self.interrupt.level() == 0;
            self.report(&summary, (!more).then(|| next_command(exit, request.mode)).flatten());
            if !more {
                return Ok(self.end(exit));
            }
        }
        self.say(&format!("stopped after {MAX_ROUNDS} rounds: something is left in every one of them"));
        Ok(self.end(exit.worse(Exit::Pending)))
    }

    /// One round of a saved plan: it was agreed to when it was saved.
    pub(super) async fn run_saved(
        &mut self,
        engine: &mut impl Engine,
        plan: &Plan,
    ) -> Result<Exit, CliError> {
        self.begin();
        diagnostics::show(self.cx, &other_warnings(engine.warnings(), plan), self.sources);
        self.show(plan);
        if !has_work(plan) {
            let request = PlanRequest {
                mode: plan.mode,
                selection: crate::session::Selection::default(),
                allow_unreachable: true,
            };
            return Ok(self.end(plan_exit(plan, &request)));
        }
        let summary = self.carry_out(engine, plan).await?;
        let exit = run_exit(plan, &summary);
        self.report(&summary, next_command(exit, plan.mode));
        Ok(self.end(exit))
    }

    fn interrupted(&self, round: usize) -> Exit {
        self.say(&format!("interrupted while planning round {round}; this round changed nothing"));
        self.end(if round == 1 { Exit::Error } else { Exit::Partly })
    }

    /// Whether the plan may be carried out.
    async fn confirm(&self, plan: &Plan, round: usize) -> bool {
        if !must_ask(plan, self.yes.yes, round) {
            return true;
        }
        if !self.cx.terminal.can_ask || self.cx.format == Format::Json {
            self.say("this round removes something or cannot be taken back, and nobody can be asked: pass --yes=all to go on");
            return false;
        }
        let what = plural(plan.steps.len(), "step");
        let question = match plan.mode {
            Mode::Apply => format!("Apply {what}? [y/N] "),
            Mode::Destroy => format!("Remove all of this ({what})? [y/N] "),
        };
        let terminal = Arc::clone(&self.cx.terminal);
        let asked = tokio::task::spawn_blocking(move || terminal.ask(&question));
        let answer = match progress::interruptible(asked).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) | None => String::new(),
        };
        let agreed = matches!(answer.to_lowercase().as_str(), "y" | "yes");
        if !agreed {
            self.say("Not applied; this round changed nothing.");
        }
        agreed
    }

    async fn carry_out(&self, engine: &mut impl Engine, plan: &Plan) -> Result<Summary, CliError> {
        let progress = Arc::new(Progress::new(self.cx));
        let listener = progress::listen(Arc::clone(&self.interrupt), Arc::clone(&progress));
        let sink = |event| progress.event(&event);
        let result = engine.apply(plan, &sink, Arc::clone(&self.interrupt)).await;
        listener.abort();
        progress.finish();
        result.map_err(|failure| self.failed(failure))
    }

    fn report(&self, summary: &Summary, next: Option<&str>) {
        let terminal = &self.cx.terminal;
        match self.cx.format {
            Format::Json => terminal.out(&json::summary_line(summary)),
            Format::Text => {
                let text = summary_render::text(summary, next, terminal.out_colour);
                terminal.out(&format!("\n{text}"));
            }
        }
    }
}

#[cfg(test)]
mod tests;
