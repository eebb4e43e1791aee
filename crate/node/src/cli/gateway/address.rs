//! The addresses of a gateway: where it listens, and what it tells clients in place of that.

use std::str::FromStr;

use nimiq_network_interface::Protocol;
use pico_network::{Certificate, Multiaddr, PeerId};

/// The forms of addresses to listen on.
const LISTEN_FORMS: &str = "it takes /ip4|ip6/IP/tcp/PORT/ws or /ip4|ip6/IP/udp/PORT/webrtc-direct";
/// The forms of addresses to tell.
const ANNOUNCE_FORMS: &str = "it takes /ip4|ip6|dns4|dns6/HOST/tcp/PORT/ws|wss or \
     /ip4|ip6/IP/udp/PORT/webrtc-direct[/certhash/HASH], each perhaps with /p2p/ID";

/// Reads an address to listen on.
pub(super) fn listen_address(text: &str) -> Result<Multiaddr, String> {
    let address: Multiaddr = text.parse().map_err(|_| LISTEN_FORMS.to_owned())?;
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    match parts.as_slice() {
        [
            Protocol::Ip4(_) | Protocol::Ip6(_),
            Protocol::Tcp(_),
            Protocol::Ws(path),
        ] if path == "/" => Ok(address),
        [
            Protocol::Ip4(_) | Protocol::Ip6(_),
            Protocol::Udp(_),
            Protocol::WebRTCDirect,
        ] => Ok(address),
        [.., Protocol::Wss(_)] => Err(format!(
            "{LISTEN_FORMS}; for wss, put a TLS proxy before it and --announce its address"
        )),
        _ => Err(LISTEN_FORMS.to_owned()),
    }
}

/// An address that clients are told, perhaps without what only the gateway knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    address: Multiaddr,
    is_webrtc: bool,
}

impl FromStr for Announced {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address: Multiaddr = text.parse().map_err(|_| ANNOUNCE_FORMS.to_owned())?;
        let parts: Vec<Protocol<'_>> = address.iter().collect();
        let reachable = match parts.first() {
            Some(Protocol::Ip4(ip)) => !ip.is_unspecified(),
            Some(Protocol::Ip6(ip)) => !ip.is_unspecified(),
            _ => true,
        };
        let is_webrtc = match parts.as_slice() {
            [_, Protocol::Tcp(0) | Protocol::Udp(0), ..] => {
                return Err("nobody can dial port 0".to_owned());
            }
            _ if !reachable => return Err("nobody can dial that IP".to_owned()),
            [
                Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
                Protocol::Tcp(_),
                Protocol::Ws(_) | Protocol::Wss(_),
            ]
            | [
                Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
                Protocol::Tcp(_),
                Protocol::Ws(_) | Protocol::Wss(_),
                Protocol::P2p(_),
            ] => false,
            [
                Protocol::Ip4(_) | Protocol::Ip6(_),
                Protocol::Udp(_),
                Protocol::WebRTCDirect,
            ]
            | [
                Protocol::Ip4(_) | Protocol::Ip6(_),
                Protocol::Udp(_),
                Protocol::WebRTCDirect,
                Protocol::Certhash(_) | Protocol::P2p(_),
            ]
            | [
                Protocol::Ip4(_) | Protocol::Ip6(_),
                Protocol::Udp(_),
                Protocol::WebRTCDirect,
                Protocol::Certhash(_),
                Protocol::P2p(_),
            ] => true,
            _ => return Err(ANNOUNCE_FORMS.to_owned()),
        };
        Ok(Self { address, is_webrtc })
    }
}

impl Announced {
    /// The whole address, of the gateway with this identity and certificate, without peer id.
    ///
    /// # Errors
    /// If it names others, in words.
    pub(super) fn complete(
        &self,
        peer_id: PeerId,
        certificate: &Certificate,
    ) -> Result<Multiaddr, String> {
        let mut complete = Multiaddr::empty();
        let mut named = None;
        for part in &self.address {
            match part {
                Protocol::P2p(id) if id != peer_id => {
                    return Err(format!("the peer id of this gateway is {peer_id}"));
                }
                Protocol::P2p(_) => {}
                Protocol::Certhash(hash) => named = Some(Protocol::Certhash(hash)),
                part => complete.push(part),
            }
        }
        if self.is_webrtc {
            let own = Protocol::Certhash(certificate.certhash());
            if let Some(named) = named
                && named != own
            {
                let own = Multiaddr::empty().with(own);
                return Err(format!("this gateway has {own}"));
            }
            complete.push(own);
        }
        Ok(complete)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn what_can_be_listened_on() {
        for text in [
            "/ip4/0.0.0.0/tcp/0/ws",
            "/ip6/::/tcp/8443/ws",
            "/ip4/127.0.0.1/udp/9000/webrtc-direct",
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "localhost:80",
            "/ip4/127.0.0.1/tcp/80",
            "/ip4/127.0.0.1/tcp/80/ws/p2p-circuit",
            "/ip4/127.0.0.1/tcp/80/wss",
            "/ip4/127.0.0.1/udp/80/ws",
            "/ip4/127.0.0.1/tcp/80/webrtc-direct",
            "/ip4/127.0.0.1/udp/80/quic-v1",
            "/dns4/example.org/tcp/80/ws",
        ] {
            assert!(
                listen_address(text).unwrap_err().contains("it takes"),
                "{text}"
            );
        }
        let wss = listen_address("/ip4/127.0.0.1/tcp/80/wss").unwrap_err();
        assert!(wss.contains("TLS proxy"), "{wss}");
    }

    #[test]
    fn announced_addresses_are_completed() {
        let peer: PeerId = PEER.parse().unwrap();
        let certificate = Certificate::generate().unwrap();
        let hash = Multiaddr::empty().with(Protocol::Certhash(certificate.certhash()));
        let complete = |text: &str| {
            let announced = Announced::from_str(text)?;
            announced
                .complete(peer, &certificate)
                .map(|address| address.to_string())
        };
        let direct = "/ip4/203.0.113.7/udp/9000/webrtc-direct";
        let whole = format!("{direct}{hash}");
        assert_eq!(complete(direct).unwrap(), whole);
        assert_eq!(complete(&whole).unwrap(), whole);
        assert_eq!(complete(&format!("{whole}/p2p/{PEER}")).unwrap(), whole);
        let secure = "/dns4/gateway.example/tcp/443/wss";
        assert_eq!(complete(secure).unwrap(), secure);
        assert_eq!(complete(&format!("{secure}/p2p/{PEER}")).unwrap(), secure);

        let other = PeerId::random();
        let error = complete(&format!("{secure}/p2p/{other}")).unwrap_err();
        assert!(error.contains(PEER), "{error}");
        let other = Certificate::generate().unwrap();
        let other = Multiaddr::empty().with(Protocol::Certhash(other.certhash()));
        let error = complete(&format!("{direct}{other}")).unwrap_err();
        assert!(error.contains(&hash.to_string()), "{error}");
        for text in [
            "nonsense",
            "/ip4/0.0.0.0/tcp/443/ws",
            "/ip6/::/udp/9000/webrtc-direct",
            "/ip4/203.0.113.7/tcp/0/ws",
            "/dns4/gateway.example/udp/443/webrtc-direct",
            "/ip4/203.0.113.7/tcp/443",
        ] {
            assert!(complete(text).is_err(), "{text}");
        }
    }
}
