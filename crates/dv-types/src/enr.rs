//! Node records: EIP-778, "v4" identities. A record's text is kept as it was read: written anew, it would lose what we
//! do not know, and with it its signature.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use coxswain_dv_crypto::k1::{IdentityKey, IdentityPublic, K1Error, SIGNATURE_RS_LEN, keccak256, verify64};

const PREFIX: &str = "enr:";
/// Longest text that is read; EIP-778 allows 300 bytes, others have written more.
pub const MAX_TEXT: usize = 4096;
/// Elements of a record with one pair.
const MIN_ELEMENTS: usize = 4;
/// Base64url; bits that mean nothing are passed over, as others do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Why a text is no node record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrError {
    /// It is not marked as one, or too long for one.
    #[error("a node record begins with `enr:` and has at most {MAX_TEXT} characters")]
    NoRecord,
    /// What is behind the mark is not base64url.
    #[error("the node record is not base64url: {0}")]
    Base64(String),
    /// What that stands for is not a list of texts (RLP).
    #[error("the node record is damaged: {0}")]
    Rlp(&'static str),
    /// The list is no record.
    #[error("the node record is wrong: {0}")]
    Content(&'static str),
    /// Its key or its signature.
    #[error("the node record's signature or key is wrong: {0}")]
    Key(#[from] K1Error),
}

/// A node record whose signature is that of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enr {
    text: String,
    public: IdentityPublic,
    signature: [u8; SIGNATURE_RS_LEN],
    /// In the order of the record, the signature not among them: the number, then keys and values.
    elements: Vec<Vec<u8>>,
}

/// The record of a key: nothing but identity and key, number 0.
pub fn record(key: &IdentityKey) -> Enr {
    record_with(key, &[])
}

/// The record of a key that says where its node is, number 0.
pub fn record_at(key: &IdentityKey, ip: Ipv4Addr, tcp: u16, udp: u16) -> Enr {
    // Numbers have no leading zeros (EIP-778), and none at all is 0.
    let bytes =
        |port: u16| -> Vec<u8> { port.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect() };
    record_with(key, &[("ip", &ip.octets()), ("tcp", &bytes(tcp)), ("udp", &bytes(udp))])
}

/// The record of a key, with more pairs; they stand in the order of their names.
fn record_with(key: &IdentityKey, more: &[(&str, &[u8])]) -> Enr {
    let public = key.public();
    let compressed = public.to_bytes();
    let mut pairs: Vec<(&str, &[u8])> = vec![("id", b"v4"), ("secp256k1", &compressed)];
    pairs.extend_from_slice(more);
    pairs.sort_unstable_by_key(|(name, _)| *name);
    let mut elements = vec![Vec::new()];
    elements.extend(pairs.iter().flat_map(|(name, value)| [name.as_bytes().to_vec(), value.to_vec()]));
    let [signature @ .., _] = key.sign(&keccak256(&list(&elements)));
    let mut whole = vec![signature.to_vec()];
    whole.extend_from_slice(&elements);
    Enr { text: format!("{PREFIX}{}", BASE64.encode(list(&whole))), public, signature, elements }
}

/// Reads a record and checks its signature.
///
/// # Errors
/// [`EnrError`].
pub fn parse(text: &str) -> Result<Enr, EnrError> {
    let body = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_TEXT).ok_or(EnrError::NoRecord)?;
    // Records of long ago are padded.
    let bytes = BASE64.decode(body.trim_end_matches('=')).map_err(|e| EnrError::Base64(e.to_string()))?;
    let mut elements = texts(&bytes)?;
    if elements.len() < MIN_ELEMENTS || elements.len() % 2 == 1 {
        return Err(EnrError::Content("it is no signature, number and pairs of name and value"));
    }
    let signature = elements.remove(0);
    let mut names: Vec<&[u8]> = elements[1..].iter().step_by(2).map(Vec::as_slice).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(EnrError::Content("a name is in it twice"));
    }
    let value = |name: &str| value(&elements, name);
    if value("id").is_some_and(|id| id != b"v4") {
        return Err(EnrError::Content("its identity is not `v4`"));
    }
    let key = value("secp256k1").ok_or(EnrError::Content("it has no key `secp256k1`"))?;
    let public = IdentityPublic::from_bytes(key)?;
    verify64(&public, &keccak256(&list(&elements)), &signature)?;
    let length = signature.len();
    let signature =
        signature.try_into().map_err(|_| K1Error::Length { expected: SIGNATURE_RS_LEN, length })?;
    Ok(Enr { text: text.to_owned(), public, signature, elements })
}

