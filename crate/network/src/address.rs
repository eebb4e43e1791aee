//! Multiaddrs: which forms exist, which of them can be dialled from here, and which may be taken from
//! strangers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use thiserror::Error;

use crate::{
    address_text::{self, TextError, is_sha256},
    config::Config,
    error::DialError,
    limits,
    peers::{Transport, Transports},
};

/// What is wrong with an address given as text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Not a multiaddr at all.
    #[error("not a multiaddr: {text}: {reason}")]
    Unparsable {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A multiaddr, but of no form a client can dial.
    #[error(
        "not a dialable multiaddr: {0}: expected /ip4|ip6|dns4|dns6/<host>/tcp/<port>/ws|wss[/p2p/<id>] \
         or /ip4|ip6/<host>/udp/<port>/webrtc-direct/certhash/<hash>[/p2p/<id>]"
    )]
    Form(String),
}

/// Parses an address a user gave. Only the two forms of the public API are accepted:
/// `/ip4|ip6|dns4|dns6/<host>/tcp/<port>/ws|wss[/p2p/<id>]` and
/// `/ip4|ip6/<host>/udp/<port>/webrtc-direct/certhash/<hash>[/p2p/<id>]`. Whether its transport is
/// available here is not looked at.
///
/// # Errors
/// What is wrong with the text.
pub fn validate_multiaddr(text: &str) -> Result<Multiaddr, AddressError> {
    let shown: String = text.chars().take(limits::MAX_ADDRESS_BYTES).collect();
    // Four bytes of text can make three of a hash; nothing shrinks by more.
    if text.len() > 2 * limits::MAX_ADDRESS_BYTES {
        return Err(AddressError::Form(shown));
    }
    let address = match address_text::parse(text) {
        Ok(address) => address,
        Err(TextError::Foreign) => return Err(AddressError::Form(shown)),
        Err(TextError::Malformed(reason)) => {
            return Err(AddressError::Unparsable {
                text: shown,
                reason,
            });
        }
    };
    if address.len() > limits::MAX_ADDRESS_BYTES {
        return Err(AddressError::Form(shown));
    }
    match transport_of(&address) {
        Some(_) => Ok(address),
        None => Err(AddressError::Form(shown)),
    }
}

/// The transport an address asks for, if its form is one of those [`validate_multiaddr`] names. A
/// plain `/dns/…` host passes as well: nodes advertise it.
pub(crate) fn transport_of(address: &Multiaddr) -> Option<Transport> {
    let mut parts = address.iter();
    let (host, port) = (parts.next()?, parts.next()?);
    let kind = match (host, port, parts.next()?) {
        (
            Protocol::Ip4(_)
            | Protocol::Ip6(_)
            | Protocol::Dns(_)
            | Protocol::Dns4(_)
            | Protocol::Dns6(_),
            Protocol::Tcp(_),
            Protocol::Ws(_) | Protocol::Wss(_),
        ) => Transport::WebSocket,
        (Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Udp(_), Protocol::WebRTCDirect) => {
            match parts.next()? {
                Protocol::Certhash(hash) if is_sha256(&hash) => Transport::WebRtc,
                _ => return None,
            }
        }
        _ => return None,
    };
    match (parts.next(), parts.next()) {
        (None, _) | (Some(Protocol::P2p(_)), None) => Some(kind),
        _ => None,
    }
}

/// The IP address of the host, if it is named by that.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|protocol| match protocol {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    })
}

/// The transport of a connection with this address, which need not be one that can be dialled: of those
/// who have come to us nothing is known but where from.
pub(crate) fn transport_of_connection(address: &Multiaddr) -> Transport {
    if address.iter().any(|part| part == Protocol::WebRTCDirect) {
        Transport::WebRtc
    } else {
        Transport::WebSocket
    }
}

/// The peer id an address ends with.
pub(crate) fn peer_id_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last()? {
        Protocol::P2p(peer) => Some(peer),
        _ => None,
    }
}

/// The address without the peer id at its end: what two dials to the same place have in common.
pub(crate) fn without_peer_id(address: &Multiaddr) -> Multiaddr {
    address
        .iter()
        .filter(|part| !matches!(part, Protocol::P2p(_)))
        .collect()
}

/// What a ban of an address covers: host and port. A node is one host and port; to ban the host alone
/// would take its honest neighbours with it, behind one NAT or in one development network.
pub(crate) fn ban_key(address: &Multiaddr) -> Multiaddr {
    address.iter().take(2).collect()
}

