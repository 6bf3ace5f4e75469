//! What became of each duty, and where it ended if it did not succeed.
//!
//! Steps are noted as they are taken. When a duty is over, the first step that is missing after the last one that was
//! taken says what went wrong; the names of reasons are those that dashboards know.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::{Duty, DutyType};
use coxswain_dv_eth::time::{Clock, Time};

use crate::event::{Note, Step};
use crate::inclusion::{self, Fate};
use crate::timers::Timers;

/// Slots after its end at which a duty is looked at: what was sent late is in by then.
const AFTER: u32 = 1;
/// Slots for which the chain is waited for after it should have been told what became of a duty.
const PATIENCE: u64 = 2;

/// What is known of one validator's part.
#[derive(Debug, Default)]
struct Part {
    taken: BTreeMap<Step, Option<String>>,
    shares: BTreeSet<u32>,
}

/// What is known of a duty.
#[derive(Debug, Default)]
struct Tracked {
    parts: BTreeMap<Bytes48, Part>,
    /// Steps of all validators together, with their errors.
    whole: BTreeMap<Step, Option<String>>,
}

/// Duties that are under way.
#[derive(Debug)]
pub struct Tracker {
    clock: Clock,
    me: u32,
    threshold: usize,
    /// Duties of slots before this one are not judged: this node may have seen only a part of them.
    from: u64,
    duties: BTreeMap<Duty, Tracked>,
    ends: Timers<Duty>,
    /// What became of duties that others build on.
    ended: BTreeMap<(Duty, Bytes48), Before>,
}

/// What there is of a duty that another one builds on.
#[derive(Debug, Clone, Copy)]
struct Before {
    /// How many shares signed, and how many of these are others'.
    shares: usize,
    others: usize,
    /// Whether the cluster's value was kept.
    has_value: bool,
}

/// What became of a validator's part in a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The duty.
    pub duty: Duty,
    /// The validator.
    pub key: Bytes48,
    /// Why it did not succeed; none where it did.
    pub failure: Option<Failure>,
    /// Shares that were seen, from 1.
    pub shares: BTreeSet<u32>,
}

/// Why a duty did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step that was not taken.
    pub step: Step,
    /// As dashboards call it.
    pub reason: &'static str,
    /// What was said.
    pub error: Option<String>,
}

impl Step {
    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::Fetcher => "fetcher",
            Step::Consensus => "consensus",
            Step::DutyDb => "duty_db",
            Step::ValidatorApi => "validator_api",
            Step::ParSigDbLocal => "parsig_db_local",
            Step::ParSigEx => "parsig_ex",
            Step::ParSigDbExternal => "parsig_db_external",
            Step::SigAgg => "sig_aggregation",
            Step::AggSigDb => "aggsig_db",
            Step::Bcast => "bcast",
            Step::ChainInclusion => "chain_inclusion",
        }
    }
}

impl Tracker {
    /// A tracker of the node with this share, from 1; duties before a slot are not judged.
    #[must_use]
    pub fn new(clock: Clock, me: u32, threshold: usize, from: u64) -> Tracker {
        let (duties, ended) = (BTreeMap::new(), BTreeMap::new());
        Tracker { clock, me, threshold, from, duties, ends: Timers::default(), ended }
    }

    /// Duties of earlier slots are not judged.
    pub fn judge_from(&mut self, slot: u64) {
        self.from = slot;
    }

    /// Something happened.
    pub fn note(&mut self, note: &Note) {
        match note {
            Note::Duty { duty, step, key, share, error } => {
                self.step(*duty, *step, (*key, *share), error);
            }
            Note::Inclusion { duty, key, fate } => self.inclusion(*duty, key, *fate),
            Note::Withdrawn { duty, key, share } => self.withdrawn(*duty, key, *share),
            _ => {}
        }
    }

