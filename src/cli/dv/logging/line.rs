//! An event as a line of text.

use std::error::Error;
use std::fmt::{self, Write as _};

use coxswain_dv_types::causes::in_full;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::super::super::render::{Colour, Tone, one_line};
use super::LogFormat;

/// Columns of the topic and of the message in lines for people.
const TOPIC_WIDTH: usize = 10;
const MESSAGE_WIDTH: usize = 40;
/// What the names of our libraries begin with.
const LIBRARY: &str = "coxswain_dv_";
/// The fields of an event that are not told behind its message.
const MESSAGE: &str = "message";
const ERROR: &str = "error";

/// An event that is to be written.
pub(super) struct Entry {
    time: jiff::Zoned,
    level: Level,
    topic: String,
    /// Where in the sources it happened.
    place: String,
    fields: Fields,
}

/// What an event says, in the order it says it.
#[derive(Default)]
struct Fields {
    message: String,
    error: Option<String>,
    rest: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match field.name() {
            MESSAGE => self.message = one_line(&text(value)),
            ERROR => self.error = Some(one_line(&text(value))),
            name => self.rest.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::from(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::from(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }
    /// With all its causes.
    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.add(field, Value::from(in_full(error)));
    }
}

/// `net` for our library of this name, else the last part: the command, or the part of somebody's library.
fn topic(target: &str) -> String {
    let (first, _) = target.split_once("::").unwrap_or((target, ""));
    match first.strip_prefix(LIBRARY) {
        Some(library) => library.to_owned(),
        None if first == super::OURS => target.rsplit("::").next().unwrap_or(target).to_owned(),
        None => first.to_owned(),
    }
}

impl Entry {
    pub(super) fn of(event: &Event<'_>, time: jiff::Zoned) -> Entry {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let place = metadata.file().map(|file| format!("{file}:{}", metadata.line().unwrap_or_default()));
        Entry {
            time,
            level: *metadata.level(),
            topic: topic(metadata.target()),
            place: place.unwrap_or_default(),
            fields,
        }
    }

    /// One line, with its end.
    pub(super) fn text(&self, format: LogFormat, colour: Colour) -> String {
        match format {
            LogFormat::Console => self.console(colour),
            LogFormat::Logfmt => self.logfmt(),
            LogFormat::Json => self.json(),
        }
    }

    /// When it was.
    pub(super) fn timestamp(&self) -> jiff::Timestamp {
        self.time.timestamp()
    }

    /// As logfmt, without the end of the line.
    pub(super) fn plain(&self) -> String {
        self.logfmt().trim_end().to_owned()
    }

    /// The same with the line for people as a field, coloured, which dashboards of charon show.
    pub(super) fn with_pretty(&self) -> String {
        let pretty = self.console(Colour::On);
        format!("{} pretty={}", self.plain(), Value::from(pretty.trim_end()))
    }

