//! What `drift` found: as text, as JSON, and as metrics for Prometheus.

use serde_json::{Value as Json, json};

use super::layout::{Place, place};
use super::plan::unreadable_line;
use super::value::{Row, row};
use super::{Colour, Tone, clean, plural};
use crate::plan::AttrChange;
use crate::resource::Action;
use crate::session::{DriftReport, DriftedInstance};

/// As text.
pub fn text(report: &DriftReport, colour: Colour) -> String {
    let mut out = String::new();
    let mut at: Option<Place> = None;
    for instance in sorted(report) {
        let here = place(&instance.address, instance.host.as_ref());
        if at.as_ref() != Some(&here) {
            if at.is_some() {
                out.push('\n');
            }
            out += &format!("{}\n", colour.paint(Tone::Strong, &here.title()));
            at = Some(here);
        }
        push_instance(&mut out, instance, colour);
    }
    if at.is_some() {
        out.push('\n');
    }
    let unreadable: Vec<String> =
        report.unreadable.iter().map(|u| unreadable_line(u, "not compared")).collect();
    push_part(&mut out, "Cannot be read", &unreadable, colour);
    let in_progress: Vec<String> = report.in_progress.iter().map(ToString::to_string).collect();
    push_part(&mut out, "In progress", &in_progress, colour);
    out + &colour.paint(Tone::Strong, &last_line(report)) + "\n"
}

/// By place, then by address.
fn sorted(report: &DriftReport) -> Vec<&DriftedInstance> {
    let mut all: Vec<&DriftedInstance> = report.instances.iter().collect();
    all.sort_by_cached_key(|i| (place(&i.address, i.host.as_ref()), i.address.clone()));
    all
}

fn push_part(out: &mut String, title: &str, lines: &[String], colour: Colour) {
    if lines.is_empty() {
        return;
    }
    *out += &format!("{}\n", colour.paint(Tone::Strong, title));
    for line in lines {
        *out += &format!("  {line}\n");
    }
    out.push('\n');
}

fn push_instance(out: &mut String, instance: &DriftedInstance, colour: Colour) {
    if instance.gone {
        let mark = colour.paint(Tone::Remove, "-");
        *out += &format!("  {mark} {}  # it is not there any more\n", instance.address);
        return;
    }
    *out += &format!("  {} {}\n", colour.paint(Tone::Change, "~"), instance.address);
    for change in &instance.changes {
        match pending_row(change) {
            Row::Inline { name, text, .. } => *out += &format!("      {name}: {text}\n"),
            Row::Block { name, lines, .. } => {
                *out += &format!("      {name}:\n");
                for line in lines {
                    *out += format!("        {}", line.plain()).trim_end();
                    out.push('\n');
                }
            }
        }
    }
}

/// Everything here drifted; saying so on every line would be noise.
fn pending_row(change: &AttrChange) -> Row {
    let change = AttrChange { cause: crate::plan::Cause::Pending, ..change.clone() };
    row(&change, Action::Update, "the host")
}

fn last_line(report: &DriftReport) -> String {
    let mut line = match report.instances.len() {
        0 if report.unreadable.is_empty() => "No drift.".to_owned(),
        0 => "No drift in what could be read.".to_owned(),
        n => format!("Drift: {}.", plural(n, "instance")),
    };
    line += &format!(" {} compared", report.checked);
    let unread: usize = report.unreadable.iter().map(|u| u.instances.len()).sum();
    if unread > 0 {
        line += &format!(", {unread} not readable");
    }
    if !report.in_progress.is_empty() {
        line += &format!(", {} in progress", report.in_progress.len());
    }
    line + "."
}

/// As one document.
pub fn json(report: &DriftReport) -> String {
    let instances: Vec<Json> = sorted(report)
        .into_iter()
        .map(|i| json!({ "address": i.address, "host": i.host, "gone": i.gone, "changes": i.changes }))
        .collect();
    super::json::pretty(&json!({
        "document": "coxswain.drift",
        "format": 1,
        "drifted": !report.instances.is_empty(),
        "instances": instances,
        "unreadable": report.unreadable,
        "in_progress": report.in_progress,
        "checked": report.checked,
    }))
}

