//! The curves MNT4-753 and MNT6-753, their extension fields and their points, by one code.
//!
//! Both follow from one number n: MNT4 is over the field of n² - n + 1 elements, MNT6 over that of n² + 1, and each has as
//! many points as the other one's field has elements. With the embedding degree k (4 or 6) and a small non-residue β, the
//! full extension is F(X) / (X^k - β), and that of half the degree, over which the twist is defined, F(u) / (u^(k/2) - β)
//! with u = X². A point (x, y) of the twist is (x / X², y / X³) on the curve.
//!
//! Only for public values: nothing here takes constant time.

use crate::field::{BYTES, Fp, LIMB_BITS, LIMBS, Modulus};

/// n, limbs of 28 bits: 204691208819330962009469868104636132783269696790011977400223898462431810102935615891307667367766898917669754470400.
/// Its sign aside it is the trace minus one of both curves, which is the loop count of the ate pairing.
pub(crate) const N: [u32; 14] = [
    0xba18000, 0x7713041, 0x428b07a, 0x44c4e2c, 0x1a66b03, 0x4aa43c3, 0x0733b71, 0xbe26e60,
    0x1852c8c, 0xcda7fe5, 0xcbcee5d, 0xa3fd86d, 0x4b1d641, 0x0001547,
];

/// The coefficient b of each curve, little-endian, from `ark-mnt4-753` and `ark-mnt6-753`.
const B4: [u8; BYTES] = [
    0xf4, 0x8e, 0x67, 0x91, 0x04, 0x9a, 0x9c, 0x00, 0x72, 0x63, 0xe0, 0x58, 0x54, 0x26, 0xad, 0xea,
    0xf9, 0x0e, 0x94, 0xce, 0x1e, 0x8f, 0x4e, 0x1b, 0x8b, 0x6c, 0xc3, 0x11, 0x31, 0x77, 0xba, 0x8f,
    0x8c, 0x4b, 0xdb, 0xb9, 0xcf, 0xb8, 0x8b, 0xd6, 0xc8, 0x21, 0xbb, 0xd8, 0xc3, 0x7f, 0xc7, 0x55,
    0x98, 0xec, 0x03, 0x67, 0xa1, 0x51, 0x7e, 0x53, 0xdc, 0x78, 0x2c, 0xa9, 0x82, 0xb8, 0x59, 0x5b,
    0x0a, 0xe5, 0xc9, 0xf0, 0x5d, 0x83, 0x60, 0x65, 0x59, 0x1c, 0x05, 0x39, 0x8e, 0xcd, 0x13, 0x33,
    0x8d, 0x74, 0xd7, 0xc5, 0x6a, 0x01, 0x7a, 0xae, 0xdc, 0xc9, 0xa8, 0x84, 0x36, 0x37, 0x01,
];
const B6: [u8; BYTES] = [
    0x8a, 0x46, 0xc8, 0xdf, 0x13, 0x0b, 0x54, 0x85, 0x24, 0xcf, 0x6f, 0xba, 0x05, 0x75, 0xba, 0x5a,
    0xde, 0x7f, 0x74, 0xf4, 0x80, 0x4e, 0x7c, 0x86, 0x01, 0xf4, 0x95, 0x0a, 0xa8, 0xf9, 0x85, 0x35,
    0x1e, 0xca, 0x4c, 0xc3, 0x57, 0x79, 0x84, 0xbf, 0xd7, 0x43, 0x2c, 0xcf, 0x0f, 0x1e, 0x1a, 0x7a,
    0x73, 0x3c, 0x9a, 0x2a, 0xb2, 0x03, 0x2f, 0xf6, 0x93, 0x59, 0x98, 0xb7, 0x14, 0x57, 0xa2, 0xe0,
    0xdf, 0xd5, 0xa5, 0x60, 0x0e, 0xb1, 0x01, 0xbb, 0xb2, 0x64, 0xbb, 0xe9, 0x4a, 0xd1, 0x68, 0x14,
    0x2e, 0xce, 0x37, 0x62, 0x44, 0x56, 0x9d, 0xc7, 0x63, 0x08, 0xe7, 0x85, 0xa2, 0x7d, 0x00,
];

