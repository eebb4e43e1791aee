//! Keys that weren't made here, see `fixtures/README.md`.

use ark_ec::CurveGroup;
use ark_ff::{Field, PrimeField};
use ark_groth16::Proof;
use ark_mnt6_753::{Fr, G1Affine, G2Affine, MNT6_753};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use pico_zkp::{KeyError, ProofError, Statement, VerifyingKey, v1};

const MAIN: &[u8] = include_bytes!("../fixtures/merger_wrapper_main.bin");
const TESTS: &[u8] = include_bytes!("../fixtures/merger_wrapper_tests.bin");
const TOXIC_WASTE: &[u8] = include_bytes!("../fixtures/toxic_waste_tests.bin");

/// `vksCommitment` of the main network.
const MAIN_COMMITMENT: &str = "176d24b89039b14e53698511adddf3bf4af5a2f752f64e3a9aaf33b0efce9f40cc38a3459e9599421879ba673a90ad61d43af16c22c4b4f17b539c3d0a821f780dbb8ce03ab7ca69fca40b5b4bc33bc84f053a934a497845386427ce81da00c8bb1225f6b0e9db1b5cc7261792b39ba24301c98e918655ce695e33fe696d746f378b4a0f3748fc0b4eeb54518de150f2760e42fc7dd5f9ac1f8cbb3d3486594394233827722bba3d546463ba303100c7db0ae9b996d6a133fe5a4af74980";
/// `vksCommitment` of the unit tests.
const TESTS_COMMITMENT: &str = "c70029ccefad593916c1dd955774d6ccbbc3577223279cfd2f045c4208f1f27462a2ea7ff2f9f42ac11eb8d9bf1fcbc27139839751c12979c21c1e71fab9a04211076e192fe15d9029424ceb51b17fc9700084a05d56e01433147a2f16b081a35a22983e3d28eb3d03b5b0a33d247a052dc0aa78e2806567e4f748e76f3e773a4f8ade1a93232b3e7c15db3a6f087999deff7e94518a57f557f8c956893c9ef244be2ffa7a7aa176c752ccad13dd97aabd76fe7f51cfaa1ff29bff4b0601";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap())
        .collect()
}

/// What `toxic_waste.bin` holds, in its order.
#[derive(CanonicalDeserialize)]
struct ToxicWaste {
    alpha: Fr,
    beta: Fr,
    _gamma: Fr,
    delta: Fr,
    g1: G1Affine,
    g2: G2Affine,
    inputs: Vec<Fr>,
}

impl ToxicWaste {
    fn prove(&self, statement: &Statement, commitment: &[u8]) -> Vec<u8> {
        let (a, b) = (
            Fr::from(123_456_789u64).inverse().unwrap(),
            Fr::from(987_654_321u64).inverse().unwrap(),
        );
        let mut inputs = vec![Fr::ONE];
        let parts = [statement.anchor.as_slice(), &statement.head]
            .into_iter()
            .chain(commitment.chunks(94));
        inputs.extend(parts.map(Fr::from_le_bytes_mod_order));
        assert_eq!(inputs.len(), self.inputs.len());
        let sum: Fr = inputs
            .iter()
            .zip(&self.inputs)
            .map(|(value, input)| *value * input)
            .sum();
        let c = (a * b - self.alpha * self.beta - sum) * self.delta.inverse().unwrap();
        let proof: Proof<MNT6_753> = Proof {
            a: (self.g1 * a).into_affine(),
            b: (self.g2 * b).into_affine(),
            c: (self.g1 * c).into_affine(),
        };
        let mut bytes = Vec::new();
        proof.serialize_compressed(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn proofs_under_the_key_of_the_nodes_unit_tests_are_verified() {
    let commitment = bytes(TESTS_COMMITMENT);
    let waste = ToxicWaste::deserialize_uncompressed(TOXIC_WASTE).unwrap();
    let key = v1::VerifyingKey::new(7, 0, TESTS, &commitment).unwrap();
    let key = VerifyingKey::V1(key).prepare().unwrap();
    let statement = Statement {
        anchor: [0x11; 32],
        head: [0xee; 32],
    };
    let proof = waste.prove(&statement, &commitment);
    assert_eq!(proof.len(), 475);
    assert_eq!(key.verify(&statement, &proof), Ok(()));
    let other = Statement {
        head: [0xef; 32],
        ..statement
    };
    assert_eq!(key.verify(&other, &proof), Err(ProofError::Invalid));
    // With the commitment of another network.
    let proof = waste.prove(&statement, &bytes(MAIN_COMMITMENT));
    assert_eq!(key.verify(&statement, &proof), Err(ProofError::Invalid));
}

#[test]
fn the_key_of_the_main_network_is_one() {
    let key = v1::VerifyingKey::new(24, 0, MAIN, &bytes(MAIN_COMMITMENT)).unwrap();
    assert!(VerifyingKey::V1(key).prepare().is_ok());
    assert_eq!(
        v1::VerifyingKey::new(24, 0, &MAIN[1..], &bytes(MAIN_COMMITMENT)),
        Err(KeyError::Length)
    );
    assert_eq!(
        v1::VerifyingKey::new(24, 0, MAIN, &[0; 189]),
        Err(KeyError::Length)
    );
}
