//! The first thing a client sends: a STUN request whose user name says which password both sides use.
//! It is answered without keeping more of it than its bytes, so that however many such requests
//! arrive, nobody is shut out.

use std::{net::SocketAddr, ops::RangeInclusive};

use data_encoding::BASE64_NOPAD;
use str0m::{crypto::CryptoProvider, ice::StunMessage};

/// What the user names of servers begin with (*protocol*): where both sides use one and the same, which
/// is the password as well, and where the server's is made of the client's password.
const SHARED: &str = "libp2p+webrtc+v1/";
const DERIVED: &str = "libp2p+webrtc+v2/";

/// Bounds of user names and passwords in characters (*protocol*: ICE).
const NAME: RangeInclusive<usize> = 4..=256;
const PASSWORD: RangeInclusive<usize> = 22..=256;

/// What both sides of a connection call themselves towards ICE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Names {
    /// User name of the server, and its password.
    pub(super) server: String,
    /// User name of the client.
    pub(super) client: String,
}

impl Names {
    /// Those of a new client, which nobody else has.
    pub(super) fn new() -> Self {
        let random: [u8; 24] = rand::random();
        let name = format!("{SHARED}{}", BASE64_NOPAD.encode(&random));
        Self {
            server: name.clone(),
            client: name,
        }
    }

    fn read(server: &str, client: &str) -> Option<Self> {
        let fits = match server.strip_prefix(DERIVED) {
            Some(password) => is_of(password, &PASSWORD) && is_of(client, &NAME),
            None => server.starts_with(SHARED) && server == client,
        };
        (fits && is_of(server, &PASSWORD)).then(|| Self {
            server: server.to_owned(),
            client: client.to_owned(),
        })
    }

    /// Whether the client is one of rust-libp2p, by how it makes its names. It loses what arrives before
    /// it has opened the first data channel by itself.
    pub(super) fn is_slow_to_listen(&self) -> bool {
        self.server.len() >= SHARED.len() + 64 && self.server.starts_with(SHARED)
    }

    /// The client's password.
    pub(super) fn client_password(&self) -> &str {
        self.server.strip_prefix(DERIVED).unwrap_or(&self.client)
    }
}

/// ICE allows letters, digits, + and /.
fn is_of(text: &str, length: &RangeInclusive<usize>) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    length.contains(&text.len()) && text.bytes().all(allowed)
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

/// The names in a request of webrtc-direct. `None` if it is anything else, or its signature is wrong.
pub(super) fn names_of(datagram: &[u8], crypto: &CryptoProvider) -> Option<Names> {
    let message = StunMessage::parse(datagram).ok()?;
    if !message.is_binding_request() {
        return None;
    }
    let (server, client) = message.split_username()?;
    let names = Names::read(server, client)?;
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    message.verify(server.as_bytes(), hmac).then_some(names)
}

/// The answer to such a request.
pub(super) fn answer(
    datagram: &[u8],
    names: &Names,
    from: SocketAddr,
    crypto: &CryptoProvider,
) -> Option<Vec<u8>> {
    let request = StunMessage::parse(datagram).ok()?;
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    let mut buffer = vec![0; 256];
    let length = StunMessage::binding_reply(request.trans_id(), from)
        .to_bytes(Some(names.server.as_bytes()), &mut buffer, hmac)
        .ok()?;
    buffer.truncate(length);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_names() {
        let ours = Names::new();
        assert_eq!(Names::read(&ours.server, &ours.client), Some(ours.clone()));
        assert_eq!(ours.client_password(), ours.server);
        assert_ne!(Names::new(), ours);
        assert!(!ours.is_slow_to_listen());
        let password = "aB+/567890123456789012";
        let server = format!("{DERIVED}{password}");
        let names = Names::read(&server, "abcd");
        assert_eq!(names.as_ref().map(Names::client_password), Some(password));
        let long = "a".repeat(240);
        for (server, client) in [
            // Names that differ, where they have to be the same.
            (ours.server.as_str(), "abcd"),
            // Too short, too long, other characters.
            ("libp2p+webrtc+v1/abc", "libp2p+webrtc+v1/abc"),
            (&server[..38], "abcd"),
            (&format!("{DERIVED}{long}"), "abcd"),
            (&server, "abc"),
            (&server, "ab:cd"),
            (&server.replace('B', "-"), "abcd"),
            // Of others.
            (&server.replace("v2", "v3"), "abcd"),
            ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"),
            ("", ""),
        ] {
            assert_eq!(Names::read(server, client), None, "{server} {client}");
        }
    }
}
