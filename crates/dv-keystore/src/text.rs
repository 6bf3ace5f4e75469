//! The JSON text of a keystore. <https://eips.ethereum.org/EIPS/eip-2335>

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::KeystoreError;

/// Bytes that no keystore of anybody's reaches.
pub const MAX_BYTES: usize = 64 * 1024;
/// The version that EIP-2335 describes.
const VERSION: u64 = 4;
/// Most iterations of PBKDF2 that are done: minutes of work are no keystore's.
const MAX_ITERATIONS: u32 = 16 << 20;
/// Most memory that scrypt is given: 128 · n · r bytes.
const MAX_MEMORY: u64 = 1 << 30;
/// Most work that scrypt is given: n · r · p.
const MAX_WORK: u64 = 1 << 26;
/// A key is 32 bytes; more may be derived, and are not used.
const KEY_BYTES: usize = 32;
const MAX_KEY_BYTES: usize = 256;
const MAX_SALT_BYTES: usize = 1024;

/// A keystore; its parameters are known and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keystore {
    pub(crate) kdf: Kdf,
    pub(crate) checksum: [u8; 32],
    pub(crate) iv: [u8; 16],
    pub(crate) message: [u8; 32],
    /// A remark.
    pub description: String,
    /// The public key as written, usually 96 hex digits without `0x`; nothing proves that it is the secret's.
    pub pubkey: String,
    /// How the key was derived (EIP-2334).
    pub path: String,
    /// A name for the file.
    pub uuid: String,
}

/// How a key is made of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kdf {
    Pbkdf2 { iterations: u32, key_bytes: usize, salt: Vec<u8> },
    Scrypt { log_n: u8, r: u32, p: u32, key_bytes: usize, salt: Vec<u8> },
}

#[derive(Serialize, Deserialize)]
struct Document {
    crypto: Crypto,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    pubkey: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    uuid: Option<String>,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    checksum: Module,
    cipher: Module,
    kdf: Module,
}

#[derive(Serialize, Deserialize)]
struct Module {
    function: String,
    message: String,
    params: Map<String, Json>,
}

/// Reads a keystore.
///
/// # Errors
/// [`KeystoreError`]; the password is not needed yet.
pub fn parse(text: &[u8]) -> Result<Keystore, KeystoreError> {
    if text.len() > MAX_BYTES {
        return Err(KeystoreError::TooLong { found: text.len() });
    }
    let document: Document =
        serde_json::from_slice(text).map_err(|error| KeystoreError::Malformed(error.to_string()))?;
    if document.version != VERSION {
        return Err(unsupported("version", format!("it is {}, and {VERSION} is known", document.version)));
    }
    let Crypto { checksum, cipher, kdf } = document.crypto;
    only("crypto.checksum.function", &checksum.function, "sha256")?;
    only("crypto.cipher.function", &cipher.function, "aes-128-ctr")?;
    Ok(Keystore {
        kdf: read_kdf(&kdf)?,
        checksum: fixed("crypto.checksum.message", &checksum.message)?,
        iv: fixed("crypto.cipher.params.iv", text_of(&cipher.params, "iv", "crypto.cipher.params.iv")?)?,
        message: fixed("crypto.cipher.message", &cipher.message)?,
        description: document.description.unwrap_or_default(),
        pubkey: document.pubkey,
        path: document.path.unwrap_or_default(),
        uuid: document.uuid.unwrap_or_default(),
    })
}

fn unsupported(field: &'static str, why: impl Into<String>) -> KeystoreError {
    KeystoreError::Unsupported { field, why: why.into() }
}

fn only(field: &'static str, found: &str, known: &str) -> Result<(), KeystoreError> {
    if found == known { Ok(()) } else { Err(unsupported(field, format!("only {known} is known"))) }
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, KeystoreError> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|error| unsupported(field, error.to_string()))
}

fn fixed<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], KeystoreError> {
    let bytes = bytes(field, text)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| unsupported(field, format!("it has {found} bytes, not {N}")))
}

fn text_of<'p>(
    params: &'p Map<String, Json>,
    name: &str,
    field: &'static str,
) -> Result<&'p str, KeystoreError> {
    params.get(name).and_then(Json::as_str).ok_or_else(|| unsupported(field, "it is no text"))
}

fn number(params: &Map<String, Json>, name: &str, field: &'static str) -> Result<u64, KeystoreError> {
    params.get(name).and_then(Json::as_u64).ok_or_else(|| unsupported(field, "it is no whole number"))
}

