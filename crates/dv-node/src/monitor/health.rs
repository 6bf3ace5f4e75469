//! Checks of a node's health, over samples of its figures that are taken every 30 s.
//!
//! Names and severities are charon's: alerts know them. [`LEFT_OUT`] has the one that is about the Go runtime.

use std::collections::{BTreeMap, VecDeque};

use coxswain_dv_core::Builder;

use super::catalogue as names;
use super::ready::{self, State};
use super::registry::{Kind, Metric, Registry, Value};

/// Samples that most checks look at: five minutes.
pub const SHORT: usize = 10;
/// Samples of checks of what is rare: an hour.
pub const LONG: usize = 120;
/// Samples of memory, of which one is kept of each [`MEMORY_EVERY`]: two days.
const MEMORY: usize = 96;
/// Half an hour.
const MEMORY_EVERY: u64 = 60;
/// Series of one name for each validator.
const MAX_SERIES_PER_VALIDATOR: usize = 100;
/// Of calls to beacon nodes, in seconds.
const MAX_CALL: f64 = 1.0;
/// Of calls about blocks: builders are waited for.
const MAX_PROPOSAL_CALL: f64 = 2.0;
const PROPOSAL_CALLS: [&str; 2] = ["proposal", "submit_blinded_proposal"];
/// Part of heads that may be late, and from how many seconds on they are.
const MAX_LATE_HEADS: f64 = 0.04;
const LATE_HEAD: f64 = 4.0;
const MAX_CLOCK_OFFSET: f64 = 0.2;
const MAX_PING: f64 = 0.15;
/// Seconds from when partial signatures are expected to their arrival.
const MAX_ATTESTER: f64 = 2.0;
const MAX_PROPOSER: f64 = 3.0;
/// Part of the votes for heads that may be for another one than that of most nodes, and from how many votes on.
const MAX_APART: f64 = 0.05;
const MIN_VOTES: f64 = 20.0;
/// How much memory may grow from one day to the next.
const MAX_GROWTH: f64 = 1.05;

/// Count and sum of what was measured.
type Mean = (u64, f64);

/// What checks look at, of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// [`State::number`].
    pub readiness: u8,
    /// Nodes that answered their last ping.
    pub peers: usize,
    /// Validators that wait for their activation.
    pub pending: usize,
    /// Submissions of registrations that failed.
    pub registration_errors: f64,
    /// Calls to beacon nodes, by endpoint.
    pub calls: BTreeMap<String, Mean>,
    /// Heads, and those that were late.
    pub heads: (u64, u64),
    /// The largest difference to the clock of a peer, in seconds.
    pub clock_offset: f64,
    /// Round trips, by peer.
    pub pings: BTreeMap<String, Mean>,
    /// Whether beacon nodes are fallback nodes.
    pub is_using_fallback: bool,
    /// The last rounds of decisions on blocks and attestations.
    pub rounds: u64,
    /// Instances of consensus with a round that ran out for want of nodes.
    pub short_rounds: f64,
    /// `PROPOSAL_BLINDED`, and `PROPOSAL_FEE_RECIPIENT`.
    pub proposal: (u8, u8),
    /// Votes for heads, and those that were not for the head of most, by the place of the signer.
    pub votes: BTreeMap<String, (f64, f64)>,
    /// Arrival of partial signatures, by type of duty and place of the signer.
    pub arrivals: BTreeMap<(String, String), Mean>,
    /// Names with too many series, and how many.
    pub too_many: Vec<(&'static str, usize)>,
    /// Bytes; none where that is not known.
    pub memory: Option<f64>,
}

/// What does not change while a node runs.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Its validators.
    pub validators: usize,
    /// Whether this node takes blocks of builders.
    pub builder: Builder,
}

