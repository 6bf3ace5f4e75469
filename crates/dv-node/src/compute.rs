//! Long computations, on threads of their own. Checks that wait at the same time are done as one batch: checking many
//! signatures together costs a fraction of checking each.
//!
//! What this node's client waits for goes before what peers send. Every job is answered, also one whose computation breaks
//! off: then nothing of it is good.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use coxswain_dv_core::{Check, Event, Job, Output, Ticket, Urgency};
use tokio::sync::mpsc::UnboundedSender;

/// Most signatures that are checked as one batch: one bad signature makes the whole batch be searched.
const BATCH: usize = 2048;

#[derive(Debug, Default)]
struct Queue {
    own: VecDeque<(Ticket, Job)>,
    peers: VecDeque<(Ticket, Job)>,
    is_closed: bool,
}

/// Threads that compute.
pub(crate) struct Pool {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// So many threads; what comes out is sent.
    pub(crate) fn new(threads: usize, out: &UnboundedSender<Event>) -> std::io::Result<Pool> {
        let shared: Arc<(Mutex<Queue>, Condvar)> = Arc::default();
        let mut pool = Pool { shared: shared.clone(), threads: Vec::new() };
        for number in 0..threads.max(1) {
            let (shared, out) = (shared.clone(), out.clone());
            let name = format!("compute-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || work(&shared, &out))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    pub(crate) fn put(&self, ticket: Ticket, urgency: Urgency, job: Job) {
        let (queue, wake) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        match urgency {
            Urgency::Own => queue.own.push_back((ticket, job)),
            Urgency::Peers => queue.peers.push_back((ticket, job)),
        }
        wake.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let (queue, wake) = &*self.shared;
        queue.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        wake.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &(Mutex<Queue>, Condvar), out: &UnboundedSender<Event>) {
    while let Some(jobs) = take(shared) {
        for (ticket, output) in run(&jobs) {
            if out.send(Event::Computed { ticket, output }).is_err() {
                return;
            }
        }
    }
}

/// What waits: sums alone, checks together.
fn take((queue, wake): &(Mutex<Queue>, Condvar)) -> Option<Vec<(Ticket, Job)>> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if queue.is_closed {
            return None;
        }
        let waiting = &mut *queue;
        for jobs in [&mut waiting.own, &mut waiting.peers] {
            if let Some(first) = jobs.pop_front() {
                return Some(with_more(first, jobs));
            }
        }
        queue = wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

/// A job, and the checks behind it where it is one.
fn with_more(first: (Ticket, Job), queue: &mut VecDeque<(Ticket, Job)>) -> Vec<(Ticket, Job)> {
    let mut size = first.1.size();
    let mut jobs = vec![first];
    while matches!(jobs[0].1, Job::Verify(_)) && size < BATCH {
        match queue.pop_front_if(|(_, next)| matches!(next, Job::Verify(_))) {
            Some(next) => {
                size += next.1.size();
                jobs.push(next);
            }
            None => break,
        }
    }
    jobs
}

/// Together where they are checks; each for itself where that breaks off, so that one of them does not take the others along.
fn run(jobs: &[(Ticket, Job)]) -> Vec<(Ticket, Output)> {
    let together = match jobs {
        [_] => None,
        all => catch_unwind(AssertUnwindSafe(|| check_together(all))).ok(),
    };
    together.unwrap_or_else(|| jobs.iter().map(|(ticket, job)| (*ticket, run_alone(job))).collect())
}

fn run_alone(job: &Job) -> Output {
    let computed = catch_unwind(AssertUnwindSafe(|| job.run(&mut rand::rng())));
    computed.unwrap_or_else(|_| {
        tracing::error!(size = job.size(), "a computation broke off: nothing of it counts");
        match job {
            Job::Verify(checks) => Output::Verified(vec![false; checks.len()]),
            Job::Aggregate(all) => Output::Aggregated(vec![None; all.len()]),
        }
    })
}

fn check_together(jobs: &[(Ticket, Job)]) -> Vec<(Ticket, Output)> {
    let mut all: Vec<Check> = Vec::new();
    let mut parts = Vec::with_capacity(jobs.len());
    for (ticket, job) in jobs {
        if let Job::Verify(checks) = job {
            parts.push((*ticket, checks.len()));
            all.extend_from_slice(checks);
        }
    }
    let Output::Verified(good) = Job::Verify(all).run(&mut rand::rng()) else { return Vec::new() };
    let mut rest = good.as_slice();
    let mut outputs = Vec::with_capacity(parts.len());
    for (ticket, length) in parts {
        let (part, others) = rest.split_at(length.min(rest.len()));
        outputs.push((ticket, Output::Verified(part.to_vec())));
        rest = others;
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(ticket: u64, checks: usize) -> (Ticket, Job) {
        let seed = coxswain_dv_crypto::bls::SecretKey::generate(&mut rand::rng());
        let check = |place: usize| {
            let root = [u8::try_from(place).unwrap_or(0); 32];
            let signature = coxswain_dv_eth::Bytes(seed.sign(&root).to_bytes());
            Check { key: seed.public(), root, signature }
        };
        (Ticket(ticket), Job::Verify((0..checks).map(check).collect()))
    }

    #[test]
    fn what_the_client_waits_for_goes_first_and_checks_go_together() {
        let shared = (Mutex::new(Queue::default()), Condvar::new());
        let aggregate = || Job::Aggregate(Vec::new());
        {
            let mut queue = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            queue.peers.extend([verify(1, 2), verify(2, 1)]);
            queue.own.extend([verify(3, 1), (Ticket(4), aggregate()), verify(5, 1)]);
        }
        let tickets =
            || -> Vec<u64> { take(&shared).into_iter().flatten().map(|(ticket, _)| ticket.0).collect() };
        assert_eq!([tickets(), tickets(), tickets(), tickets()], [vec![3], vec![4], vec![5], vec![1, 2]]);
    }

    #[test]
    fn checks_that_go_together_come_out_each_for_itself() {
        let (bad, mut job) = verify(2, 3);
        if let Job::Verify(checks) = &mut job {
            checks[1].root = [9; 32];
        }
        let outputs = run(&[verify(1, 2), (bad, job), verify(3, 1)]);
        let goods: Vec<(u64, Vec<bool>)> = outputs
            .into_iter()
            .filter_map(|(ticket, output)| match output {
                Output::Verified(good) => Some((ticket.0, good)),
                Output::Aggregated(_) => None,
            })
            .collect();
        let expected = [(1, vec![true, true]), (2, vec![true, false, true]), (3, vec![true])];
        assert_eq!(goods, expected);
    }
}
