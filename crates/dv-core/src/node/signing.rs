//! Partial signatures: checked, judged, kept, sent to peers, and put together once there are enough.
//!
//! ```text
//! client ─→ verify ─→ judge (share) ─→ keep ─→ peers
//! peer   ────────────────────────────→ keep ─→ enough? ─→ combine ─→ judge (group) ─→ aggregated ─→ chain
//!                                        ↑                  │ wrong: verify each
//!                                        └── without the bad ┘
//! ```
//!
//! What a peer sends for its own share and a duty that there is is checked as part of the sum only. What a peer sends that
//! was caught is checked first for a while, also what it had sent before.

use std::collections::{BTreeMap, BTreeSet};

use coxswain_dv_eth::bytes::{Bytes48, Bytes96};
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::protect::{Refusal, Request, Signer, Verdict};
use coxswain_dv_eth::signed::{ParSigned, SignedData};
use coxswain_dv_eth::time::Time;

use super::Node;
use crate::aggregated::{Kept, Place};
use crate::calls::{Purpose, Until};
use crate::combine::{Aggregation, Check, Finding, Job, Output};
use crate::duties;
use crate::event::{Channel, Effect, Note, Step, Ticket, Urgency};
use crate::exchange::{self, Item};
use crate::fetch::Awaited;
use crate::partials::{Added, Checked};

mod origin;
mod suspects;

use origin::Origin;
pub(super) use suspects::Suspect;

/// Batches of peers that wait for their check; the rest of what a peer sends meanwhile is dropped.
const BATCHES_PER_PEER: usize = 64;
/// Bytes of their messages: several blocks with blobs, of those who may propose now.
const BYTES_PER_PEER: usize = 64 << 20;

/// Partial signatures on their way.
#[derive(Debug)]
pub(super) struct Batch {
    origin: Origin,
    /// Of the message that it came in, where a peer sent it.
    bytes: usize,
    /// With their places in the request.
    items: Vec<(usize, Item)>,
    /// What is wrong with others of the request.
    failures: Vec<(usize, String)>,
    /// While the store judges: which of the items it was asked about.
    judged: Vec<usize>,
    /// When it came.
    since: Time,
}

/// Whether a refusal says that something contradicts what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grave {
    Yes,
    No,
}

impl Grave {
    fn of(refusal: &Refusal) -> Grave {
        match refusal {
            // Nothing is known of that time: a node that has just got its keys waits like this. And what is of the future for
            // a clock that is behind contradicts nothing.
            Refusal::NotStarted
            | Refusal::OldBlock { .. }
            | Refusal::OldSource { .. }
            | Refusal::OldTarget { .. }
            | Refusal::Future { .. } => Grave::No,
            _ => Grave::Yes,
        }
    }
}

/// Shares that are put together.
#[derive(Debug, Clone)]
pub(super) struct Group {
    place: Place,
    /// What was signed; with the signature of a share at first, then with the group's.
    data: SignedData,
    partials: Vec<ParSigned>,
}

/// Shares of several places that are put together at once.
#[derive(Debug)]
pub(super) struct Groups {
    whole: Vec<Group>,
    /// Since when.
    since: Time,
}

impl Node {
    /// Checks the signatures of a validator client.
    pub(super) fn take_partials(
        &mut self,
        request: Ticket,
        items: Vec<(usize, Item)>,
        failures: Vec<(usize, String)>,
    ) {
        self.verify(self.batch(Origin::Client(request), 0, items, failures));
    }

    /// Takes the signatures of a peer: of its own share, unless it was caught, unchecked.
    pub(crate) fn take_peer_partials(&mut self, from: usize, bytes: usize, items: Vec<Item>) {
        let of_peer = self.batches.values().filter(|batch| batch.origin == Origin::Peer(from));
        let (waiting, waiting_bytes) =
            of_peer.fold((0, 0), |(count, bytes), batch| (count + 1, bytes + batch.bytes));
        if waiting >= BATCHES_PER_PEER || (waiting > 0 && waiting_bytes + bytes > BYTES_PER_PEER) {
            let why = format!("{waiting} of its messages, {waiting_bytes} bytes, wait to be checked");
            self.note(Note::Refused { from, channel: Channel::Parsigex, why });
            return;
        }
        // What nobody has to do never comes to a sum: it would lie here unchecked.
        let is_due = |item: &Item| self.scheduler.has(&item.key, item.duty) == Some(true);
        let is_own = |item: &Item| usize::try_from(item.partial.share_index) == Ok(from + 1);
        let is_trusted =
            !self.trust.is_distrusted(from) && items.iter().all(|item| is_own(item) && is_due(item));
        let items: Vec<(usize, Item)> = items.into_iter().enumerate().collect();
        let batch = self.batch(Origin::Peer(from), bytes, items, Vec::new());
        if is_trusted {
            self.finish(batch, Checked::NotYet);
        } else {
            self.verify(batch);
        }
    }

