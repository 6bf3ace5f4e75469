//! Long computations, on threads of their own. What waits at the same time is done as one batch, checks with checks and sums
//! with sums: checking many signatures together costs a fraction of checking each.
//!
//! What this node's client waits for goes before what peers send. Every job is answered, also one whose computation breaks
//! off: then its parts are computed one by one, and of those that break off alone nothing is known.

use std::collections::VecDeque;
use std::mem::discriminant;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use coxswain_dv_core::{Check, Event, Finding, Job, Output, Ticket, Urgency};
use tokio::sync::mpsc::UnboundedSender;

/// Most signatures that are checked as one batch: one bad signature makes the whole batch be searched.
const BATCH: usize = 2048;

#[derive(Debug, Default)]
struct Queue {
    own: VecDeque<(Ticket, Job)>,
    peers: VecDeque<(Ticket, Job)>,
    is_closed: bool,
}

/// How a job is done: [`Job::run`], or what a test has instead.
type Compute<'a> = &'a dyn Fn(&Job) -> Output;

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
        for (ticket, output) in run(&jobs, &|job| job.run(&mut rand::rng())) {
            if out.send(Event::Computed { ticket, output }).is_err() {
                return;
            }
        }
    }
}

/// What waits: jobs of one kind together.
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

/// A job, and those of its kind behind it.
fn with_more(first: (Ticket, Job), queue: &mut VecDeque<(Ticket, Job)>) -> Vec<(Ticket, Job)> {
    let kind = discriminant(&first.1);
    let mut size = first.1.size();
    let mut jobs = vec![first];
    while size < BATCH {
        match queue.pop_front_if(|(_, next)| discriminant(next) == kind) {
            Some(next) => {
                size += next.1.size();
                jobs.push(next);
            }
            None => break,
        }
    }
    jobs
}

/// Jobs of one kind: together; each for itself where that breaks off, so that one of them does not take the others along.
fn run(jobs: &[(Ticket, Job)], compute: Compute<'_>) -> Vec<(Ticket, Output)> {
    let together = match jobs {
        [_] => None,
        all => attempt(|| compute_together(all, compute)),
    };
    together.unwrap_or_else(|| jobs.iter().map(|(ticket, job)| (*ticket, run_alone(job, compute))).collect())
}

/// Nothing where it breaks off.
fn attempt<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// One job; part by part where it breaks off.
fn run_alone(job: &Job, compute: Compute<'_>) -> Output {
    if let Some(output) = attempt(|| compute(job)) {
        return output;
    }
    tracing::error!(size = job.size(), "a computation broke off: its parts are computed one by one");
    match job {
        Job::Verify(checks) => Output::Verified(checks.iter().map(|one| check_alone(one, compute)).collect()),
        Job::Aggregate(all) => Output::Aggregated(
            all.iter()
                .map(|one| match attempt(|| compute(&Job::Aggregate(vec![one.clone()]))) {
                    Some(Output::Aggregated(whole)) => whole.first().copied().flatten(),
                    Some(Output::Verified(_)) | None => None,
                })
                .collect(),
        ),
    }
}

fn check_alone(check: &Check, compute: Compute<'_>) -> Finding {
    match attempt(|| compute(&Job::Verify(vec![check.clone()]))) {
        Some(Output::Verified(found)) => found.first().copied().unwrap_or(Finding::Unknown),
        Some(Output::Aggregated(_)) | None => Finding::Unknown,
    }
}

fn compute_together(jobs: &[(Ticket, Job)], compute: Compute<'_>) -> Vec<(Ticket, Output)> {
    let (mut checks, mut sums) = (Vec::new(), Vec::new());
    for (_, job) in jobs {
        match job {
            Job::Verify(part) => checks.extend_from_slice(part),
            Job::Aggregate(part) => sums.extend_from_slice(part),
        }
    }
    let all = match jobs.first() {
        Some((_, Job::Aggregate(_))) => Job::Aggregate(sums),
        Some((_, Job::Verify(_))) | None => Job::Verify(checks),
    };
    let sizes = jobs.iter().map(|(ticket, job)| (*ticket, job.size()));
    match compute(&all) {
        Output::Verified(found) => hand_out(sizes, found, Output::Verified),
        Output::Aggregated(whole) => hand_out(sizes, whole, Output::Aggregated),
    }
}

/// To each what is its own.
fn hand_out<T>(
    sizes: impl Iterator<Item = (Ticket, usize)>,
    all: Vec<T>,
    output: fn(Vec<T>) -> Output,
) -> Vec<(Ticket, Output)> {
    let mut rest = all.into_iter();
    sizes.map(|(ticket, size)| (ticket, output(rest.by_ref().take(size).collect()))).collect()
}

