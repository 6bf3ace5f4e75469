//! Serves a simulated chain by hand:
//!
//! ```text
//! chain [lock=PATH]… [key=0x…]… [listen=127.0.0.1:0]… [slot_ms=12000] [epoch=8] [genesis_in=10] [seed=0]
//!       [blobs=0] [builder=off|registered|everybody] [network=10000910] [step=10] [n_forks=7] [version=TEXT]
//!       [committees=1] [others=0] [members=N] [seats=512] [period=8]
//! ```
//!
//! A genesis in the past (`genesis_in=-400`) gives a chain whose slots so far were all missed: clients that count back
//! from the current slot need that.
//!
//! A `lock` is a cluster lock: its validators are the chain's. One node for each `listen`.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coxswain_dv_eth::bytes::{Bytes4, Bytes48};
use coxswain_dv_eth::time::Time;
use coxswain_simnet::chain::{Builder, all_up_to, forks};
use coxswain_simnet::{Settings, Simnet};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (settings, addresses) = read(&arguments)?;
    let mut listeners = Vec::new();
    for address in &addresses {
        listeners.push(TcpListener::bind(address).await?);
    }
    let n_validators = settings.validators.len();
    let genesis = settings.genesis;
    let simnet = Simnet::start(settings, listeners)?;
    let mut out = std::io::stdout();
    writeln!(out, "{n_validators} validators, genesis at {genesis}")?;
    for address in simnet.addresses() {
        writeln!(out, "http://{address}")?;
    }
    tokio::signal::ctrl_c().await?;
    let report = simnet.report(None, None);
    writeln!(out, "{}", serde_json::to_string_pretty(&report.duties)?)?;
    Ok(())
}

fn read(arguments: &[String]) -> Result<(Settings, Vec<String>), Failure> {
    let mut validators = Vec::new();
    let mut addresses = Vec::new();
    let mut rest = Vec::new();
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or_else(|| format!("{argument} is no name=value"))?;
        match name {
            "lock" => validators.extend(keys_of(&std::fs::read(value)?)?),
            "key" => validators.push(value.parse()?),
            "listen" => addresses.push(value.to_owned()),
            _ => rest.push((name, value)),
        }
    }
    if addresses.is_empty() {
        addresses.push("127.0.0.1:0".to_owned());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut settings = Settings::new(Time::from_secs(now + 10), Duration::from_secs(12), validators);
    let (mut network, mut step, mut n_forks) = ("0x10000910".parse::<Bytes4>()?, 0x10, 7);
    for (name, value) in rest {
        match name {
            "slot_ms" => settings.slot = Duration::from_millis(value.parse()?),
            "epoch" => settings.slots_per_epoch = value.parse()?,
            "genesis_in" => {
                settings.genesis = Time::from_secs(now.saturating_add_signed(value.parse()?));
            }
            "seed" => settings.seed = value.parse()?,
            "others" => settings.others = value.parse()?,
            "blobs" => settings.blobs = value.parse()?,
            "transactions" => settings.transaction_bytes = value.parse()?,
            "committees" => settings.committees_per_slot = value.parse()?,
            "members" => settings.sync.members = value.parse()?,
            "seats" => settings.sync.seats = value.parse()?,
            "period" => settings.sync.period_epochs = value.parse()?,
            "version" => value.clone_into(&mut settings.version),
            "network" => network = format!("0x{value}").parse()?,
            "step" => step = u8::from_str_radix(value, 16)?,
            "n_forks" => n_forks = value.parse()?,
            "builder" => {
                settings.builder = match value {
                    "off" => Builder::Off,
                    "registered" => Builder::Registered,
                    "everybody" => Builder::Everybody,
                    _ => return Err(format!("builder={value} is none").into()),
                }
            }
            _ => return Err(format!("{name} is no setting").into()),
        }
    }
    settings.forks = forks(network.0, step, all_up_to(n_forks));
    Ok((settings, addresses))
}

/// Group keys of a cluster lock.
fn keys_of(lock: &[u8]) -> Result<Vec<Bytes48>, Failure> {
    let lock: serde_json::Value = serde_json::from_slice(lock)?;
    let validators = lock["distributed_validators"].as_array().ok_or("it is no cluster lock")?;
    let key = |one: &serde_json::Value| -> Result<Bytes48, Failure> {
        Ok(one["distributed_public_key"].as_str().ok_or("a validator has no key")?.parse()?)
    };
    validators.iter().map(key).collect()
}
