//! Attribute values and their differences as text.
//!
//! Short values stand on one line; texts and long documents are compared line by line.

use serde_json::Value as Json;
use similar::{ChangeTag, TextDiff};

use super::clean;
use crate::plan::{AttrChange, Cause};
use crate::resource::Action;

/// Characters of a string that are shown on one line; what is longer is cut.
const STRING_LIMIT: usize = 80;
/// Characters of a list or object that are shown on one line; what is longer is written over several.
const INLINE_LIMIT: usize = 72;
/// Unchanged lines around a change, as `diff -u` has them.
const CONTEXT: usize = 3;
/// Lines of one difference; a reader who needs more takes `--json`.
const LINES_LIMIT: usize = 60;

/// One attribute's change, ready to be laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// `name: text`.
    Inline {
        /// The attribute.
        name: String,
        /// The value, or `before -> after`.
        text: String,
        /// Why; may be empty.
        comment: String,
    },
    /// `name:` and lines below it.
    Block {
        /// The attribute.
        name: String,
        /// Why; may be empty.
        comment: String,
        /// The lines.
        lines: Vec<DiffLine>,
    },
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// What becomes of it.
    pub mark: Mark,
    /// The line without its end.
    pub text: String,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It stays.
    Same,
    /// It comes.
    Added,
    /// It goes.
    Removed,
    /// It says where the next lines stand, or that lines are left out.
    Position,
}

impl DiffLine {
    /// The line as `diff -u` writes it.
    pub fn plain(&self) -> String {
        match self.mark {
            Mark::Same if self.text.is_empty() => String::new(),
            Mark::Same => format!("  {}", self.text),
            Mark::Added => format!("+ {}", self.text),
            Mark::Removed => format!("- {}", self.text),
            Mark::Position => self.text.clone(),
        }
    }
}

/// The value as one writes it in a configuration, on one line; long strings are cut.
pub fn inline(value: &Json) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Json::Object(fields) if fields.len() == 1 && fields.contains_key("$ref") => {
            clean(fields["$ref"].as_str().unwrap_or("(a reference)")).into_owned()
        }
        Json::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(k, v)| format!("{} = {}", key(k), inline(v))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

/// The change of one attribute of an instance with this action.
pub fn row(change: &AttrChange, action: Action, place: &str) -> Row {
    let mut short = change.clone();
    [&mut short.before, &mut short.after].into_iter().flatten().for_each(without_nulls);
    // Where the nulls are the difference, they are shown.
    let differed = change.before != change.after && short.before == short.after;
    full_row(if differed { change } else { &short }, action, place)
}

/// Drops the fields that say nothing.
fn without_nulls(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(without_nulls),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn full_row(change: &AttrChange, action: Action, place: &str) -> Row {
    let name = clean(&change.name).into_owned();
    let comment = comment(change, place);
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    if let Some(lines) = block(change) {
        return Row::Block { name, comment, lines };
    }
    let absent = || "(none)".to_owned();
    let text = match (action, before, after) {
        (_, Some(value), None) if change.cause == Cause::Released => inline(value),
        (_, None, Some(value)) if change.cause == Cause::Taken => inline(value),
        (Action::Delete | Action::Forget, Some(value), None)
        | (Action::Create | Action::Read | Action::Adopt, None, Some(value)) => inline(value),
        _ => format!("{} -> {}", before.map_or_else(absent, inline), after.map_or_else(absent, inline)),
    };
    Row::Inline { name, text, comment }
}

fn comment(change: &AttrChange, place: &str) -> String {
    let cause = match change.cause {
        Cause::Pending => None,
        Cause::Taken => Some("is so already: managed from now on".to_owned()),
        Cause::Released => Some("not in the configuration any more: left as it is".to_owned()),
        Cause::Drifted => Some(format!("changed on {place}")),
        Cause::Both => Some(format!("changed on {place} and in the configuration")),
    };
    let replaces = change.replaces.then(|| "forces replacement".to_owned());
    [cause, replaces].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The line difference of a change that is worth one.
fn block(change: &AttrChange) -> Option<Vec<DiffLine>> {
    let sides = [change.before.as_ref(), change.after.as_ref()];
    if sides.iter().flatten().any(|v| special(v).is_some()) {
        return None;
    }
    let long = sides.iter().flatten().any(|v| match v {
        Json::String(text) => text.trim_end_matches('\n').contains('\n'),
        Json::Array(_) | Json::Object(_) => inline(v).chars().count() > INLINE_LIMIT,
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    });
    if !(long || change.lines && sides.iter().all(Option::is_some)) {
        return None;
    }
    let [before, after] = sides.map(|side| side.map(document).unwrap_or_default());
    Some(diff(&before, &after))
}

/// The value as lines: a text as it is, anything else one element or field a line.
fn document(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            let mut lines = Vec::new();
            spread(value, "", "", &mut lines);
            lines.join("\n") + "\n"
        }
    }
}

