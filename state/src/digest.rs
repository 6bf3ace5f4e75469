//! Keyed digests of what is sensitive.
//!
//! The state must say whether a secret changed without saying what it is. A plain hash of a short secret can be
//! guessed; one with a key that never leaves the directory cannot.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Length of the key, in bytes: the output of the hash, as RFC 2104 section 3 asks.
pub const KEY_BYTES: usize = 32;

/// What digests begin with.
pub const PREFIX: &str = "hmac-sha256:";

/// Domain of the key's fingerprint, which no content's digest can equal: contents go in as 32 bytes.
const FINGERPRINT: &[u8] = b"coxswain digest key fingerprint v1";

/// Makes keyed digests. The key is wiped when it is dropped, and never shown.
#[derive(Clone)]
pub struct Digester {
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digester").field("fingerprint", &self.fingerprint()).finish()
    }
}

impl Digester {
    /// With this key.
    pub fn new(key: Zeroizing<[u8; KEY_BYTES]>) -> Digester {
        Digester { key }
    }

    /// With the bytes of a key file; `None` unless there are [`KEY_BYTES`] of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Digester> {
        Some(Digester { key: Zeroizing::new(bytes.try_into().ok()?) })
    }

    /// `hmac-sha256:` and the HMAC, under the key, of the SHA-256 of the content.
    pub fn digest(&self, content: &[u8]) -> String {
        format!("{PREFIX}{}", self.mac(&Sha256::digest(content)))
    }

    /// Names the key without giving it away.
    pub fn fingerprint(&self) -> String {
        self.mac(FINGERPRINT)[..16].to_owned()
    }

    fn mac(&self, message: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("HMAC takes a key of any length");
        mac.update(message);
        hex::encode(mac.finalize().into_bytes())
    }
}

/// How the key at hand stands to the digests in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFact {
    /// They were made with it, or there are none yet.
    Same,
    /// They were made with another, which is lost: no digest matches any more, and every sensitive attribute
    /// will look changed once.
    Lost,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digester(byte: u8) -> Digester {
        Digester::new(Zeroizing::new([byte; KEY_BYTES]))
    }

    #[test]
    fn digest_is_hmac_of_the_content_hash() {
        // Python: hmac.new(b"\x01"*32, hashlib.sha256(b"secret").digest(), "sha256").hexdigest()
        assert_eq!(
            digester(1).digest(b"secret"),
            "hmac-sha256:5a5e27c95515a672ba1eb239a8b71cdb8b98ddb550e60e7592c84f7ad1e4bdb3"
        );
    }

    #[test]
    fn another_key_makes_another_digest() {
        assert_ne!(digester(1).digest(b"x"), digester(2).digest(b"x"));
        assert_ne!(digester(1).fingerprint(), digester(2).fingerprint());
    }

    #[test]
    fn the_key_is_not_shown() {
        let shown = format!("{:?}", digester(0xab));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }

    #[test]
    fn a_short_key_is_no_key() {
        assert!(Digester::from_bytes(&[0; 31]).is_none());
    }
}
