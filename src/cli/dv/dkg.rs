//! `dkg`: a key ceremony with the other operators.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coxswain_dv_dkg::ceremony::{Failure, Limits, Outcome, Progress};
use coxswain_dv_slashing::lease::Lockless;
use coxswain_dv_types::causes::in_full;
use coxswain_dv_types::cluster::Definition;
use coxswain_dv_types::network::Networks;
use coxswain_dv_wire::version::Version;

use super::super::error::CliError;
use super::super::render::json;
use super::super::{Cx, Exit, Format, Run};
use super::deliver::{Delivery, Orders, Packing};
use super::logging::LogArgs;
use super::p2p::{P2pArgs, multiaddr};
use super::{NO_KEY_OF_THE_DEFINITION, no_key, servers, settings};
use crate::dv::claimed::Held;
use crate::dv::disk::DiskError;
use crate::dv::dkg::store::{Place, PlaceError, prepare};
use crate::dv::dkg::{self, Dkg, DkgError, Finished, Store, Told};
use crate::dv::keymanager::Keymanager;
use crate::dv::keystores::DIRECTORY;
use crate::dv::obol_api::ObolApi;
use crate::dv::relays::Resolver;
use crate::dv::{LOCK, key};

/// What we report where nobody says anything else.
const VERSION: &str = "v1.11.0";
/// Follows the nodes of charon.
const AUTO: &str = "auto";
/// What `--zipped` makes.
const ARCHIVE: &str = "dkg.tar.gz";
/// The definition's name in a node's directory.
const DEFINITION: &str = "cluster-definition.json";
/// Longest name of a node.
const MAX_NICKNAME: usize = 32;

/// Make the keys of a cluster together with its other operators
#[derive(Debug, clap::Parser)]
#[command(
    name = "dkg",
    mut_arg("p2p_relays", |arg| arg.default_values(super::p2p::CEREMONY_RELAYS)),
    after_help = "Examples:\n  coxswain dv dkg --definition-file cluster-definition.json\n\n\
        All operators run it at the same time, each with the same definition and the key of its own node. No node ever has a \
        whole key. Nothing is put in place before every node has everything; a node that is cut off at that moment keeps \
        its part aside and says so."
)]
pub struct DkgCommand {
    /// Take a threshold of half of the nodes or less: two parts of them can then sign different things, and the
    /// validators are slashed
    #[arg(long)]
    pub allow_low_threshold: bool,
    /// Which version of charon this node says it is; auto follows the other nodes
    #[arg(long, value_name = "VERSION", default_value = AUTO)]
    pub charon_version: String,
    /// How long to wait for the other operators to start
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = super::forms::parse_duration)]
    pub connect_timeout: Duration,
    /// The directory of the node
    #[arg(long, value_name = "DIR", default_value = ".charon")]
    pub data_dir: PathBuf,
    /// The definition of the cluster, as a file or URL
    #[arg(long, value_name = "FILE", default_value = ".charon/cluster-definition.json")]
    pub definition_file: String,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub execution_client_rpc_endpoint: String,
    /// The keymanager to which the keys go in place of files
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    pub keymanager_address: String,
    /// Its token
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub keymanager_auth_token: String,
    /// Logs.
    #[command(flatten)]
    pub log: LogArgs,
    /// What others call this node
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub nickname: String,
    /// Do not check the hashes and signatures of the definition and the new lock
    #[arg(long)]
    pub no_verify: bool,
    /// The network between nodes.
    #[command(flatten)]
    pub p2p: P2pArgs,
    /// Send the lock to the API
    #[arg(long)]
    pub publish: bool,
    /// The API
    #[arg(long, value_name = "URL", default_value = "https://api.obol.tech/v1")]
    pub publish_address: String,
    /// How long that may take
    #[arg(long, value_name = "TIME", default_value = "1m0s", value_parser = super::forms::parse_duration)]
    pub publish_timeout: Duration,
    /// How long to stay for others after the end
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = super::forms::parse_duration)]
    pub shutdown_delay: Duration,
    /// How long each step may take
    #[arg(long, value_name = "TIME", default_value = "2m0s", value_parser = super::forms::parse_duration)]
    pub timeout: Duration,
    /// Pack everything into one archive
    #[arg(long)]
    pub zipped: bool,
}

