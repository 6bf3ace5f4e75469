//! Signatures of contracts: what is asked, and how the answer is read. Asking is the caller's.
//!
//! ERC-1271, `isValidSignature(bytes32,bytes)`: <https://eips.ethereum.org/EIPS/eip-1271>.

use coxswain_dv_crypto::k1::Address;

use super::Problem;

/// The selector of the method, and what it returns for a signature that is valid.
const MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];
/// Bytes of a word of the ABI.
const WORD: usize = 32;

/// A signature that no key explains; a contract at the signer's address may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractQuestion {
    /// Whom to ask.
    pub signer: Address,
    /// What was signed.
    pub digest: [u8; 32],
    /// The whole signature, of all owners.
    pub signature: Vec<u8>,
    /// Where the signature stands and why it is refused, if nobody can be asked or the contract says no.
    pub otherwise: Problem,
}

/// What a contract says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The signature is its own.
    Valid,
    /// It is not.
    Invalid,
    /// Nothing came back: there is no code at the address, so this is no answer.
    NoContract,
}

impl ContractQuestion {
    /// The data of an `eth_call` to [`ContractQuestion::signer`] at the latest block.
    pub fn call_data(&self) -> Vec<u8> {
        call_data(&self.digest, &self.signature)
    }
}

/// The data of a call that asks for a signature.
pub fn call_data(digest: &[u8; 32], signature: &[u8]) -> Vec<u8> {
    let word = |number: u64| {
        let mut word = [0; WORD];
        word[WORD - 8..].copy_from_slice(&number.to_be_bytes());
        word
    };
    let mut data = MAGIC.to_vec();
    data.extend_from_slice(digest);
    // Where the bytes begin: behind the two words of the head.
    data.extend_from_slice(&word(2 * WORD as u64));
    data.extend_from_slice(&word(signature.len() as u64));
    data.extend_from_slice(signature);
    let padding = signature.len().next_multiple_of(WORD) - signature.len();
    data.extend_from_slice(&[0; WORD][..padding]);
    data
}

/// Reads what such a call returned. A call that failed is no answer and does not come here.
pub fn read_answer(returned: &[u8]) -> Answer {
    match returned {
        [] => Answer::NoContract,
        returned if returned.starts_with(&MAGIC) => Answer::Valid,
        _ => Answer::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout written out by hand from the ABI's specification: selector, digest, offset 64, length, bytes.
    #[test]
    fn calls_are_laid_out_in_words() {
        let data = hex::encode(call_data(&[0xd1; 32], &[0xab; 65]));
        let expected = [
            "1626ba7e".to_owned(),
            "d1".repeat(32),
            format!("{:064x}", 0x40),
            format!("{:064x}", 65),
            "ab".repeat(65),
            "00".repeat(31),
        ];
        assert_eq!(data, expected.concat());
        assert_eq!(call_data(&[0; 32], &[]).len(), 4 + 3 * 32);
        assert_eq!(call_data(&[0; 32], &[1; 64]).len(), 4 + 5 * 32);
    }

    #[test]
    fn answers() {
        let mut word = MAGIC.to_vec();
        word.resize(32, 0);
        assert_eq!(read_answer(&word), Answer::Valid);
        assert_eq!(read_answer(&MAGIC), Answer::Valid);
        assert_eq!(read_answer(&[0; 32]), Answer::Invalid);
        assert_eq!(read_answer(&MAGIC[..3]), Answer::Invalid);
        assert_eq!(read_answer(&[]), Answer::NoContract);
    }
}
