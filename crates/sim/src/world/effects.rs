//! What nodes have done for them: beacon nodes answer, stores write, jobs are computed.

use std::time::Duration;

use coxswain_dv_core::{Channel, Effect, Event, Note, Ticket};
use coxswain_dv_eth::beacon::{Answer, Call, CallError, Failure};
use coxswain_dv_eth::protect::{self, Signer, Verdict, Wall};

use super::{Fate, Todo, World, Write};
use crate::setting::Shares;
use crate::trace;

impl World {
    pub(super) fn effect(&mut self, machine: usize, effect: Effect) {
        match effect {
            Effect::Call { ticket, call } => self.call(machine, ticket, &call),
            Effect::Reply { ticket, answer } => {
                let Some(asked) = self.machines[machine].asked.remove(&ticket) else { return };
                self.tell(|| format!("{machine} > {}", trace::cut(format!("reply {answer:?}"))));
                if let Ok(answer) = answer.as_ref() {
                    self.check_decided(machine, &asked.request, answer);
                }
                let at = self.now + Duration::from_millis(3);
                self.at(at, Todo::Answered { machine, asked, answer });
            }
            Effect::Send { to, channel, duty, bytes } => {
                match channel {
                    Channel::Qbft => self.check_watching(machine, &duty),
                    Channel::Parsigex => self.check_partials(machine, &bytes),
                }
                self.send(machine, to, channel, &bytes);
            }
            Effect::Request { to, bytes, .. } => self.request(machine, to, &bytes),
            Effect::Respond { ticket, bytes } => self.respond(machine, ticket, bytes.as_deref()),
            Effect::Judge { ticket, signer, requests, slot, epoch } => {
                self.judge(machine, (ticket, signer), requests, Wall { slot, epoch });
            }
            Effect::Compute { ticket, job, .. } => {
                self.check_job(machine, &job);
                let output = self.keys.run(&job);
                let most = if self.happens(self.setting.trouble.slow) { 6_000 } else { 40 };
                self.later(most, machine, Event::Computed { ticket, output });
            }
            Effect::Note(note) => self.note(machine, note),
            Effect::Record(record) => self.check_record(machine, &record),
        }
    }

    // ------------------------------------------------------------------------------------------------ beacon nodes

    fn call(&mut self, machine: usize, ticket: Ticket, call: &Call) {
        if self.happens(self.setting.trouble.unanswered) {
            let (endpoint, failure) = (call.endpoint(), Failure::Network);
            let error = CallError { endpoint, failure, message: "down".to_owned() };
            self.later(3_000, machine, Event::Answered { ticket, result: Err(error) });
            return;
        }
        let one = &self.machines[machine];
        let (node, view) = (one.node, one.view(self.now));
        let result = match self.beacon.answer(view, node, call) {
            Some(result) => result,
            None => {
                self.submit(machine, call);
                Ok(Answer::Done)
            }
        };
        let most = if self.happens(self.setting.trouble.slow) { 4_000 } else { 80 };
        self.later(most, machine, Event::Answered { ticket, result });
    }

    fn submit(&mut self, machine: usize, call: &Call) {
        let clock = self.beacon.clock();
        let (node, is_honest) = (self.machines[machine].node, self.machines[machine].is_honest());
        let shown = self.machines[machine].clock.shows(self.now);
        let epoch = clock.epoch_of(clock.slot_at(shown).unwrap_or(0));
        match call {
            Call::PrepareProposers(all) if !all.is_empty() => {
                self.prepared.insert((node, epoch));
            }
            Call::SubmitRegistrations(all) => {
                if is_honest && *all != self.beacon.registrations {
                    self.fail(format!("node {node}: other registrations than the cluster's"));
                }
                self.registered.insert((node, epoch));
            }
            _ => {}
        }
        for (validator, data) in self.beacon.signatures_of(call) {
            self.check_kept(machine, validator, &data);
            // Where shares sign all, only what one node submits is protected: by its store of groups.
            let who = if self.setting.shares == Shares::Blind { machine } else { 0 };
            let refused = self.beacon.take(&mut self.keys, (who, validator), &data);
            match refused {
                // A liar may submit anything; that it is signed by the group is what counts.
                Some(why) if is_honest || !why.starts_with("no signature") => self.fail(why),
                Some(_) | None => {}
            }
        }
    }