    /// A share was seen and is not good: it has not signed, as far as this node knows.
    fn withdrawn(&mut self, duty: Duty, key: &Bytes48, share: u32) {
        let part = self.duties.get_mut(&duty).and_then(|tracked| tracked.parts.get_mut(key));
        let Some(part) = part else { return };
        if part.shares.remove(&share) && part.shares.iter().all(|share| *share == self.me) {
            part.taken.remove(&Step::ParSigDbExternal);
        }
    }

    /// Only what is still to be judged.
    fn inclusion(&mut self, duty: Duty, key: &Bytes48, fate: Fate) {
        let part = self.duties.get_mut(&duty).and_then(|tracked| tracked.parts.get_mut(key));
        let (Some(part), true) = (part, has_inclusion(duty.kind)) else { return };
        match fate {
            Fate::Included { .. } => keep(&mut part.taken, Step::ChainInclusion, &None),
            Fate::Missed => {
                let error = Some("no block of the chain has it".to_owned());
                keep(&mut part.taken, Step::ChainInclusion, &error);
            }
            // What is not known does not count.
            Fate::Unknown => {}
        }
    }

    fn step(
        &mut self,
        duty: Duty,
        step: Step,
        (key, share): (Option<Bytes48>, Option<u32>),
        error: &Option<String>,
    ) {
        if duty.slot < self.from {
            return;
        }
        let Some(deadline) = duty.deadline(&self.clock) else { return };
        let tracked = self.duties.entry(duty).or_insert_with(|| {
            self.ends.at(deadline + self.clock.slot * AFTER, duty);
            Tracked::default()
        });
        let Some(key) = key else {
            keep(&mut tracked.whole, step, error);
            return;
        };
        let part = tracked.parts.entry(key).or_default();
        keep(&mut part.taken, step, error);
        if let (Some(share), None) = (share, error) {
            part.shares.insert(share);
        }
    }

