//! Problems of a configuration: drawn for a terminal, plain in a pipe, JSON lines for machines.

use std::borrow::Cow;
use std::fmt;

use coxswain_lang::SourceFile;
use coxswain_model::diagnostic::{Fix, Label};
use coxswain_model::{Diagnostic, Severity, Span};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use serde_json::{Value as Json, json};

use super::{Colour, clean, one_line};
use crate::cli::{Cx, Format};
use crate::session::Sources;

/// Characters of a summary, a detail or a remark that are shown.
const TEXT_LIMIT: usize = 2000;
/// Characters of a line that are shown: a line may be as long as a file.
const LINE_LIMIT: usize = 160;

/// Writes diagnostics that are the answer, or lines among lines.
pub fn show(cx: &Cx, all: &[Diagnostic], sources: &Sources) {
    match cx.format {
        Format::Json => cx.terminal.out(&json_lines(all, sources)),
        Format::Text => show_beside(cx, all, sources),
    }
}

/// Writes diagnostics beside an answer that is one document: to standard error.
pub fn show_beside(cx: &Cx, all: &[Diagnostic], sources: &Sources) {
    if all.is_empty() {
        return;
    }
    let terminal = &cx.terminal;
    match cx.format {
        Format::Json => terminal.err(&json_lines(all, sources)),
        Format::Text if terminal.err_is_terminal => {
            terminal.err(&drawn(all, sources, terminal.width, terminal.err_colour));
        }
        Format::Text => terminal.err(&plain(all, sources)),
    }
}

/// A span in its file, in lines and columns that start at 1; columns count characters.
#[derive(Debug, Clone, Copy)]
struct Position<'a> {
    file: &'a SourceFile,
    start: usize,
    end: usize,
    line: usize,
    column: usize,
}

/// The nearest character boundary at or before `at`.
fn boundary(text: &str, at: u32) -> usize {
    let mut at = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn locate(span: Span, sources: &Sources) -> Option<Position<'_>> {
    let file = sources.0.iter().find(|f| f.id == span.file)?;
    let start = boundary(&file.text, span.start);
    let end = boundary(&file.text, span.end).max(start);
    let (line, column) = line_and_column(&file.text, start);
    Some(Position { file, start, end, line, column })
}

fn severity(d: &Diagnostic) -> &'static str {
    match d.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Everything but the first place and the text: notes, other files' places, edits, the address.
fn remarks(d: &Diagnostic, sources: &Sources) -> Vec<String> {
    let first = d.labels.first().map(|l| l.span.file);
    let mut lines: Vec<String> = d.notes.iter().map(|note| clean(note).into_owned()).collect();
    for label in d.labels.iter().filter(|l| Some(l.span.file) != first) {
        if let Some(at) = locate(label.span, sources) {
            lines.push(format!("see {}:{}:{} {}", at.file.name, at.line, at.column, one_line(&label.text)));
        }
    }
    lines.extend(d.fixes.iter().map(|fix| fix_line(fix, sources)));
    if let Some(address) = &d.address {
        lines.push(format!("in {address}"));
    }
    lines.iter().map(|line| bounded(line.trim_end()).into_owned()).collect()
}

fn fix_line(fix: &Fix, sources: &Sources) -> String {
    let old = locate(fix.span, sources).map_or("", |at| &at.file.text[at.start..at.end]);
    match (old.is_empty(), fix.text.is_empty()) {
        (true, _) => format!("add `{}`", one_line(&fix.text)),
        (false, true) => format!("remove `{}`", one_line(old)),
        (false, false) => format!("write `{}` instead of `{}`", one_line(&fix.text), one_line(old)),
    }
}

/// For pipes: `file:line:column: error[code]: summary`, the line with carets, and what there is to say.
pub fn plain(all: &[Diagnostic], sources: &Sources) -> String {
    let each: String = all.iter().map(|d| one(d, sources)).collect();
    each + &count_line(all)
}

fn one(d: &Diagnostic, sources: &Sources) -> String {
    let mut out = String::new();
    let chief = d.labels.first().and_then(|l| locate(l.span, sources).map(|at| (l, at)));
    if let Some((_, at)) = &chief {
        out += &format!("{}:{}:{}: ", at.file.name, at.line, at.column);
    }
    out += &format!("{}[{}]: {}\n", severity(d), d.code, one_line(&bounded(&d.summary)));
    let file = chief.as_ref().map(|(l, _)| l.span.file);
    for label in d.labels.iter().filter(|l| Some(l.span.file) == file) {
        if let Some(at) = locate(label.span, sources) {
            push_carets(&mut out, label, &at);
        }
    }
    for line in bounded(d.detail.trim_end()).lines() {
        out += format!("  {line}").trim_end();
        out.push('\n');
    }
    for line in remarks(d, sources) {
        out += &format!("  = {}\n", line.replace('\n', "\n    "));
    }
    out.push('\n');
    out
}

