//! `coxswain drift`: compares the world with what was applied last, from the state alone. For cron.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::args::{HostArgs, StateArgs};
use super::error::CliError;
use super::progress::Spinner;
use super::render::drift as render;
use super::{Cx, Exit, Format, Run};
use crate::session::{self, DriftReport};

/// Compare the world with what was applied last; changes nothing
#[derive(Debug, clap::Parser)]
#[command(
    name = "drift",
    after_help = "Examples:\n  coxswain drift\n  coxswain drift --json\n  \
        coxswain drift --metrics /var/lib/node_exporter/textfile/coxswain.prom\n\n\
        Needs the state alone: no variables, no lock. Exits 3 when something drifted, \
        1 when something could not be read."
)]
pub(super) struct Drift {
    #[command(flatten)]
    state: StateArgs,
    /// Write metrics for Prometheus to this file
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    #[command(flatten)]
    hosts: HostArgs,
}

impl Run for Drift {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let mut options = self.state.options(cx);
        options.read_only = true;
        options.parallelism = usize::from(self.hosts.parallelism);
        let spinner = Spinner::new(cx, "comparing");
        let report = cx.block_on(async { session::drift(&options).await.map_err(CliError::from) })?;
        drop(spinner);
        if let Some(path) = &self.metrics {
            let now = jiff::Timestamp::now().as_second();
            write_whole(path, &render::metrics(&report, now))?;
        }
        cx.terminal.out(&match cx.format {
            Format::Json => render::json(&report),
            Format::Text => render::text(&report, cx.terminal.out_colour),
        });
        Ok(exit(&report))
    }
}

/// Drift is worse than a host that could not be read: it is known.
fn exit(report: &DriftReport) -> Exit {
    match (report.instances.is_empty(), report.unreadable.is_empty()) {
        (false, _) => Exit::Drift,
        (true, false) => Exit::Error,
        (true, true) => Exit::Done,
    }
}

/// Writes a file whole or not at all: a collector may read it at any time.
fn write_whole(path: &Path, text: &str) -> Result<(), CliError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|error| {
        // What is left of the attempt is of no use to anybody.
        let _ = std::fs::remove_file(&temporary);
        CliError::other(
            format!("writing {}", path.display()),
            error,
            "check the directory and its permissions",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::render::plan::tests::address;
    use super::*;
    use crate::plan::model::Unreadable;
    use crate::session::DriftedInstance;

    #[test]
    fn drift_is_worse_than_silence() {
        let mut report = DriftReport::default();
        assert_eq!(exit(&report), Exit::Done);
        report.unreadable.push(Unreadable {
            endpoint: "host.a".into(),
            reason: "x".into(),
            instances: vec![],
        });
        assert_eq!(exit(&report), Exit::Error);
        report.instances.push(DriftedInstance {
            address: address("file.a"),
            host: None,
            gone: true,
            changes: vec![],
        });
        assert_eq!(exit(&report), Exit::Drift);
    }

    #[test]
    fn metrics_replace_the_file_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("coxswain.prom");
        write_whole(&path, "a 1\n").expect("writes");
        write_whole(&path, "a 2\n").expect("writes");
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "a 2\n");
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 1);
        assert!(write_whole(&dir.path().join("no/such"), "x").is_err());
    }
}
