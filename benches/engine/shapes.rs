//! Configurations of one size in different shapes, for both programs.

use std::fmt::Write as _;

/// Resources in one module of [`Shape::Modules`].
pub(crate) const PER_MODULE: usize = 50;

/// How the resources of a configuration hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No references.
    Flat,
    /// Each reads the one before.
    Chain,
    /// All read the first.
    FanOut,
    /// Rows of equal length; each reads its neighbours above and to the left.
    Grid,
    /// One block with a key for each.
    ForEach,
    /// Calls of one module of [`PER_MODULE`] resources.
    Modules,
}

impl Shape {
    pub(crate) const ALL: [Shape; 6] =
        [Shape::Flat, Shape::Chain, Shape::FanOut, Shape::Grid, Shape::ForEach, Shape::Modules];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Flat => "flat",
            Shape::Chain => "chain",
            Shape::FanOut => "fan-out",
            Shape::Grid => "grid",
            Shape::ForEach => "one for_each",
            Shape::Modules => "modules of 50",
        }
    }

    /// The shape of a word of the command line: its name, or the first word of it.
    pub(crate) fn parse(word: &str) -> Option<Shape> {
        let first = |s: &Shape| s.name().rsplit(' ').next_back().unwrap_or_default() == word;
        Shape::ALL
            .into_iter()
            .find(|s| s.name() == word || first(s) || (word == "for_each" && *s == Shape::ForEach))
    }
}

/// Whose words the configuration is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Coxswain,
    OpenTofu,
}

impl Dialect {
    fn open(self, name: &str) -> String {
        match self {
            Dialect::Coxswain => format!("mock \"{name}\" {{\n"),
            Dialect::OpenTofu => format!("resource \"terraform_data\" \"{name}\" {{\n"),
        }
    }
    fn id(self, name: &str) -> String {
        match self {
            Dialect::Coxswain => format!("mock.{name}.id"),
            Dialect::OpenTofu => format!("terraform_data.{name}.id"),
        }
    }
    pub(crate) fn file(self) -> &'static str {
        match self {
            Dialect::Coxswain => "main.hcl",
            Dialect::OpenTofu => "main.tf",
        }
    }
}

/// A configuration: the text of its root and of the module it calls.
pub(crate) struct Text {
    pub(crate) root: String,
    pub(crate) module: Option<String>,
}

/// A configuration of `n` resources.
pub(crate) fn write(shape: Shape, n: usize, dialect: Dialect) -> Text {
    let mut root = String::new();
    match shape {
        Shape::Flat => (0..n).for_each(|i| block(&mut root, dialect, i, &[])),
        Shape::Chain => (0..n).for_each(|i| match i {
            0 => block(&mut root, dialect, i, &[]),
            _ => block(&mut root, dialect, i, &[i - 1]),
        }),
        Shape::FanOut => (0..n).for_each(|i| match i {
            0 => block(&mut root, dialect, i, &[]),
            _ => block(&mut root, dialect, i, &[0]),
        }),
        Shape::Grid => {
            let width = n.isqrt().max(1);
            for i in 0..n {
                let above = i.checked_sub(width);
                let left = (i % width > 0).then(|| i - 1);
                let near: Vec<usize> = above.into_iter().chain(left).collect();
                block(&mut root, dialect, i, &near);
            }
        }
        Shape::ForEach => {
            // Computed keys: written out they would measure the parser. The peer's ranges end at 1,024.
            push(
                &mut root,
                format_args!(
                    "locals {{\n  items = {{ for i in range({n}) : \"k${{i}}\" => {{ n = i }} }}\n}}\n"
                ),
            );
            root += &dialect.open("each");
            root += "  for_each = local.items\n  input    = each.value\n}\n";
        }
        Shape::Modules => {
            for i in 0..n / PER_MODULE {
                push(
                    &mut root,
                    format_args!("module \"m{i:06}\" {{\n  source = \"./part\"\n  tag    = {i}\n}}\n"),
                );
            }
            let mut module = "variable \"tag\" {\n  type = number\n}\n".to_owned();
            for i in 0..PER_MODULE {
                module += &dialect.open(&name(i));
                push(&mut module, format_args!("  input = {{ n = {i}, tag = var.tag }}\n}}\n"));
            }
            return Text { root, module: Some(module) };
        }
    }
    Text { root, module: None }
}

fn name(i: usize) -> String {
    format!("r{i:06}")
}

fn block(out: &mut String, dialect: Dialect, i: usize, reads: &[usize]) {
    *out += &dialect.open(&name(i));
    let from: Vec<String> = reads.iter().map(|r| dialect.id(&name(*r))).collect();
    push(
        out,
        format_args!("  input = {{ n = {i}, text = \"resource {i}\", from = [{}] }}\n}}\n", from.join(", ")),
    );
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}
