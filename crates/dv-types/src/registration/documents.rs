//! Registrations as files and APIs of clusters have them: many at once, each of which may be wrong by itself.

use serde::Deserialize;
use serde_json::Value;

use super::{Document, Message, Registration, RegistrationError, SignedRegistration, fixed};

/// What is read of a document: each entry, or what is wrong with it.
type Entries<T> = Vec<Result<T, RegistrationError>>;

/// An entry of `builder_registrations_overrides.json`, as `VersionedSignedValidatorRegistration` of the builder
/// specifications.
#[derive(Deserialize)]
struct Versioned {
    version: String,
    v1: Document,
}

/// Entries of a file of registrations that are newer than the lock's: `[{"version":"v1","v1":{…}}, …]`. Signatures are
/// not verified.
///
/// # Errors
/// It is no such list. What is wrong with one entry is in its place.
pub fn parse_overrides(text: &[u8]) -> Result<Entries<SignedRegistration>, RegistrationError> {
    let all: Option<Vec<Value>> = serde_json::from_slice(text).map_err(|e| malformed(&e))?;
    let one = |value| {
        let entry: Versioned = serde_json::from_value(value).map_err(|e| malformed(&e))?;
        if !entry.version.eq_ignore_ascii_case("v1") {
            let why = "it is not v1, the only one that is known".to_owned();
            return Err(RegistrationError::Field { field: "version", why });
        }
        entry.v1.read()
    };
    // Empty lists are written as null, too.
    Ok(all.unwrap_or_default().into_iter().map(one).collect())
}

/// A registration that nodes sign one by one, as the API has collected it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// What they sign.
    pub message: Registration,
    /// Signatures of shares, by their index from 1. Not verified.
    pub partials: Vec<(u64, [u8; 96])>,
    /// Whether there are enough of them, as the API says.
    pub is_complete: bool,
}

#[derive(Deserialize)]
struct Fetched {
    validators: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct FetchedValidator {
    builder_registrations: Option<Vec<FetchedRegistration>>,
}

#[derive(Deserialize)]
struct FetchedRegistration {
    message: Message,
    partial_signatures: Option<Vec<FetchedPartial>>,
    quorum: bool,
}

#[derive(Deserialize)]
struct FetchedPartial {
    share_index: u64,
    signature: String,
}

/// What the API answers to a question for a cluster's registrations (`POST /fee_recipient/<lock hash>`): `{"validators":
/// [{"builder_registrations": [{"message", "partial_signatures": [{"share_index", "signature"}], "quorum"}]}]}`.
///
/// # Errors
/// It is no such answer. What is wrong with one validator is in its place.
pub fn parse_collected(text: &[u8]) -> Result<Entries<Vec<Collected>>, RegistrationError> {
    let fetched: Fetched = serde_json::from_slice(text).map_err(|e| malformed(&e))?;
    let one = |value| {
        let validator: FetchedValidator = serde_json::from_value(value).map_err(|e| malformed(&e))?;
        let all = validator.builder_registrations.unwrap_or_default();
        all.into_iter().map(FetchedRegistration::read).collect()
    };
    Ok(fetched.validators.unwrap_or_default().into_iter().map(one).collect())
}

impl FetchedRegistration {
    fn read(self) -> Result<Collected, RegistrationError> {
        let partials = self.partial_signatures.unwrap_or_default();
        let partials = partials.iter().map(|one| Ok((one.share_index, fixed("signature", &one.signature)?)));
        Ok(Collected {
            message: self.message.read()?,
            partials: partials.collect::<Result<_, _>>()?,
            is_complete: self.quorum,
        })
    }
}

fn malformed(error: &serde_json::Error) -> RegistrationError {
    RegistrationError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use coxswain_dv_crypto::k1::Address;

    use super::*;

    fn signed(timestamp: u64) -> SignedRegistration {
        let fee_recipient = Address([0xab; 20]);
        let message = Registration { fee_recipient, gas_limit: 60_000_000, timestamp, pubkey: [3; 48] };
        SignedRegistration { message, signature: [4; 96] }
    }

    fn versioned(version: &str, timestamp: u64) -> String {
        format!("{{\"version\":\"{version}\",\"v1\":{}}}", signed(timestamp).to_json())
    }

    #[test]
    fn a_bad_entry_leaves_the_others() {
        let text = format!(
            "[{},{},7,{},{}]",
            versioned("v1", 1),
            versioned("v2", 2),
            versioned("V1", 3),
            versioned("v1", 4).replace("0x0404", "0x04")
        );
        let found = parse_overrides(text.as_bytes()).expect("a list");
        assert_eq!(found[0], Ok(signed(1)));
        assert_eq!(found[3], Ok(signed(3)));
        for (place, expected) in [(1, "version: "), (2, "it is no signed registration"), (4, "signature: ")] {
            let error = found[place].as_ref().expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!(parse_overrides(b"null"), Ok(Vec::new()));
        assert_eq!(parse_overrides(b"[]"), Ok(Vec::new()));
        for text in ["", "{}", "[", "[1] 2"] {
            parse_overrides(text.as_bytes()).expect_err(text);
        }
    }

    #[test]
    fn an_answer_of_the_api_is_read() {
        let message = signed(7).to_json();
        let message = &message["{\"message\":".len()..message.find(",\"signature\"").expect("a signature")];
        let signature = format!("0x{}", hex::encode([9; 96]));
        let text = format!(
            "{{\"validators\":[{{\"pubkey\":\"0xab\",\"builder_registrations\":[{{\"message\":{message},\
             \"partial_signatures\":[{{\"share_index\":2,\"signature\":\"{signature}\"}}],\"quorum\":true}},\
             {{\"message\":{message},\"partial_signatures\":null,\"quorum\":false}}]}},\
             {{\"pubkey\":\"0xcd\",\"builder_registrations\":null}},{{\"builder_registrations\":[7]}}]}}"
        );
        let found = parse_collected(text.as_bytes()).expect("an answer");
        let expected = vec![
            Collected { message: signed(7).message, partials: vec![(2, [9; 96])], is_complete: true },
            Collected { message: signed(7).message, partials: Vec::new(), is_complete: false },
        ];
        assert_eq!(found[0], Ok(expected));
        assert_eq!(found[1], Ok(Vec::new()));
        found[2].as_ref().expect_err("no registration");
        assert_eq!(parse_collected(b"{\"validators\":null}"), Ok(Vec::new()));
        parse_collected(b"{\"validators\":7}").expect_err("no list");
    }
}