/// An element of an extension: coefficients from the constant up, as many of them as its degree, zeros then.
pub(crate) type Element = [Fp; 6];

pub(crate) const ZERO: Element = [Fp::ZERO; 6];

/// Long enough for the number of elements of each extension that has points, limbs of 28 bits.
type Number = [u32; 3 * LIMBS];

/// A group of points y² = x³ + ax + b over an extension.
pub(crate) struct Group {
    pub(crate) degree: usize,
    a: Element,
    b: Element,
    /// How many elements the extension has, limbs of 28 bits.
    order: Number,
    /// A generator of the multiplicative subgroup whose order is a power of two, and the logarithm of that order.
    root: Element,
    twos: usize,
}

/// Not the point at infinity.
#[derive(Clone, Copy)]
pub(crate) struct Affine {
    pub(crate) x: Element,
    pub(crate) y: Element,
}

/// (x / z², y / z³), with z² kept. Once z is zero it stays so: the point at infinity, or a step that had no answer.
pub(crate) struct Jacobian {
    x: Element,
    y: Element,
    z: Element,
    zz: Element,
}

/// The line through two points of the twist at a point P of the curve is, up to factors that the final exponentiation
/// removes, `constant - x * x(P) * u + y * y(P) * u * X`.
pub(crate) struct Line {
    pub(crate) constant: Element,
    pub(crate) x: Element,
    pub(crate) y: Element,
}

pub(crate) struct Curve {
    /// The embedding degree: 4 for MNT4, 6 for MNT6.
    pub(crate) k: usize,
    pub(crate) beta: i64,
    pub(crate) modulus: Modulus,
    pub(crate) g1: Group,
    /// On the twist.
    pub(crate) g2: Group,
    /// Powers of X^(q - 1): what the Frobenius map multiplies the coefficients in the full extension by.
    pub(crate) frobenius: Element,
    /// The exponent that inverts, q - 2.
    inverting: [u32; LIMBS],
}

impl Curve {
    /// `k` is 4 or 6.
    pub(crate) fn new(k: usize) -> Self {
        let (beta, a, b) = if k == 4 { (13, 2, &B4) } else { (11, 11, &B6) };
        let half = k / 2;
        let square = product(&N, &N);
        // n² - n + carry for MNT4, n² + carry for MNT6.
        let limbs = |mut carry: i64| {
            let mut limbs = [0; LIMBS];
            for (i, limb) in limbs.iter_mut().enumerate() {
                carry += i64::from(square[i]);
                if k == 4 {
                    carry -= i64::from(N.get(i).copied().unwrap_or(0));
                }
                *limb = carry as u32 & ((1 << LIMB_BITS) - 1);
                carry >>= LIMB_BITS;
            }
            limbs
        };
        let order = product(&limbs(1), &[1]);
        let modulus = Modulus::new(limbs(1));
        let one = modulus.one;
        let b = modulus.decode(b).unwrap_or(Fp::ZERO);
        let number = |value: &Fp, factor| modulus.linear(value, factor, value, 0);
        let at = |index: usize, value| {
            let mut element = ZERO;
            element[index] = value;
            element
        };
        let group = |degree, a, b| Group {
            degree,
            a,
            b,
            order,
            root: ZERO,
            twos: 0,
        };
        // On the twist the coefficients are au² and bu³.
        let g1 = group(1, at(0, number(&one, a)), at(0, b));
        let g2 = group(
            half,
            at(2 % half, number(&one, if k == 4 { a * beta } else { a })),
            at(3 % half, number(&b, beta)),
        );
        let mut curve = Self {
            k,
            beta,
            modulus,
            g1,
            g2,
            frobenius: ZERO,
            inverting: limbs(-1),
        };

        let x = at(1, one);
        let ratio = curve.pow(k, &x, &limbs(1), 0)[1];
        curve.frobenius[0] = one;
        for i in 1..k {
            curve.frobenius[i] = curve.modulus.mul(&curve.frobenius[i - 1], &ratio);
        }
        for _ in 1..half {
            curve.g2.order = product(&curve.g2.order, &curve.g1.order);
        }
        let beta = at(0, curve.modulus.linear(&one, beta, &one, 0));
        (curve.g1.root, curve.g1.twos) = curve.root(&curve.g1, &beta);
        (curve.g2.root, curve.g2.twos) = curve.root(&curve.g2, &x);
        curve
    }

