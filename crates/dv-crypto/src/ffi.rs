//! The calls of blst, and all `unsafe` of this crate: numbers modulo r, points of G1 and G2, pairings.
//!
//! Every type here is a valid value: a [`Scalar`] is reduced, a point is on its curve and in its subgroup, and is
//! kept affine. So what the functions of blst ask of their arguments holds by type, and each block need only say
//! why its pointers are good. blst's own pool of threads is never used.

#![expect(unsafe_code, reason = "blst is a C library; its wrappers in Rust start threads and lack scalars")]

mod sums;

use std::ptr;

use blst::{
    BLST_ERROR, blst_fp12, blst_fr, blst_p1, blst_p1_affine, blst_p2, blst_p2_affine, blst_scalar, limb_t,
};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

pub(crate) use sums::{GeneratorMultiples, Sum};

/// Bytes of a number modulo r.
pub(crate) const SCALAR_LEN: usize = 32;
/// Bits of r.
const SCALAR_BITS: usize = 255;
/// Bytes that are reduced to one number so that it is uniform but for 2⁻¹²⁸ (RFC 9380, section 5.1: L for r).
pub(crate) const WIDE_LEN: usize = 48;

/// Why bytes are no point of the subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PointError {
    /// Flags or a coordinate that no encoder writes.
    Encoding,
    /// No y for this x.
    Curve,
    /// On the curve, outside the subgroup of order r.
    Group,
}

impl PointError {
    fn check(error: BLST_ERROR) -> Result<(), Self> {
        match error {
            BLST_ERROR::BLST_SUCCESS => Ok(()),
            BLST_ERROR::BLST_POINT_NOT_ON_CURVE => Err(Self::Curve),
            BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Err(Self::Group),
            BLST_ERROR::BLST_BAD_ENCODING
            | BLST_ERROR::BLST_AGGR_TYPE_MISMATCH
            | BLST_ERROR::BLST_VERIFY_FAIL
            | BLST_ERROR::BLST_PK_IS_INFINITY
            | BLST_ERROR::BLST_BAD_SCALAR => Err(Self::Encoding),
        }
    }
}

// ----------------------------------------------------------------------------------------------------- scalars

/// A number modulo r, the order of both groups; zero is one. Wiped when dropped; all operations take constant time.
#[derive(Clone, Default)]
pub(crate) struct Scalar(blst_fr);

impl Drop for Scalar {
    fn drop(&mut self) {
        self.0.l.zeroize();
    }
}

impl ConstantTimeEq for Scalar {
    fn ct_eq(&self, other: &Self) -> Choice {
        // Numbers in Montgomery form are reduced, so that equal numbers have equal limbs.
        self.0.l.ct_eq(&other.0.l)
    }
}

impl Scalar {
    /// The number of an index.
    pub(crate) fn from_u64(number: u64) -> Self {
        let limbs = [number, 0, 0, 0];
        let mut out = Self::default();
        // SAFETY: reads four limbs and writes one number, both on this stack.
        unsafe { blst::blst_fr_from_uint64(&raw mut out.0, limbs.as_ptr()) };
        out
    }

    /// Most significant byte first; `None` if not below r.
    pub(crate) fn from_bytes(bytes: &[u8; SCALAR_LEN]) -> Option<Self> {
        let mut scalar = blst_scalar::default();
        let mut out = Self::default();
        // SAFETY: the input has the 32 bytes that are read; the outputs are on this stack.
        let is_reduced = unsafe {
            blst::blst_scalar_from_bendian(&raw mut scalar, bytes.as_ptr());
            blst::blst_scalar_fr_check(&raw const scalar)
        };
        // SAFETY: both are on this stack.
        unsafe { blst::blst_fr_from_scalar(&raw mut out.0, &raw const scalar) };
        is_reduced.then_some(out)
    }

