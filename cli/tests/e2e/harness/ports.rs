//! Free ports, no two the same within one run.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what the kernel gives to outgoing connections, which would otherwise take the port of a
/// member that is down.
const FIRST: u32 = 10_000;
const LAST: u32 = 32_000;

/// How many ports were handed out, free or not.
static HANDED_OUT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on.
pub(crate) fn free() -> u16 {
    free_block(1)
}

/// The first of `count` neighbouring ports that nobody listens on.
pub(crate) fn free_block(count: u16) -> u16 {
    // Two runs at once begin at different places.
    let offset = std::process::id().wrapping_mul(389);
    for _ in 0..(LAST - FIRST) {
        let at = HANDED_OUT.fetch_add(u32::from(count), Ordering::Relaxed);
        let first = FIRST + offset.wrapping_add(at) % (LAST - FIRST - u32::from(count));
        let first = u16::try_from(first).expect("the range is within 16 bits");
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no free ports between {FIRST} and {LAST}");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