    fn root(&self, group: &Group, non_residue: &Element) -> (Element, usize) {
        let mut twos = 1;
        while !bit(&group.order, twos) {
            twos += 1;
        }
        (
            self.pow(group.degree, non_residue, &group.order, twos),
            twos,
        )
    }

    pub(crate) fn one(&self) -> Element {
        let mut one = ZERO;
        one[0] = self.modulus.one;
        one
    }

    /// In the extension of degree `d`, which is 1, k / 2 or k.
    pub(crate) fn mul(&self, d: usize, a: &Element, b: &Element) -> Element {
        // What goes beyond the degree comes back β times: `b` once more in front of itself.
        let mut factors = [Fp::ZERO; 12];
        for (i, value) in b.iter().enumerate().take(d) {
            factors[i] = self.modulus.linear(value, self.beta, value, 0);
            factors[d + i] = *value;
        }
        let mut result = ZERO;
        for (result, factors) in result.iter_mut().zip(factors[1..2 * d].windows(d)) {
            *result = self.modulus.dot(&a[..d], factors);
        }
        result
    }

    /// `a * x + b * y`, see [`Modulus::linear`].
    pub(crate) fn linear(&self, d: usize, a: &Element, x: i64, b: &Element, y: i64) -> Element {
        let mut result = ZERO;
        for i in 0..d {
            result[i] = self.modulus.linear(&a[i], x, &b[i], y);
        }
        result
    }

    /// To the power of `exponent`, without its lowest `skip` bits.
    pub(crate) fn pow(&self, d: usize, base: &Element, exponent: &[u32], skip: usize) -> Element {
        let mut power: Option<Element> = None;
        for i in (skip..exponent.len() * LIMB_BITS).rev() {
            if let Some(power) = &mut power {
                *power = self.mul(d, power, power);
            }
            if bit(exponent, i) {
                power = Some(power.map_or(*base, |power| self.mul(d, &power, base)));
            }
        }
        power.unwrap_or(self.one())
    }

    /// By Tonelli and Shanks.
    fn sqrt(&self, group: &Group, value: &Element) -> Option<Element> {
        let d = group.degree;
        let one = self.one();
        let power = self.pow(d, value, &group.order, group.twos + 1);
        let mut result = self.mul(d, value, &power);
        let mut rest = self.mul(d, &result, &power);
        let (mut root, mut twos) = (group.root, group.twos);
        // `result`² is `value * rest`, and the order of `rest` is a power of two that gets less every time.
        while rest != one {
            let mut order = 0;
            let mut power = rest;
            while power != one {
                power = self.mul(d, &power, &power);
                order += 1;
                if order == twos {
                    return None;
                }
            }
            for _ in order + 1..twos {
                root = self.mul(d, &root, &root);
            }
            result = self.mul(d, &result, &root);
            root = self.mul(d, &root, &root);
            rest = self.mul(d, &rest, &root);
            twos = order;
        }
        Some(result)
    }

