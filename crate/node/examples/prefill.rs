//! Measures how long a chain takes to make: `cargo run -p pico-node --example prefill -- EPOCHS`.
#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use pico_node::chain::ScriptedChain;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let epochs = match std::env::args().nth(1) {
        Some(epochs) => epochs.parse()?,
        None => 3,
    };
    let start = Instant::now();
    let chain = ScriptedChain::ending_at(1_700_000_000_000, epochs, 1000)?;
    println!(
        "{epochs} epochs, head {}: {:.1} s",
        chain.height(),
        start.elapsed().as_secs_f32()
    );
    Ok(())
}
