//! A bounded share of the worlds that `examples/million.rs` runs by the thousand.
//!
//! A failure names its seed. `COXSWAIN_SIM_SEED=7` (or `7..99`) runs that one (or those) alone and shows what happened in
//! a world that broke.

use coxswain_sim::{Broken, Counts, First, Outcome, Setting, Shares, Tracing, Trouble, Vault, World};

/// Worlds of every run: each size of a cluster, and one with real signatures.
const SEEDS: u64 = 24;
/// Acts of a world, each of 40 slots.
const ACTS: u64 = 5;
/// How often everything must happen in these worlds, at least.
const OFTEN: u64 = 1;
/// Lines of a trace that are shown.
const LAST_LINES: usize = 60;

fn run(seed: u64, setting: &Setting, vault: &mut Vault) -> Counts {
    let Outcome { counts, broken, .. } = World::new(seed, setting.clone(), vault, Tracing::Off).run();
    if let Some(broken) = broken {
        let again = World::new(seed, setting.clone(), vault, Tracing::On).run();
        let from = again.trace.len().saturating_sub(LAST_LINES);
        let trace = again.trace[from..].join("\n");
        panic!("{trace}\n{setting:#?}\nCOXSWAIN_SIM_SEED={seed}: {broken}");
    }
    counts
}

fn wanted() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("COXSWAIN_SIM_SEED") else { return 0..SEEDS };
    let number = |text: &str| text.parse::<u64>().expect("COXSWAIN_SIM_SEED is a seed, or FROM..TO");
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    }
}

#[test]
fn clusters_stay_safe_and_do_their_duties() {
    let (mut vault, mut counts) = (Vault::new(), Counts::default());
    for seed in wanted() {
        counts.merge(&run(seed, &Setting::of(seed, ACTS), &mut vault));
    }
    // Whether a world is worth anything: all of this happens in those that run every time.
    let happened = [
        "attester",
        "proposer",
        "aggregator",
        "sync_message",
        "sync_contribution",
        "exit",
        "blocks of builders",
        "registrations by nodes",
        "agreements on versions, by nodes",
        "decided after the first round",
        "refused by the store",
        "starts after a crash",
        "writes cut off by a crash",
        "writes that failed",
        "clocks set",
        "reorgs",
        "partitions",
        "lies of peers",
        "messages lost",
        "duties demanded",
        "proposals that cannot be",
        "votes that one node alone heard",
        "validators that join or leave",
        "worlds with a client that signs anything",
        "worlds with liars",
    ];
    let rare: Vec<&str> = happened.into_iter().filter(|name| counts.get(name) < OFTEN).collect();
    let is_usual = std::env::var_os("COXSWAIN_SIM_SEED").is_none();
    assert!(!is_usual || rare.is_empty(), "less than {OFTEN} times: {rare:?}\n{counts}");
}

#[test]
fn a_calm_world_does_every_duty_with_real_signatures() {
    let mut vault = Vault::new();
    let counts = run(1, &Setting::calm(4), &mut vault);
    for never in ["refused by the store", "messages refused", "decided after the first round"] {
        assert_eq!(counts.get(never), 0, "{never}:\n{counts}");
    }
    // The first agreement on versions begins within a slot of the start: all nodes only watch it.
    assert_eq!(counts.get("undecided by nodes"), 4, "{counts}");
    assert!(counts.get("agreements on versions, by nodes") >= 16, "{counts}");
    assert!(counts.get("duties demanded") >= 20, "{counts}");
}

/// Were all shares to sign two votes that contradict each other, the group's second one would still not leave.
#[test]
fn groups_are_protected_without_their_shares() {
    let mut vault = Vault::new();
    let refused: u64 = (0..6)
        .map(|seed| {
            let trouble = Trouble { disputed: 60, ..Trouble::NONE };
            let setting = Setting { acts: 3, trouble, shares: Shares::Blind, ..Setting::of(seed, 3) };
            let setting = Setting { liars: 0, reckless: None, ..setting };
            run(seed, &setting, &mut vault).get("refused by the store")
        })
        .sum();
    assert!(refused > 0, "no vote that contradicts another was decided");
}

/// A disk that loses what it said was on it cannot be made good by anything: it must not go unseen.
#[test]
fn a_store_that_forgets_is_found() {
    let mut vault = Vault::new();
    let found = (0..12).any(|seed| {
        let setting = Setting { liars: 0, reckless: Some((0, First::Lie)), ..Setting::of(seed, 1) };
        let setting = Setting { shares: Shares::Forgetful, ..setting };
        let broken = World::new(seed, setting, &mut vault, Tracing::Off).run().broken;
        broken.is_some_and(|broken| broken.what.contains("signed two votes"))
    });
    assert!(found, "nobody saw that a share signed twice");
}

/// The same seed is the same world, to the last message.
#[test]
fn a_seed_says_everything() {
    let trace = |seed| {
        let outcome = coxswain_sim::run(seed, 1, &mut Vault::new(), Tracing::On);
        (outcome.trace, outcome.counts)
    };
    for seed in [0, 5] {
        let (one, other) = (trace(seed), trace(seed));
        assert!(one.0.len() > 1_000, "{} lines", one.0.len());
        let differs = one.0.iter().zip(&other.0).position(|(one, other)| one != other);
        assert_eq!((differs, one.0.len(), one.1), (None, other.0.len(), other.1), "seed {seed}");
    }
    assert_ne!(trace(0).0, trace(1).0);
}

/// Whoever reads a failure finds the seed in it.
#[test]
fn what_is_broken_names_its_seed() {
    let at = coxswain_dv_eth::time::Time::from_millis(1_500);
    let broken = Broken { seed: 4711, at, what: "two blocks".to_owned() };
    assert_eq!(broken.to_string(), "seed 4711 at 1.500 s: two blocks");
}
