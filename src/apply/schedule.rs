//! Which step starts when: edges, stages, one mutating step per host, a limit on all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use coxswain_model::schema::Stage;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::core::Core;
use super::event::{Event, StepResult, Summary};
use super::look::learn_facts;
use super::{Run, step};
use crate::plan::Why;

/// How often a wish to stop is looked for while steps run.
const TICK: Duration = Duration::from_millis(100);

/// Runs the plan to its end, or as far as it goes.
///
/// # Errors
/// When the journal cannot be written; what was running is left to the next plan.
pub async fn run(run: &Run<'_>) -> Result<Summary, String> {
    let core = Core::new(run);
    core.begin()?;
    learn_facts(&core).await;
    let mut table = Table::new(run);
    let mut running = FuturesUnordered::new();
    let mut summary = Summary::default();
    loop {
        while running.len() < run.parallelism.max(1) && run.interrupt.level() == 0 {
            let Some(at) = table.next(run) else { break };
            table.start(run, at);
            let core = &core;
            running.push(async move {
                let begun = Instant::now();
                (at, step::run(core, at).await, begun.elapsed())
            });
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            Some((at, result, took)) = running.next() => {
                let result = result?;
                table.finish(run, at, &result);
                tell(run, at, result.clone(), took);
                note(&mut summary, run.plan.steps[at].id.clone(), result);
            }
            () = tokio::time::sleep(TICK) => {
                if run.interrupt.level() >= 2 {
                    // Their intents are on disk without an outcome: the next plan observes them again.
                    break;
                }
            }
        }
    }
    summary.interrupted = run.interrupt.level() > 0;
    for at in 0..run.plan.steps.len() {
        if let Some(result) = table.why_not(run, at) {
            note(&mut summary, run.plan.steps[at].id.clone(), result);
        }
    }
    drop(running);
    core.finish(&summary)?;
    Ok(summary)
}

fn tell(run: &Run<'_>, at: usize, result: StepResult, took: Duration) {
    let planned = &run.plan.steps[at];
    let address = run.plan.instances[planned.instance].address.clone();
    (run.sink)(Event::Finished { step: planned.id.clone(), address, result, took });
}

