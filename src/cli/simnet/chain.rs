//! `simnet chain`: a simulated beacon chain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::fork::Fork;
use coxswain_dv_eth::time::Time;
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::Lock;
use coxswain_simnet::chain::{
    Builder, LONGEST_SLOT, MAX_BLOBS, MAX_SLOTS_PER_EPOCH, MIN_SLOTS_PER_EPOCH, Report, SHORTEST_SLOT,
    all_up_to, forks,
};
use coxswain_simnet::{Settings, Simnet};
use serde_json::json;
use tokio::net::TcpListener;

use super::super::dv::forms::parse_duration;
use super::super::error::CliError;
use super::super::render::json::pretty;
use super::super::{Cx, Exit, Format, Run};

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
    after_help = "Examples:\n  coxswain simnet chain --lock-file node0/cluster-lock.json --slot-duration 6s\n  \
        curl -d '{\"kind\":\"miss\",\"slots\":[12]}' http://127.0.0.1:5052/simnet/fault\n\n\
        Its validators are those of the cluster locks. It verifies every signature, says what was missed or could be slashed \
        at /simnet/report, and does what is sent to /simnet/fault: reorg, miss, orphan, endpoint (late answers, errors), syncing, \
        wrong_head, skew (of a clock), exit, clear; docs/dv-node.md has an example of each. Ctrl-C ends it with a report."
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
    /// How long a slot is, from 200ms to 24h
    #[arg(long, value_name = "TIME", default_value = "12s", value_parser = slot_duration)]
    slot_duration: Duration,
    /// Slots of an epoch, from 2 to 64
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = slots_per_epoch)]
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
    /// Blobs of each block, at most 9
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = blobs)]
    blobs: usize,
    /// Offer blocks of builders
    #[arg(long)]
    builder: bool,
    /// From which epoch a fork holds, as NAME=EPOCH, like electra=2,fulu=4; the others
    /// hold from the first epoch on
    #[arg(long, value_name = "NAME=EPOCH", value_delimiter = ',', value_parser = fork_epoch)]
    fork_epochs: Vec<(Fork, u64)>,
}

fn slot_duration(text: &str) -> Result<Duration, String> {
    let slot = parse_duration(text)?;
    if (SHORTEST_SLOT..=LONGEST_SLOT).contains(&slot) {
        Ok(slot)
    } else {
        Err(format!("a slot has from {SHORTEST_SLOT:?} to {}h", LONGEST_SLOT.as_secs() / 3600))
    }
}

fn slots_per_epoch(text: &str) -> Result<u64, String> {
    let given = text.parse().ok().filter(|slots| (MIN_SLOTS_PER_EPOCH..=MAX_SLOTS_PER_EPOCH).contains(slots));
    given.ok_or_else(|| format!("an epoch has from {MIN_SLOTS_PER_EPOCH} to {MAX_SLOTS_PER_EPOCH} slots"))
}

fn blobs(text: &str) -> Result<usize, String> {
    let given = text.parse().ok().filter(|blobs| *blobs <= MAX_BLOBS);
    given.ok_or_else(|| format!("a block has from 0 to {MAX_BLOBS} blobs"))
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

/// What is said when the chain is served.
fn ready(format: Format, (validators, genesis): (usize, Time), addresses: &[SocketAddr]) -> String {
    let urls: Vec<String> = addresses.iter().map(|address| format!("http://{address}")).collect();
    match format {
        Format::Json => {
            let line = json!({
                "event": "ready", "validators": validators, "genesis_time": genesis.0.as_secs(), "beacon_nodes": urls,
            });
            format!("{line}\n")
        }
        Format::Text => format!("{validators} validators, genesis at {genesis}: {}\n", urls.join(" ")),
    }
}

/// What is said at the end.
fn ended(format: Format, report: &Report) -> String {
    match format {
        Format::Json => format!("{}\n", json!({ "event": "ended", "duties": report.duties })),
        Format::Text => pretty(&json!(report.duties)),
    }
}

impl Run for Chain {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let settings = self.settings(cx)?;
        let begun = (settings.validators.len(), settings.genesis);
        cx.block_on(async {
            // Before anything else: whoever starts this may end it at any moment.
            let stopped = super::super::dv::stopped()?;
            let mut listeners = Vec::new();
            for address in &self.listen {
                listeners.push(TcpListener::bind(address).await.map_err(|error| {
                    let next = "choose another --listen, or end what listens there";
                    CliError::other(format!("listening on {address}"), error, next)
                })?);
            }
            let simnet = Simnet::start(settings, listeners).map_err(|error| {
                let next =
                    "correct the value: --lock-file and --key name the validators, --help says the rest";
                CliError::other("starting the chain", in_full(&error), next)
            })?;
            cx.terminal.out(&ready(cx.format, begun, simnet.addresses()));
            stopped.await;
            cx.terminal.out(&ended(cx.format, &simnet.report(None, None)));
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

    /// What is given, for which flag, and what may be.
    #[test]
    fn values_outside_their_range_are_refused_with_it() {
        let refused = |argument: &str, expected: &str| {
            let error = Chain::try_parse_from(["chain", argument]).expect_err(argument).to_string();
            let (flag, given) = argument.split_once('=').expect("a flag and a value");
            for part in [flag, given, expected] {
                assert!(error.contains(part), "{argument}: {part:?} is not in {error}");
            }
        };
        for given in ["0s", "199ms", "24h1s"] {
            refused(&format!("--slot-duration={given}"), "a slot has from 200ms to 24h");
        }
        refused("--slot-duration=long", "write a length of time");
        for given in ["0", "1", "65", "-1", "x"] {
            refused(&format!("--slots-per-epoch={given}"), "an epoch has from 2 to 64 slots");
        }
        refused("--blobs=10", "a block has from 0 to 9 blobs");
        for taken in ["--slot-duration=200ms", "--slot-duration=24h", "--slots-per-epoch=2", "--blobs=9"] {
            Chain::try_parse_from(["chain", taken]).expect(taken);
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
