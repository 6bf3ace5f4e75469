//! The two files of a key.

use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_keystore::{self as keystores, Cost, Fresh, KeystoreName, PASSWORD_BYTES};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// A keystore and the password that opens it, as files.
#[derive(Debug)]
pub struct KeystoreFiles {
    /// `keystore-N.json`, or `keystore-insecure-N.json` with [`Cost::Insecure`].
    pub name: String,
    /// Its text.
    pub text: String,
    /// The same name with `.txt`.
    pub password_name: String,
    /// Its text, without a line end.
    pub password: Zeroizing<String>,
}

/// The files of the key of the validator at this position, from 0. Takes as long as its cost says: a tenth of a second
/// for [`Cost::Normal`].
pub fn keystore(position: u64, secret: &SecretKey, cost: Cost, rng: &mut impl CryptoRng) -> KeystoreFiles {
    let mut random = Zeroizing::new([0; PASSWORD_BYTES]);
    rng.fill_bytes(&mut *random);
    let password = keystores::password(&random);
    let mut fresh = Fresh { salt: [0; 32], iv: [0; 16], uuid: [0; 16] };
    rng.fill_bytes(&mut fresh.salt);
    rng.fill_bytes(&mut fresh.iv);
    rng.fill_bytes(&mut fresh.uuid);
    let text = keystores::encrypt(&secret.to_bytes(), &secret.public().to_bytes(), &password, cost, &fresh)
        .to_text();
    let name = match cost {
        Cost::Normal => KeystoreName::Normal(position),
        Cost::Insecure => KeystoreName::Insecure(position),
    };
    let name = name.file().expect("a name with a position");
    KeystoreFiles { password_name: keystores::password_name(&name), name, text, password }
}
