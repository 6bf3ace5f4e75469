//! What becomes of duties, step by step.

use coxswain_dv_beacon::measure::CALL_BOUNDS;

use super::{counter, gauge, histogram};
use crate::monitor::registry::Metric;

const BROADCAST_BOUNDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];
const COMPUTE_BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
const STORE_BOUNDS: &[f64] =
    &[0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 5.0];

pub(in crate::monitor) const SLOT: Metric =
    gauge("core_scheduler_current_slot", &[], "The slot of the clock");
pub(in crate::monitor) const EPOCH: Metric =
    gauge("core_scheduler_current_epoch", &[], "The epoch of the clock");
pub(in crate::monitor) const SKIPPED: Metric =
    counter("core_scheduler_skipped_slots_total", &[], "Slots that this node missed while it ran");
pub(in crate::monitor) const ACTIVE: Metric =
    gauge("core_scheduler_validators_active", &[], "Validators that have duties");
pub(in crate::monitor) const BALANCE: Metric = gauge(
    "core_scheduler_validator_balance_gwei",
    &["pubkey_full", "pubkey"],
    "Balance of a validator, in Gwei",
);
pub(in crate::monitor) const STATUS: Metric = gauge(
    "core_scheduler_validator_status",
    &["pubkey_full", "pubkey", "status"],
    "1 for the status that a validator has on the chain",
);
pub(in crate::monitor) const DECIDED_LEADER: Metric = gauge(
    "core_consensus_decided_leader_index",
    &["protocol", "duty"],
    "Who led the round in which the last duty was decided, from 0",
);
pub(in crate::monitor) const DECIDED_ROUNDS: Metric = gauge(
    "core_consensus_decided_rounds",
    &["protocol", "duty", "timer"],
    "The round in which the last duty was decided",
);
pub(in crate::monitor) const CONSENSUS_DURATION: Metric = histogram(
    "core_consensus_duration_seconds",
    &["protocol", "duty", "timer"],
    CALL_BOUNDS,
    "Seconds from the begin of consensus to its decision",
);
pub(in crate::monitor) const CONSENSUS_ERRORS: Metric =
    counter("core_consensus_error_total", &["protocol"], "Instances of consensus that failed");
pub(in crate::monitor) const CONSENSUS_TIMEOUTS: Metric = counter(
    "core_consensus_timeout_total",
    &["protocol", "duty", "timer"],
    "Instances of consensus that did not decide in time",
);
pub(in crate::monitor) const PARSIG_STORE: Metric = histogram(
    "core_parsigdb_store",
    &["duty", "peer_idx"],
    STORE_BOUNDS,
    "Seconds from when a partial signature is expected to its arrival, by the place of its signer from 0",
);
pub(in crate::monitor) const PARSIG_EXITS: Metric =
    counter("core_parsigdb_exit_total", &["pubkey"], "Partial signatures of voluntary exits");
pub(in crate::monitor) const BROADCASTS: Metric =
    counter("core_bcast_broadcast_total", &["duty"], "Duties that were submitted to beacon nodes");
pub(in crate::monitor) const BROADCAST_DELAY: Metric = histogram(
    "core_bcast_broadcast_delay_seconds",
    &["duty"],
    BROADCAST_BOUNDS,
    "Seconds from when a duty begins to its submission",
);
pub(in crate::monitor) const EXPECTED: Metric =
    counter("core_tracker_expect_duties_total", &["duty"], "Duties that are over");
pub(in crate::monitor) const SUCCEEDED: Metric = counter(
    "core_tracker_success_duties_total",
    &["duty"],
    "Duties that succeeded for at least one validator",
);
pub(in crate::monitor) const FAILED: Metric =
    counter("core_tracker_failed_duties_total", &["duty"], "Duties that failed for all their validators");
pub(in crate::monitor) const REASONS: Metric = counter(
    "core_tracker_failed_duty_reasons_total",
    &["duty", "reason"],
    "Duties that failed for all their validators, by what was missing",
);
pub(in crate::monitor) const ATTESTATIONS: Metric =
    counter("core_tracker_attestation_expect_total", &[], "Attestations of single validators that are over");