    /// What became of duties that are over.
    pub fn due(&mut self, now: Time) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(duty) = self.ends.due(now) {
            if self.waits_for_the_chain(duty, now) {
                self.ends.at(now + self.clock.slot, duty);
                continue;
            }
            let Some(tracked) = self.duties.remove(&duty) else { continue };
            for (key, part) in &tracked.parts {
                let failure = self.failure(duty, *key, part, &tracked.whole);
                let before = self.before(part);
                self.ended.insert((duty, *key), before);
                reports.push(Report { duty, key: *key, failure, shares: part.shares.clone() });
            }
            if tracked.parts.is_empty()
                && let Some((step, Some(error))) = tracked.whole.last_key_value()
            {
                let reason = match step {
                    Step::Fetcher => self.fetch_reason(duty, None),
                    step => reason_of(*step),
                };
                // A node without a value waits for those of others, and why it has none may be why all have none.
                let error = match tracked.whole.get(&Step::Fetcher) {
                    Some(Some(lack)) if *step == Step::Consensus => format!("{lack}; {error}"),
                    _ => error.clone(),
                };
                let failure = Failure { step: *step, reason, error: Some(error) };
                let key = Bytes48::default();
                reports.push(Report { duty, key, failure: Some(failure), shares: BTreeSet::new() });
            }
            // Two epochs later nothing builds on it any more.
            let old = duty.slot.saturating_sub(2 * self.clock.slots_per_epoch);
            self.ended.extract_if(.., |(duty, _), _| duty.slot < old).for_each(drop);
        }
        reports
    }

    /// Whether something was submitted of which the chain will still tell.
    fn waits_for_the_chain(&self, duty: Duty, now: Time) -> bool {
        let end = self.clock.start_of(inclusion::told_by(duty, &self.clock).saturating_add(PATIENCE));
        let waits = |part: &Part| {
            part.taken.get(&Step::Bcast).is_some_and(Option::is_none)
                && !part.taken.contains_key(&Step::ChainInclusion)
        };
        has_inclusion(duty.kind)
            && now < end
            && self.duties.get(&duty).is_some_and(|tracked| tracked.parts.values().any(waits))
    }

    /// When the next duty is looked at.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.ends.next()
    }

    fn failure(
        &self,
        duty: Duty,
        key: Bytes48,
        part: &Part,
        whole: &BTreeMap<Step, Option<String>>,
    ) -> Option<Failure> {
        let is_good = |step: &Step| part.taken.get(step).or(whole.get(step)).is_some_and(Option::is_none);
        let steps = steps(duty.kind);
        let last = steps.last()?;
        if is_good(last) {
            let missed = part.taken.get(&Step::ChainInclusion)?.clone()?;
            let step = Step::ChainInclusion;
            return Some(Failure { step, reason: reason_of(step), error: Some(missed) });
        }
        let after = steps.iter().rposition(is_good).map_or(0, |last| last + 1);
        let step = *steps.get(after)?;
        let error = part.taken.get(&step).or(whole.get(&step)).cloned().flatten();
        Some(Failure { step, reason: self.reason(duty, key, (step, error.is_some()), part), error })
    }

    fn reason(&self, duty: Duty, key: Bytes48, (step, has_error): (Step, bool), part: &Part) -> &'static str {
        match step {
            Step::Fetcher => self.fetch_reason(duty, Some(&key)),
            Step::ParSigDbExternal | Step::SigAgg => {
                let others = part.shares.iter().filter(|share| **share != self.me).count();
                match (others, part.shares.len() >= self.threshold) {
                    (0, _) => "no_peer_signatures",
                    (_, false) => "insufficient_peer_signatures",
                    (_, true) if has_error => "bug_sig_agg",
                    (_, true) if duty.kind == DutyType::SyncMessage => "par_sig_db_inconsistent_sync",
                    (_, true) => "bug_par_sig_db_inconsistent",
                }
            }
            other => reason_of(other),
        }
    }

    fn before(&self, part: &Part) -> Before {
        Before {
            shares: part.shares.len(),
            others: part.shares.iter().filter(|share| **share != self.me).count(),
            has_value: part.taken.get(&Step::DutyDb).is_some_and(Option::is_none),
        }
    }

    /// What there is of another duty of the slot, over or not, for a validator; or for the one that came furthest.
    fn known(&self, duty: Duty, key: Option<&Bytes48>) -> Option<Before> {
        let is_meant = |of: &Bytes48| key.is_none_or(|key| key == of);
        let under_way = self.duties.get(&duty).into_iter().flat_map(|tracked| &tracked.parts);
        let under_way = under_way.filter(|(of, _)| is_meant(of)).map(|(_, part)| self.before(part));
        let (first, last) = (Bytes48::from([0; 48]), Bytes48::from([u8::MAX; 48]));
        let ended = self.ended.range((duty, first)..=(duty, last));
        let ended = ended.filter(|((_, of), _)| is_meant(of)).map(|(_, before)| *before);
        under_way.chain(ended).max_by_key(|before| (before.has_value, before.shares))
    }

    /// A value that waits for signatures may lack those of an earlier duty: from this node, from others, or some.
    fn fetch_reason(&self, duty: Duty, key: Option<&Bytes48>) -> &'static str {
        const OTHER: &str = "fetch_bn_error";
        let known = |kind| self.known(Duty::new(duty.slot, kind), key);
        let lack = |kind, [zero, no_others, few]: [&'static str; 3]| match known(kind) {
            None | Some(Before { shares: 0, .. }) => Some(zero),
            Some(Before { others: 0, .. }) => Some(no_others),
            Some(Before { shares, .. }) => (shares < self.threshold).then_some(few),
        };
        match duty.kind {
            DutyType::Proposer => {
                let names = [
                    "proposer_zero_randaos",
                    "proposer_no_external_randaos",
                    "proposer_insufficient_randaos",
                ];
                lack(DutyType::Randao, names).unwrap_or(OTHER)
            }
            DutyType::Aggregator => {
                let names = [
                    "zero_aggregator_prepares",
                    "no_aggregator_selections",
                    "insufficient_aggregator_selections",
                ];
                // Aggregators of a slot vote for one thing: any validator's value tells it.
                let attester = self.known(Duty::new(duty.slot, DutyType::Attester), None);
                let has_value = attester.is_some_and(|before| before.has_value);
                let other = if has_value { OTHER } else { "missing_aggregator_attestation" };
                lack(DutyType::PrepareAggregator, names).unwrap_or(other)
            }
            DutyType::SyncContribution => {
                let names = [
                    "sync_contribution_zero_prepares",
                    "sync_contribution_no_external_prepares",
                    "sync_contribution_few_prepares",
                ];
                let votes = known(DutyType::SyncMessage).map_or(0, |before| before.shares);
                let other = if votes < self.threshold { "sync_contribution_no_sync_msg" } else { OTHER };
                lack(DutyType::PrepareSyncContribution, names).unwrap_or(other)
            }
            _ => OTHER,
        }
    }
}

