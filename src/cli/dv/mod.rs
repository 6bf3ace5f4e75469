//! `coxswain dv …`: the commands of distributed validators, as charon has them.
//!
//! ```text
//! `coxswain dv create enr`, or `create enr` of a binary called `charon`
//!   ─clap→ Row of COMMANDS ─layers: environment, file→ the command's flags ─run→ files (crate::dv)
//! ```
//!
//! Names, shorthands, defaults and forms of flags are charon's; [`forms`] and [`layers`] see to that for all of them.
//! A command is one file and one line in [`COMMANDS`]. Every failure ends with exit code 1, as charon's do.

pub mod combine;
pub mod create_cluster;
pub mod create_dkg;
pub mod dkg;
pub mod forms;
pub mod layers;
pub mod logging;
pub mod network;
pub mod p2p;

mod api;
mod beacon;
mod create_enr;
mod deliver;
mod deposit;
mod deposit_fetch;
mod deposit_sign;
mod doctor;
mod enr;
mod inspect;
mod publish;
mod relay;
mod run;
mod servers;
mod serving;
mod settings;
mod slashing;
mod slashing_export;
mod slashing_import;
mod slashing_prune;
mod slashing_show;
mod verify;
mod version;

use std::ffi::OsStr;
use std::path::Path;

use clap::{ArgMatches, Args as _, Command, Parser};

use self::layers::Settings;
use super::error::CliError;
use super::{Cx, Exit, GlobalArgs, Run};
use crate::dv::disk::DiskError;
use crate::dv::http::HttpError;
use crate::dv::key::KeyError;

/// The name of the binary under which these commands are at the top.
pub const CHARON: &str = "charon";

/// A row of [`COMMANDS`].
pub struct Row {
    /// The group it is in, as `create`.
    group: Option<&'static str>,
    command: fn() -> Command,
    run: fn(&ArgMatches, &Cx) -> Result<Exit, CliError>,
}

impl Row {
    const fn of<T: Run>() -> Row {
        Row { group: None, command: flags_of::<T>, run: run_as::<T> }
    }
    const fn within<T: Run>(group: &'static str) -> Row {
        Row { group: Some(group), ..Row::of::<T>() }
    }
}

/// Every command, in the order of the help.
pub static COMMANDS: &[Row] = &[
    Row::of::<api::Api>(),
    Row::of::<combine::Combine>(),
    Row::within::<create_cluster::CreateCluster>("create"),
    Row::within::<create_dkg::CreateDkg>("create"),
    Row::within::<create_enr::CreateEnr>("create"),
    Row::within::<deposit_fetch::DepositFetch>("deposit"),
    Row::within::<deposit_sign::DepositSign>("deposit"),
    Row::of::<dkg::DkgCommand>(),
    Row::of::<doctor::Doctor>(),
    Row::of::<enr::Enr>(),
    Row::of::<inspect::Inspect>(),
    Row::of::<relay::Relay>(),
    Row::of::<run::RunCommand>(),
    Row::within::<slashing_export::SlashingExport>("slashing"),
    Row::within::<slashing_import::SlashingImport>("slashing"),
    Row::within::<slashing_prune::SlashingPrune>("slashing"),
    Row::within::<slashing_show::SlashingShow>("slashing"),
    Row::of::<verify::Verify>(),
    Row::of::<version::Version>(),
];

/// Groups of commands: name, what for, examples.
const GROUPS: &[(&str, &str, &str)] = &[
    (
        "create",
        "Make the files that a cluster begins with",
        "Examples:\n  coxswain dv create enr\n  coxswain dv create enr --data-dir node0",
    ),
    (
        "deposit",
        "Sign and fetch new deposits of validators that are not active yet",
        "Examples:\n  coxswain dv deposit sign --validator-public-keys 0xb9b9…\n  coxswain dv deposit fetch --validator-public-keys 0xb9b9…",
    ),
    (
        "slashing",
        "Look at what this node has signed, take up what was signed elsewhere, and hand it on",
        "Examples:\n  coxswain dv slashing show\n  coxswain dv slashing import history.json",
    ),
];

fn flags_of<T: Parser>() -> Command {
    forms::as_charon(T::command())
}

fn run_as<T: Run>(matches: &ArgMatches, cx: &Cx) -> Result<Exit, CliError> {
    let settings = Settings::read(&cx.root)?;
    let filled = layers::fill(&flags_of::<T>(), matches, &settings, &|name| std::env::var_os(name))?;
    T::from_arg_matches(&filled)
        .map_err(|e| CliError::other("reading the arguments", e.kind(), "see --help"))?
        .run(cx)
}

/// Every command with its path and flags.
#[must_use]
pub fn flags() -> Vec<(String, Command)> {
    let rows = COMMANDS.iter().map(|row| {
        let command = (row.command)();
        let group = row.group.map(|group| format!("{group} ")).unwrap_or_default();
        (format!("{group}{}", command.get_name()), command)
    });
    rows.collect()
}

