//! Says what is wrong with an expression that the parser refuses: a walk over its tokens that knows at each place
//! what may stand there. It builds nothing; it finds the first token that cannot be, and says why.

mod marks;

use coxswain_model::{Diagnostic, FileId, Span};

use super::scanner::{Token, TokenKind};

/// What an opened bracket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// `( … )` around one expression, `[ … ]` after a value, `${ … }`.
    One,
    /// Elements or arguments.
    Items,
    /// `{ key = value }`, at the key or at the value.
    Key,
    Value,
    /// After `for … in`, up to its `:`, and behind it.
    ForIn,
    /// In `{for … :`, up to the `=>`.
    ForKey,
    ForResult,
    /// The inside of a string or heredoc.
    Text,
    /// `%{ … }` that takes an expression, and one that takes none (`else`, `endif`, `endfor`).
    Directive,
    Bare,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    role: Role,
    /// The opening token.
    opener: Token,
    /// `?` that wait for their `:`.
    questions: u32,
    /// `%{ if }` and `%{ for }` of this text that wait for their end.
    directives: u32,
}

/// The tokens of one expression, in a file.
pub(super) struct Diagnose<'t> {
    pub(super) file: FileId,
    pub(super) text: &'t str,
    pub(super) tokens: &'t [Token],
}

/// What is wrong: where, the code, what, and what to do.
struct Fault(Token, &'static str, String, String);

type Step = Result<(), Box<Fault>>;

struct Walk<'t> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
    levels: Vec<Level>,
    /// A value must come next; else an operator or an end.
    want: bool,
    /// The last token that is neither comment nor line break.
    last: Token,
}

impl Diagnose<'_> {
    /// The first problem of the expression, if the walk finds one. `before` is the token that it follows.
    pub(super) fn expression(&self, before: Token) -> Option<Diagnostic> {
        let outside = Level { role: Role::One, opener: before, questions: 0, directives: 0 };
        let mut walk = Walk {
            text: self.text,
            tokens: self.tokens,
            at: 0,
            levels: vec![outside],
            want: true,
            last: before,
        };
        let Fault(token, code, summary, detail) = *walk.run().err()?;
        let span = Span { file: self.file, start: token.start, end: token.end };
        Some(Diagnostic::error(code, summary).detail(detail).at(span, ""))
    }

    /// The first problem of the text of a template file.
    pub(super) fn template(&self) -> Option<Diagnostic> {
        let start = Token { kind: TokenKind::Heredoc, start: 0, end: 0 };
        let mut tokens = vec![start];
        tokens.extend_from_slice(self.tokens);
        let end = self.tokens.last().map_or(0, |t| t.end);
        tokens.push(Token { kind: TokenKind::HeredocEnd, start: end, end });
        Diagnose { file: self.file, text: self.text, tokens: &tokens }.expression(start)
    }
}

fn fault(token: Token, code: &'static str, summary: impl Into<String>, detail: &str) -> Step {
    Err(Box::new(Fault(token, code, summary.into(), detail.to_owned())))
}

