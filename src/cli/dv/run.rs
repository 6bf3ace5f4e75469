//! `run`: a node of a distributed validator.

mod checks;
mod labels;
mod serve;
mod start;
mod traces;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use coxswain_dv_node::monitor::Counts;
use coxswain_dv_slashing::lease::{Applicant, Lease};
use coxswain_dv_slashing::machine::{Disk, Machine};
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::network::Networks;
use tracing::level_filters::LevelFilter;

use super::super::error::CliError;
use super::super::{Cx, Exit, Run as Command};
use super::logging::{LogArgs, LokiArgs, Others};
use super::network::TestnetArgs;
use super::p2p::{self, P2pArgs};
use super::servers;
use super::serving::stop_signal;
use super::settings::networks;
use crate::dv::combine::read_lock;
use crate::dv::{key, run};
use serve::{Looked, explained, refused_key, serve, wait_of};
use start::Known;

/// What we report.
const VERSION: &str = "v1.11.0";
/// Longest name of a node.
const MAX_NICKNAME: usize = 32;
/// The feature of charon's that is QUIC.
const QUIC: &str = "quic";
/// Bytes of a graffiti, and of one to which the node adds what it is.
const GRAFFITI: usize = 32;

/// When keys without a history begin to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum SlashingStart {
    /// When the epoch after this one is over
    AfterEpoch,
    /// At once
    Now,
}

