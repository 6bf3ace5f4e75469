//! What a validator client does when, as timelines: milliseconds after genesis, and what begins.
//!
//! Slots are 1.2 s and epochs have 4 of them, so a slot attests at 400, fetches ahead at 600 and aggregates at 800.

use std::fmt::Write as _;
use std::time::Duration;

use coxswain_dv_eth::api::{
    AttesterDuty, BeaconCommitteeSelection, ProposerDuty, SyncCommitteeSelection, SyncDuty,
};
use coxswain_dv_eth::beacon::{Duties, Validator, ValidatorFields};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48, Bytes96};
use coxswain_dv_eth::fork::FAR_FUTURE;
use coxswain_dv_eth::selection::{is_sync_aggregator, subcommittees};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_simnet::client::plan::{AttestAt, Builders, Chore, Effect, Event, Job, Plan, Rhythm, Setup};

const GENESIS: Time = Time::from_secs(1_000_000);
const CLOCK: Clock = Clock { genesis: GENESIS, slot: Duration::from_millis(1200), slots_per_epoch: 4 };

fn key(validator: u64) -> Bytes48 {
    let mut key = [0; 48];
    key[40..].copy_from_slice(&validator.to_be_bytes());
    key.into()
}

fn setup() -> Setup {
    Setup {
        clock: CLOCK,
        keys: vec![key(1), key(2)],
        selections: Rhythm::Epoch,
        preparations: Rhythm::Epoch,
        attest_at: AttestAt::Third,
        builders: Builders::Unused,
    }
}

fn validator(index: u64, activation_epoch: u64) -> Validator {
    Validator {
        index,
        balance: 32_000_000_000,
        status: "active_ongoing".to_owned(),
        validator: ValidatorFields {
            pubkey: key(index),
            withdrawal_credentials: Bytes32::default(),
            effective_balance: 32_000_000_000,
            slashed: false,
            activation_eligibility_epoch: 0,
            activation_epoch,
            exit_epoch: FAR_FUTURE,
            withdrawable_epoch: FAR_FUTURE,
        },
    }
}

fn attester(validator_index: u64, slot: u64) -> AttesterDuty {
    AttesterDuty {
        pubkey: key(validator_index),
        validator_index,
        committee_index: 3,
        committee_length: 4,
        committees_at_slot: 4,
        validator_committee_index: 1,
        slot,
    }
}

fn proposer(validator_index: u64, slot: u64) -> ProposerDuty {
    ProposerDuty { pubkey: key(validator_index), validator_index, slot }
}

fn member(validator_index: u64) -> SyncDuty {
    SyncDuty { pubkey: key(validator_index), validator_index, validator_sync_committee_indices: vec![5, 200] }
}

/// A proof whose holder aggregates in every subcommittee: the first one that wins.
fn winning() -> Bytes96 {
    let mut proof = [0; 96];
    while !is_sync_aggregator(&proof.into()) {
        proof[0] += 1;
    }
    proof.into()
}

/// A node that answers at once, and what it has.
#[derive(Clone)]
struct World {
    validators: Vec<Validator>,
    /// Slots of validators 1 and 2 in their epochs.
    attesters: Vec<(u64, u64)>,
    proposers: Vec<(u64, u64)>,
    members: Vec<u64>,
    /// Jobs whose timeline begins so come to nothing.
    broken: &'static str,
    /// When a job that fails is whole again.
    whole_at: u64,
}

impl Default for World {
    fn default() -> World {
        World {
            validators: vec![validator(1, 0), validator(2, 0)],
            attesters: Vec::new(),
            proposers: Vec::new(),
            members: Vec::new(),
            broken: "nothing",
            whole_at: u64::MAX,
        }
    }
}

