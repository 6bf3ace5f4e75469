//! Runs the simulated validator client by hand:
//!
//! ```text
//! validator node=URL keys=FOLDER [mode=whole|distributed] [habits=NAME] [seconds=N] [marks=FILE]
//!           [builder=off|registered] [exit=KEY@EPOCH]…
//! ```
//!
//! The folder has keystores as `keystore-N.json` with `keystore-N.txt`. The client ends after so many seconds, or with the
//! process. Its report is written as JSON: at the end, and to the standard error output every ten seconds.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_simnet::client::{Builders, Client, Habits, Keys, Mode, Settings};

type Failure = Box<dyn std::error::Error>;

/// What the command line says besides the client's settings.
struct Orders {
    seconds: u64,
    exits: Vec<(Bytes48, u64)>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (settings, orders) = read(&arguments)?;
    let client = Client::start(settings)?;
    for (key, epoch) in orders.exits {
        client.exit(key, epoch).await;
    }
    let mut left = orders.seconds;
    while left > 0 {
        let some = left.min(10);
        tokio::time::sleep(Duration::from_secs(some)).await;
        left -= some;
        writeln!(std::io::stderr(), "{}", client.report().to_json())?;
    }
    writeln!(std::io::stdout(), "{}", client.stop().to_json())?;
    Ok(())
}

fn read(arguments: &[String]) -> Result<(Settings, Orders), Failure> {
    let mut pairs = Vec::new();
    for argument in arguments {
        pairs.push(argument.split_once('=').ok_or_else(|| format!("{argument} is no name=value"))?);
    }
    let one = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let node = one("node").ok_or("node=URL is missing")?.parse()?;
    let keys = Keys::load(Path::new(one("keys").ok_or("keys=FOLDER is missing")?))?;
    let mut settings = Settings::new(node, keys, Mode::Distributed);
    let mut orders = Orders { seconds: u64::MAX, exits: Vec::new() };
    for (name, value) in pairs {
        match (name, value) {
            ("node" | "keys", _) | ("mode", "distributed") | ("builder", "off") => {}
            ("mode", "whole") => settings.mode = Mode::Whole,
            ("habits", _) => settings.habits = Habits::of(value).ok_or("there are no such habits")?,
            ("seconds", _) => orders.seconds = value.parse()?,
            ("marks", _) => settings.marks = Some(PathBuf::from(value)),
            ("builder", "registered") => {
                settings.builders = Builders::Registered;
                settings.terms.builder_boost = u64::MAX;
            }
            ("exit", _) => {
                let (key, epoch) = value.split_once('@').ok_or("exit=KEY@EPOCH names a key and an epoch")?;
                orders.exits.push((key.parse()?, epoch.parse()?));
            }
            _ => return Err(format!("{name}={value} is no setting").into()),
        }
    }
    Ok((settings, orders))
}
