//! The first thing a client sends: a STUN request whose user name says which password both sides use.
//! It is answered without keeping more of it than its bytes, so that however many such requests
//! arrive, nobody is shut out.

use std::net::SocketAddr;

use str0m::{crypto::CryptoProvider, ice::StunMessage};

/// What user names of libp2p begin with (*protocol*).
const PREFIX: &str = "libp2p+webrtc+v1/";

/// Longest user name of one side (*protocol*: ICE allows 256 characters).
const MAX_NAME: usize = 256;

/// A user name that nobody else has.
pub(super) fn new_name() -> String {
    let random: [u8; 24] = rand::random();
    // ICE allows letters, digits, + and /.
    format!("{PREFIX}{}", data_encoding::BASE64_NOPAD.encode(&random))
}

/// Whether this can be a STUN message.
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 2)
}

/// Whether this is the beginning of a DTLS handshake.
pub(super) fn is_client_hello(datagram: &[u8]) -> bool {
    // Record type handshake; after the record's header of 13 bytes, message type ClientHello.
    datagram.first() == Some(&22) && datagram.get(13) == Some(&1)
}

/// The user name of a request of webrtc-direct, where both sides have the same, which is the password
/// as well. `None` if it is anything else, or its signature is wrong.
pub(super) fn name_of(datagram: &[u8], crypto: &CryptoProvider) -> Option<String> {
    let message = StunMessage::parse(datagram).ok()?;
    if !message.is_binding_request() {
        return None;
    }
    let (local, remote) = message.split_username()?;
    let fits = local == remote && local.starts_with(PREFIX) && local.len() <= MAX_NAME;
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    (fits && message.verify(local.as_bytes(), hmac)).then(|| local.to_owned())
}

/// The answer to such a request.
pub(super) fn answer(
    datagram: &[u8],
    name: &str,
    from: SocketAddr,
    crypto: &CryptoProvider,
) -> Option<Vec<u8>> {
    let request = StunMessage::parse(datagram).ok()?;
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    let mut buffer = vec![0; 256];
    let length = StunMessage::binding_reply(request.trans_id(), from)
        .to_bytes(Some(name.as_bytes()), &mut buffer, hmac)
        .ok()?;
    buffer.truncate(length);
    Some(buffer)
}