fn read_kdf(kdf: &Module) -> Result<Kdf, KeystoreError> {
    let params = &kdf.params;
    let key_bytes = number(params, "dklen", "crypto.kdf.params.dklen")?;
    let key_bytes =
        usize::try_from(key_bytes).ok().filter(|n| (KEY_BYTES..=MAX_KEY_BYTES).contains(n)).ok_or_else(
            || unsupported("crypto.kdf.params.dklen", format!("it is not {KEY_BYTES} to {MAX_KEY_BYTES}")),
        )?;
    let salt = bytes("crypto.kdf.params.salt", text_of(params, "salt", "crypto.kdf.params.salt")?)?;
    if salt.len() > MAX_SALT_BYTES {
        return Err(unsupported(
            "crypto.kdf.params.salt",
            format!("it has more than {MAX_SALT_BYTES} bytes"),
        ));
    }
    match kdf.function.as_str() {
        "pbkdf2" => {
            let prf = "crypto.kdf.params.prf";
            only(prf, text_of(params, "prf", prf)?, "hmac-sha256")?;
            let iterations = number(params, "c", "crypto.kdf.params.c")?;
            let iterations =
                u32::try_from(iterations).ok().filter(|c| (1..=MAX_ITERATIONS).contains(c)).ok_or_else(
                    || unsupported("crypto.kdf.params.c", format!("it is not 1 to {MAX_ITERATIONS}")),
                )?;
            Ok(Kdf::Pbkdf2 { iterations, key_bytes, salt })
        }
        "scrypt" => {
            let n = number(params, "n", "crypto.kdf.params.n")?;
            let r = number(params, "r", "crypto.kdf.params.r")?;
            let p = number(params, "p", "crypto.kdf.params.p")?;
            if !n.is_power_of_two() || n < 2 {
                return Err(unsupported("crypto.kdf.params.n", "it is no power of two above 1"));
            }
            let memory = n.checked_mul(r).and_then(|m| m.checked_mul(128));
            let work = n.checked_mul(r).and_then(|m| m.checked_mul(p));
            let is_bounded = memory.is_some_and(|m| (1..=MAX_MEMORY).contains(&m))
                && work.is_some_and(|w| (1..=MAX_WORK).contains(&w));
            let (Ok(r), Ok(p), true) = (u32::try_from(r), u32::try_from(p), is_bounded) else {
                let why = "n, r and p ask for more memory or time than any keystore needs, or for none";
                return Err(unsupported("crypto.kdf.params", why));
            };
            let log_n = u8::try_from(n.trailing_zeros()).unwrap_or(u8::MAX);
            Ok(Kdf::Scrypt { log_n, r, p, key_bytes, salt })
        }
        _ => Err(unsupported("crypto.kdf.function", "pbkdf2 and scrypt are known")),
    }
}

impl Keystore {
    /// The text, as files have it: one space a level, keys in this order, no newline at the end.
    pub fn to_text(&self) -> String {
        let object = |pairs: Vec<(&str, Json)>| -> Map<String, Json> {
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        };
        let (function, params) = match &self.kdf {
            Kdf::Pbkdf2 { iterations, key_bytes, salt } => (
                "pbkdf2",
                vec![
                    ("c", Json::from(*iterations)),
                    ("dklen", Json::from(*key_bytes)),
                    ("prf", Json::from("hmac-sha256")),
                    ("salt", Json::from(hex::encode(salt))),
                ],
            ),
            Kdf::Scrypt { log_n, r, p, key_bytes, salt } => (
                "scrypt",
                vec![
                    ("dklen", Json::from(*key_bytes)),
                    ("n", Json::from(1_u64 << log_n)),
                    ("p", Json::from(*p)),
                    ("r", Json::from(*r)),
                    ("salt", Json::from(hex::encode(salt))),
                ],
            ),
        };
        let module = |function: &str, message: String, params| Module {
            function: function.to_owned(),
            message,
            params: object(params),
        };
        let document = Document {
            crypto: Crypto {
                checksum: module("sha256", hex::encode(self.checksum), Vec::new()),
                cipher: module(
                    "aes-128-ctr",
                    hex::encode(self.message),
                    vec![("iv", Json::from(hex::encode(self.iv)))],
                ),
                kdf: module(function, String::new(), params),
            },
            description: Some(self.description.clone()),
            pubkey: self.pubkey.clone(),
            path: Some(self.path.clone()),
            uuid: Some(self.uuid.clone()),
            version: VERSION,
        };
        let mut text = Vec::new();
        let form = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut out = serde_json::Serializer::with_formatter(&mut text, form);
        document.serialize(&mut out).expect("plain data is written to memory");
        String::from_utf8(text).expect("JSON is UTF-8")
    }
}
