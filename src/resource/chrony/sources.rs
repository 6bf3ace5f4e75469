//! Sources as the configuration has them, and as chrony reads them.

use coxswain_model::{Object, Value};
use serde_json::{Map, Value as Json, json};

use crate::resource::reading::{flag, given, whole};

/// Options with a number, and options without, that have an attribute.
const NUMBERS: [&str; 3] = ["maxsources", "minpoll", "maxpoll"];
const FLAGS: [&str; 3] = ["iburst", "prefer", "nts"];

/// The address and the options of one source.
pub(super) fn fields(source: &Value) -> Option<&Object> {
    source.as_fields()
}

/// The words after `pool` or `server`.
fn words(source: &Object) -> Vec<String> {
    let mut words = vec![super::super::reading::text(source, "address").unwrap_or_default().to_owned()];
    if flag(source, "iburst") != Some(false) {
        words.push("iburst".into());
    }
    for name in NUMBERS {
        if let Some(number) = whole(source, name) {
            words.extend([name.to_owned(), number.to_string()]);
        }
    }
    let flags = FLAGS.iter().filter(|n| **n != "iburst" && flag(source, n) == Some(true));
    words.extend(flags.map(|n| (*n).to_owned()));
    let more = given(source, "options").and_then(Value::as_items).unwrap_or_default();
    words.extend(more.iter().filter_map(Value::as_str).map(str::to_owned));
    words
}

/// The lines of these sources.
pub(super) fn lines(word: &str, sources: &Value) -> Vec<String> {
    let sources = sources.as_items().unwrap_or_default();
    sources.iter().filter_map(fields).map(|source| format!("{word} {}", words(source).join(" "))).collect()
}

/// What a line would be in the configuration.
pub(super) fn configured(line: &str) -> Json {
    let mut words = line.split_whitespace().skip(1).peekable();
    let mut source = Map::from_iter([("address".into(), json!(words.next().unwrap_or(line)))]);
    let mut more = Vec::new();
    let mut is_quick = false;
    while let Some(word) = words.next() {
        let number = words.peek().and_then(|next| next.parse::<i64>().ok());
        match number {
            Some(number) if NUMBERS.contains(&word) => {
                words.next();
                source.insert(word.into(), json!(number));
            }
            _ if word == "iburst" => is_quick = true,
            _ if FLAGS.contains(&word) => {
                source.insert(word.into(), json!(true));
            }
            _ => more.push(word),
        }
    }
    if !is_quick {
        source.insert("iburst".into(), json!(false));
    }
    if !more.is_empty() {
        source.insert("options".into(), json!(more));
    }
    Json::Object(source)
}
