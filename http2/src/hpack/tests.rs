use bytes::BytesMut;

use super::*;
use crate::server::dice::Dice;

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
    let mut decoder = Decoder {
        size_max: 256,
        ..Decoder::default()
    };
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
    let mut encoder = Encoder::default();
    let mut decoder = Decoder::default();
    let long = "a".repeat(300);
    let fields = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-message", &long),
        ("accept", ""),
    ];
    for sizes in [400, 330, 330] {
        let mut block = BytesMut::new();
        for (name, value) in fields {
            let is_often = name == "content-type";
            encoder.put(name.as_bytes(), value.as_bytes(), is_often, &mut block);
        }
        assert!(block.len() < sizes, "{} bytes", block.len());
        assert_eq!(decode(&mut decoder, &block), Ok(pairs(&fields)));
    }
    assert_eq!(decoder.changes(), 1);
}

#[test]
fn a_side_without_a_table_is_told_nothing_that_needs_one() {
    let mut encoder = Encoder::default();
    let mut decoder = Decoder::default();
    for table_size in [4096, 0, 0, 4096] {
        encoder.set_table_size(table_size);
        for _ in 0..2 {
            let mut block = BytesMut::new();
            encoder.put(b"a", b"b", true, &mut block);
            assert_eq!(decode(&mut decoder, &block), Ok(pairs(&[("a", "b")])));
        }
        assert_eq!(decoder.table.len(), usize::from(decoder.size_max > 0));
    }
}

#[test]
fn no_more_enters_than_fits() {
    let mut encoder = Encoder::default();
    let mut decoder = Decoder::default();
    for round in 0..3 {
        for number in 0..40 {
            let mut block = BytesMut::new();
            let value = number.to_string().repeat(100);
            encoder.put(b"name", value.as_bytes(), true, &mut block);
            let expected = Ok(pairs(&[("name", &value)]));
            assert_eq!(decode(&mut decoder, &block), expected, "{round}");
        }
    }
    assert!(decoder.table.len() > 5);
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
        // A new size behind a field.
        b"\x82\x20",
    ] {
        assert_eq!(
            decode(&mut Decoder::default(), block),
            Err(Malformed),
            "{block:x?}"
        );
    }
}

#[test]
fn any_block_is_read_or_refused_without_a_panic() {
    let mut dice = Dice(7);
    let mut decoder = Decoder::default();
    for _ in 0..100_000 {
        let length = dice.below(24);
        let block: Vec<u8> = (0..length).map(|_| dice.below(256) as u8).collect();
        let _ = decode(&mut decoder, &block);
        assert!(decoder.size <= TABLE_SIZE);
    }
}