#[cfg(test)]
mod tests {
    use coxswain_dv_core::Aggregation;
    use coxswain_dv_core::Finding::{Bad, Good, Unknown};

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

    fn sum(root: [u8; 32]) -> Aggregation {
        let secret = coxswain_dv_crypto::bls::SecretKey::generate(&mut rand::rng());
        let partials = vec![(1, secret.sign(&root).to_bytes().into())];
        Aggregation { group: secret.public(), root, partials }
    }

    #[test]
    fn what_the_client_waits_for_goes_first_and_a_kind_goes_together() {
        let shared = (Mutex::new(Queue::default()), Condvar::new());
        let aggregate = || Job::Aggregate(Vec::new());
        {
            let mut queue = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            queue.peers.extend([verify(1, 2), verify(2, 1)]);
            queue.own.extend([
                verify(3, 1),
                (Ticket(4), aggregate()),
                (Ticket(5), aggregate()),
                verify(6, 1),
            ]);
        }
        let tickets =
            || -> Vec<u64> { take(&shared).into_iter().flatten().map(|(ticket, _)| ticket.0).collect() };
        assert_eq!([tickets(), tickets(), tickets(), tickets()], [vec![3], vec![4, 5], vec![6], vec![1, 2]]);
    }

    #[test]
    fn checks_that_go_together_come_out_each_for_itself() {
        let (bad, mut job) = verify(2, 3);
        if let Job::Verify(checks) = &mut job {
            checks[1].root = [9; 32];
        }
        let outputs = run(&[verify(1, 2), (bad, job), verify(3, 1)], &real);
        let expected = [(1, vec![Good, Good]), (2, vec![Good, Bad, Good]), (3, vec![Good])];
        assert_eq!(found(outputs), expected);
    }

    #[test]
    fn sums_that_go_together_come_out_each_for_itself() {
        let (good, mut wrong) = (sum([1; 32]), sum([2; 32]));
        wrong.root = [9; 32];
        let jobs = [(Ticket(1), vec![good.clone(), wrong]), (Ticket(2), vec![]), (Ticket(3), vec![good])];
        let outputs = run(&jobs.map(|(ticket, sums)| (ticket, Job::Aggregate(sums))), &real);
        let is_there = |(ticket, output): &(Ticket, Output)| match output {
            Output::Aggregated(whole) => (ticket.0, whole.iter().map(Option::is_some).collect::<Vec<bool>>()),
            Output::Verified(_) => panic!("{outputs:?}"),
        };
        let found: Vec<_> = outputs.iter().map(is_there).collect();
        assert_eq!(found, [(1, vec![true, false]), (2, vec![]), (3, vec![true])]);
    }

    fn real(job: &Job) -> Output {
        job.run(&mut rand::rng())
    }

    fn found(outputs: Vec<(Ticket, Output)>) -> Vec<(u64, Vec<Finding>)> {
        let of = |(ticket, output): (Ticket, Output)| match output {
            Output::Verified(found) => Some((ticket.0, found)),
            Output::Aggregated(_) => None,
        };
        outputs.into_iter().filter_map(of).collect()
    }

    /// Breaks off where one of the signatures is over this.
    const POISON: [u8; 32] = [7; 32];

    fn poisoned(job: &Job) -> Output {
        let is_poison = match job {
            Job::Verify(checks) => checks.iter().any(|check| check.root == POISON),
            Job::Aggregate(all) => all.iter().any(|one| one.root == POISON),
        };
        assert!(!is_poison, "it breaks off");
        real(job)
    }

    /// What breaks off takes nothing along: not those that were checked with it, of other jobs or of its own.
    #[test]
    fn a_check_that_breaks_off_is_neither_good_nor_bad() {
        let (broken, mut job) = verify(2, 3);
        if let Job::Verify(checks) = &mut job {
            checks[1].root = POISON;
            checks[2].root = [9; 32];
        }
        let jobs = [verify(1, 2), (broken, job), verify(3, 1)];
        let expected = [(1, vec![Good, Good]), (2, vec![Good, Unknown, Bad]), (3, vec![Good])];
        assert_eq!(found(run(&jobs, &poisoned)), expected);
        assert_eq!(found(run(&jobs[1..2], &poisoned)), expected[1..2]);
    }

    #[test]
    fn a_sum_that_breaks_off_takes_no_other_along() {
        let job = Job::Aggregate(vec![sum([1; 32]), sum(POISON), sum([2; 32])]);
        let outputs = run(&[(Ticket(1), job)], &poisoned);
        let [(Ticket(1), Output::Aggregated(whole))] = outputs.as_slice() else { panic!("{outputs:?}") };
        let is_there: Vec<bool> = whole.iter().map(Option::is_some).collect();
        assert_eq!(is_there, [true, false, true]);
    }
}