/// Whether a duty is only done when the chain has it. Aggregates are for the votes in them, which may get there otherwise.
fn has_inclusion(kind: DutyType) -> bool {
    matches!(kind, DutyType::Proposer | DutyType::Attester)
}

fn keep(steps: &mut BTreeMap<Step, Option<String>>, step: Step, error: &Option<String>) {
    // A step that was taken once stays taken, whatever fails later.
    match steps.get(&step) {
        Some(None) => {}
        _ => {
            steps.insert(step, error.clone());
        }
    }
}

/// The steps of a type, in order.
fn steps(kind: DutyType) -> &'static [Step] {
    const AGREED: &[Step] = &[
        Step::Fetcher,
        Step::Consensus,
        Step::DutyDb,
        Step::ParSigDbLocal,
        Step::ParSigEx,
        Step::ParSigDbExternal,
        Step::SigAgg,
        Step::AggSigDb,
        Step::Bcast,
    ];
    const SIGNED: &[Step] = &[
        Step::ParSigDbLocal,
        Step::ParSigEx,
        Step::ParSigDbExternal,
        Step::SigAgg,
        Step::AggSigDb,
        Step::Bcast,
    ];
    match kind {
        DutyType::Proposer | DutyType::Attester | DutyType::Aggregator | DutyType::SyncContribution => AGREED,
        DutyType::SyncMessage | DutyType::Exit => SIGNED,
        // They go into something else, not to the chain.
        DutyType::Randao | DutyType::PrepareAggregator | DutyType::PrepareSyncContribution => {
            SIGNED.split_last().map_or(SIGNED, |(_, rest)| rest)
        }
        DutyType::InfoSync => &[Step::Consensus],
        DutyType::Signature | DutyType::BuilderProposer | DutyType::BuilderRegistration => &[],
    }
}

