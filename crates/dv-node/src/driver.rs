//! The task that owns the machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use coxswain_dv_core::{Channel, Effect, Event, Node, Note, Ticket};
use coxswain_dv_eth::beacon::{Answer, Call, CallError, ChainEvent};
use coxswain_dv_eth::bytes::{Bytes20, Bytes48};
use coxswain_dv_eth::client::{self, Problem};
use coxswain_dv_eth::duty::Duty;
use coxswain_dv_eth::protect::{Request, Signer, Verdict};
use coxswain_dv_eth::signed::SignedRegistration;
use coxswain_dv_eth::time::Time;
use coxswain_dv_qbft::debugger::Record;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use crate::compute::Pool;
use crate::judge::{Bench, Question};

/// By how much the clock may differ from what went by, until it counts as set.
const CLOCK_SET: Duration = Duration::from_millis(500);
/// Longest sleep: the clock of the machine may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// Beacon nodes.
pub trait Beacon: Send + Sync + 'static {
    /// Asks them.
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Answer, CallError>>;
}

/// The store of what was signed.
pub trait Judge: Send + 'static {
    /// Says what may be signed, and keeps it, durably, before it says so.
    ///
    /// # Errors
    /// Nothing was kept.
    fn judge(
        &mut self,
        signer: Signer,
        requests: &[Request],
        slot: u64,
        epoch: u64,
    ) -> Result<Vec<Verdict>, String>;
}

/// The other nodes.
pub trait Peers: Send + Sync + 'static {
    /// Sends a message; it is lost where the peer cannot be reached.
    fn send(&self, to: usize, channel: Channel, duty: Duty, bytes: Arc<Vec<u8>>);

    /// Asks for preferences; none where the peer does not answer.
    fn request(&self, to: usize, bytes: Arc<Vec<u8>>) -> BoxFuture<'static, Option<Vec<u8>>>;
}

/// Who watches: logs, metrics, the tracker.
pub trait Watch: Send + 'static {
    /// Something happened that operators want to know.
    fn note(&mut self, now: Time, note: &Note);

    /// An instance of consensus is over: what it has seen.
    fn record(&mut self, record: Record);
}

/// What a node is made of.
pub struct Parts {
    /// The machine.
    pub node: Node,
    /// Beacon nodes.
    pub beacon: Arc<dyn Beacon>,
    /// The store.
    pub judge: Box<dyn Judge>,
    /// Peers.
    pub peers: Arc<dyn Peers>,
    /// Who watches.
    pub watch: Box<dyn Watch>,
    /// Threads for computations.
    pub threads: usize,
}

/// What a client asks, and where its answer goes.
type Asked = (client::Request, oneshot::Sender<Result<client::Answer, Problem>>);

/// What peers, beacon nodes and the operator say.
enum Said {
    Received(usize, Channel, Vec<u8>),
    Chain(ChainEvent),
    Registered(BTreeMap<Bytes48, Bytes20>, Vec<SignedRegistration>),
    Requested(usize, Vec<u8>, oneshot::Sender<Option<Arc<Vec<u8>>>>),
}

/// The node has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

/// The way to a node that runs; it stops when all its handles are gone, or when it is told to.
#[derive(Clone)]
pub struct Handle {
    asked: mpsc::Sender<Asked>,
    said: mpsc::Sender<Said>,
    stop: watch::Sender<bool>,
}

/// Requests of clients that wait for the machine. Whoever brings more waits.
const ASKED: usize = 1024;
/// Messages of others that do: few, because they wait by peer before that, where a flood pushes out only itself.
const SAID: usize = 64;

impl Handle {
    /// Asks as a validator client does.
    ///
    /// # Errors
    /// The problem, as HTTP has it.
    pub async fn serve(&self, request: client::Request) -> Result<client::Answer, Problem> {
        let stopped = |_| Problem::new(503, Stopped.to_string());
        let (reply, answer) = oneshot::channel();
        self.asked.send((request, reply)).await.map_err(|_| stopped(()))?;
        answer.await.map_err(|_| stopped(()))?
    }

    /// Takes a message of a peer.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn receive(&self, from: usize, channel: Channel, bytes: Vec<u8>) -> Result<(), Stopped> {
        self.said.send(Said::Received(from, channel, bytes)).await.map_err(|_| Stopped)
    }

    /// Takes a question of a peer; none where there is no answer for it.
    pub async fn requested(&self, from: usize, bytes: Vec<u8>) -> Option<Arc<Vec<u8>>> {
        let (reply, answer) = oneshot::channel();
        self.said.send(Said::Requested(from, bytes, reply)).await.ok()?;
        answer.await.ok()?
    }

    /// Takes what beacon nodes tell.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn chain(&self, event: ChainEvent) -> Result<(), Stopped> {
        self.said.send(Said::Chain(event)).await.map_err(|_| Stopped)
    }

    /// Takes whom blocks pay, by validator, and registrations with builders, from now on.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn registered(
        &self,
        fee_recipients: BTreeMap<Bytes48, Bytes20>,
        registrations: Vec<SignedRegistration>,
    ) -> Result<(), Stopped> {
        self.said.send(Said::Registered(fee_recipients, registrations)).await.map_err(|_| Stopped)
    }

    /// Ends the node.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Starts a node.
