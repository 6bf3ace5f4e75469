//! A share that only one node can read: AES-256-GCM under a key that a fresh secret and the node's key agree on.
//!
//! Ciphertext: a compressed point (48), then 32 bytes of the share under the cipher, then its tag (16).

use aes_gcm::aead::Aead as _;
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use coxswain_dv_crypto::bls::{PUBLIC_LEN, PublicKey, SECRET_LEN, SecretKey};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// Bytes of an encrypted share.
pub const SEALED_LEN: usize = PUBLIC_LEN + SECRET_LEN + TAG_LEN;

/// The cipher and its nonce; both come of the common secret alone, which is fresh for every share.
fn cipher(common: &[u8; PUBLIC_LEN]) -> (Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>) {
    let mut bytes = Zeroizing::new([0; KEY_LEN + NONCE_LEN]);
    Hkdf::<Sha256>::new(None, common).expand(&[], bytes.as_mut_slice()).expect("shorter than 255 digests");
    let (key, nonce) = bytes.split_at(KEY_LEN);
    let cipher = Aes256Gcm::new_from_slice(key).expect("the key has 32 bytes");
    (cipher, Nonce::try_from(nonce).expect("the nonce has 12 bytes"))
}

/// Encrypts a share to a node.
pub fn seal(to: &PublicKey, share: &SecretKey, rng: &mut impl CryptoRng) -> [u8; SEALED_LEN] {
    let fresh = SecretKey::generate(rng);
    let (cipher, nonce) = cipher(&fresh.agree(to));
    let hidden = cipher.encrypt(&nonce, share.to_bytes().as_slice()).expect("32 bytes are not too many");
    let mut out = [0; SEALED_LEN];
    out[..PUBLIC_LEN].copy_from_slice(&fresh.public().to_bytes());
    out[PUBLIC_LEN..].copy_from_slice(&hidden);
    out
}

/// Decrypts; none where it is not for this key, was changed, or has not [`SEALED_LEN`] bytes.
#[must_use]
pub fn decrypt(own: &SecretKey, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (point, hidden) = sealed.split_at_checked(PUBLIC_LEN).filter(|_| sealed.len() == SEALED_LEN)?;
    let fresh = PublicKey::from_bytes(point).ok()?;
    let (cipher, nonce) = cipher(&own.agree(&fresh));
    cipher.decrypt(&nonce, hidden).ok().map(Zeroizing::new)
}

/// Decrypts a share; none as for [`decrypt`], or where it is no number from 1 to r − 1.
#[must_use]
pub fn open(own: &SecretKey, sealed: &[u8]) -> Option<SecretKey> {
    SecretKey::from_bytes(&decrypt(own, sealed)?).ok()
}
