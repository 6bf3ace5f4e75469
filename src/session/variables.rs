//! Values of the root module's variables. Later ones win: `env/NAME.hclvars`, `COXSWAIN_VAR_…`, `--var-file`,
//! `--var`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coxswain_lang::Stop;
use coxswain_model::{Diagnostic, Diagnostics};

use super::Options;
use super::files::{Files, reason};
use crate::config::Name;
use crate::graph::{Given, GivenValue, constant};

/// Prefix of environment variables.
const PREFIX: &str = "COXSWAIN_VAR_";

/// Collects what was given; unknown names are the caller's to judge.
pub(super) fn given(
    options: &Options,
    files: &mut Files,
    problems: &mut Diagnostics,
) -> BTreeMap<Name, Given> {
    let mut all = BTreeMap::new();
    if let Some(env) = &options.env {
        let path = PathBuf::from("env").join(format!("{env}.hclvars"));
        from_file(&options.root, &path, files, problems, &mut all);
    }
    let mut environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((name.into_string().ok()?.strip_prefix(PREFIX)?.to_owned(), value.into_string().ok()?))
        })
        .collect();
    environment.sort();
    for (name, value) in environment {
        let origin = format!("{PREFIX}{name}");
        all.insert(Name::from(name), Given { value: GivenValue::Text(value), origin });
    }
    for path in &options.var_files {
        from_file(&options.root, path, files, problems, &mut all);
    }
    for (name, value) in &options.vars {
        let given = Given { value: GivenValue::Text(value.clone()), origin: "--var".into() };
        all.insert(Name::from(name.as_str()), given);
    }
    all
}

fn from_file(
    root: &Path,
    path: &Path,
    files: &mut Files,
    problems: &mut Diagnostics,
    all: &mut BTreeMap<Name, Given>,
) {
    // A path on the command line is the caller's; the one of --env is below the root directory.
    let at = if path.starts_with("env") { root.join(path) } else { path.to_owned() };
    let name = path.display().to_string();
    let bytes = match std::fs::read(&at) {
        Ok(bytes) => bytes,
        Err(e) => {
            problems.push(
                Diagnostic::error(
                    "unreadable-variables",
                    format!("{} cannot be read: {}", at.display(), reason(&e)),
                )
                .detail("It was asked for with --env or --var-file."),
            );
            return;
        }
    };
    let file = files.add(name.clone(), bytes);
    let (body, wrong) = coxswain_lang::parse(file.source.id, &file.bytes);
    problems.extend(wrong);
    for block in &body.blocks {
        problems.push(
            Diagnostic::error("unknown-block", "a variable file holds no blocks")
                .detail("Write `name = value`, one a line.")
                .at(block.ident_span, "a block"),
        );
    }
    for attribute in body.attributes {
        match constant(&attribute.expr) {
            Ok(value) => {
                let given = Given { value: GivenValue::Value(value), origin: name.clone() };
                all.insert(attribute.name, given);
            }
            Err(Stop::Error(wrong)) => problems.extend(wrong),
            Err(Stop::Need(_)) => problems.push(
                Diagnostic::error("constant-required", "a variable file holds plain values")
                    .at(attribute.expr.span, "reads a file"),
            ),
        }
    }
}
