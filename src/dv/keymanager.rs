//! The keymanager API of a validator client: keys go to it in place of files.
//!
//! ```text
//! reach: GET, before anything is made ─…→ import: POST, once ─status of each key, or else what it lists→ Outcome of each key
//! ```
//!
//! <https://ethereum.github.io/keymanager-APIs/>, `GET` and `POST /eth/v1/keystores`.
//!
//! # What must never happen
//!
//! - A key is taken for imported of which the keymanager has not said so.
//! - A key is taken for not imported that may have arrived: it would be given to another client, and sign in two places.
//! - A key with a history is sent without it: clients take up a history before the keys.
//! - A key is sent twice, or to another server than the one that was named.

use std::time::Duration;

use coxswain_dv_types::json::Json;
use coxswain_dv_types::text;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::http::{Client, HttpError, Redirects, Request, is_loopback, parse_url};

/// What an import may take for each of its keys, as charon has it.
const TIMEOUT_PER_KEY: Duration = Duration::from_secs(2);
/// What a keymanager says of a key, shown.
const MAX_MESSAGE_CHARS: usize = 300;

/// A keymanager. It has no `Debug`: there is a token in it.
pub struct Keymanager {
    /// Its address.
    pub address: Url,
    authorization: Zeroizing<String>,
}

/// A key on its way. It has no `Debug`: there is a password in it.
pub struct Parcel {
    /// Its public key.
    pub public_key: [u8; 48],
    /// Its keystore.
    pub keystore: String,
    /// What opens it.
    pub password: Zeroizing<String>,
}

/// What became of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The keymanager has it.
    Imported,
    /// It has not.
    Refused(String),
    /// It may have.
    Unknown(String),
}

#[derive(Deserialize)]
struct Statuses {
    data: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    status: String,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<ListedKey>,
}

#[derive(Deserialize)]
struct ListedKey {
    validating_pubkey: String,
}

impl Keymanager {
    /// The keymanager at an address, with its token.
    ///
    /// # Errors
    /// Why the address is none.
    pub fn new(address: &str, token: &str) -> Result<Keymanager, String> {
        let authorization = Zeroizing::new(format!("Bearer {}", token.trim()));
        Ok(Keymanager { address: parse_url(address)?, authorization })
    }

    /// Whether others on the way can read what is sent.
    #[must_use]
    pub fn is_in_the_clear(&self) -> bool {
        self.address.scheme() == "http" && !is_loopback(&self.address)
    }

    fn keystores(&self) -> Url {
        let mut url = self.address.clone();
        url.set_path(&format!("{}/eth/v1/keystores", self.address.path().trim_end_matches('/')));
        url
    }

    /// Finds out whether it is there and takes the token. One that lists no keys may still take some.
    ///
    /// # Errors
    /// It does not answer, refuses the token, or points to another address.
    pub async fn reach(&self, client: &Client) -> Result<(), HttpError> {
        let url = self.keystores();
        let request = self.request(Request::get(&url));
        let answer = client.send(&request).await?;
        match answer.status {
            300..=399 | 401 | 403 => Err(request.refused(&answer)),
            _ => Ok(()),
        }
    }

    fn request<'a>(&'a self, request: Request<'a>) -> Request<'a> {
        Request { redirects: Redirects::Never, ..request.authorized(&self.authorization) }
    }

    /// The public keys it has.
    async fn listed(&self, client: &Client) -> Result<Vec<[u8; 48]>, HttpError> {
        let url = self.keystores();
        let listed: Listed = client.fetch_json(&self.request(Request::get(&url))).await?;
        let keys = listed.data.iter().filter_map(|key| {
            let digits = key.validating_pubkey.strip_prefix("0x").unwrap_or(&key.validating_pubkey);
            let mut bytes = [0; 48];
            hex::decode_to_slice(digits, &mut bytes).ok().map(|()| bytes)
        });
        Ok(keys.collect())
    }

