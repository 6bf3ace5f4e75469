//! Keystores of validator keys: EIP-2335, version 4.
//!
//! ```text
//! text ── parse ──→ Keystore ── decrypt(password) ──→ secret
//! secret, password, Fresh ── encrypt ──→ Keystore ── to_text ──→ text
//! names of files ── names ──→ positions of validators
//! ```
//!
//! Nothing here reads a file, a clock or random bytes: what must be random is [`Fresh`].
//!
//! # What must never happen
//!
//! - A secret or a password reaches an error text, or stays in memory after its owner was dropped.
//! - A file decides how much memory or time is spent: its parameters are bounded before anything is derived.
//! - A secret comes out of a wrong password: the checksum is compared first.

mod crypt;
mod names;
mod password;
mod stretch;
mod text;

pub use crypt::{Cost, Fresh, encrypt};
pub use names::{KeystoreName, SequenceError, password_name, sequence};
pub use password::{PASSWORD_BYTES, password};
pub use text::{Keystore, MAX_BYTES, parse};

/// A secret key: 32 bytes, big-endian.
pub type Secret = zeroize::Zeroizing<[u8; 32]>;

/// Why a keystore cannot be read or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// It is larger than a keystore can be.
    #[error("it has {found} bytes, and a keystore has at most {MAX_BYTES}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// It is no keystore of this version.
    #[error("it is no keystore of EIP-2335: {0}")]
    Malformed(String),
    /// It names something that is not known, or not allowed to be so large.
    #[error("{field}: {why}")]
    Unsupported {
        /// Where, as in `crypto.kdf.params.n`.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The checksum is another.
    #[error("the password does not open it")]
    WrongPassword,
}
