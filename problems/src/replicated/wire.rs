//! How operations and outcomes become bytes: protocols send them.

use alloc::vec::Vec;

use quorate_core::{Malformed, NodeId, Reader, Wire};

use super::{CallId, Chance, Operation, Outcome, State};

impl Wire for CallId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.at.encode(out);
        self.number.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<CallId, Malformed> {
        Ok(CallId {
            at: NodeId::decode(input)?,
            number: u32::decode(input)?,
        })
    }
}

impl Wire for State {
    fn encode(&self, out: &mut Vec<u8>) {
        self.value.encode(out);
        self.items.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<State, Malformed> {
        Ok(State {
            value: i64::decode(input)?,
            items: u32::decode(input)?,
        })
    }
}

impl Wire for Chance {
    fn encode(&self, out: &mut Vec<u8>) {
        self.clock.encode(out);
        self.lot.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Chance, Malformed> {
        Ok(Chance {
            clock: u32::decode(input)?,
            lot: u32::decode(input)?,
        })
    }
}

impl Wire for Operation {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, value) = match self {
            Operation::Read => (0u8, None),
            Operation::Write(value) => (1, Some(value)),
            Operation::Add(value) => (2, Some(value)),
            Operation::Multiply(value) => (3, Some(value)),
            Operation::Buy => (4, None),
            Operation::Draw => (5, None),
            Operation::Stamp => (6, None),
        };
        tag.encode(out);
        if let Some(value) = value {
            value.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Operation, Malformed> {
        let malformed = input.malformed("an operation");
        Ok(match u8::decode(input)? {
            0 => Operation::Read,
            1 => Operation::Write(i64::decode(input)?),
            2 => Operation::Add(i64::decode(input)?),
            3 => Operation::Multiply(i64::decode(input)?),
            4 => Operation::Buy,
            5 => Operation::Draw,
            6 => Operation::Stamp,
            _ => return Err(malformed),
        })
    }
}

impl Wire for Outcome {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Outcome::Value(value) => {
                0u8.encode(out);
                value.encode(out);
            }
            Outcome::Done => 1u8.encode(out),
            Outcome::Sold => 2u8.encode(out),
            Outcome::SoldOut => 3u8.encode(out),
            Outcome::NotOffered => 4u8.encode(out),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Outcome, Malformed> {
        let malformed = input.malformed("an outcome");
        Ok(match u8::decode(input)? {
            0 => Outcome::Value(i64::decode(input)?),
            1 => Outcome::Done,
            2 => Outcome::Sold,
            3 => Outcome::SoldOut,
            4 => Outcome::NotOffered,
            _ => return Err(malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;

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
