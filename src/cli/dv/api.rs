//! `api`: a service that keeps definitions and locks, ours alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::error::CliError;
use super::super::{Cx, Exit, Format, Run};
use super::logging::LogArgs;
use super::network::TestnetArgs;
use super::serving::{open, stop_signal};
use super::{servers, settings};
use crate::dv::api::{self, Service, Store};
use crate::dv::serve::Limits;

/// What clients may take: a lock of 64 MiB needs some time on a slow line.
const HTTP: Limits = Limits { connections: 128, lasts: Duration::from_secs(120) };

/// Serve definitions and locks to those who make a cluster together
#[derive(Debug, clap::Parser)]
#[command(
    name = "api",
    after_help = "Examples:\n  coxswain dv api --data-dir /var/lib/coxswain-api\n  \
        coxswain dv create dkg --publish --publish-address https://api.example.org/v1 --name mine\n  \
        coxswain dv dkg --definition-file https://api.example.org/v1/definition/0x…\n\n\
        It speaks plain HTTP: put a proxy with a certificate in front of it, and let the proxy limit what each client may send. \
        Everybody may read what is kept, and publish what is signed. It runs until it is told to stop (SIGTERM, SIGINT)."
)]
pub(super) struct Api {
    /// Where everything is kept; it is made where it is not there
    #[arg(long, value_name = "DIR", default_value = ".coxswain-api")]
    data_dir: PathBuf,
    /// An endpoint of the execution layer, for signatures that only a contract can confirm
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    execution_client_rpc_endpoint: String,
    /// Where to listen
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:3650")]
    http_address: String,
    /// The log.
    #[command(flatten)]
    log: LogArgs,
    /// How much may be kept in all, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    max_size_mb: u64,
    /// A network of one's own.
    #[command(flatten)]
    testnet: TestnetArgs,
}

impl Run for Api {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        self.log.start(cx)?;
        let networks = settings::networks(&self.testnet)?;
        let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let dir = cx.root.join(&self.data_dir);
        let store = Store::open_at(&dir, self.max_size_mb.saturating_mul(1_000_000))?;
        let service = Service { store: Arc::new(store), networks, contracts };
        cx.block_on(self.serve(cx, &dir, service))?;
        Ok(Exit::Done)
    }
}

impl Api {
    async fn serve(&self, cx: &Cx, dir: &Path, service: Service) -> Result<(), CliError> {
        let stopped = stop_signal()?;
        let server = open("http-address", &self.http_address, api::router(service), HTTP).await?;
        let Some(server) = server else {
            return Err(CliError::other(
                "starting the service",
                "--http-address is empty",
                "say where to listen",
            ));
        };
        let at = server.address();
        cx.terminal.out(&match cx.format {
            Format::Json => {
                let line = serde_json::json!({
                    "event": "ready", "http_address": at.to_string(), "publish_address": format!("http://{at}/v1"),
                    "data_dir": dir,
                });
                format!("{line}\n")
            }
            Format::Text => format!(
                "The service is at http://{at}, for --publish-address http://{at}/v1\nEverything is kept in {}\n",
                dir.display()
            ),
        });
        stopped.await;
        tracing::info!("the service ends: it was told to");
        server.stop().await;
        Ok(())
    }
}
