//! A small client: one request on each connection.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }
}

/// Sends a request and reads the answer to its end.
pub(crate) async fn send(
    address: SocketAddr,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("the node listens");
    let mut text = format!("{request} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("content-length: {}\r\n\r\n", body.len());
    stream.write_all(text.as_bytes()).await.expect("the request goes out");
    stream.write_all(body).await.expect("the body goes out");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.expect("the answer comes");
    read(&all)
}

fn read(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("the head of an answer");
    let head = String::from_utf8(all[..end].to_vec()).expect("text");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    Answer { status, head, body: all[end + 4..].to_vec() }
}

/// Reads a stream of events until so many have come.
pub(crate) async fn events(mut stream: TcpStream, n: usize) -> Vec<(String, Value)> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let found: Vec<(String, Value)> = text.split("\n\n").filter_map(event).collect();
        if found.len() >= n {
            return found;
        }
        let length = stream.read(&mut buffer).await.expect("the stream goes on");
        assert!(length > 0, "the stream ended: {text}");
        text += &String::from_utf8_lossy(&buffer[..length]);
    }
}

fn event(part: &str) -> Option<(String, Value)> {
    let line = |name: &str| part.lines().find_map(|line| line.strip_prefix(name));
    let data = serde_json::from_str(line("data: ")?).ok()?;
    Some((line("event: ")?.to_owned(), data))
}

/// Opens a stream of events; it is open when this returns.
pub(crate) async fn listen(address: SocketAddr, topics: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the node listens");
    let text = format!(
        "GET /eth/v1/events?topics={topics} HTTP/1.1\r\nhost: node\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.expect("the request goes out");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the head comes"));
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}
