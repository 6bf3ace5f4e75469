//! A plan and a run as JSON for machines.
//!
//! The plan is one document. A run is JSON lines, the first of which names the format.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::apply::{Event, Summary};
use crate::plan::Plan;
use crate::resource::Action;

/// Version of the lines of `apply --json`; a later one only adds fields and events.
pub const LINES_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    document: &'static str,
    #[serde(flatten)]
    plan: &'a Plan,
    summary: Counts,
    empty: bool,
}

/// Instances by what is done with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    create: usize,
    update: usize,
    replace: usize,
    delete: usize,
    adopt: usize,
    forget: usize,
    read: usize,
    unchanged: usize,
    deferred: usize,
    #[serde(skip_serializing_if = "is_zero")]
    unknown: usize,
    #[serde(skip_serializing_if = "is_zero")]
    noted: usize,
}

/// For serde, which hands over references.
fn is_zero(n: &usize) -> bool {
    *n == 0
}

fn counts(plan: &Plan) -> Counts {
    let counts = plan.counts();
    let n = |action: Action| counts.get(&action).copied().unwrap_or(0);
    Counts {
        create: n(Action::Create),
        update: n(Action::Update),
        replace: n(Action::Replace),
        delete: n(Action::Delete),
        adopt: n(Action::Adopt),
        forget: n(Action::Forget),
        read: n(Action::Read),
        unchanged: plan.n_unchanged(),
        noted: plan.settled(),
        deferred: plan.deferred.len(),
        unknown: plan.n_unknown(),
    }
}

fn document(plan: &Plan) -> Json {
    let document =
        Document { document: "coxswain.plan", plan, summary: counts(plan), empty: plan.is_empty() };
    to_json(&document)
}

fn to_json(data: &impl Serialize) -> Json {
    serde_json::to_value(data).expect("plans and events have text keys only")
}

/// The document with indentation, and a line end.
pub fn pretty(value: &Json) -> String {
    format!("{value:#}\n")
}

/// The plan as one document.
pub fn plan(plan: &Plan) -> String {
    pretty(&document(plan))
}

/// The first line of a run.
pub fn version_line() -> String {
    let version = env!("CARGO_PKG_VERSION");
    line(&json!({ "event": "version", "format": LINES_FORMAT, "coxswain": version }))
}

/// The plan as a line of a run.
pub fn plan_line(plan: &Plan) -> String {
    line(&json!({ "event": "plan", "plan": document(plan) }))
}

/// An event of a run.
pub fn event_line(event: &Event) -> String {
    line(&to_json(event))
}

/// The end of a round.
pub fn summary_line(summary: &Summary) -> String {
    line(&json!({ "event": "summary", "summary": to_json(summary) }))
}

/// The end of a run.
pub fn exit_line(code: u8) -> String {
    line(&json!({ "event": "exit", "code": code }))
}

/// Something for people in between.
pub fn message_line(text: &str) -> String {
    line(&json!({ "event": "message", "text": text }))
}

fn line(value: &Json) -> String {
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::plan::tests::{address, small};
    use super::*;
    use crate::apply::StepResult;

    #[test]
    fn the_document_is_the_plan_with_counts() {
        let text = plan(&small());
        let json: Json = serde_json::from_str(&text).expect("json");
        assert_eq!(json["format"], 1);
        assert_eq!(json["document"], "coxswain.plan");
        assert_eq!(json["summary"]["create"], 1);
        assert_eq!(json["instances"][0]["changes"][0]["cause"], "drifted");
        let back: Plan = serde_json::from_str(&text).expect("a reader of plans reads it");
        assert_eq!(back, small());
    }

    #[test]
    fn a_run_is_lines() {
        let finished = Event::Finished {
            step: "file.a#apply".into(),
            address: address("file.a"),
            result: StepResult::Failed { error: "no".into() },
            took: Duration::from_millis(12),
        };
        assert_eq!(
            event_line(&finished),
            "{\"address\":\"file.a\",\"event\":\"finished\",\"result\":{\"error\":\"no\",\"result\":\"failed\"},\
             \"step\":\"file.a#apply\",\"took_ms\":12}\n"
        );
        assert!(version_line().contains("\"format\":1"));
        assert_eq!(plan_line(&small()).lines().count(), 1);
        assert_eq!(exit_line(4), "{\"code\":4,\"event\":\"exit\"}\n");
    }
}
