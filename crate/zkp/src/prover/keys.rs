//! Proving keys: their setup, and the files they are kept in.
//!
//! Groth16 keys are made from secrets that must be forgotten: who knows them can prove anything. [`setup`]
//! derives them from a seed. With a seed that is published, the keys are for development alone; with one
//! that nobody keeps, whoever ran the setup has to be trusted to have kept none. A network that means it
//! needs a ceremony of many parties instead, which this is not.
//!
//! [`setup`]: ProvingKeys::setup

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use ark_ec::{AffineRepr, CurveGroup, PrimeGroup, pairing::Pairing};
use ark_ff::{One, UniformRand};
use ark_groth16::{
    Groth16, Proof, ProvingKey, VerifyingKey,
    r1cs_to_qap::{LibsnarkReduction, R1CSToQAP},
};
use ark_mnt4_753::MNT4_753;
use ark_mnt6_753::MNT6_753;
use ark_poly::{EvaluationDomain, GeneralEvaluationDomain};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystem, OptimizationGoal, SynthesisError, SynthesisMode,
};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize, SerializationError};
use rand_chacha_03::{ChaCha20Rng, rand_core::SeedableRng};
use thiserror::Error;

use crate::{KeyError, chain};

use super::{
    Inputs, Parameters, Stage,
    commitment::{COMMITMENT_BITS, commit},
    step::StepCircuit,
    witness::LinkWitness,
    wrapper::WrapperCircuit,
};

/// First bytes of a file with proving keys, with the version of its format.
const MAGIC: [u8; 8] = *b"picokey1";

/// Where just the shape counts.
const BLANK_INPUTS: Inputs = Inputs {
    anchor: [0; 32],
    head: [0; 32],
    keys: [0; COMMITMENT_BITS / 8],
};

/// Why no keys could be made.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The circuit has no room for the least that is asked of it.
    #[error("circuits need room for at least one validator")]
    NoValidators,
    /// What came out is no verifying key.
    #[error("the setup made no verifying key: {0}")]
    Key(#[from] KeyError),
    /// A circuit could not be turned into keys.
    #[error("a circuit can't be set up: {0}")]
    Circuit(#[from] SynthesisError),
}

/// Why proving keys could not be read.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file system says no.
    #[error("proving keys can't be read: {0}")]
    Io(#[from] io::Error),
    /// Something else is in the file, or only a part.
    #[error("the file holds no proving keys of this version, or not all of them")]
    Malformed,
}

impl From<SerializationError> for KeyFileError {
    fn from(error: SerializationError) -> Self {
        match error {
            SerializationError::IoError(error) => Self::Io(error),
            _ => Self::Malformed,
        }
    }
}

/// What a prover needs: the keys of both circuits. Some 2 GB.
pub struct ProvingKeys {
    pub(super) parameters: Parameters,
    pub(super) step: ProvingKey<MNT4_753>,
    pub(super) wrapper: ProvingKey<MNT6_753>,
    pub(super) commitment: [u8; COMMITMENT_BITS / 8],
}

impl ProvingKeys {
    /// Makes the keys for a network. The same parameters and the same seed make the same keys.
    ///
    /// # Errors
    /// [`SetupError`] if the parameters are none that circuits can be made for.
    pub fn setup(
        parameters: &Parameters,
        seed: [u8; 32],
        progress: &mut dyn FnMut(Stage),
    ) -> Result<Self, SetupError> {
        let circuit = blank_step(parameters)?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        progress(Stage::StepKeys);
        let step = generate::<MNT4_753>(circuit, &mut rng)?;
        progress(Stage::WrapperKeys);
        let wrapper = generate::<MNT6_753>(blank_wrapper(&step.vk), &mut rng)?;
        Ok(Self {
            parameters: *parameters,
            commitment: commit(&wrapper.vk),
            step,
            wrapper,
        })
    }

    /// What the keys were made for.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What clients verify step proofs with.
    ///
    /// # Errors
    /// [`KeyError`] if the keys are not those of a step circuit, which a wrong file can be the cause of.
    pub fn verifying_key(&self) -> Result<chain::VerifyingKey, KeyError> {
        let Parameters {
            network,
            anchor_number,
            ..
        } = self.parameters;
        chain::VerifyingKey::from_groth16(network, anchor_number, &self.step.vk, self.commitment)
    }

    /// Writes the keys to a file, whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let partial = path.with_extension("partial");
        let file = File::create(&partial)?;
        let mut writer = BufWriter::with_capacity(1 << 20, file);
        writer.write_all(&MAGIC)?;
        writer.write_all(&[self.parameters.network])?;
        writer.write_all(&self.parameters.blocks_per_epoch.to_be_bytes())?;
        writer.write_all(&self.parameters.anchor_number.to_be_bytes())?;
        writer.write_all(&(self.parameters.max_validators as u32).to_be_bytes())?;
        let failed = |error| match error {
            SerializationError::IoError(error) => error,
            other => io::Error::other(other.to_string()),
        };
        self.step
            .serialize_uncompressed(&mut writer)
            .map_err(failed)?;
        self.wrapper
            .serialize_uncompressed(&mut writer)
            .map_err(failed)?;
        writer.write_all(&MAGIC)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        drop(writer);
        fs::rename(&partial, path)
    }

    /// Reads keys that [`ProvingKeys::save`] wrote. They are believed: that they are points of the curves is
    /// not checked, for it takes longer than making proofs with them, and a proof under wrong keys fails.
    ///
    /// # Errors
    /// [`KeyFileError`] if there are none.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut magic = [0; 8];
        reader.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(KeyFileError::Malformed);
        }
        let mut network = [0];
        reader.read_exact(&mut network)?;
        let mut number = || {
            let mut bytes = [0; 4];
            reader.read_exact(&mut bytes)?;
            Ok::<_, io::Error>(u32::from_be_bytes(bytes))
        };
        let parameters = Parameters {
            network: network[0],
            blocks_per_epoch: number()?,
            anchor_number: number()?,
            max_validators: number()? as usize,
        };
        let step = ProvingKey::deserialize_uncompressed_unchecked(&mut reader)?;
        let wrapper: ProvingKey<MNT6_753> =
            ProvingKey::deserialize_uncompressed_unchecked(&mut reader)?;
        reader.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(KeyFileError::Malformed);
        }
        Ok(Self {
            parameters,
            commitment: commit(&wrapper.vk),
            step,
            wrapper,
        })
    }
}