/// In the text format of Prometheus, for the textfile collector of the node exporter.
pub fn metrics(report: &DriftReport, now_seconds: i64) -> String {
    let mut out = String::new();
    let mut gauge = |name: &str, help: &str, value: String| {
        out += &format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    };
    let n = |n: usize| n.to_string();
    gauge(
        "coxswain_drift_instances",
        "Instances that are not as they were applied.",
        n(report.instances.len()),
    );
    gauge("coxswain_unreadable_hosts", "Hosts that could not be read.", n(report.unreadable.len()));
    gauge("coxswain_checked_instances", "Instances that were compared.", n(report.checked));
    gauge("coxswain_in_progress_instances", "Instances that are being changed.", n(report.in_progress.len()));
    gauge(
        "coxswain_last_run_timestamp_seconds",
        "When drift was last looked for, seconds since the epoch.",
        now_seconds.to_string(),
    );
    if !report.instances.is_empty() {
        out += "# HELP coxswain_drifted Whether the instance is not as it was applied.\n# TYPE coxswain_drifted gauge\n";
    }
    for i in sorted(report) {
        let host = i.host.as_ref().map(ToString::to_string).unwrap_or_default();
        let address = i.address.to_string();
        out += &format!("coxswain_drifted{{address=\"{}\",host=\"{}\"}} 1\n", label(&address), label(&host));
    }
    out
}

fn label(text: &str) -> String {
    clean(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::tests::{address, change};
    use super::*;
    use crate::plan::model::Unreadable;

    fn report() -> DriftReport {
        DriftReport {
            instances: vec![
                DriftedInstance {
                    address: address("file.x[\"k\"]"),
                    host: None,
                    gone: true,
                    changes: vec![],
                },
                DriftedInstance {
                    address: address("file.motd"),
                    host: Some(address("host.a")),
                    gone: false,
                    changes: vec![change("mode", json!("0644"), json!("0600"))],
                },
            ],
            unreadable: vec![Unreadable {
                endpoint: "host.b".into(),
                reason: "timed out".into(),
                instances: vec![address("file.b"), address("file.c")],
            }],
            in_progress: vec![address("file.p")],
            checked: 7,
        }
    }

    #[test]
    fn as_text() {
        assert_eq!(
            text(&report(), Colour::Off),
            "host.a\n  ~ file.motd\n      mode: \"0644\" -> \"0600\"\n\n\
             this machine\n  - file.x[\"k\"]  # it is not there any more\n\n\
             Cannot be read\n  host.b  timed out  # 2 instances not compared: file.b, file.c\n\n\
             In progress\n  file.p\n\n\
             Drift: 2 instances. 7 compared, 2 not readable, 1 in progress.\n"
        );
        assert_eq!(text(&DriftReport::default(), Colour::Off), "No drift. 0 compared.\n");
    }

    #[test]
    fn as_metrics() {
        let text = metrics(&report(), 1_790_000_000);
        assert!(text.contains("\ncoxswain_drift_instances 2\n"), "{text}");
        assert!(text.contains("\ncoxswain_unreadable_hosts 1\n"), "{text}");
        assert!(text.contains("\ncoxswain_checked_instances 7\n"), "{text}");
        assert!(text.contains("\ncoxswain_last_run_timestamp_seconds 1790000000\n"), "{text}");
        assert!(text.ends_with(
            "coxswain_drifted{address=\"file.motd\",host=\"host.a\"} 1\n\
             coxswain_drifted{address=\"file.x[\\\"k\\\"]\",host=\"\"} 1\n"
        ));
    }

    #[test]
    fn as_json() {
        let json: Json = serde_json::from_str(&json(&report())).expect("json");
        assert_eq!(json["instances"][0]["address"], "file.motd");
        assert_eq!(json["drifted"], true);
        assert_eq!(json["unreadable"][0]["endpoint"], "host.b");
    }
}
