//! Flags that the command line does not name: from the environment, then from the configuration file.
//!
//! ```text
//! command line > CHARON_DATA_DIR > `data-dir` in charon.json, .toml, .yaml or .yml > default
//! ```
//!
//! The file is one for all commands, in the directory the command runs in; keys that are no flag of the command are passed
//! over. An empty variable counts as none. A value from here is read as if it had been given as a flag, and an error
//! says where it came from; it never shows the value, which may be a secret.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use coxswain_lang::functions;
use coxswain_model::value::Object;
use coxswain_model::{Node, Num, Value, json};

use super::super::error::CliError;
use super::forms::{self, Form};

/// Names of the configuration file, the first that is there counts. Others that charon knows are listed to be refused:
/// settings that are passed over in silence are worse than none.
const FILES: &[(&str, Format)] = &[
    ("charon.json", Format::Json),
    ("charon.toml", Format::Toml),
    ("charon.yaml", Format::Yaml),
    ("charon.yml", Format::Yaml),
    ("charon.dotenv", Format::Unread),
    ("charon.env", Format::Unread),
];
/// Longest configuration file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Toml,
    Yaml,
    /// charon reads it.
    Unread,
}

/// The configuration file and what is in it; keys are in lower case.
#[derive(Debug, Default)]
pub struct Settings {
    path: PathBuf,
    values: BTreeMap<String, Value>,
}

/// Values of a flag, and where they come from.
#[derive(Debug, PartialEq)]
struct Found {
    origin: String,
    values: Vec<OsString>,
}

/// The matches of a command with what the command line leaves open.
///
/// # Errors
/// A value cannot be read, or a flag that is needed is nowhere.
pub fn fill(
    command: &Command,
    matches: &ArgMatches,
    settings: &Settings,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<ArgMatches, CliError> {
    let relaxed = forms::relaxed(command.clone()).no_binary_name(true);
    let (mut words, mut rest) = (Vec::new(), Vec::new());
    for arg in command.get_arguments() {
        let given = (matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine))
            .then(|| matches.get_raw(arg.get_id().as_str()))
            .flatten();
        let Some(long) = arg.get_long() else {
            rest.extend(given.into_iter().flatten().map(OsStr::to_owned));
            continue;
        };
        let before = words.len();
        if let Some(given) = given {
            words.extend(given.map(|value| word(long, value)));
        } else if let Some(found) = find(arg, long, settings, variable)? {
            let more: Vec<OsString> = found.values.iter().map(|value| word(long, value)).collect();
            relaxed.clone().try_get_matches_from(&more).map_err(|error| unreadable(&found.origin, &error))?;
            words.extend(more);
        }
        if arg.is_required_set() && words.len() == before {
            return Err(missing(command, long));
        }
    }
    words.push("--".into());
    words.extend(rest);
    relaxed.try_get_matches_from(words).map_err(|error| unreadable("the arguments", &error))
}

fn word(long: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(format!("--{long}="));
    word.push(value);
    word
}

fn variable_name(long: &str) -> String {
    format!("CHARON_{}", long.to_uppercase().replace('-', "_"))
}

fn missing(command: &Command, long: &str) -> CliError {
    CliError::other(
        format!("reading the arguments of {}", command.get_name()),
        format!("--{long} is needed"),
        format!("give it as --{long}, as {} or as `{long}` in charon.yaml", variable_name(long)),
    )
}

fn unreadable(origin: &str, error: &clap::Error) -> CliError {
    // Only the reason: the whole text would show the value.
    let why = error.source().map(ToString::to_string).or_else(|| taken(error));
    let why = why.unwrap_or_else(|| error.kind().to_string());
    CliError::other(
        format!("reading {origin}"),
        why,
        "correct the value or remove it; --help says what is taken",
    )
}

/// The words that a flag takes, where it takes nothing else.
fn taken(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::Strings(words)) = error.get(ContextKind::ValidValue) else { return None };
    let (last, before) = words.split_last()?;
    Some(if before.is_empty() {
        format!("write {last}")
    } else {
        format!("write {} or {last}", before.join(", "))
    })
}

