//! The framed output of a script, parsed as it comes in. Never panics, whatever comes.

use super::Nonce;

/// Bytes outside the marks that are borne before the stream is given up.
const NOISE_LIMIT: usize = 1 << 20;
/// The longest mark: nonce, letter, index and exit code.
const MARK_LIMIT: usize = 96;

/// What one part of a script printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Which part.
    pub index: usize,
    /// Its exit code.
    pub code: i32,
    /// Its output, head and tail where it was longer than the limit.
    pub bytes: Vec<u8>,
}

/// What the parser saw, for progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Bytes of the open part.
    Output(Vec<u8>),
    /// A line break after it, which is given as output once it is known not to belong to a mark.
    LineEnd,
    /// A part ended.
    End,
}

/// Why a stream cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More noise than is borne.
    #[error("the shell prints without end and no answer among it")]
    Noise,
}

/// One stream of one script.
#[derive(Debug)]
pub struct Frames {
    mark: Vec<u8>,
    limit: usize,
    pending: Vec<u8>,
    open: Option<(usize, Cut)>,
    noise: usize,
    tail: Vec<u8>,
    frames: Vec<Frame>,
    is_complete: bool,
}

impl Frames {
    /// A parser; `limit` is the size a part's output is cut to.
    pub fn new(nonce: &Nonce, limit: usize) -> Frames {
        let mut mark = vec![0x1e];
        mark.extend_from_slice(nonce.as_str().as_bytes());
        mark.push(b' ');
        Frames {
            mark,
            limit,
            pending: Vec::new(),
            open: None,
            noise: 0,
            tail: Vec::new(),
            frames: Vec::new(),
            is_complete: false,
        }
    }

