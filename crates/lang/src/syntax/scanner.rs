//! Cuts text into tokens, whatever it is.
//!
//! It knows comments, strings, templates in strings, heredocs and brackets, never fails, and never looks back further
//! than one line per problem. White space is what lies between tokens. The tokens serve recovery and formatting.

use coxswain_model::{Diagnostic, FileId, Span};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A name or a key word.
    Ident,
    /// A number without sign.
    Number,
    /// `"` before a string.
    Quote,
    /// Text of a string or a heredoc.
    Text,
    /// `"` after a string.
    QuoteEnd,
    /// `<<EOT` or `<<-EOT` with its line break.
    Heredoc,
    /// The line of the end marker, without its line break.
    HeredocEnd,
    /// `${` or `${~`.
    Interpolation,
    /// `%{` or `%{~`.
    Directive,
    /// `}` or `~}` after either.
    TemplateEnd,
    /// `(`, `[`, `{`.
    Open(u8),
    /// `)`, `]`, `}`.
    Close(u8),
    /// An operator, `=`, `=>`, `,`, `.`, `...`, `:`, `?`.
    Punct,
    /// A line break.
    Newline,
    /// A comment; the line break is not in it.
    Comment,
    /// A character that stands nowhere.
    Bad,
}

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: u32,
    /// One past its last byte.
    pub end: u32,
}

impl Token {
    /// Its text.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// What a scan gives.
#[derive(Debug, Default)]
pub struct Scan {
    /// The tokens in order.
    pub tokens: Vec<Token>,
    /// What cannot be right, by place.
    pub problems: Vec<Diagnostic>,
    /// Scanning stopped early because of the number of problems.
    pub stopped: bool,
}

#[derive(Debug, Clone, Copy)]
enum Frame {
    /// In the text of a template file.
    File,
    /// In a quoted string.
    Quoted { start: usize },
    /// In a heredoc: the range of its end marker, and where it begins.
    Heredoc { start: usize, marker: (usize, usize) },
    /// In `${ … }` or `%{ … }`: how many braces are open inside.
    Sequence { braces: u32 },
}

struct Scanner<'t> {
    file: FileId,
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    frames: Vec<Frame>,
    out: Scan,
    /// The end of the last line on which a character had no meaning.
    bad_line_end: usize,
}

/// Problems after which scanning stops: each may cost a second look at the rest of the text.
const MAX_PROBLEMS: usize = 64;

/// Cuts the text of a template file into tokens.
pub fn scan_template(file: FileId, text: &str) -> Scan {
    run(file, text, vec![Frame::File])
}

/// Cuts a file or an expression into tokens, after a byte order mark. Offsets count from the start of `text`.
pub fn scan(file: FileId, text: &str) -> Scan {
    run(file, text, Vec::new())
}