fn spread(value: &Json, indent: &str, head: &str, lines: &mut Vec<String>) {
    let short = inline(value);
    let deeper = format!("{indent}  ");
    match value {
        Json::Array(items) if short.chars().count() > INLINE_LIMIT || indent.is_empty() => {
            lines.push(format!("{indent}{head}["));
            for item in items {
                spread(item, &deeper, "", lines);
            }
            lines.push(format!("{indent}]"));
        }
        Json::Object(fields)
            if special(value).is_none() && (short.chars().count() > INLINE_LIMIT || indent.is_empty()) =>
        {
            lines.push(format!("{indent}{head}{{"));
            for (name, field) in fields {
                spread(field, &deeper, &format!("{} = ", key(name)), lines);
            }
            lines.push(format!("{indent}}}"));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            lines.push(format!("{indent}{head}{short}"))
        }
    }
}

/// The unified difference of two texts; of a text with nothing, its lines.
pub fn diff(before: &str, after: &str) -> Vec<DiffLine> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        if !before.is_empty() && !after.is_empty() {
            lines.push(DiffLine { mark: Mark::Position, text: hunk.header().to_string() });
        }
        for change in hunk.iter_changes() {
            let mark = match change.tag() {
                ChangeTag::Equal => Mark::Same,
                ChangeTag::Insert => Mark::Added,
                ChangeTag::Delete => Mark::Removed,
            };
            let text = change.value().trim_end_matches('\n');
            let mut text = cut(&clean(text));
            if change.missing_newline() && !change.value().is_empty() {
                text += "  (no line end)";
            }
            lines.push(DiffLine { mark, text });
        }
    }
    if lines.len() > LINES_LIMIT {
        let left = lines.len() - LINES_LIMIT;
        lines.truncate(LINES_LIMIT);
        lines.push(DiffLine { mark: Mark::Position, text: format!("… {left} more lines") });
    }
    lines
}

/// Characters of one line of a difference.
const LINE_LIMIT: usize = 200;

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_LIMIT) {
        None => line.to_owned(),
        Some((at, _)) => format!("{}…", &line[..at]),
    }
}

fn special(value: &Json) -> Option<&'static str> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    match fields.keys().next().map(String::as_str) {
        Some("$sensitive") => Some("(sensitive value)"),
        // Sensitive or long: the state keeps either as a digest only.
        Some("$digest" | "$blob") => Some("(kept as a digest)"),
        Some("$unknown") => Some("(known after apply)"),
        Some(_) | None => None,
    }
}

fn quoted(text: &str) -> String {
    let count = text.chars().count();
    if count <= STRING_LIMIT {
        return clean(&Json::from(text).to_string()).into_owned();
    }
    let head: String = text.chars().take(STRING_LIMIT - 20).collect();
    let head = Json::from(head).to_string();
    let head = clean(&head);
    format!("{}…\" ({count} characters)", head.strip_suffix('"').unwrap_or(&head))
}

