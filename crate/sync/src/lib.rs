//! The sync engine (being built).
