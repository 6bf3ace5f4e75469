//! What becomes of a cluster whose directories are there: keys go to keymanagers, the lock to the API, all into an archive.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::text;
use url::Url;

use super::super::error::CliError;
use super::super::{Cx, Exit, Format};
use crate::dv::archive::{self, ArchiveError};
use crate::dv::claimed::Held;
use crate::dv::delivery::{self, Delivered};
use crate::dv::disk::DiskError;
use crate::dv::http::{self, Client, Request};
use crate::dv::keymanager::Keymanager;
use crate::dv::obol_api::ObolApi;

/// Keys of a node that are named one by one when something is wrong with them.
const NAMED_KEYS: usize = 5;

/// What flags ask for.
pub(super) struct Orders<'a> {
    /// One for each node, or none.
    pub(super) keymanagers: &'a [Keymanager],
    /// Where the lock is sent, and how long that may take.
    pub(super) publish: Option<(&'a ObolApi, Duration)>,
    /// What is packed, and how the archive is called.
    pub(super) archive: Option<Packing<'a>>,
    /// The claim to the key of the node, which others must see meanwhile.
    pub(super) claim: Option<&'a Held>,
}

/// An archive to be made.
pub(super) struct Packing<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Names of what goes into it, in the same directory.
    pub(super) entries: Vec<String>,
}

/// What was done.
#[derive(Default)]
pub(super) struct Delivery {
    /// By node.
    pub(super) keymanagers: Vec<NodeKeys>,
    /// The page of the cluster.
    pub(super) page: Option<Url>,
    /// The archive, which everything is in then.
    pub(super) archive: Option<PathBuf>,
    /// What went wrong and does no harm.
    pub(super) warnings: Vec<String>,
}

/// The keys of a node on their way.
pub(super) struct NodeKeys {
    pub(super) node: PathBuf,
    pub(super) keymanager: String,
    pub(super) imported: usize,
    pub(super) problems: Vec<String>,
}

impl Delivery {
    /// Does what was asked for. The cluster is whole before, and stays so.
    pub(super) fn carry_out(
        cx: &Cx,
        target: &Path,
        nodes: &[PathBuf],
        lock: &Lock,
        orders: &Orders<'_>,
    ) -> Result<Delivery, CliError> {
        let mut done = Delivery::default();
        let delivering = async {
            let client = Client::new();
            for (node, keymanager) in nodes.iter().zip(orders.keymanagers) {
                let delivered = delivery::deliver(&client, node, keymanager).await;
                done.keymanagers.push(NodeKeys::of(node, keymanager, delivered));
            }
            if let Some((api, timeout)) = orders.publish {
                match publish(&client, api, timeout, lock).await {
                    Ok(page) => done.page = Some(page),
                    Err(why) => done.warnings.push(format!(
                        "the lock was not published: {why}; the cluster is whole and can do its work without that"
                    )),
                }
            }
        };
        cx.block_on(async {
            match orders.claim {
                Some(claim) => claim.during(delivering).await,
                None => delivering.await,
            }
            Ok(())
        })?;
        match &orders.archive {
            Some(packing) if done.is_delivered() => {
                done.archive = Some(archive::pack(target, &packing.entries, packing.name).map_err(unpacked)?);
            }
            Some(Packing { name, .. }) => {
                done.warnings.push(format!("{name} was not made: there are keys to look after first"));
            }
            None => {}
        }
        for warning in &done.warnings {
            cx.terminal.err(&format!("warning: {warning}\n"));
        }
        Ok(done)
    }

    /// Whether every keymanager has its keys.
    pub(super) fn is_delivered(&self) -> bool {
        self.keymanagers.iter().all(|node| node.problems.is_empty())
    }

    /// How the command ends: not well, if a keymanager has not got its keys.
    pub(super) fn end(&self, cx: &Cx) -> Result<Exit, CliError> {
        if self.is_delivered() {
            return Ok(Exit::Done);
        }
        if cx.format == Format::Json {
            return Ok(Exit::Error);
        }
        for node in &self.keymanagers {
            for problem in &node.problems {
                cx.terminal.err(&format!("{}, {}: {problem}\n", node.node.display(), node.keymanager));
            }
        }
        let missing = self.keymanagers.iter().filter(|node| !node.problems.is_empty()).count();
        Err(CliError::other(
            "giving the keys to the keymanagers",
            format!("{missing} of {} have not got all of them, or did not say so", self.keymanagers.len()),
            "no key is lost: what is not in its keymanager is in validator_keys of its node. Import that by hand; where a \
             file SENT-TO-KEYMANAGER lies beside, first look at which keys the keymanager has: a key in two places is slashed",
        ))
    }

    /// For machines.
    pub(super) fn as_json(&self) -> serde_json::Value {
        let nodes = self.keymanagers.iter().map(|node| {
            serde_json::json!({
                "node": node.node, "keymanager": node.keymanager, "imported": node.imported, "problems": node.problems,
            })
        });
        serde_json::json!({
            "archive": self.archive,
            "keymanagers": nodes.collect::<Vec<_>>(),
            "page": self.page.as_ref().map(Url::as_str),
        })
    }
}

impl NodeKeys {
    fn of(node: &Path, keymanager: &Keymanager, delivered: Result<Delivered, DiskError>) -> NodeKeys {
        let (imported, problems) = match delivered {
            Ok(Delivered { imported, refused, unknown, .. }) => {
                let mut problems = named(&refused, "was not imported");
                problems.extend(named(&unknown, "may have been imported"));
                (imported, problems)
            }
            Err(error) => {
                let why =
                    std::error::Error::source(&error).map_or_else(String::new, |why| format!(": {why}"));
                (
                    0,
                    vec![format!(
                        "{error}{why}; its keystores may be in the keymanager and in the directory"
                    )],
                )
            }
        };
        NodeKeys { node: node.to_owned(), keymanager: http::shown(&keymanager.address), imported, problems }
    }
}

/// One line for each reason, with the files it is the reason of.
fn named(keys: &[(String, String)], what: &str) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for (file, why) in keys {
        match by_reason.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, files)) => files.push(file),
            None => by_reason.push((why, vec![file])),
        }
    }
    let line = |(why, files): (&str, Vec<&str>)| {
        let more = match files.len().checked_sub(NAMED_KEYS) {
            None | Some(0) => String::new(),
            Some(more) => format!(" and {more} more"),
        };
        let files = files[..files.len().min(NAMED_KEYS)].join(", ");
        format!("{files}{more} {what}: {why}")
    };
    by_reason.into_iter().map(line).collect()
}

/// Sends the lock, and says where its page is then.
async fn publish(client: &Client, api: &ObolApi, timeout: Duration, lock: &Lock) -> Result<Url, String> {
    let json = text::compact(&lock.to_value().map_err(|e| e.to_string())?);
    let url = api.lock();
    let sent = client.publish(&Request { timeout, ..Request::post(&url, json) }).await;
    sent.map_err(|error| format!("{error}: {}", error.why))?;
    Ok(api.launchpad(&lock.lock_hash))
}

fn unpacked(error: ArchiveError) -> CliError {
    match error {
        ArchiveError::Disk(error) => error.into(),
        ArchiveError::Wrong { .. } => {
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            CliError::other(
                error.to_string(),
                why,
                "the directories of the nodes are there as they were; check the disk, and do not use the archive",
            )
        }
    }
}