fn key(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        && name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
    if plain { name.to_owned() } else { clean(&Json::from(name).to_string()).into_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(before: Json, after: Json) -> AttrChange {
        let some = |v: Json| (!v.is_null()).then_some(v);
        AttrChange {
            name: "content".into(),
            before: some(before),
            after: some(after),
            cause: Cause::Pending,
            lines: false,
            replaces: false,
        }
    }

    #[track_caller]
    fn check(change: &AttrChange, action: Action, expected: &str) {
        let text = match row(change, action, "the host") {
            Row::Inline { text, comment, .. } => format!("{text}|{comment}"),
            Row::Block { lines, .. } => lines.iter().map(|l| l.plain() + "\n").collect(),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn short_values_stand_on_one_line() {
        check(&change(json!("0600"), json!("0644")), Action::Update, "\"0600\" -> \"0644\"|");
        check(&change(json!(null), json!(5)), Action::Create, "5|");
        check(&change(json!(null), json!(5)), Action::Update, "(none) -> 5|");
        check(&change(json!(true), json!(null)), Action::Update, "true -> (none)|");
        check(&change(json!("x"), json!(null)), Action::Delete, "\"x\"|");
    }

    #[test]
    fn unknown_and_sensitive_values_are_named() {
        let hidden = change(json!({"$sensitive": true}), json!({"$unknown": true}));
        check(&hidden, Action::Update, "(sensitive value) -> (known after apply)|");
        assert_eq!(inline(&json!({"$ref": "host.a"})), "host.a");
        assert_eq!(
            inline(&json!({"a b": {"$sensitive": true}, "c": [1, {}]})),
            "{ \"a b\" = (sensitive value), c = [1, {}] }"
        );
    }

    #[test]
    fn causes_are_said() {
        let mut it = change(json!(1), json!(2));
        it.cause = Cause::Both;
        it.replaces = true;
        check(
            &it,
            Action::Replace,
            "1 -> 2|changed on the host and in the configuration; forces replacement",
        );
    }

    #[test]
    fn texts_are_compared_by_lines() {
        let before: String = (1..=9).map(|n| format!("{n}\n")).collect();
        let after = before.replace("5\n", "five\n");
        check(
            &change(json!(before), json!(after)),
            Action::Update,
            "@@ -2,7 +2,7 @@\n  2\n  3\n  4\n- 5\n+ five\n  6\n  7\n  8\n",
        );
        check(&change(json!(null), json!("a\nb")), Action::Create, "+ a\n+ b  (no line end)\n");
    }

    #[test]
    fn a_long_list_is_compared_by_elements() {
        let rules = |port: u32| json!([{"port": 22, "proto": "tcp", "from": "172.20.0.0/20"}, {"port": port, "proto": "tcp"}]);
        check(
            &change(rules(80), rules(443)),
            Action::Update,
            "@@ -1,4 +1,4 @@\n  [\n    { from = \"172.20.0.0/20\", port = 22, proto = \"tcp\" }\n\
             -   { port = 80, proto = \"tcp\" }\n+   { port = 443, proto = \"tcp\" }\n  ]\n",
        );
    }

    #[test]
    fn long_strings_and_differences_are_cut() {
        let text = inline(&json!("x".repeat(300)));
        assert!(text.ends_with("x…\" (300 characters)") && text.len() < 100, "{text}");
        let many: String = (0..500).map(|n| format!("{n}\n")).collect();
        let lines = diff("", &many);
        assert_eq!(lines.len(), LINES_LIMIT + 1);
        assert_eq!(lines[LINES_LIMIT].text, "… 440 more lines");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_shown_and_none_is_obeyed(before in "(?s).{0,300}", after in "(?s).{0,300}") {
            let both = change(json!(before), json!([{ "x": after }]));
            for side in [change(json!(before), json!(after)), both] {
                let text: String = match row(&side, Action::Update, "the host") {
                    Row::Inline { text, .. } => text,
                    Row::Block { lines, .. } => lines.iter().map(|l| l.plain() + "\n").collect(),
                };
                proptest::prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            }
        }
    }
}
