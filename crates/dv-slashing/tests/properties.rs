//! Random histories against a model that never forgets and looks at everything.

#[path = "support/directories.rs"]
mod directories;

#[path = "support/stores.rs"]
mod stores;

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_slashing::interchange::{Entry, Interchange};
use coxswain_dv_slashing::protect::{Request, Signer, Verdict, Wall, What};
use coxswain_dv_slashing::store::{KeyPair, Store, Strangers};
use coxswain_dv_slashing::verdict::{Floor, SignedAttestation, SignedBlock};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stores::{CHAIN, attestation, block, group, settings, share};

/// Numbers are small, so that histories meet.
const SPAN: u64 = 14;
const KEYS: u8 = 2;
/// Later than everything.
const LATE: Wall = Wall { slot: 4 * SPAN, epoch: 4 * SPAN };

#[derive(Debug, Clone)]
enum Step {
    Ask { signer: Signer, requests: Vec<Request>, wall: Wall },
    Prune(Wall),
    Import(Vec<Entry>),
    Raise(u8, Floor),
    Reopen,
}

fn request() -> impl Strategy<Value = Request> {
    let key = 1..=KEYS;
    let root = 1..=2_u8;
    prop_oneof![
        (key.clone(), 0..SPAN, root.clone()).prop_map(|(key, slot, root)| block(key, slot, root)),
        (key, 0..SPAN, 0..5_u64, root).prop_map(|(key, source, more, root)| attestation(
            key,
            source,
            source + more,
            root
        )),
    ]
}

fn wall() -> impl Strategy<Value = Wall> {
    (0..2 * SPAN, 0..2 * SPAN).prop_map(|(slot, epoch)| Wall { slot, epoch })
}

fn root() -> impl Strategy<Value = Option<[u8; 32]>> {
    proptest::option::of((1..=2_u8).prop_map(|byte| [byte; 32]))
}

/// Entries of groups and of shares, which may contradict everything.
fn entry() -> impl Strategy<Value = Entry> {
    let key =
        (1..=KEYS, any::<bool>()).prop_map(|(key, is_share)| if is_share { share(key) } else { group(key) });
    let blocks = vec((0..SPAN, root()).prop_map(|(slot, root)| SignedBlock { slot, root }), 0..3);
    let attestations = vec(
        (0..SPAN, 0..SPAN, root()).prop_map(|(source, target, root)| SignedAttestation {
            source,
            target,
            root,
        }),
        0..3,
    );
    (key, blocks, attestations).prop_map(|(key, blocks, attestations)| Entry { key, blocks, attestations })
}

fn step() -> impl Strategy<Value = Step> {
    let signer = prop_oneof![Just(Signer::Share), Just(Signer::Group)];
    prop_oneof![
        8 => (signer, vec(request(), 1..6), wall())
            .prop_map(|(signer, requests, wall)| Step::Ask { signer, requests, wall }),
        1 => wall().prop_map(|wall| Step::Prune(Wall { slot: wall.slot / 3, epoch: wall.epoch / 3 })),
        1 => vec(entry(), 1..3).prop_map(Step::Import),
        1 => (1..=KEYS, 0..SPAN / 2, 0..SPAN / 2).prop_map(|(key, slot, epoch)| Step::Raise(key, Floor::at(slot, epoch))),
        1 => Just(Step::Reopen),
    ]
}

/// One message that a ledger has.
#[derive(Debug, Clone, PartialEq)]
struct Signed {
    signer: Signer,
    key: Bytes48,
    what: What,
    /// Its root is known and it was not pruned.
    is_known: bool,
    /// It was allowed by the store.
    is_own: bool,
}

/// Keeps everything.
#[derive(Default)]
struct Model {
    signed: Vec<Signed>,
    /// What is out of the question for a key, as a message that was never seen would be.
    floors: Vec<(Signer, Bytes48, Floor)>,
}

/// Whether a validator that signed both can be slashed (consensus specifications, `is_slashable_attestation_data` and
/// proposer slashings).
fn is_slashable(one: &What, other: &What) -> bool {
    match (one, other) {
        (What::Block { slot, .. }, What::Block { slot: other_slot, .. }) => {
            slot == other_slot && one != other
        }
        (
            What::Attestation { source, target, .. },
            What::Attestation { source: other_source, target: other_target, .. },
        ) => {
            let surrounds = |a: (&u64, &u64), b: (&u64, &u64)| a.0 < b.0 && b.1 < a.1;
            let (first, second) = ((source, target), (other_source, other_target));
            (target == other_target && one != other) || surrounds(first, second) || surrounds(second, first)
        }
        (What::Block { .. } | What::Attestation { .. }, _) => false,
    }
}

