//! The bindings. The wrapper in `package/src/wallet.ts` makes the public classes of them, and sees to it that every
//! argument has the type and range that is said here.
//!
//! Upstream's code copies secrets as it goes, to the heap and to the stack. The allocator wipes the former as they are
//! freed; the wrapper calls `wipe` after each call for the latter.

use std::{alloc::System, hint::black_box};

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;
use zeroize::Zeroize;
use zeroizing_alloc::ZeroAlloc;

use crate::{KeyPair, Mnemonic, Terms, WalletError, address, key_pair, transaction};

#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

/// How far below the caller `wipe` reaches, in words of 8 bytes: 64 KiB. The deepest call was seen to use 17 KiB.
const STACK_WORDS: usize = 8192;

/// An error as `{ code, message }`.
fn thrown(error: WalletError) -> JsValue {
    let object = Object::new();
    for (name, value) in [
        ("code", error.code().as_str()),
        ("message", &error.to_string()),
    ] {
        // It can't fail on a plain object.
        let _ = Reflect::set(&object, &name.into(), &value.into());
    }
    object.into()
}

/// Overwrites what earlier calls left on the stack.
#[wasm_bindgen]
#[inline(never)]
pub fn wipe() {
    let mut below = [0_u64; STACK_WORDS];
    // Stores that the compiler may not leave out.
    below.zeroize();
    black_box(&below);
}

/// Whether an address can be read.
#[wasm_bindgen(js_name = isValidAddress)]
pub fn is_valid_address(text: &str) -> bool {
    address::is_valid(text)
}

/// Whether a signature is right.
#[wasm_bindgen]
pub fn verify(public_key: &str, message: &[u8], signature: &[u8]) -> Result<bool, JsValue> {
    key_pair::verify(public_key, message, signature).map_err(thrown)
}

/// Words.
#[wasm_bindgen(js_name = RawMnemonic)]
pub struct RawMnemonic(Mnemonic);

#[wasm_bindgen(js_class = RawMnemonic)]
impl RawMnemonic {
    /// So many new ones.
    pub fn generate(count: usize) -> Result<Self, JsValue> {
        Mnemonic::generate(count).map(Self).map_err(thrown)
    }

    /// Those of `words`.
    pub fn parse(words: &str) -> Result<Self, JsValue> {
        words.parse().map(Self).map_err(thrown)
    }

    /// They, with a space between each two.
    pub fn words(&self) -> String {
        self.0.words().collect::<Vec<_>>().join(" ")
    }

    /// Their seed.
    #[wasm_bindgen(js_name = toSeed)]
    pub fn to_seed(&self, password: &str) -> Result<Vec<u8>, JsValue> {
        self.0
            .to_seed(password)
            .map(|seed| seed.to_vec())
            .map_err(thrown)
    }
}

/// Keys.
#[wasm_bindgen(js_name = RawKeyPair)]
pub struct RawKeyPair(KeyPair);

#[wasm_bindgen(js_class = RawKeyPair)]
impl RawKeyPair {
    /// New ones.
    pub fn generate() -> Result<Self, JsValue> {
        KeyPair::generate().map(Self).map_err(thrown)
    }

    /// Those of a private key.
    #[wasm_bindgen(js_name = fromPrivateKey)]
    pub fn from_private_key(bytes: &[u8]) -> Result<Self, JsValue> {
        KeyPair::from_private_key(bytes).map(Self).map_err(thrown)
    }

    /// Those of a private key in hexadecimal digits.
    #[wasm_bindgen(js_name = fromPrivateKeyHex)]
    pub fn from_private_key_hex(text: &str) -> Result<Self, JsValue> {
        KeyPair::from_private_key_hex(text)
            .map(Self)
            .map_err(thrown)
    }

    /// Those at `path` of a mnemonic.
    #[wasm_bindgen(js_name = fromMnemonic)]
    pub fn from_mnemonic(
        mnemonic: &RawMnemonic,
        path: &str,
        password: &str,
    ) -> Result<Self, JsValue> {
        path.parse()
            .and_then(|path| KeyPair::from_mnemonic(&mnemonic.0, &path, password))
            .map(Self)
            .map_err(thrown)
    }

