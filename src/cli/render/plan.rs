//! A plan as text for people.

use std::collections::BTreeSet;

use coxswain_model::{Address, Diagnostic, Severity};

use super::layout::{self, Item, Section};
use super::value::{DiffLine, Mark, Row, inline, row};
use super::{Colour, Tone, clean, one_line, plural, row_of};
use crate::plan::model::{DeferredAfter, Unreadable};
use crate::plan::{Deferred, InstancePlan, Mode, Plan};
use crate::resource::{Action, StepClass};

/// Names in a row before the rest is counted.
const NAMES: usize = 8;

/// The sign of an action.
pub fn sign(action: Action) -> &'static str {
    match action {
        Action::NoOp => "=",
        Action::Create => "+",
        Action::Adopt => "<+",
        Action::Update => "~",
        Action::Replace => "-/+",
        Action::Delete => "-",
        Action::Forget => "x",
        Action::Read => ">",
    }
}

/// What an action does, for the legend.
pub fn verb(action: Action) -> &'static str {
    match action {
        Action::NoOp => "nothing but what is marked",
        Action::Create => "create",
        Action::Adopt => "adopt what is there",
        Action::Update => "change in place",
        Action::Replace => "remove and create anew",
        Action::Delete => "remove",
        Action::Forget => "forget and leave in place",
        Action::Read => "read",
    }
}

fn tone(action: Action) -> Tone {
    match action {
        Action::Create | Action::Adopt => Tone::Add,
        Action::Update | Action::NoOp | Action::Read => Tone::Change,
        Action::Replace | Action::Delete => Tone::Remove,
        Action::Forget => Tone::Warn,
    }
}

/// The plan.
pub fn text(plan: &Plan, colour: Colour) -> String {
    let sections = layout::sections(plan);
    let mut out = String::new();
    if let Some(legend) = legend(&sections) {
        out += &format!("{}\n\n", colour.paint(Tone::Faint, &legend));
    }
    for section in &sections {
        out += &format!("{}\n", colour.paint(Tone::Strong, &section.place.title()));
        for item in &section.entries {
            push_item(&mut out, item, section.place.noun(), colour);
        }
        out.push('\n');
    }
    for (title, lines) in rest(plan) {
        out += &format!("{}\n", colour.paint(Tone::Strong, &title));
        for line in lines {
            out += &format!("  {line}\n");
        }
        out.push('\n');
    }
    out + &colour.paint(Tone::Strong, &last_line(plan)) + "\n"
}

