//! Signatures as libp2p has them: R and S in DER (SEC 1, section C.5), without a recovery byte.

use k256::ecdsa::Signature;
use k256::ecdsa::signature::hazmat::PrehashVerifier as _;

use super::{IdentityKey, IdentityPublic, K1Error};

impl IdentityKey {
    /// R and S of this digest in DER, at most 72 bytes: the same R and S as [`IdentityKey::sign`] gives.
    #[must_use]
    pub fn sign_der(&self, digest: &[u8; 32]) -> Vec<u8> {
        let [rs @ .., _] = self.sign(digest);
        let signature = Signature::from_slice(&rs).expect("a signature that was just made");
        signature.to_der().as_bytes().to_vec()
    }
}

/// Checks R and S in DER against the key.
///
/// # Errors
/// It is not DER, R or S is out of range, or the signature is another key's. A high S is accepted.
pub fn verify_der(public: &IdentityPublic, digest: &[u8; 32], signature: &[u8]) -> Result<(), K1Error> {
    let parsed = Signature::from_der(signature).map_err(|_| K1Error::Der { length: signature.len() })?;
    let mismatch = |_| K1Error::Mismatch { public: Box::new(*public) };
    // The verifier refuses a high S, which others accept; the low one is as good.
    public.key.verify_prehash(digest, &parsed.normalize_s()).map_err(mismatch)
}
