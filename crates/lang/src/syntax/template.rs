//! Lowers templates: strip markers, heredoc indentation and marker escapes are applied here, once.
//!
//! A quoted string is one line by nature, so `~` takes all white space of the neighbouring literal. In a heredoc or a
//! template file literals are lines: `~}` takes the rest of its line with the line break, and the indentation of the
//! next line stays, as users of HCL know it.

use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::template::{Directive, Element, HeredocTemplate, StringTemplate, Strip, Template};

use super::lower::{Lower, nfc};
use crate::ast::{ExprKind, Part};

/// How literals of a template are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A quoted string: the parser has resolved the escapes.
    Quoted,
    /// A heredoc or a file, whose lines lose so many characters of indentation.
    Lines { indent: usize },
}

/// What the walk over a template in source order remembers from literal to literal.
struct Walk {
    form: Form,
    /// The next literal starts a line.
    line_start: bool,
    /// The sequence before the next literal ended in `~}`.
    trim_start: bool,
}

impl Lower<'_> {
    /// Lowers a quoted string with interpolations.
    pub(super) fn quoted(&mut self, template: &StringTemplate) -> ExprKind {
        self.template(template, Form::Quoted)
    }

    /// Lowers a heredoc.
    pub(super) fn heredoc(&mut self, heredoc: &HeredocTemplate) -> ExprKind {
        let start = heredoc.span().map_or(0, |range| range.start);
        let flush = self.text.get(start..).is_some_and(|text| text.starts_with("<<-"));
        let indent = if flush { self.indent(&heredoc.template) } else { 0 };
        self.template(&heredoc.template, Form::Lines { indent })
    }

    /// Lowers the text of a template file.
    pub(super) fn file_template(&mut self, template: &Template) -> ExprKind {
        self.template(template, Form::Lines { indent: 0 })
    }

    fn template(&mut self, template: &Template, form: Form) -> ExprKind {
        let mut walk = Walk { form, line_start: true, trim_start: false };
        let mut parts = self.parts(template, &mut walk, false);
        match parts.as_slice() {
            [] => ExprKind::Str(Arc::from("")),
            [Part::Text(text)] => ExprKind::Str(text.clone()),
            [Part::Interpolation(_)] if template.len() > 1 => {
                // Literals that a marker has emptied still make the result a string.
                parts.push(Part::Text(Arc::from("")));
                ExprKind::Template(parts)
            }
            _ => ExprKind::Template(parts),
        }
    }

    /// `trim_last`: the sequence after the template starts with `~`.
    fn parts(&mut self, template: &Template, walk: &mut Walk, trim_last: bool) -> Vec<Part> {
        let mut parts = Vec::with_capacity(template.len());
        let mut elements = template.iter().peekable();
        while let Some(element) = elements.next() {
            match element {
                Element::Literal(literal) => {
                    let trim_end = elements.peek().map_or(trim_last, |next| opens_with_strip(next));
                    let raw = literal.span().and_then(|range| self.text.get(range)).unwrap_or_default();
                    let text = match walk.form {
                        Form::Quoted => quoted_literal(literal.as_str(), walk.trim_start, trim_end),
                        Form::Lines { indent } => lines_literal(raw, indent, walk, trim_end),
                    };
                    walk.trim_start = false;
                    walk.line_start = raw.ends_with('\n');
                    if !text.is_empty() {
                        parts.push(Part::Text(nfc(&text)));
                    }
                }
                Element::Interpolation(interpolation) => {
                    parts.push(Part::Interpolation(self.expr(&interpolation.expr)));
                    walk.after(interpolation.strip);
                }
                Element::Directive(directive) => parts.push(self.directive(directive, walk)),
            }
        }
        parts
    }

    fn directive(&mut self, directive: &Directive, walk: &mut Walk) -> Part {
        match directive {
            Directive::If(d) => {
                let condition = self.expr(&d.if_expr.cond_expr);
                walk.after(d.if_expr.strip);
                let end_strip = strips_start(d.endif_expr.strip);
                let then_trim = d.else_expr.as_ref().map_or(end_strip, |e| strips_start(e.strip));
                let then = self.parts(&d.if_expr.template, walk, then_trim);
                let otherwise = match &d.else_expr {
                    Some(e) => {
                        walk.after(e.strip);
                        self.parts(&e.template, walk, end_strip)
                    }
                    None => Vec::new(),
                };
                walk.after(d.endif_expr.strip);
                Part::If { condition, then, otherwise }
            }
            Directive::For(d) => {
                let collection = self.expr(&d.for_expr.collection_expr);
                walk.after(d.for_expr.strip);
                let body = self.parts(&d.for_expr.template, walk, strips_start(d.endfor_expr.strip));
                walk.after(d.endfor_expr.strip);
                Part::For {
                    key: d.for_expr.key_var.as_ref().map(|name| nfc(name.as_str())),
                    value: nfc(d.for_expr.value_var.as_str()),
                    collection,
                    body,
                }
            }
        }
    }

    /// The indentation that all lines of a `<<-` heredoc share; empty lines do not count.
    fn indent(&self, template: &Template) -> usize {
        let (mut least, mut line_start) = (usize::MAX, true);
        self.least_indent(template, &mut least, &mut line_start);
        if least == usize::MAX { 0 } else { least }
    }

    fn least_indent(&self, template: &Template, least: &mut usize, line_start: &mut bool) {
        for element in template.iter() {
            let Element::Literal(literal) = element else {
                if *line_start {
                    *least = 0;
                }
                *line_start = false;
                if let Element::Directive(directive) = element {
                    for inner in bodies(directive) {
                        self.least_indent(inner, least, line_start);
                        *line_start = false;
                    }
                }
                continue;
            };
            let raw = literal.span().and_then(|range| self.text.get(range)).unwrap_or_default();
            for line in raw.split_inclusive('\n') {
                let content = line.trim_end_matches(['\n', '\r']);
                if *line_start && !(content.is_empty() && line.ends_with('\n')) {
                    *least = (*least).min(content.chars().take_while(|c| c.is_whitespace()).count());
                }
                *line_start = line.ends_with('\n');
            }
        }
    }
}

