//! What is asked of everything that is sent: hashes, signatures, sizes.

use axum::http::{HeaderMap, StatusCode, header};
use coxswain_dv_crypto::k1::{Address, recover};
use coxswain_dv_types::cluster::{ContractQuestion, Definition, Lock};
use coxswain_dv_types::eip712;
use coxswain_dv_types::network::Networks;
use coxswain_dv_types::text;

use super::Refusal;

/// Longest signature as text: `0x` and 2080 bytes, as contracts may have them.
const MAX_SIGNATURE_TEXT: usize = 2 + 2 * 2080;
const AGAIN: &str = "send it as its creator made it";
const SIGN: &str = "sign in with `Authorization: Bearer 0x…`, the creator's signature of the config hash";

/// Something that may be kept.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) hash: [u8; 32],
    /// Written anew: whatever else was in the body is not kept.
    pub(super) text: String,
    /// What only contracts can confirm.
    pub(super) questions: Vec<ContractQuestion>,
}

fn bad(message: impl ToString, next: &'static str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, message, next)
}

/// The signature of `Authorization: Bearer 0x…`.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Vec<u8>, Refusal> {
    let refused = |why: &str| Refusal::new(StatusCode::UNAUTHORIZED, why, SIGN);
    let value =
        headers.get(header::AUTHORIZATION).ok_or_else(|| refused("nobody has signed this request"))?;
    let text = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer 0x"));
    let digits = text.filter(|digits| digits.len() <= MAX_SIGNATURE_TEXT);
    let bytes = digits.and_then(|digits| hex::decode(digits).ok()).filter(|bytes| !bytes.is_empty());
    bytes.ok_or_else(|| refused("the signature of this request cannot be read"))
}

/// A hash in a path.
pub(super) fn hash(text: &str) -> Result<[u8; 32], Refusal> {
    let mut hash = [0; 32];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut hash)
        .map_err(|_| bad("the hash is not 32 bytes in hex", "write 0x and 64 hexadecimal digits"))?;
    Ok(hash)
}

/// Who agrees to the terms has signed so.
pub(super) fn terms(body: &[u8], signature: &[u8]) -> Result<(), Refusal> {
    let wrong = |why: &str| bad(why, "agree to the terms that the client knows");
    let body: serde_json::Value = serde_json::from_slice(body).map_err(|_| wrong("the body is no JSON"))?;
    if body["version"].as_u64() != Some(eip712::TERMS_VERSION)
        || body["terms_and_conditions_hash"].as_str() != Some(eip712::TERMS_HASH)
    {
        return Err(wrong("these terms are not known"));
    }
    let address = body["address"].as_str().unwrap_or_default();
    let address = Address::parse(address).map_err(|error| bad(format!("address: {error}"), AGAIN))?;
    let signer = recover(&eip712::terms_digest(), signature).map(|public| public.address());
    match signer {
        Ok(signer) if signer == address => Ok(()),
        Ok(_) | Err(_) => {
            Err(Refusal::new(StatusCode::UNAUTHORIZED, "the signature is not that of this address", SIGN))
        }
    }
}

/// A definition whose creator has signed it, and whose operators have all signed, or none of them.
pub(super) fn definition(body: &[u8], signature: &[u8], networks: &Networks) -> Result<Checked, Refusal> {
    let definition = Definition::parse(body).map_err(|error| bad(error, AGAIN))?;
    if definition.version.creator_type.is_none() {
        let message =
            format!("definitions of {} have no creator who could sign them", definition.version.name);
        return Err(bad(message, "use a newer version"));
    }
    let problem = |problem| bad(problem, AGAIN);
    definition.verify_hashes().map_err(problem)?;
    if *definition.creator.config_signature != *signature {
        let message = "the signature of this request is not that of the definition's creator";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, message, SIGN));
    }
    let has_signed = |signatures: [&[u8]; 2]| signatures.iter().any(|one| !one.is_empty());
    let operators = &definition.operators;
    let questions = match operators.iter().any(|one| has_signed([&one.config_signature, &one.enr_signature]))
    {
        true => definition.verify_signatures(networks),
        false => definition.verify_creator(networks),
    };
    let questions = questions.map_err(problem)?;
    let has_all = !operators.is_empty() && operators.iter().all(|one| !one.enr.is_empty());
    if has_all {
        definition.nodes().map_err(|error| bad(error, AGAIN))?;
    }
    let text = definition.to_value().map_err(|error| bad(error, AGAIN))?;
    Ok(Checked { hash: hash_of(&definition.config_hash)?, text: text::compact(&text), questions })
}