impl World {
    fn answer(&self, millis: u64, job: &Job) -> Option<Event> {
        let is_broken = millis < self.whole_at && show_job(job).starts_with(self.broken);
        if is_broken {
            return job.chore().map(Event::Failed);
        }
        let first = |epoch: u64| epoch * CLOCK.slots_per_epoch;
        Some(match job {
            Job::Validators => Event::Validators(self.validators.clone()),
            Job::Attesters { epoch, .. } => Event::Attesters {
                epoch: *epoch,
                duties: Duties {
                    dependent_root: Bytes32::default(),
                    duties: self.attesters.iter().map(|(v, at)| attester(*v, first(*epoch) + at)).collect(),
                },
            },
            Job::Proposers { epoch } => Event::Proposers {
                epoch: *epoch,
                duties: Duties {
                    dependent_root: Bytes32::default(),
                    duties: self.proposers.iter().map(|(v, at)| proposer(*v, first(*epoch) + at)).collect(),
                },
            },
            Job::Members { epoch, .. } => {
                Event::Members { epoch: *epoch, duties: self.members.iter().map(|v| member(*v)).collect() }
            }
            Job::Select { chore, duties } => Event::Selected {
                chore: *chore,
                proofs: duties
                    .iter()
                    .map(|duty| BeaconCommitteeSelection {
                        validator_index: duty.validator_index,
                        slot: duty.slot,
                        selection_proof: winning(),
                    })
                    .collect(),
            },
            Job::SelectMembers { slot, duties } => Event::MembersSelected {
                slot: *slot,
                proofs: duties
                    .iter()
                    .flat_map(|duty| {
                        let of = subcommittees(&duty.validator_sync_committee_indices);
                        of.into_iter().map(|subcommittee_index| SyncCommitteeSelection {
                            validator_index: duty.validator_index,
                            slot: *slot,
                            subcommittee_index,
                            selection_proof: winning(),
                        })
                    })
                    .collect(),
            },
            Job::Attest { slot, .. } => {
                Event::Attested { slot: *slot, roots: vec![(3, Bytes32::from([7; 32]))] }
            }
            Job::Vote { slot, .. } => Event::Voted { slot: *slot, head: Bytes32::from([8; 32]) },
            _ => return None,
        })
    }
}

