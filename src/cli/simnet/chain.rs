//! `simnet chain`: a simulated beacon chain.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::time::Time;
use coxswain_dv_types::cluster::Lock;
use coxswain_simnet::chain::{Builder, all_up_to, forks, hoodi_forks};
use coxswain_simnet::{Settings, Simnet};
use tokio::net::TcpListener;

use super::super::dv::forms::parse_duration;
use super::super::error::CliError;
use super::super::{Cx, Exit, Run};

/// Forks that the chain has from its first slot on: up to Fulu.
const FORKS: usize = 7;
/// What versions of forks differ in, in their first byte: on test networks; on others it is 1.
const STEP: u8 = 0x10;

/// Simulate a beacon chain behind the Beacon API
#[derive(Debug, clap::Parser)]
#[command(
    name = "chain",
    after_help = "Examples:\n  coxswain simnet chain --lock-file node0/cluster-lock.json --slot-duration 4s\n\n\
        Its validators are those of the cluster locks. It verifies every signature, says what was missed or could be slashed \
        at /simnet/report, and does what /simnet/fault asks for: reorganisations, errors, delays. Ctrl-C ends it with a report."
)]
pub(super) struct Chain {
    /// Cluster locks whose validators the chain has
    #[arg(long, value_name = "FILE")]
    lock_file: Vec<PathBuf>,
    /// Public keys of other validators
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Where to listen, as IP:PORT; each is a beacon node of its own, all of one chain
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5052")]
    listen: Vec<String>,
    /// How long a slot is
    #[arg(long, value_name = "TIME", default_value = "12s", value_parser = parse_duration)]
    slot_duration: Duration,
    /// Slots of an epoch
    #[arg(long, value_name = "N", default_value_t = 8)]
    slots_per_epoch: u64,
    /// How long until genesis
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    genesis_in: Duration,
    /// What duties and blocks are drawn from: the same number gives the same chain
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Validators in each sync committee; all of them without it
    #[arg(long, value_name = "N")]
    sync_members: Option<usize>,
    /// Blobs of each block
    #[arg(long, value_name = "N", default_value_t = 0)]
    blobs: usize,
    /// Offer blocks of builders
    #[arg(long)]
    builder: bool,
}

impl Run for Chain {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let settings = self.settings(cx)?;
        let (validators, genesis) = (settings.validators.len(), settings.genesis);
        cx.block_on(async {
            let mut listeners = Vec::new();
            for address in &self.listen {
                listeners.push(TcpListener::bind(address).await.map_err(|error| {
                    let next = "choose another --listen, or end what listens there";
                    CliError::other(format!("listening on {address}"), error, next)
                })?);
            }
            let simnet = Simnet::start(settings, listeners)
                .map_err(|error| CliError::other("starting the chain", error, "see --help"))?;
            let addresses: Vec<String> =
                simnet.addresses().iter().map(|address| format!("http://{address}")).collect();
            let listed = addresses.join(" ");
            cx.terminal.out(&format!("{validators} validators, genesis at {genesis}: {listed}\n"));
            super::super::dv::stopped()?.await;
            let report = simnet.report(None, None);
            cx.terminal.out(&super::super::render::json::pretty(&serde_json::json!(report.duties)));
            Ok(Exit::Done)
        })
    }
}

impl Chain {
    fn settings(&self, cx: &Cx) -> Result<Settings, CliError> {
        let mut validators: Vec<Bytes48> = Vec::new();
        let mut network = None;
        for file in &self.lock_file {
            let path = cx.root.join(file);
            let what = || format!("reading the cluster lock {}", path.display());
            let text = std::fs::read(&path)
                .map_err(|error| CliError::other(what(), error, "name the lock of a cluster"))?;
            let lock = Lock::parse(&text)
                .map_err(|error| CliError::other(what(), error, "name the lock of a cluster"))?;
            network = <[u8; 4]>::try_from(&*lock.definition.fork_version).ok();
            for validator in &lock.validators {
                let key: [u8; 48] = (*validator.public_key).try_into().map_err(|_| {
                    CliError::other(what(), "a validator has no key", "bring the file back from your backup")
                })?;
                validators.push(Bytes(key));
            }
        }
        for text in &self.key {
            let key =
                text.parse().map_err(|error| CliError::other("reading --key", error, "give public keys"))?;
            validators.push(key);
        }
        if validators.is_empty() {
            let next = "name a cluster lock with --lock-file, or keys with --key";
            return Err(CliError::other("starting the chain", "it would have no validators", next));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let genesis = Time::from_secs((now + self.genesis_in).as_secs());
        let mut settings = Settings::new(genesis, self.slot_duration, validators);
        settings.slots_per_epoch = self.slots_per_epoch;
        settings.seed = self.seed;
        settings.blobs = self.blobs;
        if let Some(members) = self.sync_members {
            settings.sync.members = members.min(settings.validators.len());
        }
        settings.builder = if self.builder { Builder::Everybody } else { Builder::Off };
        settings.forks = network.map_or_else(hoodi_forks, |genesis| {
            let step = if genesis[0] == 0 { 1 } else { STEP };
            forks(genesis, step, all_up_to(FORKS))
        });
        Ok(settings)
    }
}
