use quorate_http2::hpack::{Decoder, Malformed};

use super::*;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = Vec::new();
    decoder.decode(block, |name, value| fields.push((text(name), text(value))))?;
    Ok(fields)
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    fields.iter().map(pair).collect()
}

#[test]
fn what_we_write_can_be_read() {
    let mut encoder = Encoder::new("127.0.0.1:2379");
    let mut decoder = Decoder::default();
    for (call, size_max) in [
        (Call::Put, 200),
        (Call::Put, 6),
        (Call::Range, 40),
        (Call::Put, 6),
        (Call::Range, 6),
    ] {
        let mut block = BytesMut::new();
        encoder.encode(call, &mut block);
        assert!(block.len() <= size_max, "{} bytes", block.len());
        assert_eq!(
            decode(&mut decoder, &block),
            Ok(pairs(&[
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "127.0.0.1:2379"),
                (":path", call.path()),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ]))
        );
    }
}

#[test]
fn long_strings_have_long_lengths() {
    let mut encoder = Encoder::new(&"a".repeat(300));
    let mut block = BytesMut::new();
    encoder.encode(Call::Put, &mut block);
    let fields = decode(&mut Decoder::default(), &block).expect("a valid block");
    assert_eq!(fields[2].1.len(), 300);
}
