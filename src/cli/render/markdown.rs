//! A plan as Markdown for a pull request: a table, and the details folded below it.

use super::layout::{self, Item, Place};
use super::one_line;
use super::plan::{last_line, remarks, rest, sign, verb};
use super::value::{Row, inline, row};
use crate::plan::Plan;

/// Bytes after which details are left out: GitHub refuses comments of more than 65,536 characters.
const SIZE_LIMIT: usize = 60_000;

/// The plan.
pub fn plan(plan: &Plan) -> String {
    let sections = layout::sections(plan);
    let mut out = format!("### {}\n", escape(&last_line(plan)));
    if !sections.is_empty() {
        out += "\n| | Instance | Where | What |\n|---|---|---|---|\n";
    }
    for section in &sections {
        for item in &section.entries {
            out += &format!(
                "| {} | {} | {} | {} |\n",
                code(sign(item.instance.action)),
                code(&item.label),
                escape(&section.place.title()),
                escape(&what(item)),
            );
        }
    }
    let mut left_out = 0_usize;
    for section in &sections {
        for item in &section.entries {
            let details = details(item, &section.place);
            if out.len() + details.len() > SIZE_LIMIT {
                left_out += 1;
            } else {
                out += &details;
            }
        }
    }
    if left_out > 0 {
        out += &format!("\nThe details of {left_out} more are left out: the comment would be too long.\n");
    }
    for (title, lines) in rest(plan) {
        out += &format!("\n**{}**\n\n", escape(&title));
        for line in lines {
            out += &format!("- {}\n", code(&one_line(&line)));
        }
    }
    out
}

fn what(item: &Item<'_>) -> String {
    let mut words = vec![verb(item.instance.action).to_owned()];
    if !item.instance.reason.is_empty() {
        words.push(one_line(&item.instance.reason));
    }
    words.extend(remarks(item));
    words.join("; ")
}

/// The folded changes of an instance; empty where there are none.
fn details(item: &Item<'_>, place: &Place) -> String {
    if item.instance.changes.is_empty() {
        return String::new();
    }
    let mut lines = Vec::new();
    for change in &item.instance.changes {
        match row(change, item.instance.action, place.noun()) {
            Row::Inline { name, comment, .. } => {
                // The two halves of a change go below each other, so that GitHub colours them.
                if let Some(before) = &change.before {
                    lines.push(format!("- {name}: {}", inline(before)));
                }
                if let Some(after) = &change.after {
                    lines.push(format!("+ {name}: {}", inline(after)));
                }
                if let Some(last) = lines.last_mut().filter(|_| !comment.is_empty()) {
                    *last += &format!("  # {comment}");
                }
            }
            Row::Block { name, comment, lines: block } => {
                let comment = if comment.is_empty() { comment } else { format!("  # {comment}") };
                lines.push(format!("  {name}:{comment}"));
                lines.extend(block.iter().map(|line| line.plain()));
            }
        }
    }
    let body = lines.join("\n");
    let fence = "`".repeat(longest_run(&body).max(2) + 1);
    format!(
        "\n<details><summary>{} <code>{}</code></summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>\n",
        html(sign(item.instance.action)),
        html(&item.label),
    )
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text in a table's cell or a heading.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' | '~') {
            out.push('\\');
        }
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\n' | '\r' => out.push(' '),
            // A mention would call somebody.
            '@' => out += "&#64;",
            other => out.push(other),
        }
    }
    out
}

/// Text as code; `|` would end a cell even there.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::tests::{change, empty, small};
    use super::*;

    #[test]
    fn a_plan_is_a_table_with_folded_details() {
        assert_eq!(
            plan(&small()),
            "### Plan: 1 to create, 1 to change, 0 to replace, 0 to remove, 0 to adopt; 1 unchanged.\n\n\
             | | Instance | Where | What |\n|---|---|---|---|\n\
             | `~` | `file.motd` | host.a | change in place; its mode differs |\n\
             | `+` | `file.hello` | this machine | create |\n\n\
             <details><summary>~ <code>file.motd</code></summary>\n\n\
             ```diff\n- mode: \"0600\"\n+ mode: \"0644\"  # changed on the host\n```\n\n</details>\n\n\
             <details><summary>+ <code>file.hello</code></summary>\n\n\
             ```diff\n  content:\n+ hi\n+ there\n```\n\n</details>\n"
        );
    }

    #[test]
    fn an_empty_plan_is_a_heading() {
        assert_eq!(plan(&empty()), "### No changes. The world matches the configuration.\n");
    }

    #[test]
    fn nothing_breaks_out_of_its_place() {
        let mut it = small();
        it.instances[0].reason = "a|b <b>@all".into();
        it.instances[0].changes = vec![change("content", json!("x\n````\n"), json!("y\n````\n"))];
        let text = plan(&it);
        assert!(text.contains("a\\|b &lt;b&gt;&#64;all"), "{text}");
        assert!(text.contains("`````diff\n"), "{text}");
    }

    #[test]
    fn a_comment_has_a_limit() {
        let mut it = small();
        let big: String = (0..50).map(|n| format!("{n} {}\n", "x".repeat(190))).collect();
        let one = it.instances[1].clone();
        for n in 0..20 {
            let mut more = one.clone();
            more.address = format!("file.f{n}").parse().expect("parses");
            more.changes[0].after = Some(json!(big));
            it.instances.push(more);
        }
        let text = plan(&it);
        assert!(text.len() < 65_536 && text.contains("more are left out"), "{}", text.len());
    }
}
