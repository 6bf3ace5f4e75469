//! Flags that name beacon nodes.

use coxswain_dv_beacon::client::{Address, Backends, Settings};

use super::super::error::CliError;

/// Beacon nodes that may be asked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct BeaconArgs {
    /// Beacon nodes, as URLs
    #[arg(long, value_name = "URL")]
    pub(super) beacon_node_endpoints: Vec<String>,
    /// Headers of requests to beacon nodes, as NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) beacon_node_headers: Vec<String>,
}

impl BeaconArgs {
    /// Each of the nodes by itself.
    pub(super) fn each(&self) -> Result<Vec<(Address, Backends)>, CliError> {
        let flag = "beacon-node-endpoints";
        let one = |address: Address| {
            let mut settings = Settings::new(vec![address.clone()]);
            settings.headers = headers(&self.beacon_node_headers)?;
            Ok((address, open(flag, &settings)?))
        };
        addresses(flag, &self.beacon_node_endpoints)?.into_iter().map(one).collect()
    }

    /// All of them as one; none where none is named.
    pub(super) fn all(&self) -> Result<Option<Backends>, CliError> {
        let flag = "beacon-node-endpoints";
        let mut settings = Settings::new(addresses(flag, &self.beacon_node_endpoints)?);
        if settings.primaries.is_empty() {
            return Ok(None);
        }
        settings.headers = headers(&self.beacon_node_headers)?;
        open(flag, &settings).map(Some)
    }
}

/// The addresses that a flag gives.
pub(super) fn addresses(flag: &str, given: &[String]) -> Result<Vec<Address>, CliError> {
    Address::parse_all(given.iter().map(String::as_str).filter(|text| !text.is_empty())).map_err(|error| {
        CliError::other(format!("reading --{flag}"), error, "give URLs, with commas between them")
    })
}

/// Headers. What stands there may be a token: it is not repeated.
pub(super) fn headers(given: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let one = |header: &String| {
        let (name, value) = header.split_once('=').ok_or_else(|| {
            CliError::other("reading --beacon-node-headers", "one has no `=`", "write NAME=VALUE")
        })?;
        Ok((name.to_owned(), value.to_owned()))
    };
    given.iter().filter(|header| !header.is_empty()).map(one).collect()
}

pub(super) fn open(flag: &str, settings: &Settings) -> Result<Backends, CliError> {
    Backends::new(settings).map_err(|error| CliError::other(format!("reading --{flag}"), error, "see --help"))
}
