//! A whole node, alone in its cluster, on a simulated chain: what it tells of the chain is what the chain has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_beacon::client::{self, Backends, Events, News};
use coxswain_dv_beacon::server;
use coxswain_dv_core::{Builder, Channel, Cluster, Fate, Features, Majority, Node, Note, Validator};
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::beacon::{Answer, Call};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::protect::{Request, Signer, Verdict};
use coxswain_dv_eth::time::Time;
use coxswain_dv_node::{Handle, Judge, Parts, Peers, Watch};
use coxswain_dv_qbft::debugger::Record;
use coxswain_dv_wire::priority_result::Preferences;
use coxswain_dv_wire::version::Version;
use coxswain_simnet::chain::{BlockId, Fault};
use coxswain_simnet::client::{self as validator, Client, Keys, Mode};
use coxswain_simnet::{Settings as ChainSettings, Simnet};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const SLOTS_PER_EPOCH: u64 = 4;
/// Validators of the cluster, and those that the chain plays.
const VALIDATORS: u8 = 6;
const OTHERS: usize = 6;
/// How long anything is waited for, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything may be signed: what this test is about comes later.
struct Lenient;

impl Judge for Lenient {
    fn judge(&mut self, _: Signer, requests: &[Request], _: u64, _: u64) -> Result<Vec<Verdict>, String> {
        Ok(requests.iter().map(|_| Verdict::Recorded).collect())
    }
}

struct Nobody;

impl Peers for Nobody {
    fn send(&self, _: usize, _: Channel, _: Duty, _: Arc<Vec<u8>>) {}

    fn request(&self, _: usize, _: Arc<Vec<u8>>) -> BoxFuture<'static, Option<Vec<u8>>> {
        async { None }.boxed()
    }
}

struct Listener(mpsc::UnboundedSender<Note>);

impl Watch for Listener {
    fn note(&mut self, _: Time, note: &Note) {
        // The test is over where nobody listens.
        let _ = self.0.send(note.clone());
    }

    fn record(&mut self, _: Record) {}
}

fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970"))
}

async fn bring(mut events: Events, handle: Handle) {
    loop {
        if let News::Chain(event) = events.next().await.news
            && handle.chain(event).await.is_err()
        {
            return;
        }
    }
}

/// What runs until it is dropped.
struct World {
    chain: Simnet,
    backends: Backends,
    notes: mpsc::UnboundedReceiver<Note>,
    keys: Vec<Bytes48>,
    handle: Handle,
    _client: Client,
    _server: server::Server,
}

async fn world() -> World {
    let secrets: Vec<SecretKey> =
        (1..=VALIDATORS).map(|number| SecretKey::from_bytes(&[number; 32]).expect("a key")).collect();
    let keys: Vec<Bytes48> = secrets.iter().map(|secret| secret.public().to_bytes().into()).collect();
    // The last two moments of it are for those who connect.
    let genesis = Time::from_secs(now().0.as_secs() + 2);
    let mut settings = ChainSettings::new(genesis, Duration::from_secs(1), keys.clone());
    (settings.slots_per_epoch, settings.committees_per_slot) = (SLOTS_PER_EPOCH, 2);
    settings.others = OTHERS;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let chain = Simnet::start(settings, vec![listener]).expect("a chain");
    let address = format!("http://{}", chain.addresses()[0]);
    let addresses = client::Address::parse_all([address.as_str()]).expect("an address");
    let backends = Backends::new(&client::Settings::new(addresses)).expect("beacon nodes");

    let share = |secret: &SecretKey| (Bytes48::from(secret.public().to_bytes()), secret.public());
    let group = |secret: &SecretKey| {
        let (key, group) = share(secret);
        Validator { key, group, shares: vec![(key, group)] }
    };
    let validators = secrets.iter().map(group).collect();
    let key = IdentityKey::from_bytes(&[7; 32]).expect("a key");
    let node = Node::new(coxswain_dv_core::Settings {
        cluster: Cluster::new(1, 1, 0, validators, Majority::Required).expect("a cluster"),
        chain: chain.with(|chain, _| chain.spec().clone()),
        peers: vec![key.public()],
        key,
        boot: now(),
        builder: Builder::Off,
        graffiti: BTreeMap::new(),
        fee_recipients: BTreeMap::new(),
        registrations: Vec::new(),
        preferences: Preferences::of_node(Version::parse("v1.11.0").expect("a version").minor(), &[]),
        features: Features::STANDARD,
    });
    let (told, notes) = mpsc::unbounded_channel();
    let (handle, _) = coxswain_dv_node::start(Parts {
        node,
        beacon: Arc::new(backends.clone()),
        judge: Box::new(Lenient),
        peers: Arc::new(Nobody),
        watch: Box::new(Listener(told)),
        threads: 1,
    })
    .expect("threads");
    tokio::spawn(bring(backends.events(), handle.clone()));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = server::Settings::new(address, "coxswain/v1.11.0 (charon)");
    let server = server::start(settings, Arc::new(handle.clone()), backends.clone()).await.expect("a server");
    let url = format!("http://{}", server.address()).parse().expect("a URL");
    let client = validator::Settings::new(url, Keys::new(secrets), Mode::Distributed);
    let client = Client::start(client).expect("a client");
    World { chain, backends, notes, keys, handle, _client: client, _server: server }
}