    /// Whether it is the larger one of a value and its negation, the highest coefficients compared first.
    fn is_larger(&self, d: usize, value: &Element) -> bool {
        value[..d]
            .iter()
            .rev()
            .find(|coefficient| !coefficient.is_zero())
            .is_some_and(|coefficient| self.modulus.is_larger(coefficient))
    }

    /// Takes an element off `input`, as arkworks encodes it. The flag is whether the sign bit is set.
    fn decode_element(
        &self,
        d: usize,
        input: &mut &[u8],
        flagged: bool,
    ) -> Option<(Element, bool)> {
        let mut result = ZERO;
        let mut flag = false;
        for (i, coefficient) in result.iter_mut().enumerate().take(d) {
            let (bytes, rest) = input.split_first_chunk::<BYTES>()?;
            *input = rest;
            let mut bytes = *bytes;
            if flagged && i == d - 1 {
                // The other flag is for the point at infinity. It makes the number too large.
                flag = bytes[BYTES - 1] & 0x80 != 0;
                bytes[BYTES - 1] &= 0x7f;
            }
            *coefficient = self.modulus.decode(&bytes)?;
        }
        Some((result, flag))
    }

    /// Takes a point off `input`, as arkworks encodes it. Checks that it is on the curve, not that it is in the group.
    pub(crate) fn decode(
        &self,
        group: &Group,
        input: &mut &[u8],
        compressed: bool,
    ) -> Option<Affine> {
        let d = group.degree;
        let (x, mut larger) = self.decode_element(d, input, compressed)?;
        let square = self.mul(d, &x, &x);
        let factor = self.linear(d, &square, 1, &group.a, 1);
        let square = self.linear(d, &self.mul(d, &factor, &x), 1, &group.b, 1);
        let mut y;
        if compressed {
            y = self.sqrt(group, &square)?;
            if self.is_larger(d, &y) != larger {
                y = self.linear(d, &y, -1, &y, 0);
            }
        } else {
            (y, larger) = self.decode_element(d, input, true)?;
        }
        (self.mul(d, &y, &y) == square && self.is_larger(d, &y) == larger)
            .then_some(Affine { x, y })
    }

    pub(crate) fn jacobian(&self, point: &Affine) -> Jacobian {
        Jacobian {
            x: point.x,
            y: point.y,
            z: self.one(),
            zz: self.one(),
        }
    }

    pub(crate) fn is_at(&self, group: &Group, point: &Jacobian, affine: &Affine) -> bool {
        let mul = |a: &Element, b: &Element| self.mul(group.degree, a, b);
        let zzz = mul(&point.zz, &point.z);
        point.z != ZERO && mul(&affine.x, &point.zz) == point.x && mul(&affine.y, &zzz) == point.y
    }

    /// With the tangent at `point`.
    pub(crate) fn double(&self, group: &Group, point: &mut Jacobian) -> Line {
        let d = group.degree;
        let mul = |a: &Element, b: &Element| self.mul(d, a, b);
        let linear = |a: &Element, x, b: &Element, y| self.linear(d, a, x, b, y);
        let square = mul(&point.x, &point.x);
        let yy = mul(&point.y, &point.y);
        let zzzz = mul(&point.zz, &point.zz);
        let slope = linear(&square, 3, &mul(&group.a, &zzzz), 1);
        let xyy = mul(&point.x, &yy);
        let x = linear(&mul(&slope, &slope), 1, &xyy, -8);
        let turned = mul(&slope, &linear(&xyy, 4, &x, -1));
        let y = linear(&turned, 1, &mul(&yy, &yy), -8);
        let yz = mul(&point.y, &point.z);
        let z = linear(&yz, 2, &yz, 0);
        let line = Line {
            constant: linear(&mul(&slope, &point.x), 1, &yy, -2),
            x: mul(&slope, &point.zz),
            y: mul(&z, &point.zz),
        };
        *point = Jacobian {
            x,
            y,
            z,
            zz: mul(&z, &z),
        };
        line
    }

