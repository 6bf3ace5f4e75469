//! Server-sent events, read from pieces of any length.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>

/// Longest event: those that are asked for have a few hundred bytes; others of the Beacon API, with blocks in them, are
/// not asked for.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its topic.
    pub(crate) event: String,
    /// Its lines.
    pub(crate) data: String,
}

/// An event is longer than any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {MAX_EVENT_BYTES} bytes")]
pub(crate) struct TooLong;

/// Reads a stream.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: String,
    data: Option<String>,
    /// Whether the last byte ended a line as `\r`: a `\n` after it belongs to it.
    is_after_return: bool,
    is_begun: bool,
}

impl Parser {
    /// Reads on.
    ///
    /// # Errors
    /// [`TooLong`]; the stream is of no use after it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut messages = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' if self.is_after_return => self.is_after_return = false,
                b'\n' | b'\r' => {
                    self.is_after_return = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    messages.extend(self.end_of_line(&line));
                }
                _ => {
                    self.is_after_return = false;
                    self.line.push(*byte);
                    if self.line.len() + self.data.as_ref().map_or(0, String::len) > MAX_EVENT_BYTES {
                        return Err(TooLong);
                    }
                }
            }
        }
        Ok(messages)
    }

    fn end_of_line(&mut self, line: &[u8]) -> Option<Message> {
        let text = String::from_utf8_lossy(line);
        let mut text = text.as_ref();
        if !std::mem::replace(&mut self.is_begun, true) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            let event = std::mem::take(&mut self.event);
            return self.data.take().map(|data| Message { event, data });
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments keep the connection alive; ids and pauses are for readers that go on where they were.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(event, data)| Message { event: (*event).into(), data: (*data).into() })
            .collect();
        assert_eq!(Parser::default().push(stream.as_bytes()).as_deref(), Ok(&*expected));
        let mut parser = Parser::default();
        let bits = stream.as_bytes().chunks(1).flat_map(|bit| parser.push(bit).expect("short"));
        assert_eq!(bits.collect::<Vec<_>>(), expected, "byte by byte");
    }

    #[test]
    fn events_end_with_an_empty_line() {
        check("event: head\ndata: {}\n\nevent: block\ndata:1\n\ndata: 2", &[("head", "{}"), ("block", "1")]);
    }

    #[test]
    fn lines_end_in_three_ways() {
        check(
            "event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\rdata: 3\n\n",
            &[("a", "1"), ("b", "2"), ("", "3")],
        );
    }

    #[test]
    fn lines_of_data_are_joined() {
        check("data: 1\ndata\ndata:  2\n\n", &[("", "1\n\n 2")]);
    }

    #[test]
    fn comments_and_unknown_fields_are_nothing() {
        check(
            "\u{feff}: hello\nid: 7\nretry: 1\n\nevent: x\n\n: ping\n\nevent: y\ndata: z\n\n",
            &[("y", "z")],
        );
    }

    #[test]
    fn an_endless_event_ends_the_stream() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(&vec![b'x'; MAX_EVENT_BYTES]), Ok(Vec::new()));
        assert_eq!(parser.push(b"x"), Err(TooLong));
        let mut parser = Parser::default();
        let endless = std::iter::repeat_with(|| parser.push(b"data: 0123456789abcdef\n")).take(1 << 17);
        assert!(endless.filter(Result::is_err).count() > 0);
    }

    #[test]
    fn foreign_bytes_do_no_harm() {
        bolero::check!().with_max_len(256).for_each(|bytes: &[u8]| {
            let whole = Parser::default().push(bytes).expect("short");
            let mut parser = Parser::default();
            let (one, two) = bytes.split_at(bytes.len() / 2);
            let mut halves = parser.push(one).expect("short");
            halves.extend(parser.push(two).expect("short"));
            assert_eq!(whole, halves);
        });
    }
}
