//! Development nodes (being built).