    /// With the line through both. Has no answer, see [`Jacobian`], if `other` is `point` or the same on the other side.
    pub(crate) fn add(&self, group: &Group, point: &mut Jacobian, other: &Affine) -> Line {
        let d = group.degree;
        let mul = |a: &Element, b: &Element| self.mul(d, a, b);
        let linear = |a: &Element, x, b: &Element, y| self.linear(d, a, x, b, y);
        let run = linear(&mul(&other.x, &point.zz), 1, &point.x, -1);
        let zzz = mul(&point.zz, &point.z);
        let rise = linear(&mul(&other.y, &zzz), 1, &point.y, -1);
        let square = mul(&run, &run);
        let cube = mul(&square, &run);
        let xx = mul(&point.x, &square);
        let x = linear(&linear(&mul(&rise, &rise), 1, &cube, -1), 1, &xx, -2);
        let turned = mul(&rise, &linear(&xx, 1, &x, -1));
        let y = linear(&turned, 1, &mul(&point.y, &cube), -1);
        let z = mul(&point.z, &run);
        let constant = linear(&mul(&rise, &other.x), 1, &mul(&z, &other.y), -1);
        *point = Jacobian {
            x,
            y,
            z,
            zz: mul(&z, &z),
        };
        Line {
            constant,
            x: rise,
            y: z,
        }
    }

    /// Of the first group. `None` at infinity.
    pub(crate) fn affine(&self, point: &Jacobian) -> Option<Affine> {
        if point.z == ZERO {
            return None;
        }
        let inverse = self.pow(1, &point.z, &self.inverting, 0);
        let square = self.mul(1, &inverse, &inverse);
        let cube = self.mul(1, &square, &inverse);
        Some(Affine {
            x: self.mul(1, &point.x, &square),
            y: self.mul(1, &point.y, &cube),
        })
    }

    /// Of the first group.
    pub(crate) fn negate(&self, point: &Affine) -> Affine {
        Affine {
            x: point.x,
            y: self.linear(1, &point.y, -1, &point.y, 0),
        }
    }

    /// `start` and the multiples of the points by little-endian numbers, in the first group. `None` at infinity, or if a sum
    /// on the way is [without an answer](Self::add). Among points whose logarithms nobody knows that doesn't happen.
    pub(crate) fn combine(&self, start: &Affine, terms: &[(&Affine, &[u8])]) -> Option<Affine> {
        let mut sum: Option<Jacobian> = None;
        for i in (0..8 * BYTES).rev() {
            if let Some(sum) = &mut sum {
                self.double(&self.g1, sum);
            }
            for (point, number) in terms {
                if number
                    .get(i / 8)
                    .is_some_and(|byte| byte >> (i % 8) & 1 == 1)
                {
                    match &mut sum {
                        Some(sum) => _ = self.add(&self.g1, sum, point),
                        None => sum = Some(self.jacobian(point)),
                    }
                }
            }
        }
        match sum {
            Some(mut sum) => {
                self.add(&self.g1, &mut sum, start);
                self.affine(&sum)
            }
            None => Some(*start),
        }
    }
}

/// A bit of a number whose limbs have 28 bits.
pub(crate) fn bit(limbs: &[u32], index: usize) -> bool {
    limbs
        .get(index / LIMB_BITS)
        .is_some_and(|limb| limb >> (index % LIMB_BITS) & 1 == 1)
}

/// What doesn't fit is lost.
fn product(a: &[u32], b: &[u32]) -> Number {
    let mut result = [0; 3 * LIMBS];
    for (i, a) in a.iter().enumerate() {
        let mut carry = 0u64;
        for (result, b) in result.iter_mut().skip(i).zip(b.iter().chain([&0])) {
            carry += u64::from(*result) + u64::from(*a) * u64::from(*b);
            *result = carry as u32 & ((1 << LIMB_BITS) - 1);
            carry >>= LIMB_BITS;
        }
    }
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
