//! What the notes of a node come to, as spans: pure but for the ids.
//!
//! Notes tell when something was done. When it began follows from what was before: a value is fetched from when its duty
//! begins, shares are put together from when there are enough, and what is whole is submitted at once. Where nothing says
//! when a step began, its span has no length, and says when it was done.
//!
//! The span of the duty is there while the duty is under way, and goes out when nothing has happened for a slot; what
//! comes later makes a second one in the same trace, as calls of peers do at charon.

use std::collections::BTreeMap;

use coxswain_dv_core::{Note, Step};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::protect::Signer;
use coxswain_dv_eth::time::{Clock, Time};

use super::ids::{Ids, SpanId};

/// Duties under way at a time: of each type those of two epochs, generously. What a peer makes up is checked before it is told.
pub(super) const MAX_OPEN: usize = 2_048;
/// Characters of a reason.
const MAX_TEXT: usize = 512;

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing says it.
    Unset,
    Done,
    Failed(String),
}

/// What a span says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
}

/// Something that has ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) trace: u128,
    pub(super) id: SpanId,
    /// The span of its duty; none of that one.
    pub(super) parent: Option<SpanId>,
    pub(super) name: String,
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) status: Status,
    pub(super) attributes: Vec<(&'static str, Value)>,
}

/// What is known of one validator's part.
#[derive(Debug, Default)]
struct Part {
    /// When each share came first.
    shares: BTreeMap<u32, Time>,
    /// When the group's signature was kept.
    whole_at: Option<Time>,
}

/// A duty under way.
#[derive(Debug)]
struct Open {
    id: SpanId,
    from: Time,
    to: Time,
    status: Status,
    parts: BTreeMap<Bytes48, Part>,
}

/// What took the same step in the same moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    duty: Duty,
    step: Step,
    share: Option<u32>,
    error: Option<String>,
}

/// Makes spans of notes.
#[derive(Debug)]
pub(super) struct Spans {
    clock: Clock,
    threshold: usize,
    ids: Ids,
    open: BTreeMap<Duty, Open>,
    /// Steps of this moment, with the validators that took them.
    calls: (Time, BTreeMap<Call, Vec<Bytes48>>),
    /// Shares of which this moment has shown that they are bad.
    withdrawn: Vec<(Duty, Bytes48, u32)>,
}

/// Charon's name of a step.
fn name(step: Step) -> &'static str {
    match step {
        Step::Fetcher => "core/fetcher.Fetch",
        Step::Consensus => "core/consensus.Propose",
        Step::DutyDb => "core/dutydb.Store",
        Step::ValidatorApi => "core/validatorapi.Submit",
        Step::ParSigDbLocal => "core/parsigdb.StoreInternal",
        Step::ParSigEx => "core/parsigex.Broadcast",
        Step::ParSigDbExternal => "core/parsigdb.StoreExternal",
        Step::SigAgg => "core/sigagg.Aggregate",
        Step::AggSigDb => "core/aggsigdb.Store",
        Step::Bcast => "core/broadcaster.Broadcast",
        Step::ChainInclusion => "core/tracker.Inclusion",
    }
}

impl Spans {
    pub(super) fn new(clock: Clock, threshold: usize, ids: Ids) -> Spans {
        let calls = (Time::default(), BTreeMap::new());
        Spans { clock, threshold, ids, open: BTreeMap::new(), calls, withdrawn: Vec::new() }
    }

    /// Takes a note; says what has ended.
    pub(super) fn note(&mut self, now: Time, note: &Note) -> Vec<Span> {
        let mut ended = Vec::new();
        if now != self.calls.0 {
            self.end_calls(&mut ended);
            self.calls.0 = now;
        }
        if let Note::Duty { duty, step, key, share, error } = note {
            // What the cluster agreed on has a span of its own, which says more.
            if *step == Step::Consensus && error.is_none() {
                return ended;
            }
            let call = Call { duty: *duty, step: *step, share: *share, error: error.as_deref().map(cut) };
            self.calls.1.entry(call).or_default().extend(key);
        } else if let Note::Decided { duty, round, leader, took } = note {
            let from = Time(now.0.saturating_sub(*took));
            let attributes = vec![("round", number(*round)), ("leader", number(*leader as u64))];
            self.add(*duty, "core/qbft.runInstance", (from, now), (Status::Done, attributes), &mut ended);
        } else if let Note::Slashable { key, duty, signer, why } = note {
            let signer = match signer {
                Signer::Share => "share",
                Signer::Group => "group",
            };
            let attributes = vec![("pubkey", text(key)), ("signer", text(signer))];
            let status = Status::Failed(cut(why));
            self.add(*duty, "core/slashing.Judge", (now, now), (status, attributes), &mut ended);
        } else if let Note::TooEarly { key, duty, why } = note {
            let status = Status::Failed(cut(why));
            let attributes = vec![("pubkey", text(key))];
            self.add(*duty, "core/slashing.Judge", (now, now), (status, attributes), &mut ended);
        } else if let Note::Withdrawn { duty, key, share } = note {
            self.withdrawn.push((*duty, *key, *share));
        } else if let Note::Slot { .. } = note {
            let quiet = |open: &Open| now.since(open.to) >= self.clock.slot;
            let duties: Vec<Duty> =
                self.open.iter().filter(|(_, open)| quiet(open)).map(|(duty, _)| *duty).collect();
            ended.extend(duties.into_iter().filter_map(|duty| self.close(duty)));
        }
        ended
    }

