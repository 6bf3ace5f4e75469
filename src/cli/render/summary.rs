//! What a run did: what is done, what failed and why, what did not start and because of what.

use super::{Colour, Tone, clean, one_line, plural, row_of};
use crate::apply::Summary;

/// Parties in a row before the rest is counted.
const NAMES: usize = 8;
/// Steps of one part before the rest is counted.
const LINES: usize = 30;

/// As text; `next` is the command to type, if there is one.
pub fn text(summary: &Summary, next: Option<&str>, colour: Colour) -> String {
    let mut out = String::new();
    let reasons = |all: &[(String, String)]| -> Vec<(String, String)> {
        all.iter().map(|(step, why)| (step.clone(), clean(why.trim_end()).into_owned())).collect()
    };
    let running = summary.running.iter().map(|s| (s.clone(), String::new())).collect::<Vec<_>>();
    let waiting = summary
        .waiting
        .iter()
        .map(|(step, on)| {
            let on: Vec<String> = on.iter().map(|name| one_line(name)).collect();
            (step.clone(), format!("for {}", row_of(&on, NAMES)))
        })
        .collect::<Vec<_>>();
    push_part(&mut out, colour.paint(Tone::Remove, "Failed"), &reasons(&summary.failed));
    push_part(&mut out, colour.paint(Tone::Warn, "Refused"), &reasons(&summary.refused));
    push_part(&mut out, colour.paint(Tone::Warn, "Not started"), &reasons(&summary.not_started));
    let held = |(step, by): &(String, String)| (step.clone(), format!("after {by}"));
    let held: Vec<(String, String)> = summary.held.iter().map(held).collect();
    push_part(&mut out, colour.paint(Tone::Warn, "Left for later"), &held);
    push_part(&mut out, colour.paint(Tone::Warn, "Still running on its host"), &running);
    push_part(&mut out, colour.paint(Tone::Warn, "Waiting"), &waiting);
    out += &colour.paint(Tone::Strong, &last_line(summary));
    out.push('\n');
    if let Some(next) = next {
        out += &format!("Next: {next}\n");
    }
    out
}

fn push_part(out: &mut String, title: String, lines: &[(String, String)]) {
    if lines.is_empty() {
        return;
    }
    *out += &format!("{title}\n");
    for (step, why) in lines.iter().take(LINES) {
        match why.is_empty() {
            true => *out += &format!("  {step}\n"),
            false => *out += &format!("  {step}  {}\n", why.replace('\n', "\n    ")),
        }
    }
    if lines.len() > LINES {
        *out += &format!("  … and {} more\n", lines.len() - LINES);
    }
    out.push('\n');
}

/// The line that says it all.
pub fn last_line(summary: &Summary) -> String {
    let mut parts = vec![format!("{} done", plural(summary.done.len(), "step"))];
    let rows = [
        (summary.failed.len(), "failed"),
        (summary.refused.len(), "refused"),
        (summary.not_started.len(), "not started"),
        (summary.held.len(), "left for later"),
        (summary.running.len(), "running"),
        (summary.waiting.len(), "waiting"),
    ];
    parts.extend(rows.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")));
    let head = if summary.interrupted { "Interrupted: " } else { "Applied: " };
    format!("{head}{}.", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_run_is_one_line() {
        let summary = Summary { done: vec!["file.a#apply".into()], ..Summary::default() };
        assert_eq!(text(&summary, None, Colour::Off), "Applied: 1 step done.\n");
    }

    #[test]
    fn a_bad_run_says_why_and_what_next() {
        let summary = Summary {
            done: vec!["a#x".into(), "b#x".into()],
            failed: vec![("c#x".into(), "apt-get exited with 100:\nE: no".into())],
            refused: vec![("d#x".into(), "mode is 0640 by now".into())],
            not_started: vec![("e#x".into(), "c#x failed".into())],
            held: vec![("d#apply".into(), "e#apply".into())],
            waiting: vec![("f#x".into(), vec!["ann".into(), "bob".into()])],
            running: vec!["g#x".into()],
            interrupted: true,
        };
        assert_eq!(
            text(&summary, Some("coxswain apply"), Colour::Off),
            "Failed\n  c#x  apt-get exited with 100:\n    E: no\n\n\
             Refused\n  d#x  mode is 0640 by now\n\n\
             Not started\n  e#x  c#x failed\n\n\
             Left for later\n  d#apply  after e#apply\n\n\
             Still running on its host\n  g#x\n\n\
             Waiting\n  f#x  for ann, bob\n\n\
             Interrupted: 2 steps done, 1 failed, 1 refused, 1 not started, 1 left for later, 1 running, 1 waiting.\n\
             Next: coxswain apply\n"
        );
    }
}
