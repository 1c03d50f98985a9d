//! A member whose state is not what it should be begins again with none, and gets one from its log or from the
//! others.

use std::os::unix::process::CommandExt;
use std::process::Command;

use quorate_service::Service;
use quorate_service::error::Error;
use tracing::{error, info};

/// How often this process has begun again.
const VARIABLE: &str = "QUORATE_BEGUN_AGAIN";
/// How often it does. A disk that damages whatever is written to it is for people to mend.
const TIMES_MAX: u32 = 3;

/// The end of a member that cannot go on. If its state is damaged the process begins again from the start, in its
/// own place, and sets that state aside; anything else ends it.
pub(super) fn give_up(error: &Error) {
    error!(%error, "this member cannot go on and ends its process");
    let times = std::env::var(VARIABLE).ok();
    let times = times.and_then(|text| text.parse().ok()).unwrap_or(0);
    if matches!(error, Error::Damaged(_)) && times < TIMES_MAX {
        info!("beginning again without the damaged store");
        if let Ok(program) = std::env::current_exe() {
            // Files, sockets and locks are closed when the new program begins.
            let failed = Command::new(program)
                .args(std::env::args_os().skip(1))
                .env(VARIABLE, (times + 1).to_string())
                .exec();
            error!(error = %failed, "this member cannot begin again");
        }
    }
    std::process::exit(1);
}

/// Gives a state up that a majority of the members has otherwise.
pub(super) async fn give_up_if_differing(service: Service) {
    let mut differing = service.differing();
    // If nobody can say so any more, the member is at its end.
    if differing.wait_for(|differs| *differs).await.is_ok() {
        service
            .upkeep()
            .condemn("a majority of the members has another state");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what the test's own program is to end with, when it runs as the member.
    const ROLE: &str = "QUORATE_TEST_GIVES_UP";
    const NAME: &str = "serve::rebuild::tests::damage_begins_again_and_anything_else_ends";

    /// How often a member began that always ends like this.
    fn begins(with: &str) -> usize {
        let program = std::env::current_exe().expect("it is known");
        let output = Command::new(program)
            .args(["--exact", NAME, "--nocapture"])
            .env(ROLE, with)
            .env_remove(VARIABLE)
            .output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stdout);
        said.matches("the member begins").count()
    }

    #[test]
    fn damage_begins_again_and_anything_else_ends() {
        let text = "as the test wants it".to_owned();
        match std::env::var(ROLE).as_deref() {
            Ok("damage") => {
                println!("the member begins");
                give_up(&Error::Damaged(text));
            }
            Ok(_) => {
                println!("the member begins");
                give_up(&Error::Storage(text));
            }
            Err(_) => {
                assert_eq!(begins("damage"), 1 + TIMES_MAX as usize);
                assert_eq!(begins("anything else"), 1);
            }
        }
    }
}