fn run(file: FileId, text: &str, frames: Vec<Frame>) -> Scan {
    let at = if frames.is_empty() && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let (bytes, out) = (text.as_bytes(), Scan::default());
    let mut scanner = Scanner { file, text, bytes, at, frames, out, bad_line_end: 0 };
    while scanner.out.problems.len() < MAX_PROBLEMS {
        if scanner.at >= bytes.len() {
            if scanner.finish() {
                continue;
            }
            return scanner.out;
        }
        match scanner.frames.last().copied() {
            None | Some(Frame::Sequence { .. }) => scanner.code(),
            Some(Frame::Quoted { .. }) => scanner.quoted(),
            Some(Frame::Heredoc { marker, .. }) => scanner.lines(Some(marker)),
            Some(Frame::File) => scanner.lines(None),
        }
    }
    scanner.out.stopped = true;
    scanner.out
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: TokenKind, len: usize) {
        let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let end = (self.at + len).min(self.bytes.len());
        self.out.tokens.push(Token { kind, start: cut(self.at), end: cut(end) });
        self.at = end;
    }

    fn problem(&mut self, code: &'static str, range: (usize, usize), words: (&str, &str)) {
        if self.out.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let span = Span::new(self.file, range.0, range.1.min(self.bytes.len()));
        self.out.problems.push(Diagnostic::error(code, words.0).detail(words.1).at(span, ""));
    }

    /// The text has ended. Inside a string or a heredoc that is a problem, and scanning goes on after its first line:
    /// true. Otherwise it is over: false.
    fn finish(&mut self) -> bool {
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
    fn leave_strings(&mut self) {
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

    fn code(&mut self) {
        let byte = self.peek(0);
        match byte {
            b' ' | b'\t' | b'\r' => self.at += 1,
            b'\n' => self.push(TokenKind::Newline, 1),
            b'#' => self.line_comment(),
            b'/' if self.peek(1) == b'/' => self.line_comment(),
            b'/' if self.peek(1) == b'*' => self.block_comment(),
            b'"' => {
                self.frames.push(Frame::Quoted { start: self.at });
                self.push(TokenKind::Quote, 1);
            }
            b'(' | b'[' | b'{' => self.open(byte),
            b')' | b']' | b'}' => self.close(byte),
            b'~' if self.peek(1) == b'}'
                && matches!(self.frames.last(), Some(Frame::Sequence { braces: 0 })) =>
            {
                self.frames.pop();
                self.push(TokenKind::TemplateEnd, 2);
            }
            b'<' if self.peek(1) == b'<' && self.heredoc_open() => {}
            b'0'..=b'9' => self.number(),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => self.ident(),
            0x80.. if is_name_part(self.char()) => self.ident(),
            _ => self.punct(),
        }
    }

    fn char(&self) -> char {
        self.text.get(self.at..).and_then(|rest| rest.chars().next()).unwrap_or(' ')
    }

    fn line_comment(&mut self) {
        let len =
            self.bytes[self.at..].iter().position(|b| *b == b'\n').unwrap_or(self.bytes.len() - self.at);
        let cr = usize::from(len > 0 && self.bytes.get(self.at + len - 1) == Some(&b'\r'));
        self.push(TokenKind::Comment, len - cr);
    }

    fn block_comment(&mut self) {
        match self.text[self.at + 2..].find("*/") {
            Some(len) => self.push(TokenKind::Comment, len + 4),
            None => {
                let words = ("Comment without an end", "A comment that starts with `/*` ends with `*/`.");
                self.problem("unterminated-comment", (self.at, self.at + 2), words);
                self.line_comment();
            }
        }
    }

    fn open(&mut self, byte: u8) {
        if byte == b'{'
            && let Some(Frame::Sequence { braces }) = self.frames.last_mut()
        {
            *braces += 1;
        }
        self.push(TokenKind::Open(byte), 1);
    }

    fn close(&mut self, byte: u8) {
        if byte == b'}'
            && let Some(Frame::Sequence { braces }) = self.frames.last_mut()
        {
            if *braces == 0 {
                self.frames.pop();
                self.push(TokenKind::TemplateEnd, 1);
                return;
            }
            *braces -= 1;
        }
        self.push(TokenKind::Close(byte), 1);
    }

    fn ident(&mut self) {
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
        self.push(TokenKind::Ident, len);
    }

    fn number(&mut self) {
        let digits = |from: usize| self.bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut end = self.at + digits(self.at);
        if self.bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if matches!(self.bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits((end + 1 + sign).min(self.bytes.len()));
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        self.push(TokenKind::Number, end - self.at);
    }

    fn punct(&mut self) {
        let two = [self.peek(0), self.peek(1)];
        if self.bytes[self.at..].starts_with(b"...") {
            return self.push(TokenKind::Punct, 3);
        }
        if matches!(&two, b"==" | b"!=" | b"<=" | b">=" | b"&&" | b"||" | b"=>" | b"::") {
            return self.push(TokenKind::Punct, 2);
        }
        if b"=,.:?<>+-*/%!".contains(&two[0]) {
            return self.push(TokenKind::Punct, 1);
        }
        self.bad();
    }

    fn bad(&mut self) {
        let c = self.char();
        let detail = match c {
            '\'' | '\u{2018}' | '\u{2019}' => "Strings stand in double quotes, `\"`.",
            '\u{201c}' | '\u{201d}' => {
                "Strings stand in plain double quotes, `\"`; these are typographic ones."
            }
            ';' => "Items end with the line; `;` is not used.",
            '&' => "The operator is `&&`.",
            '|' => "The operator is `||`.",
            '^' => "There is no operator `^`; `pow` computes powers.",
            '`' => "Strings stand in double quotes, `\"`; for several lines use a heredoc, `<<EOT`.",
            '$' => "`${ … }` stands only inside of strings; outside write the expression alone.",
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                "This character is invisible. Remove it."
            }
            _ if c.is_whitespace() => {
                "This is a white space character that is not a space. Replace it by a space."
            }
            _ => "This character has no meaning outside of strings.",
        };
        let is_invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        let shown: String = if c.is_control() || c.is_whitespace() || is_invisible {
            format!("Unexpected character U+{:04X}", u32::from(c))
        } else {
            format!("Unexpected character `{c}`")
        };
        if self.at >= self.bad_line_end {
            let line = self.bytes[self.at..].iter().position(|b| *b == b'\n');
            self.problem("unexpected-character", (self.at, self.at + c.len_utf8()), (&shown, detail));
            self.bad_line_end = line.map_or(self.bytes.len(), |n| self.at + n);
        }
        // What follows a wrong quote is text, not code.
        let is_quote = matches!(c, '\'' | '`' | '$' | '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}');
        if self.frames.is_empty() && !is_quote {
            return self.push(TokenKind::Bad, c.len_utf8());
        }
        self.leave_strings();
        self.push(TokenKind::Bad, self.bad_line_end - self.at);
    }

    fn quoted(&mut self) {
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
    fn heredoc_open(&mut self) -> bool {
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
    fn lines(&mut self, marker: Option<(usize, usize)>) {
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

/// Whether a character may stand in a name; beyond ASCII generously, the parser has the last word.
fn is_name_part(c: char) -> bool {
    match c {
        '\u{203f}' | '\u{2040}' | '\u{2054}' => true,
        // Typographic quotes, dashes, spaces and invisible characters.
        '\u{2000}'..='\u{206f}' | '\u{feff}' => false,
        _ => c.is_ascii_alphanumeric() || c == '_' || c == '-' || (!c.is_ascii() && !c.is_whitespace()),
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
