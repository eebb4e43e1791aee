//! Checks that options and arguments share: each says what is wrong with which value.

use std::fmt::Write as _;

use crate::{
    error::{ClientError, ErrorCode},
    value::Value,
};

/// Everything that is wrong, so that it can be said at once.
#[derive(Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// Adds a problem in words of its own.
    pub(crate) fn add(&mut self, message: String) {
        self.0.push(message);
    }

    /// Says that `value`, given as `option`, is `why`.
    pub(crate) fn invalid(&mut self, option: &str, value: &Value, why: &str) {
        self.add(format!("{option}: {value} is {why}"));
    }

    /// All of them as one error.
    pub(crate) fn into_result(self) -> Result<(), ClientError> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(ClientError::new(
                ErrorCode::InvalidOptions,
                self.0.join("; "),
            )),
        }
    }
}

/// A whole number within bounds.
pub(crate) fn whole(value: &Value, min: usize, max: usize) -> Option<usize> {
    match value {
        Value::Number(number)
            if number.fract() == 0.0 && (min as f64..=max as f64).contains(number) =>
        {
            Some(*number as usize)
        }
        _ => None,
    }
}

/// What the text `value` stands for among `known`; `None` if nothing was given.
pub(crate) fn choice<T: Copy>(
    option: &str,
    value: &Value,
    known: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    if *value == Value::Absent {
        return None;
    }
    let found = match value {
        Value::Text(text) => known.iter().find(|(name, _)| name == text),
        _ => None,
    };
    if found.is_none() {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        problems.invalid(option, value, &not_one_of(&names));
    }
    found.map(|(_, meaning)| *meaning)
}

/// For messages about a value that is none of `names`.
pub(crate) fn not_one_of(names: &[&str]) -> String {
    let mut text = "not one of ".to_owned();
    for (index, name) in names.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        // Writing to a string can't fail.
        let _ = write!(text, "{separator}'{name}'");
    }
    text
}

/// The bytes that `text` has two hexadecimal digits each for.
pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

/// The hash that `text` spells in hex.
pub(crate) fn decode_hash(text: &str) -> Option<[u8; 32]> {
    decode_hex(text).and_then(|bytes| bytes.try_into().ok())
}