    /// Sends keys, once, and says what became of each, in their order. The history is an interchange of EIP-3076; new
    /// keys have none.
    pub async fn import(&self, client: &Client, parcels: &[Parcel], history: Option<&str>) -> Vec<Outcome> {
        if parcels.is_empty() {
            return Vec::new();
        }
        let url = self.keystores();
        let hidden: Vec<Zeroizing<String>> = parcels.iter().map(|parcel| parcel.password.clone()).collect();
        let keys = u32::try_from(parcels.len()).unwrap_or(u32::MAX);
        let request = Request {
            timeout: TIMEOUT_PER_KEY.saturating_mul(keys),
            hidden: &hidden,
            ..self.request(Request::post(&url, body(parcels, history)))
        };
        let unlisted = match client.fetch_json::<Statuses>(&request).await {
            Ok(Statuses { data }) if data.len() == parcels.len() => {
                let data = data.into_iter().map(|status| outcome(status, &request));
                return self.settled(client, parcels, data.collect()).await;
            }
            Ok(Statuses { data }) => {
                let why = format!("it was sent {} keys, and answers for {}", parcels.len(), data.len());
                Outcome::Unknown(why)
            }
            Err(error) if !error.may_have_arrived() || error.is_refusal() => {
                return vec![Outcome::Refused(in_full(&error)); parcels.len()];
            }
            Err(error) if error.is_final() => Outcome::Refused(in_full(&error)),
            // It may still be at work on them.
            Err(error) => Outcome::Unknown(in_full(&error)),
        };
        self.looked_up(client, parcels, unlisted).await
    }

    /// Without a clear answer: what it lists, and what becomes of a key that it does not list.
    async fn looked_up(&self, client: &Client, parcels: &[Parcel], unlisted: Outcome) -> Vec<Outcome> {
        match self.listed(client).await {
            Ok(listed) => {
                let of = |parcel: &Parcel| match listed.contains(&parcel.public_key) {
                    true => Outcome::Imported,
                    false => unlisted.clone(),
                };
                parcels.iter().map(of).collect()
            }
            Err(error) => {
                let (Outcome::Refused(why) | Outcome::Unknown(why)) = unlisted else {
                    return vec![unlisted; parcels.len()];
                };
                let why = format!("{why}; and its list of keys: {}", in_full(&error));
                vec![Outcome::Unknown(why); parcels.len()]
            }
        }
    }

    /// Where not all is well: whether its list says something else than its statuses.
    async fn settled(&self, client: &Client, parcels: &[Parcel], mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        if outcomes.iter().all(|outcome| *outcome == Outcome::Imported) {
            return outcomes;
        }
        let Ok(listed) = self.listed(client).await else { return outcomes };
        for (outcome, parcel) in outcomes.iter_mut().zip(parcels) {
            if !listed.contains(&parcel.public_key) {
                continue;
            }
            *outcome = match std::mem::replace(outcome, Outcome::Imported) {
                Outcome::Imported | Outcome::Unknown(_) => Outcome::Imported,
                Outcome::Refused(why) => Outcome::Unknown(format!("{why}; and yet it lists the key")),
            };
        }
        outcomes
    }
}

/// What the status of a key means.
fn outcome(status: Status, request: &Request<'_>) -> Outcome {
    let said = status.message.filter(|message| !message.is_empty());
    let said = said.map_or_else(String::new, |message| format!(": {message}"));
    let text: String = request.without_secrets(&format!("{}{said}", status.status));
    let text: String = text.chars().take(MAX_MESSAGE_CHARS).collect();
    match status.status.as_str() {
        // It has the key already: there is nothing more to do about it.
        "imported" | "duplicate" => Outcome::Imported,
        "error" => Outcome::Refused(text),
        _ => Outcome::Unknown(format!("a status that is not known, {text}")),
    }
}

fn in_full(error: &HttpError) -> String {
    format!("{error}: {}", error.why)
}

/// The message of an import.
fn body(parcels: &[Parcel], history: Option<&str>) -> Vec<u8> {
    let keystores: Vec<String> = parcels
        .iter()
        .map(|parcel| match Json::parse(parcel.keystore.as_bytes()) {
            Ok(json) => text::compact(&json),
            Err(_) => parcel.keystore.clone(),
        })
        .collect();
    let quoted = |text: &str| Zeroizing::new(text::compact(&text));
    // Large enough from the beginning: what is moved leaves a copy behind.
    let length: usize = parcels.iter().map(|parcel| 8 * parcel.password.len() + 3).sum();
    let mut json = format!("{{\"keystores\":{},\"passwords\":[", text::compact(&keystores)).into_bytes();
    json.reserve(length + 64 + history.map_or(0, |history| 2 * history.len()));
    for (at, parcel) in parcels.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        json.extend_from_slice(quoted(&parcel.password).as_bytes());
    }
    json.push(b']');
    if let Some(history) = history {
        json.extend_from_slice(b",\"slashing_protection\":");
        json.extend_from_slice(text::compact(&history).as_bytes());
    }
    json.push(b'}');
    json
}
