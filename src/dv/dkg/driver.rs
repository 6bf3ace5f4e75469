//! The loop between the machine and the world.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_crypto::k1::IdentityPublic;
use coxswain_dv_dkg::ceremony::{Ceremony, Effect, Event, Failure, Outcome, Settings, Tag, Token};
use coxswain_dv_net::{Incoming, Network, PeerId, Protocol, Reply, SendError, peer_id};
use coxswain_dv_wire::bounds::CeremonySize;
use coxswain_dv_wire::peerinfo::{DV_CLIENT, PeerInfo};
use coxswain_dv_wire::protocol::{self as protocols, PROTOCOLS};
use coxswain_dv_wire::sync::MsgSyncResponse;
use coxswain_dv_wire::well_known::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

use super::meet::{self, Meeting, Met};
use super::reports::{self, Heard, Identity, Report};
use super::{Dkg, DkgError, Finished, Store, TELLING, Told};
use coxswain_dv_types::causes::in_full;

/// Events that wait for the machine.
const QUEUE: usize = 1024;
/// How often something whose stream broke is sent again, and the pause before.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// The longest sleep without anything due.
const LONG: Duration = Duration::from_secs(3600);

/// What the loop waits for besides streams.
enum Back {
    Event(Event),
    Prepared(Result<(), String>, Box<Outcome>),
    Stored(Result<(), String>),
}

struct Driver<'a> {
    machine: Ceremony,
    network: Network,
    /// By place; ours among them.
    peers: Vec<PeerId>,
    places: HashMap<PeerId, usize>,
    limit: Duration,
    has_relays: bool,
    info: PeerInfo,
    started: Instant,
    report: watch::Sender<Report>,
    heard: mpsc::Sender<Heard>,
    back: mpsc::Sender<Back>,
    tokens: BTreeMap<Token, Answer>,
    next_token: Token,
    store: Arc<dyn Store>,
    told: &'a (dyn Fn(Told<'_>) + Sync),
    /// Once it is prepared.
    outcome: Option<Outcome>,
    files: Files,
    end: Option<Result<(), Failure>>,
}

/// Where the files of the outcome are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Files {
    None,
    /// Beside their place.
    Prepared,
    OnTheWay,
    InPlace,
}

enum Answer {
    Report(oneshot::Sender<MsgSyncResponse>),
    Message(Reply),
}

/// Runs a ceremony to its end. `store` takes the outcome; `told` is called as it goes on; where `stop`
/// is ready first, it ends.
///
/// # Errors
/// [`DkgError`]; nothing is in its place then.
pub async fn run(
    dkg: Dkg,
    store: Arc<dyn Store>,
    told: &(dyn Fn(Told<'_>) + Sync),
    stop: impl Future<Output = ()>,
) -> Result<Finished, DkgError> {
    let records = dkg.definition.nodes()?;
    let nodes: Vec<IdentityPublic> = records.iter().map(|record| *record.public()).collect();
    let me = nodes.iter().position(|node| *node == dkg.key.public()).ok_or(DkgError::Stranger)?;
    let peers: Vec<PeerId> = nodes.iter().map(peer_id).collect();
    let size = size_of(&dkg, peers.len());
    let settings = network_settings(&dkg, &peers, size);
    let (network, mut incoming) = coxswain_dv_net::start(settings, size.max_waiting_bytes())?;
    let info = info(&dkg);
    let meeting = Meeting {
        network: &network,
        peers: &peers,
        info: &info,
        version: &dkg.version,
        adapts: dkg.adapts,
        has_relays: !dkg.relays.is_empty(),
        limit: dkg.limits.connect,
        told,
    };
    tokio::pin!(stop);
    let ended = match meeting.meet(&mut incoming, &mut stop).await {
        Err(error) => Err(error),
        Ok(met) => {
            let place = Place { network: network.clone(), nodes, me, peers, info, store, told };
            let (driver, begun) = Driver::new(dkg, place, &met)?;
            driver.run(begun, (met.early, incoming), stop).await
        }
    };
    network.stop().await;
    ended
}

/// What a peer can make this node read follows from the ceremony, not from what charon would read.
fn size_of(dkg: &Dkg, nodes: usize) -> CeremonySize {
    CeremonySize {
        nodes,
        validators: dkg.definition.validators.len(),
        threshold: usize::try_from(dkg.definition.threshold).unwrap_or(usize::MAX),
    }
}

fn network_settings(dkg: &Dkg, peers: &[PeerId], size: CeremonySize) -> coxswain_dv_net::Settings {
    let spoken = PROTOCOLS.iter().filter_map(|protocol| {
        let known = Protocol::of_ceremony(protocol, dkg.limits.step)?;
        Some(Protocol { max_bytes: size.max_bytes(protocol), ..known })
    });
    coxswain_dv_net::Settings {
        key: dkg.key.clone(),
        agent: format!("coxswain/{}", env!("CARGO_PKG_VERSION")),
        peers: peers.to_vec(),
        relays: dkg.relays.clone(),
        resolve: Arc::clone(&dkg.resolve),
        listen: dkg.listen.clone(),
        external: dkg.external.clone(),
        protocols: spoken.collect(),
    }
}

fn info(dkg: &Dkg) -> PeerInfo {
    PeerInfo {
        charon_version: dkg.version.to_string(),
        lock_hash: dkg.definition.definition_hash.to_vec(),
        git_hash: "unknown".to_owned(),
        started_at: Timestamp::from_unix_nanos(jiff::Timestamp::now().as_nanosecond()),
        nickname: dkg.nickname.clone(),
        dv_client: DV_CLIENT.to_owned(),
        ..PeerInfo::default()
    }
}

/// Where a driver works.
struct Place<'a> {
    network: Network,
    nodes: Vec<IdentityPublic>,
    me: usize,
    peers: Vec<PeerId>,
    info: PeerInfo,
    store: Arc<dyn Store>,
    told: &'a (dyn Fn(Told<'_>) + Sync),
}