impl Run for DkgCommand {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        self.check_flags()?;
        self.log.start(cx)?;
        let dir = cx.root.join(&self.data_dir);
        let networks = Networks::default();
        let servers = self.servers()?;
        let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let read = if self.no_verify { servers::definition_unverified } else { servers::definition };
        let definition = read(cx, &self.definition_file, &networks, &contracts)?;
        definition
            .check_ceremony(settings::low_threshold(self.allow_low_threshold))
            .map_err(settings::refused("checking the definition"))?;
        let network = definition
            .network(&networks)
            .map_err(|problem| {
                CliError::other("finding the network of the definition", problem, "use a known network")
            })?
            .clone();
        if self.zipped && dir.join(ARCHIVE).symlink_metadata().is_ok() {
            return Err(DiskError::Exists { path: dir.join(ARCHIVE) }.into());
        }
        servers::reach(cx, &servers.keymanagers)?;
        let place = prepare(&dir, definition.validators.len()).map_err(refused)?;
        let path = dir.join(key::FILE);
        let key = key::load(&path).map_err(|error| no_key(&error, NO_KEY_OF_THE_DEFINITION))?;
        // Ceremonies are held with keys on any disk.
        let held = Held::take(&path, "charon dkg", Lockless::Pass, jiff::Timestamp::now())
            .map_err(|error| CliError::other("claiming the node's key", in_full(&error), error.next()))?;
        let hash = hex::encode(&*definition.definition_hash);
        let resolve = Arc::new(Resolver::new(&hash, &definition.uuid));
        let names = names(&definition);
        let store = Arc::new(Files(Mutex::new(Some(place))));
        let finished = cx.block_on(async {
            let tcp = self.p2p.tcp().await?;
            let dkg = Dkg {
                network,
                networks,
                key,
                version: self.version()?,
                adapts: self.charon_version == AUTO,
                nickname: self.nickname.clone(),
                limits: Limits { connect: self.connect_timeout, step: self.timeout },
                shutdown_delay: self.shutdown_delay,
                verify: !self.no_verify,
                relays: self.p2p.relays()?,
                resolve,
                listen: tcp.iter().map(multiaddr).collect(),
                external: self.p2p.external(&tcp, &[])?,
                definition,
            };
            let told = |told: Told<'_>| tell(cx, &names, &told);
            let ended = held.during(dkg::run(dkg, store, &told, Box::pin(stopped()))).await;
            ended.map_err(|error| explained(error, &names))
        })?;
        let after = After { servers, names, held };
        self.end(cx, &dir, &finished, &after)
    }
}

/// What the time after the ceremony needs.
struct After {
    servers: Servers,
    names: Vec<String>,
    held: Held,
}

/// What is named for the time after the ceremony.
struct Servers {
    /// One or none.
    keymanagers: Vec<Keymanager>,
    api: Option<ObolApi>,
}

impl DkgCommand {
    fn check_flags(&self) -> Result<(), CliError> {
        if self.nickname.len() > MAX_NICKNAME {
            let why = format!("it has {} bytes, and may have {MAX_NICKNAME}", self.nickname.len());
            return Err(CliError::other("reading --nickname", why, "give a shorter one"));
        }
        self.version().map(drop)
    }

    fn servers(&self) -> Result<Servers, CliError> {
        let given = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        let (address, token) = (given(&self.keymanager_address), given(&self.keymanager_auth_token));
        Ok(Servers {
            keymanagers: servers::keymanagers(&address, &token)?,
            api: if self.publish { Some(servers::api(&self.publish_address)?) } else { None },
        })
    }

    /// What comes after the ceremony: everything is on the disk by then.
    fn end(
        &self,
        cx: &Cx,
        dir: &PathBuf,
        finished: &Finished,
        After { servers, names, held }: &After,
    ) -> Result<Exit, CliError> {
        let outcome = &finished.outcome;
        // Where somebody did not say that its keys are in place, nothing leaves: the directory is what there is to go by.
        let is_sure = finished.parting.is_none();
        let orders = Orders {
            keymanagers: if is_sure { &servers.keymanagers } else { &[] },
            publish: servers.api.as_ref().filter(|_| is_sure).map(|api| (api, self.publish_timeout)),
            archive: (self.zipped && is_sure)
                .then(|| Packing { name: ARCHIVE, entries: packed(dir, outcome) }),
            claim: Some(held),
        };
        let delivery = Delivery::carry_out(cx, dir, std::slice::from_ref(dir), &outcome.lock, &orders)?;
        show(cx, finished, &delivery, names);
        let exit = delivery.end(cx)?;
        Ok(if finished.parting.is_some() { Exit::Error } else { exit })
    }

