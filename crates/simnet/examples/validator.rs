//! Runs the simulated validator client by hand.
//!
//! ```text
//! validator NODE-URL KEYSTORE-FOLDER whole|distributed [HABITS [SECONDS [MARKS-FILE [unused|registered]]]]
//! ```
//!
//! It ends after so many seconds, or with the process, and writes its report as JSON: at the end, and to the standard
//! error output every ten seconds.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coxswain_simnet::client::{Builders, Client, Habits, Keys, Mode, Settings};

type Problem = Box<dyn std::error::Error>;

fn settings(arguments: &[String]) -> Result<(Settings, u64), Problem> {
    let [node, folder, mode, rest @ ..] = arguments else {
        return Err(
            "usage: validator NODE-URL KEYSTORE-FOLDER whole|distributed [HABITS [SECONDS [MARKS]]]".into()
        );
    };
    let mode = match mode.as_str() {
        "whole" => Mode::Whole,
        "distributed" => Mode::Distributed,
        other => return Err(format!("{other} is neither whole nor distributed").into()),
    };
    let mut settings = Settings::new(node.parse()?, Keys::load(Path::new(folder))?, mode);
    if let Some(name) = rest.first() {
        settings.habits = Habits::of(name).ok_or("there are no such habits")?;
    }
    let seconds = rest.get(1).map_or(Ok(u64::MAX), |text| text.parse())?;
    settings.marks = rest.get(2).filter(|file| !file.is_empty()).map(PathBuf::from);
    if rest.get(3).is_some_and(|word| word == "registered") {
        settings.builders = Builders::Registered;
        settings.terms.builder_boost = u64::MAX;
    }
    Ok((settings, seconds))
}

#[tokio::main]
async fn main() -> Result<(), Problem> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (settings, seconds) = settings(&arguments)?;
    let client = Client::start(settings)?;
    let mut left = seconds;
    while left > 0 {
        let some = left.min(10);
        tokio::time::sleep(Duration::from_secs(some)).await;
        left -= some;
        writeln!(std::io::stderr(), "{}", client.report().to_json())?;
    }
    writeln!(std::io::stdout(), "{}", client.stop().to_json())?;
    Ok(())
}
