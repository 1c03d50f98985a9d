//! What arrives from a peer after the handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quorate_runtime::fuzzing::peer_frames(bytes));