    /// Most significant byte first, reduced modulo r.
    pub(crate) fn reduce(bytes: &[u8; WIDE_LEN]) -> Self {
        let mut scalar = blst_scalar::default();
        let mut out = Self::default();
        // SAFETY: the length is that of the input; the outputs are on this stack. The result says whether the
        // number is zero, which is no error here.
        unsafe {
            blst::blst_scalar_from_be_bytes(&raw mut scalar, bytes.as_ptr(), bytes.len());
            blst::blst_fr_from_scalar(&raw mut out.0, &raw const scalar);
        }
        out
    }

    /// Most significant byte first.
    pub(crate) fn to_bytes(&self) -> Zeroizing<[u8; SCALAR_LEN]> {
        let scalar = self.plain();
        let mut out = Zeroizing::new([0; SCALAR_LEN]);
        // SAFETY: the output has the 32 bytes that are written.
        unsafe { blst::blst_bendian_from_scalar(out.as_mut_ptr(), &raw const scalar) };
        out
    }

    /// Least significant byte first, as multiplications read it. For numbers that are public.
    pub(crate) fn to_public_le(&self) -> [u8; SCALAR_LEN] {
        self.plain().b
    }

    /// Out of Montgomery form; wipes itself.
    fn plain(&self) -> blst_scalar {
        let mut out = blst_scalar::default();
        // SAFETY: reads this number, writes one on this stack.
        unsafe { blst::blst_scalar_from_fr(&raw mut out, &raw const self.0) };
        out
    }

    pub(crate) fn is_zero(&self) -> Choice {
        self.ct_eq(&Self::default())
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let mut out = Self::default();
        // SAFETY: reads two numbers, writes one on this stack.
        unsafe { blst::blst_fr_add(&raw mut out.0, &raw const self.0, &raw const other.0) };
        out
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        let mut out = Self::default();
        // SAFETY: reads two numbers, writes one on this stack.
        unsafe { blst::blst_fr_sub(&raw mut out.0, &raw const self.0, &raw const other.0) };
        out
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        let mut out = Self::default();
        // SAFETY: reads two numbers, writes one on this stack.
        unsafe { blst::blst_fr_mul(&raw mut out.0, &raw const self.0, &raw const other.0) };
        out
    }

    /// Becomes self·x + term. What is in between stands where the result does, so that there is nothing else to wipe.
    pub(crate) fn times_plus(&mut self, x: &Self, term: &Self) {
        let sum = &raw mut self.0;
        // SAFETY: reads three numbers, and writes the first; both functions may write over what they read.
        unsafe {
            blst::blst_fr_mul(sum, sum, &raw const x.0);
            blst::blst_fr_add(sum, sum, &raw const term.0);
        }
    }

    /// 1/x; zero for zero.
    pub(crate) fn inverse(&self) -> Self {
        let mut out = Self::default();
        // SAFETY: reads one number, writes one on this stack.
        unsafe { blst::blst_fr_inverse(&raw mut out.0, &raw const self.0) };
        out
    }
}

// ------------------------------------------------------------------------------------------------------ points

