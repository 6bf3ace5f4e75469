//! The command line: arguments in, text and an exit code out.
//!
//! ```text
//! args ─clap→ Entry of COMMANDS ─run→ session (the engine) → data ─render (pure)→ text ─terminal→ out
//! ```
//!
//! Each command is one file and one line in [`COMMANDS`]. Only here are exit codes, hints and colour made. A
//! command never writes by itself: everything goes through [`terminal::Terminal`].

pub mod args;
pub mod dv;
pub mod error;
pub mod progress;
pub mod render;
pub mod rounds;
pub mod terminal;

mod adopt;
mod apply;
mod completions;
mod destroy;
mod drift;
mod graph;
mod init;
mod man;
mod output;
mod plan;
mod show;
mod simnet;
mod state;
mod validate;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgMatches, Args as _, Command, Parser};

use self::error::CliError;
use self::terminal::Terminal;
use crate::observe::Notices;
use crate::session::GivenWorld;

/// How a command ended, as its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to do, or all done.
    Done = 0,
    /// An error.
    Error = 1,
    /// Changes are pending.
    Pending = 2,
    /// The world drifted.
    Drift = 3,
    /// Some of it was applied.
    Partly = 4,
    /// Somebody else holds the lock.
    Busy = 5,
    /// Others must act first.
    Waiting = 6,
}

impl Exit {
    /// The worse of two ends of `plan` and `apply`: 1 > 5 > 4 > 6 > 2 > 0 (3 is `drift`'s alone).
    #[must_use]
    pub fn worse(self, other: Exit) -> Exit {
        if self.rank() >= other.rank() { self } else { other }
    }

    fn rank(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Pending => 1,
            Exit::Waiting => 2,
            Exit::Partly => 3,
            Exit::Busy => 4,
            Exit::Error => 5,
            Exit::Drift => 6,
        }
    }
}

/// Arguments of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct GlobalArgs {
    /// Run in this directory
    #[arg(long, global = true, value_name = "DIR")]
    pub chdir: Option<PathBuf>,
    /// Write JSON for machines instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Write no colours (as does the variable `NO_COLOR`)
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// How a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// JSON for machines.
    Json,
}

/// What every command gets.
#[derive(Debug, Clone)]
pub struct Cx {
    /// The root directory of the configuration.
    pub root: PathBuf,
    /// How to speak.
    pub format: Format,
    /// Where to.
    pub terminal: Arc<Terminal>,
    /// The world instead of the machines, where there is one.
    pub world: GivenWorld,
}

impl Cx {
    /// What is waited for while hosts are looked at, as lines on standard error.
    pub fn notices(&self) -> Notices {
        let terminal = Arc::clone(&self.terminal);
        Notices(Some(Arc::new(move |text: &str| terminal.err(&format!("{text}\n")))))
    }

    /// Runs asynchronous work to its end. What still blocks a thread then (a prompt) is left behind.
    ///
    /// # Errors
    /// What the work says, or that no threads can be had.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        wait_on(&mut tokio::runtime::Builder::new_multi_thread(), work)
    }

    /// The same on this thread alone, for work that waits nearly always: to wake another thread would cost more than
    /// what is to be done.
    ///
    /// # Errors
    /// As [`Cx::block_on`].
    pub fn block_on_here<T>(&self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        wait_on(&mut tokio::runtime::Builder::new_current_thread(), work)
    }
}

