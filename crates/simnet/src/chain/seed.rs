//! Randomness that is the same for the same seed: SHA-256 in counter mode.

use std::convert::Infallible;

use rand_core::{Rng as _, TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};

use coxswain_dv_eth::Root;

/// The seed of a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    /// A root that stands for a purpose and numbers.
    pub(super) fn root(self, purpose: &str, numbers: &[u64]) -> Root {
        let mut hasher = Sha256::new();
        hasher.update(self.0.to_le_bytes());
        hasher.update(purpose.as_bytes());
        for number in numbers {
            hasher.update(number.to_le_bytes());
        }
        hasher.finalize().into()
    }

    /// Random bytes for a purpose.
    pub(super) fn stream(self, purpose: &str, numbers: &[u64]) -> Stream {
        Stream { key: self.root(purpose, numbers), counter: 0 }
    }

    /// The items in an order that purpose and numbers give.
    pub(super) fn shuffled(self, purpose: &str, numbers: &[u64], mut items: Vec<u64>) -> Vec<u64> {
        let mut stream = self.stream(purpose, numbers);
        for last in (1..items.len()).rev() {
            items.swap(last, stream.below(last + 1));
        }
        items
    }
}

/// Random bytes. Whoever knows the seed knows them.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    key: Root,
    counter: u64,
}

impl Stream {
    /// A number below another, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        // Of 64 bits, so that no number of validators gives a bias that could be measured.
        usize::try_from(self.next_u64() % limit.max(1) as u64).unwrap_or_default()
    }

    fn block(&mut self) -> Root {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        hasher.update(self.counter.to_le_bytes());
        self.counter += 1;
        hasher.finalize().into()
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.block();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [a, b, c, d, e, f, g, h, ..] = self.block();
        Ok(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(32) {
            let block = self.block();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Stream {}
