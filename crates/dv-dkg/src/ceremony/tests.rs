//! Ceremonies that nodes of charon held, from the keys on: what they signed and stored is made again, byte for byte.

#![expect(clippy::disallowed_methods, reason = "a test reads its vectors")]

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use coxswain_dv_crypto::bls::PublicKey;
use coxswain_dv_wire::well_known::Timestamp;
use coxswain_dv_wire::{protocol, sync};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn runs() -> Option<PathBuf> {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let root = std::env::var_os("COXSWAIN_VECTORS").map_or_else(here, PathBuf::from);
    let runs = root.join("charon/runs");
    if !runs.is_dir() {
        println!("skipped: no runs of charon in {}", root.display());
        return None;
    }
    Some(runs)
}

/// The shares in a node's directory, with what the lock says of them.
fn shares(dir: &Path, lock: &Lock) -> Vec<KeyShare> {
    let share = |(place, validator): (usize, &coxswain_dv_types::cluster::DistributedValidator)| {
        let path = dir.join(format!("validator_keys/keystore-{place}.json"));
        let keystore = coxswain_dv_keystore::parse(text(&path).as_bytes()).expect("a keystore");
        let secret = keystore.decrypt(&text(&path.with_extension("txt"))).expect("its password");
        let public = |bytes: &[u8]| PublicKey::from_bytes(bytes).expect("a key");
        KeyShare {
            secret: SecretKey::from_bytes(&*secret).expect("a key"),
            public: public(&validator.public_key),
            public_shares: validator.public_shares.iter().map(|share| public(share)).collect(),
        }
    };
    lock.validators.iter().enumerate().map(share).collect()
}

/// What waits for an answer.
enum Asked {
    Report { leaving: bool },
    Message(Tag),
}

/// Nodes that have made their keys, in memory: everything that one says the others hear, in order.
struct Replay {
    machines: Vec<Ceremony>,
    queue: VecDeque<(usize, Event)>,
    /// Who waits for an answer, and to what.
    tokens: BTreeMap<Token, (usize, Asked)>,
    next: Token,
    outcomes: BTreeMap<usize, Outcome>,
    done: BTreeSet<usize>,
    version: Minor,
}

impl Replay {
    fn token(&mut self, from: usize, asked: Asked) -> Token {
        self.next += 1;
        self.tokens.insert(self.next, (from, asked));
        self.next
    }

    fn report(&mut self, me: usize, (step, leaving): (i64, bool)) {
        let machine = &self.machines[me];
        let report = MsgSync {
            timestamp: Some(Timestamp::default()),
            hash_signature: sync::sign(&machine.key, &machine.definition.definition_hash),
            shutdown: leaving,
            version: self.version.to_string(),
            step,
            nickname: String::new(),
        };
        for to in (0..self.machines.len()).filter(|to| *to != me) {
            let token = self.token(me, Asked::Report { leaving });
            self.queue.push_back((to, Event::Report { from: me, report: report.clone(), token }));
        }
    }

    fn carry_out(&mut self, me: usize, effect: Effect) {
        match effect {
            Effect::Report { step, leaving } => self.report(me, (step, leaving)),
            Effect::AnswerReport { token, answer } => {
                let Some((to, Asked::Report { leaving })) = self.tokens.remove(&token) else {
                    panic!("an answer to no report")
                };
                let event = Event::ReportAnswered { from: me, leaving, error: answer.error };
                self.queue.push_back((to, event));
            }
            Effect::Send { to, protocol, bytes, tag } => {
                let token = self.token(me, Asked::Message(tag));
                self.queue.push_back((to, Event::Message { from: me, protocol: protocol.id, bytes, token }));
                if protocol.id == protocol::PARSIGEX.id {
                    self.queue.push_back((me, Event::Delivered { to, tag, answer: Vec::new() }));
                }
            }
            Effect::Answer { token, bytes } => {
                let Some((to, Asked::Message(tag))) = self.tokens.remove(&token) else {
                    panic!("an answer to no message")
                };
                self.queue.push_back((to, Event::Delivered { to: me, tag, answer: bytes }));
            }
            Effect::Compute(job) => {
                let output = job.run(&mut StdRng::seed_from_u64(7));
                self.queue.push_back((me, Event::Computed(output)));
            }
            Effect::Prepare(outcome) => {
                self.outcomes.insert(me, *outcome);
                self.queue.push_back((me, Event::Prepared(Ok(()))));
            }
            Effect::Commit => self.queue.push_back((me, Event::Stored(Ok(())))),
            Effect::Progress(_) => {}
            Effect::Done => drop(self.done.insert(me)),
            Effect::Failed(failure) => panic!("node {me}: {failure}"),
        }
    }

