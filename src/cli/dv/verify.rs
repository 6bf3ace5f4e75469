//! `verify FILE…`: whether files of a cluster are what they should be.

use std::path::PathBuf;

use super::super::error::CliError;
use super::super::render::{clean, json};
use super::super::{Cx, Exit, Format, Run};
use super::network::TestnetArgs;
use super::{servers, settings};
use crate::dv::verify::{self, Finding};

/// Check files of a cluster: hashes, signatures, keys, and that those of a node belong together
#[derive(Debug, clap::Parser)]
#[command(
    name = "verify",
    after_help = "Examples:\n  coxswain dv verify .charon\n  coxswain dv verify cluster-definition.json deposit-data.json --json\n\n\
        Takes locks, definitions, keystores and deposits, and directories of nodes, whose keystores are opened with the passwords\n\
        beside them and compared with the lock. Exits 1 when anything is wrong. Signatures of contracts count as wrong unless\n\
        --execution-client-rpc-endpoint names somebody to ask."
)]
pub(super) struct Verify {
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    execution_client_rpc_endpoint: String,
    /// Files, or directories of nodes
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A network of one's own.
    #[command(flatten)]
    testnet: TestnetArgs,
}

impl Run for Verify {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let networks = settings::networks(&self.testnet)?;
        let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let mut findings = Vec::new();
        for file in &self.files {
            let path = cx.root.join(file);
            findings.extend(verify::verify(&path, &networks).map_err(|error| {
                CliError::other(
                    format!("reading {}", path.display()),
                    error,
                    "check the path and who may read it",
                )
            })?);
        }
        cx.block_on(async {
            verify::settle(&mut findings, &contracts).await;
            Ok(())
        })?;
        let is_fine = findings.iter().all(|finding| finding.problems.is_empty());
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&serde_json::json!({
                "document": "coxswain.dv_verify", "format": 1, "ok": is_fine,
                "files": findings.iter().map(|f| serde_json::json!({
                    "path": f.path, "kind": f.kind, "ok": f.problems.is_empty(), "problems": f.problems,
                })).collect::<Vec<_>>(),
            })),
            Format::Text => findings.iter().map(line).collect(),
        });
        Ok(if is_fine { Exit::Done } else { Exit::Error })
    }
}

fn line(finding: &Finding) -> String {
    let path = clean(&finding.path.to_string_lossy()).to_string();
    if finding.problems.is_empty() {
        return format!("ok     {path}  ({})\n", finding.kind);
    }
    finding
        .problems
        .iter()
        .map(|why| format!("WRONG  {path}  ({}): {}\n", finding.kind, clean(why)))
        .collect()
}
