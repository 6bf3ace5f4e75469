//! What a node is started with, from flags.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use coxswain_dv_beacon::client::{Backends, Encoding, Settings as BeaconSettings};
use coxswain_dv_beacon::server;
use coxswain_dv_core::{Builder, Majority, Synthetic};
use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_eth::Bytes;
use coxswain_dv_eth::bytes::Bytes32;
use coxswain_dv_eth::synthetic::GRAFFITI as MADE_UP;
use coxswain_dv_node::monitor::Counts;
use coxswain_dv_node::trace::Tls;
use coxswain_dv_types::cluster::Lock;
use coxswain_dv_types::network::{Network, Networks};
use coxswain_dv_wire::version::Version;

use super::super::super::error::CliError;
use super::super::p2p::{self, multiaddr, quic_multiaddr};
use super::super::slashing::store_beside;
use super::super::{beacon, servers};
use super::checks::speaks_quic;
use super::{GRAFFITI, RunCommand, SlashingStart, VERSION, traces};
use crate::dv::features::FeatureSet;
use crate::dv::registrations::{Api, Sources};
use crate::dv::relays::Resolver;
use crate::dv::run::{Run, Start, Traces};

/// What is known when the flags are turned into settings.
pub(super) struct Known<'k> {
    pub(super) lock: Lock,
    pub(super) networks: &'k Networks,
    pub(super) key: IdentityKey,
    pub(super) features: FeatureSet,
    /// Where relative paths begin.
    pub(super) root: PathBuf,
}

impl RunCommand {
    pub(super) async fn settings(
        &self,
        path: &Path,
        known: Known<'_>,
        (counts, lost_lines): (Counts, Arc<AtomicU64>),
    ) -> Result<Run, CliError> {
        let tcp = self.p2p.tcp().await?;
        let Known { lock, networks, key, features, root } = known;
        let udp = if speaks_quic(&features) { self.p2p.udp().await? } else { Vec::new() };
        let hash = hex::encode(&*lock.lock_hash);
        let resolve = Arc::new(Resolver::new(&hash, &lock.definition.uuid));
        let network = lock.definition.network(networks).ok();
        if self.synthetic_block_proposals && network.is_some_and(Network::has_value) {
            tracing::warn!(
                "proposals are made up on a network of value: their blocks are signed, and where the chain makes one of them \
                 a real proposal of the same slot, that one is not signed any more; --synthetic-block-proposals is for tries"
            );
        }
        let network_name = network.map_or(String::new(), |one| one.name.to_string());
        let genesis = (*lock.definition.fork_version).try_into().unwrap_or_default();
        let capella = self.capella(genesis, networks)?;
        let tls = if self.otlp_insecure { Tls::Off } else { Tls::On };
        Ok(Run {
            key,
            store: store_beside(path),
            start: match self.slashing_start {
                SlashingStart::AfterEpoch => Start::AfterAnEpoch,
                SlashingStart::Now => Start::Now,
            },
            majority: if self.allow_low_threshold { Majority::Waived } else { Majority::Required },
            backends: self.backends(&features)?,
            server: self.server().await?,
            builder: if self.builder_api { Builder::On } else { Builder::Off },
            synthetic: if self.synthetic_block_proposals { Synthetic::On } else { Synthetic::Off },
            newer: self.newer(&root, &lock.lock_hash)?,
            capella,
            features: features.on_network(&network_name),
            graffiti: self.graffiti(lock.validators.len())?,
            version: Version::parse(VERSION)
                .map_err(|error| CliError::other("reading our version", error, "report this"))?,
            nickname: self.nickname.clone(),
            network_name,
            counts,
            lost_lines,
            traces: traces::collector(&self.otlp_address, &self.otlp_headers, tls)?
                .map(|collector| Traces { collector, service: self.otlp_service_name.clone() }),
            relays: self.p2p.relays()?,
            resolve,
            listen: tcp.iter().map(multiaddr).chain(udp.iter().map(quic_multiaddr)).collect(),
            external: self.p2p.external(&tcp, &udp)?,
            lock,
        })
    }

    fn backends(&self, features: &FeatureSet) -> Result<Backends, CliError> {
        let flag = "beacon-node-endpoints";
        let mut settings = BeaconSettings::new(beacon::addresses(flag, &self.beacon_node_endpoints)?);
        settings.fallbacks =
            beacon::addresses("fallback-beacon-node-endpoints", &self.fallback_beacon_node_endpoints)?;
        settings.query_timeout = self.beacon_node_timeout;
        settings.submit_timeout = self.beacon_node_submit_timeout;
        if features.has("json_requests") {
            settings.encoding = Encoding::JsonOnly;
        }
        settings.headers = beacon::headers(&self.beacon_node_headers)?;
        beacon::open(flag, &settings)
    }

    async fn server(&self) -> Result<server::Settings, CliError> {
        let address: SocketAddr = p2p::socket("validator-api-address", &self.validator_api_address).await?;
        let version = format!(
            "coxswain/v{}-charon/{VERSION}/{}-{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS
        );
        let mut server = server::Settings::new(address, version);
        if !self.vc_tls_cert_file.is_empty() {
            let read = |path: &str| {
                std::fs::read(path).map_err(|error| {
                    CliError::other(
                        format!("reading {path}"),
                        error,
                        "check the file, its owner and its mode",
                    )
                })
            };
            server.tls = Some(server::Tls {
                certificates: read(&self.vc_tls_cert_file)?,
                key: zeroize::Zeroizing::new(read(&self.vc_tls_key_file)?),
            });
        }
        Ok(server)
    }

    /// Where registrations come from that are newer than the lock's.
    fn newer(&self, root: &Path, lock_hash: &[u8]) -> Result<Sources, CliError> {
        let is_asked = self.fetch_feerecipient_updates && !self.publish_address.is_empty();
        let api = is_asked.then(|| servers::api(&self.publish_address)).transpose()?;
        let api = api.map(|api| Api { url: api.fee_recipients(lock_hash), timeout: self.publish_timeout });
        Ok(Sources { file: root.join(&self.overrides_file), api })
    }

    fn graffiti(&self, validators: usize) -> Result<Vec<Bytes32>, CliError> {
        let suffix = if self.graffiti_disable_client_append { "" } else { " CX" };
        let given: Vec<&String> = self.graffiti.iter().filter(|text| !text.is_empty()).collect();
        if given.is_empty() {
            return Ok(vec![padded(&format!("coxswain/v{}", env!("CARGO_PKG_VERSION")))]);
        }
        if given.len() != 1 && given.len() != validators {
            let why = format!("there are {} texts and {validators} validators", given.len());
            return Err(CliError::other(
                "reading --graffiti",
                why,
                "give one text, or one for each validator",
            ));
        }
        let one = |text: &&String| {
            if padded(text) == MADE_UP {
                let why =
                    "by this text blocks are told that are made up: such a block would not be submitted";
                return Err(CliError::other("reading --graffiti", why, "give another text"));
            }
            let most = GRAFFITI - suffix.len();
            if text.len() > most {
                let why = format!("`{text}` has {} bytes, and may have {most}", text.len());
                return Err(CliError::other("reading --graffiti", why, "give a shorter one"));
            }
            Ok(padded(&format!("{text}{suffix}")))
        };
        given.iter().map(one).collect()
    }
}

fn padded(text: &str) -> Bytes32 {
    let mut bytes = [0; GRAFFITI];
    for (to, from) in bytes.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    Bytes(bytes)
}
