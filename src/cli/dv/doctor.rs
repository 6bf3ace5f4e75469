//! `doctor DIR`: whether a node can run with a directory.

use std::path::PathBuf;

use coxswain_dv_net::RelaySource;
use serde_json::json;

use super::super::error::CliError;
use super::super::render::{Colour, Tone, clean, json};
use super::super::{Cx, Exit, Format, Run};
use super::beacon::BeaconArgs;
use super::network::TestnetArgs;
use super::{servers, settings};
use crate::dv::doctor::{self, Item, Keystores, State};
use crate::dv::relays::Resolver;

/// Columns of the names of what was looked at.
const WIDTH: usize = 11;

/// Say whether a node can run with a directory, charon's or ours, and what to do where not
#[derive(Debug, clap::Parser)]
#[command(
    name = "doctor",
    after_help = "Examples:\n  coxswain dv doctor\n  coxswain dv doctor node0 --decrypt\n  \
        coxswain dv doctor --beacon-node-endpoints http://127.0.0.1:5052 --p2p-relays https://0.relay.obol.tech --json\n\n\
        Looks at the lock, the key, the keystores, modes, the disk, whether a node uses the key, and what was signed; beacon \
        nodes and relays are asked where they are named. Exits 1 where there is a problem."
)]
pub(super) struct Doctor {
    /// Beacon nodes.
    #[command(flatten)]
    beacon: BeaconArgs,
    /// Open each keystore with its password, which takes a second or so for each
    #[arg(long)]
    decrypt: bool,
    /// The directory of the node
    #[arg(value_name = "DIR", default_value = ".charon")]
    dir: PathBuf,
    /// An endpoint of the execution layer, for operators whose signatures a contract checks
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    execution_client_rpc_endpoint: String,
    /// Relays, as URLs or as addresses that end in /p2p/ID
    #[arg(long, value_name = "RELAY")]
    p2p_relays: Vec<String>,
    /// A network of one's own.
    #[command(flatten)]
    testnet: TestnetArgs,
}

impl Run for Doctor {
    fn run(self, cx: &Cx) -> Result<Exit, CliError> {
        let dir = cx.root.join(&self.dir);
        std::fs::read_dir(&dir).map_err(|error| {
            let next = "name the directory of a node: the one with cluster-lock.json";
            CliError::other(format!("reading the directory {}", dir.display()), error, next)
        })?;
        let networks = settings::networks(&self.testnet)?;
        let contracts = servers::contracts(cx, &self.execution_client_rpc_endpoint)?;
        let (nodes, relays) = (self.beacon.each()?, self.relays()?);
        let opened = if self.decrypt { Keystores::Opened } else { Keystores::Closed };
        let items = cx.block_on(async {
            let (mut items, cluster) = doctor::examine(&dir, &networks, &contracts, opened).await;
            for (address, backends) in &nodes {
                items.extend(doctor::beacon_node(address, backends, &cluster).await);
            }
            let hash = cluster.lock.as_ref().map(|lock| hex::encode(&*lock.lock_hash)).unwrap_or_default();
            let uuid = cluster.lock.as_ref().map(|lock| lock.definition.uuid.as_str()).unwrap_or_default();
            let resolver = Resolver::new(&hash, uuid);
            for source in &relays {
                items.push(doctor::relay(source, &resolver).await);
            }
            Ok(items)
        })?;
        let is_fine = items.iter().all(|item| item.state != State::Problem);
        cx.terminal.out(&match cx.format {
            Format::Json => json::pretty(&json!({
                "document": "coxswain.dv_doctor", "format": 1, "ok": is_fine,
                "items": items.iter().map(|item| json!({
                    "what": item.what, "state": item.state.name(), "found": item.found, "next": item.next,
                })).collect::<Vec<_>>(),
            })),
            Format::Text => items.iter().map(|item| line(item, cx.terminal.out_colour)).collect(),
        });
        Ok(if is_fine { Exit::Done } else { Exit::Error })
    }
}

impl Doctor {
    fn relays(&self) -> Result<Vec<RelaySource>, CliError> {
        let given = self.p2p_relays.iter().filter(|text| !text.is_empty());
        let parse = |text: &String| {
            RelaySource::parse(text).map_err(|error| {
                CliError::other(
                    "reading --p2p-relays",
                    error,
                    "correct the value or leave the flag away; see --help",
                )
            })
        };
        given.map(parse).collect()
    }
}

fn line(item: &Item, colour: Colour) -> String {
    let tone = match item.state {
        State::Ok => Tone::Add,
        State::Warning => Tone::Warn,
        State::Problem => Tone::Remove,
    };
    let state = colour.paint(tone, &format!("{:7}", item.state.name()));
    let mut text = format!("{state}  {:WIDTH$}  {}\n", item.what, clean(&item.found));
    if !item.next.is_empty() {
        text += &format!("{:7}  {:WIDTH$}  → {}\n", "", "", clean(&item.next));
    }
    text
}
