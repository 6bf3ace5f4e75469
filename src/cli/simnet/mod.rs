//! `coxswain simnet …`: a beacon chain and validator clients that are simulated, to try clusters without real ones.

mod chain;
mod validator;

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use super::error::CliError;
use super::{Cx, Exit, Run as _};

/// `coxswain simnet`.
pub(super) fn command() -> Command {
    Command::new("simnet")
        .about("Try a cluster on a simulated chain, with simulated validator clients")
        .after_help(
            "Examples:\n  coxswain simnet chain --lock-file node0/cluster-lock.json\n  \
             coxswain simnet validator --node http://127.0.0.1:3600 --keys-dir node0/validator_keys",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(chain::Chain::command())
        .subcommand(validator::Validator::command())
}

/// Runs what is below `simnet`.
pub(super) fn run(matches: &ArgMatches, cx: &Cx) -> Result<Exit, CliError> {
    let wrong = |error: clap::Error| CliError::other("reading the arguments", error.kind(), "see --help");
    match matches.subcommand() {
        Some(("chain", inner)) => chain::Chain::from_arg_matches(inner).map_err(wrong)?.run(cx),
        Some(("validator", inner)) => validator::Validator::from_arg_matches(inner).map_err(wrong)?.run(cx),
        _ => Err(CliError::other("reading the arguments", "there is no such command", "see --help")),
    }
}
