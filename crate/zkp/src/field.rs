//! Prime fields of 753 bits.
//!
//! Wasm has no 64 × 64 bit product, so that limbs of 64 bits are slow there. With limbs of 28 bits a `u64` takes the sum
//! of 256 products before anything has to be carried: enough for a coefficient of a product in an extension of degree 6,
//! together with its Montgomery reduction. That is [`Modulus::dot`], the only hot code of the verifier.

use std::slice;

/// Bits of a limb.
pub(crate) const LIMB_BITS: usize = 28;
/// Limbs of an element: 756 bits.
pub(crate) const LIMBS: usize = 27;
/// Bytes of an encoded element, little-endian.
pub(crate) const BYTES: usize = 95;

const MASK: u64 = (1 << LIMB_BITS) - 1;

/// An element, below the modulus, times 2^756 (Montgomery form).
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Fp(pub(crate) [u32; LIMBS]);

impl Fp {
    pub(crate) const ZERO: Self = Self([0; LIMBS]);

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// A prime modulus, and what follows from it.
pub(crate) struct Modulus {
    /// Not in Montgomery form.
    limbs: Fp,
    /// -1 / modulus, mod 2^28.
    inverse: u32,
    /// 1 and 2^756, in Montgomery form.
    pub(crate) one: Fp,
    shift: Fp,
}

impl Modulus {
    /// `limbs` are those of a prime of 753 bits.
    pub(crate) fn new(limbs: [u32; LIMBS]) -> Self {
        let limbs = Fp(limbs);
        // Newton: each round doubles the number of right bits, and the first one is right.
        let mut inverse = 1u32;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u32.wrapping_sub(limbs.0[0].wrapping_mul(inverse)));
        }
        let mut modulus = Self {
            limbs,
            inverse: inverse.wrapping_neg(),
            one: Fp::ZERO,
            shift: Fp::ZERO,
        };
        let mut power = Fp::ZERO;
        power.0[0] = 1;
        for _ in 0..2 {
            modulus.one = modulus.shift;
            for _ in 0..LIMBS * LIMB_BITS {
                power = modulus.linear(&power, 2, &power, 0);
            }
            modulus.shift = power;
        }
        modulus
    }

    /// The sum of up to 6 products: of the first of `a` with the last of `b`, and so on.
    pub(crate) fn dot(&self, a: &[Fp], b: &[Fp]) -> Fp {
        let mut sum = [0u64; LIMBS];
        for i in 0..LIMBS {
            let mut pairs = a.iter().zip(b.iter().rev());
            // Two rows at a time: half as much is read and written.
            while let Some((a, b)) = pairs.next() {
                let (c, d) = pairs.next().unwrap_or((&Fp::ZERO, &Fp::ZERO));
                let (a, c) = (u64::from(a.0[i]), u64::from(c.0[i]));
                for ((sum, b), d) in sum.iter_mut().zip(&b.0).zip(&d.0) {
                    *sum += a * u64::from(*b) + c * u64::from(*d);
                }
            }
            // Montgomery: a multiple of the modulus makes the lowest limb zero.
            let digit = u64::from((sum[0] as u32).wrapping_mul(self.inverse)) & MASK;
            let carry = (sum[0] + digit * u64::from(self.limbs.0[0])) >> LIMB_BITS;
            for j in 1..LIMBS {
                sum[j - 1] = sum[j] + digit * u64::from(self.limbs.0[j]);
            }
            sum[LIMBS - 1] = 0;
            sum[0] += carry;
        }
        let mut result = Fp::ZERO;
        let mut carry = 0;
        for (result, sum) in result.0.iter_mut().zip(sum) {
            carry += sum;
            *result = (carry & MASK) as u32;
            carry >>= LIMB_BITS;
        }
        result.0[LIMBS - 1] |= (carry as u32) << LIMB_BITS;
        self.reduce(result)
    }

    pub(crate) fn mul(&self, a: &Fp, b: &Fp) -> Fp {
        self.dot(slice::from_ref(a), slice::from_ref(b))
    }

    /// `a * x + b * y` for small `x` and `y`, the sum of their absolute values below 64.
    pub(crate) fn linear(&self, a: &Fp, x: i64, b: &Fp, y: i64) -> Fp {
        // What is negative gets that many times the modulus on top.
        let times = (-x).max(0) + (-y).max(0);
        let mut result = Fp::ZERO;
        let mut carry = 0i64;
        for i in 0..LIMBS {
            carry +=
                i64::from(a.0[i]) * x + i64::from(b.0[i]) * y + i64::from(self.limbs.0[i]) * times;
            result.0[i] = carry as u32 & MASK as u32;
            carry >>= LIMB_BITS;
        }
        result.0[LIMBS - 1] |= (carry as u32) << LIMB_BITS;
        self.reduce(result)
    }

    /// Of a value below 64 times the modulus, whose last limb may be longer than the others.
    fn reduce(&self, mut value: Fp) -> Fp {
        while !is_less(&value, &self.limbs) {
            // At most what fits, and seldom less than that.
            let times = i64::from((value.0[LIMBS - 1] / (self.limbs.0[LIMBS - 1] + 1)).max(1));
            let mut carry = 0i64;
            for i in 0..LIMBS {
                carry += i64::from(value.0[i]) - i64::from(self.limbs.0[i]) * times;
                value.0[i] = carry as u32 & MASK as u32;
                carry >>= LIMB_BITS;
            }
            value.0[LIMBS - 1] |= (carry as u32) << LIMB_BITS;
        }
        value
    }

    /// `bytes` are little-endian, any number of them up to [`BYTES`]. `None` if they aren't below the modulus.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Option<Fp> {
        let mut value = Fp::ZERO;
        for (i, byte) in bytes.iter().enumerate() {
            // Limbs are 7 half-bytes, the last one takes what is left.
            for (j, half) in [(2 * i, byte & 15), (2 * i + 1, byte >> 4)] {
                let limb = (j / 7).min(LIMBS - 1);
                *value.0.get_mut(limb)? |= u32::from(half) << (4 * (j - 7 * limb));
            }
        }
        is_less(&value, &self.limbs).then(|| self.mul(&value, &self.shift))
    }

    /// Whether it is the larger one of a value and its negation, as numbers.
    pub(crate) fn is_larger(&self, value: &Fp) -> bool {
        let mut one = Fp::ZERO;
        one.0[0] = 1;
        let value = self.mul(value, &one);
        is_less(&self.linear(&value, -1, &value, 0), &value)
    }
}

fn is_less(a: &Fp, b: &Fp) -> bool {
    a.0.iter().rev().lt(b.0.iter().rev())
}
