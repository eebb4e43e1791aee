//! The ate pairing of both curves, as far as a product of pairings is compared with one.

use crate::curve::{Affine, Curve, Element, Line, N, ZERO, bit};
use crate::field::{Fp, LIMB_BITS};

/// A point of the second group, as the lines of its Miller loop.
pub(crate) struct Lines(Vec<Fp>);

/// The bits of n that are left after the first one, which is where a loop starts.
fn bits() -> impl Iterator<Item = bool> {
    let first = (0..N.len() * LIMB_BITS)
        .rev()
        .find(|i| bit(&N, *i))
        .unwrap_or(0);
    (0..first).rev().map(|i| bit(&N, i))
}

impl Curve {
    /// `None` if the point isn't in the group.
    ///
    /// The Frobenius map acts on the curve as an endomorphism φ with φ² - (T + 1) φ + q = 0, where T is the trace minus one
    /// and q - T the order of the group. A point with φ(P) = [T]P is thus one with [q - T]P = 0. T is n or -n, and [n]P is
    /// where the Miller loop ends.
    pub(crate) fn lines(&self, point: &Affine) -> Option<Lines> {
        let half = self.k / 2;
        let mut lines = Vec::new();
        let mut keep = |line: Line| {
            for element in [line.constant, line.x, line.y] {
                lines.extend_from_slice(&element[..half]);
            }
        };
        let mut multiple = self.jacobian(point);
        for bit in bits() {
            keep(self.double(&self.g2, &mut multiple));
            if bit {
                keep(self.add(&self.g2, &mut multiple, point));
            }
        }
        let mut image = Affine { x: ZERO, y: ZERO };
        for i in 0..half {
            let factor = |shift| &self.frobenius[(2 * i + self.k - shift) % self.k];
            image.x[i] = self.modulus.mul(&point.x[i], factor(2));
            image.y[i] = self.modulus.mul(&point.y[i], factor(3));
        }
        if self.k == 4 {
            image.y = self.linear(half, &image.y, -1, &image.y, 0);
        }
        self.is_at(&self.g2, &multiple, &image)
            .then_some(Lines(lines))
    }

    /// The product of the pairings, before the final exponentiation. For MNT4, whose loop count is negative, their inverse.
    pub(crate) fn miller_loop(&self, pairs: &[(&Affine, &Lines)]) -> Element {
        let mut result = self.one();
        let mut next = 0;
        for bit in bits() {
            result = self.mul(self.k, &result, &result);
            for _ in 0..1 + usize::from(bit) {
                for (point, lines) in pairs {
                    result = self.mul(self.k, &result, &self.line(point, lines, next));
                }
                next += 1;
            }
        }
        result
    }

    /// What a line is at a point, see [`Line`].
    fn line(&self, point: &Affine, lines: &Lines, index: usize) -> Element {
        let half = self.k / 2;
        let lines = &lines.0[3 * half * index..];
        let mut result = ZERO;
        for i in 0..half {
            // Times u: the coefficient before, and from the last one to the first times β.
            let (from, factor) = if i == 0 {
                (half - 1, self.beta)
            } else {
                (i - 1, 1)
            };
            let x = self.modulus.mul(&point.x[0], &lines[half + from]);
            let y = self.modulus.mul(&point.y[0], &lines[2 * half + from]);
            result[2 * i] = self.modulus.linear(&lines[i], 1, &x, -factor);
            result[2 * i + 1] = self.modulus.linear(&y, factor, &y, 0);
        }
        result
    }

    pub(crate) fn frobenius_map(&self, value: &Element) -> Element {
        let mut result = ZERO;
        for i in 0..self.k {
            result[i] = self.modulus.mul(&value[i], &self.frobenius[i]);
        }
        result
    }

    /// Whether the final exponentiation of `value` gives one.
    ///
    /// The exponent is that of removing the half extension, q^(k/2) - 1, times (q + 1 - n) for MNT4 and (q + 1) (q + n)
    /// for MNT6. So the power by the second factor has to be in the half extension. Inverses are, up to what is removed
    /// there, conjugates.
    pub(crate) fn is_one(&self, value: &Element) -> bool {
        let mul = |a: &Element, b: &Element| self.mul(self.k, a, b);
        let map = self.frobenius_map(value);
        let next = mul(&map, value);
        let power = if self.k == 4 {
            let power = self.pow(self.k, value, &N, 0);
            mul(&next, &self.frobenius_map(&self.frobenius_map(&power)))
        } else {
            mul(&self.frobenius_map(&next), &self.pow(self.k, &next, &N, 0))
        };
        power != ZERO && power.iter().skip(1).step_by(2).all(Fp::is_zero)
    }
}
