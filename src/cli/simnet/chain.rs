//! `simnet chain`: a simulated beacon chain.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::time::Time;
use coxswain_dv_types::cluster::Lock;
use coxswain_simnet::chain::{Builder, all_up_to, forks};
use coxswain_simnet::{Settings, Simnet};
use tokio::net::TcpListener;

use super::super::dv::forms::parse_duration;
use super::super::error::CliError;
use super::super::{Cx, Exit, Run};

/// Forks that the chain has from its first slot on: up to Fulu.
const FORKS: usize = 7;
/// The first version of the network that a chain without a lock is of: Hoodi.
const HOODI: [u8; 4] = [0x10, 0, 9, 0x10];
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
    /// From which epoch a fork holds, as NAME=EPOCH, like electra=2,fulu=4; the others
    /// hold from the first epoch on
    #[arg(long, value_name = "NAME=EPOCH", value_delimiter = ',', value_parser = fork_epoch)]
    fork_epochs: Vec<(Fork, u64)>,
}

/// A fork and its first epoch.
fn fork_epoch(text: &str) -> Result<(Fork, u64), String> {
    let (name, epoch) = text.split_once('=').ok_or("it is not NAME=EPOCH")?;
    let fork = Fork::named(name).ok_or_else(|| format!("there is no fork `{name}`"))?;
    let epoch = epoch.parse().map_err(|_| format!("`{epoch}` is no epoch"))?;
    if fork == Fork::Phase0 && epoch > 0 {
        return Err("phase0 holds from the first epoch on".to_owned());
    }
    Ok((fork, epoch))
}

/// The first epochs of all forks, which come one after the other.
fn first_epochs(given: &[(Fork, u64)]) -> Result<[u64; FORKS], String> {
    let mut epochs = all_up_to(FORKS);
    for (fork, epoch) in given {
        epochs[*fork as usize] = *epoch;
    }
    for (earlier, later) in Fork::all().zip(Fork::all().skip(1)) {
        let [before, after] = [epochs[earlier as usize], epochs[later as usize]];
        if before > after {
            return Err(format!(
                "{later} would hold from epoch {after} on, and {earlier} only from {before}"
            ));
        }
    }
    Ok(epochs)
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
        let epochs = first_epochs(&self.fork_epochs).map_err(|why| {
            CliError::other(
                "reading --fork-epochs",
                why,
                "give each fork the epoch of the one before, or a later one",
            )
        })?;
        let genesis = network.unwrap_or(HOODI);
        let step = if genesis[0] == 0 { 1 } else { STEP };
        settings.forks = forks(genesis, step, epochs);
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// The epochs of Deneb, Electra and Fulu, or what is wrong.
    fn check(argument: &str, expected: Result<[u64; 3], &str>) {
        let found = Chain::try_parse_from(["chain", argument]).map_err(|error| error.to_string());
        let found = found.and_then(|chain| first_epochs(&chain.fork_epochs));
        match (found, expected) {
            (Ok([0, 0, 0, 0, later @ ..]), Ok(expected)) => assert_eq!(later, expected, "{argument}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{argument}: {error}"),
            (found, expected) => panic!("{argument}: {found:?}, and not {expected:?}"),
        }
    }

    #[test]
    fn forks_begin_when_they_are_told_to() {
        check("--blobs=0", Ok([0, 0, 0]));
        check("--fork-epochs=fulu=4,electra=2", Ok([0, 2, 4]));
        check("--fork-epochs=deneb=1,electra=1,fulu=1", Ok([1, 1, 1]));
        check("--fork-epochs=electra=2", Err("fulu would hold from epoch 0 on, and electra only from 2"));
        check("--fork-epochs=prague=2", Err("there is no fork `prague`"));
        check("--fork-epochs=fulu", Err("it is not NAME=EPOCH"));
        check("--fork-epochs=fulu=never", Err("`never` is no epoch"));
        check("--fork-epochs=phase0=1", Err("phase0 holds from the first epoch on"));
    }
}
