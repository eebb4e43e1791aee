//! Addresses as people write them. Only what [`validate_multiaddr`](crate::validate_multiaddr) takes
//! is read: the general parser of the `multiaddr` crate knows forty protocols and every multibase.

use std::{borrow::Cow, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use libp2p::{Multiaddr, PeerId, core::multihash::Multihash, multiaddr::Protocol};

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    /// What is wrong with it.
    Malformed(&'static str),
    /// It has a part that no address of ours has. The rest was not looked at.
    Foreign,
}

/// Reads a multiaddr of the protocols that an address of ours can have. In which order they stand is
/// not looked at.
pub(crate) fn parse(text: &str) -> Result<Multiaddr, TextError> {
    let mut parts = text.split('/');
    if parts.next() != Some("") {
        return Err(TextError::Malformed("it does not begin with a /"));
    }
    let mut address = Multiaddr::empty();
    while let Some(name) = parts.next() {
        let mut value = || parts.next().filter(|value| !value.is_empty());
        let protocol = match name {
            "ip4" => Protocol::Ip4(number(value(), "no IPv4 address after /ip4")?),
            "ip6" => Protocol::Ip6(number(value(), "no IPv6 address after /ip6")?),
            "dns" => Protocol::Dns(host(value())?),
            "dns4" => Protocol::Dns4(host(value())?),
            "dns6" => Protocol::Dns6(host(value())?),
            "tcp" => Protocol::Tcp(number(value(), "no port after /tcp")?),
            "udp" => Protocol::Udp(number(value(), "no port after /udp")?),
            "ws" => Protocol::Ws("/".into()),
            "wss" => Protocol::Wss("/".into()),
            "tls" => Protocol::Tls,
            "webrtc-direct" => Protocol::WebRTCDirect,
            "certhash" => Protocol::Certhash(certhash(value())?),
            "p2p" => Protocol::P2p(number::<PeerId>(value(), "no peer id after /p2p")?),
            _ => return Err(TextError::Foreign),
        };
        address.push(protocol);
    }
    Ok(address)
}

fn number<T: FromStr>(value: Option<&str>, otherwise: &'static str) -> Result<T, TextError> {
    value
        .and_then(|value| value.parse().ok())
        .ok_or(TextError::Malformed(otherwise))
}

fn host(value: Option<&str>) -> Result<Cow<'static, str>, TextError> {
    let value = value.ok_or(TextError::Malformed("no name after /dns"))?;
    Ok(Cow::Owned(value.to_owned()))
}

/// Of the ways to write bytes, that of the specification of webrtc-direct: `u`, then base64url.
fn certhash(value: Option<&str>) -> Result<Multihash<64>, TextError> {
    let bytes = value
        .and_then(|value| value.strip_prefix('u'))
        .and_then(|value| BASE64URL_NOPAD.decode(value.as_bytes()).ok());
    let hash = bytes
        .and_then(|bytes| Multihash::from_bytes(&bytes).ok())
        .ok_or(TextError::Malformed(
            "no hash in base64url, which begins with u, after /certhash",
        ))?;
    match is_sha256(&hash) {
        true => Ok(hash),
        false => Err(TextError::Malformed(
            "the hash after /certhash is not SHA-256",
        )),
    }
}

/// Whether this is a hash by which a certificate can be recognised.
pub(crate) fn is_sha256(hash: &Multihash<64>) -> bool {
    // Its number among multihashes, and how many bytes it has.
    hash.code() == 0x12 && hash.size() == 32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    const PEER: &str = "12D3KooWBhMbLvQYgzDFHXgcoHSqJHDQdPJgMnZYDrXMRyWCX6vK";

    fn part() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|ip| format!("/ip4/{}", std::net::Ipv4Addr::from(ip))),
            any::<[u8; 16]>().prop_map(|ip| format!("/ip6/{}", std::net::Ipv6Addr::from(ip))),
            "[a-z0-9-]{1,12}(\\.[a-z]{2,4})?".prop_map(|name| format!("/dns/{name}")),
            "[a-z0-9-]{1,12}".prop_map(|name| format!("/dns4/{name}")),
            "[a-z0-9-]{1,12}".prop_map(|name| format!("/dns6/{name}")),
            any::<u16>().prop_map(|port| format!("/tcp/{port}")),
            any::<u16>().prop_map(|port| format!("/udp/{port}")),
            Just("/ws".to_owned()),
            Just("/wss".to_owned()),
            Just("/tls".to_owned()),
            Just("/webrtc-direct".to_owned()),
            any::<[u8; 32]>().prop_map(|hash| {
                let hash = [&[0x12, 0x20], &hash[..]].concat();
                format!("/certhash/u{}", BASE64URL_NOPAD.encode(&hash))
            }),
            Just(format!("/p2p/{PEER}")),
        ]
    }

    proptest! {
        #[test]
        fn reads_what_the_general_parser_reads(parts in prop::collection::vec(part(), 1..6)) {
            let text = parts.concat();
            let theirs: Multiaddr = text.parse().unwrap();
            prop_assert_eq!(parse(&text), Ok(theirs));
        }

        #[test]
        fn takes_nothing_that_the_general_parser_refuses(
            parts in prop::collection::vec(part(), 1..4),
            at in any::<prop::sample::Index>(),
            with in "[/a-z0-9:. ]{0,3}",
        ) {
            let mut text = parts.concat();
            let at = at.index(text.len());
            text.replace_range(at..=at, &with);
            if let Ok(ours) = parse(&text) {
                prop_assert_eq!(Ok(ours), text.parse().map_err(|_| TextError::Foreign));
            }
        }

        #[test]
        fn never_panics(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }
}