    fn batch(
        &self,
        origin: Origin,
        bytes: usize,
        items: Vec<(usize, Item)>,
        failures: Vec<(usize, String)>,
    ) -> Batch {
        Batch { origin, bytes, items, failures, judged: Vec::new(), since: self.now }
    }

    fn verify(&mut self, batch: Batch) {
        if batch.items.is_empty() {
            self.finish(batch, Checked::Yes);
            return;
        }
        let checks: Vec<Check> =
            batch.items.iter().flat_map(|(_, item)| item.checks.iter().cloned()).collect();
        let ticket = self.ticket();
        let urgency = match batch.origin {
            Origin::Client(_) => Urgency::Own,
            Origin::Peer(_) | Origin::Kept(_) => Urgency::Peers,
        };
        self.batches.insert(ticket, batch);
        self.effects.push(Effect::Compute { ticket, urgency, job: Job::Verify(checks) });
    }

    pub(super) fn computed(&mut self, ticket: Ticket, output: Output) {
        match output {
            Output::Verified(found) => self.verified(ticket, &found),
            Output::Aggregated(signatures) => self.combined(ticket, signatures),
        }
    }

    fn verified(&mut self, ticket: Ticket, found: &[Finding]) {
        if let Some(groups) = self.suspects.remove(&ticket) {
            return self.suspects_checked(groups, found);
        }
        let Some(mut batch) = self.batches.remove(&ticket) else { return };
        if let (Origin::Peer(_), Some((_, item))) = (batch.origin, batch.items.first()) {
            let (duty, took) = (item.duty, self.now.since(batch.since));
            self.note(Note::Verified { duty, took });
        }
        let mut at = 0;
        let mut kept = Vec::with_capacity(batch.items.len());
        for (position, item) in std::mem::take(&mut batch.items) {
            let of_item = found.get(at..at + item.checks.len()).unwrap_or(&[Finding::Unknown]);
            at += item.checks.len();
            match Finding::of_all(of_item) {
                Finding::Good => kept.push((position, item)),
                found => {
                    let why = self.not_good(batch.origin, &item, found);
                    batch.failures.push((position, why));
                }
            }
        }
        batch.items = kept;
        match batch.origin {
            Origin::Client(_) => self.judge_shares(batch),
            Origin::Peer(_) | Origin::Kept(_) => self.finish(batch, Checked::Yes),
        }
    }

    fn group(&self, place: Place, partials: Vec<ParSigned>) -> Group {
        let mut data = template(&partials, self.cluster.my_share());
        if let Some(validator) = self.scheduler.validator(&place.1) {
            name(&mut data, validator.index);
        }
        Group { place, data, partials }
    }

    /// Asks the store before anything is kept: what is kept may be put together at once.
    fn judge_shares(&mut self, mut batch: Batch) {
        let mut requests = Vec::new();
        for (place, (_, item)) in batch.items.iter().enumerate() {
            if let Some(request) = self.slashable(item.duty, item.key, &item.partial.data) {
                batch.judged.push(place);
                requests.push(request);
            }
        }
        if requests.is_empty() {
            self.finish(batch, Checked::Yes);
            return;
        }
        let ticket = self.ticket();
        self.batches.insert(ticket, batch);
        self.judge(ticket, Signer::Share, requests);
    }

    fn judge(&mut self, ticket: Ticket, signer: Signer, requests: Vec<Request>) {
        let slot = self.current_slot();
        let epoch = self.chain.clock.epoch_of(slot);
        self.effects.push(Effect::Judge { ticket, signer, requests, slot, epoch });
    }

    fn slashable(&self, duty: Duty, key: Bytes48, data: &SignedData) -> Option<Request> {
        let signable = data.signable(&self.chain.clock)?;
        let what = duties::kind(duty.kind)?.slashable(data, self.chain.signing_root(&signable))?;
        Some(Request { key, what })
    }

    pub(super) fn judged(&mut self, ticket: Ticket, verdicts: Result<Vec<Verdict>, String>) {
        if let Some(batch) = self.batches.remove(&ticket) {
            self.shares_judged(batch, verdicts);
        } else if let Some(groups) = self.groups.remove(&ticket) {
            self.groups_judged(groups.whole, verdicts);
        }
    }