/// The value of a flag from the first layer that has one.
fn find(
    arg: &Arg,
    long: &str,
    settings: &Settings,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Found>, CliError> {
    let name = variable_name(long);
    if let Some(value) = variable(&name).filter(|value| !value.is_empty()) {
        return Ok(Some(Found { origin: name, values: vec![value] }));
    }
    let Some(value) = settings.values.get(long) else { return Ok(None) };
    let origin = format!("`{long}` in {}", settings.path.display());
    let texts = texts(arg, value)
        .map_err(|why| CliError::other(format!("reading {origin}"), why, "correct the value or remove it"))?;
    Ok((!texts.is_empty()).then(|| Found { origin, values: texts.into_iter().map(OsString::from).collect() }))
}

/// A value of the file as words of the command line; none where it says nothing.
fn texts(arg: &Arg, value: &Value) -> Result<Vec<String>, String> {
    let scalar = |value: &Value| match &value.node {
        Node::Bool(_) | Node::Num(_) if Form::of(arg) == Form::String => {
            Err("it is a number or a truth value, and the flag takes a text: put it in quotes".to_owned())
        }
        Node::Bool(yes) => Ok(yes.to_string()),
        Node::Num(number) => Ok(number.to_string()),
        Node::Str(text) => Ok(text.to_string()),
        _ => Err("it is no text, number or truth value".to_owned()),
    };
    match &value.node {
        Node::Null(_) => Ok(Vec::new()),
        Node::Tuple(items) | Node::List(_, items) if forms::is_list(arg) => {
            items.iter().map(scalar).collect()
        }
        Node::Tuple(_) | Node::List(..) => Err("it is a list, and the flag takes one value".to_owned()),
        _ => scalar(value).map(|text| vec![text]),
    }
}

// ------------------------------------------------------------------------------------------------------- the file

impl Settings {
    /// The file in a directory; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read, or is in a form that only charon reads.
    pub fn read(root: &Path) -> Result<Settings, CliError> {
        let found = FILES.iter().map(|(name, format)| (root.join(name), *format));
        let Some((path, format)) = found.into_iter().find(|(path, _)| path.is_file()) else {
            return Ok(Settings::default());
        };
        let failed =
            |why: String, next: &str| CliError::other(format!("reading {}", path.display()), why, next);
        if format == Format::Unread {
            return Err(failed(
                "settings in this form are not read".into(),
                "write them as charon.yaml, or as variables such as CHARON_DATA_DIR, and move this file away",
            ));
        }
        let text =
            text_of(&path).map_err(|error| failed(error.to_string(), "check the file's size and mode"))?;
        let values = parsed(format, &text).map_err(|why| failed(why, "correct the file"))?;
        let Some(values) = pairs(&values) else {
            let next = "write lines such as `data-dir: .charon`";
            return Err(failed("it is no list of flags and values".into(), next));
        };
        Ok(Settings { path, values })
    }

    /// The text of a file of this name.
    ///
    /// # Errors
    /// Why it is not read.
    pub fn parse(name: &str, text: &str) -> Result<Settings, String> {
        let (_, format) = FILES.iter().find(|(known, _)| *known == name).ok_or("it has another name")?;
        let values = pairs(&parsed(*format, text)?).ok_or("it is no list of flags and values")?;
        Ok(Settings { path: name.into(), values })
    }
}

fn pairs(settings: &Value) -> Option<BTreeMap<String, Value>> {
    match &settings.node {
        Node::Object(pairs) | Node::Map(_, pairs) => {
            Some(pairs.iter().map(|(key, value)| (key.to_lowercase(), value.clone())).collect())
        }
        Node::Null(_) => Some(BTreeMap::new()),
        _ => None,
    }
}

/// What a text says. Why it says nothing shows no line of it.
fn parsed(format: Format, text: &str) -> Result<Value, String> {
    match format {
        Format::Json => json::from_text(text).map_err(|error| error.to_string()),
        Format::Toml => {
            // The parser's whole error shows the line it is about.
            let table: toml::Table =
                toml::from_str(text).map_err(|error| format!("this is not TOML: {}", error.message()))?;
            of_toml(toml::Value::Table(table))
        }
        Format::Yaml if text.trim().is_empty() => Ok(Value::object(Object::new())),
        Format::Yaml => {
            let yaml = functions::find("yamldecode").expect("the language has this function");
            (yaml.call)(&[Value::from(text)]).map_err(|error| error.reason)
        }
        Format::Unread => Err("settings in this form are not read".into()),
    }
}

fn of_toml(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(number) => Value::from(Num::from(number)),
        toml::Value::Float(number) => {
            Value::from(Num::from_f64(number).ok_or("a number in it is infinite, or none")?)
        }
        toml::Value::Boolean(yes) => Value::from(yes),
        toml::Value::Datetime(_) => return Err("a value in it is a date or time: put it in quotes".into()),
        toml::Value::Array(items) => {
            Value::tuple(items.into_iter().map(of_toml).collect::<Result<_, String>>()?)
        }
        toml::Value::Table(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| Ok((key.into(), of_toml(value)?)));
            Value::object(pairs.collect::<Result<Object, String>>()?)
        }
    })
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {MAX_FILE_BYTES} bytes"),
        ));
    }
    Ok(text)
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