fn push_carets(out: &mut String, label: &Label, at: &Position<'_>) {
    let text = &at.file.text;
    let start = text[..at.start].rfind('\n').map_or(0, |n| n + 1);
    let stop = text[at.start..].find('\n').map_or(text.len(), |n| at.start + n);
    let line = text[start..stop].replace('\t', " ");
    let marked = text[at.start..at.end.min(stop)].chars().count().max(1);
    let (line, column) = window(line.trim_end(), at.column);
    let marked = marked.min(LINE_LIMIT.saturating_sub(column) + 1).max(1);
    let number = at.line.to_string();
    let gap = " ".repeat(number.len());
    *out += &format!("  {number} | {}\n", clean(&line));
    let carets = format!("{}{}", " ".repeat(column - 1), "^".repeat(marked));
    *out += format!("  {gap} | {carets} {}", one_line(&label.text)).trim_end();
    out.push('\n');
}

/// A text of a diagnostic: a name in it may be as long as a file.
fn bounded(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(TEXT_LIMIT) {
        Some((at, _)) => Cow::Owned(format!("{}…", clean(&text[..at]))),
        None => clean(text),
    }
}

/// The part of a long line around a column (1-based), and the column in that part.
fn window(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= LINE_LIMIT {
        return (line.to_owned(), column);
    }
    let from = column.saturating_sub(LINE_LIMIT / 2).min(length - LINE_LIMIT);
    let part: String = line.chars().skip(from).take(LINE_LIMIT).collect();
    let (head, tail) = (if from > 0 { "…" } else { "" }, if from + LINE_LIMIT < length { "…" } else { "" });
    (format!("{head}{part}{tail}"), column - from + head.chars().count())
}

/// Whether a line that would be drawn is too long for it.
fn is_long(at: &Position<'_>) -> bool {
    let text = &at.file.text;
    let start = text[..at.start].rfind('\n').map_or(0, |n| n + 1);
    let stop = text[at.start..].find('\n').map_or(text.len(), |n| at.start + n);
    stop - start > LINE_LIMIT
}

/// `2 errors, 1 warning`.
fn count_line(all: &[Diagnostic]) -> String {
    let errors = all.iter().filter(|d| d.is_error()).count();
    let warnings = all.len() - errors;
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(super::plural(errors, "error"));
    }
    if warnings > 0 {
        parts.push(super::plural(warnings, "warning"));
    }
    format!("{}\n", parts.join(", "))
}

/// For terminals.
pub fn drawn(all: &[Diagnostic], sources: &Sources, width: usize, colour: Colour) -> String {
    let theme = match colour {
        Colour::On => GraphicalTheme::unicode(),
        Colour::Off => GraphicalTheme::unicode_nocolor(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
    let mut out = String::new();
    for d in all {
        let mut text = String::new();
        let mut places = d.labels.iter().filter_map(|l| locate(l.span, sources));
        if places.any(|at| is_long(&at)) {
            out += &one(d, sources);
            continue;
        }
        match handler.render_report(&mut text, &Drawn::new(d, sources)) {
            Ok(()) => out += &format!("{}\n\n", text.trim_end()),
            // It cannot be drawn: it must be told all the same.
            Err(fmt::Error) => out += &one(d, sources),
        }
    }
    out + &count_line(all)
}

/// A diagnostic in miette's terms.
#[derive(Debug)]
struct Drawn {
    code: String,
    severity: miette::Severity,
    summary: String,
    help: String,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
}

impl Drawn {
    fn new(d: &Diagnostic, sources: &Sources) -> Drawn {
        let chief = d.labels.first().and_then(|l| locate(l.span, sources));
        let file = d.labels.first().map(|l| l.span.file);
        let labels = d
            .labels
            .iter()
            .filter(|l| Some(l.span.file) == file)
            .filter_map(|l| locate(l.span, sources).map(|at| (l, at)))
            .map(|(l, at)| {
                let text = (!l.text.is_empty()).then(|| one_line(&l.text));
                LabeledSpan::new(text, at.start, at.end - at.start)
            })
            .collect();
        let mut help: Vec<String> = Vec::new();
        if !d.detail.is_empty() {
            help.push(bounded(d.detail.trim_end()).into_owned());
        }
        help.extend(remarks(d, sources));
        Drawn {
            code: d.code.to_string(),
            severity: match d.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            },
            summary: bounded(&d.summary).into_owned(),
            help: help.join("\n"),
            source: chief.map(|at| NamedSource::new(&at.file.name, visible(&at.file.text))),
            labels,
        }
    }
}

/// The text with every control character that a terminal would obey replaced; byte offsets stay.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_control() && !matches!(c, '\n' | '\t' | '\r') { '?' } else { c })
        .collect()
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl std::error::Error for Drawn {}

impl miette::Diagnostic for Drawn {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.code))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.as_ref().map(|source| source as &dyn miette::SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref().map(|_| Box::new(self.labels.iter().cloned()) as Box<dyn Iterator<Item = _>>)
    }
}

/// For machines: one object a line, places resolved.
pub fn json_lines(all: &[Diagnostic], sources: &Sources) -> String {
    all.iter().map(|d| format!("{}\n", json_one(d, sources))).collect()
}

