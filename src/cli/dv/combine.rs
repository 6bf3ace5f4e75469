//! Flags of `combine`: the whole keys of validators, from the shares of the nodes.

use std::path::PathBuf;

use super::super::render::json;

use super::super::error::CliError;
use super::super::progress::Spinner;
use super::super::{Cx, Exit, Format, Run};
use super::network::TestnetArgs;
use super::{servers, settings};
use crate::dv::combine::{self, CombineFailure, InTheWay, Unverified};

/// Combine the shares of a cluster's nodes to the validators' whole keys
#[derive(Debug, clap::Parser)]
#[command(
    name = "combine",
    after_help = "Examples:\n  coxswain dv combine --cluster-dir ./cluster --output-dir ./validator_keys\n\n\
        A key that signs here must sign nowhere else: stop all nodes of the cluster first, for good."
)]
pub struct Combine {
    /// The directory with one directory for each node, or for enough of them
    #[arg(long, value_name = "DIR", default_value = "./")]
    pub cluster_dir: PathBuf,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub execution_client_rpc_endpoint: String,
    /// Remove the keystores that are in the output directory
    #[arg(long)]
    pub force: bool,
    /// Do not check the hashes and signatures of the locks
    #[arg(long)]
    pub no_verify: bool,
    /// Where the keystores of the validators are written
    #[arg(long, value_name = "DIR", default_value = "./validator_keys")]
    pub output_dir: PathBuf,
    /// A network of one's own.
    #[command(flatten)]
    pub testnet: TestnetArgs,
}

impl Run for Combine {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let networks = settings::networks(&self.testnet)?;
        let unverified = if self.no_verify { Unverified::Warn } else { Unverified::Refuse };
        let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let dir = cx.root.join(&self.cluster_dir);
        let nodes = cx.block_on(async {
            let found = combine::find(&dir, &networks, unverified, &contracts).await;
            found.map_err(explained)
        })?;
        let spinner = Spinner::new(cx, "opening keystores");
        let combined = combine::combine(nodes);
        drop(spinner);
        let combined = combined.map_err(explained)?;
        for warning in &combined.warnings {
            cx.terminal.err(&format!("warning: {warning}\n"));
        }
        let in_the_way = if self.force { InTheWay::Remove } else { InTheWay::Refuse };
        let output = cx.root.join(&self.output_dir);
        let spinner = Spinner::new(cx, "making keystores");
        let written = combine::write(&output, &combined, in_the_way);
        drop(spinner);
        written.map_err(explained)?;
        let keys: Vec<String> =
            combined.lock.validators.iter().map(|v| format!("0x{}", hex::encode(&*v.public_key))).collect();
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({
                "document": "coxswain.dv_combined", "format": 1, "output_dir": output, "nodes": combined.nodes,
                "validators": keys, "warnings": combined.warnings,
            })),
            Format::Text => format!(
                "Combined the keys of {} validators from {} nodes: keystores and passwords are in {}\n\n\
                 Whoever has this directory can sign for the validators, and be slashed for it if the cluster still runs.\n",
                keys.len(),
                combined.nodes.len(),
                output.display()
            ),
        });
        Ok(Exit::Done)
    }
}

fn explained(failure: CombineFailure) -> CliError {
    let why = std::error::Error::source(&failure).map(ToString::to_string);
    match failure {
        CombineFailure::Disk(error) => error.into(),
        CombineFailure::Keystores(error) => error.into(),
        CombineFailure::Exists { path } => CliError::other(
            format!("writing keystores to {}", path.display()),
            "there are keystores in it already",
            "choose another --output-dir, or have them removed with --force",
        ),
        CombineFailure::Shares { .. } => CliError::other(
            "writing keystores",
            failure,
            "choose another --output-dir: not even --force removes a node's shares",
        ),
        CombineFailure::NoNode { .. } => CliError::other(
            "finding the nodes",
            failure,
            "give the directory that has the nodes' directories with --cluster-dir",
        ),
        CombineFailure::Wrong { path, source } => CliError::other(
            format!("checking the lock {}", path.display()),
            source,
            "take the lock of another node; --no-verify uses it as it is",
        ),
        CombineFailure::Unsettled { path, source } => {
            let next = source.next();
            CliError::other(format!("checking the lock {}", path.display()), source, next)
        }
        other => match why {
            Some(why) => CliError::other(other.to_string(), why, "mend it and run the command again"),
            None => CliError::other("combining", other, "nothing was written"),
        },
    }
}
