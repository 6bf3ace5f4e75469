//! Whole clusters in a simulated world, with faults of all kinds from a seed.
//!
//! A failure names its seed, and `COXSWAIN_SIM_SEED` runs that one alone.

mod sim;

use sim::beacon::Justified;
use sim::world::{Faults, Shares, World};

/// Seeds of every run: each cluster size, with and without liars.
const SEEDS: u64 = 5;
/// One whose leader sees the older checkpoint.
const SEED_OF_A_DISPUTE: u64 = 4;

fn run(seed: u64, faults: Faults) -> World {
    let mut world = World::new(seed, faults);
    world.run();
    world.check_progress();
    world.check_empty();
    world
}

/// Says which world failed, whatever the reason.
fn named(seed: u64, faults: Faults) -> World {
    let text = format!("{faults:?}");
    match std::panic::catch_unwind(|| run(seed, faults)) {
        Ok(world) => world,
        Err(reason) => {
            let said = reason.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("COXSWAIN_SIM_SEED={seed}: {said}\nin a world with {text}");
        }
    }
}

#[test]
fn a_good_world_does_every_duty() {
    let world = named(1, Faults::none(4));
    assert!(world.counts.agreed >= 4, "{:?}", world.counts);
    assert_eq!(world.counts.slashable, 0, "{:?}", world.counts);
    assert_eq!(world.counts.refused, 0, "{:?}", world.counts);
}

/// Were all shares to sign two votes that contradict each other, the group's second one would still not leave.
#[test]
fn groups_are_protected_without_their_shares() {
    let faults = Faults { justified: Justified::Disputed, shares: Shares::Blind, ..Faults::none(4) };
    let world = named(SEED_OF_A_DISPUTE, faults);
    assert!(world.counts.slashable > 0, "no vote that contradicts another was decided: {:?}", world.counts);
}

#[test]
fn clusters_stay_safe_and_come_back() {
    let wanted = std::env::var("COXSWAIN_SIM_SEED").ok();
    let seeds = match &wanted {
        Some(text) => match text.split_once("..") {
            Some((from, to)) => from.parse().expect("a number")..to.parse().expect("a number"),
            None => {
                let seed = text.parse().expect("a number");
                seed..seed + 1
            }
        },
        None => 0..SEEDS,
    };
    let mut decided = 0;
    for seed in seeds {
        let world = named(seed, Faults::of(seed));
        decided += world.counts.decided;
    }
    assert!(decided > 0, "nothing was decided in any world");
}
