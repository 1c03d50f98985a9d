//! What is ordered: a batch of commands, behind an intact checksum.
#![no_main]

use quorate_core::Payload;
use quorate_service::codec;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let payload = Payload::from_vec(bytes.to_vec(), crc32c::crc32c(bytes));
    if let Ok(batch) = codec::decode(&payload) {
        let again = codec::encode(&batch);
        assert_eq!(codec::decode(&again).as_ref(), Ok(&batch));
    }
});
