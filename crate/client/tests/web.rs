//! What only a browser can show: conversion of real JavaScript values, jobs in wasm, log records, timers,
//! promises.
#![cfg(target_family = "wasm")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use js_sys::{Function, Promise, Reflect};
use pico_sync_client::{Bridge, ClientCore, set_panic_handler, start_verifier, verify_job};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// What the JavaScript expression is.
fn eval(expression: &str) -> JsValue {
    Function::new_no_args(&format!("return ({expression})"))
        .call0(&JsValue::UNDEFINED)
        .unwrap()
}

fn get(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &JsValue::from_str(name)).unwrap()
}

fn bridge() -> Bridge {
    eval("{ events: [], records: [], event(e) { this.events.push(e) }, log(...r) { this.records.push(r) }, verify: async () => undefined }")
        .unchecked_into()
}

fn create(options: &JsValue) -> Result<ClientCore, JsValue> {
    ClientCore::prepare(options, &bridge(), &JsValue::UNDEFINED)?.start(None)
}

fn refusal(options: &str) -> (String, String) {
    let error = create(&eval(options)).err().expect("refused");
    (
        get(&error, "code").as_string().unwrap(),
        get(&error, "message").as_string().unwrap(),
    )
}

#[wasm_bindgen_test]
fn options_are_read_from_javascript() {
    let (code, message) = refusal(
        "{ network: 'moon', peers: ['nonsense', 5], minPeers: 0, worker: 'w.js', signal: {}, nothing: 1 }",
    );
    assert_eq!(code, "invalid-options");
    for part in [
        "'moon'",
        "nonsense",
        "peers: 5",
        "minPeers: 0",
        "worker: 'w.js'",
        "signal",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("nothing"), "{message}");
    for (options, named) in [
        ("7", "options: 7"),
        ("[]", "options"),
        ("{ peers: [{}] }", "peers"),
        ("{ checkpoint: { blockNumber: 1 } }", "checkpoint.hash"),
        ("{ verifyingKey: [1, 2] }", "verifyingKey"),
        ("{ verifyingKey: new Uint8Array(9) }", "verifyingKey"),
        ("{ minPeers: 1n }", "minPeers"),
        ("{ mode: Symbol('pico') }", "mode"),
    ] {
        let (code, message) = refusal(options);
        assert_eq!(code, "invalid-options", "{message}");
        assert!(message.contains(named), "{message}");
    }
}

#[wasm_bindgen_test]
fn what_a_getter_throws_is_passed_on() {
    let error = create(&eval("{ get mode() { throw new RangeError('mine') } }"));
    let error = error.err().expect("refused");
    assert_eq!(
        String::from(error.unchecked_into::<js_sys::Error>().message()),
        "mine"
    );
}

#[wasm_bindgen_test]
fn jobs_that_are_none_are_refused() {
    assert!(verify_job(&[]).is_err());
    // A key that is none: proofs are refused, signatures can be checked all the same.
    start_verifier("unit-albatross", Some(vec![7; 9])).unwrap();
    start_verifier("unit-albatross", None).unwrap();
    assert!(start_verifier("main-albatross", None).is_err());
    assert!(start_verifier("moon", None).is_err());
    for job in [&[][..], &[0], &[0; 64], &[1; 64], &[1; 444], &[0xff; 64]] {
        let error = verify_job(job).unwrap_err();
        assert_eq!(get(&error, "code"), JsValue::from_str("worker"));
    }
}

/// The code of the error that `promise` is rejected with.
async fn rejection(promise: Promise) -> String {
    let error = JsFuture::from(promise).await.expect_err("rejected");
    assert!(get(&error, "message").is_string());
    get(&error, "code").as_string().unwrap()
}

/// All that takes a running client, in one test: an instance has one client at most.
#[wasm_bindgen_test]
async fn questions_are_answered_with_promises() {
    let options = eval("{ network: 'unit-albatross', peers: [] }");
    let core = create(&options).unwrap();

    // What is wrong with an argument is a rejection, or thrown where there is no promise.
    let wrong = eval("[5n, {}, 'nobody']");
    assert_eq!(
        rejection(core.get_accounts(&wrong)).await,
        "invalid-address"
    );
    assert_eq!(
        rejection(core.get_accounts(&eval("{}"))).await,
        "invalid-options"
    );
    assert_eq!(
        rejection(core.get_validator(&eval("Symbol()"))).await,
        "invalid-address"
    );
    assert_eq!(
        rejection(core.get_block(&eval("200n"))).await,
        "invalid-options"
    );
    assert_eq!(
        rejection(core.get_transaction(&JsValue::NULL)).await,
        "invalid-options"
    );
    let raw = eval("new Uint8Array([1, 2, 3])");
    assert_eq!(
        rejection(core.send_transaction(&raw)).await,
        "invalid-transaction"
    );
    let nobody = eval("'NQ07 0000 0000 0000 0000 0000 0000 0000 0000'");
    let error = core
        .transactions_by_address(
            &nobody,
            &eval("{ get limit() { throw new RangeError('mine') } }"),
        )
        .err()
        .expect("refused");
    assert_eq!(
        String::from(error.unchecked_into::<js_sys::Error>().message()),
        "mine"
    );
    let error = core.watch_addresses(&nobody).err().expect("refused");
    assert_eq!(get(&error, "code"), JsValue::from_str("invalid-options"));

    // Whoever waits is let go when the reader is freed.
    let addresses = js_sys::Array::of1(&nobody);
    let reader = core.watch_addresses(&addresses).unwrap();
    let waiting = reader.next();
    drop(reader);
    assert!(JsFuture::from(waiting).await.unwrap().is_undefined());

    // And told when the client closes.
    let reader = core.watch_addresses(&addresses).unwrap();
    let waiting = [
        reader.next(),
        core.get_accounts(&addresses),
        core.get_elected_validators(),
    ];
    let closed = core.close();
    for promise in waiting {
        assert_eq!(rejection(promise).await, "closed");
    }
    JsFuture::from(closed).await.unwrap();
    assert!(JsFuture::from(reader.next()).await.unwrap().is_undefined());
}

#[wasm_bindgen_test]
fn a_panic_handler_can_be_replaced() {
    set_panic_handler(Function::new_no_args(""));
    let _ = std::panic::take_hook();
}
