//! Passwords as EIP-2335 prepares them, and new ones.

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// Random bytes of a new password.
pub const PASSWORD_BYTES: usize = 16;

/// A new password: 32 lower-case hex digits.
pub fn password(random: &[u8; PASSWORD_BYTES]) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(random))
}

/// NFKD without the control characters C0, DEL and C1 (EIP-2335, "Password requirements"), as UTF-8. So a newline at the
/// end of a password file does no harm.
pub(crate) fn prepared(password: &str) -> Zeroizing<Vec<u8>> {
    // Room for the longest decomposition of a character, so that no copy is left behind by growth.
    let mut bytes = Zeroizing::new(Vec::with_capacity(password.len().saturating_mul(18)));
    let mut utf8 = Zeroizing::new([0; 4]);
    for c in password.nfkd().filter(|c| !c.is_control()) {
        bytes.extend_from_slice(c.encode_utf8(utf8.as_mut_slice()).as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared() {
        // EIP-2335, test vectors: mathematical letters decompose to "testpassword" and a key.
        let prepared = |text: &str| String::from_utf8(prepared(text).to_vec()).expect("UTF-8");
        assert_eq!(prepared("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑"), "testpassword🔑");
        assert_eq!(prepared("a\u{0}b\tc\r\n\u{7f}d\u{80}\u{9f}e\n"), "abcde");
        assert_eq!(prepared("é"), "e\u{301}");
        assert_eq!(prepared("\u{fdfa}").len(), 33, "the longest decomposition there is");
    }

    #[test]
    fn new_ones_are_hex() {
        assert_eq!(password(&[0xab; 16]).as_str(), "ab".repeat(16));
    }
}
