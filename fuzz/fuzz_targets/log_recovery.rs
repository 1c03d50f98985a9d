//! A log that is written, crashed and damaged as the input says.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quorate_runtime::fuzzing::log_recovery(bytes));