fn reason_of(step: Step) -> &'static str {
    match step {
        Step::Fetcher => "fetch_bn_error",
        Step::Consensus => "no_consensus",
        Step::DutyDb => "bug_duty_db_error",
        Step::ValidatorApi | Step::ParSigDbLocal => "no_local_vc_signature",
        Step::ParSigEx => "bug_par_sig_db_internal",
        Step::ParSigDbExternal => "bug_par_sig_db_external",
        Step::SigAgg => "bug_sig_agg",
        Step::AggSigDb => "bug_aggregation_error",
        Step::Bcast => "broadcast_bn_error",
        Step::ChainInclusion => "not_included_onchain",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const CLOCK: Clock =
        Clock { genesis: Time::from_secs(0), slot: Duration::from_secs(12), slots_per_epoch: 32 };
    const KEY: Bytes48 = coxswain_dv_eth::Bytes([7; 48]);

    fn taken(steps: &[(Step, Option<u32>)]) -> Option<Failure> {
        let duty = Duty::new(5, DutyType::Attester);
        let mut tracker = Tracker::new(CLOCK, 1, 3, 2);
        for (step, share) in steps {
            let note = Note::Duty { duty, step: *step, key: Some(KEY), share: *share, error: None };
            tracker.note(&note);
        }
        assert_eq!(tracker.due(Time::from_secs(5 * 12)), [], "it is not over yet");
        let reports = tracker.due(Time::from_secs(100 * 12));
        assert_eq!(reports.len(), 1);
        reports[0].failure.clone()
    }

    #[test]
    fn the_first_missing_step_says_why() {
        use Step::{
            AggSigDb, Bcast, Consensus, DutyDb, Fetcher, ParSigDbExternal, ParSigDbLocal, ParSigEx, SigAgg,
        };
        let all = [
            (Fetcher, None),
            (Consensus, None),
            (DutyDb, None),
            (ParSigDbLocal, Some(1)),
            (ParSigEx, None),
            (ParSigDbExternal, Some(2)),
            (ParSigDbExternal, Some(3)),
            (SigAgg, None),
            (AggSigDb, None),
            (Bcast, None),
        ];
        let reasons: Vec<_> =
            (1..=all.len()).map(|n| taken(&all[..n]).map(|failure| failure.reason)).collect();
        assert_eq!(
            reasons,
            [
                Some("no_consensus"),
                Some("bug_duty_db_error"),
                Some("no_local_vc_signature"),
                Some("bug_par_sig_db_internal"),
                Some("no_peer_signatures"),
                Some("insufficient_peer_signatures"),
                Some("bug_par_sig_db_inconsistent"),
                Some("bug_aggregation_error"),
                Some("broadcast_bn_error"),
                None,
            ]
        );
    }

    /// A bad share that was counted when it came is none: neither for who signed, nor for why a duty failed.
    #[test]
    fn withdrawn_shares_were_never_seen() {
        use Step::{Consensus, DutyDb, Fetcher, ParSigDbExternal, ParSigDbLocal, ParSigEx};
        let duty = Duty::new(5, DutyType::Attester);
        let report = |theirs: &[u32], withdrawn: &[u32]| {
            let mut tracker = Tracker::new(CLOCK, 1, 3, 2);
            let own = [Fetcher, Consensus, DutyDb, ParSigDbLocal, ParSigEx].map(|step| (step, Some(1)));
            for (step, share) in
                own.into_iter().chain(theirs.iter().map(|one| (ParSigDbExternal, Some(*one))))
            {
                tracker.note(&Note::Duty { duty, step, key: Some(KEY), share, error: None });
            }
            withdrawn
                .iter()
                .for_each(|share| tracker.note(&Note::Withdrawn { duty, key: KEY, share: *share }));
            let report = tracker.due(Time::from_secs(100 * 12)).remove(0);
            let failure = report.failure.expect("it failed");
            (report.shares, failure.step, failure.reason)
        };
        assert_eq!(report(&[2], &[2]), ([1].into(), ParSigDbExternal, "no_peer_signatures"));
        assert_eq!(report(&[2, 3], &[3]), ([1, 2].into(), Step::SigAgg, "insufficient_peer_signatures"));
        assert_eq!(report(&[2, 3], &[]), ([1, 2, 3].into(), Step::SigAgg, "bug_par_sig_db_inconsistent"));
        assert_eq!(report(&[2], &[4]), ([1, 2].into(), Step::SigAgg, "insufficient_peer_signatures"));
        let mut tracker = Tracker::new(CLOCK, 1, 3, 2);
        tracker.note(&Note::Withdrawn { duty, key: KEY, share: 2 });
        assert_eq!(tracker.next(), None, "it begins nothing");
    }

    /// An aggregator's value waits for selections, which are not over when it is.
    #[test]
    fn a_value_that_lacks_earlier_signatures_says_which() {
        let note = |kind, step, key: Option<Bytes48>, share, error: Option<&str>| {
            let duty = Duty::new(5, kind);
            Note::Duty { duty, step, key, share, error: error.map(str::to_owned) }
        };
        // What was signed before, by whom; whether attestations were decided; whose validator failed, or all of them.
        let reason = |kind, before: &[(DutyType, &[u32])], is_decided: bool, key: Option<Bytes48>| {
            let mut tracker = Tracker::new(CLOCK, 1, 3, 2);
            for (kind, shares) in before {
                for share in *shares {
                    let step = if *share == 1 { Step::ParSigDbLocal } else { Step::ParSigDbExternal };
                    tracker.note(&note(*kind, step, Some(KEY), Some(*share), None));
                }
            }
            if is_decided {
                tracker.note(&note(DutyType::Attester, Step::DutyDb, Some(OTHER), None, None));
            }
            tracker.note(&note(kind, Step::Fetcher, key, None, Some("there was no value in time")));
            for slot in 5..200 {
                let reports = tracker.due(Time::from_secs(slot * 12));
                if let Some(report) = reports.into_iter().find(|report| report.duty.kind == kind) {
                    return report.failure.expect("it failed").reason;
                }
            }
            panic!("it is never judged")
        };
        use DutyType::{Aggregator, PrepareAggregator, PrepareSyncContribution, Proposer, Randao};
        for key in [None, Some(KEY)] {
            let of = |shares: &[u32], is_decided| {
                reason(Aggregator, &[(PrepareAggregator, shares)], is_decided, key)
            };
            assert_eq!(of(&[], true), "zero_aggregator_prepares");
            assert_eq!(of(&[1], true), "no_aggregator_selections");
            assert_eq!(of(&[1, 2], true), "insufficient_aggregator_selections");
            assert_eq!(of(&[1, 2, 4], false), "missing_aggregator_attestation");
            assert_eq!(of(&[1, 2, 4], true), "fetch_bn_error");
            let of = |shares: &[u32]| reason(Proposer, &[(Randao, shares)], true, key);
            assert_eq!(of(&[]), "proposer_zero_randaos");
            assert_eq!(of(&[1]), "proposer_no_external_randaos");
            assert_eq!(of(&[2, 3]), "proposer_insufficient_randaos");
            assert_eq!(of(&[2, 3, 4]), "fetch_bn_error");
            let of = |shares: &[u32], votes: &[u32]| {
                let before = [(PrepareSyncContribution, shares), (DutyType::SyncMessage, votes)];
                reason(DutyType::SyncContribution, &before, true, key)
            };
            assert_eq!(of(&[], &[1, 2, 3]), "sync_contribution_zero_prepares");
            assert_eq!(of(&[1], &[1, 2, 3]), "sync_contribution_no_external_prepares");
            assert_eq!(of(&[1, 2], &[1, 2, 3]), "sync_contribution_few_prepares");
            assert_eq!(of(&[1, 2, 3], &[1, 2]), "sync_contribution_no_sync_msg");
            assert_eq!(of(&[1, 2, 3], &[1, 2, 3]), "fetch_bn_error");
        }
        // What another validator has signed is no help to this one.
        assert_eq!(
            reason(Aggregator, &[(PrepareAggregator, &[1, 2, 4][..])], true, Some(OTHER)),
            "zero_aggregator_prepares"
        );
    }

    /// Nobody's part is known, and of two steps the later one has only followed.
    #[test]
    fn a_cluster_that_does_not_agree_says_what_this_node_lacked() {
        let duty = Duty::new(5, DutyType::Attester);
        let said = |steps: &[(Step, &str)]| {
            let mut tracker = Tracker::new(CLOCK, 1, 3, 2);
            for (step, error) in steps {
                let error = Some((*error).to_owned());
                tracker.note(&Note::Duty { duty, step: *step, key: None, share: None, error });
            }
            let failure = tracker.due(Time::from_secs(100 * 12)).remove(0).failure.expect("it failed");
            (failure.reason, failure.error.unwrap_or_default())
        };
        let (fetch, agree) = ((Step::Fetcher, "no value"), (Step::Consensus, "no decision"));
        assert_eq!(said(&[fetch, agree]), ("no_consensus", "no value; no decision".to_owned()));
        assert_eq!(said(&[agree]), ("no_consensus", "no decision".to_owned()));
        assert_eq!(said(&[fetch]), ("fetch_bn_error", "no value".to_owned()));
    }

    #[test]
    fn what_was_before_the_node_is_not_judged() {
        let mut tracker = Tracker::new(CLOCK, 1, 3, 6);
        let duty = Duty::new(5, DutyType::Attester);
        tracker.note(&Note::Duty { duty, step: Step::Fetcher, key: Some(KEY), share: None, error: None });
        assert_eq!(tracker.due(Time::from_secs(10_000)), []);
    }

    /// A duty of slot 5 that was submitted for two validators.
    fn submitted(kind: DutyType) -> (Duty, Tracker) {
        let duty = Duty::new(5, kind);
        let mut tracker = Tracker::new(CLOCK, 1, 1, 2);
        for key in [KEY, OTHER] {
            for step in steps(kind) {
                let note = Note::Duty { duty, step: *step, key: Some(key), share: Some(1), error: None };
                tracker.note(&note);
            }
        }
        (duty, tracker)
    }

    const OTHER: Bytes48 = coxswain_dv_eth::Bytes([8; 48]);

    /// When a duty is judged, looked at slot by slot, and why it failed by validator.
    fn judged(tracker: &mut Tracker, told: &[(u64, Note)]) -> (u64, Vec<Option<&'static str>>) {
        for slot in 5..200 {
            told.iter().filter(|(at, _)| *at == slot).for_each(|(_, note)| tracker.note(note));
            let reports = tracker.due(Time::from_secs(slot * 12));
            if !reports.is_empty() {
                let reasons = reports.iter().map(|one| one.failure.as_ref().map(|failure| failure.reason));
                return (slot, reasons.collect());
            }
        }
        panic!("it is never judged");
    }

    #[test]
    fn blocks_and_attestations_wait_for_the_chain() {
        let fate = |duty, key, fate| Note::Inclusion { duty, key, fate };
        let included = Fate::Included { distance: 1 };
        for (kind, first, last) in [(DutyType::Proposer, 7, 13), (DutyType::Attester, 39, 45)] {
            let (duty, mut tracker) = submitted(kind);
            let told = [(12, fate(duty, KEY, included)), (12, fate(duty, OTHER, Fate::Missed))];
            assert_eq!(
                judged(&mut tracker, &told),
                (first.max(12), vec![None, Some("not_included_onchain")])
            );
            // What comes later than it is judged begins nothing new.
            tracker.note(&fate(duty, OTHER, included));
            assert_eq!(tracker.next(), None);
            // Nobody tells: then it counts that it was submitted, but not at once.
            for told in
                [vec![], vec![(12, fate(duty, KEY, Fate::Unknown)), (12, fate(duty, OTHER, included))]]
            {
                let (_, mut tracker) = submitted(kind);
                assert_eq!(judged(&mut tracker, &told), (last, vec![None, None]), "{kind}");
            }
            // A reorganisation may bring it back.
            let (_, mut tracker) = submitted(kind);
            let told = [KEY, OTHER].map(|key| (8, fate(duty, key, Fate::Missed)));
            let again = [(8, fate(duty, OTHER, included)), (8, fate(duty, KEY, Fate::Missed))];
            let told: Vec<_> = told.into_iter().chain(again).collect();
            assert_eq!(judged(&mut tracker, &told), (first.max(8), vec![Some("not_included_onchain"), None]));
        }
    }

    #[test]
    fn other_duties_do_not_wait_for_the_chain() {
        let (duty, mut tracker) = submitted(DutyType::Aggregator);
        let missed = (12, Note::Inclusion { duty, key: KEY, fate: Fate::Missed });
        assert_eq!(judged(&mut tracker, &[missed]), (39, vec![None, None]));
        assert_eq!(judged(&mut submitted(DutyType::SyncMessage).1, &[]).0, 8);
    }
}
