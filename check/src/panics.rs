//! A panic inside a protocol is a broken promise like any other: it is caught and named, and does not
//! clutter the terminal. (The simulator has the same; neither may depend on the other.)

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside of [`catch`].
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls a function and answers what it panicked with, if it did.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                loud(info);
            }
        }));
    });
    INSIDE.set(true);
    // Whoever catches a panic throws the broken replica away.
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    INSIDE.set(false);
    outcome.map_err(|thrown| {
        let text = thrown.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| thrown.downcast_ref::<&str>().copied());
        let lines = text.unwrap_or("without a message").lines();
        // Assertions print several lines, but a violation is one line of a script.
        lines.map(str::trim).collect::<Vec<_>>().join(", ")
    })
}
