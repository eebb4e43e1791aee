//! Circuits, setup and prover.