/// What the signs in this plan mean.
fn legend(sections: &[Section<'_>]) -> Option<String> {
    let actions: BTreeSet<Action> =
        sections.iter().flat_map(|s| s.entries.iter().map(|e| e.instance.action)).collect();
    let words: Vec<String> = actions.into_iter().map(|a| format!("{} {}", sign(a), verb(a))).collect();
    (!words.is_empty()).then(|| format!("Signs: {}", words.join(", ")))
}

fn push_item(out: &mut String, item: &Item<'_>, place: &str, colour: Colour) {
    let instance = item.instance;
    let mark = colour.paint(tone(instance.action), sign(instance.action));
    *out += &format!("  {mark} {}", clean(&item.label));
    if !instance.identity.is_empty() && instance.identity != item.label {
        *out += &format!("  {}", one_line(&instance.identity));
    }
    let mut comments: Vec<String> = Vec::new();
    if let Some(from) = &instance.moved_from {
        comments.push(format!("was {from}"));
    }
    if !instance.reason.is_empty() {
        comments.push(one_line(&instance.reason));
    }
    push_comment(out, &comments.join("; "), colour);
    out.push('\n');
    push_rows(out, instance, place, colour);
    for line in remarks(item) {
        *out += &format!("      {}\n", colour.paint(Tone::Warn, &format!("! {line}")));
    }
}

fn push_comment(out: &mut String, comment: &str, colour: Colour) {
    if !comment.is_empty() {
        *out += &format!("  {}", colour.paint(Tone::Faint, &format!("# {comment}")));
    }
}

fn push_rows(out: &mut String, instance: &InstancePlan, place: &str, colour: Colour) {
    for change in &instance.changes {
        match row(change, instance.action, place) {
            Row::Inline { name, text, comment } => {
                *out += &format!("      {name}: {text}");
                push_comment(out, &comment, colour);
                out.push('\n');
            }
            Row::Block { name, comment, lines } => {
                *out += &format!("      {name}:");
                push_comment(out, &comment, colour);
                out.push('\n');
                for line in &lines {
                    *out += format!("        {}", paint_line(line, colour)).trim_end();
                    out.push('\n');
                }
            }
        }
    }
}

fn paint_line(line: &DiffLine, colour: Colour) -> String {
    let text = line.plain();
    match line.mark {
        Mark::Same => text,
        Mark::Added => colour.paint(Tone::Add, &text),
        Mark::Removed => colour.paint(Tone::Remove, &text),
        Mark::Position => colour.paint(Tone::Faint, &text),
    }
}

/// What a reader must not overlook about an instance's steps.
pub fn remarks(item: &Item<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &item.steps {
        let title = one_line(&step.step.title);
        match step.step.class {
            StepClass::InPlace => {}
            StepClass::Restart => lines.push(format!("restart: {title}")),
            StepClass::Reconnect => {
                lines.push(match step.step.guard_s {
                    Some(s) => {
                        format!("taken back by the host after {s} s unless a new connection works: {title}")
                    }
                    None => format!("changes the way to the host: {title}"),
                });
            }
            StepClass::Reboot => lines.push(format!("reboot: {title}")),
            StepClass::Danger => lines.push(format!("cannot be taken back: {title}")),
        }
    }
    lines
}

/// The parts below the instances, each with its lines.
pub fn rest(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let deferred = |after: DeferredAfter| -> Vec<String> {
        plan.deferred.iter().filter(|d| d.after == after).map(deferred_line).collect()
    };
    let mut waiting: Vec<String> = plan.instances.iter().filter_map(waiting_line).collect();
    waiting.extend(deferred(DeferredAfter::Others));
    let unreadable = plan.unreadable.iter().map(|u| unreadable_line(u, "planned as nothing"));
    let outputs = plan.outputs.iter().map(|o| {
        let name = clean(&o.name);
        match (&o.before, &o.after) {
            (None, Some(after)) => format!("+ {name}: {}", inline(after)),
            (Some(before), None) => format!("- {name}: {}", inline(before)),
            (Some(before), Some(after)) => format!("~ {name}: {} -> {}", inline(before), inline(after)),
            (None, None) => format!("~ {name}"),
        }
    });
    let mut parts = vec![
        ("Left to a later round".to_owned(), deferred(DeferredAfter::NextRound)),
        ("Waiting for others".to_owned(), waiting),
        ("Cannot be read".to_owned(), unreadable.collect()),
        ("Held back by what cannot be read".to_owned(), deferred(DeferredAfter::Unreadable)),
        ("Outputs".to_owned(), outputs.collect()),
    ];
    parts.extend(cut_part(plan));
    parts.push(("Warnings".to_owned(), plan.warnings.iter().map(warning_line).collect()));
    parts.retain(|(_, lines)| !lines.is_empty());
    parts
}

/// An endpoint, why it cannot be read, and what is not known because of that.
pub(super) fn unreadable_line(unreadable: &Unreadable, treated: &str) -> String {
    let Unreadable { endpoint, reason, instances } = unreadable;
    // Most reasons begin with the name of the endpoint.
    let why = match reason.starts_with(endpoint.as_str()) {
        true => one_line(reason),
        false => format!("{}  {}", one_line(endpoint), one_line(reason)),
    };
    let names: Vec<String> = instances.iter().map(ToString::to_string).collect();
    format!("{why}  # {} {treated}: {}", plural(names.len(), "instance"), row_of(&names, NAMES))
}

fn deferred_line(deferred: &Deferred) -> String {
    format!("+ {}  # {}", deferred.address, one_line(&deferred.reason))
}

fn waiting_line(instance: &InstancePlan) -> Option<String> {
    let waiting = instance.waiting.as_ref()?;
    let on: Vec<String> = waiting.on.iter().map(|name| one_line(name)).collect();
    let since = waiting.since.as_ref().map(|t| format!(" since {}", one_line(t))).unwrap_or_default();
    Some(if on.is_empty() {
        format!("{}  # runs{since}", instance.address)
    } else {
        format!("{}  # waits for {}{since}", instance.address, row_of(&on, NAMES))
    })
}

fn cut_part(plan: &Plan) -> Option<(String, Vec<String>)> {
    let cut = plan.cut.as_ref()?;
    let words =
        |flag: &str, all: &[Address]| -> Vec<String> { all.iter().map(|a| format!("{flag} {a}")).collect() };
    let chosen = [words("--target", &cut.targets), words("--exclude", &cut.excludes)].concat().join(" ");
    Some((format!("Left undone by {chosen}"), cut.left.iter().map(ToString::to_string).collect()))
}

fn warning_line(warning: &Diagnostic) -> String {
    let word = match warning.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut line = format!("{word}[{}]: {}", warning.code, one_line(&warning.summary));
    if !warning.detail.is_empty() {
        line += &format!("\n    {}", clean(warning.detail.trim_end()).replace('\n', "\n    "));
    }
    line
}

/// The line that says it all.
pub fn last_line(plan: &Plan) -> String {
    if plan.is_empty() {
        return match plan.mode {
            Mode::Apply => "No changes. The world matches the configuration.".to_owned(),
            Mode::Destroy => "Nothing to remove. The state is empty.".to_owned(),
        };
    }
    let counts = plan.counts();
    let n = |action: Action| counts.get(&action).copied().unwrap_or(0);
    let mut line = format!(
        "Plan: {} to create, {} to change, {} to replace, {} to remove, {} to adopt",
        n(Action::Create),
        n(Action::Update),
        n(Action::Replace),
        n(Action::Delete),
        n(Action::Adopt),
    );
    if n(Action::Forget) > 0 {
        line += &format!(", {} to forget", n(Action::Forget));
    }
    let unknown = plan.n_unknown();
    line += &format!("; {} unchanged", plan.n_unchanged());
    if unknown > 0 {
        line += &format!(", {unknown} unknown");
    }
    if plan.settled() > 0 {
        line += &format!(", {} noted in the state alone", plan.settled());
    }
    if !plan.deferred.is_empty() {
        line += &format!(", {} deferred", plan.deferred.len());
    }
    line + "."
}

#[cfg(test)]
pub(crate) mod tests;
