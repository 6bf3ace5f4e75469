//! Strings, heredocs and template files: text with code in it, and what happens where a text has no end.

use coxswain_model::Diagnostic;

use super::{Frame, Scanner, TokenKind, is_name_part};

impl Scanner<'_> {
    /// The text has ended. Inside a string or a heredoc that is a problem, and scanning goes on after its first line:
    /// true. Otherwise it is over: false.
    pub(super) fn finish(&mut self) -> bool {
        let is_text = |f: &&Frame| matches!(f, Frame::Quoted { .. } | Frame::Heredoc { .. });
        match self.frames.iter().find(is_text).copied() {
            None | Some(Frame::Sequence { .. } | Frame::File) => false,
            Some(Frame::Quoted { start }) => {
                self.unterminated(start);
                true
            }
            Some(Frame::Heredoc { start, marker }) => {
                self.forget_problems(start);
                let name = self.text.get(marker.0..marker.1).unwrap_or_default().to_owned();
                let detail = format!("No line after it consists of `{name}`. Add one.");
                self.problem("unterminated-heredoc", (start, marker.1), ("Heredoc without an end", &detail));
                let file = self.frames.iter().take_while(|f| matches!(f, Frame::File)).count();
                self.frames.truncate(file);
                self.resume_after_heredoc(start);
                true
            }
        }
    }

    /// The outermost string that starts at `start` has no end on its line.
    fn unterminated(&mut self, start: usize) {
        self.forget_problems(start);
        self.leave_strings();
        self.problem(
            "unterminated-string",
            (start, start + 1),
            (
                "String without an end",
                "A string ends with `\"` on the line it starts on. For several lines use a heredoc, `<<EOT`.",
            ),
        );
        self.resume(start);
    }

    /// What was found wrong after `start` came from reading code as text.
    fn forget_problems(&mut self, start: usize) {
        let is_after = |d: &Diagnostic| d.labels.first().is_some_and(|l| l.span.start as usize > start);
        while self.out.problems.last().is_some_and(is_after) {
            self.out.problems.pop();
        }
    }

    /// Leaves quoted strings, back to the heredoc or the code around the outermost one.
    pub(super) fn leave_strings(&mut self) {
        let outermost =
            self.frames.iter().position(|f| matches!(f, Frame::Quoted { .. })).unwrap_or(self.frames.len());
        let around =
            self.frames[..outermost].iter().rposition(|f| matches!(f, Frame::Heredoc { .. } | Frame::File));
        self.frames.truncate(around.map_or(0, |n| n + 1));
    }

    /// Goes on at the end of the line of `start`; what was cut after `start` is forgotten.
    fn resume(&mut self, start: usize) {
        while self.out.tokens.last().is_some_and(|t| t.start as usize > start) {
            self.out.tokens.pop();
        }
        let line_end = self.line_end(start);
        self.resume_at(start, line_end);
    }

    fn line_end(&self, at: usize) -> usize {
        self.bytes[at..].iter().position(|b| *b == b'\n').map_or(self.bytes.len(), |n| at + n)
    }

    /// Goes on at the first line after the heredoc at `start` that looks like code beside it: the rest is its text.
    fn resume_after_heredoc(&mut self, start: usize) {
        let line = self.text[..start].rfind('\n').map_or(0, |n| n + 1);
        let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
        let own = indent(&self.text[line..start]);
        let mut end = self.line_end(start);
        while let Some(next) = self.text.get(end + 1..) {
            let next = next.split('\n').next().unwrap_or_default();
            if indent(next) <= own && looks_like_item(next.trim_start()) {
                break;
            }
            end += 1 + next.len();
        }
        self.resume(start);
        self.resume_at(start, end.min(self.bytes.len()));
    }

    /// Makes the token at `start` end at `line_end`, and goes on there.
    fn resume_at(&mut self, start: usize, line_end: usize) {
        if let Some(last) = self.out.tokens.last_mut().filter(|t| t.start as usize == start) {
            last.kind = TokenKind::Bad;
            last.end = u32::try_from(line_end).unwrap_or(u32::MAX);
        }
        self.at = line_end;
    }

    pub(super) fn quoted(&mut self) {
        let start = self.at;
        let mut end = start;
        loop {
            match self.bytes.get(end).copied() {
                None | Some(b'\n') => {
                    self.at = self.bytes.len().min(end);
                    let outermost = self.frames.iter().find_map(|f| match f {
                        Frame::Quoted { start } => Some(*start),
                        Frame::Heredoc { .. } | Frame::Sequence { .. } | Frame::File => None,
                    });
                    return self.unterminated(outermost.unwrap_or(start));
                }
                Some(b'"') => {
                    self.text_token(end);
                    self.frames.pop();
                    return self.push(TokenKind::QuoteEnd, 1);
                }
                Some(b'\\') => end += self.escape(end),
                Some(b @ (b'$' | b'%')) => match self.marker(end, b) {
                    Marker::None => end += 1,
                    Marker::Escaped => end += 3,
                    Marker::Opens => return self.sequence(end),
                },
                Some(_) => end += 1,
            }
        }
    }

    fn text_token(&mut self, end: usize) {
        if end > self.at {
            self.push(TokenKind::Text, end - self.at);
        }
    }

    /// The length of the escape at `at`; a wrong one is a problem.
    fn escape(&mut self, at: usize) -> usize {
        let hex = |n: usize| {
            let digits = self.bytes.get(at + 2..at + 2 + n)?;
            let text =
                std::str::from_utf8(digits).ok().filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u32::from_str_radix(text, 16).ok().and_then(char::from_u32)
        };
        match self.bytes.get(at + 1).copied() {
            Some(b'n' | b'r' | b't' | b'"' | b'\\') => return 2,
            Some(b'u') if hex(4).is_some() => return 6,
            Some(b'U') if hex(8).is_some() => return 10,
            None | Some(b'\n' | b'\r') => return 1,
            Some(_) => {}
        }
        let len = 1 + self.text.get(at + 1..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8);
        let detail = "The escapes are `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\`, `\\uXXXX` and `\\UXXXXXXXX`. A backslash itself is written `\\\\`.";
        self.problem("invalid-escape", (at, at + len), ("Invalid escape in a string", detail));
        len
    }

    fn marker(&self, at: usize, byte: u8) -> Marker {
        match (self.bytes.get(at + 1), self.bytes.get(at + 2)) {
            (Some(b'{'), _) => Marker::Opens,
            (Some(next), Some(b'{')) if *next == byte => Marker::Escaped,
            _ => Marker::None,
        }
    }

    fn sequence(&mut self, at: usize) {
        self.text_token(at);
        let kind = if self.peek(0) == b'$' { TokenKind::Interpolation } else { TokenKind::Directive };
        let strip = usize::from(self.peek(2) == b'~');
        self.push(kind, 2 + strip);
        self.frames.push(Frame::Sequence { braces: 0 });
    }

    /// Reads `<<EOT` with its line break; false if it is none.
    pub(super) fn heredoc_open(&mut self) -> bool {
        let dash = usize::from(self.peek(2) == b'-');
        let name = self.at + 2 + dash;
        let rest = self.text.get(name..).unwrap_or_default();
        let len = rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
        if len == 0 || rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return false;
        }
        let after = rest[len..].strip_prefix('\r').unwrap_or(&rest[len..]);
        if !after.starts_with('\n') {
            let detail = "The marker is the last thing on its line; the text starts on the next one.";
            self.problem("invalid-heredoc", (self.at, name + len), ("Heredoc marker inside a line", detail));
            self.push(TokenKind::Bad, name + len - self.at);
            return true;
        }
        let total = self.text.len() - after.len() + 1 - self.at;
        self.frames.push(Frame::Heredoc { start: self.at, marker: (name, name + len) });
        self.push(TokenKind::Heredoc, total);
        if let Some(end) = self.marker_line(self.at, (name, name + len)) {
            self.heredoc_end(end);
        }
        true
    }

    /// One past the end marker, if it stands on the line that starts at `line`.
    fn marker_line(&self, line: usize, marker: (usize, usize)) -> Option<usize> {
        let rest = self.text.get(line..)?;
        let word = rest.trim_start_matches([' ', '\t']);
        let after = word.strip_prefix(self.text.get(marker.0..marker.1)?)?;
        let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
        (!goes_on).then(|| self.text.len() - after.len())
    }

    fn heredoc_end(&mut self, end: usize) {
        self.frames.pop();
        self.push(TokenKind::HeredocEnd, end - self.at);
    }

    /// Text of a heredoc or a file, up to the next sequence or the end marker.
    pub(super) fn lines(&mut self, marker: Option<(usize, usize)>) {
        let mut end = self.at;
        loop {
            match self.bytes.get(end).copied() {
                None => {
                    self.text_token(end);
                    self.at = self.bytes.len();
                    return;
                }
                Some(b'\n') => {
                    end += 1;
                    if let Some(past) = marker.and_then(|marker| self.marker_line(end, marker)) {
                        self.text_token(end);
                        return self.heredoc_end(past);
                    }
                }
                Some(b @ (b'$' | b'%')) => match self.marker(end, b) {
                    Marker::None => end += 1,
                    Marker::Escaped => end += 3,
                    Marker::Opens => return self.sequence(end),
                },
                Some(_) => end += 1,
            }
        }
    }
}

/// Whether a line of text could be an item of a body or its end.
fn looks_like_item(line: &str) -> bool {
    let rest = line.trim_start_matches(is_name_part);
    line.starts_with('}') || (rest.len() < line.len() && rest.trim_start().starts_with(['=', '{', '"']))
}

enum Marker {
    None,
    Escaped,
    Opens,
}
