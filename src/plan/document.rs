//! Reading the document of a plan file: text to a plan that holds together. Never panics, whatever the bytes.
//!
//! A plan that is returned leaves nothing to doubt for whoever carries it out: every position in it is inside its
//! table, no step comes before itself, and no two steps have one name.

use std::collections::BTreeSet;

use super::model::{FORMAT, Plan, SavedPlan};

/// Why a file is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It is not JSON.
    #[error("it is no plan: {0}")]
    NotJson(serde_json::Error),
    /// Another version wrote it, or something else did.
    #[error("it has {}, and this coxswain reads format {FORMAT}", found.map_or("no format".to_owned(), |n| format!("format {n}")))]
    Format {
        /// The format it names.
        found: Option<u64>,
    },
    /// Something is missing from it.
    #[error("it is not whole: {0}")]
    NotWhole(serde_json::Error),
    /// Its parts contradict each other.
    #[error("it does not hold together: {0}")]
    Broken(String),
}

/// Reads the document of a plan file, without its checksum.
///
/// # Errors
/// When the bytes are not a plan of this version, or one that nothing could carry out.
pub fn read(bytes: &[u8]) -> Result<SavedPlan, PlanFileError> {
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(PlanFileError::NotJson)?;
    let found = json.pointer("/plan/format").and_then(serde_json::Value::as_u64);
    if found != Some(u64::from(FORMAT)) {
        return Err(PlanFileError::Format { found });
    }
    let saved: SavedPlan = serde_json::from_value(json).map_err(PlanFileError::NotWhole)?;
    check(&saved.plan).map_err(PlanFileError::Broken)?;
    Ok(saved)
}

fn check(plan: &Plan) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for step in &plan.steps {
        if plan.instances.get(step.instance).is_none() {
            return Err(format!("step `{}` is of an instance that is not there", step.id));
        }
        if !names.insert(&step.id) {
            return Err(format!("two steps are called `{}`", step.id));
        }
    }
    let n_steps = plan.steps.len();
    if plan.edges.iter().any(|edge| edge.from >= n_steps || edge.to >= n_steps) {
        return Err("a step that is not there comes before or after another".to_owned());
    }
    match runs_in_a_circle(plan) {
        true => Err("a step comes before itself".to_owned()),
        false => Ok(()),
    }
}

/// Whether taking away steps that wait for nothing, again and again, leaves any.
fn runs_in_a_circle(plan: &Plan) -> bool {
    let mut waits_for = vec![0_usize; plan.steps.len()];
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); plan.steps.len()];
    for edge in &plan.edges {
        waits_for[edge.to] += 1;
        after[edge.from].push(edge.to);
    }
    let mut ready: Vec<usize> = (0..plan.steps.len()).filter(|at| waits_for[*at] == 0).collect();
    let mut n_done = 0;
    while let Some(at) = ready.pop() {
        n_done += 1;
        for next in &after[at] {
            waits_for[*next] -= 1;
            if waits_for[*next] == 0 {
                ready.push(*next);
            }
        }
    }
    n_done < plan.steps.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan of two instances with a step each, with these edges.
    fn document(second: &str, edges: &str) -> String {
        let instance = |name: &str| {
            format!(
                r#"{{"address": "file.{name}", "uid": "{name}", "identity": "/{name}", "action": "create", "reason": "", "expects": "e"}}"#
            )
        };
        let step = |name: &str, instance: &str| {
            format!(
                r#"{{"id": "{name}", "instance": {instance}, "name": "apply", "verb": "create", "class": "in_place", "title": "t", "stage": "base"}}"#
            )
        };
        format!(
            r#"{{"plan": {{"format": 1, "version": "0", "mode": "apply", "lineage": "l", "serial": 1, "config_digest": "d",
            "instances": [{}, {}], "steps": [{}, {second}], "edges": [{edges}], "deferred": [], "unreadable": [],
            "outputs": []}}, "files": {{}}, "reads": {{}}, "variables": {{}}, "created": ""}}"#,
            instance("a"),
            instance("b"),
            step("a#apply", "0"),
        )
        .replace("STEP_B", &step("b#apply", "1"))
        .replace("STEP_LOST", &step("b#apply", "2"))
        .replace("STEP_A_AGAIN", &step("a#apply", "1"))
    }

    #[track_caller]
    fn check(second: &str, edges: &str, expected: &str) {
        let told = match read(document(second, edges).as_bytes()) {
            Ok(_) => "whole".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn a_plan_that_holds_together_is_read() {
        check("STEP_B", r#"{"from": 0, "to": 1, "why": "value"}"#, "whole");
    }

    #[test]
    fn a_step_of_a_lost_instance_is_refused() {
        check(
            "STEP_LOST",
            "",
            "it does not hold together: step `b#apply` is of an instance that is not there",
        );
    }

    #[test]
    fn two_steps_of_one_name_are_refused() {
        check("STEP_A_AGAIN", "", "it does not hold together: two steps are called `a#apply`");
    }

    #[test]
    fn an_edge_to_nowhere_is_refused() {
        let told = "it does not hold together: a step that is not there comes before or after another";
        check("STEP_B", r#"{"from": 0, "to": 2, "why": "value"}"#, told);
    }

    #[test]
    fn a_circle_is_refused() {
        let circle = r#"{"from": 0, "to": 1, "why": "value"}, {"from": 1, "to": 0, "why": "value"}"#;
        check("STEP_B", circle, "it does not hold together: a step comes before itself");
    }
}
