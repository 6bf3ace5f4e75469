//! From a duty that begins to what the cluster agreed on.

use std::collections::BTreeMap;

use coxswain_dv_eth::beacon::{Answer, Call, CallError};
use coxswain_dv_eth::bytes::{Bytes32, Bytes48};
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::proposal::{Form, Proposal};
use coxswain_dv_eth::unsigned::Unsigned;

use super::{Node, Timer, Waiter};
use crate::calls::{Purpose, Until};
use crate::duties;
use crate::event::{Note, Payee, Step};
use crate::fetch::{Awaited, Facts, Fetched, Patience};

/// A value on its way.
#[derive(Debug)]
pub(super) struct Fetch {
    asked: Vec<Call>,
    answers: Vec<(Call, Answer)>,
    patience: Patience,
    /// What has to come first.
    awaited: Option<Awaited>,
    /// Why it has not come, or why the last try of a question failed.
    trouble: Option<String>,
}

/// The part of a slot for which a duty waits for all its validators.
const PATIENCE: u32 = 12;

impl Node {
    /// A duty begins: the cluster starts to agree, and the value is gathered.
    pub(super) fn begin(&mut self, duty: Duty) {
        let Some(kind) = duties::kind(duty.kind) else { return };
        if self.fetches.contains_key(&duty) {
            return self.advance(duty);
        }
        if self.scheduler.definitions(duty).is_none() {
            return;
        }
        if !self.touch(duty) {
            return;
        }
        let validators = self.scheduler.definitions(duty).map_or(0, BTreeMap::len);
        self.note(Note::Scheduled { duty, validators });
        let answers = self.known_ahead(duty);
        let asked = answers.iter().map(|(call, _)| call.clone()).collect();
        let fetch = Fetch { asked, answers, patience: Patience::All, awaited: None, trouble: None };
        self.fetches.insert(duty, fetch);
        let clock = self.chain.clock;
        self.timers.at(self.now + clock.slot / PATIENCE, Timer::Impatient(duty));
        if kind.joins_early() {
            self.participate(duty);
        }
        self.advance(duty);
    }

    pub(super) fn lose_patience(&mut self, duty: Duty) {
        if let Some(fetch) = self.fetches.get_mut(&duty) {
            fetch.patience = Patience::WhatIsThere;
            self.advance(duty);
        }
    }

    /// Looks what is known, and asks for what is not.
    pub(super) fn advance(&mut self, duty: Duty) {
        let (Some(fetch), Some(kind)) = (self.fetches.get(&duty), duties::kind(duty.kind)) else { return };
        let Some(definitions) = self.scheduler.definitions(duty) else { return };
        let facts = Facts {
            duty,
            chain: &self.chain,
            choice: &self.choice,
            definitions,
            answers: &fetch.answers,
            aggregated: &self.aggregated,
            decided: &self.decided,
            patience: fetch.patience,
        };
        let fetched = kind.fetch(&facts);
        if let Some(fetch) = self.fetches.get_mut(&duty) {
            fetch.awaited = if let Fetched::Wait(awaited) = fetched { Some(awaited) } else { None };
        }
        match fetched {
            Fetched::Ask(calls) => self.fetch_calls(duty, calls),
            Fetched::Wait(awaited) => self.wait(awaited, Waiter::Fetch(duty)),
            Fetched::Ready(set) => {
                self.fetches.remove(&duty);
                for (key, value) in &set {
                    self.note_step(duty, Step::Fetcher, Some(*key), None);
                    if let Unsigned::Proposer(block) = value {
                        self.note_proposal(duty, *key, block);
                    }
                }
                self.seen(duty, &set);
                self.propose(duty, &set);
            }
            // Impatience is the end of waiting: a duty that then has nothing to do is done.
            Fetched::Nothing => {
                self.fetches.remove(&duty);
            }
        }
    }

    /// Builders pay themselves and then the proposer: only blocks of beacon nodes say whom they pay.
    fn note_proposal(&mut self, duty: Duty, key: Bytes48, block: &Proposal) {
        let form = if block.is_blinded() { Form::Blinded } else { Form::Full };
        let payee = match (form, block.fee_recipient(), self.choice.fee_recipients.get(&key)) {
            (Form::Full, Some(found), Some(wanted)) if found == *wanted => Payee::Wanted,
            (Form::Full, Some(found), Some(wanted)) => Payee::Other { wanted: *wanted, found },
            _ => Payee::Nobody,
        };
        self.note(Note::Proposal { duty, key, form, payee });
    }