    fn shares_judged(&mut self, mut batch: Batch, verdicts: Result<Vec<Verdict>, String>) {
        let judged = std::mem::take(&mut batch.judged);
        let mut refused: BTreeMap<usize, (String, Grave)> = BTreeMap::new();
        match verdicts {
            Err(error) => {
                let why = format!("nothing was signed, because it could not be kept: {error}");
                self.note(Note::Trouble { what: why.clone() });
                refused.extend(judged.into_iter().map(|place| (place, (why.clone(), Grave::No))));
            }
            Ok(verdicts) => {
                let mut verdicts = verdicts.into_iter();
                for place in judged {
                    match verdicts.next() {
                        Some(Verdict::Recorded | Verdict::Again) => {}
                        Some(Verdict::Refused(refusal)) => {
                            refused.insert(place, (refusal.to_string(), Grave::of(&refusal)));
                        }
                        None => {
                            refused.insert(place, ("the store gave no verdict".to_owned(), Grave::Yes));
                        }
                    }
                }
            }
        }
        let items = std::mem::take(&mut batch.items);
        for (place, (position, item)) in items.into_iter().enumerate() {
            match refused.remove(&place) {
                None => batch.items.push((position, item)),
                Some((why, grave)) => {
                    let (key, duty, signer) = (item.key, item.duty, Signer::Share);
                    let told = why.clone();
                    self.note(match grave {
                        Grave::Yes => Note::Slashable { key, duty, signer, why: told },
                        Grave::No => Note::TooEarly { key, duty, why: told },
                    });
                    batch.failures.push((position, format!("{key}: {why}")));
                }
            }
        }
        self.finish(batch, Checked::Yes);
    }

    /// Keeps what is not known to be bad, sends this node's to the peers, and answers the client.
    fn finish(&mut self, mut batch: Batch, checked: Checked) {
        let mut ready = Vec::new();
        let mut out: BTreeMap<Duty, Vec<(Bytes48, ParSigned)>> = BTreeMap::new();
        let is_own = matches!(batch.origin, Origin::Client(_));
        for (position, item) in std::mem::take(&mut batch.items) {
            let Item { duty, key, partial, .. } = item;
            if !self.touch(duty) {
                batch.failures.push((position, format!("{key}: the duty {duty} is over")));
                continue;
            }
            let place = (duty, key, partial.data.subcommittee());
            let added = self.partials.add(place, partial.clone(), checked);
            self.note_added(batch.origin, &place, partial.share_index, &added);
            match added {
                Added::Conflict => {
                    let why = format!("{key}: the share has signed something else for {duty}");
                    batch.failures.push((position, why));
                    continue;
                }
                Added::Enough(partials) => ready.push(self.group(place, partials)),
                Added::Kept | Added::Same => {}
            }
            // What is sent again by the client goes out again: a peer may have missed it.
            if is_own {
                out.entry(duty).or_default().push((key, partial));
            }
        }
        for (duty, items) in out {
            self.send_partials(duty, &items);
        }
        self.combine(ready);
        if let Origin::Client(request) = batch.origin {
            self.partials_taken(request, batch.failures);
        }
    }

    fn send_partials(&mut self, duty: Duty, items: &[(Bytes48, ParSigned)]) {
        for bytes in exchange::write(duty, items) {
            let bytes = std::sync::Arc::new(bytes);
            for to in (0..self.cluster.nodes()).filter(|to| *to != self.cluster.me()) {
                let channel = Channel::Parsigex;
                self.effects.push(Effect::Send { to, channel, duty, bytes: bytes.clone() });
            }
        }
        for (key, _) in items {
            self.note_step(duty, Step::ParSigEx, Some(*key), None);
        }
    }

    fn combine(&mut self, groups: Vec<Group>) {
        let mut aggregations = Vec::with_capacity(groups.len());
        let mut whole = Vec::with_capacity(groups.len());
        for group in groups {
            let (_, key, _) = group.place;
            let Some(validator) = self.cluster.by_key(&key) else { continue };
            let Some(signable) = group.data.signable(&self.chain.clock) else { continue };
            let share = |one: &ParSigned| (u64::from(one.share_index), one.data.signature());
            aggregations.push(Aggregation {
                group: validator.group,
                root: self.chain.signing_root(&signable),
                partials: group.partials.iter().map(share).collect(),
            });
            whole.push(group);
        }
        if aggregations.is_empty() {
            return;
        }
        let ticket = self.ticket();
        let since = self.now;
        self.groups.insert(ticket, Groups { whole, since });
        let (urgency, job) = (Urgency::Own, Job::Aggregate(aggregations));
        self.effects.push(Effect::Compute { ticket, urgency, job });
    }