impl Model {
    fn of(&self, signer: Signer, key: Bytes48) -> impl Iterator<Item = &Signed> {
        self.signed.iter().filter(move |signed| signed.signer == signer && signed.key == key)
    }

    fn allows(&self, signer: Signer, request: &Request, wall: Wall) -> Option<Verdict> {
        let mut all = self.of(signer, request.key);
        if all.any(|signed| signed.is_known && signed.what == request.what) {
            return Some(Verdict::Again);
        }
        let has_old_source = self.floors.iter().any(|(of, key, floor)| {
            let is_old =
                matches!(request.what, What::Attestation { source, .. } if source < floor.sources_below);
            *of == signer && *key == request.key && is_old
        });
        let is_covered = has_old_source || self.covers(signer, request.key, &request.what, self.floors.len());
        let is_sound = match request.what {
            What::Block { slot, .. } => slot <= wall.slot + 1,
            What::Attestation { source, target, .. } => {
                target <= wall.epoch + 1 && (source < target || (source == 0 && target == 0))
            }
        };
        let is_slashable = self.of(signer, request.key).any(|signed| {
            // What is not known may be anything.
            is_slashable(&signed.what, &request.what)
                || (!signed.is_known && is_same_place(&signed.what, &request.what))
        });
        (is_sound && !is_covered && !is_slashable).then_some(Verdict::Recorded)
    }

    fn ask(&mut self, signer: Signer, request: &Request, wall: Wall) -> Option<Verdict> {
        let verdict = self.allows(signer, request, wall);
        if verdict == Some(Verdict::Recorded) {
            self.signed.push(Signed {
                signer,
                key: request.key,
                what: request.what,
                is_known: true,
                is_own: true,
            });
        }
        verdict
    }

    fn prune(&mut self, before: Wall) {
        for signed in &mut self.signed {
            let floor = match signed.what {
                What::Block { slot, .. } if slot < before.slot => {
                    Floor { blocks_to: Some(slot), ..Floor::OPEN }
                }
                What::Attestation { source, target, .. } if target < before.epoch => {
                    Floor { blocks_to: None, sources_below: source, targets_to: Some(target) }
                }
                What::Block { .. } | What::Attestation { .. } => continue,
            };
            signed.is_known = false;
            self.floors.push((signed.signer, signed.key, floor));
        }
    }

    fn import(&mut self, entries: &[Entry]) {
        for entry in entries {
            let owner =
                (1..=KEYS).find(|key| [group(*key), share(*key)].contains(&entry.key)).expect("a key");
            let is_share = entry.key == share(owner);
            let blocks = entry.blocks.iter().map(|block| {
                let what = What::Block { slot: block.slot, root: block.root.unwrap_or_default() };
                (what, Floor::OPEN.with_block(block))
            });
            let votes = entry.attestations.iter().map(|vote| {
                let root = vote.root.unwrap_or_default();
                let what = What::Attestation { source: vote.source, target: vote.target, root };
                (what, Floor::OPEN.with_attestation(vote))
            });
            let all: Vec<_> = blocks.chain(votes).collect();
            for signer in [Signer::Share, Signer::Group] {
                let before = self.floors.len();
                for (what, floor) in &all {
                    self.floors.push((signer, group(owner), *floor));
                    if signer == Signer::Share || !is_share {
                        self.add(signer, group(owner), *what, before);
                    }
                }
            }
        }
    }

    /// What is told differently twice is not known any more, and what one of the floors before covered never was.
    fn add(&mut self, signer: Signer, key: Bytes48, what: What, floors_before: usize) {
        let is_covered = self.covers(signer, key, &what, floors_before);
        let has_root =
            !matches!(what, What::Block { root, .. } | What::Attestation { root, .. } if root == [0; 32]);
        let told: Vec<usize> = (0..self.signed.len())
            .filter(|at| {
                let signed = &self.signed[*at];
                signed.signer == signer && signed.key == key && is_same_place(&signed.what, &what)
            })
            .collect();
        let is_told_alike = told.iter().all(|at| self.signed[*at].is_known && self.signed[*at].what == what);
        let is_known = has_root && is_told_alike && (!is_covered || !told.is_empty());
        if !is_known {
            told.iter().for_each(|at| self.signed[*at].is_known = false);
        }
        self.signed.push(Signed { signer, key, what, is_known, is_own: false });
    }

