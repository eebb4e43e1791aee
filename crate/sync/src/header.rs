//! What every block that comes from outside goes through before anything else looks at it: no rule of
//! the chain, only that there is nothing to stumble over.

use nimiq_block::{Block, MacroBlock};
use nimiq_primitives::slots_allocation::Validators;
use nimiq_serde::{Serialize, SerializedMaxSize};

use crate::messages::BlockHeaderMessage;

/// Whether the hash of a block with these validators can be computed: that of a set with gaps can't.
pub(crate) fn is_hashable(validators: Option<&Validators>) -> bool {
    validators.is_none_or(|set| set.validate_structure().is_ok())
}

/// Drops the body: this client checks none and keeps none.
pub(crate) fn drop_body(block: &mut Block) {
    match block {
        Block::Macro(block) => block.body = None,
        Block::Micro(block) => block.body = None,
    }
}

/// Drops the body and makes sure that the rest can be hashed. The error is one of the peer's.
pub(crate) fn strip(block: &mut Block) -> Result<(), &'static str> {
    match block {
        Block::Macro(block) => strip_macro(block),
        Block::Micro(block) => {
            block.body = None;
            bounded(&*block)
        }
    }
}

/// Does the same to a macro block.
pub(crate) fn strip_macro(block: &mut MacroBlock) -> Result<(), &'static str> {
    block.body = None;
    bounded(&*block)?;
    match is_hashable(block.header.validators.as_ref()) {
        true => Ok(()),
        false => Err("a block with a malformed validator set"),
    }
}

/// Refuses what is larger than any block without its body. Nothing else bounds its lists and sets before
/// its signatures are checked, which don't even cover all of them, and each copy of it costs memory.
fn bounded(block: &impl Serialize) -> Result<(), &'static str> {
    match block.serialized_size() <= BlockHeaderMessage::MAX_SIZE {
        true => Ok(()),
        false => Err("a block that is too large"),
    }
}