fn indices<'d>(duties: impl IntoIterator<Item = &'d u64>) -> String {
    duties.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn show_job(job: &Job) -> String {
    match job {
        Job::Validators => "ask validators".to_owned(),
        Job::Attesters { epoch, validators } => format!("ask attesters {epoch} of {}", indices(validators)),
        Job::Proposers { epoch } => format!("ask proposers {epoch}"),
        Job::Members { epoch, validators } => format!("ask members {epoch} of {}", indices(validators)),
        Job::Select { chore, duties } => {
            let slots: Vec<u64> = duties.iter().map(|duty| duty.slot).collect();
            format!("select {chore:?} slots {}", indices(&slots))
        }
        Job::SelectMembers { slot, duties } => format!("select members {slot} of {}", duties.len()),
        Job::Subscribe { duties } => format!("subscribe {}", duties.len()),
        Job::SubscribeMembers { epoch, duties } => format!("subscribe members {epoch} {}", duties.len()),
        Job::Prepare { validators } => format!("prepare {}", indices(validators)),
        Job::Register { keys } => format!("register {}", keys.len()),
        Job::Propose(duty) => format!("propose {} by {}", duty.slot, duty.validator_index),
        Job::Attest { slot, duties } => {
            let by: Vec<u64> = duties.iter().map(|duty| duty.validator_index).collect();
            format!("attest {slot} by {}", indices(&by))
        }
        Job::Vote { slot, duties } => format!("vote {slot} of {}", duties.len()),
        Job::Aggregate { slot, by } => format!("aggregate {slot} of {}", by.len()),
        Job::Contribute { slot, by, .. } => format!("contribute {slot} of {}", by.len()),
        Job::Exit { validator, epoch, .. } => format!("exit {validator} at {epoch}"),
    }
}

/// Runs a client for some time; gives its timeline. `news` are told besides, at their milliseconds.
fn timeline(setup: Setup, world: &World, until: u64, news: &[(u64, Event)]) -> String {
    let mut plan = Plan::new(setup);
    let mut lines = String::new();
    let mut millis = 0;
    let mut told = 0;
    let mut queue = vec![Event::Wake];
    while millis <= until {
        let mut wake = millis;
        while let Some(event) = queue.pop() {
            for effect in plan.step(GENESIS + Duration::from_millis(millis), event) {
                match effect {
                    Effect::Wake(time) => {
                        wake = u64::try_from(time.since(GENESIS).as_millis()).expect("soon")
                    }
                    Effect::Skip { duty, count, why } => {
                        writeln!(lines, "{millis} skip {duty} of {count}: {why:?}").expect("text");
                    }
                    Effect::Do(job) => {
                        writeln!(lines, "{millis} {}", show_job(&job)).expect("text");
                        queue.extend(world.answer(millis, &job));
                    }
                }
            }
        }
        assert!(wake > millis, "it wakes at {wake}, and it is {millis}");
        match news.get(told) {
            Some((at, event)) if *at < wake => {
                millis = *at;
                queue.push(event.clone());
                told += 1;
            }
            _ => {
                millis = wake;
                queue.push(Event::Wake);
            }
        }
    }
    lines
}

#[track_caller]
fn check(actual: &str, expected: &str) {
    let lines: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(actual.lines().collect::<Vec<_>>(), lines, "\n{actual}");
}

#[test]
fn a_slot_with_everything() {
    let world = World {
        attesters: vec![(1, 1), (2, 1)],
        proposers: vec![(2, 1)],
        members: vec![1],
        ..World::default()
    };
    let lines = timeline(setup(), &world, 2300, &[]);
    let slot: String = lines
        .lines()
        .filter(|line| line.split(' ').next().and_then(|at| at.parse::<u64>().ok()) >= Some(1200))
        .map(|line| format!("{line}\n"))
        .collect();
    check(
        &slot,
        "1200 select members 1 of 1
         1200 propose 1 by 2
         1600 attest 1 by 1,2
         1600 vote 1 of 1
         2000 aggregate 1 of 2
         2000 contribute 1 of 2
        ",
    );
}

#[test]
fn the_first_slot_begins_with_questions() {
    let world = World { attesters: vec![(1, 0), (2, 3)], members: vec![2], ..World::default() };
    check(
        &timeline(setup(), &world, 1000, &[]),
        "0 ask validators
         0 ask attesters 0 of 1,2
         0 ask proposers 0
         0 ask members 0 of 1,2
         0 prepare 1,2
         0 select members 0 of 1
         0 subscribe members 0 1
         0 select SelectEpoch(0) slots 0,3
         0 subscribe 2
         400 attest 0 by 1
         400 vote 0 of 1
         800 aggregate 0 of 1
         800 contribute 0 of 2
        ",
    );
}

/// The last slot votes with the members of the next epoch, whose block takes the votes.
#[test]
fn the_last_slot_looks_ahead() {
    let world = World { proposers: vec![(1, 0)], members: vec![1], ..World::default() };
    let lines = timeline(setup(), &world, 4800, &[]);
    let from = lines.find("3600 ").expect("the last slot");
    check(
        &lines[from..],
        "3600 ask members 1 of 1,2
         3600 select members 3 of 1
         3600 subscribe members 1 1
         4000 vote 3 of 1
         4200 ask attesters 1 of 1,2
         4200 ask proposers 1
         4400 contribute 3 of 2
         4800 ask validators
         4800 ask attesters 1 of 1,2
         4800 ask proposers 1
         4800 ask members 1 of 1,2
         4800 select members 4 of 1
         4800 prepare 1,2
         4800 propose 4 by 1
         4800 subscribe members 1 1
        ",
    );
}

#[test]
fn the_head_is_attested_at_once_where_that_is_a_habit() {
    let world = World { attesters: vec![(1, 0), (2, 1)], ..World::default() };
    let news =
        [(100, Event::Head { slot: 0 }), (150, Event::Head { slot: 0 }), (1300, Event::Head { slot: 0 })];
    for (attest_at, expected) in [
        (AttestAt::Head, "100 attest 0 by 1\n1600 attest 1 by 2\n"),
        (AttestAt::Third, "400 attest 0 by 1\n1600 attest 1 by 2\n"),
    ] {
        let lines = timeline(Setup { attest_at, ..setup() }, &world, 2000, &news);
        let attested: String =
            lines.lines().filter(|line| line.contains("attest ")).map(|line| format!("{line}\n")).collect();
        assert_eq!(attested, expected, "{attest_at:?}");
    }
}

/// The node is down until 2.5 s: it is asked four times a slot, and what was missed is said.
#[test]
fn a_node_that_is_down_is_asked_again() {
    let world = World { broken: "ask", whole_at: 2500, attesters: vec![(1, 2)], ..World::default() };
    let lines = timeline(setup(), &world, 2999, &[]);
    let asked = lines.lines().filter(|line| line.ends_with("ask validators")).count();
    assert_eq!(asked, 10, "{lines}");
    assert!(lines.contains("2800 attest 2 by 1"), "{lines}");
}

#[test]
fn what_cannot_be_begun_is_said() {
    let world = World { attesters: vec![(1, 1)], members: vec![2], ..World::default() };
    for (broken, expected) in [
        ("attest", vec!["2400 skip 1/aggregator of 1: NothingToAggregate"]),
        ("vote", vec!["2400 skip 1/sync_contribution of 2: NothingToAggregate"]),
        ("select SelectEpoch", vec!["2400 skip 1/aggregator of 1: NotSelected"]),
        ("select members", vec!["2400 skip 1/sync_contribution of 1: NotSelected"]),
    ] {
        let lines = timeline(setup(), &World { broken, ..world.clone() }, 2400, &[]);
        let skipped: Vec<&str> = lines.lines().filter(|line| line.starts_with("2400 skip")).collect();
        assert_eq!(skipped, expected, "{broken}: {lines}");
    }
}

/// A laptop that slept: the slots between are over.
#[test]
fn slots_that_were_slept_through_are_skipped() {
    let world = World { attesters: vec![(1, 1), (2, 2)], proposers: vec![(1, 2)], ..World::default() };
    let mut plan = Plan::new(setup());
    let mut queue = vec![Event::Wake];
    while let Some(event) = queue.pop() {
        for effect in plan.step(GENESIS, event) {
            if let Effect::Do(job) = effect {
                queue.extend(world.answer(0, &job));
            }
        }
    }
    let effects = plan.step(GENESIS + Duration::from_millis(3700), Event::Wake);
    let skipped: Vec<String> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Skip { duty, why, .. } => Some(format!("{duty} {why:?}")),
            Effect::Do(_) | Effect::Wake(_) => None,
        })
        .collect();
    let expected =
        ["1/attester Late", "1/aggregator NothingToAggregate", "2/proposer Late", "2/attester Late"];
    assert_eq!(skipped[..4], expected, "{skipped:?}");
}

