//! Numbers that look random and come from a seed: SplitMix64 (Steele, Lea, Flood 2014). They must be the same for ever, or
//! a seed that once failed says nothing, so no library may change them.

use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

use rand_core::{TryCryptoRng, TryRng};

/// The odd number nearest to 2⁶⁴ divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    state: u64,
}

fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A number that these numbers have, always the same.
pub(crate) fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(STEP, |state, part| mix(state.wrapping_add(*part).wrapping_mul(STEP)))
}

impl Dice {
    /// Of a seed; different purposes get different numbers.
    pub(crate) fn of(seed: u64, purpose: u64) -> Dice {
        Dice { state: mixed(&[seed, purpose]) }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Below a number; 0 below 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The remainder prefers small numbers by less than one in 2³² here.
        self.number().checked_rem(end).unwrap_or(0)
    }

    /// In a range; its start where it is empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// A place in a list that is not empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    pub(crate) fn happens(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// From one millisecond to so many.
    pub(crate) fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(1 + self.below(most))
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.number() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.number())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
        Ok(())
    }
}

/// Peers of a simulation do not guess.
impl TryCryptoRng for Dice {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of the reference implementation, from the state 0.
    #[test]
    fn numbers_are_those_of_the_paper() {
        let mut dice = Dice { state: 0 };
        let numbers = [dice.number(), dice.number(), dice.number()];
        assert_eq!(numbers, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn a_chance_is_about_what_it_says() {
        let mut dice = Dice::of(1, 2);
        let happened = (0..10_000).filter(|_| dice.happens(30)).count();
        assert!((2_700..3_300).contains(&happened), "{happened}");
        assert_ne!(mixed(&[1, 2]), mixed(&[2, 1]));
    }
}