    fn covers(&self, signer: Signer, key: Bytes48, what: &What, first_floors: usize) -> bool {
        let floors = self.floors[..first_floors].iter();
        floors.filter(|(of, owner, _)| *of == signer && *owner == key).any(|(_, _, floor)| match what {
            What::Block { slot, .. } => floor.blocks_to.is_some_and(|to| *slot <= to),
            What::Attestation { target, .. } => floor.targets_to.is_some_and(|to| *target <= to),
        })
    }
}

fn is_same_place(one: &What, other: &What) -> bool {
    match (one, other) {
        (What::Block { slot, .. }, What::Block { slot: other, .. }) => slot == other,
        (What::Attestation { target, .. }, What::Attestation { target: other, .. }) => target == other,
        (What::Block { .. } | What::Attestation { .. }, _) => false,
    }
}

fn is_same(model: Option<Verdict>, store: Verdict) -> bool {
    match model {
        Some(verdict) => verdict == store,
        None => matches!(store, Verdict::Refused(_)),
    }
}

fn run(steps: &[Step]) {
    let dir = directories::directory();
    let open = || Store::open(&directories::file(dir.path()), &settings(1..=KEYS)).expect("a store");
    let mut store = open();
    store.start_new(&[group(1), group(2)]).expect("started");
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Ask { signer, requests, wall } => {
                let verdicts = store.check_and_record(*signer, requests, *wall).expect("answers");
                for (request, verdict) in requests.iter().zip(verdicts) {
                    let expected = model.ask(*signer, request, *wall);
                    assert!(is_same(expected, verdict), "{request:?}: {verdict:?}, and not {expected:?}");
                }
            }
            Step::Prune(before) => {
                store.prune(*before).expect("pruned");
                model.prune(*before);
            }
            Step::Import(entries) => {
                let history = Interchange { genesis_validators_root: CHAIN, entries: entries.clone() };
                store.import(&history, Strangers::Refuse, LATE).expect("imported");
                model.import(entries);
            }
            Step::Raise(key, floor) => {
                store.raise(&[group(*key)], *floor).expect("raised");
                let both = [Signer::Share, Signer::Group];
                model.floors.extend(both.map(|signer| (signer, group(*key), *floor)));
            }
            Step::Reopen => {
                drop(store);
                store = open();
            }
        }
    }
    nothing_contradicts(&model);
    what_is_exported_covers_it(&store, &model);
}

/// Whatever happened, what the store allowed cannot be slashed.
fn nothing_contradicts(model: &Model) {
    let own: Vec<_> = model.signed.iter().filter(|signed| signed.is_own).collect();
    for (at, one) in own.iter().enumerate() {
        for other in &own[..at] {
            let is_one_key = one.signer == other.signer && one.key == other.key;
            assert!(!is_one_key || !is_slashable(&one.what, &other.what), "{one:?} and {other:?}");
        }
    }
}

/// A new store that imports what this one exports allows nothing that contradicts this one's past.
fn what_is_exported_covers_it(store: &Store, model: &Model) {
    let dir = directories::directory();
    let other = Store::open(&directories::file(dir.path()), &settings(1..=KEYS)).expect("a store");
    let pairs: Vec<_> = (1..=KEYS).map(|key| KeyPair { group: group(key), share: share(key) }).collect();
    let exported = store.export_for(&pairs).expect("exported").to_text();
    let history = Interchange::parse(exported.as_bytes()).expect("a history");
    other.import(&history, Strangers::Refuse, LATE).expect("imported");
    let all = (1..=KEYS).flat_map(|key| {
        let blocks = (0..SPAN).map(move |slot| block(key, slot, 3));
        let pairs = (0..=SPAN).flat_map(|source| (source..=SPAN + 4).map(move |target| (source, target)));
        blocks.chain(pairs.map(move |(source, target)| attestation(key, source, target, 3)))
    });
    let contradicts = |request: &Request| {
        let mut past = model.signed.iter().filter(|signed| signed.key == request.key);
        past.any(|signed| is_slashable(&signed.what, &request.what))
    };
    let asked: Vec<_> = all.filter(contradicts).collect();
    let verdicts = other.check_and_record(Signer::Group, &asked, LATE).expect("answers");
    for (request, verdict) in asked.iter().zip(verdicts) {
        assert!(matches!(verdict, Verdict::Refused(_)), "{request:?}: {verdict:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, rng_seed: RngSeed::Fixed(3076), ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_a_model_that_never_forgets(steps in vec(step(), 1..40)) {
        run(&steps);
    }
}