    /// The address in its user-friendly form.
    pub fn address(&self) -> String {
        self.0.address().to_user_friendly_address()
    }

    /// The public key in hexadecimal digits.
    #[wasm_bindgen(js_name = publicKey)]
    pub fn public_key(&self) -> String {
        self.0.public_key().to_hex()
    }

    /// The private key.
    #[wasm_bindgen(js_name = privateKey)]
    pub fn private_key(&self) -> Vec<u8> {
        self.0.private_key().to_vec()
    }

    /// A signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).to_bytes().to_vec()
    }

    /// A payment.
    pub fn pay(
        &self,
        recipient: &str,
        value: u64,
        message: &str,
        fee: u64,
        height: u32,
        network: &str,
    ) -> Result<Vec<u8>, JsValue> {
        let recipient = address::parse(recipient).map_err(thrown)?;
        self.built(fee, height, network, |pair, terms| {
            transaction::payment(pair, recipient, value, message.as_bytes(), terms)
        })
    }

    /// A new staker.
    #[wasm_bindgen(js_name = createStaker)]
    pub fn create_staker(
        &self,
        delegation: &str,
        value: u64,
        fee: u64,
        height: u32,
        network: &str,
    ) -> Result<Vec<u8>, JsValue> {
        let delegation = address::parse(delegation).map_err(thrown)?;
        self.built(fee, height, network, |pair, terms| {
            transaction::create_staker(pair, delegation, value, terms)
        })
    }

    /// More stake.
    #[wasm_bindgen(js_name = addStake)]
    pub fn add_stake(
        &self,
        value: u64,
        fee: u64,
        height: u32,
        network: &str,
    ) -> Result<Vec<u8>, JsValue> {
        self.built(fee, height, network, |pair, terms| {
            transaction::add_stake(pair, value, terms)
        })
    }

    /// Another delegation.
    #[wasm_bindgen(js_name = updateStaker)]
    pub fn update_staker(
        &self,
        delegation: Option<String>,
        reactivate: bool,
        fee: u64,
        height: u32,
        network: &str,
    ) -> Result<Vec<u8>, JsValue> {
        let delegation = delegation.as_deref().map(address::parse).transpose();
        let delegation = delegation.map_err(thrown)?;
        self.built(fee, height, network, |pair, terms| {
            transaction::update_staker(pair, delegation, reactivate, terms)
        })
    }

    /// Another active stake.
    #[wasm_bindgen(js_name = setActiveStake)]
    pub fn set_active_stake(
        &self,
        active: u64,
        fee: u64,
        height: u32,
        network: &str,
    ) -> Result<Vec<u8>, JsValue> {
        self.built(fee, height, network, |pair, terms| {
            transaction::set_active_stake(pair, active, terms)
        })
    }

    /// Inactive stake retired.
    #[wasm_bindgen(js_name = retireStake)]
    pub fn retire_stake(
        &self,
        value: u64,
        fee: u64,
        height: u32,
        network: &str,
    ) -> Result<Vec<u8>, JsValue> {
        self.built(fee, height, network, |pair, terms| {
            transaction::retire_stake(pair, value, terms)
        })
    }

    /// Retired stake paid out.
    #[wasm_bindgen(js_name = removeStake)]
    pub fn remove_stake(
        &self,
        value: u64,
        fee: u64,
        height: u32,
        network: &str,
    ) -> Result<Vec<u8>, JsValue> {
        self.built(fee, height, network, |pair, terms| {
            transaction::remove_stake(pair, value, terms)
        })
    }
}

impl RawKeyPair {
    fn built(
        &self,
        fee: u64,
        height: u32,
        network: &str,
        build: impl FnOnce(&KeyPair, &Terms) -> Result<Vec<u8>, WalletError>,
    ) -> Result<Vec<u8>, JsValue> {
        Terms::new(fee, height, network)
            .and_then(|terms| build(&self.0, &terms))
            .map_err(thrown)
    }
}
