//! A simulated validator client: it performs every duty over the Beacon API, as real clients do.
//!
//! ```text
//! connect → Plan ─Effect::Do(Job)→ Worker ─requests→ node
//!             ↑                       │
//!             └── Event ── Outcome ───┴→ Report
//! ```
//!
//! Its keys are those of validators, directly at a beacon node, or those of shares behind a node of a cluster
//! ([`Mode`]). In which way it asks is a matter of [`Habits`].
//!
//! # What must never happen
//!
//! - Something slashable is signed: [`guard`] stands before the key.
//! - A node that is down, slow or wrong ends the client: it is written into the [`Report`], and goes on.

pub mod events;
pub mod guard;
pub mod habits;
mod http;
pub mod keys;
pub mod node;
pub mod plan;
pub mod report;
pub mod sign;
pub mod traffic;
mod work;

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coxswain_dv_eth::bytes::{Bytes20, Bytes32, Bytes48};
use coxswain_dv_eth::time::Time;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

pub use self::guard::{Guard, GuardError};
pub use self::habits::Habits;
pub use self::http::HttpError;
pub use self::keys::{Keys, KeysError};
pub use self::node::{Node, Timeouts};
pub use self::plan::Builders;
pub use self::report::{Report, Row};
pub use self::work::{Mode, Terms};

use self::plan::{Effect, Event, Job, Plan, Setup};
use self::report::Tally;
use self::traffic::Traffic;
use self::work::{Outcome, Worker, now};

/// Between two attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(500);
/// Jobs under way; what a slow node keeps longer than this is given up at once, and said.
const MAX_JOBS: usize = 512;
/// Requests of the owner, and events of a node, that wait.
const QUEUE: usize = 64;

/// What a client is made of.
pub struct Settings {
    /// The node.
    pub node: Url,
    /// The keys.
    pub keys: Keys,
    /// Whose they are.
    pub mode: Mode,
    /// In which way it asks.
    pub habits: Habits,
    /// What blocks and registrations say.
    pub terms: Terms,
    /// Whether builders are used.
    pub builders: Builders,
    /// Who leaves, each when its epoch begins.
    pub exits: Vec<(Bytes48, u64)>,
    /// How long requests may take.
    pub timeouts: Timeouts,
    /// Where it is kept what was signed; in memory where there is none.
    pub marks: Option<PathBuf>,
}

impl Settings {
    /// Usual ones.
    #[must_use]
    pub fn new(node: Url, keys: Keys, mode: Mode) -> Settings {
        let mut graffiti = [0; 32];
        graffiti[..15].copy_from_slice(b"coxswain-simnet");
        let terms = Terms {
            fee_recipient: Bytes20::from([0xfe; 20]),
            gas_limit: 36_000_000,
            graffiti: Bytes32::from(graffiti),
            builder_boost: 0,
        };
        let (habits, timeouts) = (Habits::usual(), Timeouts::usual());
        let (builders, exits, marks) = (Builders::Unused, Vec::new(), None);
        Settings { node, keys, mode, habits, terms, builders, exits, timeouts, marks }
    }
}

