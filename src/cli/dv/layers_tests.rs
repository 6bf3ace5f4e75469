//! Which layer wins, and what a value that cannot be read says.

use std::fs;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};

use super::super::logging::LogLevel;
use super::*;
use crate::cli::error;
use crate::cli::render::Colour;

#[derive(Debug, PartialEq, clap::Parser)]
#[command(name = "sample")]
struct Sample {
    #[arg(long)]
    publish: bool,
    #[arg(long, default_value_t = 3)]
    nodes: i64,
    #[arg(long, default_value_t = 60)]
    limit: u64,
    #[arg(long, default_value = "info")]
    level: LogLevel,
    #[arg(long, default_value = "mainnet")]
    network: String,
    #[arg(long)]
    relays: Vec<String>,
    #[arg(long)]
    amounts: Vec<i64>,
    #[arg(long, default_value = "5s", value_parser = forms::parse_duration)]
    timeout: Duration,
    #[arg(long, short = 'a', required = true)]
    address: String,
    file: Option<String>,
}

/// The command line, the environment and a file, to the sample or the error.
fn read_all(line: &str, env: &[(&str, &str)], file: (&str, &str)) -> Result<Sample, String> {
    let dir = tempfile::tempdir().expect("a directory");
    if !file.0.is_empty() {
        fs::write(dir.path().join(file.0), file.1).expect("written");
    }
    let variable =
        |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    let command = forms::as_charon(Sample::command());
    let matches = forms::relaxed(command.clone())
        .try_get_matches_from(std::iter::once("sample").chain(line.split_whitespace()))
        .map_err(|error| error.to_string())?;
    let filled = Settings::read(dir.path())
        .and_then(|settings| fill(&command, &matches, &settings, &variable))
        .map_err(|e| {
            error::text(&e.failure, Colour::Off).replace(&dir.path().display().to_string(), "DIR")
        })?;
    Ok(Sample::from_arg_matches(&filled).expect("its own flags"))
}

#[track_caller]
fn sample(line: &str, env: &[(&str, &str)], yaml: &str) -> Sample {
    read_all(line, env, ("charon.yaml", yaml)).expect("accepted")
}

#[track_caller]
fn refused(line: &str, env: &[(&str, &str)], file: (&str, &str), expected: &str) {
    let error = read_all(line, env, file).expect_err(expected);
    assert!(error.contains(expected), "{error}");
}

#[test]
fn the_nearest_layer_wins() {
    let (env, yaml) = (&[("CHARON_NETWORK", "hoodi")][..], "network: sepolia\naddress: a");
    assert_eq!(sample("--network=gnosis", env, yaml).network, "gnosis");
    assert_eq!(sample("", env, yaml).network, "hoodi");
    assert_eq!(sample("", &[("CHARON_NETWORK", "")], yaml).network, "sepolia");
    assert_eq!(sample("", &[], "address: a").network, "mainnet");
    assert_eq!(sample("--network mainnet", env, yaml).network, "mainnet", "a default that was given counts");
}

#[test]
fn flags_take_the_forms_of_pflag() {
    let flags =
        "-a=x --publish --nodes 0x10 --nodes=-4 --amounts 1,2 --amounts=3 --relays a,b --timeout 1m0s f";
    let expected = Sample {
        publish: true,
        nodes: -4,
        limit: 60,
        level: LogLevel::Info,
        network: "mainnet".into(),
        relays: vec!["a".into(), "b".into()],
        amounts: vec![1, 2, 3],
        timeout: Duration::from_secs(60),
        address: "x".into(),
        file: Some("f".into()),
    };
    assert_eq!(sample(flags, &[], ""), expected);
    assert!(!sample("-ax --publish=false", &[("CHARON_PUBLISH", "true")], "").publish);
    assert!(sample("-a x --publish=T", &[], "publish: false").publish);
}

