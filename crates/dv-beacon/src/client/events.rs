//! What beacon nodes tell unasked: one stream of all nodes, each on a task that reconnects for ever.
//!
//! <https://ethereum.github.io/beacon-APIs/#/Events/eventstream>

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use coxswain_dv_eth::beacon::ChainEvent;
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::time::{Clock, Time};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Backends;
use super::config::now;
use super::node::{Node, NodeError};
use super::request::{Aim, SMALL};
use super::sse::{Message, Parser};

/// Topics, and fewer of them for nodes that refuse the list for the sake of one.
const TOPICS: &[&str] = &["head,chain_reorg,block_gossip,block", "head,chain_reorg,block", "head"];
/// Events that wait for whoever reads them; then the nodes wait.
const QUEUE: usize = 256;
/// How long a node may take to open a stream: some send its head with the first event, and that may be two slots away.
const OPENING: Duration = Duration::from_secs(30);
/// First pause before a node is asked again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: a head that is told a few slots late is of no use, but a node that restarts takes a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A stream that is silent for longer is dead: the chain has a block every few seconds.
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// Blocks whose gossip is remembered, for the time that their import takes: a few slots of a few nodes.
const REMEMBERED: usize = 64;

/// What a node told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which, by its place in [`Backends::addresses`].
    pub node: usize,
    /// When it came, by this machine's clock.
    pub at: Time,
    /// What.
    pub news: News,
}

/// What a node tells, or what became of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// There is a stream.
    Connected,
    /// There is none any more, or still none; it is tried again by itself.
    Lost(String),
    /// A head, or another branch.
    Chain(ChainEvent),
    /// A block came from the network (`block_gossip`).
    Gossip {
        /// Its slot.
        slot: u64,
        /// Its root.
        block: Bytes32,
    },
    /// A block was imported (`block`).
    Imported {
        /// Its slot.
        slot: u64,
        /// Its root.
        block: Bytes32,
    },
}

/// The streams of all nodes. Dropping it ends them.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
    _tasks: JoinSet<()>,
}

impl Events {
    /// The next event. It waits for ever where no node tells anything; dropping the wait loses nothing.
    pub async fn next(&mut self) -> Event {
        match self.receiver.recv().await {
            Some(event) => event,
            // The tasks end with this value only.
            None => std::future::pending().await,
        }
    }
}

impl Backends {
    /// Listens to all nodes. Needs a runtime.
    #[must_use]
    pub fn events(&self) -> Events {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for (place, node) in self.nodes().enumerate() {
            let told = Told { node: place, backends: self.clone(), sender: sender.clone() };
            tasks.spawn(listen(Arc::clone(node), told));
        }
        Events { receiver, _tasks: tasks }
    }
}

/// Where the events of one node go.
struct Told {
    node: usize,
    backends: Backends,
    sender: mpsc::Sender<Event>,
}

impl Told {
    async fn tell(&self, news: News) {
        if !self.backends.is_asked(self.node) {
            return;
        }
        // Nobody listens any more only while this task is being ended.
        let _ = self.sender.send(Event { node: self.node, at: now(), news }).await;
    }
}