/// `coxswain dv`.
pub(super) fn command() -> Command {
    below(
        Command::new("dv").about("Make, check and combine clusters of distributed validators, with charon's files and flags").after_help(
            "Examples:\n  coxswain dv create enr\n  coxswain dv enr --verbose\n\n\
             A flag may also be a variable (CHARON_DATA_DIR for --data-dir) or a line of charon.yaml, .toml or .json in this directory.\n\
             Called under the name `charon`, the binary has these commands at the top.",
        ),
    )
}

/// The whole command line of a binary that is called `charon`.
#[must_use]
pub fn charon() -> Command {
    below(GlobalArgs::augment_args(Command::new(CHARON)))
        .about("Makes, checks and combines clusters of distributed validators (coxswain, with charon's files and flags)")
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(
            "Every flag may also be a variable (CHARON_DATA_DIR for --data-dir) or a line of charon.yaml.",
        )
}

fn below(parent: Command) -> Command {
    let within = |group| {
        let rows = COMMANDS.iter().filter(move |row| row.group == group);
        rows.map(|row| forms::relaxed((row.command)()))
    };
    let groups = GROUPS.iter().map(|(name, about, examples)| {
        Command::new(*name)
            .about(*about)
            .after_help(*examples)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands(within(Some(*name)))
    });
    parent
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(groups)
        .subcommands(within(None))
}

/// Waits for SIGTERM or SIGINT.
pub(super) fn stopped() -> Result<impl Future<Output = ()>, CliError> {
    serving::stop_signal()
}

/// Runs what is below `dv`, or below `charon`.
pub(super) fn run(matches: &ArgMatches, cx: &Cx) -> Result<Exit, CliError> {
    let (name, inner) = matches.subcommand().expect("clap requires a subcommand");
    let is_group = GROUPS.iter().any(|(group, ..)| *group == name);
    let (group, name, inner) = if is_group {
        let (command, inner) = inner.subcommand().expect("clap requires a subcommand");
        (Some(name), command, inner)
    } else {
        (None, name, inner)
    };
    let row = COMMANDS
        .iter()
        .find(|row| row.group == group && (row.command)().get_name() == name)
        .expect("clap knows no other subcommand than these");
    (row.run)(inner, cx)
}

/// Whether the binary was called under charon's name.
pub(super) fn is_charon(program: Option<&OsStr>) -> bool {
    program.and_then(|path| Path::new(path).file_name()) == Some(OsStr::new(CHARON))
}

impl From<DiskError> for CliError {
    fn from(error: DiskError) -> CliError {
        let next = error.next();
        match error {
            DiskError::Exists { path } => CliError::other(
                format!("creating {}", path.display()),
                "there is something of this name already",
                next,
            ),
            DiskError::Refused { doing, path, source } => {
                CliError::other(format!("{doing} {}", path.display()), source, next)
            }
            DiskError::Unsure { path, source } => {
                CliError::other(format!("making {} durable", path.display()), source, next)
            }
        }
    }
}

impl From<HttpError> for CliError {
    fn from(error: HttpError) -> CliError {
        let next = error.next();
        CliError::other(error.to_string(), error.why, next)
    }
}

/// What to do where the key of a node is not there. A command with a lock has `--private-key-file`, the others `--data-dir`.
const NO_KEY_OF_THE_LOCK: &str =
    "name the file with --private-key-file, or bring it back from your backup: a new key is in no lock";
/// The same for a ceremony.
const NO_KEY_OF_THE_DEFINITION: &str = "name the node's directory with --data-dir, or bring the key back from your backup: a new one is not in the definition";
/// The same for a command that needs no cluster.
const NO_KEY_YET: &str = "name the node's directory with --data-dir, or make a key: coxswain dv create enr";

/// A key was not read; where it is not there, the next step hangs on the command.
fn no_key(error: &KeyError, where_missing: &str) -> CliError {
    let what = |path: &Path| format!("reading the node's key {}", path.display());
    match error {
        KeyError::Read { path, .. } if error.is_missing() => {
            CliError::other(what(path), "it is not there", where_missing)
        }
        KeyError::Read { path, source } => {
            CliError::other(what(path), source, "check the file, its owner and its mode")
        }
        KeyError::Content { path, source } => CliError::other(
            what(path),
            source,
            "bring the file back from your backup; it is 64 hexadecimal digits and nothing else",
        ),
    }
}

impl From<KeyError> for CliError {
    /// Of a command with a lock.
    fn from(error: KeyError) -> CliError {
        no_key(&error, NO_KEY_OF_THE_LOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        charon().debug_assert();
        for (_, command) in flags() {
            forms::relaxed(command).debug_assert();
        }
    }

    #[test]
    fn every_group_is_described() {
        for row in COMMANDS {
            let Some(group) = row.group else { continue };
            assert!(GROUPS.iter().any(|(name, ..)| *name == group), "{group}");
        }
    }

    #[test]
    fn the_name_of_the_binary_decides() {
        let is = |path: &str| is_charon(Some(OsStr::new(path)));
        assert!(is("charon") && is("/usr/local/bin/charon"));
        assert!(!is("coxswain") && !is("/charon/coxswain") && !is("charon2") && !is_charon(None));
    }
}
