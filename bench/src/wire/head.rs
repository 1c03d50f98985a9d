//! The heads of the few requests that we send.

use bytes::{BufMut, BytesMut};
use quorate_http2::hpack::{
    ENTERING, INDEXED, STATIC_AUTHORITY, STATIC_CONTENT_TYPE, STATIC_LEN, STATIC_METHOD_POST,
    STATIC_PATH, STATIC_SCHEME_HTTP, put_string,
};

use super::Call;

/// When the fields that all requests have entered the server's table; the path of the first request
/// comes between.
const ENTERED_AUTHORITY: u8 = 0;
const ENTERED_CONTENT_TYPE: u8 = 2;
const ENTERED_TE: u8 = 3;

/// Writes the heads of requests. The first of each call enters the server's table; the others
/// take a byte for each field.
pub(super) struct Encoder {
    authority: String,
    /// How many fields entered the server's table. They are few and small: none is ever evicted.
    entered: u8,
    paths: [Option<u8>; Call::ALL.len()],
}

impl Encoder {
    pub(super) fn new(authority: &str) -> Encoder {
        Encoder {
            authority: authority.to_owned(),
            entered: 0,
            paths: [None; Call::ALL.len()],
        }
    }

    /// Appends the head of a request. Pseudo-headers have to come first.
    pub(super) fn encode(&mut self, call: Call, out: &mut BytesMut) {
        let first = self.entered == 0;
        out.put_slice(&[INDEXED | STATIC_METHOD_POST, INDEXED | STATIC_SCHEME_HTTP]);
        if first {
            out.put_u8(ENTERING | STATIC_AUTHORITY);
            put_string(self.authority.as_bytes(), out);
            self.entered = 1;
        } else {
            out.put_u8(self.again(ENTERED_AUTHORITY));
        }
        match self.paths[call as usize] {
            Some(field) => out.put_u8(self.again(field)),
            None => {
                out.put_u8(ENTERING | STATIC_PATH);
                put_string(call.path().as_bytes(), out);
                self.paths[call as usize] = Some(self.entered);
                self.entered += 1;
            }
        }
        if first {
            out.put_u8(ENTERING | STATIC_CONTENT_TYPE);
            put_string(b"application/grpc", out);
            out.put_u8(ENTERING);
            put_string(b"te", out);
            put_string(b"trailers", out);
            self.entered += 2;
        } else {
            out.put_u8(self.again(ENTERED_CONTENT_TYPE));
            out.put_u8(self.again(ENTERED_TE));
        }
    }

    /// A field that entered as number so-and-so. The newest comes first in the table.
    fn again(&self, field: u8) -> u8 {
        INDEXED | (STATIC_LEN + self.entered - field)
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
