//! What the exported class does with transactions, and the reader that hands them out one by one.

use std::{cell::RefCell, rc::Rc, task::Poll};

use futures::{
    FutureExt, Stream, StreamExt, future,
    stream::{self, LocalBoxStream},
    task::AtomicWaker,
};
use js_sys::Promise;
use pico_sync::{
    limits,
    query::{QueryError, TransactionDetails},
};
use wasm_bindgen::prelude::*;

use super::{convert, core::ClientCore, queries::answered};
use crate::{answer, argument, value::Value};

#[wasm_bindgen]
impl ClientCore {
    /// A transaction by hash.
    #[wasm_bindgen(js_name = getTransaction, unchecked_return_type = "Promise<TransactionDetails | undefined>")]
    pub fn get_transaction(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] hash: &JsValue,
    ) -> Promise {
        let hash = argument::hash(&convert::plain(hash));
        let queries = self.queries().clone();
        answered(
            async move {
                let found = queries.transaction(&hash?).await?;
                Ok(found.as_ref().map_or(Value::Absent, answer::transaction))
            }
            .boxed_local(),
        )
    }

    /// Broadcasts a transaction.
    #[wasm_bindgen(js_name = sendTransaction, unchecked_return_type = "Promise<TransactionDetails>")]
    pub fn send_transaction(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array | string")] raw: &JsValue,
    ) -> Promise {
        let raw = argument::raw_transaction(convert::plain(raw));
        let queries = self.queries().clone();
        answered(async move { Ok(answer::transaction(&queries.send(&raw?).await?)) }.boxed_local())
    }

    /// The history of `address`, newest first.
    ///
    /// # Errors
    /// `invalid-address`, `invalid-options`.
    #[wasm_bindgen(js_name = transactionsByAddress)]
    pub fn transactions_by_address(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] address: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "HistoryOptions | undefined")] options: &JsValue,
    ) -> Result<TransactionReader, JsValue> {
        let address = argument::address(&convert::plain(address))?;
        let options = argument::history_options(&convert::history_options(options)?)?;
        let queries = self.queries();
        Ok(TransactionReader::new(
            queries.transactions_by_address(address, options),
        ))
    }

    /// What touches `addresses` from now on.
    ///
    /// # Errors
    /// `invalid-address`, `invalid-options`.
    #[wasm_bindgen(js_name = watchAddresses)]
    pub fn watch_addresses(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string[]")] addresses: &JsValue,
    ) -> Result<TransactionReader, JsValue> {
        let addresses = convert::plain(addresses);
        let addresses = argument::addresses(&addresses, limits::MAX_WATCHED_ADDRESSES)?;
        Ok(TransactionReader::new(self.queries().watch(addresses)))
    }

    /// The transaction `hash` alone, once it is as far as `confirmations` says.
    ///
    /// # Errors
    /// `invalid-options`.
    #[wasm_bindgen(js_name = waitForTransaction)]
    pub fn wait_for_transaction(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] hash: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "'included' | 'finalized' | undefined")]
        confirmations: &JsValue,
    ) -> Result<TransactionReader, JsValue> {
        let hash = argument::hash(&convert::plain(hash))?;
        let confirmations = argument::confirmations(&convert::plain(confirmations))?;
        let queries = self.queries().clone();
        let found = async move { queries.wait_for(&hash, confirmations).await };
        Ok(TransactionReader::new(stream::once(found)))
    }
}

/// Transactions one after the other, as they are asked for. Freeing it ends the work behind it, and
/// whoever still waits for the next one.
#[wasm_bindgen]
pub struct TransactionReader {
    source: Rc<Source>,
}

struct Source {
    /// `None` once it has ended.
    stream: RefCell<Option<LocalBoxStream<'static, Result<TransactionDetails, QueryError>>>>,
    /// Whoever waits for the next one.
    waiting: AtomicWaker,
}

#[wasm_bindgen]
impl TransactionReader {
    /// The next one; `undefined` after the last. One call at a time.
    #[wasm_bindgen(unchecked_return_type = "Promise<TransactionDetails | undefined>")]
    pub fn next(&self) -> Promise {
        let source = self.source.clone();
        answered(
            async move {
                match source.next().await {
                    Some(details) => Ok(answer::transaction(&details?)),
                    None => Ok(Value::Absent),
                }
            }
            .boxed_local(),
        )
    }
}

impl TransactionReader {
    fn new(stream: impl Stream<Item = Result<TransactionDetails, QueryError>> + 'static) -> Self {
        Self {
            source: Rc::new(Source {
                stream: RefCell::new(Some(stream.boxed_local())),
                waiting: AtomicWaker::new(),
            }),
        }
    }
}

impl Drop for TransactionReader {
    fn drop(&mut self) {
        // It is borrowed while it is polled only, and nothing in there can free what JavaScript holds.
        if let Ok(mut stream) = self.source.stream.try_borrow_mut() {
            *stream = None;
        }
        self.source.waiting.wake();
    }
}

impl Source {
    async fn next(&self) -> Option<Result<TransactionDetails, QueryError>> {
        future::poll_fn(|cx| {
            self.waiting.register(cx.waker());
            let Ok(mut stream) = self.stream.try_borrow_mut() else {
                return Poll::Ready(None);
            };
            let next = match stream.as_mut() {
                Some(stream) => stream.poll_next_unpin(cx),
                None => Poll::Ready(None),
            };
            if let Poll::Ready(None | Some(Err(_))) = next {
                *stream = None;
            }
            next
        })
        .await
    }
}
