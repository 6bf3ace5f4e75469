//! What operators, separators and template directives may follow.

use super::super::scanner::{Token, TokenKind};
use super::{Level, Role, Step, Walk, fault, unclosed};

impl Walk<'_> {
    pub(super) fn text_end(&mut self) -> Step {
        // A template file ends wherever it ends, also inside of a sequence.
        if let Some(level) = self.levels.get(1..).and_then(<[Level]>::last)
            && level.role != Role::Text
        {
            return unclosed(level.opener, self.text);
        }
        if let Some(level) = self.levels.last()
            && level.directives > 0
        {
            return fault(
                level.opener,
                "syntax-error",
                "`%{` without an end in this text",
                "`%{ if … }` ends with `%{ endif }`, `%{ for … }` with `%{ endfor }`.",
            );
        }
        if self.levels.len() > 1 {
            self.levels.pop();
        }
        self.want = false;
        Ok(())
    }

    pub(super) fn directive(&mut self, token: Token) -> Step {
        let word = self.next().map_or("", |next| next.text(self.text));
        let open = self.levels.last_mut();
        let role = match word {
            "if" | "for" => {
                if let Some(level) = open {
                    level.directives += 1;
                }
                Role::Directive
            }
            "else" => Role::Bare,
            "endif" | "endfor" => {
                if let Some(level) = open {
                    if level.directives == 0 {
                        return fault(
                            token,
                            "syntax-error",
                            format!("`%{{ {word} }}` ends nothing"),
                            "No directive of this text is open here.",
                        );
                    }
                    level.directives -= 1;
                }
                Role::Bare
            }
            _ => {
                return fault(
                    token,
                    "syntax-error",
                    "Unknown directive",
                    "The directives are `if`, `else`, `endif`, `for` and `endfor`. A plain `%{` is written `%%{`.",
                );
            }
        };
        self.at += 1;
        self.open(role, token);
        self.want = role == Role::Directive;
        if word == "for" {
            // The names are no values; skip to the collection.
            let names = self.tokens[self.at..].iter().take(4).position(|t| t.text(self.text) == "in");
            let Some(names) = names else {
                return fault(
                    token,
                    "syntax-error",
                    "Invalid `for`",
                    "Write `%{ for value in collection }`.",
                );
            };
            self.at += names + 1;
        }
        Ok(())
    }

    pub(super) fn punct(&mut self, token: Token) -> Step {
        match token.text(self.text) {
            "-" | "!" if self.want => Ok(()),
            "." => self.dot(token),
            "::" if !self.want => {
                self.at += usize::from(self.next().is_some_and(|next| next.kind == TokenKind::Ident));
                self.last = token;
                Ok(())
            }
            "..." if !self.want && self.may_spread() => Ok(()),
            "," => self.comma(token),
            ":" => self.colon(token),
            "=" => self.equals(token),
            "=>" if !self.want && self.role() == Role::ForKey => {
                self.complete()?;
                self.set_role(Role::ForResult);
                self.want = true;
                Ok(())
            }
            "?" if !self.want => {
                if let Some(level) = self.levels.last_mut() {
                    level.questions += 1;
                }
                self.want = true;
                Ok(())
            }
            "+" | "-" | "*" | "/" | "%" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "&&" | "||"
                if !self.want =>
            {
                self.want = true;
                Ok(())
            }
            found => fault(
                token,
                "syntax-error",
                format!("Unexpected `{found}`"),
                if self.want { "A value must stand here." } else { "It cannot follow a value here." },
            ),
        }
    }

    /// Whether `...` may stand here: after the last argument, or after the value of `{for … => value...}`.
    fn may_spread(&self) -> bool {
        let in_braces = |level: &Level| level.opener.kind == TokenKind::Open(b'{');
        let in_call = |level: &Level| level.opener.kind == TokenKind::Open(b'(');
        self.levels.last().is_some_and(|level| match level.role {
            Role::Items => in_call(level),
            Role::ForResult => in_braces(level),
            Role::One
            | Role::Key
            | Role::Value
            | Role::ForIn
            | Role::ForKey
            | Role::Text
            | Role::Directive
            | Role::Bare => false,
        })
    }

    fn dot(&mut self, token: Token) -> Step {
        if self.want {
            return fault(
                token,
                "syntax-error",
                "Unexpected `.`",
                "A name must come before it; numbers start with a digit.",
            );
        }
        match self.next() {
            Some(next)
                if matches!(next.kind, TokenKind::Ident | TokenKind::Number)
                    || next.text(self.text) == "*" =>
            {
                self.at += 1;
                Ok(())
            }
            Some(_) | None => fault(
                token,
                "missing-name",
                "Missing name after `.`",
                "After `.` comes the name of an attribute, or `*` for the attributes of all elements.",
            ),
        }
    }

    fn comma(&mut self, token: Token) -> Step {
        match self.role() {
            Role::Items if !self.want => {
                self.complete()?;
                self.want = true;
                Ok(())
            }
            Role::Value if !self.want => {
                self.complete()?;
                self.set_role(Role::Key);
                self.want = true;
                Ok(())
            }
            Role::Key if !self.want => self.no_value_for_key(token),
            Role::Items | Role::Value | Role::Key => fault(
                token,
                "missing-value",
                "Missing value before `,`",
                "Remove the comma, or put a value before it.",
            ),
            Role::One
            | Role::ForIn
            | Role::ForKey
            | Role::ForResult
            | Role::Text
            | Role::Directive
            | Role::Bare => fault(
                token,
                "syntax-error",
                "Unexpected `,`",
                "Commas stand between items of lists, objects and calls only.",
            ),
        }
    }

    fn colon(&mut self, token: Token) -> Step {
        if self.want {
            return fault(
                token,
                "missing-value",
                "Missing value before `:`",
                "A value must stand before it.",
            );
        }
        self.want = true;
        match self.levels.last_mut() {
            Some(level) if level.questions > 0 => level.questions -= 1,
            Some(level) if level.role == Role::Key => level.role = Role::Value,
            Some(level) if level.role == Role::ForIn => {
                let has_key = level.opener.kind == TokenKind::Open(b'{');
                level.role = if has_key { Role::ForKey } else { Role::ForResult };
            }
            Some(_) | None => {
                return fault(
                    token,
                    "syntax-error",
                    "`:` without `?`",
                    "A conditional is `condition ? a : b`.",
                );
            }
        }
        Ok(())
    }

    fn equals(&mut self, token: Token) -> Step {
        if self.role() == Role::Key && !self.want {
            self.set_role(Role::Value);
            self.want = true;
            return Ok(());
        }
        let detail = if self.role() == Role::Value {
            "Two items of an object stand on two lines or are separated by `,`."
        } else {
            "To compare two values write `==`."
        };
        fault(token, "syntax-error", "Unexpected `=`", detail)
    }
}
