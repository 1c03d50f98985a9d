//! What happens when this process cannot keep its promises any more: it ends.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// Ends the process, or does what a test wants to see instead. A disk that failed to write, or a
/// thread that panicked, leaves nothing behind on which anybody could rely: the only honest answer
/// is a restart.
#[derive(Clone)]
pub struct FailStop(Arc<dyn Fn(&str) + Send + Sync>);

impl FailStop {
    /// Logs the reason as an error and ends the process with exit code 1.
    #[must_use]
    pub fn exit() -> FailStop {
        FailStop::with(|reason| {
            tracing::error!(reason, "this replica cannot go on and ends its process");
            std::process::exit(1);
        })
    }

    /// Does something else: for tests. When it returns, the thread that called it ends.
    pub fn with(hook: impl Fn(&str) + Send + Sync + 'static) -> FailStop {
        FailStop(Arc::new(hook))
    }

    /// Gives up.
    pub(crate) fn fail(&self, reason: &str) {
        (self.0)(reason);
    }

    /// Starts a thread whose error or panic is the end.
    pub(crate) fn thread<E: fmt::Display>(
        &self,
        name: &str,
        run: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let (fail_stop, thread) = (self.clone(), name.to_owned());
        Builder::new().name(name.to_owned()).spawn(move || {
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => fail_stop.fail(&error.to_string()),
                Err(panic) => {
                    fail_stop.fail(&format!("thread {thread} panicked: {}", told_by(&*panic)));
                }
            }
        })
    }
}

impl Default for FailStop {
    fn default() -> FailStop {
        FailStop::exit()
    }
}

impl fmt::Debug for FailStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailStop")
    }
}

/// What a panic said.
pub(crate) fn told_by(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "without a message",
    }
}