impl Walk {
    /// A sequence with these markers has ended.
    fn after(&mut self, strip: Strip) {
        self.trim_start = matches!(strip, Strip::End | Strip::Both);
        self.line_start = false;
    }
}

fn bodies(directive: &Directive) -> Vec<&Template> {
    match directive {
        Directive::If(d) => {
            let otherwise = d.else_expr.as_ref().map(|e| &e.template);
            std::iter::once(&d.if_expr.template).chain(otherwise).collect()
        }
        Directive::For(d) => vec![&d.for_expr.template],
    }
}

fn strips_start(strip: Strip) -> bool {
    matches!(strip, Strip::Start | Strip::Both)
}

fn opens_with_strip(element: &Element) -> bool {
    match element {
        Element::Literal(_) => false,
        Element::Interpolation(i) => strips_start(i.strip),
        Element::Directive(directive) => match &**directive {
            Directive::If(d) => strips_start(d.if_expr.strip),
            Directive::For(d) => strips_start(d.for_expr.strip),
        },
    }
}

fn quoted_literal(text: &str, trim_start: bool, trim_end: bool) -> String {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    text.to_owned()
}

fn lines_literal(raw: &str, indent: usize, walk: &Walk, trim_end: bool) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut line_start = walk.line_start;
    let mut lines = raw.split_inclusive('\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let mut line = if line_start { without_indent(line, indent) } else { line };
        if number == 0 && walk.trim_start {
            line = line.trim_start();
        }
        if trim_end && lines.peek().is_none() {
            line = line.trim_end();
        }
        out.push_str(line);
        line_start = true;
    }
    out.replace("$${", "${").replace("%%{", "%{")
}

fn without_indent(line: &str, indent: usize) -> &str {
    let cut: usize = line
        .chars()
        .take(indent)
        .take_while(|c| c.is_whitespace() && *c != '\n' && *c != '\r')
        .map(char::len_utf8)
        .sum();
    &line[cut..]
}
