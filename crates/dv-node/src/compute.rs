//! Long computations, on threads of their own. Checks that wait at the same time are done as one batch: checking many
//! signatures together costs a fraction of checking each.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use coxswain_dv_core::{Check, Event, Job, Output, Ticket};
use tokio::sync::mpsc::UnboundedSender;

/// Most signatures that are checked as one batch: one bad signature makes the whole batch be searched.
const BATCH: usize = 2048;

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<(Ticket, Job)>,
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

    pub(crate) fn put(&self, ticket: Ticket, job: Job) {
        let (queue, wake) = &*self.shared;
        queue.lock().unwrap_or_else(PoisonError::into_inner).jobs.push_back((ticket, job));
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
        for (ticket, output) in run(jobs) {
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
        if let Some(first) = queue.jobs.pop_front() {
            let mut size = first.1.size();
            let mut jobs = vec![first];
            while matches!(jobs[0].1, Job::Verify(_)) && size < BATCH {
                match queue.jobs.pop_front_if(|(_, next)| matches!(next, Job::Verify(_))) {
                    Some(next) => {
                        size += next.1.size();
                        jobs.push(next);
                    }
                    None => break,
                }
            }
            return Some(jobs);
        }
        queue = wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

fn run(jobs: Vec<(Ticket, Job)>) -> Vec<(Ticket, Output)> {
    let mut rng = rand::rng();
    if let [(ticket, job)] = jobs.as_slice() {
        return vec![(*ticket, job.run(&mut rng))];
    }
    let mut all: Vec<Check> = Vec::new();
    let mut parts = Vec::with_capacity(jobs.len());
    for (ticket, job) in jobs {
        if let Job::Verify(checks) = job {
            parts.push((ticket, checks.len()));
            all.extend(checks);
        }
    }
    let Output::Verified(good) = Job::Verify(all).run(&mut rng) else { return Vec::new() };
    let mut rest = good.as_slice();
    let mut outputs = Vec::with_capacity(parts.len());
    for (ticket, length) in parts {
        let (part, others) = rest.split_at(length.min(rest.len()));
        outputs.push((ticket, Output::Verified(part.to_vec())));
        rest = others;
    }
    outputs
}
