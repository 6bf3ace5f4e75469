//! The store of what was signed, on a thread of its own: a verdict comes back when it is on the disk.
//!
//! Every question is answered, also by a store that broke off: whoever waits hears that nothing is signed, and why.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

use coxswain_dv_core::{Event, Ticket};
use coxswain_dv_eth::protect::{Request, Signer};
use tokio::sync::mpsc::UnboundedSender;

use crate::driver::Judge;

/// A question to the store.
pub(crate) struct Question {
    pub(crate) ticket: Ticket,
    pub(crate) signer: Signer,
    pub(crate) requests: Vec<Request>,
    pub(crate) slot: u64,
    pub(crate) epoch: u64,
}

/// What is said for a store that broke off.
const BROKEN: &str =
    "the store of what was signed broke off; nothing is signed until the node is started again";

/// The thread, and the way to it.
pub(crate) struct Bench {
    questions: Option<std::sync::mpsc::Sender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl Bench {
    pub(crate) fn new(mut judge: Box<dyn Judge>, out: UnboundedSender<Event>) -> std::io::Result<Bench> {
        let (questions, asked) = std::sync::mpsc::channel::<Question>();
        let thread = std::thread::Builder::new().name("judge".to_owned()).spawn(move || {
            let mut is_broken = false;
            while let Ok(question) = asked.recv() {
                let Question { ticket, signer, requests, slot, epoch } = question;
                let judging = AssertUnwindSafe(|| judge.judge(signer, &requests, slot, epoch));
                // What a store is worth that broke off in the middle is not known: it is not asked again.
                let said = if is_broken { None } else { catch_unwind(judging).ok() };
                is_broken = said.is_none();
                let verdicts = said.unwrap_or_else(|| Err(BROKEN.to_owned()));
                if out.send(Event::Judged { ticket, verdicts }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Bench { questions: Some(questions), thread: Some(thread) })
    }

    pub(crate) fn ask(&self, question: Question) {
        if let Some(questions) = &self.questions {
            // A thread that is gone answers nothing, and then nothing is signed.
            let _ = questions.send(question);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use coxswain_dv_eth::bytes::Bytes48;
    use coxswain_dv_eth::protect::{Verdict, What};
    use tokio::sync::mpsc;

    use super::*;

    /// Breaks off at blocks of slot 1.
    struct Fragile;

    impl Judge for Fragile {
        fn judge(
            &mut self,
            _signer: Signer,
            requests: &[Request],
            _slot: u64,
            _epoch: u64,
        ) -> Result<Vec<Verdict>, String> {
            let breaks = |one: &Request| matches!(one.what, What::Block { slot: 1, .. });
            assert!(!requests.iter().any(breaks), "broken on purpose");
            Ok(requests.iter().map(|_| Verdict::Recorded).collect())
        }
    }

    #[test]
    fn a_store_that_breaks_off_answers_that_nothing_is_signed() {
        let (out, mut events) = mpsc::unbounded_channel();
        let bench = Bench::new(Box::new(Fragile), out).expect("a thread");
        let mut ask = |slot: u64| {
            let requests =
                vec![Request { key: Bytes48::default(), what: What::Block { slot, root: [0; 32] } }];
            bench.ask(Question { ticket: Ticket(slot), signer: Signer::Share, requests, slot, epoch: 0 });
            match events.blocking_recv() {
                Some(Event::Judged { ticket: Ticket(of), verdicts }) => (of, verdicts),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ask(0), (0, Ok(vec![Verdict::Recorded])));
        assert_eq!(ask(1), (1, Err(BROKEN.to_owned())));
        assert_eq!(ask(2), (2, Err(BROKEN.to_owned())));
    }
}