async fn listen(node: Arc<Node>, told: Told) {
    let mut pause = FIRST_PAUSE;
    let mut topics = 0;
    loop {
        match connect(&node, TOPICS[topics]).await {
            Ok(response) => {
                told.tell(News::Connected).await;
                let mut heard = 0;
                let why = follow(&node, response, &told, &mut heard).await;
                told.tell(News::Lost(why)).await;
                if heard > 0 {
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) => {
                if !error.is_node_at_fault {
                    topics = (topics + 1) % TOPICS.len();
                }
                told.tell(News::Lost(error.text)).await;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(node: &Node, topics: &str) -> Result<Response, NodeError> {
    let path = format!("/eth/v1/events?topics={topics}");
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/event-stream"))]);
    let asked = node.pass_on(Method::GET, &path, headers, bytes::Bytes::new());
    let asking = async {
        let response = asked.await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let reply = node.read(response, SMALL).await?;
        // Not found is final here: no stream comes later.
        Err(node.refusal(&reply, Aim::Submission))
    };
    timeout(OPENING, asking).await.unwrap_or_else(|_| Err(node.too_slow(OPENING)))
}

/// Reads a stream to its end; says why it ended.
async fn follow(node: &Node, mut response: Response, told: &Told, heard: &mut usize) -> String {
    let mut parser = Parser::default();
    let mut last = None;
    loop {
        let chunk = match timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return format!("{} ended the stream of events", node.address),
            Ok(Err(error)) => return node.not_reached(error).text,
            Err(_) => return format!("{} was silent for {} s", node.address, SILENCE.as_secs()),
        };
        let messages = match parser.push(&chunk) {
            Ok(messages) => messages,
            Err(error) => return node.malformed(&error.to_string()).text,
        };
        for news in messages.iter().filter_map(read) {
            // Some nodes say the same twice.
            if last.as_ref() == Some(&news) {
                continue;
            }
            *heard += 1;
            last = Some(news.clone());
            told.tell(news).await;
        }
    }
}

/// An event that is understood; others are left out.
fn read(message: &Message) -> Option<News> {
    /// The fields of events of blocks that are looked at.
    #[derive(Deserialize)]
    struct Document {
        slot: String,
        block: Bytes32,
    }
    let topic = message.event.as_str();
    if let Some(event) = ChainEvent::read(topic, message.data.as_bytes()) {
        return Some(News::Chain(event));
    }
    let Document { slot, block } = serde_json::from_str(&message.data).ok()?;
    let slot = slot.parse().ok()?;
    match topic {
        "block_gossip" => Some(News::Gossip { slot, block }),
        "block" => Some(News::Imported { slot, block }),
        _ => None,
    }
}

/// How late something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// A head, after the start of its slot.
    Head(Duration),
    /// The gossip of a block, after the start of its slot.
    Gossip(Duration),
    /// The import of a block, after the start of its slot.
    Imported(Duration),
    /// A head, after the gossip of its block.
    Processing(Duration),
}

/// Times events. What it remembers is bounded.
#[derive(Debug, Default)]
pub struct Delays {
    gossip: VecDeque<(usize, Bytes32, Time)>,
}

impl Delays {
    /// How late an event was. None before the chain begins, nor for slots that are still to come; nor for slot 0, whose
    /// block nobody makes: Prysm tells it as a head when it starts, before or after genesis.
    pub fn of(&mut self, clock: &Clock, event: &Event) -> Vec<Delay> {
        let late = |slot| event.at.0.checked_sub(clock.start_of(slot).0).filter(|_| slot > 0);
        match &event.news {
            News::Chain(ChainEvent::Head { slot, block }) => {
                let known = |(node, root, _): &&(usize, Bytes32, Time)| *node == event.node && root == block;
                let gossip =
                    self.gossip.iter().find(known).map(|(_, _, at)| Delay::Processing(event.at.since(*at)));
                late(*slot).map(Delay::Head).into_iter().chain(gossip).collect()
            }
            News::Gossip { slot, block } => {
                if self.gossip.len() == REMEMBERED {
                    self.gossip.pop_front();
                }
                self.gossip.push_back((event.node, *block, event.at));
                late(*slot).map(Delay::Gossip).into_iter().collect()
            }
            News::Imported { slot, .. } => late(*slot).map(Delay::Imported).into_iter().collect(),
            News::Chain(ChainEvent::Reorg { .. }) | News::Connected | News::Lost(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock =
        Clock { genesis: Time::from_secs(1000), slot: Duration::from_secs(12), slots_per_epoch: 32 };
    const ROOT: Bytes32 = coxswain_dv_eth::Bytes([7; 32]);

    #[test]
    fn delays_count_from_the_slot_and_from_the_gossip() {
        let mut delays = Delays::default();
        let mut step = |node, millis: u64, news| {
            delays.of(&CLOCK, &Event { node, at: Time::from_millis(1_012_000 + millis), news })
        };
        let ms = Duration::from_millis;
        let head = News::Chain(ChainEvent::Head { slot: 1, block: ROOT });
        assert_eq!(step(0, 500, News::Gossip { slot: 1, block: ROOT }), [Delay::Gossip(ms(500))]);
        assert_eq!(step(0, 700, News::Imported { slot: 1, block: ROOT }), [Delay::Imported(ms(700))]);
        assert_eq!(step(1, 800, head.clone()), [Delay::Head(ms(800))], "another node's gossip");
        assert_eq!(step(0, 900, head), [Delay::Head(ms(900)), Delay::Processing(ms(400))]);
        let early = News::Chain(ChainEvent::Head { slot: 2, block: Bytes32::default() });
        assert_eq!(step(0, 0, early), []);
        let genesis = News::Chain(ChainEvent::Head { slot: 0, block: Bytes32::default() });
        assert_eq!(step(0, 40_000, genesis), [], "nobody was late with it");
        for slot in 0..200 {
            step(0, 0, News::Gossip { slot, block: ROOT });
        }
        assert_eq!(delays.gossip.len(), REMEMBERED);
    }

    #[test]
    fn events_are_read_and_others_left_out() {
        let news = |event: &str, data: &str| read(&Message { event: event.into(), data: data.into() });
        let root = ROOT.to_string();
        let head = format!(r#"{{"slot":"10","block":"{root}","state":"{root}","epoch_transition":false}}"#);
        assert_eq!(news("head", &head), Some(News::Chain(ChainEvent::Head { slot: 10, block: ROOT })));
        assert_eq!(news("block_gossip", &head), Some(News::Gossip { slot: 10, block: ROOT }));
        assert_eq!(news("block", &head), Some(News::Imported { slot: 10, block: ROOT }));
        let reorg = r#"{"slot":"200","depth":"50","old_head_block":"0x00","epoch":"2"}"#;
        assert_eq!(news("chain_reorg", reorg), Some(News::Chain(ChainEvent::Reorg { slot: 200, depth: 50 })));
        for (event, data) in [
            ("head", "{}"),
            ("head", "garbage"),
            ("head", r#"{"slot":"-1","block":"0x00"}"#),
            ("head", reorg),
            ("payload_attributes", &head),
            ("chain_reorg", r#"{"slot":"1","depth":"x"}"#),
        ] {
            assert_eq!(news(event, data), None, "{event} {data}");
        }
    }
}
