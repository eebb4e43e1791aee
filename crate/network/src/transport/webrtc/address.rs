//! What an address of WebRTC says: where, and the hash of the certificate there.

use std::net::{IpAddr, SocketAddr};

use libp2p::{Multiaddr, PeerId, core::multihash::Multihash, multiaddr::Protocol};

/// Code of SHA-256 in multihashes, and the length of its digests (*protocol*).
const SHA256: u64 = 0x12;
const DIGEST: usize = 32;

/// SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [u8; DIGEST]);

impl Fingerprint {
    /// As `/certhash` writes it; of SHA-256 only.
    pub(super) fn from_multihash(hash: &Multihash<64>) -> Option<Self> {
        let digest = hash.digest().try_into().ok()?;
        (hash.code() == SHA256).then_some(Self(digest))
    }

    /// The bytes of the multihash.
    pub(super) fn multihash_bytes(&self) -> [u8; DIGEST + 2] {
        let mut bytes = [0; DIGEST + 2];
        bytes[0] = SHA256 as u8;
        bytes[1] = DIGEST as u8;
        bytes[2..].copy_from_slice(&self.0);
        bytes
    }
}

/// Whom to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where it listens, over UDP.
    pub(super) socket: SocketAddr,
    /// Of its certificate.
    pub(super) certificate: Fingerprint,
    /// Who it has to be.
    pub(super) peer: Option<PeerId>,
}

/// Reads `/ip4|ip6/<host>/udp/<port>/webrtc-direct/certhash/<hash>[/p2p/<id>]`.
pub(super) fn target(address: &Multiaddr) -> Option<Target> {
    let mut parts = address.iter();
    let socket = socket(&mut parts)?;
    let Protocol::Certhash(hash) = parts.next()? else {
        return None;
    };
    let certificate = Fingerprint::from_multihash(&hash)?;
    let peer = match parts.next() {
        None => None,
        Some(Protocol::P2p(peer)) => Some(peer),
        Some(_) => return None,
    };
    parts.next().is_none().then_some(Target {
        socket,
        certificate,
        peer,
    })
}

fn socket<'a>(parts: &mut impl Iterator<Item = Protocol<'a>>) -> Option<SocketAddr> {
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let Protocol::Udp(port) = parts.next()? else {
        return None;
    };
    matches!(parts.next()?, Protocol::WebRTCDirect).then_some(SocketAddr::new(ip, port))
}

/// What only a listener needs.
#[cfg(not(target_family = "wasm"))]
pub(super) mod listening {
    use super::*;

    impl Fingerprint {
        /// As `/certhash` has it.
        pub(in super::super) fn multihash(&self) -> Multihash<64> {
            // It can't fail: there is room for twice as much.
            Multihash::wrap(SHA256, &self.0).unwrap_or_default()
        }
    }

    /// Reads `/ip4|ip6/<host>/udp/<port>/webrtc-direct`: where to listen.
    pub(in super::super) fn local(address: &Multiaddr) -> Option<SocketAddr> {
        let mut parts = address.iter();
        let socket = socket(&mut parts)?;
        parts.next().is_none().then_some(socket)
    }

    /// Writes the address of a socket; with its certificate it can be dialled.
    pub(in super::super) fn of(socket: SocketAddr, certificate: Option<Fingerprint>) -> Multiaddr {
        let mut address = Multiaddr::from(socket.ip())
            .with(Protocol::Udp(socket.port()))
            .with(Protocol::WebRTCDirect);
        if let Some(certificate) = certificate {
            address.push(Protocol::Certhash(certificate.multihash()));
        }
        address
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HASH: &str = "uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g";
    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn there_and_back() {
        for host in ["/ip4/1.2.3.4", "/ip6/::1"] {
            let text = format!("{host}/udp/9000/webrtc-direct/certhash/{HASH}");
            let address: Multiaddr = text.parse().unwrap();
            let found = target(&address).unwrap();
            assert_eq!(found.socket.port(), 9000);
            assert_eq!(found.peer, None);
            let again = listening::of(found.socket, Some(found.certificate));
            assert_eq!(again, address);
            assert_eq!(
                found.certificate.multihash().to_bytes(),
                found.certificate.multihash_bytes()
            );
            let with_peer: Multiaddr = format!("{text}/p2p/{PEER}").parse().unwrap();
            let found = target(&with_peer).unwrap();
            assert_eq!(found.peer.unwrap().to_string(), PEER);
            let local: Multiaddr = format!("{host}/udp/9000/webrtc-direct").parse().unwrap();
            assert_eq!(listening::local(&local), Some(found.socket));
            assert_eq!(listening::of(found.socket, None), local);
        }
    }

    #[test]
    fn other_forms_are_not_taken() {
        for other in [
            "/ip4/1.2.3.4/udp/9000/webrtc-direct",
            "/ip4/1.2.3.4/udp/9000/quic-v1",
            "/ip4/1.2.3.4/tcp/9000/ws",
            "/dns4/a.b/udp/9000/webrtc-direct",
            &format!("/ip4/1.2.3.4/udp/9/webrtc-direct/p2p/{PEER}"),
            &format!("/ip4/1.2.3.4/udp/9/webrtc-direct/certhash/{HASH}/certhash/{HASH}"),
            &format!("/ip4/1.2.3.4/udp/9/webrtc-direct/certhash/{HASH}/p2p/{PEER}/p2p-circuit"),
        ] {
            assert_eq!(target(&other.parse().unwrap()), None, "{other}");
        }
        // A hash that is none of SHA-256.
        let sha512 = Multihash::<64>::wrap(0x13, &[1; 64]).unwrap();
        assert_eq!(Fingerprint::from_multihash(&sha512), None);
        let dialable: Multiaddr = format!("/ip4/1.2.3.4/udp/9/webrtc-direct/certhash/{HASH}")
            .parse()
            .unwrap();
        assert_eq!(listening::local(&dialable), None);
    }
}
