use super::*;
use crate::keys::Dice;

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
fn the_examples_of_the_rfc_with_a_small_table() {
    // RFC 7541, appendix C.6: three responses, a table of 256 bytes, entries that fall out.
    let mut decoder = Decoder::new();
    decoder.size_max = 256;
    let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
    let date = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
    let (cache, location) = (
        ("cache-control", "private"),
        ("location", "https://www.example.com"),
    );
    assert_eq!(
        decode(&mut decoder, first),
        Ok(pairs(&[(":status", "302"), cache, date, location]))
    );
    assert_eq!(decoder.size, 222);
    assert_eq!(
        decode(&mut decoder, b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf"),
        Ok(pairs(&[(":status", "307"), cache, date, location]))
    );
    assert_eq!((decoder.size, decoder.table.len()), (222, 4));
}

#[test]
fn what_we_write_can_be_read() {
    let mut encoder = Encoder::new("127.0.0.1:2379");
    let mut decoder = Decoder::new();
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
    let fields = decode(&mut Decoder::new(), &block).expect("a valid block");
    assert_eq!(fields[2].1.len(), 300);
}

#[test]
fn malformed_blocks_are_refused() {
    for block in [
        // An index of 0, one beyond the tables, and one that does not end.
        &b"\x80"[..],
        b"\xbe",
        b"\xff\xff\xff\xff\xff\xff\x7f",
        b"\xff\x80",
        // Strings that are cut off, and a table larger than ours.
        b"\x40\x05ab",
        b"\x00",
        b"\x3f\xff\xff\x03",
    ] {
        assert_eq!(
            decode(&mut Decoder::new(), block),
            Err(Malformed),
            "{block:x?}"
        );
    }
}

#[test]
fn any_block_is_read_or_refused_without_a_panic() {
    let mut dice = Dice::new(7);
    let mut decoder = Decoder::new();
    for _ in 0..100_000 {
        let length = dice.below(24) as usize;
        let block: Vec<u8> = (0..length).map(|_| dice.roll() as u8).collect();
        let _ = decode(&mut decoder, &block);
        assert!(decoder.size <= TABLE_SIZE);
    }
}