impl Walk<'_> {
    fn run(&mut self) -> Step {
        while let Some(token) = self.tokens.get(self.at).copied() {
            self.at += 1;
            match token.kind {
                TokenKind::Comment => continue,
                TokenKind::Newline => {
                    self.newline(token)?;
                    continue;
                }
                TokenKind::Text => {}
                // The scanner has said what is wrong.
                TokenKind::Bad => return Ok(()),
                TokenKind::Quote | TokenKind::Heredoc => {
                    self.value(token)?;
                    self.open(Role::Text, token);
                }
                TokenKind::QuoteEnd | TokenKind::HeredocEnd => self.text_end()?,
                TokenKind::Interpolation => {
                    self.open(Role::One, token);
                    self.want = true;
                }
                TokenKind::Directive => self.directive(token)?,
                TokenKind::TemplateEnd => self.close(token)?,
                TokenKind::Ident => self.ident(token)?,
                TokenKind::Number => self.value(token)?,
                TokenKind::Open(bracket) => self.bracket(token, bracket)?,
                TokenKind::Close(_) => self.close(token)?,
                TokenKind::Punct => self.punct(token)?,
            }
            self.last = token;
        }
        self.end()
    }

    fn end(&mut self) -> Step {
        if let Some(level) = self.levels.get(1..).and_then(<[Level]>::last) {
            return unclosed(level.opener, self.text);
        }
        self.complete()
    }

    /// At an end of an expression: a value must have come, and every `?` must have its `:`.
    fn complete(&self) -> Step {
        if self.want {
            let place = Token { start: self.last.end, ..self.last };
            let after = self.last.text(self.text).trim_end();
            return fault(
                place,
                "missing-value",
                "Missing value",
                &format!("A value must follow `{after}`."),
            );
        }
        match self.levels.last() {
            Some(level) if level.questions > 0 => fault(
                self.last,
                "syntax-error",
                "`?` without `:`",
                "A conditional has both results: `condition ? a : b`.",
            ),
            Some(_) | None => Ok(()),
        }
    }

    fn role(&self) -> Role {
        self.levels.last().map_or(Role::One, |level| level.role)
    }

    fn set_role(&mut self, role: Role) {
        if let Some(level) = self.levels.last_mut() {
            level.role = role;
        }
    }

    fn open(&mut self, role: Role, opener: Token) {
        self.levels.push(Level { role, opener, questions: 0, directives: 0 });
    }

    fn next(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn next_is(&self, text: &str) -> bool {
        self.next().is_some_and(|token| token.text(self.text) == text)
    }

    fn newline(&mut self, token: Token) -> Step {
        match self.role() {
            Role::Key if !self.want => self.no_value_for_key(token),
            Role::Value => {
                self.complete()?;
                self.set_role(Role::Key);
                self.want = true;
                Ok(())
            }
            Role::One if self.levels.len() == 1 => {
                self.complete()?;
                let rest = self.tokens[self.at..].iter();
                match rest.clone().find(|t| !matches!(t.kind, TokenKind::Newline | TokenKind::Comment)) {
                    None => Ok(()),
                    Some(more) => fault(
                        *more,
                        "syntax-error",
                        "The expression has ended on the line before",
                        "An expression goes on on the next line only inside of brackets.",
                    ),
                }
            }
            Role::Key
            | Role::One
            | Role::Items
            | Role::ForIn
            | Role::ForKey
            | Role::ForResult
            | Role::Text
            | Role::Directive
            | Role::Bare => Ok(()),
        }
    }

    fn no_value_for_key(&self, token: Token) -> Step {
        let key = self.last.text(self.text);
        let detail = format!("An object has `key = value` in each place; `{key}` has no value.");
        let place = if self.last.start < token.start { self.last } else { token };
        fault(place, "missing-value", "Missing value of a key", &detail)
    }

    /// A value starts here.
    fn value(&mut self, token: Token) -> Step {
        if self.want {
            self.want = false;
            return Ok(());
        }
        let found = shown(token, self.text);
        match self.role() {
            Role::Items => fault(
                token,
                "missing-separator",
                "Missing `,` between two items",
                &format!("Found {found} after a complete item."),
            ),
            Role::Value => fault(
                token,
                "missing-separator",
                "Missing `,` or line break between two items",
                &format!("Found {found} after a complete value."),
            ),
            Role::Key => fault(token, "syntax-error", "Expected `=` after a key", &format!("Found {found}.")),
            Role::One
            | Role::ForIn
            | Role::ForKey
            | Role::ForResult
            | Role::Text
            | Role::Directive
            | Role::Bare => fault(
                token,
                "syntax-error",
                format!("Unexpected {found}"),
                if self.levels.len() == 1 {
                    "The value before it is complete. One attribute stands on one line; an operator joins two values."
                } else {
                    "The value before it is complete; an operator joins two values."
                },
            ),
        }
    }

    fn ident(&mut self, token: Token) -> Step {
        let word = token.text(self.text);
        if !self.want && word == "if" && self.role() == Role::ForResult {
            self.complete()?;
            self.want = true;
            return Ok(());
        }
        self.value(token)
    }

    fn bracket(&mut self, token: Token, bracket: u8) -> Step {
        if self.want {
            let role = match bracket {
                b'(' => Role::One,
                b'[' => Role::Items,
                _ => Role::Key,
            };
            self.open(role, token);
            return if bracket == b'(' { Ok(()) } else { self.for_intro() };
        }
        match bracket {
            b'(' if self.last.kind == TokenKind::Ident => self.open(Role::Items, token),
            b'[' if self.next_is("*") => {
                // `[*]` takes no expression.
                self.at += 1;
                self.open(Role::One, token);
                return Ok(());
            }
            b'[' => self.open(Role::One, token),
            _ => return self.value(token),
        }
        self.want = true;
        Ok(())
    }

    /// Reads `for a, b in`, if it stands here.
    fn for_intro(&mut self) -> Step {
        let mut at = self.at;
        let mut words = Vec::new();
        while let Some(token) = self.tokens.get(at).copied().filter(|_| words.len() < 5) {
            at += 1;
            if matches!(token.kind, TokenKind::Newline | TokenKind::Comment) {
                continue;
            }
            words.push((token, at));
            if token.text(self.text) == "in" {
                break;
            }
        }
        let Some((intro, _)) = words.first().copied().filter(|(t, _)| t.text(self.text) == "for") else {
            return Ok(());
        };
        // `for` may be a name of something else.
        if words.get(1).is_some_and(|(t, _)| t.kind != TokenKind::Ident) {
            return Ok(());
        }
        let kinds: Vec<TokenKind> = words.iter().map(|(t, _)| t.kind).collect();
        let good = matches!(
            kinds.as_slice(),
            [TokenKind::Ident, TokenKind::Ident, TokenKind::Ident]
                | [TokenKind::Ident, TokenKind::Ident, TokenKind::Punct, TokenKind::Ident, TokenKind::Ident]
        );
        match words.last() {
            Some((last, past)) if good && last.text(self.text) == "in" => {
                self.at = *past;
                self.last = *last;
                self.set_role(Role::ForIn);
                self.want = true;
                Ok(())
            }
            Some(_) | None => fault(
                intro,
                "syntax-error",
                "Invalid `for`",
                "Write `[for value in collection : result]` or `{for key, value in collection : key => result}`.",
            ),
        }
    }

    fn close(&mut self, token: Token) -> Step {
        let Some(level) = self.levels.get(1..).and_then(<[Level]>::last).copied() else {
            let found = token.text(self.text);
            return fault(
                token,
                "unexpected-bracket",
                format!("`{found}` closes nothing"),
                "No bracket of this kind is open here. Remove it, or open one before.",
            );
        };
        if !closes(level.opener.kind, token.kind) {
            return unclosed(level.opener, self.text);
        }
        match level.role {
            Role::Items if self.want && self.may_end_after() => {}
            Role::Key if self.want => {}
            Role::Key => return self.no_value_for_key(token),
            Role::ForIn => {
                return fault(
                    level.opener,
                    "syntax-error",
                    "`for` without `:`",
                    "After the collection come `:` and the result: `[for x in xs : x.name]`.",
                );
            }
            Role::ForKey => {
                return fault(
                    level.opener,
                    "syntax-error",
                    "`for` without `=>`",
                    "In braces the result has a key: `{for x in xs : x.name => x}`. For a list use `[for x in xs : x]`.",
                );
            }
            Role::One | Role::Items | Role::Value | Role::ForResult | Role::Text | Role::Directive => {
                self.complete()?
            }
            Role::Bare => {}
        }
        self.levels.pop();
        self.want = false;
        Ok(())
    }

    /// Whether a list may end here although a value could follow: it is empty, or a comma came last.
    fn may_end_after(&self) -> bool {
        matches!(self.last.kind, TokenKind::Open(_)) || self.last.text(self.text) == ","
    }
}