    fn run(mut self) -> BTreeMap<usize, Outcome> {
        for me in 0..self.machines.len() {
            self.report(me, (1, false));
        }
        for me in 0..self.machines.len() {
            self.queue.push_back((me, Event::Tick));
        }
        while let Some((to, event)) = self.queue.pop_front() {
            for effect in self.machines[to].step(Duration::from_secs(1), event) {
                self.carry_out(to, effect);
            }
        }
        assert_eq!(self.done.len(), self.machines.len(), "all come to the end");
        self.outcomes
    }
}

/// A ceremony of charon's among our machines, with the shares that charon's nodes had made.
#[track_caller]
fn check_run(folder: &Path, version: Minor) {
    let dirs: Vec<PathBuf> =
        (0..).map(|node| folder.join(format!("node{node}"))).take_while(|dir| dir.exists()).collect();
    let lock_text = text(&dirs[0].join("cluster-lock.json"));
    let lock = Lock::parse(lock_text.as_bytes()).expect("a lock");
    let definition =
        Definition::parse(text(&dirs[0].join("cluster-definition.json")).as_bytes()).expect("a definition");
    let networks = Networks::default();
    let network = definition.network(&networks).expect("a known network").clone();
    let keys: Vec<IdentityKey> = dirs
        .iter()
        .map(|dir| IdentityKey::parse(&text(&dir.join("charon-enr-private-key"))).expect("a key"))
        .collect();
    let second = Duration::from_secs(60);
    let machine = |(me, key): (usize, &IdentityKey)| {
        let settings = Settings {
            definition: definition.clone(),
            network: network.clone(),
            networks: networks.clone(),
            key: key.clone(),
            me,
            nodes: keys.iter().map(IdentityKey::public).collect(),
            version,
            broadcast: BroadcastVersion::of(version),
            limits: Limits { connect: second, step: second },
            verify: true,
        };
        let (mut machine, _) = Ceremony::new(settings).expect("numbers that go together");
        machine.keygen = Keygen::Over;
        machine.keys = Some(shares(&dirs[me], &lock).into());
        machine.sync.go_to(1);
        machine.stage = Stage::Keys;
        machine
    };
    let machines = keys.iter().enumerate().map(machine).collect();
    let (queue, tokens) = (VecDeque::new(), BTreeMap::new());
    let (outcomes, done) = (BTreeMap::new(), BTreeSet::new());
    let outcomes = Replay { machines, queue, tokens, next: 0, outcomes, done, version }.run();
    assert_eq!(outcomes.len(), 4);
    for (place, outcome) in outcomes {
        assert_eq!(outcome.lock_text, lock_text, "node {place}: the lock");
        assert!(outcome.deposits.len() >= 2, "node {place}");
        for file in &outcome.deposits {
            assert_eq!(file.text, text(&dirs[place].join(&file.name)), "node {place}: {}", file.name);
        }
    }
}

#[test]
fn real_ceremonies_are_signed_and_stored_again_byte_for_byte() {
    let Some(runs) = runs() else { return };
    let (newer, older) = (Minor { major: 1, minor: 11 }, Minor { major: 1, minor: 10 });
    check_run(&runs.join("dkg-v1.11-n4-frost"), newer);
    check_run(&runs.join("dkg-v1.11-n4-pedersen"), newer);
    check_run(&runs.join("dkg-v1.10-n4-frost"), older);
}