#[test]
fn every_layer_has_lists_and_truth_values() {
    let env = &[("CHARON_RELAYS", "a,b"), ("CHARON_PUBLISH", "1"), ("CHARON_ADDRESS", "--x")];
    let from_env = sample("", env, "relays: [c]");
    assert_eq!((from_env.relays, from_env.publish), (vec!["a".to_owned(), "b".to_owned()], true));
    assert_eq!(from_env.address, "--x");
    let yaml = "Relays: [a, b]\namounts: 8,16\npublish: true\nnodes: 5\nunknown: {}\nlimit:\naddress: q\ntimeout: 2s";
    let from_yaml = sample("", &[], yaml);
    assert_eq!((from_yaml.relays.len(), &from_yaml.amounts[..], from_yaml.nodes), (2, &[8, 16][..], 5));
    assert!(from_yaml.publish && from_yaml.limit == 60 && from_yaml.timeout == Duration::from_secs(2));
    let json = ("charon.json", r#"{"address": "j", "amounts": [1, 2]}"#);
    assert_eq!(read_all("", &[], json).expect("accepted").amounts, [1, 2]);
    let toml = "Relays = ['a', \"b\"]\namounts = '8,16'\npublish = true\nnodes = 0x5\naddress = \"q\"\n\
                timeout = \"2s\"\n[unknown]\nx = 1.5\n";
    assert_eq!(read_all("", &[], ("charon.toml", toml)).expect("accepted"), from_yaml);
    assert_eq!(read_all("-a x", &[], ("charon.toml", "")).expect("accepted").nodes, 3);
}

#[test]
fn a_needed_flag_may_come_from_anywhere() {
    assert_eq!(sample("", &[("CHARON_ADDRESS", "e")], "").address, "e");
    assert_eq!(sample("", &[], "address: f").address, "f");
    let says = "error: reading the arguments of sample: --address is needed\n  \
                give it as --address, as CHARON_ADDRESS or as `address` in charon.yaml\n";
    refused("", &[], ("", ""), says);
}

#[test]
fn what_cannot_be_read_says_where_it_stands_and_not_what_it_is() {
    let secret = [("CHARON_NODES", "hunter2")];
    refused("", &secret, ("", ""), "reading CHARON_NODES: write a whole number");
    assert!(!read_all("", &secret, ("", "")).expect_err("no number").contains("hunter2"));
    let secret = [("CHARON_LEVEL", "hunter2")];
    refused("", &secret, ("", ""), "reading CHARON_LEVEL: write debug, info, warn or error\n");
    assert!(!read_all("", &secret, ("", "")).expect_err("no level").contains("hunter2"));
    let yaml = |text: &'static str| ("charon.yaml", text);
    refused("", &[], yaml("publish: maybe"), "`publish` in DIR/charon.yaml: write true or false");
    refused("", &[], yaml("limit: -1"), "that is not negative");
    refused("", &[], yaml("nodes: [1]"), "the flag takes one value");
    refused("", &[], yaml("nodes: {a: 1}"), "it is no text, number or truth value");
    refused("", &[], yaml("address: 0x00000000000000000000000000000000000000aa"), "put it in quotes");
    refused("", &[], yaml("- a"), "it is no list of flags and values");
    refused("", &[], yaml("a: b: c"), "not YAML");
    refused("", &[], ("charon.json", "{"), "not JSON");
    let toml = |text: &'static str| ("charon.toml", text);
    refused("", &[], toml("address = hunter2"), "DIR/charon.toml: this is not TOML: ");
    assert!(!read_all("", &[], toml("address = hunter2")).expect_err("no TOML").contains("hunter2"));
    refused("", &[], toml("address = 'a'\naddress = 'b'"), "duplicate key");
    refused("", &[], toml("limit = nan"), "a number in it is infinite, or none");
    refused("", &[], toml("address = 2026-11-27"), "is a date or time: put it in quotes");
    refused("", &[], toml("nodes = 1.5"), "`nodes` in DIR/charon.toml: write a whole number");
    refused("", &[], ("charon.env", ""), "settings in this form are not read");
    refused("--nodes x", &[], ("", ""), "write a whole number");
}