impl World {
    fn index_of(&self, key: &Bytes48) -> u64 {
        self.keys.iter().position(|one| one == key).expect("a validator of the cluster") as u64
    }

    /// Whether a fate is what the chain says.
    fn check(&self, duty: Duty, key: &Bytes48, fate: Fate) {
        let index = self.index_of(key);
        let has = |slot: u64, is_so: &dyn Fn(&coxswain_simnet::chain::Entry) -> bool| {
            self.chain.with(|chain, _| chain.block(BlockId::Slot(slot)).is_some_and(is_so))
        };
        match (duty.kind, fate) {
            (DutyType::Proposer, Fate::Included { distance: 0 }) => {
                assert!(has(duty.slot, &|entry| entry.proposer == index), "{duty}: {fate:?}");
            }
            (DutyType::Proposer, Fate::Missed) => {
                assert!(!has(duty.slot, &|entry| entry.proposer == index), "{duty}: {fate:?}");
            }
            (DutyType::Attester, Fate::Included { distance }) => {
                let vote = (index, duty.slot);
                let block = duty.slot + distance;
                assert!(has(block, &|entry| entry.votes.contains(&vote)), "{duty} of {index}: {fate:?}");
            }
            (DutyType::Aggregator, Fate::Included { distance }) => assert!(distance > 0),
            (DutyType::Attester, Fate::Missed) => {
                let vote = (index, duty.slot);
                // Until the end of the next epoch.
                let mut window = duty.slot + 1..(duty.slot / SLOTS_PER_EPOCH + 2) * SLOTS_PER_EPOCH;
                let is_there = window.any(|slot| has(slot, &|entry| entry.votes.contains(&vote)));
                assert!(!is_there, "{duty} of {index}: {fate:?}");
            }
            // The votes in it may be others' in the end.
            (DutyType::Aggregator, Fate::Missed) => {}
            (_, other) => panic!("{duty} of {index}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_told_of_the_chain_is_what_the_chain_has() {
    let mut world = world().await;
    // Blocks of every other slot are taken and never become part of the chain.
    let slots = (0..PATIENCE.as_secs()).map(|slot| 2 * slot).collect();
    world.chain.with(|chain, asked| chain.fault(asked, Fault::Orphan { slots })).expect("it can be");
    let wanted = [
        (DutyType::Proposer, true),
        (DutyType::Proposer, false),
        (DutyType::Attester, true),
        (DutyType::Aggregator, true),
    ];
    let mut seen = BTreeSet::new();
    let all = async {
        while !wanted.iter().all(|one| seen.contains(one)) {
            let note = world.notes.recv().await.expect("the node runs");
            if let Note::Inclusion { duty, key, fate } = note {
                world.check(duty, &key, fate);
                seen.insert((duty.kind, matches!(fate, Fate::Included { .. })));
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, all).await;
    assert!(outcome.is_ok(), "only this was told: {seen:?}");
    // One block of a slot is read once, and committees of a slot.
    let calls = world.backends.metrics().calls;
    let slot = world.chain.with(|chain, asked| chain.spec().clock.slot_at(asked.now)).expect("after genesis");
    let slots = slot + 1;
    for endpoint in ["signed_beacon_block", "beacon_committees"] {
        let answers = calls[endpoint].requests - calls[endpoint].errors;
        assert!((1..=slots).contains(&answers), "{endpoint}: {answers} in {slots} slots");
    }
    world.handle.stop();
}

/// Blocks come as SSZ and as JSON, and say the same.
#[tokio::test]
async fn blocks_of_the_chain_are_the_same_in_both_encodings() {
    let world = world().await;
    let address = format!("http://{}", world.chain.addresses()[0]);
    let addresses = client::Address::parse_all([address.as_str()]).expect("an address");
    let encoding = client::Encoding::JsonOnly;
    let json = Backends::new(&client::Settings { encoding, ..client::Settings::new(addresses) });
    let json = json.expect("beacon nodes");
    let mut events = world.backends.events();
    let head = async {
        loop {
            if let News::Chain(coxswain_dv_eth::beacon::ChainEvent::Head { slot, block }) =
                events.next().await.news
                && slot > 1
            {
                return (slot, block);
            }
        }
    };
    let (slot, root) = tokio::time::timeout(PATIENCE, head).await.expect("a head");
    let (one, other) =
        tokio::join!(json.call(Call::Block { slot }), world.backends.call(Call::Block { slot }));
    let (Ok(Answer::Block(Some(one))), Ok(Answer::Block(Some(other)))) = (one, other) else {
        panic!("slot {slot} has a block")
    };
    assert_eq!(one, other);
    assert_eq!((one.slot, one.root), (slot, root));
    let epoch = slot / SLOTS_PER_EPOCH;
    let sizes = world.backends.call(Call::Committees { slot, epoch }).await;
    let text = slot.to_string();
    let truth = world.chain.with(|chain, _| chain.committees_document(epoch)).expect("a known epoch");
    let rows = truth.as_array().expect("rows").iter().filter(|row| row["slot"] == *text);
    let truth: Vec<u64> =
        rows.map(|row| row["validators"].as_array().expect("members").len() as u64).collect();
    assert_eq!(sizes, Ok(Answer::Committees(truth)));
    world.handle.stop();
}
