//! Mnemonics and the keys below them, against the published vectors of BIP-39 and SLIP-10.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use nimiq_mnemonic::{Entropy, MnemonicType};
use pico_wallet::{ErrorCode, KeyPair, Mnemonic, Path, WalletError};
use proptest::prelude::*;

/// Of each length that the published list has, with the password `TREZOR`: words and seed.
const BIP39: &[(&str, &str)] = &[
    (
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6fa457fe1296106559a3c80937a1c1069be3a3a5bd381ee6260e8d9739fce1f607",
    ),
    (
        "vessel ladder alter error federal sibling chat ability sun glass valve picture",
        "2aaa9242daafcee6aa9d7269f17d4efe271e1b9a529178d7dc139cd18747090bf9d60295d0ce74309a78852a9caadf0af48aae1c6253839624076224374bc63f",
    ),
    (
        "gravity machine north sort system female filter attitude volume fold club stay feature office ecology stable narrow fog",
        "628c3827a8823298ee685db84f55caa34b5cc195a778e52d45f59bcf75aba68e4d7590e101dc414bc1bbd5737666fbbef35d1f1903953b66624f910feef245ac",
    ),
    (
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo when",
        "0cd6e5d827bb62eb8fc1e262254223817fd068a74b5b449cc2f667c3f1f985a76379b43348d952e2265b4cd129090758b3e3c2c49103b5051aac2eaeb890a528",
    ),
    (
        "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold",
        "01f5bced59dec48e362f2c45b5de68b9fd6c92c6634f44d6d40aab69056506f0e35524a518034ddc1192e1dacd32c1ed3eaa3c3b131c88ed8e7e54c49a5d0998",
    ),
    (
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
        "dd48c104698c30cfe2b6142103248622fb7bb0ff692eebb00089b32d22484e1613912f0a5b694407be899ffd31ed3992c456cdf60f5d4564b8ba3f05a69890ad",
    ),
];

/// Seed, path, private key, public key.
const SLIP10: &[(&str, &str, &str, &str)] = &[
    (
        "000102030405060708090a0b0c0d0e0f",
        "m",
        "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
        "a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
    ),
    (
        "000102030405060708090a0b0c0d0e0f",
        "m/0'",
        "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
        "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
    ),
    (
        "000102030405060708090a0b0c0d0e0f",
        "m/0'/1'/2'/2'/1000000000'",
        "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
        "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
    ),
    (
        "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542",
        "m/0'/2147483647'/1'/2147483646'/2'",
        "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
        "47150c75db263559a70d5778bf36abbab30fb061ad69f69ece61a72b0cfa4fc0",
    ),
];

const LEGACY: &str = "refuse walk suggest raven cheese gate eye divert base slot fossil lock oven fuel thank need unit oak image spike vehicle grace citizen expose";
/// Would pass for either kind.
const BOTH: &str = "enforce valid stock pool lonely label awesome olive torch pledge enhance deny you rude inspire ill letter pulse pact light timber enable elbow guide";

fn parsed(words: &str) -> Mnemonic {
    words.parse().unwrap()
}

fn shown(mnemonic: &Mnemonic) -> String {
    mnemonic.words().collect::<Vec<_>>().join(" ")
}

#[test]
fn words_give_the_seeds_of_bip39() {
    for (words, seed) in BIP39 {
        let mnemonic = parsed(words);
        assert_eq!(shown(&mnemonic), *words);
        assert_eq!(hex::encode(&*mnemonic.to_seed("TREZOR").unwrap()), *seed);
    }
}

#[test]
fn seeds_give_the_keys_of_slip10() {
    for (seed, path, private, public) in SLIP10 {
        let seed = hex::decode(seed).unwrap();
        let pair = KeyPair::from_seed(&seed, &path.parse().unwrap()).unwrap();
        assert_eq!(hex::encode(*pair.private_key()), *private);
        assert_eq!(pair.public_key().to_hex(), *public);
    }
}

#[test]
fn words_give_the_keys_of_their_seed() {
    let path: Path = Path::DEFAULT.parse().unwrap();
    assert_eq!(path.indices(), [44, 242, 0, 0]);
    let mnemonic = parsed(BIP39[4].0);
    for password in ["", "TREZOR"] {
        let seed = mnemonic.to_seed(password).unwrap();
        assert_eq!(
            KeyPair::from_mnemonic(&mnemonic, &path, password)
                .unwrap()
                .address(),
            KeyPair::from_seed(&seed, &path).unwrap().address()
        );
    }
}

#[test]
fn words_are_read_however_they_are_written() {
    let words = BIP39[4].0;
    for written in [
        words.to_uppercase(),
        words.replace(' ', "\n"),
        format!("\t{}  ", words.replace(' ', "   ")),
    ] {
        assert_eq!(shown(&parsed(&written)), words);
    }
}