    fn fetch_calls(&mut self, duty: Duty, calls: Vec<Call>) {
        let until = duty.deadline(&self.chain.clock).map_or(Until::Ever, Until::Time);
        for call in calls {
            let Some(fetch) = self.fetches.get_mut(&duty) else { return };
            if !fetch.asked.contains(&call) {
                fetch.asked.push(call.clone());
                self.ask(call, Purpose::Fetch { duty }, until);
            }
        }
    }

    pub(super) fn fetched(&mut self, duty: Duty, call: Call, answer: Answer) {
        if let Some(fetch) = self.fetches.get_mut(&duty) {
            fetch.answers.push((call, answer));
            self.advance(duty);
        }
    }

    /// One question has no answer: the validators that need it do nothing, and the others go on.
    pub(super) fn fetch_failed(&mut self, duty: Duty, call: Call, error: &CallError) {
        let Some(fetch) = self.fetches.get_mut(&duty) else { return };
        fetch.answers.push((call, Answer::Done));
        self.note_step(duty, Step::Fetcher, None, Some(error.to_string()));
        self.advance(duty);
    }

    /// A question is tried again: if there is no value in time, that is why.
    pub(super) fn fetch_delayed(&mut self, duty: Duty, error: &CallError) {
        if let Some(fetch) = self.fetches.get_mut(&duty) {
            fetch.trouble = Some(error.to_string());
        }
    }

    /// A duty is about to be over: what waits for something of it is told what was lacking, while that is known.
    pub(super) fn explain_waits(&mut self, duty: Duty) {
        let waits: Vec<(Duty, Awaited)> = self
            .fetches
            .iter()
            .filter_map(|(of, fetch)| Some((*of, fetch.awaited?)))
            .filter(|(_, awaited)| awaited.duty() == duty)
            .collect();
        for (of, awaited) in waits {
            let lack = self.lack(&awaited);
            if let Some(fetch) = self.fetches.get_mut(&of) {
                (fetch.awaited, fetch.trouble) = (None, Some(lack));
            }
        }
    }

    /// There was no value in time: that, and why.
    pub(super) fn too_late_for(&self, fetch: &Fetch) -> String {
        let is_open = |call: &&Call| !fetch.answers.iter().any(|(answered, _)| answered == *call);
        let open = || fetch.asked.iter().find(is_open).map(Call::endpoint);
        let silence = || Some(format!("{}: no beacon node has answered yet", open()?));
        let lack = fetch.awaited.as_ref().map(|awaited| self.lack(awaited));
        let why = lack.or_else(|| fetch.trouble.clone()).or_else(silence);
        why.map_or("there was no value in time".to_owned(), |why| {
            format!("there was no value in time: {why}")
        })
    }

    /// Why something has not come.
    fn lack(&self, awaited: &Awaited) -> String {
        let duty = awaited.duty();
        let Awaited::Aggregated((_, key, _)) = awaited else {
            return format!("the cluster has not agreed on {duty}");
        };
        let me = u32::try_from(self.cluster.me()).unwrap_or(u32::MAX).saturating_add(1);
        let kind = duty.kind.name();
        if self.partials.has(duty, key, me) {
            format!("too few nodes signed {kind}")
        } else {
            format!("no {kind} of the validator client of this node came")
        }
    }

    /// The cluster agreed.
    pub(crate) fn decide(&mut self, duty: Duty, set: &BTreeMap<Bytes48, Unsigned>) {
        self.fetches.remove(&duty);
        let kept = self.decided.keep(duty, set);
        for key in set.keys() {
            let error = kept.as_ref().err().map(ToString::to_string);
            self.note_step(duty, Step::DutyDb, Some(*key), error);
        }
        if let Err(clash) = kept {
            self.note(Note::Trouble { what: format!("keeping what was decided for {duty}: {clash}") });
        }
        for value in set.values() {
            for awaited in answers(value) {
                self.wake(&awaited);
            }
        }
    }
}

/// What a decided value answers.
fn answers(value: &Unsigned) -> Vec<Awaited> {
    match value {
        Unsigned::Attester { data, duty } => {
            vec![Awaited::Attestation(data.slot, duty.committee_index), Awaited::Attestation(data.slot, 0)]
        }
        Unsigned::Proposer(proposal) => vec![Awaited::Proposal(proposal.slot())],
        Unsigned::Aggregator { attestation, .. } => {
            let data = attestation.data();
            let root = Bytes32::from(data.root());
            vec![Awaited::Aggregate(data.slot, root, attestation.committee_index())]
        }
        Unsigned::SyncContribution(contributions) => contributions
            .iter()
            .map(|one| Awaited::Contribution(one.slot, one.subcommittee_index, one.beacon_block_root))
            .collect(),
    }
}
