//! Streams of events over real sockets: what is told, and that a lost stream comes back.

mod support;

use std::collections::BTreeSet;

use bytes::Bytes;
use coxswain_dv_beacon::client::{Event, Events, News};
use coxswain_dv_eth::beacon::ChainEvent;
use support::{Act, Fake, backends, nobody, root};
use tokio::sync::mpsc;

type Sender = mpsc::UnboundedSender<Bytes>;

/// A node whose streams the test writes.
async fn streaming() -> (Fake, mpsc::UnboundedReceiver<Sender>) {
    let (opened, streams) = mpsc::unbounded_channel();
    let node = Fake::start(move |_| {
        let (sender, receiver) = mpsc::unbounded_channel();
        opened.send(sender).expect("the test runs");
        Act::Stream(receiver)
    })
    .await;
    (node, streams)
}

fn send(stream: &Sender, text: &str) {
    stream.send(Bytes::from(text.to_owned())).expect("it is read");
}

fn head(slot: u64) -> String {
    format!("event: head\ndata: {{\"slot\":\"{slot}\",\"block\":\"{}\"}}\n\n", root(7))
}

fn is_head(event: &Event, expected: u64) -> bool {
    matches!(event.news, News::Chain(ChainEvent::Head { slot, .. }) if slot == expected)
}

async fn next(events: &mut Events) -> News {
    events.next().await.news
}

#[tokio::test]
async fn streams_come_back() {
    let (node, mut streams) = streaming().await;
    let mut events = backends(&[&node.url()], &[]).events();
    let stream = streams.recv().await.expect("a stream");
    assert_eq!(next(&mut events).await, News::Connected);
    send(&stream, ": ping\n\n");
    // In two pieces, and twice the same.
    let text = head(5);
    let (one, two) = text.split_at(20);
    send(&stream, one);
    send(&stream, two);
    send(&stream, &text);
    send(&stream, "event: head\ndata: garbage\n\n");
    send(&stream, "event: chain_reorg\ndata: {\"slot\":\"6\",\"depth\":\"2\"}\n\n");
    assert!(is_head(&events.next().await, 5));
    assert_eq!(next(&mut events).await, News::Chain(ChainEvent::Reorg { slot: 6, depth: 2 }));
    drop(stream);
    let News::Lost(why) = next(&mut events).await else { panic!("it ended") };
    assert!(why.contains(&node.url()) && why.contains("ended"), "{why}");

    let stream = streams.recv().await.expect("a new stream");
    assert_eq!(next(&mut events).await, News::Connected);
    send(&stream, &head(7));
    assert!(is_head(&events.next().await, 7));
    let seen = node.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].path, "/eth/v1/events");
    assert_eq!(seen[0].query, "topics=head,chain_reorg,block_gossip,block");
    assert_eq!(seen[0].header("accept"), Some("text/event-stream"));
}

#[tokio::test]
async fn nodes_of_another_chain_are_not_heard() {
    let ((other, mut others), (node, mut streams)) = (streaming().await, streaming().await);
    let backends = backends(&[&other.url(), &node.url()], &[]);
    backends.ask_only(BTreeSet::from([1]));
    let mut events = backends.events();
    let (of_other, of_node) =
        (others.recv().await.expect("a stream"), streams.recv().await.expect("a stream"));
    send(&of_other, &head(5));
    send(&of_node, &head(6));
    loop {
        let event = events.next().await;
        assert_eq!(event.node, 1, "{event:?}");
        if is_head(&event, 6) {
            break;
        }
    }
    backends.ask_only(BTreeSet::from([0]));
    send(&of_other, &head(7));
    assert!(is_head(&events.next().await, 7));
}

#[tokio::test]
async fn nodes_are_told_apart_and_one_that_is_down_holds_up_nobody() {
    let (node, mut streams) = streaming().await;
    let mut events = backends(&[&nobody().await], &[&node.url()]).events();
    let stream = streams.recv().await.expect("a stream");
    send(&stream, &head(5));
    let mut seen = Vec::new();
    while !seen.iter().any(|event| is_head(event, 5)) {
        seen.push(events.next().await);
    }
    for event in seen {
        match event.news {
            News::Lost(_) => assert_eq!(event.node, 0),
            _ => assert_eq!(event.node, 1),
        }
    }
}

/// One topic that a node does not know must not cost the others.
#[tokio::test]
async fn fewer_topics_are_asked_for_where_the_list_is_refused() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut receiver = Some(receiver);
    let node = Fake::start(move |seen| match seen.query.as_str() {
        "topics=head,chain_reorg,block" => Act::Stream(receiver.take().expect("one stream")),
        _ => Act::error(400, "Invalid topic: block_gossip"),
    })
    .await;
    let mut events = backends(&[&node.url()], &[]).events();
    let News::Lost(why) = next(&mut events).await else { panic!("it refuses") };
    assert!(why.contains("Invalid topic"), "{why}");
    assert_eq!(next(&mut events).await, News::Connected);
    send(&sender, &head(5));
    assert!(is_head(&events.next().await, 5));
}

#[tokio::test]
async fn an_endless_event_ends_the_stream() {
    let node = Fake::start(|_| Act::Endless).await;
    let mut events = backends(&[&node.url()], &[]).events();
    assert_eq!(next(&mut events).await, News::Connected);
    let News::Lost(why) = next(&mut events).await else { panic!("it is endless") };
    assert!(why.contains("longer than 1048576 bytes"), "{why}");
}

#[tokio::test]
async fn streams_end_with_the_reader() {
    let (node, mut streams) = streaming().await;
    let mut events = backends(&[&node.url()], &[]).events();
    let stream = streams.recv().await.expect("a stream");
    assert_eq!(next(&mut events).await, News::Connected);
    drop(events);
    stream.closed().await;
}
