//! A JavaScript value as plain data, so that what comes in is checked, and what goes out is put together,
//! by code that is tested natively.

use std::fmt;

/// Longest text that is repeated in an error message, in characters.
const SHOWN: usize = 120;

/// What an option, an argument or an answer can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `undefined`, `null`, or not there.
    Absent,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A `bigint`. Goes out only.
    Big(u64),
    /// A string.
    Text(String),
    /// A `Uint8Array`.
    Bytes(Vec<u8>),
    /// An array.
    List(Vec<Value>),
    /// Any other object: those of its properties that were asked for, or are there.
    Record(Vec<(&'static str, Value)>),
    /// An object of the page that is what its option takes: a function, a signal. Only the wrapper
    /// has a use for it.
    Foreign,
    /// Something that no option takes, described.
    Other(String),
}

impl Value {
    /// The property `name` of an object; `Absent` if it has none, or is no object.
    pub fn get(&self, name: &str) -> &Self {
        match self {
            Self::Record(entries) => entries
                .iter()
                .find(|(key, _)| *key == name)
                .map_or(&Self::Absent, |(_, value)| value),
            _ => &Self::Absent,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

impl fmt::Display for Value {
    /// Short and recognisable: for messages about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("undefined"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Big(value) => write!(f, "{value}"),
            Self::Text(text) => match text.char_indices().nth(SHOWN) {
                None => write!(f, "'{text}'"),
                Some((end, _)) => write!(f, "'{}…'", &text[..end]),
            },
            Self::Bytes(bytes) => write!(f, "Uint8Array({})", bytes.len()),
            Self::List(items) => write!(f, "an array of {}", items.len()),
            Self::Record(_) | Self::Foreign => f.write_str("an object"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
