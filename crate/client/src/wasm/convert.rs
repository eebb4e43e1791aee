//! Values across the boundary.

use js_sys::{Array, Object, Reflect, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::{
    argument::{HISTORY_NAMES, MAX_ADDRESSES},
    error::ClientError,
    options::{CHECKPOINT_NAMES, NAMES},
    value::Value,
};

/// More items than any option or argument takes; a longer array is refused anyway.
const MAX_ITEMS: u32 = MAX_ADDRESSES as u32 + 1;

/// The options object, as far as it is read.
pub(crate) fn options(value: &JsValue) -> Result<Value, JsValue> {
    record(value, &NAMES, |name, value| match name {
        "checkpoint" => record(value, &CHECKPOINT_NAMES, |_, value| Ok(plain(value))),
        "worker" | "logger" if value.is_function() => Ok(Value::Foreign),
        "signal" if is_signal(value) => Ok(Value::Foreign),
        _ => Ok(plain(value)),
    })
}

/// The options of `transactionsByAddress`.
pub(crate) fn history_options(value: &JsValue) -> Result<Value, JsValue> {
    record(value, &HISTORY_NAMES, |_, value| Ok(plain(value)))
}

/// By its shape: a page may have signals of another realm, or of a polyfill.
fn is_signal(value: &JsValue) -> bool {
    let property =
        |name| Reflect::get(value, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED);
    value.is_object()
        && property("aborted").as_bool().is_some()
        && property("addEventListener").is_function()
}

/// Reads the properties `names`. What a getter throws is passed on.
fn record(
    value: &JsValue,
    names: &[&'static str],
    read: impl Fn(&str, &JsValue) -> Result<Value, JsValue>,
) -> Result<Value, JsValue> {
    if !value.is_object() || Array::is_array(value) {
        return Ok(plain(value));
    }
    let entries = names.iter().map(|name| {
        let value = Reflect::get(value, &JsValue::from_str(name))?;
        Ok((*name, read(name, &value)?))
    });
    Ok(Value::Record(entries.collect::<Result<_, JsValue>>()?))
}

/// A value that is no object with properties of interest.
pub(crate) fn plain(value: &JsValue) -> Value {
    if value.is_undefined() || value.is_null() {
        Value::Absent
    } else if let Some(value) = value.as_bool() {
        Value::Bool(value)
    } else if let Some(value) = value.as_f64() {
        Value::Number(value)
    } else if let Some(value) = value.as_string() {
        Value::Text(value)
    } else if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        Value::Bytes(bytes.to_vec())
    } else if let Some(items) = value.dyn_ref::<Array>() {
        Value::List(
            (0..items.length().min(MAX_ITEMS))
                .map(|i| plain(&items.get(i)))
                .collect(),
        )
    } else {
        // Not `toString` of the page's own objects: it may throw.
        Value::Other(format!(
            "a value of type {}",
            value.js_typeof().as_string().unwrap_or_default()
        ))
    }
}

/// The JavaScript value that `value` describes.
pub(crate) fn from_plain(value: &Value) -> JsValue {
    match value {
        Value::Absent | Value::Foreign | Value::Other(_) => JsValue::UNDEFINED,
        Value::Bool(value) => JsValue::from_bool(*value),
        Value::Number(value) => JsValue::from_f64(*value),
        Value::Big(value) => JsValue::from(*value),
        Value::Text(text) => JsValue::from_str(text),
        Value::Bytes(bytes) => Uint8Array::from(bytes.as_slice()).into(),
        Value::List(items) => items.iter().map(from_plain).collect::<Array>().into(),
        Value::Record(entries) => {
            let object = Object::new();
            for (name, value) in entries {
                if *value != Value::Absent {
                    // A fresh object takes any property.
                    let _ = Reflect::set(&object, &JsValue::from_str(name), &from_plain(value));
                }
            }
            object.into()
        }
    }
}

/// A plain JavaScript object.
pub(crate) fn to_js(value: &impl Serialize) -> JsValue {
    // Only foreign `Serialize` code can fail, and maps with odd keys: there are none.
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .unwrap_or(JsValue::UNDEFINED)
}

impl From<ClientError> for JsValue {
    fn from(error: ClientError) -> Self {
        let object = Object::new();
        for (name, value) in [("code", error.code.as_str()), ("message", &error.message)] {
            // A fresh object takes any property.
            let _ = Reflect::set(&object, &JsValue::from_str(name), &JsValue::from_str(value));
        }
        object.into()
    }
}