    // -------------------------------------------------------------------------------------------------- the store

    fn judge(
        &mut self,
        machine: usize,
        (ticket, signer): (Ticket, Signer),
        requests: Vec<protect::Request>,
        wall: Wall,
    ) {
        let is_blind = signer == Signer::Share && self.setting.shares == Shares::Blind;
        if !self.machines[machine].is_honest() || is_blind {
            let verdicts = Ok(vec![Verdict::Recorded; requests.len()]);
            self.later(30, machine, Event::Judged { ticket, verdicts });
            return;
        }
        self.check_wall(machine, wall);
        let fate = match self.happens(self.setting.trouble.unwritten) {
            true if self.dice.happens(50) => Fate::FailedAndKept,
            true => Fate::Failed,
            false => Fate::Kept,
        };
        let most = if self.happens(self.setting.trouble.slow) { 5_000 } else { 20 };
        let at = self.now + self.dice.millis(most);
        let life = self.machines[machine].life;
        let middle = self.now + at.since(self.now) / 2;
        if self.machines[machine].dies_writing.take_if(|until| middle < *until).is_some() {
            self.at(middle, Todo::Crash { machine });
        }
        let write = Write { ticket, signer, requests, wall, fate };
        self.at(at, Todo::Write { machine, life, write });
    }

    /// The moment at which a transaction is on the disk, or is not.
    pub(super) fn write(&mut self, machine: usize, life: u32, write: Write) {
        let Write { ticket, signer, requests, wall, fate } = write;
        let is_alive = self.machines[machine].life == life;
        let fate = if is_alive {
            fate
        } else {
            // The machine died while it wrote.
            self.counts.add("writes cut off by a crash", 1);
            if self.dice.happens(50) { Fate::FailedAndKept } else { Fate::Failed }
        };
        let is_forgetful = signer == Signer::Share && self.setting.shares == Shares::Forgetful;
        let one = &mut self.machines[machine];
        let ledger = match signer {
            Signer::Share => &mut one.shares,
            Signer::Group => &mut one.groups,
        };
        let verdicts = match fate {
            Fate::Kept if is_forgetful => Ok(ledger.judge_without_memory(&requests, wall)),
            Fate::Kept => Ok(ledger.judge(&requests, wall)),
            Fate::FailedAndKept => {
                ledger.judge(&requests, wall);
                Err("the disk failed".to_owned())
            }
            Fate::Failed => Err("the disk is full".to_owned()),
        };
        if is_alive {
            self.counts.add("writes that failed", u64::from(verdicts.is_err()));
            self.later(15, machine, Event::Judged { ticket, verdicts });
        }
    }

    // ---------------------------------------------------------------------------------------------------- notes

    fn note(&mut self, machine: usize, note: Note) {
        self.tell(|| format!("{machine} > {}", trace::cut(format!("{note:?}"))));
        if !self.machines[machine].is_honest() {
            return;
        }
        match &note {
            Note::Slashable { .. } => self.counts.add("refused by the store", 1),
            Note::Decided { round, .. } => {
                self.counts.add("decided by nodes", 1);
                self.counts.add("decided after the first round", u64::from(*round > 1));
            }
            Note::Undecided { .. } => self.counts.add("undecided by nodes", 1),
            Note::Refused { .. } | Note::RefusedPreferences { .. } => self.counts.add("messages refused", 1),
            Note::Agreed { slot, agreed } => {
                self.counts.add("agreements on versions, by nodes", 1);
                self.check_agreed(*slot, agreed);
            }
            Note::Duty { .. } => self.check_step(machine, &note),
            _ => {}
        }
    }
}
