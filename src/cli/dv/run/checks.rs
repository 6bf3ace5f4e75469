//! Flags that are looked at before anything is done.

use coxswain_dv_types::network::{ForkVersion, Networks};

use super::super::super::error::CliError;
use super::super::settings;
use super::{MAX_NICKNAME, QUIC, RunCommand};
use crate::dv::features::FeatureSet;

impl RunCommand {
    pub(super) fn check_flags(&self) -> Result<(), CliError> {
        if self.simnet_beacon_mock || self.simnet_beacon_mock_fuzz {
            return Err(settings::not_yet(
                "simnet-beacon-mock",
                "run `coxswain simnet chain` and name it as the beacon node",
            ));
        }
        if self.simnet_validator_mock {
            return Err(settings::not_yet(
                "simnet-validator-mock",
                "run `coxswain simnet validator` beside this node",
            ));
        }
        if !matches!(self.consensus_protocol.as_str(), "" | "qbft") {
            let why = format!("`{}` is not known", self.consensus_protocol);
            return Err(CliError::other("reading --consensus-protocol", why, "leave it away: there is qbft"));
        }
        if self.nickname.len() > MAX_NICKNAME {
            let why = format!("it has {} bytes, and may have {MAX_NICKNAME}", self.nickname.len());
            return Err(CliError::other("reading --nickname", why, "give a shorter one"));
        }
        if self.vc_tls_cert_file.is_empty() != self.vc_tls_key_file.is_empty() {
            let why = "TLS needs the certificate and its key";
            return Err(CliError::other("reading --vc-tls-cert-file", why, "give both files or none"));
        }
        Ok(())
    }

    pub(super) fn features(&self) -> Result<FeatureSet, CliError> {
        FeatureSet::new(&self.feature_set, &self.feature_set_enable, &self.feature_set_disable).map_err(
            |error| CliError::other("reading --feature-set", error, "leave it away: stable is the usual one"),
        )
    }

    /// Flags of charon that change nothing here: who gives one should know.
    pub(super) fn warn_of_what_is_passed_over(&self, features: &FeatureSet) {
        let is_given = |list: &[String]| list.iter().any(|text| !text.is_empty());
        let given = [
            ("otlp-headers", self.otlp_address.is_empty() && is_given(&self.otlp_headers)),
            (
                "fetch-feerecipient-updates",
                self.fetch_feerecipient_updates && self.publish_address.is_empty(),
            ),
            ("jaeger-address", !self.jaeger_address.is_empty()),
            ("proc-directory", !self.proc_directory.is_empty()),
            ("p2p-udp-address", !speaks_quic(features) && is_given(&self.p2p.p2p_udp_address)),
        ];
        for (flag, _) in given.iter().filter(|(_, is_given)| *is_given) {
            tracing::warn!(flag, "this flag changes nothing in this version");
        }
        if !features.idle.is_empty() {
            let features = features.idle.join(", ");
            tracing::warn!(features, "turning these features on or off changes nothing in this version");
        }
        if !features.unknown.is_empty() {
            let features = features.unknown.join(", ");
            tracing::warn!(features, "there are no features of these names; they are passed over");
        }
    }

    /// The version that exits of a network are bound to, as far as it is known without its beacon nodes: the table's, or
    /// the operator's.
    pub(super) fn capella(
        &self,
        genesis: ForkVersion,
        networks: &Networks,
    ) -> Result<Option<ForkVersion>, CliError> {
        let text = &self.testnet_capella_hard_fork;
        let mut given = [0; 4];
        let is_given = !text.is_empty();
        if is_given && hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut given).is_err() {
            return Err(CliError::other(
                "reading --testnet-capella-hard-fork",
                "it is not 4 bytes in hex",
                "give a fork version like 0x40000910",
            ));
        }
        let known = networks.of(genesis).and_then(|network| network.capella_fork_version);
        if is_given && known.is_some_and(|known| known != given) {
            let flag = "testnet-capella-hard-fork";
            tracing::warn!(
                flag,
                "this flag changes nothing: the network of the cluster is known with another version"
            );
        }
        Ok(known.or(is_given.then_some(given)))
    }
}

/// Whether it was asked for, and this program can.
pub(super) fn speaks_quic(features: &FeatureSet) -> bool {
    cfg!(feature = "quic") && features.has(QUIC)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use clap::Parser as _;
    use coxswain_dv_types::network::{NETWORKS, Network};

    use super::*;

    const OWN: ForkVersion = [0x10, 0, 0, 1];
    const GIVEN: &str = "0x40000910";

    fn capella(flag: &str, genesis: ForkVersion, networks: &Networks) -> Result<Option<ForkVersion>, String> {
        let flag = format!("--testnet-capella-hard-fork={flag}");
        let command = RunCommand::try_parse_from(["run", &flag]).expect("flags of run");
        command.capella(genesis, networks).map_err(|error| error.summary())
    }

    /// What everybody knows goes before what the operator says, and that before nothing.
    #[test]
    fn the_table_of_networks_goes_before_the_flag() {
        let own = |capella_fork_version| {
            Networks::with(Network {
                name: Cow::Borrowed("own"),
                genesis_fork_version: OWN,
                capella_fork_version,
                ..NETWORKS[0].clone()
            })
        };
        let (known, unknown) = (Networks::default(), own(None));
        for network in NETWORKS {
            for flag in ["", GIVEN, "0x00000000"] {
                let found = capella(flag, network.genesis_fork_version, &known);
                assert_eq!(found, Ok(network.capella_fork_version), "{}, {flag}", network.name);
            }
        }
        for networks in [&known, &unknown] {
            assert_eq!(capella("", OWN, networks), Ok(None));
            for flag in [GIVEN, "40000910"] {
                assert_eq!(capella(flag, OWN, networks), Ok(Some([0x40, 0, 9, 0x10])), "{flag}");
            }
        }
        assert_eq!(capella(GIVEN, OWN, &own(Some([3, 0, 0, 1]))), Ok(Some([3, 0, 0, 1])));
        for flag in ["0x400009", "0x4000091000", "capella", "0x"] {
            let error = capella(flag, OWN, &known).expect_err(flag);
            assert!(error.contains("--testnet-capella-hard-fork"), "{error}");
        }
    }
}
