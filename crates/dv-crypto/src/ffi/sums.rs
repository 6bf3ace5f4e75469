//! Points of G1 while they are added up. An affine point costs a division; sums put it off until many of them are
//! made affine together, with one division for all.

use std::ptr;

use blst::blst_p1;

use super::{G1, SCALAR_BITS, SCALAR_LEN, Scalar};

/// A point of G1 that is not affine yet; infinity by default.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(crate) struct Sum(blst_p1);

impl Sum {
    /// x·G in constant time.
    pub(crate) fn of_secret(scalar: &Scalar) -> Self {
        let plain = scalar.plain();
        let mut out = Self::default();
        // SAFETY: reads one number, writes one point on this stack.
        unsafe { blst::blst_sk_to_pk_in_g1(&raw mut out.0, &raw const plain) };
        out
    }

    /// x·P in constant time.
    pub(crate) fn times_secret(point: &G1, scalar: &Scalar) -> Self {
        let plain = scalar.plain();
        let (mut from, mut out) = (blst_p1::default(), Self::default());
        // SAFETY: the number has 32 bytes, of which as many bits are read as r has; the points are on this stack.
        unsafe {
            blst::blst_p1_from_affine(&raw mut from, &raw const point.0);
            blst::blst_p1_mult(&raw mut out.0, &raw const from, plain.b.as_ptr(), SCALAR_BITS);
        }
        out
    }

    /// One point more; it may be equal, opposite or infinite.
    pub(crate) fn plus(self, point: &G1) -> Self {
        let mut out = Self::default();
        // SAFETY: reads two points, writes a third that overlaps neither.
        unsafe { blst::blst_p1_add_or_double_affine(&raw mut out.0, &raw const self.0, &raw const point.0) };
        out
    }

    /// The sum of two sums; they may be equal, opposite or infinite.
    pub(crate) fn add(self, other: &Self) -> Self {
        let mut out = Self::default();
        // SAFETY: reads two points, writes a third that overlaps neither.
        unsafe { blst::blst_p1_add_or_double(&raw mut out.0, &raw const self.0, &raw const other.0) };
        out
    }

    fn twice(self) -> Self {
        let mut out = Self::default();
        // SAFETY: reads one point, writes another.
        unsafe { blst::blst_p1_double(&raw mut out.0, &raw const self.0) };
        out
    }

    /// This point as often as a public number says; the fewer bits it has, the faster.
    pub(crate) fn times_small(self, factor: u64) -> Self {
        let bits = u64::BITS.saturating_sub(factor.leading_zeros());
        (0..bits).rev().fold(Self::default(), |sum, bit| {
            let double = sum.twice();
            if factor & 1_u64.rotate_left(bit) == 0 { double } else { double.add(&self) }
        })
    }

    /// This one as a point.
    pub(crate) fn point(&self) -> G1 {
        G1::affine(&self.0)
    }

    /// All of them as points, in their order.
    pub(crate) fn finish(sums: &[Self]) -> Vec<G1> {
        let Some(first) = sums.first() else { return Vec::new() };
        let mut out = vec![G1::infinity(); sums.len()];
        // A null after the first pointer: the others follow the first in memory.
        let list = [&raw const first.0, ptr::null()];
        // SAFETY: both slices have as many elements as is said, and either type is its point alone.
        unsafe { blst::blst_p1s_to_affine(out.as_mut_ptr().cast(), list.as_ptr(), sums.len()) };
        out
    }
}

/// Values of one byte of a number, but zero.
const DIGITS: usize = 255;

/// d·256ⁱ·G for each value d of each byte i of a number: then a multiple of G is one addition a byte. Made in some
/// milliseconds, so it is for hundreds of multiplications.
pub(crate) struct GeneratorMultiples(Vec<G1>);

impl GeneratorMultiples {
    /// From how many multiplications on it pays.
    pub(crate) const WORTH: usize = 256;

    pub(crate) fn new() -> Self {
        let mut sums = Vec::with_capacity(SCALAR_LEN.saturating_mul(DIGITS));
        let mut step = Sum::default().plus(&G1::generator());
        for _ in 0..SCALAR_LEN {
            let mut sum = step;
            for _ in 0..DIGITS {
                sums.push(sum);
                sum = sum.add(&step);
            }
            step = sum;
        }
        Self(Sum::finish(&sums))
    }

    /// x·G for a public number, least significant byte first; its time depends on it.
    pub(crate) fn times(&self, number: &[u8; SCALAR_LEN]) -> Sum {
        let rows = self.0.as_chunks::<DIGITS>().0;
        let digits = number.iter().zip(rows).filter_map(|(digit, row)| {
            // No multiple is added for a zero.
            usize::from(*digit).checked_sub(1).and_then(|place| row.get(place))
        });
        digits.fold(Sum::default(), |sum, point| sum.plus(point))
    }
}