    fn version(&self) -> Result<Version, CliError> {
        let text = if self.charon_version == AUTO { VERSION } else { &self.charon_version };
        Version::parse(text).map_err(|error| {
            CliError::other("reading --charon-version", error, "give auto, or one like v1.10.3")
        })
    }
}

/// What goes into the archive: all that a node needs. The claim to the key stays until the command ends.
fn packed(dir: &Path, outcome: &Outcome) -> Vec<String> {
    let deposits = outcome.deposits.iter().map(|file| file.name.as_str());
    let names = [key::FILE, LOCK, DIRECTORY, DEFINITION].into_iter().chain(deposits);
    names.filter(|name| dir.join(name).exists()).map(str::to_owned).collect()
}

/// What people call the nodes: places, from 0, and the beginning of their records' ids.
fn names(definition: &Definition) -> Vec<String> {
    let records = definition.nodes().unwrap_or_default();
    let one = |(place, record): (usize, &coxswain_dv_types::enr::Enr)| {
        let id = coxswain_dv_wire::peer::PeerId::of(record.public()).to_string();
        format!("node {place} ({}…)", id.chars().take(14).collect::<String>())
    };
    records.iter().enumerate().map(one).collect()
}

fn listed(names: &[String], places: &[usize]) -> String {
    let one = |place: &usize| names.get(*place).cloned().unwrap_or_else(|| format!("node {place}"));
    places.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn tell(cx: &Cx, names: &[String], told: &Told<'_>) {
    let line = match told {
        Told::Relays(_) => "a relay is found".to_owned(),
        Told::Progress(Progress::Connecting(missing)) if missing.is_empty() => {
            "all nodes are connected".to_owned()
        }
        Told::Progress(Progress::Connecting(missing)) => format!("waiting for {}", listed(names, missing)),
        Told::Progress(Progress::Step(name)) => (*name).to_owned(),
        Told::Progress(Progress::Waiting(_)) => return,
        Told::Progress(Progress::Refused { place, messages }) => format!(
            "{} sends more than may wait here; passed over so far: {messages} messages",
            listed(names, &[*place])
        ),
    };
    cx.terminal.err(&format!("{line}\n"));
}

/// Where things have gone, in lines.
fn delivered(delivery: &Delivery) -> String {
    let mut text = String::new();
    for node in &delivery.keymanagers {
        text += &format!(
            "{} keys are in the keymanager {} and not in the directory\n",
            node.imported, node.keymanager
        );
    }
    if let Some(page) = &delivery.page {
        text += &format!("Published  {page}\n");
    }
    if let Some(archive) = &delivery.archive {
        text += &format!("Packed into {}, and removed from the directory\n", archive.display());
    }
    text
}

/// The node's directory, as long as nothing is in its place.
struct Files(Mutex<Option<Place>>);

impl Files {
    fn place(&self) -> std::sync::MutexGuard<'_, Option<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Files {
    fn prepare(&self, outcome: &Outcome) -> Result<(), String> {
        let mut place = self.place();
        let place = place.as_mut().ok_or("it was stored already")?;
        place.write(outcome).map_err(|error| in_full(&error))
    }

    fn commit(&self) -> Result<(), String> {
        let place = self.place().take().ok_or("it was stored already")?;
        place.commit().map_err(|(error, whole)| {
            let kept = match whole.exists() {
                true => format!("; all keys of this node are in {}: keep it", whole.display()),
                false => String::new(),
            };
            format!("{}{kept}", in_full(&error))
        })
    }

    fn keep(&self) -> Option<PathBuf> {
        self.place().take().map(Place::keep)
    }
}

/// Ctrl-C, and what service managers send.
async fn stopped() {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        // Without a signal handler, the signal ends the process anyway.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn refused(error: PlaceError) -> CliError {
    let next = match &error {
        PlaceError::Missing(_) => {
            "make it with `coxswain dv create enr`, or name another one with --data-dir"
        }
        PlaceError::NoKey(_) => {
            "name the node's directory with --data-dir, or make a key: coxswain dv create enr"
        }
        PlaceError::Taken(_) => "a ceremony needs a directory without keys: nothing there is ever replaced",
        PlaceError::Look { .. } => "check the directory, its owner and its mode",
        PlaceError::Write(error) => error.next(),
        PlaceError::Full { .. } => "make room, or name another directory with --data-dir",
        PlaceError::Unsure(_) => {
            "ask the other operators: where one of them has a lock, move what is there into the node's directory, which \
             completes the cluster; where none has, remove it"
        }
        PlaceError::Finished(_) => "look at them: this node has its keys; no new ceremony is needed",
    };
    CliError::other("looking for a place for the keys", in_full(&error), next)
}

/// Places in a text: what a peer gives as its reason speaks of others.
fn mentioned(text: &str) -> Vec<usize> {
    let after = text.split("node ").skip(1);
    after.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

fn explained(error: DkgError, names: &[String]) -> CliError {
    let mut places = match &error {
        DkgError::Ceremony(failure) | DkgError::RelayLost(failure) => failure.places(),
        DkgError::Missing { missing, .. } | DkgError::Alone { missing, .. } => missing.clone(),
        _ => Vec::new(),
    };
    let why = in_full(&error);
    for place in mentioned(&why) {
        if place < names.len() && !places.contains(&place) {
            places.push(place);
        }
    }
    let whom = match places.as_slice() {
        [] => String::new(),
        places => format!(" [{}]", listed(names, places)),
    };
    let next = match &error {
        DkgError::Unsure { .. } => {
            "ask the other operators: where one of them has keys with a lock, move what is kept into the node's \
             directory, which completes the cluster; where none has, remove it and begin again together"
        }
        DkgError::NoRelay(_) => "check the network and --p2p-relays, and that the relay runs",
        DkgError::Alone { .. } => {
            "see that the relay runs and takes this node, name several with --p2p-relays, and begin again together"
        }
        DkgError::Network(_) => "check --p2p-tcp-address, and whether another program listens there",
        DkgError::Stranger => "use the key whose record is in the definition",
        DkgError::Versions { .. } => "bring all nodes to one version of charon, or coxswain, and begin again",
        DkgError::Missing { .. } => "agree on a time with the other operators, and begin again together",
        DkgError::Ceremony(Failure::Store(_)) | DkgError::RelayLost(Failure::Store(_)) => {
            "this node has no keys, and the others may have theirs: let nobody deposit; mend the directory, and let all \
             operators begin again together in clean directories"
        }
        DkgError::RelayLost(_) => {
            "nothing was written; see that the relay runs, name several with --p2p-relays, and begin again together"
        }
        DkgError::Stopped => "all operators begin again together; nothing was written",
        _ => "nothing was written; settle it with the other operators, and begin again together",
    };
    CliError::other("making keys together", format!("{why}{whom}"), next)
}

fn show(cx: &Cx, finished: &Finished, delivery: &Delivery, names: &[String]) {
    let lock = &finished.outcome.lock;
    let hash = format!("0x{}", hex::encode(&*lock.lock_hash));
    if let Some(failure) = &finished.parting {
        let whom = listed(names, &failure.places());
        cx.terminal.err(&format!(
            "warning: the keys are in place, and saying goodbye failed: {failure} [{whom}]; nothing was sent, published or packed; \
             do not deposit before every operator has confirmed the same lock hash\n"
        ));
    }
    cx.terminal.out(&match cx.format {
        Format::Json => json::pretty(&serde_json::json!({
            "document": "coxswain.dv_dkg", "format": 1, "lock_hash": hash,
            "threshold": lock.definition.threshold, "delivery": delivery.as_json(),
            "deposit_files": finished.outcome.deposits.iter().map(|file| &file.name).collect::<Vec<_>>(),
            "validators": lock.validators.iter().map(|v| format!("0x{}", hex::encode(&*v.public_key))).collect::<Vec<_>>(),
        })),
        Format::Text => format!(
            "This node has its shares of {} validators. Lock hash  {hash}\n{}\nKeep a copy of the whole directory in a safe \
             place, and never run two nodes with it.\n",
            lock.validators.len(),
            delivered(delivery)
        ),
    });
}