fn note(summary: &mut Summary, id: String, result: StepResult) {
    match result {
        StepResult::Done => summary.done.push(id),
        StepResult::Running => summary.running.push(id),
        StepResult::Waiting { on } => summary.waiting.push((id, on)),
        StepResult::Failed { error } => summary.failed.push((id, error)),
        StepResult::Refused { reason } => summary.refused.push((id, reason)),
        StepResult::NotStarted { because } => summary.not_started.push((id, because)),
        StepResult::Held { by } => summary.held.push((id, by)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Running,
    Good,
    Bad,
    /// It runs or waits, or something before it does.
    Later,
}

struct Table {
    phase: Vec<Phase>,
    before: Vec<Vec<(usize, Why)>>,
    after: Vec<Vec<usize>>,
    missing: Vec<usize>,
    ready: BTreeSet<usize>,
    /// The lane of each step: a host or this machine; none where nothing excludes it.
    lanes: Vec<Option<String>>,
    busy: BTreeSet<String>,
    /// Names that running steps hold, with the step.
    held: BTreeMap<String, usize>,
    /// Steps that were said to wait for a name.
    told: BTreeSet<usize>,
    /// Steps not ended, by lane and stage.
    left: BTreeMap<String, BTreeMap<Stage, usize>>,
    failures: BTreeMap<String, u64>,
}

impl Table {
    fn new(run: &Run<'_>) -> Table {
        let n = run.plan.steps.len();
        let mut table = Table {
            phase: vec![Phase::Open; n],
            before: vec![Vec::new(); n],
            after: vec![Vec::new(); n],
            missing: vec![0; n],
            ready: BTreeSet::new(),
            lanes: Vec::with_capacity(n),
            busy: BTreeSet::new(),
            held: BTreeMap::new(),
            told: BTreeSet::new(),
            left: BTreeMap::new(),
            failures: BTreeMap::new(),
        };
        for edge in &run.plan.edges {
            table.before[edge.to].push((edge.from, edge.why));
            table.after[edge.from].push(edge.to);
            table.missing[edge.to] += 1;
        }
        for (at, planned) in run.plan.steps.iter().enumerate() {
            let lane = lane(run, planned.instance);
            if let Some(lane) = &lane {
                *table.left.entry(lane.clone()).or_default().entry(planned.stage).or_default() += 1;
            }
            table.lanes.push(lane);
            if table.missing[at] == 0 {
                table.ready.insert(at);
            }
        }
        table
    }

    /// The next step that may start.
    fn next(&mut self, run: &Run<'_>) -> Option<usize> {
        let mut waits = Vec::new();
        let found = self.ready.iter().copied().find(|at| {
            let is_free = self.lanes[*at].as_ref().is_none_or(|lane| {
                let stage = run.plan.steps[*at].stage;
                let earlier = self.left[lane].range(..stage).any(|(_, n)| *n > 0);
                !self.busy.contains(lane) && !earlier
            });
            let holder =
                run.plan.steps[*at].step.holds.iter().find_map(|name| Some((name, self.held.get(name)?)));
            if let (true, Some((name, holder))) = (is_free, holder) {
                waits.push((*at, format!("waiting for {name}, held by {}", run.plan.steps[*holder].id)));
            }
            is_free && holder.is_none()
        });
        for (at, why) in waits {
            if self.told.insert(at) {
                (run.sink)(Event::Blocked { step: run.plan.steps[at].id.clone(), why });
            }
        }
        found
    }

    fn start(&mut self, run: &Run<'_>, at: usize) {
        self.ready.remove(&at);
        self.phase[at] = Phase::Running;
        if let Some(lane) = &self.lanes[at] {
            self.busy.insert(lane.clone());
        }
        let planned = &run.plan.steps[at];
        self.held.extend(planned.step.holds.iter().map(|name| (name.clone(), at)));
        let instance = &run.plan.instances[planned.instance];
        (run.sink)(Event::Started {
            step: planned.id.clone(),
            address: instance.address.clone(),
            host: instance.host.clone(),
            title: planned.step.title.clone(),
        });
    }

    fn finish(&mut self, run: &Run<'_>, at: usize, result: &StepResult) {
        let phase = match result {
            StepResult::Done => Phase::Good,
            StepResult::Running | StepResult::Waiting { .. } => Phase::Later,
            StepResult::Failed { .. }
            | StepResult::Refused { .. }
            | StepResult::NotStarted { .. }
            | StepResult::Held { .. } => Phase::Bad,
        };
        if phase == Phase::Bad {
            let set = run.plan.instances[run.plan.steps[at].instance].address.resource().to_string();
            *self.failures.entry(set).or_default() += 1;
        }
        if let Some(lane) = &self.lanes[at] {
            self.busy.remove(lane);
        }
        self.held.retain(|_, holder| *holder != at);
        self.end(run, at, phase);
    }

    /// Ends a step, and with it everything that can never start because of it.
    fn end(&mut self, run: &Run<'_>, at: usize, phase: Phase) {
        let mut open = vec![(at, phase)];
        while let Some((at, phase)) = open.pop() {
            self.phase[at] = phase;
            if let Some(lane) = &self.lanes[at]
                && let Some(n) = self.left.get_mut(lane).and_then(|l| l.get_mut(&run.plan.steps[at].stage))
            {
                *n = n.saturating_sub(1);
            }
            for to in self.after[at].clone() {
                self.missing[to] = self.missing[to].saturating_sub(1);
                if self.phase[to] != Phase::Open {
                    continue;
                }
                if let Some(blocker) = self.blocker(run, to) {
                    self.ready.remove(&to);
                    open.push((to, self.phase[blocker]));
                } else if self.missing[to] == 0 {
                    self.ready.insert(to);
                }
            }
        }
    }

    /// A step before this one that did not end well and is not forgiven by `rollout`.
    fn blocker(&self, run: &Run<'_>, at: usize) -> Option<usize> {
        let forgiven = |from: usize, why: Why| {
            let instance = &run.plan.instances[run.plan.steps[from].instance];
            let failures = self.failures.get(&instance.address.resource().to_string()).copied().unwrap_or(0);
            why == Why::Rollout && failures <= instance.max_failures.unwrap_or(0)
        };
        let is_in_the_way = |phase: Phase| {
            let found = self.before[at].iter().find(|(f, w)| self.phase[*f] == phase && !forgiven(*f, *w));
            found.map(|(from, _)| *from)
        };
        is_in_the_way(Phase::Bad).or_else(|| is_in_the_way(Phase::Later))
    }

    /// Why a step that never started did not.
    fn why_not(&self, run: &Run<'_>, at: usize) -> Option<StepResult> {
        let because = |text: &str| Some(StepResult::NotStarted { because: text.to_owned() });
        let blocker = self.blocker(run, at);
        match (self.phase[at], blocker) {
            (Phase::Good, _) | (Phase::Bad | Phase::Later, None) => None,
            (Phase::Running, _) => because("the run was stopped while it was running"),
            (Phase::Open | Phase::Bad | Phase::Later, Some(blocker)) => {
                let id = &run.plan.steps[blocker].id;
                match self.phase[blocker] {
                    Phase::Later => Some(StepResult::Held { by: id.clone() }),
                    Phase::Open | Phase::Running | Phase::Good | Phase::Bad => {
                        because(&format!("{id} did not end well"))
                    }
                }
            }
            (Phase::Open, None) if run.interrupt.level() > 0 => because("the run was stopped"),
            (Phase::Open, None) => because("its turn did not come"),
        }
    }
}

fn lane(run: &Run<'_>, instance: usize) -> Option<String> {
    let planned = &run.plan.instances[instance];
    let placement = (run.kinds)(&planned.address.kind).map(|k| k.schema().placement);
    match (&planned.host, placement) {
        (Some(host), _) => Some(host.to_string()),
        (None, Some(coxswain_model::schema::Placement::Nowhere)) => None,
        (None, Some(coxswain_model::schema::Placement::IsHost)) => Some(planned.address.to_string()),
        (None, _) => Some("this machine".to_owned()),
    }
}
