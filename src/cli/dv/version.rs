//! `version`, as charon has it.

use coxswain_dv_types::network::NETWORKS;

use super::super::error::CliError;
use super::super::render::json;
use super::super::{Cx, Exit, Format, Run};

/// The releases of charon whose flags and files these commands follow.
const FOLLOWS: &[&str] = &["v1.10", "v1.11"];

/// Show the version
#[derive(Debug, clap::Parser)]
#[command(
    name = "version",
    after_help = "Examples:\n  coxswain dv version\n  coxswain dv version --verbose\n  coxswain dv version --json"
)]
pub(super) struct Version {
    /// Show what it follows and which networks it knows as well
    #[arg(long)]
    verbose: bool,
}

impl Run for Version {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let version = env!("CARGO_PKG_VERSION");
        let platform = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
        let networks: Vec<&str> = NETWORKS.iter().map(|network| network.name.as_ref()).collect();
        cx.terminal.out(&match (cx.format, self.verbose) {
            (Format::Json, _) => json::pretty(&serde_json::json!({
                "version": version, "follows_charon": FOLLOWS, "networks": networks, "platform": platform,
            })),
            (Format::Text, false) => format!("coxswain {version}\n"),
            (Format::Text, true) => format!(
                "coxswain {version}\n\nfollows charon  {}\nnetworks        {}\nplatform        {platform}\n",
                FOLLOWS.join(", "),
                networks.join(", ")
            ),
        });
        Ok(Exit::Done)
    }
}
