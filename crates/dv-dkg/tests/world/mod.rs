//! Whole ceremonies in memory: nodes whose messages arrive in an order that a seed decides.

#![expect(unreachable_pub, reason = "a test includes it")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic};
use coxswain_dv_dkg::ceremony::{
    Ceremony, Effect, Event, Failure, Job, Limits, Outcome, Output, Settings, Tag,
};
use coxswain_dv_types::cluster::{
    Creator, Definition, LowThreshold, NewDefinition, Operator, ValidatorAddresses, Version,
    default_threshold,
};
use coxswain_dv_types::deposit::Rewards;
use coxswain_dv_types::enr;
use coxswain_dv_types::network::{Network, Networks};
use coxswain_dv_wire::broadcast::BroadcastVersion;
use coxswain_dv_wire::protocol;
use coxswain_dv_wire::sync::{self, MsgSync};
use coxswain_dv_wire::version::Minor;
use coxswain_dv_wire::well_known::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use zeroize::Zeroizing;

pub const VERSION: Minor = Minor { major: 1, minor: 11 };
pub const LIMITS: Limits = Limits { connect: Duration::from_secs(60), step: Duration::from_secs(10) };
/// How long a message takes at most.
const SLOWEST_MS: u64 = 300;
/// How long nodes that have failed go on to report.
const TELLING: Duration = Duration::from_secs(2);
/// How often nodes report.
const REPORT: Duration = Duration::from_millis(100);

pub fn keys(count: usize) -> Vec<IdentityKey> {
    (1..=count).map(|byte| IdentityKey::from_bytes(&[byte as u8; 32]).expect("a key")).collect()
}

pub fn hoodi() -> Network {
    Networks::default().named("hoodi").expect("known").clone()
}

pub fn definition(version: &'static Version, keys: &[IdentityKey], validators: usize) -> Definition {
    make(version, "default", keys, validators)
}

pub fn definition_by(algorithm: &str, keys: &[IdentityKey], validators: usize) -> Definition {
    make(Version::newest(), algorithm, keys, validators)
}

fn make(version: &'static Version, algorithm: &str, keys: &[IdentityKey], validators: usize) -> Definition {
    let address = "0x388C818CA8B9251b393131C08a736A67ccB19297";
    let operator =
        |key: &IdentityKey| Operator { enr: enr::record(key).text().to_owned(), ..Operator::default() };
    let from = NewDefinition {
        name: "a test".into(),
        uuid: "0194FDC2-FA2F-FCC0-41D3-FF12045B73C8".into(),
        timestamp: "2026-11-27T00:00:00Z".into(),
        version,
        creator: Creator::default(),
        operators: keys.iter().map(operator).collect(),
        threshold: Some(default_threshold(keys.len())),
        validators: vec![
            ValidatorAddresses { fee_recipient: address.into(), withdrawal: address.into() };
            validators
        ],
        dkg_algorithm: algorithm.into(),
        deposit_amounts: Vec::new(),
        consensus_protocol: String::new(),
        target_gas_limit: if version.has_gas_limit { 60_000_000 } else { 0 },
        rewards: Rewards::PaidOut,
    };
    Definition::new(from, &hoodi(), LowThreshold::Refuse).expect("a definition")
}

/// How a ceremony ended on a node.
#[derive(Debug)]
pub enum End {
    Done(Box<Outcome>),
    Failed(Failure),
}

/// What somebody in the middle does with a message.
pub enum Fate {
    Arrives,
    Lost,
    Becomes(Vec<u8>),
}

/// A message of the ceremony, seen from the middle.
pub struct Seen<'a> {
    pub from: usize,
    pub to: usize,
    pub protocol: &'static str,
    pub bytes: &'a [u8],
}

