//! The pieces of the step circuit, each by itself: equal to what nodes compute, and nothing else.

use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, UniformRand};
use ark_mnt6_753::{Fq as F, Fr, G1Affine, G1Projective, G2Affine, constraints::G2Var};
use ark_r1cs_std::{GR1CSVar, boolean::Boolean, groups::CurveVar};
use ark_relations::gr1cs::{ConstraintSystem, ConstraintSystemRef};
use ark_std::rand::{Rng, SeedableRng, rngs::StdRng};
use nimiq_bls::Signature;
use nimiq_hash::{Blake2sHash, Hash, HashOutput, blake2s::Blake2xParameters};

use super::{
    PARAMETERS, is_satisfied,
    scene::{ROUND, Scene},
    values,
};
use crate::prover::{
    gadget::{
        bits::witness_bytes,
        blake2s,
        header::{CONTENT_SIZE, HeaderVar},
        validators::{ENTRY_SIZE, ValidatorsVar},
        vote,
    },
    witness::{LinkWitness, ValidatorWitness},
};

fn bytes(bits: &[Boolean<F>]) -> Vec<u8> {
    bits.chunks(8)
        .map(|byte| {
            byte.iter()
                .rev()
                .fold(0, |byte, bit| byte << 1 | u8::from(bit.value().unwrap()))
        })
        .collect()
}