pub(in crate::monitor) const ATTESTATIONS_DONE: Metric = counter(
    "core_tracker_attestation_success_total",
    &[],
    "Attestations of single validators that were submitted, and that the chain has as far as it was read",
);
pub(in crate::monitor) const INCONSISTENT: Metric = counter(
    "core_tracker_inconsistent_parsigs_total",
    &["duty"],
    "Duties of single validators that failed because shares signed different things",
);
pub(in crate::monitor) const PARTICIPATION: Metric = gauge(
    "core_tracker_participation",
    &["duty", "peer"],
    "1 where the peer signed for the last duty, else 0; what comes when there are enough others need not be checked",
);
pub(in crate::monitor) const PARTICIPATIONS: Metric = counter(
    "core_tracker_participation_total",
    &["duty", "peer"],
    "Partial signatures of the peer; those that came when there were enough others need not have been checked",
);
pub(in crate::monitor) const PARTICIPATIONS_DONE: Metric = counter(
    "core_tracker_participation_success_total",
    &["duty", "peer"],
    "The same as core_tracker_participation_total",
);
pub(in crate::monitor) const PARTICIPATIONS_MISSED: Metric = counter(
    "core_tracker_participation_missed_total",
    &["duty", "peer"],
    "Partial signatures of the peer that did not come",
);
pub(in crate::monitor) const PARTICIPATIONS_EXPECTED: Metric = counter(
    "core_tracker_participation_expected_total",
    &["duty", "peer"],
    "Partial signatures that the peer should have sent",
);
pub(in crate::monitor) const SCHEDULED: Metric =
    counter("core_scheduler_duty_total", &["duty"], "Validators whose duties have begun");
pub(in crate::monitor) const INSUFFICIENT_ROUND_CHANGES: Metric = counter(
    "core_consensus_insufficient_round_changes_total",
    &["protocol", "duty", "timer", "outcome"],
    "Instances of consensus with a round that ran out because too few nodes gave up the one before",
);
pub(in crate::monitor) const PROPOSAL_BLINDED: Metric = gauge(
    "core_fetcher_proposal_blinded",
    &[],
    "1 where the last block that was fetched is a builder's, 2 where the beacon node made it",
);
pub(in crate::monitor) const PROPOSAL_FEE_RECIPIENT: Metric = gauge(
    "core_fetcher_proposal_local_mismatch_fee_recipient",
    &[],
    "1 where the last block that was fetched pays whom it should, 2 where it does not, 0 where it does not say",
);
pub(in crate::monitor) const VERIFICATION: Metric = histogram(
    "core_parsigex_set_verification_seconds",
    &["duty"],
    COMPUTE_BOUNDS,
    "Seconds until the partial signatures of a message are checked",
);
pub(in crate::monitor) const AGGREGATION: Metric = histogram(
    "core_sigagg_slot_aggregation_seconds",
    &["duty"],
    COMPUTE_BOUNDS,
    "Seconds until partial signatures are put together",
);
pub(in crate::monitor) const INCLUSION_DELAY: Metric = gauge(
    "core_tracker_inclusion_delay",
    &[],
    "Slots from an attestation to the block that has it, in the mean of the last 32 slots with attestations",
);
pub(in crate::monitor) const INCLUSION_MISSED: Metric = counter(
    "core_tracker_inclusion_missed_total",
    &["duty"],
    "What was submitted for single validators and is in no block of the chain",
);
pub(in crate::monitor) const COHORT_RANK: Metric = counter(
    "core_tracker_parsig_cohort_rank_total",
    &["duty", "peer_idx", "rank"],
    "Votes for heads by the place of their signer from 0, and by how many nodes voted for the same: 0 are the most",
);
pub(in crate::monitor) const UNEXPECTED: Metric = counter(
    "core_tracker_unexpected_events_total",
    &["peer"],
    "Partial signatures of the peer for validators that do not have the duty",
);