/// Whether `close` ends what `open` began.
pub(super) fn closes(open: TokenKind, close: TokenKind) -> bool {
    matches!(
        (open, close),
        (TokenKind::Open(b'('), TokenKind::Close(b')'))
            | (TokenKind::Open(b'['), TokenKind::Close(b']'))
            | (TokenKind::Open(b'{'), TokenKind::Close(b'}'))
            | (TokenKind::Quote, TokenKind::QuoteEnd)
            | (TokenKind::Heredoc, TokenKind::HeredocEnd)
            | (TokenKind::Interpolation | TokenKind::Directive, TokenKind::TemplateEnd)
    )
}

fn unclosed(opener: Token, text: &str) -> Step {
    let found = opener.text(text).trim_end();
    let end = match opener.kind {
        TokenKind::Open(b'(') => ")",
        TokenKind::Open(b'[') => "]",
        _ => "}",
    };
    fault(
        opener,
        "unclosed-bracket",
        format!("`{found}` is not closed"),
        &format!("Its `{end}` is missing, or something else is closed before it."),
    )
}

/// A token as it is named in a message.
pub(super) fn shown(token: Token, text: &str) -> String {
    /// Characters of a token that are shown.
    const SHOWN: usize = 24;
    match token.kind {
        TokenKind::Newline => "the end of the line".into(),
        TokenKind::Quote | TokenKind::Text | TokenKind::QuoteEnd => "a string".into(),
        TokenKind::Heredoc | TokenKind::HeredocEnd => "a heredoc".into(),
        TokenKind::Comment => "a comment".into(),
        TokenKind::Ident
        | TokenKind::Number
        | TokenKind::Interpolation
        | TokenKind::Directive
        | TokenKind::TemplateEnd
        | TokenKind::Open(_)
        | TokenKind::Close(_)
        | TokenKind::Punct
        | TokenKind::Bad => {
            let word = token.text(text);
            match word.char_indices().nth(SHOWN) {
                Some((cut, _)) => format!("`{}…`", &word[..cut]),
                None => format!("`{word}`"),
            }
        }
    }
}
