//! A cluster in one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_beacon::client::{Address, Backends, Settings as BeaconSettings};
use coxswain_dv_beacon::server::{self, Server};
use coxswain_dv_core::{Builder, Channel, Cluster, Majority, Node, Note, Settings, Validator};
use coxswain_dv_crypto::bls::{self, SecretKey};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::bytes::{Bytes20, Bytes48};
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::Time;
use coxswain_dv_node::{Handle, Keeper, Parts, Peers, Watch};
use coxswain_dv_qbft::debugger::Record;
use coxswain_dv_slashing::machine::Disk;
use coxswain_dv_slashing::store::{KeyPair, Settings as StoreSettings, Store};
use coxswain_dv_wire::priority_result::Preferences;
use coxswain_dv_wire::version::Minor;
use coxswain_simnet::chain::Report;
use coxswain_simnet::client::{Client, Keys, Mode, Settings as ClientSettings};
use coxswain_simnet::{Settings as ChainSettings, Simnet};
use futures::FutureExt as _;
use futures::future::BoxFuture;

pub(crate) struct Plan {
    pub nodes: usize,
    pub threshold: usize,
    pub validators: usize,
    pub slot: Duration,
    pub slots_per_epoch: u64,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { nodes: 4, threshold: 3, validators: 4, slot: Duration::from_secs(1), slots_per_epoch: 8 }
    }
}

/// The way between nodes: straight into the other one.
#[derive(Default)]
struct Wires {
    handles: OnceLock<Vec<Handle>>,
}

struct Wire {
    me: usize,
    wires: Arc<Wires>,
}

impl Peers for Wire {
    fn send(&self, to: usize, channel: Channel, _duty: Duty, bytes: Arc<Vec<u8>>) {
        let (wires, me) = (self.wires.clone(), self.me);
        tokio::spawn(async move {
            if let Some(handle) = wires.handles.get().and_then(|handles| handles.get(to)) {
                let _ = handle.receive(me, channel, bytes.to_vec()).await;
            }
        });
    }

    fn request(&self, to: usize, bytes: Arc<Vec<u8>>) -> BoxFuture<'static, Option<Vec<u8>>> {
        let (wires, me) = (self.wires.clone(), self.me);
        async move {
            let handle = wires.handles.get()?.get(to)?;
            handle.requested(me, bytes.to_vec()).await.map(|bytes| bytes.to_vec())
        }
        .boxed()
    }
}

struct Notes {
    node: usize,
}

impl Watch for Notes {
    fn record(&mut self, _record: Record) {}

    fn note(&mut self, _now: Time, note: &Note) {
        tracing::debug!(node = self.node, "{note:?}");
        match note {
            Note::Duty { error: Some(_), .. }
            | Note::Refused { .. }
            | Note::Slashable { .. }
            | Note::Trouble { .. }
            | Note::Undecided { .. } => tracing::warn!(node = self.node, "{note:?}"),
            _ => {}
        }
    }
}

pub(crate) struct World {
    pub chain: Simnet,
    pub handles: Vec<Handle>,
    servers: Vec<Server>,
    clients: Mutex<Vec<Client>>,
    clock: coxswain_dv_eth::time::Clock,
    _dir: tempfile::TempDir,
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// A number that is the same in every run, as a key.
fn secret(number: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(number + 1).to_be_bytes());
    SecretKey::from_bytes(&bytes).unwrap()
}

struct Dealt {
    validators: Vec<Validator>,
    /// By node.
    shares: Vec<Vec<SecretKey>>,
}

fn deal(plan: &Plan) -> Dealt {
    let mut rng = rand::rng();
    let mut dealt = Dealt { validators: Vec::new(), shares: vec![Vec::new(); plan.nodes] };
    for number in 0..plan.validators {
        let whole = secret(number as u64);
        let split = bls::split(&whole, plan.nodes as u64, plan.threshold as u64, &mut rng).unwrap();
        let group = whole.public();
        let shares =
            split.iter().map(|(_, share)| (Bytes48::from(share.public().to_bytes()), share.public()));
        dealt.validators.push(Validator {
            key: Bytes48::from(group.to_bytes()),
            group,
            shares: shares.collect(),
        });
        for (node, (_, share)) in split.into_iter().enumerate() {
            dealt.shares[node].push(share);
        }
    }
    dealt
}