impl Sample {
    /// What figures say now.
    #[must_use]
    pub fn of(registry: &Registry, known: Known) -> Sample {
        let first = |metric: &Metric| registry.numbers(metric).map(|(_, number)| number).next();
        let ones = |metric: &Metric| registry.numbers(metric).filter(|(_, number)| *number > 0.0).count();
        let is_agreed_early = |labels: &[String]| matches!(labels[1].as_str(), "proposer" | "attester");
        let most = known.validators.max(1) * MAX_SERIES_PER_VALIDATOR;
        Sample {
            readiness: first(&names::READYZ).unwrap_or_default() as u8,
            peers: ones(&names::PING_SUCCESS),
            pending: registry
                .numbers(&names::STATUS)
                .filter(|(labels, number)| *number > 0.0 && labels[2].starts_with("pending"))
                .count(),
            registration_errors: first(&names::REGISTRATION_ERRORS).unwrap_or_default(),
            calls: means(registry, &names::ETH2_LATENCY, |labels| labels[0].clone()),
            heads: heads(registry),
            clock_offset: registry
                .numbers(&names::PEER_CLOCK)
                .map(|(_, offset)| offset.abs())
                .fold(0.0, f64::max),
            pings: means(registry, &names::PING_LATENCY, |labels| labels[0].clone()),
            is_using_fallback: ones(&names::USING_FALLBACK) > 0,
            rounds: registry
                .numbers(&names::DECIDED_ROUNDS)
                .filter(|(labels, _)| is_agreed_early(labels))
                .map(|(_, round)| round as u64)
                .max()
                .unwrap_or_default(),
            short_rounds: registry.numbers(&names::INSUFFICIENT_ROUND_CHANGES).map(|(_, count)| count).sum(),
            proposal: (
                first(&names::PROPOSAL_BLINDED).unwrap_or_default() as u8,
                first(&names::PROPOSAL_FEE_RECIPIENT).unwrap_or_default() as u8,
            ),
            votes: votes(registry),
            arrivals: means(registry, &names::PARSIG_STORE, |labels| (labels[0].clone(), labels[1].clone())),
            too_many: registry.sizes().filter(|(_, count)| *count > most).collect(),
            memory: first(&names::MEMORY),
        }
    }
}

fn means<K: Ord>(registry: &Registry, metric: &Metric, key: impl Fn(&[String]) -> K) -> BTreeMap<K, Mean> {
    let mean = |(labels, value): (&[String], &Value)| match value {
        Value::Classes(classes, sum) => Some((key(labels), (classes.iter().sum(), *sum))),
        Value::Number(_) => None,
    };
    registry.of(metric).filter_map(mean).collect()
}

fn heads(registry: &Registry) -> (u64, u64) {
    let Kind::Histogram(bounds) = names::HEAD_DELAY.kind else { return (0, 0) };
    let in_time = bounds.iter().filter(|bound| **bound <= LATE_HEAD).count();
    let of = |value: &Value| match value {
        Value::Classes(classes, _) => (classes.iter().sum::<u64>(), classes[in_time..].iter().sum::<u64>()),
        Value::Number(_) => (0, 0),
    };
    registry
        .of(&names::HEAD_DELAY)
        .map(|(_, value)| of(value))
        .fold((0, 0), |(all, late), one| (all + one.0, late + one.1))
}

fn votes(registry: &Registry) -> BTreeMap<String, (f64, f64)> {
    let mut votes: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (labels, count) in registry.numbers(&names::COHORT_RANK) {
        let (all, apart) = votes.entry(labels[1].clone()).or_default();
        *all += count;
        *apart += if labels[2] == "0" { 0.0 } else { count };
    }
    votes
}

/// The last samples, the newest last.
#[derive(Debug, Clone, Default)]
pub struct Window {
    samples: VecDeque<Sample>,
    memory: VecDeque<f64>,
    taken: u64,
}