#[test]
fn late_answers_are_used_within_their_slot() {
    let world =
        World { broken: "select SelectEpoch", whole_at: 1900, attesters: vec![(1, 1)], ..World::default() };
    let lines = timeline(setup(), &world, 2400, &[]);
    assert!(lines.contains("aggregate 1 of 1"), "{lines}");
    assert!(!lines.contains("skip"), "{lines}");
}

#[test]
fn selections_of_a_slot_are_asked_in_it_where_that_is_a_habit() {
    let world = World { attesters: vec![(1, 1), (2, 2)], ..World::default() };
    let lines = timeline(Setup { selections: Rhythm::Slot, ..setup() }, &world, 3000, &[]);
    let selected: Vec<&str> = lines.lines().filter(|line| line.contains(" select ")).collect();
    assert_eq!(selected, ["0 select SelectSlot(1) slots 1", "1200 select SelectSlot(2) slots 2"]);
}

#[test]
fn preparations_and_registrations_have_their_rhythm() {
    let setup = Setup { preparations: Rhythm::Slot, builders: Builders::Registered, ..setup() };
    let lines = timeline(setup, &World::default(), 5000, &[]);
    let count = |what: &str| lines.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("prepare 1,2"), count("register 2")), (5, 2), "{lines}");
}

/// One exit is told before the validators are known, one of a key that is not here never leaves.
#[test]
fn exits_wait_for_the_validators() {
    let exit = |validator| Event::Exit { key: key(validator), epoch: 3 };
    let news = [(10, exit(2)), (20, exit(9)), (700, exit(1))];
    let world = World { broken: "ask validators", whole_at: 500, ..World::default() };
    let lines = timeline(setup(), &world, 1000, &news);
    let exits: Vec<&str> = lines.lines().filter(|line| line.contains("exit")).collect();
    assert_eq!(exits, ["600 exit 2 at 3", "700 exit 1 at 3"]);
}

#[test]
fn validators_have_duties_from_their_activation_on() {
    let world = World { validators: vec![validator(1, 0), validator(2, 1)], ..World::default() };
    let lines = timeline(setup(), &world, 4800, &[]);
    assert!(lines.contains("0 ask attesters 0 of 1\n"), "{lines}");
    assert!(lines.contains("4200 ask attesters 1 of 1,2\n"), "{lines}");
}

#[test]
fn duties_are_asked_again_after_a_reorganisation() {
    let world = World { attesters: vec![(1, 1)], ..World::default() };
    let lines = timeline(setup(), &world, 900, &[(850, Event::Reorg)]);
    let asked: Vec<&str> = lines.lines().filter(|line| line.starts_with("850")).collect();
    assert_eq!(asked, ["850 ask attesters 0 of 1,2", "850 ask proposers 0"], "{lines}");
}

