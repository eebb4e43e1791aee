//! Blake2s (RFC 7693) over bits, and Blake2X's way of making more output of it. arkworks has the hash of a
//! message of fixed length; the length of a validator set is not fixed.
//!
//! One compression costs some 21,300 constraints, nearly all of them in the 80 mixing steps: four additions
//! modulo 2^32 (33 to 35 constraints each) and four exclusive ors (32 each).

use ark_ff::PrimeField;
use ark_r1cs_std::{
    GR1CSVar, alloc::AllocVar, boolean::Boolean, eq::EqGadget, select::CondSelectGadget,
};
use ark_relations::gr1cs::{ConstraintSystemRef, SynthesisError};

use super::bits;

/// Bytes that one compression takes in.
pub(crate) const BLOCK_SIZE: usize = 64;

const IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const SIGMA: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// Parameter block of an unkeyed hash of 32 bytes.
const PLAIN: [u32; 8] = [0x0101_0020, 0, 0, 0, 0, 0, 0, 0];

/// 32 bits, the least significant one first.
type Word<F> = [Boolean<F>; 32];

/// The chaining value between two compressions.
#[derive(Clone)]
pub(crate) struct State<F: PrimeField>([Word<F>; 8]);

impl<F: PrimeField> State<F> {
    fn new(parameters: [u32; 8]) -> Self {
        Self(std::array::from_fn(|i| constant(IV[i] ^ parameters[i])))
    }

    /// Before the first block of a plain hash.
    pub(crate) fn plain() -> Self {
        Self::new(PLAIN)
    }

    /// The digest, if the last block has been taken in.
    pub(crate) fn digest(&self) -> Vec<Boolean<F>> {
        self.0.iter().flatten().cloned().collect()
    }

    /// Takes in one block of 512 bits. `counter` is the number of message bytes up to its end, `last`
    /// whether the message ends with it; `ends_at` is what the counter is in that case.
    pub(crate) fn compress(
        &mut self,
        cs: &ConstraintSystemRef<F>,
        block: &[Boolean<F>],
        counter: u32,
        last: &Boolean<F>,
        ends_at: u32,
    ) -> Result<(), SynthesisError> {
        debug_assert_eq!(block.len(), 8 * BLOCK_SIZE);
        let message: Vec<Word<F>> = block
            .chunks_exact(32)
            .map(|word| std::array::from_fn(|i| word[i].clone()))
            .collect();

        let mut v: Vec<Word<F>> = self.0.to_vec();
        v.extend(IV.map(constant));
        for (i, bit) in v[12].iter_mut().enumerate() {
            let open = Boolean::constant(counter >> i & 1 == 1);
            let closed = Boolean::constant(ends_at >> i & 1 == 1);
            *bit = &*bit ^ &last.select(&closed, &open)?;
        }
        for bit in &mut v[14] {
            *bit = &*bit ^ last;
        }
        for schedule in SIGMA {
            let mut mix = |a: usize, b: usize, c: usize, d: usize, i: usize| {
                let (x, y) = (&message[schedule[2 * i]], &message[schedule[2 * i + 1]]);
                v[a] = add(cs, &[&v[a], &v[b], x])?;
                v[d] = rotated_xor(&v[d], &v[a], 16);
                v[c] = add(cs, &[&v[c], &v[d]])?;
                v[b] = rotated_xor(&v[b], &v[c], 12);
                v[a] = add(cs, &[&v[a], &v[b], y])?;
                v[d] = rotated_xor(&v[d], &v[a], 8);
                v[c] = add(cs, &[&v[c], &v[d]])?;
                v[b] = rotated_xor(&v[b], &v[c], 7);
                Ok::<_, SynthesisError>(())
            };
            mix(0, 4, 8, 12, 0)?;
            mix(1, 5, 9, 13, 1)?;
            mix(2, 6, 10, 14, 2)?;
            mix(3, 7, 11, 15, 3)?;
            mix(0, 5, 10, 15, 4)?;
            mix(1, 6, 11, 12, 5)?;
            mix(2, 7, 8, 13, 6)?;
            mix(3, 4, 9, 14, 7)?;
        }
        for i in 0..8 {
            let halves = rotated_xor(&v[i], &v[i + 8], 0);
            self.0[i] = rotated_xor(&self.0[i], &halves, 0);
        }
        Ok(())
    }