/// A message that was sent: from whom, to whom, over what.
pub type Sent = (usize, usize, &'static str, Vec<u8>);

struct Node {
    machine: Ceremony,
    key: IdentityKey,
    report: (i64, bool),
    outcome: Option<Box<Outcome>>,
    /// Whether its files are in their place.
    is_stored: bool,
    end: Option<End>,
    ended_at: Duration,
    is_gone: bool,
    next_report: Duration,
}

/// Something on its way.
enum Flying {
    Report { from: usize, to: usize, step: i64, leaving: bool },
    ReportAnswer { from: usize, to: usize, leaving: bool, error: String },
    Message { from: usize, to: usize, protocol: &'static str, bytes: Zeroizing<Vec<u8>>, tag: Tag },
    Answer { from: usize, to: usize, tag: Tag, bytes: Vec<u8> },
    Undelivered { from: usize, to: usize, tag: Tag },
}

/// See the module.
pub struct World<'h> {
    nodes: Vec<Node>,
    now: Duration,
    rng: StdRng,
    /// By the time of arrival, then by number.
    flying: BTreeMap<(Duration, u64), Flying>,
    count: u64,
    /// Whom a token of a node belongs to.
    tokens: BTreeMap<(usize, u64), Waiting>,
    ceremony: Vec<u8>,
    /// Every message that was sent.
    pub wire: Vec<Sent>,
    pub middle: Box<dyn FnMut(&Seen<'_>) -> Fate + 'h>,
    /// A node that goes away when it sends its n-th message.
    pub leaves: Option<(usize, usize)>,
    sent: Vec<usize>,
    pub versions: Vec<Minor>,
    /// A node that cannot write.
    pub full_disk: Option<usize>,
    /// What happens to a node that puts its files in place.
    pub storing: Option<(usize, Storing)>,
}

/// Trouble in the last step.
#[derive(Clone, Copy)]
pub enum Storing {
    /// It goes away before it has.
    Dies,
    /// It goes away when it has, and has told nobody.
    DiesAfter,
    /// It cannot.
    Fails,
}

/// What a node is left with.
#[derive(Debug)]
pub struct Left {
    pub end: Option<End>,
    /// Whether its files are in their place.
    pub is_stored: bool,
    /// Whether what it has prepared is kept, since others may have theirs in place.
    pub is_kept: bool,
}

enum Waiting {
    Report { from: usize, leaving: bool },
    Message { from: usize, tag: Tag },
}

impl<'h> World<'h> {
    pub fn new(seed: u64, definition: &Definition, keys: &[IdentityKey]) -> World<'h> {
        Self::mixed(seed, &vec![definition.clone(); keys.len()], keys)
    }

    /// Where every node has a definition of its own.
    pub fn mixed(seed: u64, definitions: &[Definition], keys: &[IdentityKey]) -> World<'h> {
        Self::make(seed, definitions, keys, &mut |_, job, rng| job.run(rng))
    }

    /// Where nodes deal what somebody has dealt before.
    pub fn dealing(
        seed: u64,
        definition: &Definition,
        keys: &[IdentityKey],
        deal: &mut dyn FnMut(usize, Job) -> Output,
    ) -> World<'h> {
        Self::make(seed, &vec![definition.clone(); keys.len()], keys, &mut |me, job, _| deal(me, job))
    }

    /// The first job of every node is done so.
    fn make(
        seed: u64,
        definitions: &[Definition],
        keys: &[IdentityKey],
        first: &mut dyn FnMut(usize, Job, &mut StdRng) -> Output,
    ) -> World<'h> {
        let publics: Vec<IdentityPublic> = keys.iter().map(IdentityKey::public).collect();
        let mut world = World {
            nodes: Vec::new(),
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            flying: BTreeMap::new(),
            count: 0,
            tokens: BTreeMap::new(),
            ceremony: definitions[0].definition_hash.to_vec(),
            wire: Vec::new(),
            middle: Box::new(|_| Fate::Arrives),
            leaves: None,
            sent: vec![0; keys.len()],
            versions: vec![VERSION; keys.len()],
            full_disk: None,
            storing: None,
        };
        for (me, (key, definition)) in keys.iter().zip(definitions).enumerate() {
            let settings = Settings {
                definition: definition.clone(),
                network: hoodi(),
                networks: Networks::default(),
                key: key.clone(),
                me,
                nodes: publics.clone(),
                version: VERSION,
                broadcast: BroadcastVersion::of(VERSION),
                limits: LIMITS,
                verify: true,
            };
            let (mut machine, effects) = Ceremony::new(settings).expect("numbers that go together");
            let mut then = Vec::new();
            for effect in effects {
                match effect {
                    Effect::Compute(job) => {
                        let output = first(me, job, &mut world.rng);
                        then.append(&mut machine.step(Duration::ZERO, Event::Computed(output)));
                    }
                    other => then.push(other),
                }
            }
            let next_report = Duration::from_millis(world.rng.random_range(0..SLOWEST_MS));
            let key = key.clone();
            let report = (0, false);
            world.nodes.push(Node {
                machine,
                key,
                report,
                outcome: None,
                is_stored: false,
                end: None,
                ended_at: Duration::ZERO,
                is_gone: false,
                next_report,
            });
            world.carry_out(me, then);
        }
        world
    }

    fn fly(&mut self, what: Flying) {
        let after = Duration::from_millis(self.rng.random_range(1..=SLOWEST_MS));
        self.count += 1;
        self.flying.insert((self.now + after, self.count), what);
    }

    fn carry_out(&mut self, me: usize, effects: Vec<Effect>) {
        let mut effects: VecDeque<Effect> = effects.into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Report { step, leaving } => self.nodes[me].report = (step, leaving),
                Effect::AnswerReport { token, answer } => {
                    let Some(Waiting::Report { from, leaving }) = self.tokens.remove(&(me, token)) else {
                        continue;
                    };
                    self.fly(Flying::ReportAnswer { from: me, to: from, leaving, error: answer.error });
                }
                Effect::Answer { token, bytes } => {
                    let Some(Waiting::Message { from, tag }) = self.tokens.remove(&(me, token)) else {
                        continue;
                    };
                    self.fly(Flying::Answer { from: me, to: from, tag, bytes });
                }
                Effect::Send { to, protocol, bytes, tag } => self.send(me, to, protocol.id, bytes, tag),
                Effect::Compute(job) => {
                    let output = job.run(&mut self.rng);
                    let now = self.now;
                    effects.extend(self.nodes[me].machine.step(now, Event::Computed(output)));
                }
                Effect::Prepare(outcome) => {
                    self.nodes[me].outcome = Some(outcome);
                    let result = match self.full_disk == Some(me) {
                        true => Err("no space left".to_owned()),
                        false => Ok(()),
                    };
                    let now = self.now;
                    effects.extend(self.nodes[me].machine.step(now, Event::Prepared(result)));
                }
                Effect::Commit => effects.extend(self.store(me)),
                Effect::Progress(_) => {}
                Effect::Done => {
                    let outcome = self.nodes[me].outcome.take().expect("stored before it is done");
                    self.nodes[me].end = Some(End::Done(outcome));
                }
                Effect::Failed(failure) => {
                    self.nodes[me].end = Some(End::Failed(failure));
                    self.nodes[me].ended_at = self.now;
                }
            }
        }
    }

    fn store(&mut self, me: usize) -> Vec<Effect> {
        let trouble = self.storing.filter(|(node, _)| *node == me).map(|(_, trouble)| trouble);
        self.nodes[me].is_gone |= matches!(trouble, Some(Storing::Dies | Storing::DiesAfter));
        self.nodes[me].is_stored = matches!(trouble, None | Some(Storing::DiesAfter));
        let result = match trouble {
            Some(Storing::Dies | Storing::DiesAfter) => return Vec::new(),
            Some(Storing::Fails) => Err("something is there already".to_owned()),
            None => Ok(()),
        };
        self.nodes[me].machine.step(self.now, Event::Stored(result))
    }

    fn send(&mut self, me: usize, to: usize, protocol: &'static str, bytes: Zeroizing<Vec<u8>>, tag: Tag) {
        self.sent[me] += 1;
        if self.leaves == Some((me, self.sent[me])) {
            self.nodes[me].is_gone = true;
        }
        if self.nodes[me].is_gone {
            return;
        }
        self.wire.push((me, to, protocol, bytes.to_vec()));
        let fate = (self.middle)(&Seen { from: me, to, protocol, bytes: &bytes });
        match fate {
            Fate::Arrives => self.fly(Flying::Message { from: me, to, protocol, bytes, tag }),
            Fate::Becomes(other) => {
                self.fly(Flying::Message { from: me, to, protocol, bytes: other.into(), tag });
            }
            Fate::Lost => {}
        }
    }

    fn event(&mut self, to: usize, event: Event) {
        if self.nodes[to].is_gone {
            return;
        }
        let effects = self.nodes[to].machine.step(self.now, event);
        self.carry_out(to, effects);
    }

    fn arrive(&mut self, flying: Flying) {
        match flying {
            Flying::Report { from, to, step, leaving } => {
                self.count += 1;
                let token = self.count;
                self.tokens.insert((to, token), Waiting::Report { from, leaving });
                let report = MsgSync {
                    timestamp: Some(Timestamp::default()),
                    hash_signature: sync::sign(&self.nodes[from].key, &self.ceremony),
                    shutdown: leaving,
                    version: self.versions[from].to_string(),
                    step,
                    nickname: String::new(),
                };
                self.event(to, Event::Report { from, report, token });
            }
            Flying::ReportAnswer { from, to, leaving, error } => {
                self.event(to, Event::ReportAnswered { from, leaving, error });
            }
            Flying::Message { from, to, protocol, bytes, tag } => {
                if self.nodes[to].is_gone {
                    return self.fly(Flying::Undelivered { from, to, tag });
                }
                self.count += 1;
                let token = self.count;
                let kind = protocol::find(protocol).expect("a protocol").kind;
                let is_answered =
                    matches!(kind, protocol::Kind::RequestResponse | protocol::Kind::OneWayAnswered);
                if is_answered {
                    self.tokens.insert((to, token), Waiting::Message { from, tag });
                } else {
                    self.fly(Flying::Answer { from: to, to: from, tag, bytes: Vec::new() });
                }
                self.event(to, Event::Message { from, protocol, bytes, token });
            }
            Flying::Answer { from, to, tag, bytes } => {
                self.event(to, Event::Delivered { to: from, tag, answer: bytes });
            }
            Flying::Undelivered { from, to, tag } => {
                self.event(from, Event::NotDelivered { to, tag, why: "nobody is there".into() });
            }
        }
    }

    /// Runs until every node that is there has come to its end; how each did, none where a node is gone.
    pub fn run(mut self) -> (Vec<Option<End>>, Vec<Sent>) {
        self.go();
        (self.nodes.into_iter().map(|node| node.end).collect(), self.wire)
    }

    /// The same, with what is on the disks.
    pub fn run_to_files(mut self) -> Vec<Left> {
        self.go();
        let left = self.nodes.into_iter().map(|node| {
            let is_kept =
                !node.is_stored && node.outcome.is_some() && node.machine.may_be_in_place_elsewhere();
            Left { end: node.end, is_stored: node.is_stored, is_kept }
        });
        left.collect()
    }

    fn go(&mut self) {
        let over = LIMITS.connect + LIMITS.step * 12;
        while self.nodes.iter().any(|node| node.end.is_none() && !node.is_gone) {
            assert!(self.now < over, "nothing ends it");
            let report = self.nodes.iter().filter(|node| !node.is_gone).map(|node| node.next_report).min();
            let due =
                self.nodes.iter().filter(|node| !node.is_gone).filter_map(|node| node.machine.due()).min();
            let first = self.flying.keys().next().map(|(at, _)| *at);
            self.now =
                [report, due, first].into_iter().flatten().min().expect("somebody reports").max(self.now);
            while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let flying = entry.remove();
                self.arrive(flying);
            }
            for me in 0..self.nodes.len() {
                if self.nodes[me].machine.due().is_some_and(|due| due <= self.now) {
                    self.event(me, Event::Tick);
                }
                if self.nodes[me].next_report <= self.now && !self.nodes[me].is_gone {
                    self.nodes[me].next_report = self.now + REPORT;
                    let (step, leaving) = self.nodes[me].report;
                    let node = &self.nodes[me];
                    // Who has failed says so for a while, and is gone then.
                    let is_silent =
                        matches!(node.end, Some(End::Failed(_))) && self.now > node.ended_at + TELLING;
                    for to in (0..self.nodes.len()).filter(|to| *to != me && !is_silent) {
                        // In order, as a stream keeps them: the next one waits for the answer to the one before.
                        self.arrive(Flying::Report { from: me, to, step, leaving });
                    }
                }
            }
        }
    }
}