/// Whether a page that came over https may dial the address: `/wss`, and WebRTC, which knows nothing
/// but encrypted.
pub(crate) fn is_secure(address: &Multiaddr) -> bool {
    address
        .iter()
        .any(|part| matches!(part, Protocol::Wss(_) | Protocol::WebRTCDirect))
}

/// Whether it takes a certificate that is issued to a name.
fn needs_name(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Wss(_)))
}

/// Which addresses of strangers may be dialled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressPolicy {
    /// Loopback and private addresses may be dialled: development networks.
    pub(crate) allow_loopback: bool,
    /// Only `/wss` and `/webrtc-direct` may be dialled: the page came over https.
    pub(crate) secure_only: bool,
    /// The transports that are available and wanted.
    pub(crate) transports: Transports,
}

impl AddressPolicy {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            allow_loopback: config.allow_loopback,
            secure_only: config.secure_only,
            transports: config.usable_transports(),
        }
    }

    /// Whether an address can be dialled from here at all, whoever has named it.
    pub(crate) fn check(&self, address: &Multiaddr) -> Result<(), DialError> {
        match transport_of(address) {
            None => Err(DialError::Unsupported(address.clone())),
            Some(transport) if !self.transports.contains(transport) => {
                Err(DialError::TransportOff {
                    address: address.clone(),
                    transport,
                })
            }
            Some(_) if self.secure_only && !is_secure(address) => {
                Err(DialError::Insecure(address.clone()))
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether an address from a contact may be dialled: a form we have a transport for, secure if
    /// need be, and leading to the public internet, because a stranger must not be able to make a
    /// page knock at doors of its user's own network.
    pub(crate) fn permits(&self, address: &Multiaddr) -> bool {
        if address.len() > limits::MAX_ADDRESS_BYTES || self.check(address).is_err() {
            return false;
        }
        let Some(host) = address.iter().next() else {
            return false;
        };
        match host {
            Protocol::Ip4(_) | Protocol::Ip6(_) if needs_name(address) => false,
            Protocol::Ip4(ip) => self.allow_loopback || is_public(IpAddr::V4(ip)),
            Protocol::Ip6(ip) => self.allow_loopback || is_public(IpAddr::V6(ip)),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                self.allow_loopback || is_public_name(&name)
            }
            _ => false,
        }
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    !(ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        // Carrier-grade NAT and benchmarking ranges.
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    // Only 2000::/3 is handed out to the internet; 2001:db8::/32 is for documentation.
    let [first, second, ..] = ip.segments();
    (first & 0xe000) == 0x2000 && !(first == 0x2001 && second == 0x0db8)
}

fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let local = [
        "localhost",
        "local",
        "internal",
        "lan",
        "home.arpa",
        "onion",
    ]
    .iter()
    .any(|suffix| name == *suffix || name.ends_with(&format!(".{suffix}")));
    // A name without a dot is looked up in the local network; one that is an IP is no name.
    !local && name.contains('.') && name.parse::<Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    const WEBRTC: &str =
        "/ip4/8.8.8.8/udp/9/webrtc-direct/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g";

    fn permits(text: &str, allow_loopback: bool, secure_only: bool) -> bool {
        AddressPolicy {
            allow_loopback,
            secure_only,
            transports: Transports::ALL,
        }
        .permits(&text.parse().unwrap())
    }

    #[test]
    fn the_two_public_forms() {
        for good in [
            "/ip4/127.0.0.1/tcp/9100/ws",
            "/ip6/::1/tcp/9100/ws",
            "/dns4/seed.example.com/tcp/443/wss",
            &format!("/dns6/seed.example.com/tcp/443/wss/p2p/{PEER}"),
            WEBRTC,
            &format!("{WEBRTC}/p2p/{PEER}"),
        ] {
            assert_eq!(validate_multiaddr(good).unwrap().to_string(), good);
        }
        for bad in [
            "/ip4/127.0.0.1/tcp/9100",
            "/ip4/127.0.0.1/udp/9100/quic-v1",
            "/ip4/127.0.0.1/tcp/9100/tls/ws",
            "/ip4/127.0.0.1/tcp/9100/ws/ws",
            "/dns4/a.b/udp/1/webrtc-direct",
            "/ip4/1.2.3.4/udp/1/webrtc-direct",
            &format!("{WEBRTC}/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g"),
            "/unix/x",
        ] {
            assert!(
                matches!(validate_multiaddr(bad), Err(AddressError::Form(_))),
                "{bad}"
            );
        }
        for broken in [
            "",
            "nonsense",
            "/ip4/300.0.0.1/tcp/1/ws",
            "/ip4/127.0.0.1/tcp/99999/ws",
            // SHA-512, and a SHA-256 that is too short.
            "/ip4/1.2.3.4/udp/1/webrtc-direct/certhash/uExQAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "/ip4/1.2.3.4/udp/1/webrtc-direct/certhash/uEgIAAA",
        ] {
            let error = validate_multiaddr(broken).unwrap_err();
            assert!(error.to_string().contains(broken), "{error}");
        }
    }

    #[test]
    fn strangers_cannot_point_at_private_doors() {
        for private in [
            "/ip4/127.0.0.1/tcp/80/ws",
            "/ip4/192.168.1.1/tcp/80/ws",
            "/ip4/10.0.0.1/tcp/80/ws",
            "/ip4/169.254.169.254/tcp/80/ws",
            "/ip4/100.64.0.1/tcp/80/ws",
            "/ip6/::1/tcp/80/ws",
            "/ip6/fe80::1/tcp/80/ws",
            "/ip6/fd00::1/tcp/80/ws",
            "/ip6/::ffff:127.0.0.1/tcp/80/ws",
            "/dns4/localhost/tcp/80/ws",
            "/dns4/router.local/tcp/80/ws",
            "/dns4/router/tcp/80/ws",
            "/dns4/127.0.0.1/tcp/80/ws",
        ] {
            assert!(!permits(private, false, false), "{private}");
            assert!(permits(private, true, false), "{private}");
        }
        assert!(permits("/ip4/8.8.8.8/tcp/8443/ws", false, false));
        assert!(permits("/ip6/2a00::1/tcp/8443/ws", false, false));
        assert!(permits("/dns4/seed.example.com/tcp/443/wss", false, true));
        assert!(!permits("/dns4/seed.example.com/tcp/443/ws", false, true));
        assert!(!permits("/ip4/8.8.8.8/tcp/443/wss", false, true));
    }

    #[test]
    fn webrtc_is_secure_and_no_way_around_the_policy() {
        for secure_only in [false, true] {
            assert!(permits(WEBRTC, false, secure_only));
            for private in ["127.0.0.1", "192.168.1.1", "100.64.0.1"] {
                let private = WEBRTC.replace("8.8.8.8", private);
                assert!(!permits(&private, false, secure_only), "{private}");
                assert!(permits(&private, true, secure_only), "{private}");
            }
            assert!(!permits(
                &WEBRTC.replace("ip4/8.8.8.8", "ip6/::1"),
                false,
                secure_only
            ));
        }
    }

    #[test]
    fn only_transports_that_may_be_used() {
        let websocket = "/ip4/8.8.8.8/tcp/8443/ws";
        for (wanted, websocket_too, webrtc_too) in [
            ((true, true), true, true),
            ((true, false), true, false),
            ((false, true), false, true),
        ] {
            let policy = AddressPolicy {
                allow_loopback: false,
                secure_only: false,
                transports: Transports {
                    websocket: wanted.0,
                    webrtc: wanted.1,
                },
            };
            assert_eq!(policy.permits(&websocket.parse().unwrap()), websocket_too);
            assert_eq!(policy.permits(&WEBRTC.parse().unwrap()), webrtc_too);
            let error = policy.check(&WEBRTC.parse().unwrap()).err();
            assert_eq!(
                matches!(error, Some(DialError::TransportOff { .. })),
                !webrtc_too
            );
        }
    }

    #[test]
    fn parts_of_an_address() {
        let address: Multiaddr = format!("/ip4/1.2.3.4/tcp/5/ws/p2p/{PEER}").parse().unwrap();
        assert_eq!(peer_id_of(&address).unwrap().to_string(), PEER);
        assert_eq!(
            without_peer_id(&address).to_string(),
            "/ip4/1.2.3.4/tcp/5/ws"
        );
        assert_eq!(ban_key(&address).to_string(), "/ip4/1.2.3.4/tcp/5");
        assert_eq!(peer_id_of(&ban_key(&address)), None);
    }
}
