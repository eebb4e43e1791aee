//! The two session descriptions of a dial, as text. There is no signalling: the client writes the
//! answer of the server by itself, from what the server's address says.

use super::address::{Fingerprint, Target};

/// What ICE user names begin with (*protocol*): in the first version those of both ends, which are the
/// same, in the second that of the server.
const FIRST: &str = "libp2p+webrtc+v1/";
const SECOND: &str = "libp2p+webrtc+v2/";

/// ICE allows letters, digits, `+` and `/`. 32 of them: each stands for five random bits.
const ALPHABET: [u8; 32] = *b"abcdefghijklmnopqrstuvwxyz234567";

/// What both ends of one dial know: the server's ICE user name, which is its password as well
/// (*protocol*). It learns it from our first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials(String);

impl Credentials {
    /// Those of the first version, which are ours at the same time, by [`munge`].
    pub(super) fn new(random: [u8; 32]) -> Self {
        let letters = random.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Self(FIRST.chars().chain(letters).collect())
    }

    /// Those of the second version, in which the browser keeps its own, and the server is told the
    /// password of the offer.
    pub(super) fn telling(offer: &str) -> Option<Self> {
        let name = "a=ice-pwd:";
        let password = offer.lines().find_map(|line| line.strip_prefix(name))?;
        Some(Self([SECOND, password.trim()].concat()))
    }
}

/// The browser's offer with our credentials in place of its own. All that is done to an offer is done
/// here; a browser that refuses it is served by the second version of the protocol.
pub(super) fn munge(offer: &str, Credentials(secret): &Credentials) -> String {
    let mut munged = String::with_capacity(offer.len() + 2 * secret.len());
    for line in offer.lines() {
        let replaced = ["a=ice-ufrag:", "a=ice-pwd:"]
            .into_iter()
            .find(|name| line.starts_with(name));
        match replaced {
            Some(name) => {
                munged.push_str(name);
                munged.push_str(secret);
            }
            None => munged.push_str(line),
        }
        munged.push_str("\r\n");
    }
    munged
}

/// The hash of the certificate that an offer names.
pub(super) fn fingerprint(offer: &str) -> Option<Fingerprint> {
    let text = offer.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let name = name.strip_prefix("a=fingerprint:")?;
        name.eq_ignore_ascii_case("sha-256").then_some(value)
    })?;
    let mut digits = text.trim().split(':');
    let mut digest = [0; 32];
    for byte in &mut digest {
        *byte = u8::from_str_radix(digits.next()?, 16).ok()?;
    }
    digits.next().is_none().then_some(Fingerprint(digest))
}

/// What the server at `target` would answer, were it asked: it waits there, for DTLS as well.
///
/// That it is one of ICE lite is not said. Chromium would nominate the only way there is with its second
/// check in place of the first, and before that a server doesn't answer to DTLS: 50 ms later.
pub(super) fn answer(target: &Target, Credentials(secret): &Credentials) -> String {
    let (ip, port) = (target.socket.ip(), target.socket.port());
    let version = if ip.is_ipv4() { 4 } else { 6 };
    let hash = target.certificate.0.map(|byte| format!("{byte:02X}"));
    let hash = hash.join(":");
    format!(
        "v=0\r\n\
         o=- 0 0 IN IP{version} {ip}\r\n\
         s=-\r\n\
         t=0 0\r\n\
         m=application {port} UDP/DTLS/SCTP webrtc-datachannel\r\n\
         c=IN IP{version} {ip}\r\n\
         a=mid:0\r\n\
         a=ice-options:ice2\r\n\
         a=ice-ufrag:{secret}\r\n\
         a=ice-pwd:{secret}\r\n\
         a=fingerprint:sha-256 {hash}\r\n\
         a=setup:passive\r\n\
         a=sctp-port:5000\r\n\
         a=max-message-size:16384\r\n\
         a=candidate:1 1 UDP 1 {ip} {port} typ host\r\n\
         a=end-of-candidates\r\n"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// As Chromium 156 makes it.
    const OFFER: &str = "v=0\r\no=- 8069340178476034134 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
        a=ice-ufrag:ztdZ\r\na=ice-pwd:VtZ7uGxjKyTTPFPCkbPlcHhh\r\na=ice-options:trickle\r\n\
        a=fingerprint:sha-256 A8:17:77:1E:02:7E:D1:2B:53:92:70:A6:8E:F9:02:CC:21:72:3A:92:5D:F4:97:5F:27:C4:5E:75:D4:F4:31:89\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

    #[test]
    fn credentials_are_long_and_of_allowed_letters() {
        let Credentials(secret) = Credentials::new(std::array::from_fn(|i| (i * 37) as u8));
        assert_eq!(secret.len(), 49);
        assert!(secret.starts_with("libp2p+webrtc+v1/"));
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "+/".contains(letter);
        assert!(secret.chars().all(allowed), "{secret}");
    }

    #[test]
    fn only_the_credentials_of_an_offer_are_changed() {
        let credentials = Credentials::new([0; 32]);
        let munged = munge(OFFER, &credentials);
        let lines: Vec<_> = OFFER.lines().zip(munged.lines()).collect();
        assert_eq!(OFFER.lines().count(), munged.lines().count());
        let changed: Vec<_> = lines.iter().filter(|(old, new)| old != new).collect();
        assert_eq!(changed.len(), 2);
        for (_, new) in changed {
            assert!(new.ends_with(&credentials.0), "{new}");
        }
        assert!(munged.ends_with("\r\n"));
    }

    #[test]
    fn the_second_version_tells_the_password() {
        let Credentials(secret) = Credentials::telling(OFFER).unwrap();
        assert_eq!(secret, "libp2p+webrtc+v2/VtZ7uGxjKyTTPFPCkbPlcHhh");
        assert_eq!(Credentials::telling("v=0\r\n"), None);
    }

    #[test]
    fn fingerprints_are_found() {
        let Fingerprint(hash) = fingerprint(OFFER).unwrap();
        assert_eq!((hash[0], hash[1], hash[31]), (0xa8, 0x17, 0x89));
        for wrong in [
            "",
            "a=fingerprint:sha-256 A8:17",
            "a=fingerprint:sha-256 zz",
            &OFFER.replace("sha-256", "sha-512"),
            &OFFER.replace("31:89", "31:89:00"),
        ] {
            assert_eq!(fingerprint(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_answer_says_what_the_address_says() {
        for (socket, line) in [
            ("1.2.3.4:5", "a=candidate:1 1 UDP 1 1.2.3.4 5 typ host\r\n"),
            ("[::1]:5", "c=IN IP6 ::1\r\n"),
        ] {
            let target = Target {
                socket: socket.parse().unwrap(),
                certificate: fingerprint(OFFER).unwrap(),
                peer: None,
            };
            let answer = answer(&target, &Credentials::new([1; 32]));
            assert!(answer.contains(line), "{answer}");
            assert!(answer.contains("m=application 5 UDP"), "{answer}");
            assert_eq!(fingerprint(&answer), Some(target.certificate));
        }
    }
}
