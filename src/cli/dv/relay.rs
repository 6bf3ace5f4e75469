//! `relay`: a server through which nodes meet that cannot reach each other.

use std::future::pending;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_net::relay::{self, Private};
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use super::super::error::CliError;
use super::super::{Cx, Exit, Run};
use super::logging::{LogArgs, Loki, LokiArgs, Others};
use super::p2p::{self, P2pArgs, RELAYS};
use super::serving::{open, raise_open_files, stop_signal};
use super::{no_key, settings};
use crate::dv::key;
use crate::dv::relay::{self as answers, Told};
use crate::dv::serve::{Limits, Server};

/// What clients of the small answers may take.
const HTTP: Limits = Limits { connections: 256, lasts: Duration::from_secs(30) };
/// What to do where there is no key, and none is to be made.
const NO_KEY: &str =
    "name the relay's directory with --data-dir, or leave --auto-p2pkey=false away: it makes a key";
/// How often the name of this host is looked up.
const LOOK_UP: Duration = Duration::from_secs(300);

/// Run a relay, through which nodes meet that cannot reach each other
#[derive(Debug, clap::Parser)]
#[command(
    name = "relay",
    mut_arg("p2p_relays", |arg| arg.default_values(RELAYS).hide(true)),
    mut_arg("p2p_tcp_address", |arg| arg.help("Where to listen for TCP, as IP:PORT; a relay needs at least one")),
    after_help = "Examples:\n  coxswain dv relay --p2p-tcp-address 0.0.0.0:3610 --p2p-external-hostname relay.example.org \\\n      \
        --http-address 0.0.0.0:3640\n  \
        coxswain dv relay --p2p-tcp-address 10.0.0.2:3610 --p2p-advertise-private-addresses --http-address 10.0.0.2:3640\n\n\
        Nodes name it with --p2p-relays http://HOST:3640, or https where a proxy is in front of it. It runs until it is told to \
        stop (SIGTERM, SIGINT). What passes through is encrypted between the nodes."
)]
pub(super) struct Relay {
    /// Make the relay's key where it is not there
    #[arg(long, default_value_t = true)]
    auto_p2pkey: bool,
    /// The directory of the relay's key
    #[arg(long, value_name = "DIR", default_value = ".charon")]
    data_dir: PathBuf,
    /// Where to answer questions about the program itself; there are none yet
    #[arg(long, value_name = "IP:PORT", default_value = "", hide_default_value = true)]
    debug_address: String,
    /// Where to answer where the relay is; empty for nowhere
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:3640")]
    http_address: String,
    /// The log.
    #[command(flatten)]
    log: LogArgs,
    /// The log, elsewhere.
    #[command(flatten)]
    loki: LokiArgs,
    /// Where to answer /metrics, for prometheus
    #[arg(long, value_name = "IP:PORT", default_value = "", hide_default_value = true)]
    monitoring_address: String,
    /// Tell others of private addresses, too, that the relay finds itself
    #[arg(long)]
    p2p_advertise_private_addresses: bool,
    /// Connections, and reservations, at a time
    #[arg(long, value_name = "N", default_value_t = 16_384)]
    p2p_max_connections: i64,
    /// Reservations of one IP address, and connections through the relay of one peer, at a time
    #[arg(long, value_name = "N", default_value_t = 512)]
    p2p_max_reservations: i64,
    /// How much of the network library is logged: debug, info, warn or error
    #[arg(long, value_name = "LEVEL", default_value = "", hide_default_value = true)]
    p2p_relay_loglevel: String,
    /// The network.
    #[command(flatten)]
    p2p: P2pArgs,
}

impl Run for Relay {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        if !self.debug_address.is_empty() {
            return Err(settings::not_yet("debug-address", "leave it away"));
        }
        let libraries = match self.p2p_relay_loglevel.as_str() {
            "" => LevelFilter::WARN,
            text => text.parse().map_err(|_| {
                CliError::other(
                    "reading --p2p-relay-loglevel",
                    "it is none of debug, info, warn and error",
                    "see --help",
                )
            })?,
        };
        // Until the end of the command, when it sends the last lines.
        let loki = self.loki.start()?;
        self.log.start_with(cx, libraries, Others { loki: Some(&loki), ..Others::default() })?;
        let key = self.key(&cx.root.join(&self.data_dir))?;
        cx.block_on(self.serve(key, &loki))?;
        Ok(Exit::Done)
    }
}

