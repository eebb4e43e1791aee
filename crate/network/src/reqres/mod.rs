//! Requests and responses: [`codec`] frames them, [`rate_limit`] refuses too many of them, and
//! `dispatch` brings requests to their receivers and answers to those who wait for them. What is in
//! them is left to the types of `nimiq_network_interface::request`.

pub mod codec;
pub(crate) mod dispatch;
pub mod rate_limit;