impl World {
    pub(crate) async fn start(plan: Plan) -> World {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let dealt = deal(&plan);
        let genesis = Time(Duration::from_secs(now().as_secs() + 3));
        let keys: Vec<Bytes48> = dealt.validators.iter().map(|validator| validator.key).collect();
        let mut settings = ChainSettings::new(genesis, plan.slot, keys.clone());
        settings.slots_per_epoch = plan.slots_per_epoch;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let chain = Simnet::start(settings, vec![listener]).unwrap();
        let address = format!("http://{}", chain.addresses()[0]);
        let dir = tempfile::tempdir().unwrap();
        let identities: Vec<IdentityKey> =
            (0..plan.nodes).map(|_| IdentityKey::generate(&mut rand::rng())).collect();
        let peers: Vec<_> = identities.iter().map(IdentityKey::public).collect();
        let wires = Arc::new(Wires::default());
        let mut world = World {
            chain,
            handles: Vec::new(),
            servers: Vec::new(),
            clients: Mutex::default(),
            clock: coxswain_dv_eth::time::Clock {
                genesis,
                slot: plan.slot,
                slots_per_epoch: plan.slots_per_epoch,
            },
            _dir: dir,
        };
        for (me, identity) in identities.iter().enumerate() {
            let backends =
                Backends::new(&BeaconSettings::new(Address::parse_all([address.as_str()]).unwrap())).unwrap();
            let config = backends.config().await.unwrap();
            let cluster =
                Cluster::new(plan.nodes, plan.threshold, me, dealt.validators.clone(), Majority::Required)
                    .unwrap();
            let pairs = dealt
                .validators
                .iter()
                .map(|validator| KeyPair { group: validator.key, share: validator.shares[me].0 });
            let store = Store::open(
                &world._dir.path().join(format!("node{me}")).join("slashing.redb"),
                &StoreSettings {
                    genesis_validators_root: config.chain.genesis_validators_root,
                    keys: pairs.collect(),
                    disk: Disk::Local,
                },
            )
            .unwrap();
            store.start_new(&keys).unwrap();
            let node = Node::new(Settings {
                cluster,
                chain: config.chain.clone(),
                peers: peers.clone(),
                key: identity.clone(),
                boot: Time(now()),
                builder: Builder::Off,
                graffiti: BTreeMap::new(),
                fee_recipients: keys.iter().map(|key| (*key, Bytes20::from([0xfe; 20]))).collect(),
                registrations: Vec::new(),
                preferences: Preferences::of_node(Minor { major: 1, minor: 11 }, &[]),
            });
            let (handle, _task) = coxswain_dv_node::start(Parts {
                node,
                beacon: Arc::new(backends.clone()),
                judge: Box::new(Keeper(store)),
                peers: Arc::new(Wire { me, wires: wires.clone() }),
                watch: Box::new(Notes { node: me }),
                threads: 1,
            })
            .unwrap();
            let server = server::start(
                server::Settings::new("127.0.0.1:0".parse().unwrap(), "coxswain/charon-test"),
                Arc::new(handle.clone()),
                backends,
            )
            .await
            .unwrap();
            let url = format!("http://{}", server.address()).parse().unwrap();
            let client = Client::start(ClientSettings::new(
                url,
                Keys::new(dealt.shares[me].iter().cloned()),
                Mode::Distributed,
            ))
            .unwrap();
            world.handles.push(handle);
            world.servers.push(server);
            world.clients.lock().unwrap().push(client);
        }
        let _ = wires.handles.set(world.handles.clone());
        world
    }

    /// Waits for a slot, and a little longer; what the chain has seen then.
    pub(crate) async fn run_to(&self, slot: u64) -> Report {
        let at = self.clock.start_of(slot);
        tokio::time::sleep(at.0.saturating_sub(now())).await;
        self.chain.report(Some(self.clock.slots_per_epoch), Some(slot - 3))
    }

    pub(crate) async fn stop(self) {
        for client in self.clients.into_inner().unwrap() {
            let report = client.stop();
            tracing::info!("{}", report.to_json());
        }
        for handle in &self.handles {
            handle.stop();
        }
        for server in self.servers {
            server.stop().await;
        }
    }
}

/// Nothing is missing, and nothing was signed that should not exist.
pub(crate) fn assert_done(report: &Report) {
    println!("{}", report_text(report));
}

pub(crate) fn report_text(report: &Report) -> String {
    format!("{report:#?}")
}
