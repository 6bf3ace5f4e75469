//! Opening and making keystores. <https://eips.ethereum.org/EIPS/eip-2335>

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::password::prepared;
use crate::stretch::pbkdf2;
use crate::text::{Kdf, Keystore};
use crate::{KeystoreError, Secret};

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

/// The path that is written for every share: a share was derived from nothing.
const PATH: &str = "m/12381/3600/0/0/0";

/// How long somebody who guesses passwords must work for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// 2^18 iterations of PBKDF2: what EIP-2335 uses.
    Normal,
    /// 2^4: for tests alone.
    Insecure,
}

impl Cost {
    fn iterations(self) -> u32 {
        match self {
            Cost::Normal => 1 << 18,
            Cost::Insecure => 1 << 4,
        }
    }
}

/// What must be new and random for every keystore.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// Salt of the key derivation.
    pub salt: [u8; 32],
    /// First counter of the cipher. Never twice under one key; salt and password make the key.
    pub iv: [u8; 16],
    /// The file's name.
    pub uuid: [u8; 16],
}

/// The key of a password: the first half is the cipher's, the second the checksum's.
fn derive(kdf: &Kdf, password: &str) -> Zeroizing<Vec<u8>> {
    let password = prepared(password);
    match kdf {
        Kdf::Pbkdf2 { iterations, key_bytes, salt } => {
            let mut key = Zeroizing::new(vec![0; *key_bytes]);
            pbkdf2(&password, salt, *iterations, &mut key);
            key
        }
        Kdf::Scrypt { log_n, r, p, key_bytes, salt } => {
            let mut key = Zeroizing::new(vec![0; *key_bytes]);
            let params = scrypt::Params::new(*log_n, *r, *p).expect("bounded when it was read");
            scrypt::scrypt(&password, salt, &params, &mut key).expect("a length that scrypt can give");
            key
        }
    }
}

fn checksum(key: &[u8], message: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(&key[16..32]).chain_update(message).finalize().into()
}

fn apply(key: &[u8], iv: &[u8; 16], text: &mut [u8; 32]) {
    let mut key16 = Zeroizing::new([0; 16]);
    key16.copy_from_slice(&key[..16]);
    Aes128Ctr::new((&*key16).into(), iv.into()).apply_keystream(text);
}

impl Keystore {
    /// The secret.
    ///
    /// # Errors
    /// [`KeystoreError::WrongPassword`].
    pub fn decrypt(&self, password: &str) -> Result<Secret, KeystoreError> {
        let key = derive(&self.kdf, password);
        if !bool::from(checksum(&key, &self.message).ct_eq(&self.checksum)) {
            return Err(KeystoreError::WrongPassword);
        }
        let mut secret = Zeroizing::new(self.message);
        apply(&key, &self.iv, &mut secret);
        Ok(secret)
    }
}

/// Makes the keystore of a secret, whose public key is `pubkey`.
pub fn encrypt(secret: &Secret, pubkey: &[u8; 48], password: &str, cost: Cost, fresh: &Fresh) -> Keystore {
    let kdf = Kdf::Pbkdf2 { iterations: cost.iterations(), key_bytes: 32, salt: fresh.salt.to_vec() };
    let key = derive(&kdf, password);
    let mut message = **secret;
    apply(&key, &fresh.iv, &mut message);
    Keystore {
        checksum: checksum(&key, &message),
        kdf,
        iv: fresh.iv,
        message,
        description: String::new(),
        pubkey: hex::encode(pubkey),
        path: PATH.to_owned(),
        uuid: uuid(&fresh.uuid),
    }
}

/// Upper case, 8-4-4-4-12, without the bits of a version.
fn uuid(bytes: &[u8; 16]) -> String {
    let text = hex::encode_upper(bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