fn value<'e>(elements: &'e [Vec<u8>], name: &str) -> Option<&'e [u8]> {
    let mut pairs = elements.get(1..)?.chunks_exact(2);
    pairs.find(|pair| pair[0] == name.as_bytes()).map(|pair| pair[1].as_slice())
}

impl Enr {
    /// The text, as it was read or first written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The node's public key.
    pub fn public(&self) -> &IdentityPublic {
        &self.public
    }

    /// The signature over the rest of the record: R ‖ S.
    pub fn signature(&self) -> &[u8; SIGNATURE_RS_LEN] {
        &self.signature
    }

    /// The names in it, in its order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.elements.iter().skip(1).step_by(2).map(Vec::as_slice)
    }

    /// The value under a name.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        value(&self.elements, name)
    }

    /// A value that is a number; one that does not fit is none.
    pub fn number(&self, name: &str) -> Option<u64> {
        let bytes = self.value(name)?;
        let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
        let bytes = &bytes[start..];
        (bytes.len() <= 8).then(|| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

// ---------------------------------------------------------------------------------------------------------- RLP

/// The header of a text or a list of this length.
fn header(short: u8, length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(length) if length < 56 => out.push(short + length),
        _ => {
            let bytes = length.to_be_bytes();
            let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1);
            let count = u8::try_from(bytes.len() - first).unwrap_or(8);
            out.push(short + 55 + count);
            out.extend_from_slice(&bytes[first..]);
        }
    }
}

/// A list of texts.
fn list(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for element in elements {
        match element.as_slice() {
            [byte] if *byte < 0x80 => body.push(*byte),
            bytes => {
                header(0x80, bytes.len(), &mut body);
                body.extend_from_slice(bytes);
            }
        }
    }
    let mut out = Vec::new();
    header(0xc0, body.len(), &mut out);
    out.extend_from_slice(&body);
    out
}

/// What a header says: where the content begins behind it, and how long it is.
fn extent(bytes: &[u8], short: u8) -> Result<(usize, usize), EnrError> {
    let first = *bytes.first().ok_or(EnrError::Rlp("it ends early"))?;
    let kind = first.checked_sub(short).ok_or(EnrError::Rlp("it is not a list of texts"))?;
    if kind < 56 {
        return Ok((1, usize::from(kind)));
    }
    let count = usize::from(kind - 55);
    let length = bytes.get(1..=count).ok_or(EnrError::Rlp("it ends early"))?;
    // A length that was not written as short as can be is taken, as others take it.
    let start = length.iter().position(|b| *b != 0).unwrap_or(length.len());
    if length.len() - start > 4 {
        return Err(EnrError::Rlp("a length is larger than any record"));
    }
    Ok((1 + count, length[start..].iter().fold(0, |n, byte| n << 8 | usize::from(*byte))))
}

