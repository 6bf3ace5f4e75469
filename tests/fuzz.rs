//! Fuzz targets of the engine: plan files, and what a shell prints. As a plain test each runs for a second, or as
//! long as `BOLERO_RANDOM_TEST_TIME_MS` says.

#[path = "support/mutate.rs"]
mod mutate;

use coxswain::cli::render::{Colour, graph, json, markdown, plan as text};
use coxswain::plan::document;
use coxswain::world::script::{Frames, Nonce};
use mutate::mutate;

const PLAN: &str = r#"{"plan": {
"format": 1, "version": "0.1.0", "mode": "apply", "lineage": "l", "serial": 1, "config_digest": "d",
"instances": [
{"address": "file.motd", "uid": "u1", "host": "host.a", "identity": "/etc/motd", "action": "update", "reason": "",
"expects": "e", "changes": [{"name": "content", "before": "a\nb", "after": "a\nc\n", "cause": "drifted", "lines": true},
{"name": "mode", "before": {"$sensitive": true}, "after": {"$unknown": true}, "cause": "both", "replaces": true}]},
{"address": "module.m[\"k\"].file.b[2]", "moved_from": "file.b", "uid": "u2", "identity": "b", "action": "create",
"reason": "", "expects": "e", "changes": [{"name": "list", "before": null, "after": [1, {"a": "b"}], "cause": "pending"}],
"desired": {"content": "x"}, "waiting": {"on": ["bob"], "since": null}, "max_failures": 1}],
"steps": [
{"id": "file.motd#apply", "instance": 0, "name": "apply", "verb": "update", "class": "in_place",
"title": "write /etc/motd", "stage": "base"},
{"id": "b#apply", "instance": 1, "name": "apply", "verb": "create", "class": "restart", "title": "t", "stage": "base",
"claims": [{"key": "n:v", "from": "u1", "to": "u2"}]}],
"edges": [{"from": 0, "to": 1, "why": "value"}],
"deferred": [{"address": "file.c", "reason": "r", "after": "next_round"}],
"unreadable": [{"endpoint": "host.b", "reason": "r", "instances": ["file.d"]}],
"outputs": [{"name": "o", "before": 1, "after": {"$unknown": true}}]},
"files": {"main.hcl": "a = 1"}, "reads": {"file x": "00"}, "variables": {"v": {"$text": "1"}}, "created": ""}"#;

const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "99",
    "-1",
    "1e999",
    "null",
    "\"\"",
    "{}",
    "[]",
    "[[[[[[[[",
    ", ",
    "\\n",
    "\\u001b[2J",
    "\\u202e",
    "````",
    "|",
    "<b>",
    "\"replace\"",
    "\"delete\"",
    "\"forget\"",
    "\"read\"",
    "{\"$sensitive\": true}",
    "{\"$unknown\": true}",
    "{\"from\": 1, \"to\": 0, \"why\": \"claim\"},",
    "\"host.a\"",
    "\"danger\"",
    "\"reboot\"",
    "é",
    "👩‍👩‍👧",
];

#[test]
fn plan_files() {
    document::read(PLAN.as_bytes()).expect("the sample is a plan");
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Ok(saved) = document::read(&mutate(PLAN.as_bytes(), script, WORDS)) else { return };
        let plan = saved.plan;
        for step in &plan.steps {
            assert!(step.instance < plan.instances.len());
        }
        for edge in &plan.edges {
            assert!(edge.from < plan.steps.len() && edge.to < plan.steps.len() && edge.from != edge.to);
        }
        let shown = text::text(&plan, Colour::Off);
        assert!(!shown.contains('\u{1b}'), "what a plan says may not steer the terminal: {shown:?}");
        let _ = (markdown::plan(&plan), json::plan(&plan), text::text(&plan, Colour::On));
        let drawn = graph::of_plan(&plan);
        let _ = (drawn.dot(), drawn.mermaid(), drawn.json());
    });
}

/// Feeds the stream in pieces whose lengths `cuts` says.
fn parsed(stream: &[u8], cuts: &[u8], limit: usize) -> (String, bool, Frames) {
    let mut frames = Frames::new(&Nonce::from_bits(7), limit);
    let (mut rest, mut lengths) = (stream, cuts.iter().cycle());
    let mut is_noise = false;
    while !rest.is_empty() && !is_noise {
        let piece = usize::from(lengths.next().map_or(255, |n| (*n).max(1))).min(rest.len());
        is_noise = frames.feed(&rest[..piece], &mut |_| {}).is_err();
        rest = &rest[piece..];
    }
    (frames.said(), frames.is_complete(), frames)
}

#[test]
fn frames() {
    let nonce = Nonce::from_bits(7);
    let mark = format!("\u{1e}{} ", nonce.as_str());
    let stream = format!(
        "Welcome!\n{mark}b 0\nhello\n\n{mark}e 0 0\n{mark}b 1\nlong {}\n\n{mark}e 1 -2\n\n{mark}z\n",
        "x".repeat(80)
    );
    let words = [
        mark.as_str(),
        "\n",
        "b 1\n",
        "e 0 0\n",
        "e 99999999999999999999 0\n",
        "z\n",
        "\u{1e}",
        " ",
        "b -1\n",
    ];
    bolero::check!().with_max_len(96).for_each(|script: &[u8]| {
        let (cuts, script) = script.split_at(script.len().min(4));
        let stream = mutate(stream.as_bytes(), script, &words);
        let limit = usize::from(cuts.first().copied().unwrap_or(64));
        let (_, is_complete, frames) = parsed(&stream, cuts, limit);
        let (_, is_complete_at_once, at_once) = parsed(&stream, &[], limit);
        assert_eq!(is_complete, is_complete_at_once, "{stream:?} in pieces of {cuts:?}");
        let [frames, at_once] = [frames, at_once].map(Frames::into_frames);
        assert_eq!(frames, at_once, "{stream:?} in pieces of {cuts:?}");
        for frame in frames {
            assert!(frame.bytes.len() <= limit + 64, "a part is cut to its limit");
        }
    });
}
