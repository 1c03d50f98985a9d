//! What a stranger says first on the peer port.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quorate_runtime::fuzzing::handshake(bytes));