fn json_one(d: &Diagnostic, sources: &Sources) -> Json {
    let labels: Vec<Json> = d
        .labels
        .iter()
        .map(|l| {
            let mut place = json_place(l.span, sources);
            place["text"] = Json::from(l.text.as_str());
            place
        })
        .collect();
    let fixes: Vec<Json> = d
        .fixes
        .iter()
        .map(|fix| {
            let mut place = json_place(fix.span, sources);
            place["replacement"] = Json::from(fix.text.as_str());
            place
        })
        .collect();
    let mut line = d.labels.first().map_or_else(|| json!({}), |l| json_place(l.span, sources));
    line["event"] = "diagnostic".into();
    line["code"] = d.code.as_ref().into();
    line["severity"] = severity(d).into();
    line["summary"] = d.summary.as_str().into();
    line["detail"] = d.detail.as_str().into();
    line["notes"] = json!(d.notes);
    line["address"] = json!(d.address);
    line["labels"] = labels.into();
    line["fixes"] = fixes.into();
    line
}

fn json_place(span: Span, sources: &Sources) -> Json {
    let Some(at) = locate(span, sources) else { return json!({}) };
    let (end_line, end_column) = line_and_column(&at.file.text, at.end);
    json!({
        "file": at.file.name, "line": at.line, "column": at.column, "end_line": end_line,
        "end_column": end_column, "start_byte": at.start, "end_byte": at.end,
    })
}

#[cfg(test)]
mod tests {
    use coxswain_model::FileId;

    use super::super::plan::tests::address;
    use super::*;

    fn sources() -> Sources {
        let file =
            |n, name: &str, text: &str| SourceFile { id: FileId(n), name: name.into(), text: text.into() };
        Sources(vec![
            file(0, "main.hcl", "# ü\nfile \"motd\" {\n  host = hots.a # é\n}\n"),
            file(1, "hosts.hcl", "host \"a\" {}\n"),
        ])
    }

    fn problem() -> Diagnostic {
        Diagnostic::error("unknown-reference", "there is no `hots`")
            .detail("A reference starts with a kind.")
            .at(Span::new(FileId(0), 28, 34), "this")
            .at(Span::new(FileId(1), 0, 8), "declared here")
            .note("the kinds here are host, file")
            .fix(Span::new(FileId(0), 28, 32), "host")
            .of(&address("file.motd"))
    }

    #[test]
    fn in_a_pipe_it_is_plain() {
        assert_eq!(
            plain(&[problem(), Diagnostic::warning("w", "odd")], &sources()),
            "main.hcl:3:10: error[unknown-reference]: there is no `hots`\n\
             \x20 3 |   host = hots.a # é\n\
             \x20   |          ^^^^^^ this\n\
             \x20 A reference starts with a kind.\n\
             \x20 = the kinds here are host, file\n\
             \x20 = see hosts.hcl:1:1 declared here\n\
             \x20 = write `host` instead of `hots`\n\
             \x20 = in file.motd\n\n\
             warning[w]: odd\n\n\
             1 error, 1 warning\n"
        );
    }

    #[test]
    fn on_a_terminal_it_is_drawn() {
        let text = drawn(&[problem()], &sources(), 80, Colour::Off);
        for part in ["unknown-reference", "there is no `hots`", "main.hcl:3:10", "this", "A reference starts"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(drawn(&[problem()], &sources(), 80, Colour::On).contains('\u{1b}'));
    }

    #[test]
    fn machines_get_lines_and_columns() {
        let line: Json = serde_json::from_str(&json_lines(&[problem()], &sources())).expect("json");
        assert_eq!(
            (&line["file"], &line["line"], &line["column"]),
            (&json!("main.hcl"), &json!(3), &json!(10))
        );
        assert_eq!(line["labels"][1]["file"], "hosts.hcl");
        assert_eq!(line["fixes"][0]["replacement"], "host");
        assert_eq!(line["address"], "file.motd");
    }

    #[test]
    fn wrong_spans_do_no_harm() {
        for (file, start, end) in [(0, 3, 3), (0, 9000, 9001), (0, 40, 2), (9, 0, 1), (0, 45, 46)] {
            let odd = Diagnostic::error("x", "odd").at(Span::new(FileId(file), start, end), "");
            assert!(plain(std::slice::from_ref(&odd), &sources()).contains("error[x]: odd"));
            assert!(drawn(std::slice::from_ref(&odd), &sources(), 60, Colour::Off).contains("odd"));
            assert!(json_lines(&[odd], &sources()).contains("\"odd\""));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_and_no_span_is_too_odd(text in "(?s).{0,80}", start in 0_u32..100, end in 0_u32..100) {
            let file = SourceFile { id: FileId(0), name: "x.hcl".into(), text };
            let sources = Sources(vec![file]);
            let span = Span { file: FileId(0), start, end };
            let odd = [Diagnostic::error("x", "odd").at(span, "here").fix(span, "y")];
            proptest::prop_assert!(plain(&odd, &sources).contains("error[x]: odd"));
            proptest::prop_assert!(drawn(&odd, &sources, 60, Colour::Off).contains("odd"));
            proptest::prop_assert!(json_lines(&odd, &sources).contains("odd"));
        }
    }
}