    fn combined(&mut self, ticket: Ticket, signatures: Vec<Option<Bytes96>>) {
        let Some(Groups { whole: groups, since }) = self.groups.remove(&ticket) else { return };
        let duties: BTreeSet<Duty> = groups.iter().map(|group| group.place.0).collect();
        for duty in duties {
            self.note(Note::Combined { duty, took: self.now.since(since) });
        }
        let mut free = Vec::new();
        let mut bound = Vec::new();
        let mut requests = Vec::new();
        let mut wrong = Vec::new();
        for (mut group, signature) in groups.into_iter().zip(signatures) {
            let (duty, key, _) = group.place;
            let Some(signature) = signature else {
                wrong.push(group);
                continue;
            };
            group.data.set_signature(signature);
            self.note_step(duty, Step::SigAgg, Some(key), None);
            match self.slashable(duty, key, &group.data) {
                Some(request) => {
                    requests.push(request);
                    bound.push(group);
                }
                None => free.push(group),
            }
        }
        self.suspect(wrong);
        self.publish(free);
        if !requests.is_empty() {
            let ticket = self.ticket();
            self.groups.insert(ticket, Groups { whole: bound, since: self.now });
            self.judge(ticket, Signer::Group, requests);
        }
    }

    fn groups_judged(&mut self, groups: Vec<Group>, verdicts: Result<Vec<Verdict>, String>) {
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(error) => {
                let what = format!("nothing was submitted, because it could not be kept: {error}");
                self.note(Note::Trouble { what });
                return;
            }
        };
        let mut good = Vec::new();
        for (group, verdict) in groups.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Recorded | Verdict::Again => good.push(group),
                Verdict::Refused(refusal) => {
                    let (duty, key, _) = group.place;
                    let (signer, why) = (Signer::Group, refusal.to_string());
                    self.note(match Grave::of(&refusal) {
                        Grave::Yes => Note::Slashable { key, duty, signer, why },
                        Grave::No => Note::TooEarly { key, duty, why },
                    });
                }
            }
        }
        self.publish(good);
    }

    /// Signatures of groups: kept for those that wait, and sent to the chain.
    fn publish(&mut self, groups: Vec<Group>) {
        let mut out: BTreeMap<Duty, Vec<(Bytes48, SignedData)>> = BTreeMap::new();
        for Group { place, data, .. } in groups {
            let (duty, key, _) = place;
            // Nobody would forget what comes after the end.
            if !self.touch(duty) {
                let error = Some("the duty was over before its signature was whole".to_owned());
                self.note_step(duty, Step::AggSigDb, Some(key), error);
                continue;
            }
            match self.aggregated.keep(place, data.clone()) {
                Kept::New => {
                    self.note_step(duty, Step::AggSigDb, Some(key), None);
                    self.wake(&Awaited::Aggregated(place));
                    out.entry(duty).or_default().push((key, data));
                }
                Kept::Same => {}
                Kept::Other => {
                    let error = Some("the group has signed something else".to_owned());
                    self.note_step(duty, Step::AggSigDb, Some(key), error);
                }
            }
        }
        for (duty, set) in out {
            self.submit(duty, set);
        }
    }

    fn submit(&mut self, duty: Duty, set: Vec<(Bytes48, SignedData)>) {
        let Some(kind) = duties::kind(duty.kind) else { return };
        let set = self.without_made_up(duty, set);
        let keys: Vec<Bytes48> = set.iter().map(|(key, _)| *key).collect();
        let until = duty.deadline(&self.chain.clock).map_or(Until::Ever, Until::Time);
        let sought = self.sought(duty, &set);
        for call in kind.submit(&self.scheduler, set) {
            let (keys, sought) = (keys.clone(), sought.clone());
            self.ask(call, Purpose::Submit { duty, keys, sought }, until);
        }
    }
}

/// Roots do not cover whose it is: the chain says it, not a peer.
fn name(data: &mut SignedData, index: u64) {
    match data {
        SignedData::Attester(signed) => signed.validator_index = Some(index),
        SignedData::SyncMessage(signed) => signed.validator_index = index,
        SignedData::PrepareAggregator(signed) => signed.validator_index = index,
        SignedData::PrepareSyncContribution(signed) => signed.validator_index = index,
        SignedData::Proposer(_)
        | SignedData::Signature(_)
        | SignedData::Exit(_)
        | SignedData::BuilderRegistration(_)
        | SignedData::Randao(_)
        | SignedData::Aggregator(_)
        | SignedData::SyncContribution(_) => {}
    }
}

/// What the group's signature goes into: what this node's client has signed, where it is among them, because roots do not
/// cover everything that peers could write; else an attestation whose validator is known.
fn template(partials: &[ParSigned], own: u32) -> SignedData {
    let knows_validator = |partial: &&ParSigned| match &partial.data {
        SignedData::Attester(signed) => signed.validator_index.is_some(),
        _ => true,
    };
    let ours = partials.iter().find(|partial| partial.share_index == own);
    let best = ours.or(partials.iter().find(knows_validator)).or(partials.first());
    best.map(|partial| partial.data.clone()).expect("as many as the threshold, which is more than none")
}