/// Why a client does not start.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It cannot be kept what is signed.
    #[error("the marks of what was signed cannot be used")]
    Marks(#[from] GuardError),
    /// There is no HTTP.
    #[error("requests to the node cannot be made")]
    Http(#[from] reqwest::Error),
}

/// What its owner tells a client.
enum Command {
    Exit { key: Bytes48, epoch: u64 },
}

/// A client that runs. Dropped, it stops.
pub struct Client {
    commands: mpsc::Sender<Command>,
    report: watch::Receiver<Report>,
    traffic: Arc<Traffic>,
    task: JoinHandle<()>,
}

impl Client {
    /// Starts one on the current runtime.
    ///
    /// # Errors
    /// The settings cannot be used. A node that is down is no error: it is waited for.
    pub fn start(settings: Settings) -> Result<Client, ClientError> {
        let guard = match &settings.marks {
            Some(file) => Guard::at(file)?,
            None => Guard::in_memory(),
        };
        let node = Node::new(settings.node.clone(), settings.habits, settings.timeouts)?;
        let traffic = node.http().traffic();
        let (commands, requests) = mpsc::channel(QUEUE);
        let (told, report) = watch::channel(Report::default());
        let task = tokio::spawn(drive(settings, node, guard, requests, told));
        Ok(Client { commands, report, traffic, task })
    }

    /// What it did up to now.
    #[must_use]
    pub fn report(&self) -> Report {
        let report = self.report.borrow().clone();
        Report { requests: self.traffic.rows(), ..report }
    }

    /// Waits until the report is as it should be. It is asked after each piece of work; requests are not in it then.
    pub async fn reported(&mut self, is_so: impl FnMut(&Report) -> bool) -> Report {
        match self.report.wait_for(is_so).await.map(|report| report.clone()) {
            Ok(report) => Report { requests: self.traffic.rows(), ..report },
            Err(_) => self.report(),
        }
    }

    /// Lets a validator leave, not before an epoch.
    pub async fn exit(&self, key: Bytes48, epoch: u64) {
        // The loop that takes commands ends with the client only.
        let _ = self.commands.send(Command::Exit { key, epoch }).await;
    }

    /// Stops at once.
    #[must_use]
    pub fn stop(self) -> Report {
        self.report()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs a client until `stop` comes.
///
/// # Errors
/// The settings cannot be used.
pub async fn run(settings: Settings, stop: impl Future<Output = ()>) -> Result<Report, ClientError> {
    let client = Client::start(settings)?;
    stop.await;
    Ok(client.stop())
}

/// Waits for the node, then works for ever.
async fn drive(
    settings: Settings,
    node: Node,
    guard: Guard,
    mut commands: mpsc::Receiver<Command>,
    told: watch::Sender<Report>,
) {
    let (chain, version) = loop {
        let found = async { Ok::<_, HttpError>((node.chain().await?, node.version().await?)) };
        match found.await {
            Ok(found) => break found,
            Err(error) => {
                let mut tally = Tally::of("connection");
                tally.count(1, Err::<(), _>(error));
                told.send_modify(|report| report.add(now(), tally));
                tokio::time::sleep(CONNECT_PAUSE).await;
            }
        }
    };
    told.send_modify(|report| {
        report.node = Some(version.clone());
        report.add(now(), Tally { done: 1, ..Tally::of("connection") });
    });
    let habits = *node.habits();
    let plan = Plan::new(Setup {
        clock: chain.clock,
        keys: settings.keys.publics(),
        selections: habits.select_for,
        preparations: habits.preparations,
        attest_at: habits.attest_at,
        builders: settings.builders,
    });
    let (Settings { keys, mode, terms, mut exits, .. }, guard) = (settings, Mutex::new(guard));
    // The next one is the last one of the list.
    exits.sort_by_key(|(_, epoch)| std::cmp::Reverse(*epoch));
    let is_cluster = version.to_lowercase().contains("charon");
    let worker = Arc::new(Worker { node, keys, chain, mode, terms, is_cluster, guard });
    let (to, mut events) = mpsc::channel(QUEUE);
    let mut jobs = JoinSet::new();
    let stream = Arc::clone(&worker);
    let clock = worker.chain.clock;
    // It goes with the set when the client is dropped, and ends with nothing to tell.
    let mut follower = JoinSet::new();
    follower.spawn(async move { events::follow(stream.node.http(), habits.topics, clock, to).await });
    let mut wheel = Wheel { plan, worker, wake: now(), told };
    wheel.turn(Event::Wake, &mut jobs);
    loop {
        let pause = wheel.wake.since(now());
        let leaving = exits.last().map(|(_, epoch)| clock.start_of(clock.first_of(*epoch)).since(now()));
        let event = tokio::select! {
            () = tokio::time::sleep(leaving.unwrap_or_default()), if leaving.is_some() => {
                exits.pop().map(|(key, epoch)| Event::Exit { key, epoch })
            }
            () = tokio::time::sleep(pause) => Some(Event::Wake),
            Some(ended) = jobs.join_next() => wheel.settle(ended),
            Some(news) = events.recv() => wheel.hear(news),
            Some(Command::Exit { key, epoch }) = commands.recv() => Some(Event::Exit { key, epoch }),
        };
        if let Some(event) = event {
            wheel.turn(event, &mut jobs);
        }
    }
}

/// Turns events into jobs.
struct Wheel {
    plan: Plan,
    worker: Arc<Worker>,
    wake: Time,
    told: watch::Sender<Report>,
}

impl Wheel {
    fn turn(&mut self, event: Event, jobs: &mut JoinSet<Outcome>) {
        let at = now();
        let mut tallies = Vec::new();
        for effect in self.plan.step(at, event) {
            match effect {
                Effect::Wake(time) => self.wake = time,
                Effect::Skip { duty, count, why } => {
                    let mut tally = Tally::of(duty.kind.name());
                    tally.skip(count, &format!("slot {}: {}", duty.slot, why.text()));
                    tallies.push(tally);
                }
                Effect::Do(job) if jobs.len() >= MAX_JOBS && job.chore().is_none() => {
                    let clock = &self.worker.chain.clock;
                    let mut tally = Tally::of(job.duty(clock).map_or("requests", |duty| duty.kind.name()));
                    tally.skip(1, "too much is under way already");
                    tallies.push(tally);
                }
                Effect::Do(job) => self.spawn(job, jobs),
            }
        }
        let slot = self.worker.chain.clock.slot_at(at);
        self.told.send_if_modified(|report| {
            let is_new = !tallies.is_empty() || report.slot != slot;
            report.slot = slot;
            for tally in tallies {
                report.add(at, tally);
            }
            is_new
        });
    }

    fn spawn(&self, job: Job, jobs: &mut JoinSet<Outcome>) {
        let worker = Arc::clone(&self.worker);
        jobs.spawn(async move { worker.carry_out(job).await });
    }

    /// Writes down what came of a job; gives what the plan should know.
    fn settle(&mut self, ended: Result<Outcome, tokio::task::JoinError>) -> Option<Event> {
        let outcome = ended.unwrap_or_else(|error| {
            let mut tally = Tally::of("crashes");
            tally.count(1, Err::<(), _>(error));
            Outcome { event: None, tally }
        });
        let known = match &outcome.event {
            Some(Event::Validators(found)) => Some(found.len() as u64),
            _ => None,
        };
        self.told.send_modify(|report| {
            report.validators = known.unwrap_or(report.validators);
            report.add(now(), outcome.tally);
        });
        outcome.event
    }

    fn hear(&mut self, news: Result<Event, HttpError>) -> Option<Event> {
        let mut tally = Tally::of("events");
        let event = tally.count(1, news);
        self.told.send_modify(|report| report.add(now(), tally));
        event
    }
}
