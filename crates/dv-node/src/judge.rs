//! The store of what was signed, on a thread of its own: a verdict comes back when it is on the disk.

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

/// The thread, and the way to it.
pub(crate) struct Bench {
    questions: Option<std::sync::mpsc::Sender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl Bench {
    pub(crate) fn new(mut judge: Box<dyn Judge>, out: UnboundedSender<Event>) -> std::io::Result<Bench> {
        let (questions, asked) = std::sync::mpsc::channel::<Question>();
        let thread = std::thread::Builder::new().name("judge".to_owned()).spawn(move || {
            while let Ok(question) = asked.recv() {
                let Question { ticket, signer, requests, slot, epoch } = question;
                let verdicts = judge.judge(signer, &requests, slot, epoch);
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
