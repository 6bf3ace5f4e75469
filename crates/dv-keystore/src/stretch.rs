//! PBKDF2 with HMAC-SHA-256 (RFC 8018, section 5.2): nearly all of the time that a keystore takes.
//!
//! After the first step every message has 32 bytes, so that the two hashes of HMAC are one block each, which begin where
//! the password has brought them. Only these blocks are computed here; a general HMAC also copies, counts and pads,
//! which takes a sixth longer.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Bytes of a hash.
const HASH: usize = 32;
/// Where SHA-256 begins (FIPS 180-4, section 5.3.3).
const BEGINNING: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// The bytes with which HMAC changes its key (RFC 2104).
const INNER: u8 = 0x36;
const OUTER: u8 = 0x5c;

/// State of SHA-256; a secret where a password went into it.
type State = Zeroizing<[u32; 8]>;

/// Fills `key`. No iteration is as good as one.
pub(crate) fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32, key: &mut [u8]) {
    let mut padded = Zeroizing::new([0; BLOCK]);
    match padded.get_mut(..password.len()) {
        Some(start) => start.copy_from_slice(password),
        None => padded[..HASH].copy_from_slice(&Sha256::digest(password)),
    }
    let (inner, outer) = (after(&padded, INNER), after(&padded, OUTER));
    for (part, number) in key.chunks_mut(HASH).zip(1_u32..) {
        let mut first = <Hmac<Sha256>>::new_from_slice(password).expect("a key of any length");
        first.update(salt);
        first.update(&number.to_be_bytes());
        // What is hashed: 32 bytes, the bit behind them, and their length with that of the block before.
        let mut message = Zeroizing::new([0; BLOCK]);
        message[..HASH].copy_from_slice(&first.finalize().into_bytes());
        message[HASH] = 0x80;
        message[BLOCK - 2..].copy_from_slice(&768_u16.to_be_bytes());
        let mut sum: State = Zeroizing::new(words(&message));
        let mut state: State = Zeroizing::new([0; 8]);
        for _ in 1..iterations {
            for start in [&inner, &outer] {
                *state = **start;
                compress256(&mut state, std::slice::from_ref(&*message));
                put(&mut message, &state);
            }
            sum.iter_mut().zip(state.iter()).for_each(|(sum, word)| *sum ^= word);
        }
        let mut bytes = Zeroizing::new([0; BLOCK]);
        put(&mut bytes, &sum);
        part.copy_from_slice(&bytes[..part.len()]);
    }
}

/// The state when the changed key has been hashed.
fn after(key: &[u8; BLOCK], change: u8) -> State {
    let block = Zeroizing::new(key.map(|byte| byte ^ change));
    let mut state = Zeroizing::new(BEGINNING);
    compress256(&mut state, std::slice::from_ref(&*block));
    state
}

/// The first words of a block.
fn words(block: &[u8; BLOCK]) -> [u32; 8] {
    let (words, _) = block.as_chunks::<4>();
    std::array::from_fn(|at| u32::from_be_bytes(words[at]))
}

/// Makes them the first words of a block.
fn put(block: &mut [u8; BLOCK], state: &[u32; 8]) {
    let (words, _) = block.as_chunks_mut::<4>();
    words.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(password: &[u8], salt: &[u8], iterations: u32, length: usize) {
        let (mut ours, mut expected) = (vec![0; length], vec![0; length]);
        pbkdf2(password, salt, iterations, &mut ours);
        ::pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut expected);
        assert_eq!(ours, expected, "{} bytes, {iterations} times, {length}", password.len());
    }

    /// RFC 7914, section 11.
    #[test]
    fn vectors_of_the_rfc() {
        let derived = |password: &[u8], salt: &[u8], iterations| {
            let mut key = [0; 64];
            pbkdf2(password, salt, iterations, &mut key);
            hex::encode(key)
        };
        assert_eq!(
            derived(b"passwd", b"salt", 1),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
             49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        );
        assert_eq!(
            derived(b"Password", b"NaCl", 80_000),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56\
             a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"
        );
    }

    #[test]
    fn passwords_around_a_block() {
        for length in [0, 1, 31, 32, 63, 64, 65, 128, 200] {
            check(&vec![b'p'; length], b"salt", 3, 32);
        }
        for (iterations, length) in [(0, 32), (1, 32), (2, 0), (2, 1), (2, 33), (1 << 12, 100)] {
            check(b"password", &[7; 100], iterations, length);
        }
    }

    proptest! {
        #[test]
        fn it_is_as_others_have_it(
            password in proptest::collection::vec(any::<u8>(), 0..150),
            salt in proptest::collection::vec(any::<u8>(), 0..150),
            iterations in 0_u32..20,
            length in 0_usize..100,
        ) {
            check(&password, &salt, iterations, length);
        }
    }
}
