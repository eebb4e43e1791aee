//! Nimiq's discovery protocol: two peers prove who they are, check that they are on the same network,
//! tell each other their services, and from then on send each other contacts now and then.
//!
//! Each side opens one substream, on which it only writes, and accepts one, on which it only reads.
//! Fresh nonces and a full handshake on every connection; a peer counts as one when it is done.
//!
//! [`messages`] and [`contact`] are the wire types, [`codec`] their framing, `handler` the protocol on
//! one connection, `behaviour` what all connections share. Whom to dial is left to the pool.

pub(crate) mod behaviour;
pub mod codec;
pub mod contact;
pub(crate) mod handler;
pub mod messages;