    /// `if condition { a } else { b }`.
    pub(crate) fn select(
        condition: &Boolean<F>,
        a: &Self,
        b: &Self,
    ) -> Result<Self, SynthesisError> {
        let mut selected = b.clone();
        for (selected, a) in selected.0.iter_mut().flatten().zip(a.0.iter().flatten()) {
            *selected = Boolean::conditionally_select(condition, a, selected)?;
        }
        Ok(selected)
    }
}

/// Blake2s of a message of fixed length, which is given in bits.
pub(crate) fn hash<F: PrimeField>(
    cs: &ConstraintSystemRef<F>,
    message: &[Boolean<F>],
) -> Result<Vec<Boolean<F>>, SynthesisError> {
    digest(cs, State::plain(), message)
}

/// Part `index` of Blake2X's output of `total` bytes: 32 bytes, out of `seed`, the hash of the message.
/// `nimiq-hash` 2.3.0 (`blake2s.rs`) has the parameter block.
pub(crate) fn expand<F: PrimeField>(
    cs: &ConstraintSystemRef<F>,
    seed: &[Boolean<F>],
    index: u32,
    total: u16,
) -> Result<Vec<Boolean<F>>, SynthesisError> {
    let parameters = [32, 32, index, u32::from(total) | 32 << 24, 0, 0, 0, 0];
    digest(cs, State::new(parameters), seed)
}

fn digest<F: PrimeField>(
    cs: &ConstraintSystemRef<F>,
    mut state: State<F>,
    message: &[Boolean<F>],
) -> Result<Vec<Boolean<F>>, SynthesisError> {
    let length = message.len().div_ceil(8) as u32;
    let blocks = message.len().div_ceil(8 * BLOCK_SIZE).max(1);
    let mut padded = message.to_vec();
    padded.resize(blocks * 8 * BLOCK_SIZE, Boolean::FALSE);
    for (i, block) in padded.chunks(8 * BLOCK_SIZE).enumerate() {
        let last = Boolean::constant(i + 1 == blocks);
        let counter = ((i + 1) * BLOCK_SIZE) as u32;
        state.compress(cs, block, counter, &last, length)?;
    }
    Ok(state.digest())
}

fn constant<F: PrimeField>(word: u32) -> Word<F> {
    std::array::from_fn(|i| Boolean::constant(word >> i & 1 == 1))
}

/// `(a ^ b) >>> by`.
fn rotated_xor<F: PrimeField>(a: &Word<F>, b: &Word<F>, by: usize) -> Word<F> {
    std::array::from_fn(|i| {
        let i = (i + by) % 32;
        &a[i] ^ &b[i]
    })
}

/// The sum modulo 2^32 of two or three words.
fn add<F: PrimeField>(
    cs: &ConstraintSystemRef<F>,
    words: &[&Word<F>],
) -> Result<Word<F>, SynthesisError> {
    let value = words.iter().map(|word| value_of(word)).sum::<Option<u64>>();
    if let (Some(value), true) = (value, words.iter().all(|word| word.is_constant())) {
        return Ok(constant(value as u32));
    }
    // Two words carry into one bit, three into two.
    let result = (0..31 + words.len())
        .map(|i| {
            Boolean::new_witness(cs.clone(), || {
                value
                    .map(|value| value >> i & 1 == 1)
                    .ok_or(SynthesisError::AssignmentMissing)
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let weighted = |word| weights().zip(word);
    let total = bits::sum(words.iter().flat_map(|word| weighted(word.iter())));
    bits::sum(weighted(result.iter())).enforce_equal(&total)?;
    Ok(std::array::from_fn(|i| result[i].clone()))
}

/// Of bits, the least significant one first.
fn weights<F: PrimeField>() -> impl Iterator<Item = F> {
    std::iter::successors(Some(F::one()), |weight| Some(weight.double()))
}

fn value_of<F: PrimeField>(word: &Word<F>) -> Option<u64> {
    let mut value = 0;
    for (i, bit) in word.iter().enumerate() {
        value |= u64::from(bit.value().ok()?) << i;
    }
    Some(value)
}
