//! `coxswain adopt HOST`: reads a live host and writes a configuration of what is on it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use coxswain_model::Address;

use super::args::{HostArgs, SourceArgs};
use super::error::CliError;
use super::progress::Spinner;
use super::render::{adopt as render, diagnostics, json, plural};
use super::{Cx, Exit, Format, Run};
use crate::session::{AdoptRequest, Session};

/// Write a configuration of what is on a host; changes nothing
#[derive(Debug, clap::Parser)]
#[command(
    name = "adopt",
    after_help = "Examples:\n  coxswain adopt host.nfs\n  coxswain adopt host.nfs --out nfs.hcl\n  \
        coxswain adopt 'host.node[\"a\"]' --kind user --kind group\n  \
        coxswain adopt host.nfs --kind file --path /etc/exports --path /srv/data\n\n\
        Writes a resource and an `import` block for each object that is neither in the state nor in the \
        configuration. A plan of what it wrote takes the objects over and changes nothing about them."
)]
pub(super) struct Adopt {
    /// The host, by its address in the configuration
    #[arg(value_name = "HOST")]
    host: Address,
    /// Look for objects of this kind only; may be repeated
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Write this file or directory too; may be repeated
    #[arg(long = "path", value_name = "PATH", value_parser = parse_path)]
    paths: Vec<String>,
    /// Write to this file, which must not exist
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    hosts: HostArgs,
}

/// A path on the host.
fn parse_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("a path on a host starts with `/`".into()) }
}

impl Run for Adopt {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        if let Some(out) = self.out.as_deref().filter(|out| out.symlink_metadata().is_ok()) {
            return Err(refused(out));
        }
        let mut options = self.sources.options(cx, &self.hosts);
        options.read_only = true;
        let (sources, session) = Session::open(options);
        let mut session = session.map_err(|failure| CliError::from((failure, &sources)))?;
        let request = AdoptRequest { host: self.host.clone(), kinds: self.kinds, paths: self.paths };
        let spinner = Spinner::new(cx, "reading the host");
        let adoptable = cx.block_on(async {
            let found = session.adopt(&request).await;
            session.close().await;
            found.map_err(|failure| CliError::from((failure, &sources)))
        });
        drop(spinner);
        let adoptable = adoptable?;
        diagnostics::show(cx, &adoptable.warnings, &sources);
        let document = render::document(&self.host, &adoptable);
        if cx.format == Format::Text {
            cx.terminal.err(&render::left_out(&adoptable.found.left_out));
        }
        match (&self.out, cx.format) {
            (Some(out), _) if !document.addresses.is_empty() => write_new(out, &document.text)?,
            (None, Format::Text) => cx.terminal.out(&document.text),
            (Some(_), _) | (None, Format::Json) => {}
        }
        match cx.format {
            Format::Json => cx.terminal.out(&json::pretty(&render::json(&document, &adoptable))),
            Format::Text => {
                let objects = plural(document.addresses.len(), "object");
                let place =
                    self.out.as_ref().map_or_else(String::new, |out| format!(" in {}", out.display()));
                cx.terminal.err(&match document.addresses.is_empty() {
                    true => "nothing was found that is not managed already\n".to_owned(),
                    false => format!("{objects} written{place}; coxswain plan shows what is taken over\n"),
                });
            }
        }
        Ok(Exit::Done)
    }
}

fn refused(out: &Path) -> CliError {
    CliError::other(
        format!("writing {}", out.display()),
        "it exists already, and nothing is overwritten",
        "name another file, or move that one away",
    )
}

/// Writes a file that is not there yet, whole or not at all: the name is given once the content is on the disk.
fn write_new(out: &Path, text: &str) -> Result<(), CliError> {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = out.with_file_name(name);
    let written = OpenOptions::new().write(true).create_new(true).open(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces what came there meanwhile.
        std::fs::hard_link(&temporary, out)
    });
    // Of no use to anybody under this name.
    let _ = std::fs::remove_file(&temporary);
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => refused(out),
        _ => CliError::other(
            format!("writing {}", out.display()),
            error,
            "check the directory and its permissions",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("nfs.hcl");
        write_new(&out, "a").expect("writes");
        let error = write_new(&out, "b").expect_err("it is there").failure;
        assert!(format!("{error:?}").contains("nothing is overwritten"), "{error:?}");
        assert_eq!(std::fs::read_to_string(&out).expect("reads"), "a");
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 1);
        assert!(write_new(&dir.path().join("no/such"), "a").is_err());
    }
}
