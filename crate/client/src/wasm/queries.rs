//! What the exported class answers of state and blocks: each method checks its arguments, asks the engine,
//! and turns the answer into plain values.

use futures::{FutureExt, future::LocalBoxFuture};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{convert, core::ClientCore};
use crate::{answer, argument, error::ClientError, value::Value};

#[wasm_bindgen]
impl ClientCore {
    /// The accounts at `addresses`, in that order.
    #[wasm_bindgen(js_name = getAccounts, unchecked_return_type = "Promise<Account[]>")]
    pub fn get_accounts(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string[]")] addresses: &JsValue,
    ) -> Promise {
        let addresses = argument::addresses(&convert::plain(addresses), argument::MAX_ADDRESSES);
        let queries = self.queries().clone();
        answered(
            async move {
                let addresses = addresses?;
                let answers = queries.accounts(&addresses).await?;
                let accounts = addresses.iter().zip(&answers);
                Ok(Value::List(
                    accounts
                        .map(|(of, found)| answer::account(of, found))
                        .collect(),
                ))
            }
            .boxed_local(),
        )
    }

    /// The validator at `address`.
    #[wasm_bindgen(js_name = getValidator, unchecked_return_type = "Promise<Validator | undefined>")]
    pub fn get_validator(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] address: &JsValue,
    ) -> Promise {
        let address = argument::address(&convert::plain(address));
        let queries = self.queries().clone();
        answered(
            async move {
                let found = queries.validator(&address?).await?.value;
                Ok(found.as_ref().map_or(Value::Absent, answer::validator))
            }
            .boxed_local(),
        )
    }

    /// The staker at `address`.
    #[wasm_bindgen(js_name = getStaker, unchecked_return_type = "Promise<Staker | undefined>")]
    pub fn get_staker(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] address: &JsValue,
    ) -> Promise {
        let address = argument::address(&convert::plain(address));
        let queries = self.queries().clone();
        answered(
            async move {
                let found = queries.staker(&address?).await?.value;
                Ok(found.as_ref().map_or(Value::Absent, answer::staker))
            }
            .boxed_local(),
        )
    }

    /// The validators of the current epoch.
    #[wasm_bindgen(js_name = getElectedValidators, unchecked_return_type = "Promise<ElectedValidator[]>")]
    pub fn get_elected_validators(&self) -> Promise {
        let queries = self.queries().clone();
        answered(
            async move { Ok(answer::elected(&queries.elected_validators().await?)) }.boxed_local(),
        )
    }

    /// A block by hash or number.
    #[wasm_bindgen(js_name = getBlock, unchecked_return_type = "Promise<Block>")]
    pub fn get_block(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string | number", js_name = hashOrNumber)]
        hash_or_number: &JsValue,
    ) -> Promise {
        let id = argument::block_id(&convert::plain(hash_or_number));
        let queries = self.queries().clone();
        answered(async move { Ok(answer::block(&queries.block(id?).await?)) }.boxed_local())
    }
}

/// The promise of an answer. One function for all: what drives a promise is not small.
pub(super) fn answered(work: LocalBoxFuture<'static, Result<Value, ClientError>>) -> Promise {
    future_to_promise(async move { Ok(convert::from_plain(&work.await?)) })
}
