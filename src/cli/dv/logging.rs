//! Logs of commands that run for long: charon's flags, over events of `tracing`.
//!
//! ```text
//! event ─level→ fields ─format→ line ─→ standard error
//!                             └─ debug and above ─→ the file, Loki
//! ```
//!
//! Events of other people's libraries are shown from warnings on. Text that came from outside is escaped: a line is
//! always one line.

mod line;
mod loki;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use coxswain_dv_node::monitor::Counts;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::super::Cx;
use super::super::error::CliError;
use super::super::render::Colour;
use super::super::terminal::Terminal;
pub use loki::{Loki, LokiArgs};

/// How the names of our own modules begin.
const OURS: &str = "coxswain";
/// Logs are read by those who look after the machine.
const FILE_MODE: u32 = 0o644;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Console,
    /// `key=value`, one line for each event.
    Logfmt,
    /// An object of JSON, one line for each event.
    Json,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What deserves attention.
    Warn,
    /// What failed.
    Error,
}

impl LogLevel {
    /// The same for `tracing`.
    #[must_use]
    pub fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        }
    }
}

/// Whether lines for people have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogColor {
    /// Where a terminal shows them.
    Auto,
    /// Always.
    Force,
    /// Never.
    Disable,
}

/// How a command logs.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// Colours in the log
    #[arg(long, value_name = "WHEN", default_value = "auto", ignore_case = true)]
    pub log_color: LogColor,
    /// The form of the log's lines
    #[arg(long, value_name = "FORM", default_value = "console", ignore_case = true)]
    pub log_format: LogFormat,
    /// What is logged
    #[arg(long, value_name = "LEVEL", default_value = "info", ignore_case = true)]
    pub log_level: LogLevel,
    /// Append the log to this file as well, with everything from debug on
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub log_output_path: String,
}

/// What hears of events besides standard error and the file.
#[derive(Debug, Default)]
pub struct Others<'a> {
    /// Servers that get the log.
    pub loki: Option<&'a Loki>,
    /// What counts warnings and errors.
    pub counts: Option<Counts>,
}

impl LogArgs {
    /// Starts the log of this process. A process has one; the first stays.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn start(&self, cx: &Cx) -> Result<(), CliError> {
        self.start_with(cx, LevelFilter::WARN, Others::default())
    }

    /// The same, with this much of the libraries, and others that hear of it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn start_with(&self, cx: &Cx, libraries: LevelFilter, others: Others<'_>) -> Result<(), CliError> {
        let file = match self.log_output_path.as_str() {
            "" => None,
            path => Some(open(&cx.root.join(path))?),
        };
        let log = Log {
            terminal: Arc::clone(&cx.terminal),
            format: self.log_format,
            colour: match self.log_color {
                LogColor::Auto if cx.terminal.err_is_terminal => cx.terminal.err_colour,
                LogColor::Force => Colour::On,
                LogColor::Auto | LogColor::Disable => Colour::Off,
            },
            level: self.log_level.filter(),
            libraries,
            file: file.map(Mutex::new),
            loki: others.loki.map(Loki::outbox).unwrap_or_default(),
            counted: if others.counts.is_some() { LevelFilter::WARN } else { LevelFilter::OFF },
        };
        // Refused where there is one already, which then stays.
        drop(tracing_subscriber::registry().with(log).with(others.counts).try_init());
        Ok(())
    }
}

fn open(path: &Path) -> Result<File, CliError> {
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path).map_err(|error| {
        CliError::other(
            format!("opening the log {}", path.display()),
            error,
            "check the path and who may write there, or leave --log-output-path away",
        )
    })
}

/// Writes events.
struct Log {
    terminal: Arc<Terminal>,
    format: LogFormat,
    colour: Colour,
    level: LevelFilter,
    libraries: LevelFilter,
    file: Option<Mutex<File>>,
    loki: loki::Outbox,
    /// What others count, whether it is shown or not.
    counted: LevelFilter,
}

impl Log {
    fn is_shown(&self, target: &str, level: Level) -> bool {
        level <= self.level && (target.starts_with(OURS) || level <= self.libraries)
    }

    /// Whether somebody wants everything.
    fn is_read_later(&self) -> bool {
        self.file.is_some() || !self.loki.is_empty()
    }

    fn is_filed(&self, target: &str, level: Level) -> bool {
        self.is_read_later()
            && level <= Level::DEBUG
            && (target.starts_with(OURS) || level <= self.libraries.max(LevelFilter::WARN))
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let (target, level) = (metadata.target(), *metadata.level());
        self.is_shown(target, level) || self.is_filed(target, level) || level <= self.counted
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let filed = if self.is_read_later() { LevelFilter::DEBUG } else { LevelFilter::OFF };
        Some(self.level.max(filed).max(self.counted))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (target, level) = (event.metadata().target(), *event.metadata().level());
        let entry = line::Entry::of(event, jiff::Zoned::now());
        if self.is_shown(target, level) {
            self.terminal.err(&entry.text(self.format, self.colour));
        }
        if !self.is_filed(target, level) {
            return;
        }
        self.loki.put(&entry);
        if let Some(file) = &self.file {
            let text = entry.text(self.format, Colour::Off);
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk stops no node; standard error has the line.
            drop(std::io::Write::write_all(&mut *file, text.as_bytes()));
        }
    }
}