/// The texts of the outer list. What comes after the list is passed over; the last text may run past the list's end,
/// but not past the input: others read it so.
fn texts(bytes: &[u8]) -> Result<Vec<Vec<u8>>, EnrError> {
    let (begin, length) = extent(bytes, 0xc0)?;
    let end = begin.checked_add(length).filter(|end| *end <= bytes.len());
    let end = end.ok_or(EnrError::Rlp("it ends early"))?;
    let (mut at, mut found) = (begin, Vec::new());
    while at < end {
        if bytes[at] < 0x80 {
            found.push(vec![bytes[at]]);
            at += 1;
            continue;
        }
        if bytes[at] >= 0xc0 {
            return Err(EnrError::Rlp("there is a list in it"));
        }
        let (skip, length) = extent(&bytes[at..], 0x80)?;
        let content = bytes.get(at + skip..at + skip + length).ok_or(EnrError::Rlp("it ends early"))?;
        found.push(content.to_vec());
        at += skip + length;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EIP-778, "Test Vectors".
    #[test]
    fn the_record_of_the_eip() {
        let text = "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPKY0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8";
        let enr = parse(text).expect("a record");
        assert_eq!(enr.value("ip"), Some([127, 0, 0, 1].as_slice()));
        assert_eq!((enr.number("udp"), enr.number("tcp")), (Some(30303), None));
        let key = IdentityKey::parse("b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291");
        assert_eq!(*enr.public(), key.expect("a key").public());
        assert_eq!(enr.text(), text);
        let padded = format!("{text}==");
        assert_eq!(parse(&padded).expect("padded").text(), padded);
    }

    #[test]
    fn what_is_written_is_read() {
        let key = IdentityKey::from_bytes(&[7; 32]).expect("a key");
        let enr = record(&key);
        assert!(enr.text().starts_with("enr:-HW4Q"), "{}", enr.text());
        assert_eq!(parse(enr.text()), Ok(enr));
        let more = record_with(&key, &[("udp", &[0x23, 0x28]), ("ip", &[1, 2, 3, 4]), ("tcp", &[80])]);
        assert_eq!(parse(more.text()), Ok(more.clone()));
        assert_eq!((more.number("tcp"), more.number("udp")), (Some(80), Some(9000)));
        let there = record_at(&key, Ipv4Addr::new(1, 2, 3, 4), 80, 9000);
        assert_eq!(there, more);
    }

    #[test]
    fn what_is_no_record_says_why() {
        let key = IdentityKey::from_bytes(&[7; 32]).expect("a key");
        let signed = |elements: &[&[u8]]| {
            let elements: Vec<Vec<u8>> = elements.iter().map(|e| e.to_vec()).collect();
            let mut whole = vec![key.sign(&keccak256(&list(&elements)))[..64].to_vec()];
            whole.extend(elements);
            format!("{PREFIX}{}", BASE64.encode(list(&whole)))
        };
        let public = key.public().to_bytes();
        let says = |text: &str, expected: &str| {
            let error = parse(text).expect_err(expected).to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        };
        says("ENR:-HW4", "begins with `enr:`");
        says(&format!("enr:{}", "A".repeat(MAX_TEXT)), "at most 4096");
        says("enr:-HW4*", "not base64url");
        says("enr:", "it ends early");
        says("enr:gICA", "it is not a list of texts");
        says(&format!("enr:{}", BASE64.encode([0xc1, 0xc0])), "there is a list in it");
        says(&format!("enr:{}", BASE64.encode([0xff; 9])), "a length is larger than any record");
        says(&signed(&[b""]), "no signature, number and pairs");
        says(&signed(&[b"", b"id", b"v4", b"id", b"v4", b"secp256k1", &public]), "a name is in it twice");
        says(&signed(&[b"", b"id", b"v5", b"secp256k1", &public]), "its identity is not `v4`");
        says(&signed(&[b"", b"id", b"v4"]), "it has no key `secp256k1`");
        says(&signed(&[b"", b"secp256k1", &public[1..]]), "no point of secp256k1");
        parse(&signed(&[b"", b"secp256k1", &public])).expect("an identity that is not named");
        let other = IdentityKey::from_bytes(&[8; 32]).expect("a key").public().to_bytes();
        says(&signed(&[b"", b"id", b"v4", b"secp256k1", &other]), "does not match");
    }
}
