//! What a decision costs each node: signatures, roots, encoding, and the machine.
//!
//! ```sh
//! cargo bench -p coxswain-dv-qbft --bench consensus          # half a minute
//! ```
//!
//! Whole clusters in one thread, without a network: each line is the time of all nodes by nodes and decisions.

#![expect(clippy::print_stdout, reason = "its results are its output")]
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark reads the clock")]

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coxswain_dv_crypto::k1::{IdentityKey, verify65};
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};
use coxswain_dv_qbft::consensus::{Consensus, Effect, Event, Participation, Settings};
use coxswain_dv_qbft::machine::Verdict;
use coxswain_dv_qbft::timer::{Profile, TimerFlags};
use coxswain_dv_qbft::value::Value;
use coxswain_dv_wire::unsigned::UnsignedDataSet;
use coxswain_dv_wire::well_known::Any;

const CLOCK: Clock =
    Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };
/// Bytes of attester data of one validator.
const ATTESTER: usize = 232;
/// No line takes much longer.
const BUDGET: Duration = Duration::from_millis(1500);

fn key(node: usize) -> IdentityKey {
    let byte = u8::try_from(node + 1).unwrap_or(u8::MAX);
    IdentityKey::from_bytes(&[byte; 32]).expect("a key")
}

fn cluster(count: usize) -> Vec<Consensus> {
    let peers: Vec<_> = (0..count).map(|node| key(node).public()).collect();
    let settings = |me| Settings {
        me,
        peers: peers.clone(),
        key: key(me),
        clock: CLOCK,
        flags: TimerFlags::STANDARD,
        profile: Profile::EveryRound,
        participation: Participation::Early,
        observe_before: Time::default(),
    };
    (0..count).map(|me| Consensus::new(settings(me))).collect()
}

/// A value of so many validators, each of so many bytes.
fn value(validators: usize, bytes: usize, salt: u64) -> Any {
    let entry = |validator: usize| {
        let mut data = vec![7; bytes];
        data[..8].copy_from_slice(&salt.to_le_bytes());
        (format!("0x{validator:096x}"), data)
    };
    UnsignedDataSet::pack(&(0..validators).map(entry).collect::<BTreeMap<_, _>>())
}

/// One decision; whether all nodes came to it. `ends` rounds run out before anybody proposes.
fn decide(nodes: &mut [Consensus], duty: Duty, value: &Any, ends: usize) -> bool {
    let mut now = duty.start(&CLOCK);
    let mut queue: VecDeque<(usize, Event)> = VecDeque::new();
    let mut decided = 0;
    let mut drain = |nodes: &mut [Consensus], now: Time, queue: &mut VecDeque<(usize, Event)>| {
        while let Some((node, event)) = queue.pop_front() {
            for effect in nodes[node].step(now, event) {
                match effect {
                    Effect::Send { to, message, .. } => {
                        let bytes = Arc::unwrap_or_clone(message);
                        queue.push_back((to, Event::Received { from: node, bytes }));
                    }
                    Effect::Check { duty, round, .. } => {
                        queue.push_back((node, Event::Checked { duty, round, verdict: Verdict::Accepted }));
                    }
                    Effect::Decided(_) => decided += 1,
                    _ => {}
                }
            }
        }
    };
    let count = nodes.len();
    queue.extend((0..count).map(|node| (node, Event::Participate { duty })));
    drain(nodes, now, &mut queue);
    for _ in 0..ends {
        now = nodes.iter().filter_map(Consensus::next_wake).min().unwrap_or(now);
        queue.extend((0..count).map(|node| (node, Event::Wake)));
        drain(nodes, now, &mut queue);
    }
    queue.extend((0..count).map(|node| (node, Event::Propose { duty, value: value.clone() })));
    drain(nodes, now, &mut queue);
    decided == count
}

fn line(name: &str, count: usize, ends: usize, make: impl Fn(u64) -> Any) {
    let mut nodes = cluster(count);
    let (mut turns, mut spent) = (0_u32, Duration::ZERO);
    while turns < 5 || (turns < 200 && spent < BUDGET) {
        let slot = u64::from(turns) * 100;
        let value = make(slot);
        let start = Instant::now();
        assert!(decide(&mut nodes, Duty::new(slot, DutyType::Attester), &value, ends), "all decide");
        spent += start.elapsed();
        turns += 1;
        let end = CLOCK.start_of(slot + 90);
        nodes.iter_mut().for_each(|node| drop(node.step(end, Event::Wake)));
    }
    let nodes = u32::try_from(count).expect("few");
    let each = spent.as_secs_f64() * 1e6 / f64::from(turns) / f64::from(nodes);
    println!("{name:<34} {count:>3} nodes {each:>10.0} µs per node and decision, {turns:>4} turns");
}

fn each(name: &str, mut work: impl FnMut()) {
    let start = Instant::now();
    let mut turns = 0_u32;
    while turns < 1000 && start.elapsed() < BUDGET {
        work();
        turns += 1;
    }
    println!("{name:<44} {:>10.1} µs", start.elapsed().as_secs_f64() * 1e6 / f64::from(turns));
}

fn main() {
    let digest = [5; 32];
    let signature = key(0).sign(&digest);
    each("sign", || {
        black_box(key(0).sign(&digest));
    });
    each("verify", || drop(black_box(verify65(&key(0).public(), &digest, &signature))));
    for (name, validators, bytes) in [("1 validator", 1, ATTESTER), ("1,000 validators", 1000, ATTESTER)] {
        let any = value(validators, bytes, 1);
        each(&format!("root of a value of {name}"), || drop(black_box(Value::new(any.clone()))));
    }
    for count in [4, 7, 10] {
        line("attester, 1 validator", count, 0, |salt| value(1, ATTESTER, salt));
        line("attester, 1,000 validators", count, 0, |salt| value(1000, ATTESTER, salt));
        line("block of 1 MB", count, 0, |salt| value(1, 1 << 20, salt));
        line("attester, 1 validator, round 2", count, 1, |salt| value(1, ATTESTER, salt));
    }
}
