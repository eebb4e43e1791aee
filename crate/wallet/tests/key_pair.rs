//! Key pairs, their addresses and signatures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pico_wallet::{ErrorCode, KeyPair, WalletError, address, key_pair::verify};
use proptest::prelude::*;

/// RFC 8032, 7.1: private key, public key, message, signature.
const RFC8032: &[(&str, &str, &str, &str)] = &[
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
];

#[test]
fn keys_and_signatures_are_those_of_rfc_8032() {
    for (private, public, message, signature) in RFC8032 {
        let message = hex::decode(message).unwrap();
        let pair = KeyPair::from_private_key_hex(private).unwrap();
        assert_eq!(pair.public_key().to_hex(), *public);
        assert_eq!(pair.sign(&message).to_hex(), *signature);
        let signature = hex::decode(signature).unwrap();
        assert!(verify(public, &message, &signature).unwrap());
    }
}

#[test]
fn an_address_is_of_its_public_key() {
    // The key that stands with this address in the genesis of the unit network.
    let pair = KeyPair::from_private_key_hex(
        "6c9320ac201caf1f8eaa5b05f5d67a9e77826f3f6be266a0ecccc20416dc6587",
    )
    .unwrap();
    assert_eq!(
        pair.address().to_user_friendly_address(),
        "NQ46 U66M JNLD 0DJ7 0E9P Q7XR V9KV H976 813A"
    );
}

#[test]
fn a_key_is_32_bytes() {
    for length in [0, 31, 33, 64] {
        let error = KeyPair::from_private_key(&vec![1; length]).unwrap_err();
        assert_eq!(error, WalletError::PrivateKey);
    }
    for text in ["", &"1".repeat(63), &"1".repeat(66), &"x".repeat(64)] {
        let error = KeyPair::from_private_key_hex(text).unwrap_err();
        assert_eq!(error, WalletError::PrivateKey);
    }
}

#[test]
fn generated_ones_differ() {
    let pairs = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    assert_ne!(pairs[0].private_key(), pairs[1].private_key());
    assert_ne!(*pairs[0].private_key(), [0; 32]);
}

#[test]
fn only_the_public_key_is_printed() {
    let (private, public, ..) = RFC8032[0];
    let shown = format!("{:?}", KeyPair::from_private_key_hex(private).unwrap());
    assert_eq!(shown, format!("KeyPair({public})"));
}

#[test]
fn malformed_parts_of_a_signature_are_told() {
    let (_, public, _, signature) = RFC8032[0];
    let signature = hex::decode(signature).unwrap();
    assert_eq!(
        verify(&public[1..], b"", &signature),
        Err(WalletError::PublicKey)
    );
    assert_eq!(
        verify(public, b"", &signature[1..]),
        Err(WalletError::Signature)
    );
    // Under the key of zeros, the signature of zeros would be one under anything.
    assert_eq!(verify(&"0".repeat(64), b"anything", &[0; 64]), Ok(false));
}

#[test]
fn an_address_has_two_forms() {
    let friendly = "NQ20 TSB0 DFSM UH9C 15GQ GAGJ TTE4 D3MA 859E";
    let address = address::parse(friendly).unwrap();
    for form in [
        friendly.replace(' ', ""),
        address.to_hex(),
        address.to_hex().to_uppercase(),
        format!(" {}  ", friendly.replace("NQ", "N Q")),
    ] {
        assert_eq!(address::parse(&form).unwrap(), address, "{form}");
    }
    let mistyped = friendly.replace("859E", "859F");
    let error = address::parse(&mistyped).unwrap_err();
    assert_eq!(error, WalletError::AddressChecksum);
    assert_eq!(error.code(), ErrorCode::InvalidAddress);
    for bad in [
        "",
        "NQ",
        "NQ20",
        &friendly.to_lowercase(),
        &address.to_hex()[1..],
        &format!("{friendly}\n"),
        &format!("{} ", address.to_hex()),
    ] {
        assert_eq!(address::parse(bad).unwrap_err(), WalletError::Address);
        assert!(!address::is_valid(bad));
    }
}

proptest! {
    #[test]
    fn what_one_signs_only_its_key_verifies(key: [u8; 32], other: [u8; 32], message: Vec<u8>, at in 0..64_usize, bit in 0..8_u8) {
        prop_assume!(key != other);
        let pair = KeyPair::from_private_key(&key).unwrap();
        let public = pair.public_key().to_hex();
        let mut signature = pair.sign(&message).to_bytes();
        prop_assert_eq!(verify(&public, &message, &signature), Ok(true));
        let stranger = KeyPair::from_private_key(&other).unwrap().public_key().to_hex();
        prop_assert_eq!(verify(&stranger, &message, &signature), Ok(false));
        signature[at] ^= 1_u8 << bit;
        prop_assert_eq!(verify(&public, &message, &signature), Ok(false));
    }

    #[test]
    fn any_text_is_an_address_or_not(text: String) {
        let _ = address::parse(&text);
        let _ = address::parse(&format!("NQ{text}"));
    }

    #[test]
    fn an_address_survives_its_forms(bytes: [u8; 20]) {
        let address = nimiq_keys::Address::from(bytes);
        prop_assert_eq!(address::parse(&address.to_user_friendly_address()).unwrap(), address.clone());
        prop_assert_eq!(address::parse(&address.to_hex()).unwrap(), address);
    }
}
