//! Values of the root module's variables. Later ones win: `env/NAME.hclvars`, `COXSWAIN_VAR_…`, `--var-file`,
//! `--var`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use coxswain_lang::{Attribute, Stop};
use coxswain_model::{Diagnostic, Diagnostics};

use super::Options;
use super::files::{Files, reason};
use crate::config::{Config, Name};
use crate::graph::{Given, GivenValue, constant};

/// Prefix of environment variables.
const PREFIX: &str = "COXSWAIN_VAR_";

/// Collects what was given; unknown names are the caller's to judge.
pub(super) fn given(
    options: &Options,
    config: &Config,
    files: &mut Files,
    problems: &mut Diagnostics,
) -> BTreeMap<Name, Given> {
    let declared = config.modules.first().map(|m| &m.variables);
    let sensitive = declared.into_iter().flatten().filter(|(_, v)| v.sensitive).map(|(n, _)| n.clone());
    let mut reading = Reading { files, problems, sensitive: sensitive.collect(), all: BTreeMap::new() };
    if let Some(env) = &options.env {
        let path = PathBuf::from("env").join(format!("{env}.hclvars"));
        reading.file(&options.root.join(&path), path.display().to_string());
    }
    let mut environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((name.into_string().ok()?.strip_prefix(PREFIX)?.to_owned(), value.into_string().ok()?))
        })
        .collect();
    environment.sort();
    for (name, value) in environment {
        let origin = format!("{PREFIX}{name}");
        reading.all.insert(Name::from(name), Given { value: GivenValue::Text(value), origin });
    }
    for path in &options.var_files {
        reading.file(path, path.display().to_string());
    }
    for (name, value) in &options.vars {
        let given = Given { value: GivenValue::Text(value.clone()), origin: "--var".into() };
        reading.all.insert(Name::from(name.as_str()), given);
    }
    reading.all
}

struct Reading<'a> {
    files: &'a mut Files,
    problems: &'a mut Diagnostics,
    /// Variables whose values are never shown.
    sensitive: BTreeSet<Name>,
    all: BTreeMap<Name, Given>,
}

impl Reading<'_> {
    fn file(&mut self, at: &Path, name: String) {
        let bytes = match std::fs::read(at) {
            Ok(bytes) => bytes,
            Err(e) => {
                self.problems.push(
                    Diagnostic::error(
                        "unreadable-variables",
                        format!("{} cannot be read: {}", at.display(), reason(&e)),
                    )
                    .detail("It was asked for with --env or --var-file."),
                );
                return;
            }
        };
        let file = self.files.add(name.clone(), bytes);
        let (body, wrong) = coxswain_lang::parse(file.source.id, &file.bytes);
        if !self.sensitive.is_empty() {
            self.files.hide(file.source.id);
        }
        self.problems.extend(wrong);
        for block in &body.blocks {
            self.problems.push(
                Diagnostic::error("unknown-block", "a variable file holds no blocks")
                    .detail("Write `name = value`, one a line.")
                    .at(block.ident_span, "a block"),
            );
        }
        for attribute in body.attributes {
            match constant(&attribute.expr) {
                Ok(value) => {
                    let given = Given { value: GivenValue::Value(value), origin: name.clone() };
                    self.all.insert(attribute.name, given);
                }
                Err(stop) => self.not_plain(&attribute, stop),
            }
        }
    }

    fn not_plain(&mut self, attribute: &Attribute, stop: Stop) {
        let plain = Diagnostic::error("constant-required", "a variable file holds plain values");
        match stop {
            // What is wrong with it may be its text.
            _ if self.sensitive.contains(&attribute.name) => self.problems.push(
                plain
                    .detail(format!(
                        "The value of `{}` is none; a text is written in quotes.",
                        attribute.name
                    ))
                    .at(attribute.name_span, "the value of this"),
            ),
            Stop::Error(wrong) => self.problems.extend(wrong),
            Stop::Need(_) => self.problems.push(plain.at(attribute.expr.span, "reads a file")),
        }
    }
}
