//! Fuzz targets of what a validator client reads from a node by hand; containers are those of another crate.

#[path = "../../../../tests/support/mutate.rs"]
mod mutate;

use coxswain_simnet::client::events::Lines;
use mutate::mutate;

const SAMPLE: &[u8] = b"event: head\ndata: {\"slot\":\"7\",\"block\":\"0x\
    0000000000000000000000000000000000000000000000000000000000000000\"}\n\n: keep alive\r\n\
    event: block\ndata: {\"slot\":\"8\"}\n\nevent:chain_reorg\r\ndata:{\"slot\":\"8\",\"depth\":\"2\"}\r\n\r\n";
const WORDS: &[&str] = &["\n", "event: head\n", "data: ", "\"slot\":\"1\"", "chain_reorg", "\r\n"];

/// No panic, and it makes no difference where a stream is cut.
fn check(at: usize, stream: &[u8]) {
    let expected = Lines::default().take(stream);
    let (first, second) = stream.split_at(at % (stream.len() + 1));
    let mut pieces = Lines::default();
    let mut events = pieces.take(first);
    events.extend(pieces.take(second));
    assert_eq!(events, expected);
}

/// Streams of events, as they are and damaged; the first byte says where they are cut.
#[test]
fn streams_of_events() {
    bolero::check!().with_max_len(64).for_each(|script: &[u8]| {
        let Some((at, script)) = script.split_first() else { return };
        check(usize::from(*at), script);
        check(usize::from(*at), &mutate(SAMPLE, script, WORDS));
    });
}
