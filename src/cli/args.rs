//! Arguments that several commands share.

use std::path::PathBuf;

use coxswain_model::Address;

use super::Cx;
use crate::session::{KnownPlace, Options, Selection};

/// Hosts and steps at once, unless told otherwise: below the ten channels sshd allows on one connection.
pub const DEFAULT_PARALLELISM: u16 = 8;
/// More at once than this exhausts file descriptors before it saves time.
const MAX_PARALLELISM: i64 = 256;

/// Where variables come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SourceArgs {
    /// Use env/NAME.hclvars and a state of its own
    #[arg(long, value_name = "NAME", value_parser = parse_env)]
    pub env: Option<String>,
    /// Set a variable of the root module; may be repeated
    #[arg(long = "var", value_name = "KEY=VALUE", value_parser = parse_var)]
    pub vars: Vec<(String, String)>,
    /// Read variables from a file; may be repeated, later files win
    #[arg(long = "var-file", value_name = "FILE")]
    pub var_files: Vec<PathBuf>,
}

/// Which state is meant.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StateArgs {
    /// Use the state of this environment
    #[arg(long, value_name = "NAME", global = true, value_parser = parse_env)]
    pub env: Option<String>,
}

/// The name of an environment is a part of paths.
fn parse_env(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with('.') || !text.chars().all(is_plain) {
        return Err("a name is made of letters, digits, `-`, `_` and `.`".into());
    }
    Ok(text.to_owned())
}

/// What a plan is restricted to.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SelectArgs {
    /// Plan only this resource or instance and what it needs; may be repeated
    #[arg(long = "target", value_name = "ADDRESS")]
    pub targets: Vec<Address>,
    /// Leave this resource or instance, and what needs it, out; may be repeated
    #[arg(long = "exclude", value_name = "ADDRESS")]
    pub excludes: Vec<Address>,
}

/// How hosts are treated.
#[derive(Debug, Clone, clap::Args)]
pub struct HostArgs {
    /// How many hosts are read, or steps run, at once
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PARALLELISM,
          value_parser = clap::value_parser!(u16).range(1..=MAX_PARALLELISM))]
    pub parallelism: u16,
}

/// What to do about hosts that cannot be read.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct UnreachableArgs {
    /// Go on without hosts that cannot be read
    #[arg(long)]
    pub allow_unreachable: bool,
}

/// Which questions are answered beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Yes {
    /// Every question but those about destructive steps of later rounds
    Plan,
    /// Every question
    All,
}

/// Confirmation.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct YesArgs {
    /// Do not ask; `--yes=all` does not ask about destructive steps of later rounds either
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "plan")]
    pub yes: Option<Yes>,
}

fn parse_var(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("write KEY=VALUE".to_owned()),
    }
}

impl SourceArgs {
    /// What a session is opened with.
    pub fn options(&self, cx: &Cx, hosts: &HostArgs) -> Options {
        Options {
            place: KnownPlace::default(),
            world: cx.world.clone(),
            notices: cx.notices(),
            root: cx.root.clone(),
            env: self.env.clone(),
            vars: self.vars.clone(),
            var_files: self.var_files.clone(),
            read_only: false,
            parallelism: usize::from(hosts.parallelism),
        }
    }
}

impl StateArgs {
    /// What the state is opened with.
    pub fn options(&self, cx: &Cx) -> Options {
        let sources = SourceArgs { env: self.env.clone(), ..SourceArgs::default() };
        sources.options(cx, &HostArgs::default())
    }
}

impl Default for HostArgs {
    fn default() -> HostArgs {
        HostArgs { parallelism: DEFAULT_PARALLELISM }
    }
}

impl SelectArgs {
    /// The selection, with what is to be replaced.
    pub fn selection(&self, replace: &[Address]) -> Selection {
        Selection {
            targets: self.targets.clone(),
            excludes: self.excludes.clone(),
            replace: replace.to_vec(),
        }
    }
}