/// A number that is at least one.
fn positive(flag: &str, given: i64) -> Result<u32, CliError> {
    u32::try_from(given).ok().filter(|number| *number > 0).ok_or_else(|| {
        let why = format!("{given} is not a number from 1 to {}", u32::MAX);
        CliError::other(format!("reading --{flag}"), why, "see --help")
    })
}

impl Relay {
    fn key(&self, dir: &Path) -> Result<IdentityKey, CliError> {
        match key::load(&dir.join(key::FILE)) {
            Err(error) if self.auto_p2pkey && error.is_missing() => {
                let (path, key) = key::create(dir)?;
                tracing::info!(file = %path.display(), "a key was made for this relay");
                Ok(key)
            }
            other => other.map_err(|error| no_key(&error, NO_KEY)),
        }
    }

    async fn serve(self, key: IdentityKey, loki: &Loki) -> Result<(), CliError> {
        // Before anything else: whoever starts this may end it at any moment.
        let stopped = stop_signal()?;
        let key = Arc::new(key);
        let relay = self.start(&key).await?;
        loki.label([("relay_peer", relay.me().to_string())]);
        let (tell, external) = watch::channel(None);
        let watching = tokio::spawn(external_ip(
            self.p2p.p2p_external_ip.clone(),
            self.p2p.p2p_external_hostname.clone(),
            tell,
        ));
        let told = Told { relay: relay.clone(), key, external };
        let http = open("http-address", &self.http_address, answers::addresses(told), HTTP).await?;
        let metrics = answers::metrics(relay.clone());
        let monitoring = open("monitoring-address", &self.monitoring_address, metrics, HTTP).await?;
        let address = |server: &Option<Server>| server.as_ref().map(|one| one.address().to_string());
        tracing::info!(
            id = %relay.me(), http = address(&http), monitoring = address(&monitoring), "the relay is ready"
        );
        stopped.await;
        tracing::info!("the relay ends: it was told to");
        watching.abort();
        for server in [http, monitoring].into_iter().flatten() {
            server.stop().await;
        }
        relay.stop().await;
        Ok(())
    }

    async fn start(&self, key: &IdentityKey) -> Result<relay::Relay, CliError> {
        let tcp = self.p2p.tcp().await?;
        if tcp.is_empty() {
            return Err(CliError::other(
                "starting the relay",
                "it has no address to listen on",
                "give --p2p-tcp-address, like 0.0.0.0:3610",
            ));
        }
        if self.p2p.p2p_udp_address.iter().any(|text| !text.is_empty()) {
            tracing::warn!(
                "--p2p-udp-address is passed over: this version speaks no QUIC, and nodes come over TCP"
            );
        }
        let max_connections = positive("p2p-max-connections", self.p2p_max_connections)?;
        raise_open_files(u64::from(max_connections));
        let settings = relay::Settings {
            key: IdentityKey::from_bytes(&key.to_bytes()).expect("a key that is one"),
            agent: format!("coxswain/{}", env!("CARGO_PKG_VERSION")),
            listen: tcp.iter().map(p2p::multiaddr).collect(),
            external: self.p2p.external(&tcp, &[])?,
            private: if self.p2p_advertise_private_addresses { Private::Tell } else { Private::Leave },
            max_connections,
            max_reservations: positive("p2p-max-reservations", self.p2p_max_reservations)? as usize,
        };
        relay::start(settings).map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            CliError::other(
                "starting the relay",
                format!("{error}{cause}"),
                "check --p2p-tcp-address, and whether another program listens there",
            )
        })
    }
}

/// The address that stands in records: as it was given, or as the name of this host has it, looked up now and then.
async fn external_ip(ip: String, name: String, tell: watch::Sender<Option<IpAddr>>) {
    if let Ok(ip) = ip.parse() {
        let _ = tell.send(Some(ip));
    } else if !name.is_empty() {
        loop {
            match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(mut found) => {
                    let first = found.next().map(|address| address.ip());
                    tell.send_if_modified(|ip| first.is_some() && std::mem::replace(ip, first) != first);
                }
                Err(error) => tracing::warn!(%name, %error, "the name of this host is not known"),
            }
            tokio::time::sleep(LOOK_UP).await;
        }
    }
    // The channel lasts as long as the relay.
    pending().await
}