#[test]
fn a_legacy_mnemonic_is_named_and_an_ambiguous_one_is_of_bip39() {
    assert_eq!(
        LEGACY.parse::<Mnemonic>().unwrap_err(),
        WalletError::LegacyMnemonic
    );
    assert_eq!(shown(&parsed(BOTH)), BOTH);
}

#[test]
fn generated_ones_differ_and_are_not_ambiguous() {
    for count in [12, 15, 18, 21, 24] {
        let first = Mnemonic::generate(count).unwrap();
        for _ in 0..600 {
            let next = Mnemonic::generate(count).unwrap();
            assert_eq!(next.words().count(), count);
            assert_ne!(shown(&first), shown(&next));
            assert_eq!(shown(&parsed(&shown(&next))), shown(&next));
            if count < 24 {
                continue;
            }
            let upstream = nimiq_mnemonic::Mnemonic::from_words_unchecked(
                next.words().map(String::from).collect(),
            );
            assert!(upstream.get_type(nimiq_mnemonic::WORDLIST_EN) == MnemonicType::BIP39);
        }
    }
}

#[test]
fn entropy_gives_the_words_of_bip39() {
    for (entropy, words) in [
        (vec![0x7f; 16], BIP39[0].0),
        (vec![0xff; 24], BIP39[3].0),
        (vec![0xff; 32], BIP39[5].0),
    ] {
        assert_eq!(shown(&Mnemonic::from_entropy(&entropy).unwrap()), words);
    }
}

#[test]
fn wrong_checksums_are_told_whatever_the_length() {
    for count in [12, 15, 18, 21] {
        let words = vec!["abandon"; count].join(" ");
        assert_eq!(
            words.parse::<Mnemonic>().unwrap_err(),
            WalletError::MnemonicChecksum
        );
    }
}

#[test]
fn wrong_counts_are_told() {
    for count in [0, 1, 11, 13, 14, 23, 25, 27, 1000] {
        let words = vec!["abandon"; count].join(" ");
        let error = WalletError::WordCount(count);
        assert_eq!(words.parse::<Mnemonic>().unwrap_err(), error);
        assert_eq!(Mnemonic::generate(count).unwrap_err(), error);
    }
    for size in [0, 12, 15, 17, 36, 64] {
        assert!(
            Mnemonic::from_entropy(&vec![0; size]).is_err(),
            "{size} bytes"
        );
    }
}

#[test]
fn nothing_of_it_is_printed() {
    let mnemonic = parsed(BIP39[4].0);
    assert_eq!(format!("{mnemonic:?}"), "Mnemonic");
}

#[test]
fn only_hardened_paths_are_paths() {
    let deepest = format!("m{}", "/7'".repeat(Path::MAX_DEPTH));
    assert_eq!(deepest.parse::<Path>().unwrap().indices().len(), 255);
    for bad in [
        "",
        "m/",
        "/0'",
        "0'",
        "m/0",
        "m/0''",
        "m/'",
        "m/+0'",
        "m/ 0'",
        "m/2147483648'",
        "M/0'",
        "m/4294967296'",
        "m/٤'",
        &format!("{deepest}/7'"),
        &"/0'".repeat(1 << 20),
    ] {
        let error = bad.parse::<Path>().unwrap_err();
        assert_eq!(error, WalletError::Path);
        assert_eq!(error.code(), ErrorCode::InvalidOptions);
    }
}

proptest! {
    #[test]
    fn entropy_and_words_are_each_other_s(entropy: [u8; 32]) {
        let mnemonic = Mnemonic::from_entropy(&entropy).unwrap();
        let upstream = Entropy::from(entropy).to_mnemonic(nimiq_mnemonic::WORDLIST_EN);
        prop_assert_eq!(shown(&mnemonic), upstream.to_string());
        prop_assert_eq!(shown(&parsed(&upstream.to_string())), upstream.to_string());
    }

    #[test]
    fn a_replaced_word_is_mostly_noticed_and_never_misread(entropy: [u8; 32], at in 0..24_usize, word in 0..2048_usize) {
        let mnemonic = Mnemonic::from_entropy(&entropy).unwrap();
        let mut words: Vec<_> = mnemonic.words().collect();
        words[at] = nimiq_mnemonic::WORDLIST_EN[word];
        let upstream = nimiq_mnemonic::Mnemonic::from_words_unchecked(
            words.iter().map(|word| String::from(*word)).collect(),
        );
        let expected = upstream.to_entropy(nimiq_mnemonic::WORDLIST_EN).is_some();
        let read = words.join(" ").parse::<Mnemonic>();
        prop_assert_eq!(read.is_ok(), expected);
        if let Ok(read) = read {
            prop_assert_eq!(read.words().collect::<Vec<_>>(), words);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text: String) {
        let _ = text.parse::<Mnemonic>();
        let _ = text.parse::<Path>();
    }
}
