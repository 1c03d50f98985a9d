//! How messages and records become bytes: a tag, and then the fields in the order written here.

use alloc::vec::Vec;

use quorate_core::{Malformed, Reader, Wire};

use super::{Message, Record};

/// Both directions from one list, so that they cannot differ: tag, variant, fields.
macro_rules! wire {
    ($($tag:literal => $variant:ident { $($field:ident),+ };)+) => {
        impl Wire for Message {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Message::$variant { $($field),+ } => {
                        u8::encode(&$tag, out);
                        $(Wire::encode($field, out);)+
                    })+
                }
            }

            fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
                let malformed = input.malformed("the tag of a message");
                // Fields of a struct expression are evaluated in the order written, which is the wire's.
                Ok(match u8::decode(input)? {
                    $($tag => Message::$variant { $($field: Wire::decode(input)?),+ },)+
                    _ => return Err(malformed),
                })
            }
        }
    };
}

wire! {
    1 => Canvass { after, chosen };
    2 => Support { after };
    3 => Prepare { ballot, first, wanted_by, incarnation };
    4 => Promise { ballot, incarnation, first, through, votes, complete };
    5 => Refused { promised };
    6 => Accept { ballot, first, chosen, entries };
    7 => Accepted { ballot, first, last, through };
    8 => Leading { ballot, round, chosen, opened };
    9 => Heard { ballot, round };
    10 => Chosen { ballot, through };
    11 => Snapshot { ballot, checkpoint };
    12 => Handover { ballot };
    13 => Forward { payload };
    14 => ReadAsked { incarnation, id };
    15 => ReadReady { incarnation, id, slot };
    16 => Recovering { incarnation };
    17 => Remembered { incarnation, promised };
    18 => Forgotten { incarnation };
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Promised { ballot, chosen } => {
                1u8.encode(out);
                ballot.encode(out);
                chosen.encode(out);
            }
            Record::Accepted(cast) => {
                2u8.encode(out);
                cast.encode(out);
            }
            Record::Base(position) => {
                3u8.encode(out);
                position.encode(out);
            }
            Record::Rejoining => 4u8.encode(out),
            Record::Rejoined => 5u8.encode(out),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let malformed = input.malformed("the tag of a record");
        Ok(match u8::decode(input)? {
            1 => Record::Promised {
                ballot: Wire::decode(input)?,
                chosen: Wire::decode(input)?,
            },
            2 => Record::Accepted(Wire::decode(input)?),
            3 => Record::Base(Wire::decode(input)?),
            4 => Record::Rejoining,
            5 => Record::Rejoined,
            _ => return Err(malformed),
        })
    }
}