impl Window {
    /// Adds a sample.
    pub fn add(&mut self, sample: Sample) {
        if let Some(memory) = sample.memory
            && self.taken.is_multiple_of(MEMORY_EVERY)
        {
            if self.memory.len() == MEMORY {
                self.memory.pop_front();
            }
            self.memory.push_back(memory);
        }
        self.taken += 1;
        if self.samples.len() == LONG {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// The newest samples, oldest first.
    fn last(&self, count: usize) -> impl DoubleEndedIterator<Item = &Sample> {
        self.samples.iter().skip(self.samples.len().saturating_sub(count))
    }

    /// The oldest and the newest of the newest samples.
    fn ends(&self, count: usize) -> Option<(&Sample, &Sample)> {
        self.last(count).next().zip(self.samples.back())
    }

    /// The largest mean of what was measured within the last samples.
    fn worst<K: Ord>(
        &self,
        of: impl Fn(&Sample) -> &BTreeMap<K, Mean>,
        is_meant: impl Fn(&K) -> bool,
    ) -> f64 {
        let Some((old, new)) = self.ends(SHORT) else { return 0.0 };
        let measured = of(new).iter().filter(|(key, _)| is_meant(key)).filter_map(|(key, (count, sum))| {
            let (count_before, sum_before) = of(old).get(key).copied().unwrap_or_default();
            let count = count.checked_sub(count_before).filter(|count| *count > 0)?;
            Some((sum - sum_before) / count as f64)
        });
        measured.fold(0.0, f64::max)
    }

    /// Whether a node often votes for another head than most.
    fn has_other_heads(&self) -> bool {
        let Some((old, new)) = self.ends(SHORT) else { return false };
        new.votes.iter().any(|(place, (all, apart))| {
            let (all_before, apart_before) = old.votes.get(place).copied().unwrap_or_default();
            let all = all - all_before;
            all >= MIN_VOTES && apart - apart_before > all * MAX_APART
        })
    }

    fn arrivals(&self, kind: &str) -> f64 {
        self.worst(|sample| &sample.arrivals, |(duty, _)| duty == kind)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Duties are missed.
    Critical,
    /// Duties may be missed.
    Warning,
    /// It is to be known.
    Info,
}

impl Severity {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// A check.
pub struct Check {
    /// Its name, as alerts know it.
    pub name: &'static str,
    /// How bad it is if it fails.
    pub severity: Severity,
    /// What is wrong if it fails, for people.
    pub description: &'static str,
    fails: fn(&Window, Known) -> bool,
}

impl Check {
    /// Whether it fails.
    #[must_use]
    pub fn fails(&self, window: &Window, known: Known) -> bool {
        (self.fails)(window, known)
    }
}

const fn check(
    name: &'static str,
    severity: Severity,
    description: &'static str,
    fails: fn(&Window, Known) -> bool,
) -> Check {
    Check { name, severity, description, fails }
}

/// All checks.
pub const CHECKS: &[Check] = &[
    check(
        "beacon_node_syncing",
        Severity::Critical,
        "The beacon node is still reading the chain",
        |window, _| {
            window.samples.back().is_some_and(|sample| sample.readiness == State::BeaconSyncing.number())
        },
    ),
    check(
        "insufficient_connected_peers",
        Severity::Critical,
        "Too few nodes of the cluster answer pings: the cluster cannot agree",
        |window, known| {
            let most = window.last(SHORT).map(|sample| sample.peers).max();
            most.is_some_and(|most| most < ready::needed_peers(known.nodes))
        },
    ),
    check("pending_validators", Severity::Info, "Validators wait for their activation", |window, _| {
        window.samples.back().is_some_and(|sample| sample.pending > 0)
    }),
    check(
        "high_registration_failures_rate",
        Severity::Warning,
        "Registrations with builders fail: see the log for what the beacon node says",
        |window, _| {
            window.ends(SHORT).is_some_and(|(old, new)| new.registration_errors > old.registration_errors)
        },
    ),
    check(
        "metrics_high_cardinality",
        Severity::Warning,
        "A metric has more than 100 series for each validator",
        |window, _| window.samples.back().is_some_and(|sample| !sample.too_many.is_empty()),
    ),
    check(
        "high_beacon_node_latency",
        Severity::Warning,
        "Calls to beacon nodes take more than 1 s: the beacon node is overloaded or far away",
        |window, _| window.worst(|sample| &sample.calls, |call| !is_of_proposal(call)) > MAX_CALL,
    ),
    check(
        "high_beacon_node_proposal_latency",
        Severity::Warning,
        "Calls about blocks take more than 2 s: the beacon node or its builder is slow",
        |window, _| window.worst(|sample| &sample.calls, |call| is_of_proposal(call)) > MAX_PROPOSAL_CALL,
    ),
    check(
        "high_beacon_node_sse_head_delay",
        Severity::Warning,
        "More than 4 % of heads come later than 4 s after the start of their slot",
        |window, _| {
            window.ends(LONG).is_some_and(|(old, new)| {
                let (all, late) =
                    (new.heads.0.saturating_sub(old.heads.0), new.heads.1.saturating_sub(old.heads.1));
                late as f64 > all as f64 * MAX_LATE_HEADS
            })
        },
    ),
    check(
        "high_peer_clock_offset",
        Severity::Warning,
        "The clock of a peer differs by more than 200 ms from that of this node: look after both",
        |window, _| window.samples.back().is_some_and(|sample| sample.clock_offset > MAX_CLOCK_OFFSET),
    ),
    check(
        "high_peer_ping_latency",
        Severity::Warning,
        "Round trips to a peer take more than 150 ms",
        |window, _| window.worst(|sample| &sample.pings, |_| true) > MAX_PING,
    ),
    check(
        "using_fallback_beacon_nodes",
        Severity::Warning,
        "The beacon nodes are out of order, and the fallback ones are used",
        |window, _| window.last(SHORT).any(|sample| sample.is_using_fallback),
    ),
    check(
        "local_proposal_fee_recipient_mismatch",
        Severity::Critical,
        "A block of the beacon node pays somebody else than it should: see its setting of the fee recipient",
        |window, _| window.last(SHORT).any(|sample| sample.proposal.1 == 2),
    ),
    check(
        "local_block_proposal",
        Severity::Warning,
        "A block is the beacon node's own, though builders are to make them: look after the builder",
        // Charon fails wherever a block is the beacon node's own. Without builders each one is, and nothing is wrong.
        |window, known| {
            known.builder == Builder::On && window.last(SHORT).any(|sample| sample.proposal.0 == 2)
        },
    ),
    check(
        "insufficient_round_changes",
        Severity::Warning,
        "Consensus waited for nodes that did not give up a round: they are down, late or not connected",
        |window, _| window.ends(SHORT).is_some_and(|(old, new)| new.short_rounds > old.short_rounds),
    ),
    check(
        "sync_message_head_disagreement",
        Severity::Warning,
        "Over 5 % of a node's votes are for another head than that of most nodes: look after its beacon node",
        |window, _| window.has_other_heads(),
    ),
    check(
        "high_consensus_rounds",
        Severity::Warning,
        "Blocks or attestations were not agreed on in the first round",
        |window, _| window.last(SHORT).any(|sample| sample.rounds >= 2),
    ),
    check(
        "high_parsigdb_store_latency",
        Severity::Warning,
        "Signatures of attestations arrive more than 2 s late from a node",
        |window, _| window.arrivals("attester") > MAX_ATTESTER,
    ),
    check(
        "high_parsigdb_store_latency_proposer",
        Severity::Warning,
        "Signatures of blocks arrive more than 3 s late from a node",
        |window, _| window.arrivals("proposer") > MAX_PROPOSER,
    ),
    check(
        "memory_leak",
        Severity::Warning,
        "This node uses over 5 % more memory than the day before",
        |window, _| {
            let half = MEMORY / 2;
            let mean = |part: &mut dyn Iterator<Item = &f64>| part.sum::<f64>() / half as f64;
            let before = mean(&mut window.memory.iter().take(half));
            let after = mean(&mut window.memory.iter().skip(half));
            window.memory.len() == MEMORY && after > before * MAX_GROWTH
        },
    ),
];

/// Checks of charon that this node does not have, and why.
pub const LEFT_OUT: &[(&str, &str)] = &[("high_goroutine_count", "there are no goroutines")];

fn is_of_proposal(call: &str) -> bool {
    PROPOSAL_CALLS.contains(&call)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { nodes: 4, validators: 2, builder: Builder::On };

    fn healthy() -> Sample {
        Sample { readiness: 1, peers: 3, rounds: 1, memory: Some(1e8), ..Sample::default() }
    }

    fn failing(window: &Window) -> Vec<&'static str> {
        CHECKS.iter().filter(|check| check.fails(window, KNOWN)).map(|check| check.name).collect()
    }

    /// What fails after a healthy sample and this one.
    fn after(change: impl FnOnce(&mut Sample)) -> Vec<&'static str> {
        let mut window = Window::default();
        window.add(healthy());
        let mut sample = healthy();
        change(&mut sample);
        window.add(sample);
        failing(&window)
    }

    fn of<K: Ord>(key: K, mean: Mean) -> BTreeMap<K, Mean> {
        BTreeMap::from([(key, mean)])
    }

    #[test]
    fn nothing_fails_of_a_healthy_node_or_without_samples() {
        assert_eq!(failing(&Window::default()), [""; 0]);
        assert_eq!(after(|_| {}), [""; 0]);
    }

    #[test]
    fn each_check_fails_for_its_own_reason() {
        let arrivals = |kind: &str, mean| of((kind.to_owned(), "1".to_owned()), mean);
        let votes = |all, apart| BTreeMap::from([("1".to_owned(), (all, apart))]);
        let calls = |call: &str, mean| of(call.to_owned(), mean);
        for (found, expected) in [
            (after(|sample| sample.readiness = 3), Some("beacon_node_syncing")),
            (after(|sample| sample.pending = 1), Some("pending_validators")),
            (after(|sample| sample.registration_errors = 1.0), Some("high_registration_failures_rate")),
            (after(|sample| sample.too_many = vec![("x", 201)]), Some("metrics_high_cardinality")),
            (
                after(|sample| sample.calls = calls("validators", (10, 10.1))),
                Some("high_beacon_node_latency"),
            ),
            (after(|sample| sample.calls = calls("validators", (10, 9.9))), None),
            (after(|sample| sample.calls = calls("proposal", (10, 19.0))), None),
            (
                after(|sample| sample.calls = calls("proposal", (10, 21.0))),
                Some("high_beacon_node_proposal_latency"),
            ),
            (after(|sample| sample.heads = (100, 5)), Some("high_beacon_node_sse_head_delay")),
            (after(|sample| sample.heads = (100, 4)), None),
            (after(|sample| sample.clock_offset = 0.21), Some("high_peer_clock_offset")),
            (after(|sample| sample.pings = of("a".to_owned(), (10, 1.6))), Some("high_peer_ping_latency")),
            (after(|sample| sample.is_using_fallback = true), Some("using_fallback_beacon_nodes")),
            (after(|sample| sample.rounds = 2), Some("high_consensus_rounds")),
            (after(|sample| sample.short_rounds = 1.0), Some("insufficient_round_changes")),
            (after(|sample| sample.proposal = (1, 0)), None),
            (after(|sample| sample.proposal = (2, 1)), Some("local_block_proposal")),
            (after(|sample| sample.proposal = (1, 2)), Some("local_proposal_fee_recipient_mismatch")),
            (after(|sample| sample.votes = votes(100.0, 5.0)), None),
            (after(|sample| sample.votes = votes(19.0, 19.0)), None),
            (after(|sample| sample.votes = votes(100.0, 6.0)), Some("sync_message_head_disagreement")),
            (
                after(|sample| sample.arrivals = arrivals("attester", (10, 21.0))),
                Some("high_parsigdb_store_latency"),
            ),
            (after(|sample| sample.arrivals = arrivals("proposer", (10, 21.0))), None),
            (
                after(|sample| sample.arrivals = arrivals("proposer", (10, 31.0))),
                Some("high_parsigdb_store_latency_proposer"),
            ),
            (after(|sample| sample.arrivals = arrivals("randao", (10, 99.0))), None),
        ] {
            assert_eq!(found, Vec::from_iter(expected));
        }
    }

    #[test]
    fn blocks_of_the_beacon_node_are_wrong_only_where_builders_are_taken() {
        let mut window = Window::default();
        window.add(Sample { proposal: (2, 1), ..healthy() });
        let failing = |builder| -> Vec<&str> {
            let known = Known { builder, ..KNOWN };
            CHECKS.iter().filter(|check| check.fails(&window, known)).map(|check| check.name).collect()
        };
        assert_eq!(failing(Builder::Off), [""; 0]);
        assert_eq!(failing(Builder::On), ["local_block_proposal"]);
    }

    #[test]
    fn peers_may_be_away_for_a_moment() {
        let mut window = Window::default();
        window.add(healthy());
        for _ in 1..SHORT {
            window.add(Sample { peers: 0, ..healthy() });
            assert_eq!(failing(&window), [""; 0]);
        }
        window.add(Sample { peers: 0, ..healthy() });
        assert_eq!(failing(&window), ["insufficient_connected_peers"]);
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let mut window = Window::default();
        window.add(healthy());
        let slow = || Sample { pings: of("a".to_owned(), (10, 5.0)), heads: (10, 9), ..healthy() };
        window.add(slow());
        assert_eq!(failing(&window), ["high_beacon_node_sse_head_delay", "high_peer_ping_latency"]);
        for _ in 0..SHORT {
            window.add(slow());
        }
        assert_eq!(failing(&window), ["high_beacon_node_sse_head_delay"]);
        for _ in 0..LONG {
            window.add(slow());
        }
        assert_eq!(failing(&window), [""; 0]);
        assert_eq!(window.samples.len(), LONG);
    }

    #[test]
    fn memory_is_compared_with_the_day_before() {
        let grown = |factor: f64| {
            let mut window = Window::default();
            let half = MEMORY / 2 * MEMORY_EVERY as usize;
            for at in 0..=(MEMORY - 1) * MEMORY_EVERY as usize {
                assert_eq!(failing(&window), [""; 0], "there are no two days yet");
                window.add(Sample { memory: Some(if at < half { 1e8 } else { 1e8 * factor }), ..healthy() });
            }
            failing(&window)
        };
        assert_eq!(grown(1.04), [""; 0]);
        assert_eq!(grown(1.06), ["memory_leak"]);
    }
}