/// Run this node of the cluster
#[derive(Debug, clap::Parser)]
#[command(
    name = "run",
    mut_arg("p2p_relays", |arg| arg.default_values(p2p::RELAYS)),
    after_help = "Examples:\n  coxswain dv run --beacon-node-endpoints http://127.0.0.1:5052\n\n\
        The validator client of this node uses http://127.0.0.1:3600 as its beacon node, with the keys of validator_keys. \
        Everything that is signed is kept in the directory `coxswain` beside the node's key: never run a node with a copy of \
        it, or without it."
)]
pub(super) struct RunCommand {
    /// Take a threshold of half of the nodes or less: two parts of them can then sign different things, and the
    /// validators are slashed
    #[arg(long)]
    allow_low_threshold: bool,
    /// Beacon nodes, as URLs
    #[arg(long, value_name = "URL")]
    beacon_node_endpoints: Vec<String>,
    /// Headers of requests to beacon nodes, as NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    beacon_node_headers: Vec<String>,
    /// How long a submission to a beacon node may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::forms::parse_duration)]
    beacon_node_submit_timeout: Duration,
    /// How long a question to a beacon node may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = super::forms::parse_duration)]
    beacon_node_timeout: Duration,
    /// Take blocks of builders
    #[arg(long)]
    builder_api: bool,
    /// The consensus protocol that this node prefers; there is one, qbft
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    consensus_protocol: String,
    /// Where to answer those who look for faults, as IP:PORT
    #[arg(long, value_name = "IP:PORT", default_value = "", hide_default_value = true)]
    debug_address: String,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    execution_client_rpc_endpoint: String,
    /// Beacon nodes for when the others fail
    #[arg(long, value_name = "URL")]
    fallback_beacon_node_endpoints: Vec<String>,
    /// Which features are on: alpha, beta or stable
    #[arg(long, value_name = "SET", default_value = "stable")]
    feature_set: String,
    /// Features that are off, by charon's names
    #[arg(long, value_name = "NAME")]
    feature_set_disable: Vec<String>,
    /// Features that are on, by charon's names
    #[arg(long, value_name = "NAME")]
    feature_set_enable: Vec<String>,
    /// Fetch newer registrations with builders from the API, too
    #[arg(long)]
    fetch_feerecipient_updates: bool,
    /// What blocks say: one text for all validators, or one for each
    #[arg(long, value_name = "TEXT")]
    graffiti: Vec<String>,
    /// Do not add what made the block
    #[arg(long)]
    graffiti_disable_client_append: bool,
    /// Passed over: traces go to --otlp-address
    #[arg(long, value_name = "IP:PORT", default_value = "", hide_default_value = true)]
    jaeger_address: String,
    /// Passed over
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    jaeger_service: String,
    /// The lock of the cluster
    #[arg(long, value_name = "FILE", default_value = ".charon/cluster-lock.json")]
    lock_file: PathBuf,
    /// Logs.
    #[command(flatten)]
    log: LogArgs,
    /// Logs to Loki.
    #[command(flatten)]
    loki: LokiArgs,
    /// Passed over: the lock is what counts
    #[arg(long, value_name = "FILE", default_value = ".charon/cluster-manifest.pb")]
    manifest_file: PathBuf,
    /// Where to answer /metrics, /livez and /readyz
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:3620")]
    monitoring_address: String,
    /// What others call this node
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    nickname: String,
    /// Do not check the hashes and signatures of the lock
    #[arg(long)]
    no_verify: bool,
    /// The collector that traces go to, over OTLP and gRPC
    #[arg(long, value_name = "HOST:PORT", default_value = "", hide_default_value = true)]
    otlp_address: String,
    /// Headers of requests to it, as NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    otlp_headers: Vec<String>,
    /// Speak to it without TLS
    #[arg(long)]
    otlp_insecure: bool,
    /// The name of this service in traces
    #[arg(long, value_name = "NAME", default_value = "charon")]
    otlp_service_name: String,
    /// Registrations with builders newer than the lock's; read again when it changes
    #[arg(long, value_name = "FILE", default_value = ".charon/builder_registrations_overrides.json")]
    overrides_file: PathBuf,
    /// The network between nodes.
    #[command(flatten)]
    p2p: P2pArgs,
    /// The key of this node
    #[arg(long, value_name = "FILE", default_value = ".charon/charon-enr-private-key")]
    private_key_file: PathBuf,
    /// Always on here: one key runs once
    #[arg(long)]
    private_key_file_lock: bool,
    /// Where processes of this machine are listed
    #[arg(long, value_name = "DIR", default_value = "", hide_default_value = true)]
    proc_directory: String,
    /// The API
    #[arg(long, value_name = "URL", default_value = "https://api.obol.tech/v1")]
    publish_address: String,
    /// How long a request to it may take
    #[arg(long, value_name = "TIME", default_value = "5m0s", value_parser = super::forms::parse_duration)]
    publish_timeout: Duration,
    /// A simulated beacon node inside; use coxswain simnet chain
    #[arg(long)]
    simnet_beacon_mock: bool,
    /// Answers of it that make no sense
    #[arg(long)]
    simnet_beacon_mock_fuzz: bool,
    /// How long its slots are
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = super::forms::parse_duration)]
    simnet_slot_duration: Duration,
    /// Keys of the simulated validator client
    #[arg(long, value_name = "DIR", default_value = ".charon/validator_keys")]
    simnet_validator_keys_dir: PathBuf,
    /// A simulated validator client inside; use coxswain simnet validator
    #[arg(long)]
    simnet_validator_mock: bool,
    /// When keys without a history here begin to sign; import one with what signed before, or wait
    #[arg(long, value_name = "WHEN", default_value = "after-epoch")]
    slashing_start: SlashingStart,
    /// Proposals that are made up beside real ones: signed, never submitted
    #[arg(long)]
    synthetic_block_proposals: bool,
    /// The host whose node had this key, or the directory that this is a copy of, where none runs there any more, nor will by
    /// itself; leave it away again at the next start
    #[arg(long, value_name = "HOST", default_value = "", hide_default_value = true)]
    take_over_from: String,
    /// A network of one's own.
    #[command(flatten)]
    testnet: TestnetArgs,
    /// Capella fork version of a network of your own, 4 bytes in hex: what exits are bound to
    #[arg(long, value_name = "HEX", default_value = "", hide_default_value = true)]
    testnet_capella_hard_fork: String,
    /// Where the validator client asks, as IP:PORT
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:3600")]
    validator_api_address: String,
    /// A certificate for it
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    vc_tls_cert_file: String,
    /// The certificate's key
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    vc_tls_key_file: String,
}