/// A lock that all its validators and nodes have signed.
pub(super) fn lock(body: &[u8], networks: &Networks) -> Result<Checked, Refusal> {
    let lock = Lock::parse(body).map_err(|error| bad(error, AGAIN))?;
    if lock.signature_aggregate.is_empty() {
        return Err(bad("signature_aggregate: there is none", AGAIN));
    }
    let questions = lock.verify(networks).map_err(|problem| bad(problem, AGAIN))?;
    let text = lock.to_value().map_err(|error| bad(error, AGAIN))?;
    Ok(Checked { hash: hash_of(&lock.lock_hash)?, text: text::compact(&text), questions })
}

fn hash_of(stored: &[u8]) -> Result<[u8; 32], Refusal> {
    stored.try_into().map_err(|_| bad("its hash is not 32 bytes", AGAIN))
}

#[cfg(test)]
mod tests {
    use coxswain_dv_crypto::k1::IdentityKey;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().expect("a value"))])
    }

    #[test]
    fn who_has_not_signed_is_told_how() {
        assert_eq!(bearer(&headers("Bearer 0x0aFF")), Ok(vec![0x0a, 0xff]));
        let long = format!("Bearer 0x{}", "00".repeat(3000));
        for wrong in ["", "Bearer ", "Bearer 0x", "Bearer 0xabc", "Basic 0xab", "bearer 0xab", &long] {
            let refusal = bearer(&headers(wrong)).expect_err(wrong);
            assert_eq!((refusal.status, refusal.next), (StatusCode::UNAUTHORIZED, SIGN), "{wrong}");
        }
        assert_eq!(bearer(&HeaderMap::new()).expect_err("nothing").status, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn hashes_have_32_bytes_in_either_case() {
        let digits = "aB".repeat(32);
        assert_eq!(hash(&format!("0x{digits}")), Ok([0xab; 32]));
        assert_eq!(hash(&digits), Ok([0xab; 32]));
        for wrong in ["", "0x", "0xab", &format!("0x{digits}0"), "..", &"é".repeat(32)] {
            assert_eq!(hash(wrong).expect_err(wrong).status, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn terms_are_agreed_to_by_their_signer() {
        let key = IdentityKey::from_bytes(&[7; 32]).expect("a key");
        let signature = key.sign(&eip712::terms_digest());
        let body = |address: &str, version: u64, hash: &str| {
            serde_json::json!({"address": address, "version": version, "terms_and_conditions_hash": hash})
                .to_string()
        };
        let address = key.public().address().to_string();
        let check = |body: String, signature: &[u8]| terms(body.as_bytes(), signature).map_err(|r| r.status);
        let (hash, version) = (eip712::TERMS_HASH, eip712::TERMS_VERSION);
        assert_eq!(check(body(&address, version, hash), &signature), Ok(()));
        let other = IdentityKey::from_bytes(&[8; 32]).expect("a key");
        let of_other = other.sign(&eip712::terms_digest());
        assert_eq!(check(body(&address, version, hash), &of_other), Err(StatusCode::UNAUTHORIZED));
        assert_eq!(check(body(&address, version, hash), &[0; 3]), Err(StatusCode::UNAUTHORIZED));
        let bad = Err(StatusCode::BAD_REQUEST);
        assert_eq!(check(body(&address, version + 1, hash), &signature), bad);
        assert_eq!(check(body(&address, version, "0x00"), &signature), bad);
        assert_eq!(check(body("0x1", version, hash), &signature), bad);
        assert_eq!(check("{".into(), &signature), bad);
    }
}