fn wait_on<T>(
    builder: &mut tokio::runtime::Builder,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let runtime = builder.enable_all().build().map_err(|e| {
        CliError::other("starting the runtime", e, "check the limits on threads and open files")
    })?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// A command: its arguments and what it does.
pub trait Run: Parser {
    /// Does it.
    ///
    /// # Errors
    /// What is to be reported.
    fn run(self, cx: &Cx) -> Result<Exit, CliError>;
}

/// A row of [`COMMANDS`].
pub struct Entry {
    command: fn() -> Command,
    run: fn(&ArgMatches, &Cx) -> Result<Exit, CliError>,
}

impl Entry {
    const fn of<T: Run>() -> Entry {
        Entry { command: T::command, run: run_as::<T> }
    }
}

fn run_as<T: Run>(matches: &ArgMatches, cx: &Cx) -> Result<Exit, CliError> {
    T::from_arg_matches(matches)
        .map_err(|e| CliError::other("reading the arguments", e, "see --help"))?
        .run(cx)
}

/// Every command, in the order of the help.
pub static COMMANDS: &[Entry] = &[
    Entry::of::<init::Init>(),
    Entry::of::<adopt::Adopt>(),
    Entry::of::<validate::Validate>(),
    Entry::of::<plan::PlanCommand>(),
    Entry::of::<apply::Apply>(),
    Entry::of::<destroy::Destroy>(),
    Entry::of::<drift::Drift>(),
    Entry::of::<show::Show>(),
    Entry::of::<output::Output>(),
    Entry::of::<state::State>(),
    Entry::of::<graph::Graph>(),
    Entry { command: dv::command, run: dv::run },
    Entry { command: simnet::command, run: simnet::run },
    Entry::of::<completions::Completions>(),
    Entry::of::<man::Man>(),
    Entry::of::<version::Version>(),
];

/// The whole command line.
pub fn command() -> Command {
    // The arguments first: they would bring their own description with them.
    GlobalArgs::augment_args(Command::new("coxswain"))
        .about("Takes an Ethereum staking cluster from bare hosts to attesting validators and keeps it there")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(
            "Examples:\n  coxswain init\n  coxswain plan --out change.coxplan\n  coxswain apply change.coxplan\n\n\
             Exit codes:\n  0 nothing to do or all done   1 error            2 changes pending\n  \
             3 drift                       4 partly applied   5 lock busy   6 waiting for others",
        )
        .subcommands(COMMANDS.iter().map(|entry| (entry.command)()))
}

/// What a binary of this name does.
struct Root {
    command: fn() -> Command,
    run: fn(&ArgMatches, &Cx) -> Result<Exit, CliError>,
}

impl Root {
    fn of(program: Option<&OsString>) -> Root {
        if dv::is_charon(program.map(OsString::as_os_str)) {
            Root { command: dv::charon, run: dv::run }
        } else {
            Root { command, run: run_named }
        }
    }
}

/// Runs the command line and says how it ended. The first argument is the name the binary was called under.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let root = Root::of(args.first());
    let matches = match (root.command)().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and usage errors; a closed pipe is not worth a word.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Error as u8 } else { Exit::Done as u8 });
        }
    };
    let wanted =
        if matches.get_flag("no_color") { terminal::Wanted::Plain } else { terminal::Wanted::Detect };
    let terminal = Arc::new(Terminal::detect(wanted));
    ExitCode::from(dispatch(root.run, &matches, terminal, GivenWorld::default()) as u8)
}

/// Runs the command line with another terminal, in another world.
pub fn run_in(args: impl IntoIterator<Item = OsString>, terminal: Arc<Terminal>, world: GivenWorld) -> Exit {
    match command().try_get_matches_from(args) {
        Ok(matches) => dispatch(run_named, &matches, terminal, world),
        Err(error) => {
            terminal.err(&error.to_string());
            if error.use_stderr() { Exit::Error } else { Exit::Done }
        }
    }
}

fn dispatch(
    run: fn(&ArgMatches, &Cx) -> Result<Exit, CliError>,
    matches: &ArgMatches,
    terminal: Arc<Terminal>,
    world: GivenWorld,
) -> Exit {
    let cx = Cx {
        root: matches.get_one::<PathBuf>("chdir").cloned().unwrap_or_else(|| PathBuf::from(".")),
        format: if matches.get_flag("json") { Format::Json } else { Format::Text },
        terminal,
        world,
    };
    let exit = run(matches, &cx).unwrap_or_else(|error| error::report(&cx, &error));
    match cx.terminal.failure() {
        None => exit,
        Some(why) => {
            cx.terminal.err(&format!("error: writing the output: {why}\n"));
            exit.worse(Exit::Error)
        }
    }
}

fn run_named(matches: &ArgMatches, cx: &Cx) -> Result<Exit, CliError> {
    let (name, matches) = matches.subcommand().expect("clap requires a subcommand");
    let entry = COMMANDS
        .iter()
        .find(|entry| (entry.command)().get_name() == name)
        .expect("clap knows no other subcommand than these");
    (entry.run)(matches, cx)
}

#[cfg(test)]
mod tests;
