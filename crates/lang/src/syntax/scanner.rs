//! Cuts text into tokens, whatever it is.
//!
//! It knows comments, strings, templates in strings, heredocs and brackets, never fails, and never looks back further
//! than one line per problem. White space is what lies between tokens. The tokens serve recovery and formatting.

mod text;

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