/// What a driver begins with.
struct Begun {
    effects: Vec<Effect>,
    identity: Identity,
    shutdown_delay: Duration,
    heard: mpsc::Receiver<Heard>,
    back: mpsc::Receiver<Back>,
}

impl<'a> Driver<'a> {
    fn new(dkg: Dkg, place: Place<'a>, met: &Met) -> Result<(Self, Begun), DkgError> {
        let Place { network, nodes, me, peers, info, store, told } = place;
        let identity = Identity::new(&dkg.key, &dkg.definition.definition_hash, met.version, &dkg.nickname);
        let (limit, shutdown_delay) = (dkg.limits.step, dkg.shutdown_delay);
        let has_relays = !dkg.relays.is_empty();
        let (machine, effects) = Ceremony::new(Settings {
            definition: dkg.definition,
            network: dkg.network,
            networks: dkg.networks,
            key: dkg.key,
            me,
            nodes,
            version: met.version,
            broadcast: met.broadcast,
            limits: dkg.limits,
            verify: dkg.verify,
        })?;
        let (heard, to_hear) = mpsc::channel(QUEUE);
        let (back, coming_back) = mpsc::channel(QUEUE);
        let (report, _) = watch::channel(Report { step: 0, leaving: false });
        let driver = Self {
            machine,
            network,
            places: peers.iter().enumerate().map(|(place, peer)| (*peer, place)).collect(),
            peers,
            limit,
            has_relays,
            info,
            started: Instant::now(),
            report,
            heard,
            back,
            tokens: BTreeMap::new(),
            next_token: 0,
            store,
            told,
            outcome: None,
            files: Files::None,
            end: None,
        };
        Ok((driver, Begun { effects, identity, shutdown_delay, heard: to_hear, back: coming_back }))
    }
}

