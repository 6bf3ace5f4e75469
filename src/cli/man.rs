//! `coxswain man`: manual pages, made from the help.

use std::path::{Path, PathBuf};

use clap::Command;

use super::error::CliError;
use super::{Cx, Exit, Format, Run, command};

/// Write the manual: one page to the output, or every page into a directory
#[derive(Debug, clap::Parser)]
#[command(
    name = "man",
    after_help = "Examples:\n  coxswain man | man -l -\n  coxswain man --dir ~/.local/share/man/man1"
)]
pub(super) struct Man {
    /// Write a page for every command into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Run for Man {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let pages = pages()?;
        let Some(dir) = &self.dir else {
            let root = pages.first().map(|(_, text)| text.as_str()).unwrap_or_default();
            cx.terminal.out(root);
            return Ok(Exit::Done);
        };
        write_all(dir, &pages)?;
        if cx.format == Format::Text {
            cx.terminal.out(&format!("{} pages in {}\n", pages.len(), dir.display()));
        }
        Ok(Exit::Done)
    }
}

fn write_all(dir: &Path, pages: &[(String, String)]) -> Result<(), CliError> {
    let failed = |path: &Path, e: std::io::Error| {
        CliError::other(format!("writing {}", path.display()), e, "check the directory and its permissions")
    };
    std::fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
    for (name, text) in pages {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|e| failed(&path, e))?;
    }
    Ok(())
}

/// Every page with its file name, the root first.
fn pages() -> Result<Vec<(String, String)>, CliError> {
    let mut root = command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    push_pages(&root, "coxswain", &mut pages)?;
    Ok(pages)
}

fn push_pages(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> Result<(), CliError> {
    let mut bytes = Vec::new();
    let titled = command.clone().name(name.to_owned()).bin_name(name.replace('-', " "));
    clap_mangen::Man::new(titled)
        .render(&mut bytes)
        .map_err(|e| CliError::other(format!("making the page {name}"), e, "report this"))?;
    pages.push((format!("{name}.1"), String::from_utf8_lossy(&bytes).into_owned()));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        push_pages(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = pages().expect("pages");
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["coxswain.1", "coxswain-plan.1", "coxswain-state-mv.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        let dir = tempfile::tempdir().expect("a directory");
        write_all(&dir.path().join("man1"), &pages).expect("writes");
    }
}
