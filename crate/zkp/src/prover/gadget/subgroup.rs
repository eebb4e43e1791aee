//! Points as witnesses, and that they are where they have to be. `ark-r1cs-std` 0.6 checks the curve
//! equation, but lets the point at infinity through, and its check of the subgroup enforces nothing where it
//! multiplies by the group order.
//!
//! For an MNT curve over F_q with q + 1 - t points, all of them in G1 (cofactor 1), r = q + 1 - t is also
//! the order of G2. The Frobenius of F_q, taken to the twist, is an endomorphism ψ of all its points with
//! ψ² - tψ + q = 0. So ψ(P) = (t-1)P implies (t-1)²P - t(t-1)P + qP = (q + 1 - t)P = 0: the order of P
//! divides r. t-1 is the loop count of the ate pairing, half as long as r.

use ark_ec::{
    AffineRepr, CurveGroup,
    short_weierstrass::{Affine, SWCurveConfig},
};
use ark_ff::Field;
use ark_r1cs_std::{
    fields::{FieldOpsBounds, FieldVar},
    groups::curves::short_weierstrass::ProjectiveVar,
};
use ark_relations::gr1cs::{ConstraintSystemRef, SynthesisError};

pub(crate) type BasePrime<P> = <<P as ark_ec::CurveConfig>::BaseField as Field>::BasePrimeField;

/// A witness that is a point of the curve, and not the one at infinity.
pub(crate) fn witness_point<P, F>(
    cs: &ConstraintSystemRef<BasePrime<P>>,
    point: Affine<P>,
) -> Result<ProjectiveVar<P, F>, SynthesisError>
where
    P: SWCurveConfig,
    F: FieldVar<P::BaseField, BasePrime<P>>,
    for<'a> &'a F: FieldOpsBounds<'a, P::BaseField, F>,
{
    let x = F::new_witness(cs.clone(), || Ok(point.x))?;
    let y = F::new_witness(cs.clone(), || Ok(point.y))?;
    enforce_on_curve::<P, F>(&x, &y)?;
    Ok(ProjectiveVar::new(x, y, F::one()))
}

/// Enforces y² = x³ + ax + b.
pub(crate) fn enforce_on_curve<P, F>(x: &F, y: &F) -> Result<(), SynthesisError>
where
    P: SWCurveConfig,
    F: FieldVar<P::BaseField, BasePrime<P>>,
    for<'a> &'a F: FieldOpsBounds<'a, P::BaseField, F>,
{
    let right = (x.square()? + P::COEFF_A) * x + P::COEFF_B;
    y.square_equals(&right)
}

/// ψ(x, y) = (c_x · x^q, c_y · y^q), and t-1, as signed binary digits with the highest, 1, first.
pub(crate) struct Endomorphism<P: SWCurveConfig> {
    c_x: P::BaseField,
    c_y: P::BaseField,
    digits: &'static [i8],
    is_negative: bool,
}

impl<P: SWCurveConfig> Endomorphism<P> {
    /// Of the curve that G2 is on, where the ate pairing loops over `digits`.
    ///
    /// c_x and c_y depend on the twist alone. They follow from the generator, which is in G2.
    pub(crate) fn new(digits: &'static [i8], is_negative: bool) -> Self {
        let generator = Affine::<P>::generator();
        let image = multiple(generator, digits, is_negative);
        let quotient = |a: P::BaseField, mut b: P::BaseField| {
            b.frobenius_map_in_place(1);
            a * b.inverse().unwrap_or_default()
        };
        Self {
            c_x: quotient(image.x, generator.x),
            c_y: quotient(image.y, generator.y),
            digits,
            is_negative,
        }
    }

    /// Whether ψ(P) = (t-1)P.
    #[cfg(test)]
    pub(crate) fn holds_for(&self, point: Affine<P>) -> bool {
        self.apply(point) == multiple(point, self.digits, self.is_negative)
    }

    #[cfg(test)]
    pub(crate) fn apply(&self, mut point: Affine<P>) -> Affine<P> {
        point.x.frobenius_map_in_place(1);
        point.y.frobenius_map_in_place(1);
        Affine::new_unchecked(point.x * self.c_x, point.y * self.c_y)
    }

    /// Enforces that the point (x, y), which must be on the curve, has an order that divides that of G2.
    ///
    /// Affine formulas: a slope is the only number that makes its equation true, because doubling can't
    /// meet 0/0 on a curve without singular points, and additions enforce that the points differ in x.
    /// The multiples of a point of G2 that are added never do.
    pub(crate) fn enforce<F>(&self, x: &F, y: &F) -> Result<(), SynthesisError>
    where
        F: FieldVar<P::BaseField, BasePrime<P>>,
        for<'a> &'a F: FieldOpsBounds<'a, P::BaseField, F>,
    {
        let minus_y = y.negate()?;
        let (mut r_x, mut r_y) = (x.clone(), y.clone());
        let advance = |slope: F, r_x: &F, r_y: &F, x: &F| {
            let sum_x = slope.square()? - r_x - x;
            let sum_y = slope * (r_x - &sum_x) - r_y;
            Ok::<_, SynthesisError>((sum_x, sum_y))
        };
        for digit in self.digits.iter().skip(1) {
            let square = r_x.square()?;
            let rise = square.double()? + &square + P::COEFF_A;
            let slope = rise.mul_by_inverse_unchecked(&r_y.double()?)?;
            let x_before = r_x.clone();
            (r_x, r_y) = advance(slope, &r_x, &r_y, &x_before)?;
            let y = match digit {
                1 => y,
                -1 => &minus_y,
                _ => continue,
            };
            let run = r_x.clone() - x;
            let slope = (r_y.clone() - y) * run.inverse()?;
            (r_x, r_y) = advance(slope, &r_x, &r_y, x)?;
        }
        if self.is_negative {
            r_y = r_y.negate()?;
        }
        (x.frobenius_map(1)? * self.c_x).enforce_equal(&r_x)?;
        (y.frobenius_map(1)? * self.c_y).enforce_equal(&r_y)
    }
}

fn multiple<P: SWCurveConfig>(point: Affine<P>, digits: &[i8], is_negative: bool) -> Affine<P> {
    let mut sum = point.into_group();
    for digit in digits.iter().skip(1) {
        sum += sum;
        match digit {
            1 => sum += point,
            -1 => sum -= point,
            _ => {}
        }
    }
    let sum = sum.into_affine();
    if is_negative { -sum } else { sum }
}