    fn rest(&self) -> serde_json::Map<String, Value> {
        self.fields.rest.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn console(&self, colour: Colour) -> String {
        let (word, tone) = match self.level {
            Level::ERROR => ("ERRO", Tone::Remove),
            Level::WARN => ("WARN", Tone::Warn),
            Level::INFO => ("INFO", Tone::Add),
            Level::DEBUG => ("DEBG", Tone::Faint),
            Level::TRACE => ("TRAC", Tone::Faint),
        };
        let time = self.time.strftime("%H:%M:%S%.3f");
        let error = self.fields.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let message = format!("{}{error}", self.fields.message);
        let mut line = format!("{time} {} {:<TOPIC_WIDTH$} ", colour.paint(tone, word), self.topic);
        let rest = self.rest();
        let _ = if rest.is_empty() {
            writeln!(line, "{message}")
        } else {
            writeln!(line, "{message:<MESSAGE_WIDTH$} {}", Value::Object(rest))
        };
        line
    }

    fn level(&self) -> String {
        self.level.as_str().to_lowercase()
    }

    fn time(&self) -> String {
        self.time.timestamp().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    fn logfmt(&self) -> String {
        let mut line = format!("ts={} level={} caller={}", self.time(), self.level(), self.place);
        let mut pair = |name: &str, value: &str| {
            let is_plain =
                !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "-_./:+".contains(c));
            let quoted = if is_plain { value.to_owned() } else { Value::from(value).to_string() };
            line += &format!(" {name}={quoted}");
        };
        pair("msg", &self.fields.message);
        pair("topic", &self.topic);
        if let Some(error) = &self.fields.error {
            pair("err", error);
        }
        for (name, value) in &self.fields.rest {
            match value {
                Value::String(text) => pair(name, text),
                other => pair(name, &other.to_string()),
            }
        }
        line + "\n"
    }

    fn json(&self) -> String {
        let mut line = serde_json::Map::new();
        line.insert("level".into(), self.level().into());
        line.insert("ts".into(), self.time().into());
        line.insert("caller".into(), self.place.clone().into());
        line.insert("msg".into(), self.fields.message.clone().into());
        line.insert("topic".into(), self.topic.clone().into());
        if let Some(error) = &self.fields.error {
            line.insert("err".into(), error.clone().into());
        }
        // A field of an event takes no name of ours away.
        for (name, value) in self.rest() {
            line.entry(name).or_insert(value);
        }
        format!("{}\n", Value::Object(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: Fields) -> Entry {
        let time = jiff::Timestamp::from_millisecond(1_795_648_261_042).expect("a time");
        Entry {
            time: time.to_zoned(jiff::tz::TimeZone::UTC),
            level: Level::WARN,
            topic: "relay".into(),
            place: "src/cli/dv/relay.rs:7".into(),
            fields,
        }
    }

    fn fields() -> Fields {
        Fields {
            message: "a peer is gone".into(),
            error: Some("it said \"no\"".into()),
            rest: vec![("peer", "16Uiu2".into()), ("count", 3.into())],
        }
    }

    #[track_caller]
    fn check(format: LogFormat, fields: Fields, expected: &str) {
        assert_eq!(entry(fields).text(format, Colour::Off), expected);
    }

    #[test]
    fn lines_for_people() {
        check(
            LogFormat::Console,
            fields(),
            "23:11:01.042 WARN relay      a peer is gone: it said \"no\"             {\"count\":3,\"peer\":\"16Uiu2\"}\n",
        );
        let short = Fields { message: "ready".into(), ..Fields::default() };
        check(LogFormat::Console, short, "23:11:01.042 WARN relay      ready\n");
    }

    #[test]
    fn lines_for_machines() {
        check(
            LogFormat::Logfmt,
            fields(),
            "ts=2026-11-25T23:11:01.042000Z level=warn caller=src/cli/dv/relay.rs:7 msg=\"a peer is gone\" topic=relay \
             err=\"it said \\\"no\\\"\" peer=16Uiu2 count=3\n",
        );
        let text = entry(fields()).text(LogFormat::Json, Colour::Off);
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            line,
            serde_json::json!({
                "level": "warn", "ts": "2026-11-25T23:11:01.042000Z", "caller": "src/cli/dv/relay.rs:7",
                "msg": "a peer is gone", "topic": "relay", "err": "it said \"no\"", "peer": "16Uiu2", "count": 3,
            })
        );
    }

    #[test]
    fn what_came_from_outside_makes_no_line() {
        for format in [LogFormat::Console, LogFormat::Logfmt, LogFormat::Json] {
            let fields = Fields {
                message: one_line("a\nb\x1b[31m"),
                error: None,
                rest: vec![("peer", "x\nlevel=error\x1b".into())],
            };
            let text = entry(fields).text(format, Colour::Off);
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.contains('\x1b'), "{text}");
        }
    }

    #[test]
    fn topics_are_short() {
        for (target, expected) in [
            ("coxswain_dv_net::host::driver", "net"),
            ("coxswain::cli::dv::relay", "relay"),
            ("coxswain", "coxswain"),
            ("libp2p_relay::behaviour", "libp2p_relay"),
        ] {
            assert_eq!(topic(target), expected);
        }
    }
}