    /// Takes bytes; calls `seen` in order.
    ///
    /// # Errors
    /// When there is too much noise outside the marks.
    pub fn feed(&mut self, bytes: &[u8], seen: &mut dyn FnMut(Seen)) -> Result<(), FrameError> {
        self.pending.extend_from_slice(bytes);
        while !self.is_complete {
            match find(&self.pending, &self.mark) {
                Some(at) => {
                    let rest = &self.pending[at + self.mark.len()..];
                    // A line break behind the limit does not count, so that it is the same in one piece or many.
                    match rest.iter().take(MARK_LIMIT + 1).position(|b| *b == b'\n') {
                        Some(end) => {
                            let text = String::from_utf8_lossy(&rest[..end]).into_owned();
                            let before: Vec<u8> = self.pending[..at].to_vec();
                            self.pending.drain(..at + self.mark.len() + end + 1);
                            self.take(strip_newline(&before), seen)?;
                            self.mark_line(&text, seen);
                        }
                        None if rest.len() > MARK_LIMIT => {
                            let taken: Vec<u8> = self.pending.drain(..at + self.mark.len()).collect();
                            self.take(&taken, seen)?;
                        }
                        None => return Ok(()),
                    }
                }
                None => {
                    let taken: Vec<u8> = self.pending.drain(..self.pending.len() - self.begun()).collect();
                    self.take(&taken, seen)?;
                    if self.open.is_some() && self.pending.starts_with(b"\n") {
                        seen(Seen::LineEnd);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// How many bytes at the end may be the beginning of a mark, with the line break before it. No more are held
    /// back: somebody waits for the last line of a program that is silent now.
    fn begun(&self) -> usize {
        let n = (1..=self.mark.len()).rev().find(|n| self.pending.ends_with(&self.mark[..*n])).unwrap_or(0);
        n + usize::from(self.pending[..self.pending.len() - n].ends_with(b"\n"))
    }

    /// Whether the final mark was seen.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The parts that ended, in order.
    pub fn into_frames(self) -> Vec<Frame> {
        self.frames
    }

    /// The last of what was printed outside the marks: what a shell that died said.
    pub fn said(&self) -> String {
        let mut all = self.tail.clone();
        all.extend_from_slice(&self.pending);
        String::from_utf8_lossy(&all).trim().to_owned()
    }

    fn take(&mut self, bytes: &[u8], seen: &mut dyn FnMut(Seen)) -> Result<(), FrameError> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some((_, cut)) = &mut self.open {
            cut.push(bytes);
            seen(Seen::Output(bytes.to_vec()));
            return Ok(());
        }
        self.noise += bytes.len();
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(2048);
        self.tail.drain(..surplus);
        if self.noise > NOISE_LIMIT { Err(FrameError::Noise) } else { Ok(()) }
    }

    fn mark_line(&mut self, text: &str, seen: &mut dyn FnMut(Seen)) {
        let mut words = text.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("b"), Some(index), None) => {
                self.open = index.parse().ok().map(|index| (index, Cut::new(self.limit)));
            }
            (Some("e"), Some(index), Some(code)) => {
                if let (Ok(wanted), Ok(code), Some((index, cut))) =
                    (index.parse::<usize>(), code.parse(), self.open.take())
                    && index == wanted
                {
                    self.frames.push(Frame { index, code, bytes: cut.finish() });
                    seen(Seen::End);
                }
            }
            (Some("z"), None, None) => self.is_complete = true,
            _ => {}
        }
    }
}

/// Output cut to a limit: the head and the tail.
#[derive(Debug)]
struct Cut {
    half: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
    lost: usize,
}

impl Cut {
    fn new(limit: usize) -> Cut {
        Cut { half: limit / 2, head: Vec::new(), tail: Vec::new(), lost: 0 }
    }
    fn push(&mut self, bytes: &[u8]) {
        let room = self.half.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend_from_slice(&bytes[room..]);
        // Cut in large pieces, so that a long output costs no more than its length.
        if self.tail.len() > self.half.saturating_mul(2) {
            self.trim();
        }
    }
    fn trim(&mut self) {
        let surplus = self.tail.len().saturating_sub(self.half);
        self.lost += surplus;
        self.tail.drain(..surplus);
    }
    fn finish(mut self) -> Vec<u8> {
        self.trim();
        if self.lost > 0 {
            self.head.extend_from_slice(format!("\n[… {} bytes left out …]\n", self.lost).as_bytes());
        }
        self.head.append(&mut self.tail);
        self.head
    }
}

fn strip_newline(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\n").unwrap_or(bytes)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, last) = (needle.first()?, haystack.len().checked_sub(needle.len())?);
    (0..=last).find(|at| haystack[*at] == *first && haystack[*at..].starts_with(needle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
        let mut frames = Frames::new(&Nonce("aa".into()), 1024);
        for piece in pieces {
            frames.feed(piece, &mut |_| {}).unwrap();
        }
        let done = frames.is_complete();
        (frames.into_frames(), done)
    }

    #[test]
    fn noise_is_skipped_and_the_line_break_before_a_mark_is_not_output() {
        let (frames, done) = parse(&[
            b"Welcome!\n\x1eaa b 0\nhello\n\n\x1eaa e 0 0\n\x1eaa b 1\n\n\x1eaa e 1 2\n\n\x1eaa z\n",
        ]);
        assert!(done);
        assert_eq!(
            frames,
            [
                Frame { index: 0, code: 0, bytes: b"hello\n".to_vec() },
                Frame { index: 1, code: 2, bytes: Vec::new() }
            ]
        );
    }

    #[test]
    fn any_cut_gives_the_same() {
        let whole = b"x\x1eaa b 0\nwo\x1erd\x1eaa\n\n\x1eaa e 0 7\n\n\x1eaa z\n";
        let expected = parse(&[whole]);
        assert_eq!(expected.0, [Frame { index: 0, code: 7, bytes: b"wo\x1erd\x1eaa\n".to_vec() }]);
        for at in 0..whole.len() {
            assert_eq!(parse(&[&whole[..at], &whole[at..]]), expected, "{at}");
        }
        let single: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(parse(&single), expected);
    }

    #[test]
    fn a_mark_without_end_is_content_in_any_cut() {
        let mut whole = b"\x1eaa b 0\n\x1eaa e 0 0".to_vec();
        whole.extend_from_slice(&[b'0'; 200]);
        whole.extend_from_slice(b"\n\x1eaa e 0 3\n\x1eaa z\n");
        let expected = parse(&[&whole]);
        assert_eq!(expected.0[0].code, 3);
        for at in 0..whole.len() {
            assert_eq!(parse(&[&whole[..at], &whole[at..]]), expected, "{at}");
        }
    }

    #[test]
    fn the_last_line_is_seen_before_the_next() {
        let mut frames = Frames::new(&Nonce("aa".into()), 1024);
        let mut saw = Vec::new();
        for piece in [&b"\x1eaa b 0\nwaiting\n"[..], b"\x1ea", b" word\n", b"\n\x1eaa e 0 0\n"] {
            frames.feed(piece, &mut |seen| saw.push(seen)).unwrap();
            saw.push(Seen::End);
        }
        let text = |text: &str| Seen::Output(text.into());
        let expected = [
            vec![text("waiting"), Seen::LineEnd, Seen::End],
            vec![Seen::LineEnd, Seen::End],
            vec![text("\n\u{1e}a word"), Seen::LineEnd, Seen::End],
            vec![text("\n"), Seen::End, Seen::End],
        ];
        assert_eq!(saw, expected.concat());
        assert_eq!(frames.into_frames()[0].bytes, b"waiting\n\x1ea word\n");
    }

    #[test]
    fn another_nonce_is_content() {
        let (frames, _) = parse(&[b"\x1eaa b 0\n\x1ebb e 0 0\n\n\x1eaa e 0 0\n"]);
        assert_eq!(frames[0].bytes, b"\x1ebb e 0 0\n");
    }

    #[test]
    fn endless_noise_is_an_error() {
        let mut frames = Frames::new(&Nonce("aa".into()), 1024);
        let junk = vec![b'j'; 100_000];
        assert!((0..20).any(|_| frames.feed(&junk, &mut |_| {}).is_err()));
    }

    #[test]
    fn long_output_keeps_head_and_tail() {
        let mut frames = Frames::new(&Nonce("aa".into()), 20);
        frames.feed(b"\x1eaa b 0\n", &mut |_| {}).unwrap();
        for i in 0..1000 {
            frames.feed(format!("{i}\n").as_bytes(), &mut |_| {}).unwrap();
        }
        frames.feed(b"\n\x1eaa e 0 0\n", &mut |_| {}).unwrap();
        let text = String::from_utf8(frames.into_frames().remove(0).bytes).unwrap();
        assert!(text.starts_with("0\n1\n") && text.ends_with("998\n999\n"), "{text}");
        assert!(text.len() < 80, "{text}");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(pieces in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(0x1eu8), Just(b'a'), Just(b' '), Just(b'\n'), Just(b'e'), Just(b'b'), Just(b'0'), any::<u8>()], 0..60), 0..12))
        {
            let mut frames = Frames::new(&Nonce("a".into()), 16);
            for piece in &pieces {
                let _ = frames.feed(piece, &mut |_| {});
            }
            let _ = frames.said();
            let _ = frames.into_frames();
        }
    }
}
