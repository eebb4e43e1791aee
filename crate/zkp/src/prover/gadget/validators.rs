//! The validator set that an election block elects, opened by its commitment, and how many of its slots
//! signed.

use ark_ec::AffineRepr;
use ark_mnt6_753::{
    Fq as F,
    constraints::{Fq3Var, G2Var},
    g2,
};
use ark_r1cs_std::{
    alloc::AllocVar,
    boolean::Boolean,
    convert::ToBitsGadget,
    eq::EqGadget,
    fields::{FieldVar, fp::FpVar},
    groups::CurveVar,
    select::CondSelectGadget,
};
use ark_relations::gr1cs::{ConstraintSystemRef, SynthesisError};

use super::{
    bits::{constant_bytes, enforce_not_above, from_big_endian, number, witness_bytes},
    blake2s::{BLOCK_SIZE, State},
    subgroup::enforce_on_curve,
};
use crate::prover::{QUORUM, SLOTS, witness::ValidatorWitness};

/// What the commitment covers of a validator, in bytes (`nimiq-primitives` 2.3.0,
/// `Validators::commitment_hash`): address 20, signing key 32, voting key 285, first slot 2, slot after
/// the last 2.
pub(crate) const ENTRY_SIZE: usize = 341;

const KEY_START: usize = 52;
const COORDINATE_SIZE: usize = 95;
const KEY_END: usize = KEY_START + 3 * COORDINATE_SIZE;
/// Bits of an element of the base field. The rest of its 95 bytes are flags, or zero.
const COORDINATE_BITS: usize = 753;
/// In a voting key's last byte: that y is the larger of the two roots.
const SIGN_BIT: usize = 8 * COORDINATE_SIZE - 1;
/// Bits that a number of slots needs.
const WEIGHT_BITS: usize = 10;
/// Bits of a slot number in an entry.
const SLOT_BITS: usize = 16;

/// A validator set, of which a circuit has room for so many.
pub(crate) struct ValidatorsVar {
    /// The commitment, 256 bits.
    pub(crate) commitment: Vec<Boolean<F>>,
    /// The voting keys, each times the number of its owner's slots that signed. Not the point at infinity.
    pub(crate) signers_key: G2Var,
}

struct Entry {
    is_used: Boolean<F>,
    bits: Vec<Boolean<F>>,
    first_slot: FpVar<F>,
    end_slot: FpVar<F>,
    /// How many of its slots signed, in bits.
    weight: Vec<Boolean<F>>,
    key: G2Var,
}

impl ValidatorsVar {
    /// Enforces that the set, of up to `entries.len()` validators, is opened by the commitment and owns
    /// all 512 slots; that no validator signs for more slots than it owns; and that at least 342 signed.
    ///
    /// That the keys are in the right subgroup is left to those who signed the block that elects them:
    /// no node takes a validator whose key is not.
    pub(crate) fn new(
        cs: &ConstraintSystemRef<F>,
        entries: &[Option<ValidatorWitness>],
    ) -> Result<Self, SynthesisError> {
        let entries = entries
            .iter()
            .enumerate()
            .map(|(i, entry)| Entry::new(cs, entry.as_ref(), i == 0))
            .collect::<Result<Vec<_>, _>>()?;

        let is_last = last_flags(&entries)?;
        enforce_slots(cs, &entries, &is_last)?;
        Ok(Self {
            commitment: commitment(cs, &entries, &is_last)?,
            signers_key: aggregate(&entries)?,
        })
    }
}

impl Entry {
    fn new(
        cs: &ConstraintSystemRef<F>,
        witness: Option<&ValidatorWitness>,
        is_first: bool,
    ) -> Result<Self, SynthesisError> {
        let is_used = match is_first {
            true => Boolean::TRUE,
            false => Boolean::new_witness(cs.clone(), || Ok(witness.is_some()))?,
        };
        let unused = ValidatorWitness::unused();
        let witness = witness.unwrap_or(&unused);

        let mut bits = witness_bytes(cs, &witness.entry[..KEY_START])?;
        for (i, coordinate) in witness.entry[KEY_START..KEY_END]
            .chunks(COORDINATE_SIZE)
            .enumerate()
        {
            let mut coordinate_bits = witness_bytes(cs, coordinate)?;
            // A key is never the point at infinity, and its coordinates are field elements.
            let flags = if i == 2 { SIGN_BIT } else { SIGN_BIT + 1 };
            for bit in &mut coordinate_bits[COORDINATE_BITS..flags] {
                bit.enforce_equal(&Boolean::FALSE)?;
            }
            bits.extend(coordinate_bits);
        }
        bits.extend(witness_bytes(cs, &witness.entry[KEY_END..])?);

        let slot = |start: usize| {
            let bytes = &bits[8 * start..8 * start + SLOT_BITS];
            number(&from_big_endian(bytes))
        };
        let weight = (0..WEIGHT_BITS)
            .map(|i| Boolean::new_witness(cs.clone(), || Ok(witness.weight >> i & 1 == 1)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            first_slot: slot(KEY_END),
            end_slot: slot(KEY_END + 2),
            weight,
            key: decode_key(cs, &bits[8 * KEY_START..8 * KEY_END], &is_used, witness)?,
            is_used,
            bits,
        })
    }
}

