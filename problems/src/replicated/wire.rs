//! How operations and outcomes become bytes: protocols send them.

use quorate_core::wire;

use super::{CallId, Chance, Operation, Outcome, State};

wire!(struct CallId { at, number });

wire!(struct State { value, items });

wire!(struct Chance { clock, lot });

wire!(enum Operation, "an operation" {
    0 => Read;
    1 => Write(value);
    2 => Add(value);
    3 => Multiply(value);
    4 => Buy;
    5 => Draw;
    6 => Stamp;
});

wire!(enum Outcome, "an outcome" {
    0 => Value(value);
    1 => Done;
    2 => Sold;
    3 => SoldOut;
    4 => NotOffered;
});

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use quorate_core::{NodeId, Reader, Wire};

    fn round_trip<T: Wire + PartialEq + core::fmt::Debug>(value: T) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        for len in 0..bytes.len() {
            let cut = Arc::new(bytes[..len].to_vec());
            assert!(T::decode(&mut Reader::new(&cut)).is_err());
        }
        let block = Arc::new(bytes);
        let mut reader = Reader::new(&block);
        assert_eq!(T::decode(&mut reader), Ok(value));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn what_is_encoded_is_decoded_and_what_is_cut_is_refused() {
        for operation in [Operation::Read, Operation::Write(-4), Operation::Add(3)] {
            round_trip(operation);
        }
        for operation in [Operation::Multiply(2), Operation::Buy, Operation::Draw] {
            round_trip(operation);
        }
        round_trip(Operation::Stamp);
        for outcome in [Outcome::Value(9), Outcome::Done, Outcome::Sold] {
            round_trip(outcome);
        }
        round_trip([Outcome::SoldOut, Outcome::NotOffered].to_vec());
        round_trip(State::default());
        round_trip(Chance { clock: 1, lot: 2 });
        let at = NodeId(2);
        round_trip(CallId { at, number: 7 });
    }

    #[test]
    fn what_is_none_of_them_is_refused() {
        let block = Arc::new([9u8; 16].to_vec());
        assert!(Operation::decode(&mut Reader::new(&block)).is_err());
        assert!(Outcome::decode(&mut Reader::new(&block)).is_err());
    }
}