    /// Ends everything that is under way.
    pub(super) fn end(&mut self) -> Vec<Span> {
        let mut ended = Vec::new();
        self.end_calls(&mut ended);
        let duties: Vec<Duty> = self.open.keys().copied().collect();
        ended.extend(duties.into_iter().filter_map(|duty| self.close(duty)));
        ended
    }

    fn end_calls(&mut self, ended: &mut Vec<Span>) {
        let at = self.calls.0;
        for (call, keys) in std::mem::take(&mut self.calls.1) {
            self.end_call(at, call, &keys, ended);
        }
        // What came in this moment came before it was looked at.
        for (duty, key, share) in std::mem::take(&mut self.withdrawn) {
            if let Some(part) = self.open.get_mut(&duty).and_then(|open| open.parts.get_mut(&key)) {
                part.shares.remove(&share);
            }
        }
    }

    fn end_call(&mut self, at: Time, call: Call, keys: &[Bytes48], ended: &mut Vec<Span>) {
        let Call { duty, step, share, error } = call;
        let from = self.began(at, (duty, step), keys);
        let mut attributes = match keys {
            [] => Vec::new(),
            [key] => vec![("pubkey", text(key))],
            keys => vec![("validators", number(keys.len() as u64))],
        };
        attributes.extend(share.map(|share| ("share", number(u64::from(share)))));
        let is_good = error.is_none();
        let status = error.map_or(Status::Done, Status::Failed);
        self.add(duty, name(step), (from, at), (status, attributes), ended);
        if is_good && let Some(open) = self.open.get_mut(&duty) {
            for key in keys {
                let part = open.parts.entry(*key).or_default();
                part.take(at, step, share);
            }
        }
    }

    /// When a call began that has ended now.
    fn began(&self, at: Time, (duty, step): (Duty, Step), keys: &[Bytes48]) -> Time {
        let parts = || {
            let open = self.open.get(&duty);
            keys.iter().filter_map(move |key| open?.parts.get(key))
        };
        let began = match step {
            Step::Fetcher | Step::Consensus => Some(duty.start(&self.clock)),
            // Those that came last are what it waited for.
            Step::SigAgg => parts().filter_map(|part| part.enough_at(self.threshold)).max(),
            Step::Bcast => parts().filter_map(|part| part.whole_at).max(),
            Step::DutyDb
            | Step::ValidatorApi
            | Step::ParSigDbLocal
            | Step::ParSigEx
            | Step::ParSigDbExternal
            | Step::AggSigDb
            | Step::ChainInclusion => None,
        };
        began.unwrap_or(at).min(at)
    }

    /// Something of a duty has ended.
    fn add(
        &mut self,
        duty: Duty,
        name: &str,
        (from, to): (Time, Time),
        (status, attributes): (Status, Vec<(&'static str, Value)>),
        ended: &mut Vec<Span>,
    ) {
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&duty) {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.to).map(|(duty, _)| *duty);
            ended.extend(oldest.and_then(|oldest| self.close(oldest)));
        }
        let trace = self.ids.trace(duty);
        let id = self.ids.span();
        let (ids, new) = (&mut self.ids, Status::Unset);
        let open = self.open.entry(duty).or_insert_with(|| Open {
            id: ids.span(),
            from,
            to,
            status: new,
            parts: BTreeMap::new(),
        });
        open.from = open.from.min(from);
        open.to = open.to.max(to);
        // The first failure stays: whoever looks for failures finds the duty.
        if let (Status::Unset | Status::Done, Status::Failed(_)) = (&open.status, &status) {
            open.status = status.clone();
        }
        ended.push(Span {
            trace,
            id,
            parent: Some(open.id),
            name: name.to_owned(),
            from,
            to,
            status,
            attributes: [vec![("duty", text(duty))], attributes].concat(),
        });
    }

    /// The span of a duty ends with what happened last.
    fn close(&mut self, duty: Duty) -> Option<Span> {
        let open = self.open.remove(&duty)?;
        let is_whole = open.parts.values().any(|part| part.whole_at.is_some());
        let status = match open.status {
            Status::Unset if is_whole => Status::Done,
            status => status,
        };
        Some(Span {
            trace: self.ids.trace(duty),
            id: open.id,
            parent: None,
            name: format!("core/duty.{}", duty.kind),
            from: open.from,
            to: open.to,
            status,
            attributes: vec![
                ("service.instance.id", text(duty)),
                ("slot", number(duty.slot)),
                ("validators", number(open.parts.len() as u64)),
            ],
        })
    }
}

impl Part {
    fn take(&mut self, at: Time, step: Step, share: Option<u32>) {
        match step {
            Step::ParSigDbLocal | Step::ParSigDbExternal => {
                if let Some(share) = share {
                    self.shares.entry(share).or_insert(at);
                }
            }
            Step::AggSigDb => self.whole_at = Some(at),
            Step::Fetcher
            | Step::Consensus
            | Step::DutyDb
            | Step::ValidatorApi
            | Step::ParSigEx
            | Step::SigAgg
            | Step::Bcast
            | Step::ChainInclusion => {}
        }
    }

    /// When there were enough shares, of those that are not known to be bad.
    fn enough_at(&self, threshold: usize) -> Option<Time> {
        let mut times: Vec<Time> = self.shares.values().copied().collect();
        times.sort_unstable();
        times.get(threshold.checked_sub(1)?).copied()
    }
}

fn text(value: impl ToString) -> Value {
    Value::Text(value.to_string())
}

fn number(value: u64) -> Value {
    Value::Number(value)
}

fn cut(text: &str) -> String {
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
    text[..end].to_owned()
}
