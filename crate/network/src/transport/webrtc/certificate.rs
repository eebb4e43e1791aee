//! The certificate of a listener. Its hash stands in the listener's address, so it has to be kept for
//! the address to stay valid.

use std::fmt;

use data_encoding::BASE64_MIME;
use libp2p::core::multihash::Multihash;
use p256::{elliptic_curve::sec1::ToEncodedPoint, pkcs8::DecodePrivateKey};
use sha2::{Digest, Sha256};
use str0m::config::DtlsCert;
use thiserror::Error;

use super::address::Fingerprint;

/// Names of the two blocks of the PEM text.
const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Longest PEM text that is read, in bytes. One of ours has 900.
const MAX_PEM: usize = 16 * 1024;

/// Why there is no certificate.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CertificateError {
    /// No certificate could be made.
    #[error("a certificate could not be made")]
    Generate,
    /// A block is missing or not readable.
    #[error("the PEM text has no readable block {0}")]
    Block(&'static str),
    /// The key is of another kind.
    #[error("the private key is no ECDSA key of P-256 in PKCS #8")]
    Key,
    /// Certificate and key don't belong together.
    #[error("the certificate is not one of the private key")]
    Mismatch,
}

/// A self-signed certificate with its private key, by which WebRTC clients recognise a listener.
#[derive(Clone)]
pub struct Certificate {
    /// Both in DER.
    certificate: Vec<u8>,
    private_key: Vec<u8>,
}

impl Certificate {
    /// Makes a new one, ECDSA on P-256. Clients look at nothing but its hash, not at its dates either.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, CertificateError> {
        let made = str0m::crypto::from_feature_flags()
            .dtls_provider
            .generate_certificate()
            .ok_or(CertificateError::Generate)?;
        Self::checked(made.certificate, made.private_key)
    }

    /// Reads what [`Certificate::to_pem`] wrote.
    ///
    /// # Errors
    /// If that is no certificate with its key.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let text = text.get(..MAX_PEM).unwrap_or(text);
        let certificate = block(text, CERTIFICATE).ok_or(CertificateError::Block(CERTIFICATE))?;
        let private_key = block(text, PRIVATE_KEY).ok_or(CertificateError::Block(PRIVATE_KEY))?;
        Self::checked(certificate, private_key)
    }

    /// As text, with the private key: who reads it can pretend to be this listener.
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        for (name, der) in [
            (CERTIFICATE, &self.certificate),
            (PRIVATE_KEY, &self.private_key),
        ] {
            // The encoding ends each line with CR LF, which PEM allows.
            text += &format!(
                "-----BEGIN {name}-----\r\n{}-----END {name}-----\r\n",
                BASE64_MIME.encode(der)
            );
        }
        text
    }

    /// The hash that `/certhash` names.
    pub fn certhash(&self) -> Multihash<64> {
        self.fingerprint().multihash()
    }

    /// DTLS takes for granted that a key can be read.
    fn checked(certificate: Vec<u8>, private_key: Vec<u8>) -> Result<Self, CertificateError> {
        let key =
            p256::SecretKey::from_pkcs8_der(&private_key).map_err(|_| CertificateError::Key)?;
        let point = key.public_key().to_encoded_point(false);
        if certificate
            .windows(point.len())
            .any(|part| part == point.as_bytes())
        {
            Ok(Self {
                certificate,
                private_key,
            })
        } else {
            Err(CertificateError::Mismatch)
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.certificate).into())
    }

    pub(super) fn for_dtls(&self) -> DtlsCert {
        DtlsCert {
            certificate: self.certificate.clone(),
            private_key: self.private_key.clone(),
        }
    }
}

impl fmt::Debug for Certificate {
    // No key ever ends in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("certhash", &self.certhash())
            .finish_non_exhaustive()
    }
}

fn block(text: &str, name: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {name}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {name}-----"))?;
    let body: String = body.split_whitespace().collect();
    data_encoding::BASE64.decode(body.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn there_and_back() {
        let one = Certificate::generate().unwrap();
        let text = one.to_pem();
        let again = Certificate::from_pem(&text).unwrap();
        assert_eq!(one.certhash(), again.certhash());
        assert_eq!(one.private_key, again.private_key);
        // However the lines end, and whatever stands around.
        let unix = format!("# a comment\n{}", text.replace("\r\n", "\n"));
        assert_eq!(
            Certificate::from_pem(&unix).unwrap().certhash(),
            one.certhash()
        );
        assert_ne!(Certificate::generate().unwrap().certhash(), one.certhash());
    }

    #[test]
    fn what_is_broken_is_refused() {
        let (one, two) = (
            Certificate::generate().unwrap(),
            Certificate::generate().unwrap(),
        );
        let text = one.to_pem();
        let broken = |text: &str| Certificate::from_pem(text).unwrap_err();
        assert_eq!(broken(""), CertificateError::Block(CERTIFICATE));
        assert_eq!(broken(&text[..400]), CertificateError::Block(CERTIFICATE));
        let without_key = text.replace(PRIVATE_KEY, "PUBLIC KEY");
        assert_eq!(broken(&without_key), CertificateError::Block(PRIVATE_KEY));
        let mixed = Certificate {
            certificate: one.certificate.clone(),
            private_key: two.private_key,
        };
        assert_eq!(broken(&mixed.to_pem()), CertificateError::Mismatch);
        let no_key = Certificate {
            certificate: one.certificate.clone(),
            private_key: vec![1; 100],
        };
        assert_eq!(broken(&no_key.to_pem()), CertificateError::Key);
    }

    #[test]
    fn the_key_is_not_shown() {
        let one = Certificate::generate().unwrap();
        assert!(!format!("{one:?}").contains("private"));
    }
}