impl Command for RunCommand {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        self.check_flags()?;
        // Until the end of the command, when it sends the last lines.
        let loki = self.loki.start()?;
        let counts = Counts::default();
        let others = Others { loki: Some(&loki), counts: Some(counts.clone()) };
        self.log.start_with(cx, LevelFilter::WARN, others)?;
        let features = self.features()?;
        self.warn_of_what_is_passed_over(&features);
        let networks = networks(&self.testnet)?;
        let lock = self.lock(cx, &networks)?;
        let path = cx.root.join(&self.private_key_file);
        let key = key::load(&path)?;
        loki.label(labels::of(&lock, &key.public(), (&networks, &self.nickname)));
        let watched = (counts, loki.dropped());
        cx.block_on_here(async {
            // Before anything else: whoever starts this may end it at any moment.
            let stopped = stop_signal()?;
            let cluster_lock_hash = hex::encode(&*lock.lock_hash);
            let known = Known { lock, networks: &networks, key, features, root: cx.root.clone() };
            let run = self.settings(&path, known, watched).await?;
            // What cannot run has not used the key, and nobody waits for it because of that.
            let checked = run::check(run).map_err(explained)?;
            let looked =
                Looked { monitoring: self.monitoring_address.clone(), debug: self.debug_address.clone() };
            let lease = self.lease(&path, cluster_lock_hash).await?;
            serve(checked, looked, lease, stopped).await
        })?;
        Ok(Exit::Done)
    }
}

impl RunCommand {
    fn lock(&self, cx: &Cx, networks: &Networks) -> Result<Lock, CliError> {
        let path = cx.root.join(&self.lock_file);
        let what = || format!("checking the cluster lock {}", path.display());
        let again = "bring the file back from your backup, or from another operator";
        let (lock, checked) = read_lock(&path, networks).map_err(|error| {
            let next = "name the file with --lock-file; a key ceremony makes it: coxswain dv dkg";
            CliError::other(what(), in_full(&error), next)
        })?;
        let settled = match checked {
            Err(problem) => Err(problem.to_string()),
            Ok(questions) if questions.is_empty() => Ok(()),
            Ok(questions) => {
                let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
                cx.block_on(async {
                    Ok(contracts.settle(&questions).await.map_err(|error| error.to_string()))
                })?
            }
        };
        match settled {
            Ok(()) => {}
            Err(why) if self.no_verify => {
                tracing::warn!(%why, "the cluster lock is not as it should be, and is used: --no-verify");
            }
            Err(why) => return Err(CliError::other(what(), why, again)),
        }
        Ok(lock)
    }

    /// Takes the key. A node that was just stopped, or killed, is waited for.
    async fn lease(&self, path: &Path, cluster_lock_hash: String) -> Result<Lease, CliError> {
        let begun = Instant::now();
        let mut is_told = false;
        loop {
            let applicant = Applicant {
                command: "coxswain dv run".to_owned(),
                cluster_lock_hash: cluster_lock_hash.clone(),
                machine: Machine::this(),
                disk: Disk::Local,
                takes_over_from: (!self.take_over_from.is_empty()).then(|| self.take_over_from.clone()),
            };
            match Lease::take(path, applicant, jiff::Timestamp::now()) {
                Ok(lease) => {
                    if !self.take_over_from.is_empty() {
                        tracing::warn!(
                            host = self.take_over_from,
                            "--take-over-from is given: leave it away at the next start, for as long as it is there a copy of this \
                             directory is taken as well"
                        );
                    }
                    return Ok(lease);
                }
                Err(error) => match wait_of(&error) {
                    // One that runs on says so again and again: it is not waited for.
                    Some(wait) if begun.elapsed() + wait <= LONGEST_WAIT => {
                        if !is_told {
                            tracing::info!(
                                why = in_full(&error),
                                "the key is in use, or was a moment ago; waiting"
                            );
                        }
                        is_told = true;
                        tokio::time::sleep(wait).await;
                    }
                    _ => return Err(refused_key(&error)),
                },
            }
        }
    }
}

/// Longest time that a key is waited for: a node that was just stopped counts for five seconds.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(6);