/// What [`ProvingKeys::setup`] and then [`ProvingKeys::verifying_key`] give, without making the proving keys:
/// seconds instead of minutes. It tells whether a verifying key is still that of the circuits.
///
/// # Errors
/// [`SetupError`] as the setup's.
pub fn derive_verifying_key(
    parameters: &Parameters,
    seed: [u8; 32],
) -> Result<chain::VerifyingKey, SetupError> {
    let mut rng = ChaCha20Rng::from_seed(seed);
    let step = derive::<MNT4_753>(blank_step(parameters)?, &mut rng)?;
    let wrapper = derive::<MNT6_753>(blank_wrapper(&step), &mut rng)?;
    let Parameters {
        network,
        anchor_number,
        ..
    } = *parameters;
    let key = chain::VerifyingKey::from_groth16(network, anchor_number, &step, commit(&wrapper))?;
    Ok(key)
}

fn blank_step(parameters: &Parameters) -> Result<StepCircuit, SetupError> {
    if parameters.max_validators == 0 {
        return Err(SetupError::NoValidators);
    }
    Ok(StepCircuit {
        parameters: *parameters,
        inputs: BLANK_INPUTS,
        link: LinkWitness::blank(parameters),
        wrapper_key: some_key(),
        wrapper_proof: some_proof(),
    })
}

fn blank_wrapper(step_key: &VerifyingKey<MNT4_753>) -> WrapperCircuit {
    WrapperCircuit {
        inputs: BLANK_INPUTS,
        step_key: step_key.clone(),
        step_proof: some_proof(),
    }
}

/// The secrets of one setup, but for the point that the polynomials are evaluated at, which comes next from
/// the same source.
struct Secrets<E: Pairing> {
    alpha: E::ScalarField,
    beta: E::ScalarField,
    delta: E::ScalarField,
}

impl<E: Pairing> Secrets<E> {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        Self {
            alpha: E::ScalarField::rand(rng),
            beta: E::ScalarField::rand(rng),
            delta: E::ScalarField::rand(rng),
        }
    }
}

/// The verifying key that [`generate`] makes.
fn derive<E: Pairing>(
    circuit: impl ConstraintSynthesizer<E::ScalarField>,
    rng: &mut ChaCha20Rng,
) -> Result<VerifyingKey<E>, SynthesisError> {
    type Domain<F> = GeneralEvaluationDomain<F>;
    let Secrets { alpha, beta, delta } = Secrets::<E>::new(rng);
    let cs = ConstraintSystem::new_ref();
    cs.set_optimization_goal(OptimizationGoal::Constraints);
    cs.set_mode(SynthesisMode::Setup);
    circuit.generate_constraints(cs.clone())?;
    cs.finalize();

    let inputs = cs.num_instance_variables();
    let domain = Domain::<E::ScalarField>::new(cs.num_constraints() + inputs)
        .ok_or(SynthesisError::PolynomialDegreeTooLarge)?;
    let point = domain.sample_element_outside_domain(rng);
    let (a, b, c, ..) = LibsnarkReduction::instance_map_with_evaluation::<
        E::ScalarField,
        Domain<E::ScalarField>,
    >(cs, &point)?;

    let (g, h) = (E::G1::generator(), E::G2::generator());
    Ok(VerifyingKey {
        alpha_g1: (g * alpha).into_affine(),
        beta_g2: (h * beta).into_affine(),
        gamma_g2: h.into_affine(),
        delta_g2: (h * delta).into_affine(),
        gamma_abc_g1: a
            .iter()
            .zip(&b)
            .zip(&c)
            .take(inputs)
            .map(|((a, b), c)| (g * (beta * a + alpha * b + c)).into_affine())
            .collect(),
    })
}

/// Groth16's setup, with γ as the generator itself: it need not be secret (Bowe, Gabizon, Miers 2017).
fn generate<E: Pairing>(
    circuit: impl ConstraintSynthesizer<E::ScalarField>,
    rng: &mut ChaCha20Rng,
) -> Result<ProvingKey<E>, SynthesisError> {
    let Secrets { alpha, beta, delta } = Secrets::<E>::new(rng);
    Groth16::<E>::generate_parameters_with_qap(
        circuit,
        alpha,
        beta,
        E::ScalarField::one(),
        delta,
        E::G1::generator(),
        E::G2::generator(),
        rng,
    )
}

/// Points of the right groups, where just the shape counts.
pub(super) fn some_proof<E: Pairing>() -> Proof<E> {
    Proof {
        a: E::G1Affine::generator(),
        b: E::G2Affine::generator(),
        c: E::G1Affine::generator(),
    }
}

/// A key of the right shape for three public inputs.
pub(super) fn some_key<E: Pairing>() -> VerifyingKey<E> {
    let (g, h) = (E::G1Affine::generator(), E::G2Affine::generator());
    VerifyingKey {
        alpha_g1: g,
        beta_g2: h,
        gamma_g2: h,
        delta_g2: h,
        gamma_abc_g1: vec![g; 4],
    }
}
