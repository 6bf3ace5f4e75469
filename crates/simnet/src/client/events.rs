//! The stream of a node's events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, as far as nodes use it.

use std::time::Duration;

use coxswain_dv_eth::beacon::ChainEvent;
use coxswain_dv_eth::time::Clock;
use tokio::sync::mpsc;

use super::http::{Http, HttpError};
use super::plan::Event;

/// The longest line: an event of a head has less than 1 KiB, those with attestations or payloads are skipped.
const MAX_LINE_BYTES: usize = 64 << 10;
/// A node that is silent for so many slots is asked again.
const SILENT_SLOTS: u32 = 8;
/// But not before this, where slots are short.
const MIN_SILENCE: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads lines that come in pieces.
#[derive(Debug, Default)]
pub struct Lines {
    name: String,
    line: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    /// Takes a piece; gives what it completes and what a client cares for.
    pub fn take(&mut self, piece: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in piece {
            if *byte != b'\n' {
                if self.line.len() < MAX_LINE_BYTES {
                    self.line.push(*byte);
                } else {
                    self.is_too_long = true;
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if !std::mem::take(&mut self.is_too_long) {
                events.extend(self.understand(String::from_utf8_lossy(&line).trim_end()));
            }
        }
        events
    }

    fn understand(&mut self, line: &str) -> Option<Event> {
        if let Some(name) = line.strip_prefix("event:") {
            name.trim().clone_into(&mut self.name);
            return None;
        }
        let data = line.strip_prefix("data:")?;
        Some(match ChainEvent::read(&self.name, data.as_bytes())? {
            ChainEvent::Head { slot, .. } => Event::Head { slot },
            ChainEvent::Reorg { .. } => Event::Reorg,
        })
    }
}

/// Passes events on until nobody takes them; begins anew whenever the stream ends. Errors go the same way.
pub(super) async fn follow(
    http: &Http,
    topics: &str,
    clock: Clock,
    to: mpsc::Sender<Result<Event, HttpError>>,
) {
    let silence = (clock.slot * SILENT_SLOTS).max(MIN_SILENCE);
    let path = format!("/eth/v1/events?topics={topics}");
    while !to.is_closed() {
        if let Err(error) = follow_once(http, &path, silence, &to).await
            && to.send(Err(error)).await.is_err()
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow_once(
    http: &Http,
    path: &str,
    silence: Duration,
    to: &mpsc::Sender<Result<Event, HttpError>>,
) -> Result<(), HttpError> {
    let what = || "GET /eth/v1/events".to_owned();
    let mut response = http.stream(path, silence).await?;
    let mut lines = Lines::default();
    loop {
        let piece = match tokio::time::timeout(silence, response.chunk()).await {
            Err(_) => return Err(HttpError::Slow { what: what(), after: silence }),
            Ok(Err(source)) => {
                return Err(HttpError::Unreachable { what: what(), source: source.without_url() });
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(piece))) => piece,
        };
        for event in lines.take(&piece) {
            if to.send(Ok(event)).await.is_err() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"event: head\ndata: {\"slot\":\"7\",\"block\":\"0x\
        0000000000000000000000000000000000000000000000000000000000000000\"}\n\n: keep alive\r\n\
        event: block\ndata: {\"slot\":\"8\"}\n\n\
        event:chain_reorg\r\ndata:{\"slot\":\"8\",\"depth\":\"1\"}\r\n\r\nevent: head\ndata: {}\n\n";

    #[test]
    fn pieces_of_any_size_are_the_same() {
        for size in 1..STREAM.len() {
            let mut lines = Lines::default();
            let events: Vec<Event> = STREAM.chunks(size).flat_map(|piece| lines.take(piece)).collect();
            assert_eq!(events, [Event::Head { slot: 7 }, Event::Reorg], "{size}");
        }
    }

    #[test]
    fn long_lines_are_skipped() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"event: head\ndata: {\"slot\":\"7\",\"x\":\""), []);
        assert_eq!(lines.take(&vec![b'x'; 3 * MAX_LINE_BYTES]), []);
        assert!(lines.line.len() <= MAX_LINE_BYTES);
        assert_eq!(
            lines.take(b"\"}\n\nevent: chain_reorg\ndata: {\"slot\":\"8\",\"depth\":\"2\"}\n"),
            [Event::Reorg]
        );
    }
}
