//! Values as a few bytes, for states that wait.

use std::collections::{BTreeMap, BTreeSet};

/// What can be written as bytes and read again.
pub(crate) trait Bytes: Sized {
    fn put(&self, bytes: &mut Vec<u8>);
    fn get(bytes: &mut &[u8]) -> Self;
}

/// As many values as one state may have.
const VALUES_MAX: usize = 512;

/// Appends a value in half bytes if they are enough for everything in it, which they nearly always are:
/// how many bytes follow, and these. Otherwise a zero and whole bytes.
pub(crate) fn pack<T: Bytes>(value: &T, bytes: &mut Vec<u8>) {
    let begin = bytes.len();
    value.put(bytes);
    let count = bytes.len() - begin;
    let mut values = [0; VALUES_MAX];
    values[..count].copy_from_slice(&bytes[begin..]);
    bytes.truncate(begin);
    if values[..count].iter().all(|&value| value < 16) {
        let pairs = values[..count.next_multiple_of(2)].chunks_exact(2);
        bytes.push(u8::try_from(pairs.len()).expect("states of these models are small"));
        bytes.extend(pairs.map(|pair| pair[0] << 4 | pair[1]));
    } else {
        // Where it ends is known from what is in it.
        bytes.push(0);
        bytes.extend(&values[..count]);
    }
}

/// Reads what [`pack`] wrote from the front.
pub(crate) fn unpack<T: Bytes>(bytes: &mut &[u8]) -> T {
    let pairs = usize::from(byte(bytes));
    if pairs == 0 {
        return T::get(bytes);
    }
    let (packed, rest) = bytes.split_at(pairs);
    *bytes = rest;
    let mut values = [0; VALUES_MAX];
    for (pair, packed) in values.chunks_exact_mut(2).zip(packed) {
        (pair[0], pair[1]) = (packed >> 4, packed & 15);
    }
    T::get(&mut &values[..2 * pairs])
}

/// One byte from the front.
pub(crate) fn byte(bytes: &mut &[u8]) -> u8 {
    let (first, rest) = bytes.split_first().expect("what was written is complete");
    *bytes = rest;
    *first
}

impl Bytes for u8 {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn get(bytes: &mut &[u8]) -> u8 {
        byte(bytes)
    }
}

impl Bytes for bool {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }

    fn get(bytes: &mut &[u8]) -> bool {
        byte(bytes) != 0
    }
}

impl<A: Bytes, B: Bytes> Bytes for (A, B) {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.put(bytes);
        self.1.put(bytes);
    }

    fn get(bytes: &mut &[u8]) -> (A, B) {
        (A::get(bytes), B::get(bytes))
    }
}

impl<A: Bytes, B: Bytes, C: Bytes> Bytes for (A, B, C) {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.0.put(bytes);
        self.1.put(bytes);
        self.2.put(bytes);
    }

    fn get(bytes: &mut &[u8]) -> (A, B, C) {
        (A::get(bytes), B::get(bytes), C::get(bytes))
    }
}

impl<T: Bytes> Bytes for Option<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.is_some().put(bytes);
        if let Some(value) = self {
            value.put(bytes);
        }
    }

    fn get(bytes: &mut &[u8]) -> Option<T> {
        bool::get(bytes).then(|| T::get(bytes))
    }
}

impl<T: Bytes> Bytes for Vec<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.len() as u8);
        for value in self {
            value.put(bytes);
        }
    }

    fn get(bytes: &mut &[u8]) -> Vec<T> {
        (0..byte(bytes)).map(|_| T::get(bytes)).collect()
    }
}

impl<T: Bytes + Ord> Bytes for BTreeSet<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.len() as u8);
        for value in self {
            value.put(bytes);
        }
    }

    fn get(bytes: &mut &[u8]) -> BTreeSet<T> {
        // One after the other, since collecting them would put them into a vector first.
        let mut set = BTreeSet::new();
        for _ in 0..byte(bytes) {
            set.insert(T::get(bytes));
        }
        set
    }
}

impl<K: Bytes + Ord, V: Bytes> Bytes for BTreeMap<K, V> {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.len() as u8);
        for (key, value) in self {
            key.put(bytes);
            value.put(bytes);
        }
    }

    fn get(bytes: &mut &[u8]) -> BTreeMap<K, V> {
        let mut map = BTreeMap::new();
        for _ in 0..byte(bytes) {
            map.insert(K::get(bytes), V::get(bytes));
        }
        map
    }
}

/// Says how a type is written: its fields in order, or a number for each kind and then its fields.
macro_rules! bytes {
    (struct $name:ident { $($field:ident),* }) => {
        impl $crate::bytes::Bytes for $name {
            fn put(&self, bytes: &mut Vec<u8>) {
                $($crate::bytes::Bytes::put(&self.$field, bytes);)*
            }

            fn get(bytes: &mut &[u8]) -> Self {
                $(let $field = $crate::bytes::Bytes::get(bytes);)*
                $name { $($field),* }
            }
        }
    };
    (enum $name:ident $(<$of:ident>)? { $($number:literal = $kind:ident ($($field:ident),*)),* }) => {
        impl $(<$of: $crate::bytes::Bytes>)? $crate::bytes::Bytes for $name $(<$of>)? {
            fn put(&self, bytes: &mut Vec<u8>) {
                match self {
                    $($name::$kind($($field),*) => {
                        bytes.push($number);
                        $($crate::bytes::Bytes::put($field, bytes);)*
                    })*
                }
            }

            fn get(bytes: &mut &[u8]) -> Self {
                match $crate::bytes::byte(bytes) {
                    $($number => {
                        $(let $field = $crate::bytes::Bytes::get(bytes);)*
                        $name::$kind($($field),*)
                    })*
                    number => unreachable!("no kind has the number {number}"),
                }
            }
        }
    };
}
pub(crate) use bytes;
