//! Flags that name servers: execution clients, keymanagers, the API.

use coxswain_dv_types::cluster::Definition;
use coxswain_dv_types::network::Networks;
use url::Url;

use super::super::Cx;
use super::super::error::CliError;
use super::settings;
use crate::dv::contracts::{Contracts, PATIENCE, Unsettled};
use crate::dv::http::{self, Client, Request};
use crate::dv::keymanager::Keymanager;
use crate::dv::obol_api::ObolApi;

/// The address that a flag gives. What it says is not repeated: there may be a password in it.
pub(super) fn address(flag: &str, text: &str) -> Result<Url, CliError> {
    http::parse_url(text).map_err(|why| CliError::other(format!("reading --{flag}"), why, "give a whole URL"))
}

/// Whom to ask about signatures of contracts: who is named, once it answers.
pub(super) fn contracts(cx: &Cx, endpoint: &str) -> Result<Contracts, CliError> {
    let flag = "execution-client-rpc-endpoint";
    if endpoint.is_empty() {
        return Ok(Contracts::Nobody);
    }
    let endpoint = address(flag, endpoint)?;
    cx.block_on(async {
        Contracts::connect(endpoint, PATIENCE).await.map_err(|error| {
            let next = "check the address and that the client runs; nothing was written";
            CliError::other(format!("reaching the execution client of --{flag}"), error, next)
        })
    })
}

/// What is not as its creator made it.
const AGAIN: &str = "ask for the file again: it is not as its creator made it";

/// A definition from a file or a URL, and what was read.
fn read_definition(cx: &Cx, source: &str) -> Result<(String, Definition), CliError> {
    let (what, text) = match source.split_once("://") {
        Some(_) => {
            let url = address("definition-file", source)?;
            let text = cx.block_on(async { Ok(Client::new().fetch(&Request::get(&url)).await?) })?;
            (format!("reading the definition {}", http::shown(&url)), text)
        }
        None => {
            let path = cx.root.join(source);
            (format!("reading the definition {}", path.display()), settings::read_definition(&path)?)
        }
    };
    let definition = Definition::parse(&text).map_err(|e| CliError::other(&what, e, AGAIN))?;
    Ok((what, definition))
}

fn verify(
    cx: &Cx,
    what: &str,
    definition: &Definition,
    (networks, contracts): (&Networks, &Contracts),
) -> Result<(), CliError> {
    let questions = definition.verify(networks).map_err(|e| CliError::other(what, e, AGAIN))?;
    cx.block_on(async {
        contracts.settle(&questions).await.map_err(|unsettled: Unsettled| {
            let next = unsettled.next();
            CliError::other(what, unsettled, next)
        })
    })
}

/// A definition from a file or a URL, verified.
pub(super) fn definition(
    cx: &Cx,
    source: &str,
    networks: &Networks,
    contracts: &Contracts,
) -> Result<Definition, CliError> {
    let (what, definition) = read_definition(cx, source)?;
    verify(cx, &what, &definition, (networks, contracts))?;
    Ok(definition)
}

/// A definition from a file or a URL, of which only is said what is wrong with its hashes and signatures. Hashes that are
/// not there are made.
pub(super) fn definition_unverified(
    cx: &Cx,
    source: &str,
    networks: &Networks,
    contracts: &Contracts,
) -> Result<Definition, CliError> {
    let (what, definition) = read_definition(cx, source)?;
    if let Err(error) = verify(cx, &what, &definition, (networks, contracts)) {
        cx.terminal.err(&format!("warning: {} (--no-verify)\n", error.summary()));
    }
    if definition.definition_hash.is_empty() {
        return definition.with_hashes().map_err(|e| CliError::other(what, e, AGAIN));
    }
    Ok(definition)
}

/// The keymanagers of all nodes, in their order; none where no flag names one.
pub(super) fn keymanagers(addresses: &[String], tokens: &[String]) -> Result<Vec<Keymanager>, CliError> {
    if addresses.len() != tokens.len() {
        let why = format!(
            "there are {} --keymanager-addresses and {} --keymanager-auth-tokens",
            addresses.len(),
            tokens.len()
        );
        return Err(CliError::other("reading the keymanagers", why, "give each keymanager its token"));
    }
    let all = addresses.iter().zip(tokens).enumerate().map(|(node, (address, token))| {
        Keymanager::new(address, token).map_err(|why| {
            let what = format!("reading --keymanager-addresses, number {node}");
            CliError::other(what, why, "give a whole URL for each node")
        })
    });
    all.collect()
}

/// Whether every keymanager is there and takes its token.
pub(super) fn reach(cx: &Cx, keymanagers: &[Keymanager]) -> Result<(), CliError> {
    cx.block_on(async {
        let client = Client::new();
        for (node, keymanager) in keymanagers.iter().enumerate() {
            keymanager.reach(&client).await.map_err(|error| {
                let next = format!("{}; nothing was made, and no key was sent", error.next());
                CliError::other(format!("reaching the keymanager of node {node}: {error}"), error.why, next)
            })?;
        }
        Ok(())
    })
}

/// The API that `--publish-address` names.
pub(super) fn api(text: &str) -> Result<ObolApi, CliError> {
    address("publish-address", text).map(ObolApi::new)
}