/// What G1 and G2 have alike; they differ in the names of the C functions alone.
macro_rules! point {
    (
        $(#[$doc:meta])* $point:ident($affine:ident, $projective:ident), $len:literal,
        $uncompress:ident, $in_group:ident, $compress:ident, $is_inf:ident,
        $to_affine:ident, $add:ident, $scratch:ident, $pippenger:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $point($affine);

        impl $point {
            /// Bytes of a compressed point.
            pub(crate) const LEN: usize = $len;

            /// Checks encoding, curve and subgroup; infinity passes.
            pub(crate) fn from_bytes(bytes: &[u8; $len]) -> Result<Self, PointError> {
                Self::on_curve(bytes)?.in_group()
            }

            /// Checks encoding and curve: sums of such points exist, and are to be checked in turn.
            pub(crate) fn on_curve(bytes: &[u8; $len]) -> Result<Self, PointError> {
                let mut out = $affine::default();
                // SAFETY: the input has the bytes that are read; the output is on this stack.
                PointError::check(unsafe { blst::$uncompress(&raw mut out, bytes.as_ptr()) })?;
                Ok(Self(out))
            }

            /// Checks the subgroup; infinity passes.
            pub(crate) fn in_group(self) -> Result<Self, PointError> {
                // SAFETY: reads this point.
                if unsafe { blst::$in_group(&raw const self.0) } { Ok(self) } else { Err(PointError::Group) }
            }

            pub(crate) fn to_bytes(self) -> [u8; $len] {
                let mut out = [0; $len];
                // SAFETY: the output has the bytes that are written.
                unsafe { blst::$compress(out.as_mut_ptr(), &raw const self.0) };
                out
            }

            pub(crate) fn is_infinity(&self) -> bool {
                // SAFETY: reads this point.
                unsafe { blst::$is_inf(&raw const self.0) }
            }

            fn affine(point: &$projective) -> Self {
                let mut out = $affine::default();
                // SAFETY: reads one point, writes one on this stack.
                unsafe { blst::$to_affine(&raw mut out, ptr::from_ref(point)) };
                Self(out)
            }

            /// The sum; infinity for nothing. Equal, opposite and infinite points may be among them.
            pub(crate) fn sum<'p>(points: impl IntoIterator<Item = &'p Self>) -> Self {
                let mut sum = $projective::default();
                for point in points {
                    let before = sum;
                    // SAFETY: reads two points, writes a third that overlaps neither.
                    unsafe { blst::$add(&raw mut sum, &raw const before, &raw const point.0) };
                }
                Self::affine(&sum)
            }

            /// Σ cᵢ·Pᵢ for public numbers cᵢ of N bytes below r, least significant first; its time depends on them.
            pub(crate) fn combine<const N: usize>(terms: impl IntoIterator<Item = (Self, [u8; N])>) -> Self {
                // Multiplication of many points is not specified for infinity, which adds nothing.
                let (points, scalars): (Vec<Self>, Vec<[u8; N]>) =
                    terms.into_iter().filter(|(point, _)| !point.is_infinity()).unzip();
                let (Some(first), Some(scalar)) = (points.first(), scalars.first()) else {
                    return Self($affine::default());
                };
                // A null after the first pointer: the others follow the first in memory.
                let point_list = [&raw const first.0, ptr::null()];
                let scalar_list = [scalar.as_ptr(), ptr::null()];
                let mut out = $projective::default();
                // SAFETY: a function of one number.
                let size = unsafe { blst::$scratch(points.len()) };
                let mut scratch: Vec<limb_t> = vec![0; size.div_ceil(size_of::<limb_t>())];
                // SAFETY: both vectors have as many elements as is said, each `N` bytes or one affine point (this
                // type is that point alone), and `bits` needs no more than N bytes of each; scratch is as large as
                // was asked for.
                unsafe {
                    blst::$pippenger(
                        &raw mut out,
                        point_list.as_ptr(),
                        points.len(),
                        scalar_list.as_ptr(),
                        const { bits(N) },
                        scratch.as_mut_ptr(),
                    );
                }
                Self::affine(&out)
            }
        }
    };
}

/// Bits of a number below r in so many bytes.
const fn bits(bytes: usize) -> usize {
    if bytes >= SCALAR_LEN { SCALAR_BITS } else { bytes.saturating_mul(8) }
}

point! {
    /// A point of G1: a public key, or a commitment.
    #[repr(transparent)]
    G1(blst_p1_affine, blst_p1), 48,
    blst_p1_uncompress, blst_p1_affine_in_g1, blst_p1_affine_compress, blst_p1_affine_is_inf,
    blst_p1_to_affine, blst_p1_add_or_double_affine, blst_p1s_mult_pippenger_scratch_sizeof,
    blst_p1s_mult_pippenger
}

point! {
    /// A point of G2: a signature, or the hash of a message.
    #[repr(transparent)]
    G2(blst_p2_affine, blst_p2), 96,
    blst_p2_uncompress, blst_p2_affine_in_g2, blst_p2_affine_compress, blst_p2_affine_is_inf,
    blst_p2_to_affine, blst_p2_add_or_double_affine, blst_p2s_mult_pippenger_scratch_sizeof,
    blst_p2s_mult_pippenger
}

impl G1 {
    /// The point at infinity.
    fn infinity() -> Self {
        Self(blst_p1_affine::default())
    }

