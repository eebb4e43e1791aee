//! The network layer (being built).
