//! The bindings (being built).