///
/// # Errors
/// A thread could not be started.
pub fn start(parts: Parts) -> std::io::Result<(Handle, tokio::task::JoinHandle<()>)> {
    let (asked, requests) = mpsc::channel(ASKED);
    let (said, messages) = mpsc::channel(SAID);
    let (stop, stopped) = watch::channel(false);
    let (events, results) = mpsc::unbounded_channel();
    let driver = Driver {
        node: parts.node,
        beacon: parts.beacon,
        bench: Bench::new(parts.judge, events.clone())?,
        pool: Pool::new(parts.threads, &events)?,
        peers: parts.peers,
        watch: parts.watch,
        events,
        replies: BTreeMap::new(),
        answers: BTreeMap::new(),
        next: 0,
        begun: (now(), Instant::now()),
    };
    let inputs = Inputs { results, requests, messages };
    let task = tokio::spawn(driver.run(inputs, stopped));
    Ok((Handle { asked, said, stop }, task))
}

/// What comes to the machine.
struct Inputs {
    /// Of what it has begun.
    results: mpsc::UnboundedReceiver<Event>,
    requests: mpsc::Receiver<Asked>,
    messages: mpsc::Receiver<Said>,
}

struct Driver {
    node: Node,
    beacon: Arc<dyn Beacon>,
    bench: Bench,
    pool: Pool,
    peers: Arc<dyn Peers>,
    watch: Box<dyn Watch>,
    /// What is carried out comes back here. Without a limit of its own: the machine limits what it has open.
    events: mpsc::UnboundedSender<Event>,
    replies: BTreeMap<Ticket, oneshot::Sender<Result<client::Answer, Problem>>>,
    answers: BTreeMap<Ticket, oneshot::Sender<Option<Arc<Vec<u8>>>>>,
    next: u64,
    /// The clock, and what went by without being set, at one moment.
    begun: (Time, Instant),
}

/// What time it is.
fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

impl Driver {
    async fn run(mut self, mut inputs: Inputs, mut stopped: watch::Receiver<bool>) {
        self.step(Event::Wake);
        loop {
            let wake = self.node.next_wake().map_or(LONGEST_SLEEP, |at| at.since(now())).min(LONGEST_SLEEP);
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                // What was begun is ended first, and the node's own client goes before the many others.
                Some(event) = inputs.results.recv() => self.step(event),
                asked = inputs.requests.recv() => match asked {
                    Some(asked) => self.ask(asked),
                    None => return,
                },
                said = inputs.messages.recv() => match said {
                    Some(said) => self.hear(said),
                    None => return,
                },
                () = tokio::time::sleep(wake) => self.step(Event::Wake),
            }
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    fn ask(&mut self, (request, reply): Asked) {
        self.forget_those_who_left();
        let ticket = self.ticket();
        self.replies.insert(ticket, reply);
        self.step(Event::Asked { ticket, request });
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::Received(from, channel, bytes) => self.step(Event::Received { from, channel, bytes }),
            Said::Chain(event) => self.step(Event::Chain(event)),
            Said::Registered(fee_recipients, registrations) => {
                self.step(Event::Registered { fee_recipients, registrations });
            }
            Said::Requested(from, bytes, reply) => {
                self.answers.retain(|_, reply| !reply.is_closed());
                let ticket = self.ticket();
                self.answers.insert(ticket, reply);
                self.step(Event::Requested { ticket, from, bytes });
            }
        }
    }

    /// Clients that closed their connection, or whose time is over.
    fn forget_those_who_left(&mut self) {
        let left: Vec<Ticket> =
            self.replies.iter().filter(|(_, reply)| reply.is_closed()).map(|(ticket, _)| *ticket).collect();
        for ticket in left {
            self.replies.remove(&ticket);
            self.step(Event::GaveUp { ticket });
        }
    }

    fn step(&mut self, event: Event) {
        let now = now();
        self.look_at_the_clock(now);
        for effect in self.node.step(now, event) {
            self.carry_out(now, effect);
        }
    }

    fn look_at_the_clock(&mut self, now: Time) {
        let (wall, steady) = self.begun;
        let expected = wall + steady.elapsed();
        let by = now.since(expected).max(expected.since(now));
        if by > CLOCK_SET {
            self.begun = (now, Instant::now());
            for effect in self.node.step(now, Event::ClockSet { by }) {
                self.carry_out(now, effect);
            }
        }
    }

    fn carry_out(&mut self, now: Time, effect: Effect) {
        match effect {
            Effect::Call { ticket, call } => {
                let (asking, events) = (self.beacon.call(call), self.events.clone());
                tokio::spawn(async move {
                    let _ = events.send(Event::Answered { ticket, result: asking.await });
                });
            }
            Effect::Reply { ticket, answer } => {
                if let Some(reply) = self.replies.remove(&ticket) {
                    let _ = reply.send(*answer);
                }
            }
            Effect::Send { to, channel, duty, bytes } => self.peers.send(to, channel, duty, bytes),
            Effect::Request { to, bytes, .. } => {
                let (asking, events) = (self.peers.request(to, bytes), self.events.clone());
                tokio::spawn(async move {
                    if let Some(bytes) = asking.await {
                        let _ = events.send(Event::Responded { from: to, bytes });
                    }
                });
            }
            Effect::Respond { ticket, bytes } => {
                if let Some(reply) = self.answers.remove(&ticket) {
                    let _ = reply.send(bytes);
                }
            }
            Effect::Judge { ticket, signer, requests, slot, epoch } => {
                self.bench.ask(Question { ticket, signer, requests, slot, epoch });
            }
            Effect::Compute { ticket, urgency, job } => self.pool.put(ticket, urgency, job),
            Effect::Note(note) => self.watch.note(now, &note),
            Effect::Record(record) => self.watch.record(*record),
        }
    }
}
