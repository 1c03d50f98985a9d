//! The Huffman code of HPACK (RFC 7541, appendix B), for reading.
//!
//! The code is canonical: codes are numbered by length and then by symbol, so that the lengths say it
//! all.

/// How many bits each symbol takes; the last is the end of the string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const END: usize = 256;
const LENGTH_MAX: usize = 30;

/// What is known of the codes of one length.
#[derive(Clone, Copy, Default)]
struct Codes {
    /// The first of them.
    first: u32,
    count: u32,
    /// Where their symbols begin.
    offset: usize,
}

/// A decoder.
pub(super) struct Huffman {
    by_length: [Codes; LENGTH_MAX + 1],
    /// The symbols in the order of their codes.
    symbols: Vec<usize>,
}

impl Huffman {
    pub(super) fn new() -> Huffman {
        let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
        symbols.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
        let mut by_length = [Codes::default(); LENGTH_MAX + 1];
        let (mut code, mut offset) = (0, 0);
        for (length, codes) in by_length.iter_mut().enumerate() {
            let count = LENGTHS
                .iter()
                .filter(|&&one| usize::from(one) == length)
                .count();
            *codes = Codes {
                first: code,
                count: count as u32,
                offset,
            };
            code = (code + count as u32) << 1;
            offset += count;
        }
        Huffman { by_length, symbols }
    }

    /// Decodes a string; `None` if it is malformed.
    pub(super) fn decode(&self, input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(input.len() * 8 / 5);
        let (mut code, mut length) = (0_u32, 0_usize);
        for bit in input
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
        {
            code = code << 1 | u32::from(bit);
            length += 1;
            let codes = self.by_length.get(length)?;
            let place = code.wrapping_sub(codes.first);
            if place < codes.count {
                let symbol = self.symbols[codes.offset + place as usize];
                if symbol == END {
                    return None;
                }
                out.push(symbol as u8);
                (code, length) = (0, 0);
            }
        }
        // What is left over is the beginning of END, less than a byte of it: ones.
        (length < 8 && code + 1 == 1 << length).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From RFC 7541, appendix C.4 and C.6.
    #[test]
    fn the_examples_of_the_rfc() {
        let huffman = Huffman::new();
        for (input, output) in [
            (&b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..], "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf", "custom-value"),
            (b"\x64\x02", "302"),
            (b"\xae\xc3\x77\x1a\x4b", "private"),
            (
                b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff",
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (b"", ""),
        ] {
            assert_eq!(huffman.decode(input).as_deref(), Some(output.as_bytes()));
        }
    }

    #[test]
    fn malformed_strings_are_refused() {
        let huffman = Huffman::new();
        // Padding that is not the beginning of END, that is too long, and END itself.
        for input in [&b"\x00"[..], b"\x1f\xff\xff", b"\xff\xff\xff\xff"] {
            assert_eq!(huffman.decode(input), None, "{input:x?}");
        }
    }
}