impl Driver<'_> {
    async fn run(
        mut self,
        begun: Begun,
        (early, mut incoming): (Vec<Incoming>, mpsc::Receiver<Incoming>),
        mut stop: impl Future<Output = ()> + Unpin,
    ) -> Result<Finished, DkgError> {
        let Begun { effects, identity, shutdown_delay, mut heard, mut back } = begun;
        for (place, peer) in self.peers.iter().enumerate().filter(|(_, peer)| **peer != self.network.me()) {
            let (network, report) = (self.network.clone(), self.report.subscribe());
            tokio::spawn(reports::report_to(
                (place, *peer),
                network,
                identity.clone(),
                report,
                self.heard.clone(),
            ));
        }
        self.carry_out(effects);
        for event in early {
            self.incoming(event);
        }
        let mut stay_until = None;
        let mut is_stopped = false;
        loop {
            let due = match stay_until {
                Some(until) => until,
                None => self.machine.due().map_or(self.started + LONG, |due| self.started + due),
            };
            tokio::select! {
                Some(event) = incoming.recv() => self.incoming(event),
                Some(heard) = heard.recv() => match heard {
                    Heard::Event(event) => self.event(event),
                    Heard::Report { from, report, answer } => {
                        let token = self.token(Answer::Report(answer));
                        self.event(Event::Report { from, report, token });
                    }
                },
                Some(back) = back.recv() => match back {
                    Back::Event(event) => self.event(event),
                    Back::Prepared(result, outcome) => {
                        if result.is_ok() {
                            (self.outcome, self.files) = (Some(*outcome), Files::Prepared);
                        }
                        self.event(Event::Prepared(result));
                    }
                    Back::Stored(result) => {
                        self.files = if result.is_ok() { Files::InPlace } else { Files::None };
                        self.event(Event::Stored(result));
                        if is_stopped {
                            return self.ended();
                        }
                    }
                },
                () = sleep_until(due) => match stay_until {
                    Some(_) => return self.ended(),
                    None => self.event(Event::Tick),
                },
                () = &mut stop, if !is_stopped => match self.files {
                    // A rename that has begun is waited for: what is on the disk then is what is said.
                    Files::OnTheWay => is_stopped = true,
                    Files::None | Files::Prepared | Files::InPlace => return self.ended(),
                },
            }
            if stay_until.is_none()
                && let Some(end) = &self.end
            {
                let stay = if end.is_ok() { shutdown_delay } else { TELLING };
                stay_until = Some(Instant::now() + stay);
            }
        }
    }

    fn ended(self) -> Result<Finished, DkgError> {
        let end = self.end.unwrap_or(Err(Failure::Stopped));
        match (self.files, self.outcome, end) {
            (Files::InPlace, Some(outcome), end) => Ok(Finished { outcome, parting: end.err() }),
            // Others may have passed the barrier that this node did not. What is not kept the store removes.
            (Files::Prepared, Some(_), Err(why)) if self.machine.may_be_in_place_elsewhere() => {
                match self.store.keep() {
                    Some(path) => Err(DkgError::Unsure { why, path }),
                    None => Err(why.into()),
                }
            }
            (_, _, Err(Failure::Stopped) | Ok(())) => Err(DkgError::Stopped),
            (_, _, Err(failure)) => {
                let is_alone = self.has_relays && self.network.status().borrow().reservations == 0;
                Err(if is_alone { DkgError::RelayLost(failure) } else { failure.into() })
            }
        }
    }

    fn token(&mut self, answer: Answer) -> Token {
        self.next_token += 1;
        self.tokens.insert(self.next_token, answer);
        self.next_token
    }

    fn incoming(&mut self, event: Incoming) {
        match event {
            Incoming::Stream { peer, stream, place, .. } => {
                let Some(from) = self.places.get(&peer) else { return };
                tokio::spawn(reports::hear_from(*from, (stream, place), self.heard.clone()));
            }
            Incoming::Message { protocol, reply, .. } if protocol == protocols::PEERINFO.id => {
                reply.send(meet::answer(&self.info));
            }
            Incoming::Message { peer, protocol, bytes, reply } => {
                let Some(from) = self.places.get(&peer).copied() else { return };
                let token = self.token(Answer::Message(reply));
                self.event(Event::Message { from, protocol, bytes, token });
                // Whatever was not answered by now is not answered.
                self.tokens.remove(&token);
            }
        }
    }

    fn event(&mut self, event: Event) {
        let effects = self.machine.step(self.started.elapsed(), event);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in VecDeque::from(effects) {
            match effect {
                Effect::Report { step, leaving } => {
                    self.report.send_replace(Report { step, leaving });
                }
                Effect::AnswerReport { token, answer } => {
                    if let Some(Answer::Report(to)) = self.tokens.remove(&token) {
                        // The stream may have ended.
                        let _ = to.send(answer);
                    }
                }
                Effect::Answer { token, bytes } => {
                    if let Some(Answer::Message(reply)) = self.tokens.remove(&token) {
                        reply.send(bytes);
                    }
                }
                Effect::Send { to, protocol, bytes, tag } => {
                    let Some(protocol) = Protocol::of_ceremony(protocol, self.limit) else { continue };
                    tokio::spawn(send(
                        self.network.clone(),
                        (to, self.peers[to]),
                        protocol,
                        (bytes, tag),
                        self.back.clone(),
                    ));
                }
                Effect::Compute(job) => {
                    let back = self.back.clone();
                    tokio::task::spawn_blocking(move || {
                        let output = job.run(&mut rand::rng());
                        // Refused only when the loop is gone.
                        drop(back.blocking_send(Back::Event(Event::Computed(output))));
                    });
                }
                Effect::Prepare(outcome) => {
                    let (store, back) = (Arc::clone(&self.store), self.back.clone());
                    tokio::task::spawn_blocking(move || {
                        let result = store.prepare(&outcome);
                        drop(back.blocking_send(Back::Prepared(result, outcome)));
                    });
                }
                Effect::Commit => {
                    self.files = Files::OnTheWay;
                    let (store, back) = (Arc::clone(&self.store), self.back.clone());
                    tokio::task::spawn_blocking(move || {
                        drop(back.blocking_send(Back::Stored(store.commit())))
                    });
                }
                Effect::Progress(progress) => (self.told)(Told::Progress(&progress)),
                Effect::Done => self.end = Some(Ok(())),
                Effect::Failed(failure) => self.end = Some(Err(failure)),
            }
        }
    }
}

async fn send(
    network: Network,
    (to, peer): (usize, PeerId),
    protocol: Protocol,
    (bytes, tag): (Zeroizing<Vec<u8>>, Tag),
    back: mpsc::Sender<Back>,
) {
    let mut tries = 0;
    let result = loop {
        tries += 1;
        let result: Result<Zeroizing<Vec<u8>>, SendError> = match protocol.kind {
            coxswain_dv_net::Kind::OneWay => {
                network.send(peer, &protocol, &bytes).await.map(|()| Zeroizing::default())
            }
            _ => network.request(peer, &protocol, &bytes).await,
        };
        match result {
            // Everything that a ceremony sends may be sent twice.
            Err(error) if error.is_broken() && tries < TRIES => tokio::time::sleep(PAUSE).await,
            other => break other,
        }
    };
    let event = match result {
        Ok(answer) => Event::Delivered { to, tag, answer: answer.to_vec() },
        Err(error) => Event::NotDelivered { to, tag, why: in_full(&error) },
    };
    drop(back.send(Back::Event(event)).await);
}
