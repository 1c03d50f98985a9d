//! The progress bar, and Ctrl-C.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// A bar on a terminal; nothing elsewhere.
pub(crate) struct Progress {
    bar: ProgressBar,
    runtime: tokio::runtime::Runtime,
    interrupted: Cell<bool>,
}

impl Progress {
    /// A bar of so many steps; call it from no runtime.
    pub(crate) fn new(what: &'static str, total: u64) -> Result<Progress> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(
            "{msg} [{bar:40}] {pos}/{len} {per_sec} {elapsed} (ends in {eta})",
        )?;
        let bar = ProgressBar::with_draw_target(Some(total), target)
            .with_style(style.progress_chars("=> "))
            .with_message(what);
        let interrupted = Cell::new(false);
        Ok(Progress {
            bar,
            runtime,
            interrupted,
        })
    }

    /// Waits a moment and shows how far it is. Answers whether the user has had enough, which ends
    /// the load early; who asks twice ends the process.
    pub(crate) fn tick(&self, done: u64) -> bool {
        let interrupt = self.runtime.block_on(async {
            tokio::select! {
                pressed = tokio::signal::ctrl_c() => pressed.is_ok(),
                () = tokio::time::sleep(TICK) => false,
            }
        });
        if interrupt && self.interrupted.replace(true) {
            std::process::exit(1);
        }
        self.bar.set_position(done);
        self.interrupted.get()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
