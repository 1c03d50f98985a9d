//! What one Raft replica tells another, and what it finds on its disk.
#![no_main]

use std::sync::Arc;

use quorate_core::{Block, Reader, Wire};
use quorate_protocols::raft::{Message, Record};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let block: Block = Arc::new(bytes.to_vec());
    check::<Message>(&block);
    check::<Record>(&block);
});

/// Every value has one encoding.
fn check<T: Wire>(block: &Block) {
    let mut reader = Reader::new(block);
    if let Ok(value) = T::decode(&mut reader) {
        let mut again = Vec::new();
        value.encode(&mut again);
        assert_eq!(again, block[..block.len() - reader.remaining()]);
    }
}
