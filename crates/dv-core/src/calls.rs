//! Questions to beacon nodes: what each is for, and trying again while that can help.

use std::collections::BTreeMap;
use std::time::Duration;

use coxswain_dv_eth::beacon::{Answer, Call, CallError, Failure};
use coxswain_dv_eth::bytes::Bytes48;
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::time::Time;

use crate::event::{Effect, Ticket};
use crate::inclusion::{Question, What};
use crate::timers::Timers;

/// The first pause before a second try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Pauses grow by 8/5 each time, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(12);

/// What a question is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Purpose {
    /// Validators of the cluster, to resolve an epoch.
    Validators { epoch: u64 },
    /// Duties of an epoch.
    Duties { epoch: u64 },
    /// A value to agree on.
    Fetch { duty: Duty },
    /// A signature goes out.
    Submit { duty: Duty, keys: Vec<Bytes48>, sought: Vec<(Bytes48, What)> },
    /// Attestation data before their duty begins.
    Ahead { slot: u64 },
    /// A validator client waits for it.
    Client { request: Ticket },
    /// Whether something is on the chain.
    Inclusion { question: Question },
    /// What the chain should know of the cluster's validators.
    Prepare,
}

/// A question and what it is for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) call: Call,
    pub(crate) purpose: Purpose,
    /// Until when trying again helps; none for what is asked once, or for ever, as the pauses say.
    pub(crate) until: Until,
    tries: u32,
}

/// How long a question is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Once.
    Once,
    /// Until a moment.
    Time(Time),
    /// For ever.
    Ever,
}

/// What became of a question.
pub(crate) enum Outcome {
    /// It is answered.
    Answer(Box<Asked>, Box<Answer>),
    /// It is not, and will not be.
    Failed(Box<Asked>, CallError),
    /// It is tried again. With the duty whose value it is for, and why it has no answer yet.
    Again(Option<Duty>, CallError),
    /// Nobody asked.
    Nothing,
}

/// Questions that are open, and those that wait for another try.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: BTreeMap<Ticket, Asked>,
    again: Timers<Asked>,
}

impl Calls {
    /// Asks.
    pub(crate) fn ask(&mut self, ticket: Ticket, call: Call, purpose: Purpose, until: Until) -> Effect {
        self.put(ticket, Asked { call, purpose, until, tries: 0 })
    }

    fn put(&mut self, ticket: Ticket, asked: Asked) -> Effect {
        let call = asked.call.clone();
        self.open.insert(ticket, asked);
        Effect::Call { ticket, call }
    }

    /// Takes what came back.
    pub(crate) fn answered(
        &mut self,
        now: Time,
        ticket: Ticket,
        result: Result<Answer, CallError>,
    ) -> Outcome {
        let Some(mut asked) = self.open.remove(&ticket) else { return Outcome::Nothing };
        let error = match result {
            Ok(answer) => return Outcome::Answer(Box::new(asked), Box::new(answer)),
            Err(error) => error,
        };
        let at = now + pause(asked.tries, ticket);
        let helps = match error.failure {
            Failure::Network | Failure::NotYet => true,
            Failure::Refused | Failure::Malformed => false,
        };
        let in_time = match asked.until {
            Until::Once => false,
            Until::Time(end) => at < end,
            Until::Ever => true,
        };
        if !helps || !in_time {
            return Outcome::Failed(Box::new(asked), error);
        }
        asked.tries += 1;
        let duty = if let Purpose::Fetch { duty } = asked.purpose { Some(duty) } else { None };
        self.again.at(at, asked);
        Outcome::Again(duty, error)
    }

    /// A question whose pause is over.
    pub(crate) fn due(&mut self, now: Time) -> Option<Asked> {
        self.again.due(now)
    }

    /// Asks again.
    pub(crate) fn ask_again(&mut self, ticket: Ticket, asked: Asked) -> Effect {
        self.put(ticket, asked)
    }

    /// When the next pause is over.
    pub(crate) fn next(&self) -> Option<Time> {
        self.again.next()
    }
}

/// Longer each time, and a tenth more or less by the ticket, so that nodes do not all come back at once.
fn pause(tries: u32, ticket: Ticket) -> Duration {
    let mut pause = FIRST_PAUSE;
    for _ in 0..tries.min(16) {
        pause = (pause * 8 / 5).min(LONGEST_PAUSE);
    }
    let share = u32::try_from(ticket.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56).unwrap_or(0);
    pause * 9 / 10 + pause / 5 * share / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(failure: Failure) -> CallError {
        CallError { endpoint: "node_syncing", failure, message: String::new() }
    }

    #[test]
    fn what_can_help_is_tried_until_its_end() {
        let mut calls = Calls::default();
        let end = Time::from_secs(10);
        calls.ask(Ticket(1), Call::Syncing, Purpose::Prepare, Until::Time(end));
        let mut now = Time::default();
        for round in 2..100 {
            match calls.answered(now, Ticket(round - 1), Err(refused(Failure::Network))) {
                Outcome::Failed(..) => {
                    assert!(now > Time::from_secs(2), "given up at {now}");
                    return;
                }
                Outcome::Again(None, _) => {}
                Outcome::Again(..) | Outcome::Nothing => unreachable!("it was asked, and for no duty"),
                Outcome::Answer(..) => unreachable!("nobody answered"),
            }
            now = calls.next().expect("it waits");
            assert!(now < end);
            let asked = calls.due(now).expect("it is due");
            calls.ask_again(Ticket(round), asked);
        }
        panic!("tried for ever");
    }

    #[test]
    fn a_refusal_is_final() {
        let mut calls = Calls::default();
        calls.ask(Ticket(1), Call::Syncing, Purpose::Prepare, Until::Ever);
        let outcome = calls.answered(Time::default(), Ticket(1), Err(refused(Failure::Refused)));
        assert!(matches!(outcome, Outcome::Failed(..)));
        assert!(matches!(calls.answered(Time::default(), Ticket(1), Ok(Answer::Done)), Outcome::Nothing));
    }
}
