//! The head of a request: what may be in it, and what not (RFC 9113, 8.2 and 8.3).

use bytes::Bytes;

/// What a field costs besides its bytes when the size of all of them is taken (section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// The head of a request that is well-formed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// `:method`.
    pub method: Bytes,
    /// `:scheme`.
    pub scheme: Bytes,
    /// `:authority`, if there is one.
    pub authority: Bytes,
    /// `:path`.
    pub path: Bytes,
    /// All other fields, in their order.
    pub fields: Vec<(Bytes, Bytes)>,
    /// How long the body is, if it says so.
    pub length: Option<u64>,
}

/// What is wrong with a block of headers that could be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    /// The request is malformed.
    Malformed,
    /// There is too much of it.
    TooLarge,
}

/// A head that is being read.
#[derive(Default)]
pub(super) struct Reading {
    head: Head,
    size: usize,
    wrong: Option<Wrong>,
    seen: [bool; 4],
}

impl Reading {
    /// Takes a field. What comes after something was wrong is not kept.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8], size_max: usize) {
        self.size = self
            .size
            .saturating_add(name.len() + value.len() + FIELD_OVERHEAD);
        if self.size > size_max {
            self.wrong = Some(Wrong::TooLarge);
        }
        if self.wrong.is_some() {
            return;
        }
        let taken = match name.strip_prefix(b":") {
            Some(name) => self.pseudo(name, value),
            None => self.regular(name, value),
        };
        if taken.is_none() {
            self.wrong = Some(Wrong::Malformed);
        }
    }

    /// Each comes once, before all others.
    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let head = &mut self.head;
        let (at, place) = match name {
            b"method" => (0, &mut head.method),
            b"scheme" => (1, &mut head.scheme),
            b"authority" => (2, &mut head.authority),
            b"path" => (3, &mut head.path),
            _ => return None,
        };
        let is_new = !std::mem::replace(&mut self.seen[at], true);
        if !is_new || !head.fields.is_empty() || !is_value(value) {
            return None;
        }
        *place = Bytes::copy_from_slice(value);
        Some(())
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        if name.is_empty() || !name.iter().all(|&byte| is_name(byte)) || !is_value(value) {
            return None;
        }
        match name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding"
            | b"upgrade" => return None,
            b"te" if value != b"trailers" => return None,
            b"content-length" => {
                let length = std::str::from_utf8(value).ok()?.parse().ok()?;
                if self.head.length.is_some_and(|before| before != length) {
                    return None;
                }
                self.head.length = Some(length);
            }
            _ => {}
        }
        let field = (Bytes::copy_from_slice(name), Bytes::copy_from_slice(value));
        self.head.fields.push(field);
        Some(())
    }

    /// The head, if it is one.
    pub(super) fn finish(self) -> Result<Head, Wrong> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let head = self.head;
        if head.method.is_empty() || head.scheme.is_empty() || head.path.is_empty() {
            return Err(Wrong::Malformed);
        }
        Ok(head)
    }

    /// Whether this may stand behind a body.
    pub(super) fn finish_trailers(self) -> Result<(), Wrong> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None if self.seen.contains(&true) => Err(Wrong::Malformed),
            None => Ok(()),
        }
    }
}

/// RFC 9110, 5.6.2, without capitals (RFC 9113, 8.2.1).
fn is_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9113, 8.2.1.
fn is_value(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    !is_blank(value.first())
        && !is_blank(value.last())
        && !value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<Head, Wrong> {
        let mut reading = Reading::default();
        for (name, value) in fields {
            reading.field(name.as_bytes(), value.as_bytes(), 1000);
        }
        reading.finish()
    }

    const GET: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "http"), (":path", "/a")];

    #[test]
    fn a_head() {
        let fields = [GET.as_slice(), &[(":authority", "x"), ("a", "b")]].concat();
        let head = read(&fields).expect("a head");
        assert_eq!(
            (&head.method[..], &head.path[..]),
            (&b"GET"[..], &b"/a"[..])
        );
        assert_eq!(
            (&head.scheme[..], &head.authority[..]),
            (&b"http"[..], &b"x"[..])
        );
        assert_eq!(head.fields, [(Bytes::from("a"), Bytes::from("b"))]);
    }

    #[test]
    fn malformed_heads() {
        for more in [
            &[(":path", "/b")][..],
            &[(":status", "200")],
            &[("a", "b"), (":authority", "x")],
            &[("A", "b")],
            &[("a b", "c")],
            &[("", "c")],
            &[("a", " b")],
            &[("a", "b\n")],
            &[("connection", "close")],
            &[("te", "gzip")],
            &[("content-length", "x")],
            &[("content-length", "1"), ("content-length", "2")],
        ] {
            let fields = [GET.as_slice(), more].concat();
            assert_eq!(read(&fields), Err(Wrong::Malformed), "{more:?}");
        }
        for left_out in 0..3 {
            let mut fields = GET.to_vec();
            fields.remove(left_out);
            assert_eq!(read(&fields), Err(Wrong::Malformed));
        }
        let long = "b".repeat(900);
        let fields = [GET.as_slice(), &[("a", &long)]].concat();
        assert_eq!(read(&fields), Err(Wrong::TooLarge));
    }
}