/// A node that answers with duties of others, of other epochs, twice, unasked.
#[test]
fn foreign_answers_change_nothing() {
    let mut plan = Plan::new(setup());
    let now = GENESIS + Duration::from_millis(500);
    let of = |duties| Duties { dependent_root: Bytes32::default(), duties };
    let mut foreign = attester(1, 0);
    foreign.pubkey = key(2);
    let events = [
        Event::Validators(vec![validator(1, 0), validator(7, 0)]),
        Event::Attesters { epoch: 0, duties: of(vec![attester(7, 0), foreign, attester(1, 9)]) },
        Event::Attesters { epoch: 9, duties: of(vec![attester(1, 36)]) },
        Event::Proposers {
            epoch: 0,
            duties: Duties {
                dependent_root: Bytes32::default(),
                duties: vec![proposer(7, 0), proposer(1, 4)],
            },
        },
        Event::Members { epoch: 0, duties: vec![member(7)] },
        Event::Selected {
            chore: Chore::SelectEpoch(0),
            proofs: vec![BeaconCommitteeSelection {
                validator_index: 1,
                slot: 1 << 60,
                selection_proof: winning(),
            }],
        },
        Event::MembersSelected { slot: 5, proofs: Vec::new() },
        Event::Attested { slot: 77, roots: Vec::new() },
        Event::Voted { slot: 77, head: Bytes32::default() },
        Event::Head { slot: u64::MAX },
    ];
    let mut begun = Vec::new();
    for event in events {
        for effect in plan.step(now, event) {
            if let Effect::Do(job) = effect
                && job.duty(&CLOCK).is_some()
            {
                begun.push(show_job(&job));
            }
        }
    }
    assert_eq!(begun, [""; 0]);
}

#[test]
fn before_genesis_it_sleeps() {
    let mut plan = Plan::new(setup());
    let effects = plan.step(GENESIS - Duration::from_secs(100), Event::Wake);
    assert_eq!(effects, [Effect::Wake(GENESIS)]);
}

/// Whatever a node answers, and whenever: nothing begins twice, it always sleeps, and it never forgets to wake.
mod properties {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        let small = 0..12_u64;
        let pairs = prop::collection::vec((0..4_u64, 0..40_u64), 0..6);
        let of = |duties| Duties { dependent_root: Bytes32::default(), duties };
        prop_oneof![
            3 => Just(Event::Wake),
            2 => prop::collection::vec((1..4_u64, 0..3_u64), 0..3).prop_map(|all| {
                Event::Validators(all.into_iter().map(|(index, epoch)| validator(index, epoch)).collect())
            }),
            3 => (small.clone(), pairs.clone()).prop_map(move |(epoch, all)| Event::Attesters {
                epoch,
                duties: Duties {
                    dependent_root: Bytes32::default(),
                    duties: all.into_iter().map(|(validator, slot)| attester(validator, slot)).collect(),
                },
            }),
            3 => (small.clone(), pairs.clone()).prop_map(move |(epoch, all)| Event::Proposers {
                epoch,
                duties: of(all.into_iter().map(|(validator, slot)| proposer(validator, slot)).collect()),
            }),
            2 => (small.clone(), pairs.clone()).prop_map(|(epoch, all)| Event::Members {
                epoch,
                duties: all.into_iter().map(|(validator, _)| member(validator)).collect(),
            }),
            2 => pairs.prop_map(|all| Event::Selected {
                chore: Chore::SelectEpoch(0),
                proofs: all
                    .into_iter()
                    .map(|(validator_index, slot)| BeaconCommitteeSelection {
                        validator_index,
                        slot,
                        selection_proof: winning(),
                    })
                    .collect(),
            }),
            1 => (0..40_u64).prop_map(|slot| Event::Attested { slot, roots: vec![(3, Bytes32::default())] }),
            1 => (0..40_u64).prop_map(|slot| Event::Voted { slot, head: Bytes32::default() }),
            1 => (0..40_u64).prop_map(|slot| Event::Head { slot }),
            1 => Just(Event::Reorg),
            1 => small.prop_map(|epoch| Event::Failed(Chore::Attesters(epoch))),
            1 => Just(Event::Failed(Chore::Validators)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_begins_twice(
            events in prop::collection::vec((0..700_u64, event()), 1..120),
            selections in prop::sample::select(vec![Rhythm::Slot, Rhythm::Epoch]),
            attest_at in prop::sample::select(vec![AttestAt::Head, AttestAt::Third]),
        ) {
            let mut plan = Plan::new(Setup { selections, attest_at, ..setup() });
            let mut millis = 0;
            let mut begun = BTreeSet::new();
            for (pause, event) in events {
                millis += pause;
                let now = GENESIS + Duration::from_millis(millis);
                let effects = plan.step(now, event);
                let wake = effects.iter().rev().find_map(|effect| match effect {
                    Effect::Wake(time) => Some(*time),
                    Effect::Do(_) | Effect::Skip { .. } => None,
                });
                prop_assert!(wake.is_some_and(|wake| wake > now && wake <= now + CLOCK.slot));
                for effect in effects {
                    if let Effect::Do(job) = effect
                        && job.chore().is_none()
                        && let Some(duty) = job.duty(&CLOCK)
                    {
                        prop_assert!(begun.insert(duty), "{duty} begins twice");
                        prop_assert_eq!(CLOCK.slot_at(now), Some(duty.slot), "{} begins in its slot", duty);
                    }
                }
            }
        }
    }
}