#[test]
fn blake2s_is_blake2s() {
    let seed = 11;
    let mut rng = StdRng::seed_from_u64(seed);
    for length in [0, 1, 31, 32, 55, 63, 64, 65, 127, 128, 129, 371] {
        let message: Vec<u8> = (0..length).map(|_| rng.r#gen()).collect();
        let digest = values(|cs: ConstraintSystemRef<F>| {
            let bits = witness_bytes(&cs, &message)?;
            Ok(bytes(&blake2s::hash(&cs, &bits)?))
        });
        // `Hash` of a slice of bytes is that of the bytes alone.
        assert_eq!(digest, message.hash::<Blake2sHash>().as_bytes(), "{length}");
    }
}

#[test]
fn blake2x_is_blake2x() {
    for i in 0..3 {
        let cs = ConstraintSystem::<F>::new_ref();
        let seed = witness_bytes(&cs, &[0xa5; 32]).unwrap();
        let output = blake2s::expand(&cs, &seed, i, 0xffff).unwrap();
        let expected = Blake2xParameters::new(i as usize, 0xffff).evaluate(&[0xa5; 32]);
        assert_eq!(bytes(&output), expected);
    }
}

#[test]
fn one_compression_costs_what_it_says() {
    let cs = ConstraintSystem::<F>::new_ref();
    let block = witness_bytes(&cs, &[1; 64]).unwrap();
    let before = cs.num_constraints();
    blake2s::hash(&cs, &block).unwrap();
    let cost = cs.num_constraints() - before;
    assert!((20_000..21_500).contains(&cost), "{cost}");
}

#[test]
fn hashing_to_the_curve_is_that_of_nodes() {
    // Among 16 messages some need several tries, and both signs are met.
    for i in 0..16u8 {
        let hash: Blake2sHash = vec![i].hash();
        let point = values(|cs: ConstraintSystemRef<F>| {
            let bits = witness_bytes(&cs, hash.as_bytes())?;
            Ok(vote::hash_to_g1(&cs, &bits)?.value()?.into_affine())
        });
        assert_eq!(point, Signature::hash_to_g1(hash).into_affine());
    }
}

fn link() -> (Scene, LinkWitness) {
    let mut scene = Scene::new(&[200, 312]);
    scene.justify(&[30, 312]);
    let link = LinkWitness::new(&PARAMETERS, &scene.previous, &scene.next).unwrap();
    (scene, link)
}

#[test]
fn a_header_is_opened_by_its_hash_alone() {
    let (scene, link) = link();
    let opened = |content: &[u8; CONTENT_SIZE]| {
        values(|cs: ConstraintSystemRef<F>| {
            Ok(bytes(HeaderVar::new(&cs, &PARAMETERS, content)?.hash()))
        })
    };
    let hash = scene.next.hash_blake2s();
    assert!(is_satisfied(|cs: ConstraintSystemRef<F>| {
        HeaderVar::new(&cs, &PARAMETERS, &link.next).map(drop)
    }));
    assert_eq!(opened(&link.next), hash.as_bytes());
    // One byte of each field: number, round, timestamp, parents, interlink, seed, extra data, roots.
    for position in [
        6, 10, 18, 19, 51, 83, 115, 210, 211, 243, 275, 306, 307, 339, 370,
    ] {
        let mut altered = link.next;
        altered[position] ^= 1;
        assert_ne!(opened(&altered), hash.as_bytes(), "byte {position}");
    }
}

#[test]
fn network_and_version_are_those_of_the_circuit() {
    for (network, version) in [(5, 2), (7, 1), (7, 3)] {
        let (_, link) = link();
        let mut altered = link.next;
        altered[0] = network;
        altered[2] = version;
        let digest = values(|cs: ConstraintSystemRef<F>| {
            Ok(bytes(HeaderVar::new(&cs, &PARAMETERS, &altered)?.hash()))
        });
        assert_ne!(digest, altered.to_vec().hash::<Blake2sHash>().as_bytes());
    }
}

/// The validators of a link, in a circuit with room for as many as given.
fn set_holds(validators: &[Option<ValidatorWitness>]) -> bool {
    is_satisfied(|cs| ValidatorsVar::new(&cs, validators).map(drop))
}

#[test]
fn the_commitment_is_that_of_nodes_however_many_there_are() {
    for slots in [&[512][..], &[200, 312], &[170, 171, 171], &[1, 1, 509, 1]] {
        let mut scene = Scene::new(slots);
        scene.justify(slots);
        let link = LinkWitness::new(&PARAMETERS, &scene.previous, &scene.next).unwrap();
        let (commitment, key) = values(|cs: ConstraintSystemRef<F>| {
            let set = ValidatorsVar::new(&cs, &link.validators)?;
            Ok((
                bytes(&set.commitment),
                set.signers_key.value()?.into_affine(),
            ))
        });
        let set = scene.previous.get_validators().unwrap();
        assert_eq!(commitment, set.commitment_hash::<Blake2sHash>().as_bytes());
        let secret: Fr = slots
            .iter()
            .zip(&scene.secrets)
            .map(|(slots, secret)| Fr::from(*slots) * secret)
            .sum();
        assert_eq!(key, (G2Affine::generator() * secret).into_affine());
    }
}

/// Two validators in a circuit with room for two, changed.
fn changed(change: impl FnOnce(&mut ValidatorWitness, &mut ValidatorWitness)) -> bool {
    let (_, link) = link();
    let mut validators = link.validators[..2].to_vec();
    let (first, second) = validators.split_at_mut(1);
    change(first[0].as_mut().unwrap(), second[0].as_mut().unwrap());
    set_holds(&validators)
}

fn set_slots(validator: &mut ValidatorWitness, start: u16, end: u16) {
    validator.entry[ENTRY_SIZE - 4..ENTRY_SIZE - 2].copy_from_slice(&start.to_be_bytes());
    validator.entry[ENTRY_SIZE - 2..].copy_from_slice(&end.to_be_bytes());
}

#[test]
fn slots_and_quorum() {
    assert!(changed(|_, _| {}));
    assert!(!changed(|a, _| a.weight = 29), "341 slots");
    assert!(changed(|a, _| a.weight = 200), "all slots");
    assert!(!changed(|a, _| a.weight = 201), "more than it has");
    assert!(
        !changed(|a, b| (a.weight, b.weight) = (0, 342)),
        "more than it has"
    );
    assert!(
        !changed(|a, _| set_slots(a, 1, 200)),
        "the first is missing"
    );
    assert!(!changed(|a, _| set_slots(a, 0, 199)), "a gap");
    assert!(!changed(|_, b| set_slots(b, 199, 512)), "an overlap");
    assert!(
        !changed(|_, b| set_slots(b, 200, 511)),
        "the last is missing"
    );
    assert!(
        !changed(|_, b| set_slots(b, 200, 1024)),
        "more than there are"
    );
    assert!(
        !changed(|a, b| {
            set_slots(a, 0, 600);
            set_slots(b, 600, 512);
        }),
        "backwards"
    );
}

#[test]
fn unused_entries_count_for_nothing() {
    let mut scene = Scene::new(&[512]);
    scene.justify(&[341 + 1]);
    let link = LinkWitness::new(&PARAMETERS, &scene.previous, &scene.next).unwrap();
    let used = link.validators[0].clone();
    let ghost = |weight| ValidatorWitness {
        weight,
        ..ValidatorWitness::unused()
    };
    assert!(set_holds(&[used.clone(), None]));
    // One that is there, but owns nothing.
    let mut voter = used.clone().unwrap();
    voter.weight = 341;
    assert!(!set_holds(&[Some(voter.clone()), None]));
    assert!(!set_holds(&[Some(voter), Some(ghost(1))]));
    // A gap before one that is used.
    assert!(!set_holds(&[used.clone(), None, used]));
}

#[test]
fn voting_keys_are_those_of_the_set() {
    let mut rng = StdRng::seed_from_u64(9);
    let other = ark_mnt6_753::G2Projective::rand(&mut rng).into_affine();
    assert!(!changed(|a, _| a.key = other), "another point");
    assert!(!changed(|a, _| a.key = -a.key), "the other root");
    // The other root in the set as well: it is another set, but a valid one.
    assert!(changed(|a, _| {
        a.key = -a.key;
        a.entry[52 + 284] ^= 0x80;
    }));
    // Flags and bits beyond the field's that no node writes.
    for (byte, bit) in [(94, 0x80), (189, 0x02), (284, 0x40), (284, 0x02)] {
        assert!(!changed(|a, _| a.entry[52 + byte] ^= bit), "{byte}");
    }
}

#[test]
fn keys_that_cancel_out_sign_nothing() {
    assert!(!changed(|a, b| {
        // Same key, other sign, same weight; 342 slots or more.
        b.key = -a.key;
        b.entry[52..337].copy_from_slice(&a.entry[52..337]);
        b.entry[52 + 284] ^= 0x80;
        set_slots(a, 0, 256);
        set_slots(b, 256, 512);
        (a.weight, b.weight) = (200, 200);
    }));
}

/// The vote by itself, with any key.
fn is_signed(link: &LinkWitness, signature: G1Affine, round: u32, key: G2Affine) -> bool {
    is_satisfied(|cs: ConstraintSystemRef<F>| {
        let header = HeaderVar::new(&cs, &PARAMETERS, &link.next)?;
        let key = G2Var::new_variable_omit_prime_order_check(
            cs.clone(),
            || Ok(key.into()),
            ark_r1cs_std::alloc::AllocationMode::Witness,
        )?;
        vote::enforce_signed(&cs, &PARAMETERS, &header, round, signature, &key)
    })
}

#[test]
fn forged_signatures() {
    let (scene, link) = link();
    let weights = [30, 312];
    let secret: Fr = weights
        .iter()
        .zip(&scene.secrets)
        .map(|(w, s)| Fr::from(*w) * s)
        .sum();
    let key = (G2Affine::generator() * secret).into_affine();
    let signature = scene.sign(&weights);
    assert!(is_signed(&link, signature, ROUND, key));

    assert!(!is_signed(&link, -signature, ROUND, key));
    assert!(!is_signed(&link, signature, ROUND + 1, key));
    assert!(!is_signed(&link, signature, ROUND, -key));
    assert!(!is_signed(&link, scene.sign(&[31, 312]), ROUND, key));
    let mut rng = StdRng::seed_from_u64(8);
    let random = G1Projective::rand(&mut rng).into_affine();
    assert!(!is_signed(&link, random, ROUND, key));
    let mut off_curve = signature;
    off_curve.x.double_in_place();
    assert!(!is_signed(&link, off_curve, ROUND, key));
}
