//! A panic inside a protocol is a broken promise like any other: it is caught, named, and does not
//! clutter the terminal.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// How many calls of [`catch`] this thread is inside of.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// Calls a function and answers what it panicked with, if it did.
///
/// # Errors
/// The message of the panic.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if INSIDE.get() == 0 {
                loud(info);
            }
        }));
    });
    INSIDE.set(INSIDE.get() + 1);
    // Whoever catches a panic throws the broken replica away.
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    INSIDE.set(INSIDE.get() - 1);
    outcome.map_err(|thrown| {
        let text = thrown.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| thrown.downcast_ref::<&str>().copied());
        let lines = text.unwrap_or("without a message").lines();
        // Assertions print several lines, but a violation is one line of a script.
        lines.map(str::trim).collect::<Vec<_>>().join(", ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_answered_with_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        let (one, two) = (1, 2);
        let text = catch(|| assert_eq!(one, two, "not alike")).expect_err("it panics");
        assert!(text.contains("not alike"), "{text}");
        assert_eq!(catch(|| panic!("short")), Err("short".to_string()));
    }
}