/// Enforces that the key is the point that the bits of a used entry encode, in arkworks' compressed form:
/// x, and whether y is larger than -y, comparing the highest coefficient first.
///
/// A key whose y has 0 there can't be proven; one in 2^753 has.
fn decode_key(
    cs: &ConstraintSystemRef<F>,
    bits: &[Boolean<F>],
    is_used: &Boolean<F>,
    witness: &ValidatorWitness,
) -> Result<G2Var, SynthesisError> {
    let coordinate = |i: usize| {
        let start = 8 * COORDINATE_SIZE * i;
        number(&bits[start..start + COORDINATE_BITS])
    };
    let encoded = Fq3Var::new(coordinate(0), coordinate(1), coordinate(2));
    let generator = Fq3Var::constant(ark_mnt6_753::G2Affine::generator().x);
    let x = is_used.select(&encoded, &generator)?;
    let y = Fq3Var::new_witness(cs.clone(), || Ok(witness.key.y))?;
    enforce_on_curve::<g2::Config, _>(&x, &y)?;

    let _ = y.c2.inverse()?;
    let sign = &bits[8 * COORDINATE_SIZE * 2 + SIGN_BIT];
    is_larger_root(&y.c2)?.conditional_enforce_equal(sign, is_used)?;
    Ok(G2Var::new(x, y, Fq3Var::one()))
}

/// Whether y is larger than -y, for a y that is not 0: then 2y passes the modulus, which is odd.
pub(super) fn is_larger_root(y: &FpVar<F>) -> Result<Boolean<F>, SynthesisError> {
    // The bits of the one number below the modulus.
    let bits = y.double()?.to_bits_le()?;
    bits.into_iter()
        .next()
        .ok_or(SynthesisError::AssignmentMissing)
}

/// Enforces that used entries come first. Exactly one is the last of them.
fn last_flags(entries: &[Entry]) -> Result<Vec<Boolean<F>>, SynthesisError> {
    for pair in entries.windows(2) {
        let gap = &pair[1].is_used & !&pair[0].is_used;
        gap.enforce_equal(&Boolean::FALSE)?;
    }
    (0..entries.len())
        .map(|i| match entries.get(i + 1) {
            Some(next) => Ok(&entries[i].is_used & !&next.is_used),
            None => Ok(entries[i].is_used.clone()),
        })
        .collect()
}

fn enforce_slots(
    cs: &ConstraintSystemRef<F>,
    entries: &[Entry],
    is_last: &[Boolean<F>],
) -> Result<(), SynthesisError> {
    let all = FpVar::constant(F::from(SLOTS));
    let mut signed = FpVar::zero();
    let mut end = FpVar::zero();
    for (entry, is_last) in entries.iter().zip(is_last) {
        entry
            .first_slot
            .conditional_enforce_equal(&end, &entry.is_used)?;
        end = entry.end_slot.clone();
        end.conditional_enforce_equal(&all, is_last)?;

        let weight = number(&entry.weight);
        // Unused ones have no slots.
        let slots = entry
            .is_used
            .select(&(&entry.end_slot - &entry.first_slot), &FpVar::zero())?;
        enforce_not_above(cs, &weight, &slots, SLOT_BITS)?;
        signed += weight;
    }
    let quorum = FpVar::constant(F::from(QUORUM));
    enforce_not_above(cs, &quorum, &signed, SLOT_BITS)
}

/// The hash over the used entries.
///
/// All blocks are taken in, one after the other. Where the message may end, depending on how many entries
/// are used, the block is told so, and the chaining value is kept if it does. What follows is padding in the
/// one case and the next entry in the other, so that an unused entry must be zero as far as that block goes.
fn commitment(
    cs: &ConstraintSystemRef<F>,
    entries: &[Entry],
    is_last: &[Boolean<F>],
) -> Result<Vec<Boolean<F>>, SynthesisError> {
    let mut message: Vec<_> = entries
        .iter()
        .flat_map(|entry| entry.bits.clone())
        .collect();
    let blocks = (entries.len() * ENTRY_SIZE).div_ceil(BLOCK_SIZE);
    message.extend(constant_bytes(&vec![
        0;
        blocks * BLOCK_SIZE
            - entries.len() * ENTRY_SIZE
    ]));

    let mut state = State::plain();
    let mut end: Option<State<F>> = None;
    for (i, block) in message.chunks(8 * BLOCK_SIZE).enumerate() {
        let taken_in = (i + 1) * BLOCK_SIZE;
        // Entries are longer than blocks, so at most one ends here.
        let ending =
            (1..=entries.len()).find(|count| (count * ENTRY_SIZE).div_ceil(BLOCK_SIZE) == i + 1);
        let Some(count) = ending else {
            state.compress(cs, block, taken_in as u32, &Boolean::FALSE, 0)?;
            continue;
        };
        let is_end = &is_last[count - 1];
        let length = count * ENTRY_SIZE;
        if let Some(next) = entries.get(count) {
            let padding = number(&next.bits[..8 * (taken_in - length)]);
            padding.conditional_enforce_equal(&FpVar::zero(), is_end)?;
        }
        state.compress(cs, block, taken_in as u32, is_end, length as u32)?;
        end = Some(match end {
            Some(end) => State::select(is_end, &state, &end)?,
            None => state.clone(),
        });
    }
    Ok(end.map(|end| end.digest()).unwrap_or_default())
}

/// The sum of the keys, each times its weight, bit by bit from the highest.
fn aggregate(entries: &[Entry]) -> Result<G2Var, SynthesisError> {
    let mut sum = G2Var::zero();
    for i in (0..WEIGHT_BITS).rev() {
        sum.double_in_place()?;
        for entry in entries {
            sum += G2Var::conditionally_select(&entry.weight[i], &entry.key, &G2Var::zero())?;
        }
    }
    // The point at infinity would make the signature at infinity valid.
    sum.is_zero()?.enforce_equal(&Boolean::FALSE)?;
    Ok(sum)
}