    pub(crate) fn generator() -> Self {
        // SAFETY: a constant of the library, never null.
        Self(unsafe { *blst::blst_p1_affine_generator() })
    }

    /// −P.
    fn negated(mut self) -> Self {
        let y = &raw mut self.0.y;
        // SAFETY: reads a coordinate and writes the same; the function may write over what it reads.
        unsafe { blst::blst_fp_cneg(y, y, true) };
        self
    }

    /// x·G in constant time.
    pub(crate) fn of_secret(scalar: &Scalar) -> Self {
        let plain = scalar.plain();
        let mut out = blst_p1::default();
        // SAFETY: reads one number, writes one point on this stack.
        unsafe { blst::blst_sk_to_pk_in_g1(&raw mut out, &raw const plain) };
        Self::affine(&out)
    }
}

impl G2 {
    /// −P.
    pub(crate) fn negated(mut self) -> Self {
        let y = &raw mut self.0.y;
        // SAFETY: reads a coordinate and writes the same; the function may write over what it reads.
        unsafe { blst::blst_fp2_cneg(y, y, true) };
        self
    }

    /// The hash of a message, hash_to_curve of RFC 9380 with this domain separation tag.
    pub(crate) fn hash(message: &[u8], tag: &[u8]) -> Self {
        let mut out = blst_p2::default();
        // SAFETY: both lengths are those of the slices; nothing is prepended, so that its pointer is not read.
        unsafe {
            blst::blst_hash_to_g2(
                &raw mut out,
                message.as_ptr(),
                message.len(),
                tag.as_ptr(),
                tag.len(),
                ptr::null(),
                0,
            );
        }
        Self::affine(&out)
    }

    /// x·P in constant time.
    pub(crate) fn times_secret(self, scalar: &Scalar) -> Self {
        let plain = scalar.plain();
        let (mut point, mut out) = (blst_p2::default(), blst_p2::default());
        // SAFETY: reads a point and a number, writes points on this stack.
        unsafe {
            blst::blst_p2_from_affine(&raw mut point, &raw const self.0);
            blst::blst_sign_pk_in_g1(&raw mut out, &raw const point, &raw const plain);
        }
        Self::affine(&out)
    }
}

/// Whether Π e(Pᵢ, Qᵢ) = e(G, S), with G the generator of G1: whether Π e(Pᵢ, Qᵢ) · e(−G, S) = 1, whose squarings are
/// done once for all pairs.
pub(crate) fn pairings_equal(pairs: impl IntoIterator<Item = (G1, G2)>, signature: &G2) -> bool {
    let all = pairs.into_iter().chain([(G1::generator().negated(), *signature)]);
    // A pairing with infinity is 1, which the loop below does not know.
    let (p, q): (Vec<G1>, Vec<G2>) = all.filter(|(p, q)| !p.is_infinity() && !q.is_infinity()).unzip();
    let (Some(p_first), Some(q_first)) = (p.first(), q.first()) else { return true };
    let (p_list, q_list) = ([&raw const p_first.0, ptr::null()], [&raw const q_first.0, ptr::null()]);
    let (mut product, mut power) = (blst_fp12::default(), blst_fp12::default());
    // SAFETY: both vectors have `p.len()` points that follow the first in memory; the rest is on this stack.
    unsafe {
        blst::blst_miller_loop_n(&raw mut product, q_list.as_ptr(), p_list.as_ptr(), p.len());
        blst::blst_final_exp(&raw mut power, &raw const product);
        blst::blst_fp12_is_one(&raw const power)
    }
}

/// expand_message_xmd of RFC 9380 with SHA-256, reduced modulo r.
pub(crate) fn hash_to_scalar(message: &[u8], tag: &[u8]) -> Scalar {
    let mut wide = [0; WIDE_LEN];
    // SAFETY: all lengths are those of their slices.
    unsafe {
        blst::blst_expand_message_xmd(
            wide.as_mut_ptr(),
            wide.len(),
            message.as_ptr(),
            message.len(),
            tag.as_ptr(),
            tag.len(),
        );
    }
    Scalar::reduce(&wide)
}
