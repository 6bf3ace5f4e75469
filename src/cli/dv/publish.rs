//! A definition that goes to the API in place of a file, signed by a creator who is gone afterwards.

use coxswain_dv_crypto::k1::IdentityKey;
use coxswain_dv_types::cluster::Definition;
use coxswain_dv_types::eip712;
use coxswain_dv_types::json::{Json, Members};
use coxswain_dv_types::network::{NETWORKS, Network};
use coxswain_dv_types::text;

use super::super::error::CliError;
use super::super::render::json;
use super::super::{Cx, Exit, Format};
use crate::dv::http::{self, Client, Request};
use crate::dv::obol_api::ObolApi;

/// Signs a definition whose creator has the address of this key, agrees to the API's terms, and sends both.
pub(super) fn publish(
    cx: &Cx,
    api: &ObolApi,
    creator: &IdentityKey,
    definition: Definition,
    network: &Network,
) -> Result<Exit, CliError> {
    let definition = signed(definition, creator, network)?;
    let bearer = |signature: &[u8]| format!("Bearer 0x{}", hex::encode(signature));
    let value = definition.to_value().map_err(|e| {
        CliError::other("writing the definition", e, "shorten what is too long and run the command again")
    })?;
    let terms_signature = bearer(&creator.sign(&eip712::terms_digest()));
    let config_signature = bearer(&definition.creator.config_signature);
    cx.block_on(async {
        let client = Client::new();
        let url = api.terms_and_conditions();
        let body = text::compact(&terms(&definition));
        client.publish(&Request::post(&url, body).authorized(&terms_signature)).await?;
        let url = api.definition();
        client.publish(&Request::post(&url, text::compact(&value)).authorized(&config_signature)).await?;
        Ok(())
    })?;
    cx.terminal.out(&match cx.format {
        Format::Json => as_json(api, &definition, network),
        Format::Text => as_text(api, &definition, network),
    });
    Ok(Exit::Done)
}

fn signed(
    mut definition: Definition,
    creator: &IdentityKey,
    network: &Network,
) -> Result<Definition, CliError> {
    let kind = definition.version.creator_type.as_ref().expect("the newest version has a creator");
    let digest = eip712::config_digest(kind, network.chain_id, &definition.config_hash);
    definition.creator.config_signature = creator.sign(&digest).to_vec().into();
    definition.with_hashes().map_err(|e| {
        CliError::other("signing the definition", e, "shorten what is too long and run the command again")
    })
}

/// What is sent to agree to the terms.
fn terms(definition: &Definition) -> Json {
    let mut members = Members::default();
    members.put("address", definition.creator.address.as_str());
    members.put("version", eip712::TERMS_VERSION);
    members.put("terms_and_conditions_hash", eip712::TERMS_HASH);
    members.put("fork_version", format!("0x{}", hex::encode(&*definition.fork_version)));
    members.into()
}

/// Where the definition is, for `dkg --definition-file`.
fn place(api: &ObolApi, definition: &Definition) -> String {
    let url = api.below_base(&format!("/definition/{}", config_hash(definition)));
    http::shown(&url)
}

fn config_hash(definition: &Definition) -> String {
    format!("0x{}", hex::encode(&*definition.config_hash))
}

/// Whether operators sign it before the ceremony: those that are named by their addresses.
fn is_to_be_signed(definition: &Definition) -> bool {
    definition.operators.iter().any(|operator| !operator.address.is_empty())
}

/// The page on which they look at it and sign; none for networks of one's own.
fn launchpad(definition: &Definition, network: &Network) -> Option<String> {
    if !is_to_be_signed(definition) || !NETWORKS.contains(network) {
        return None;
    }
    let host = match &*network.name {
        "mainnet" => "launchpad.obol.org".to_owned(),
        name => format!("{name}.launchpad.obol.org"),
    };
    Some(format!("https://{host}/dv#{}", config_hash(definition)))
}

fn as_json(api: &ObolApi, definition: &Definition, network: &Network) -> String {
    json::pretty(&serde_json::json!({
        "document": "coxswain.dv_definition", "format": 1, "file": null,
        "config_hash": config_hash(definition),
        "definition_hash": format!("0x{}", hex::encode(&*definition.definition_hash)),
        "published": place(api, definition),
        "launchpad": launchpad(definition, network),
    }))
}

fn as_text(api: &ObolApi, definition: &Definition, network: &Network) -> String {
    let place = place(api, definition);
    let operators = definition.operators.len();
    let next = match launchpad(definition, network) {
        Some(page) => {
            format!(
                "Send all {operators} operators to {page}\nto look at it, sign it, and begin the ceremony."
            )
        }
        None if is_to_be_signed(definition) => {
            format!("All {operators} operators sign it there, with their node's record, before the ceremony.")
        }
        None => format!(
            "Each of the {operators} operators begins the ceremony on the node with the key of its record:\n  \
             coxswain dv dkg --definition-file {place}"
        ),
    };
    format!(
        "The definition is published at {place}\nConfig hash  {}\n\n{next}\n\n\
         Its creator is a key that was made for this and is gone: it has signed the definition, and agreed to the terms and\n\
         conditions of the API. No file was written.\n",
        config_hash(definition)
    )
}
