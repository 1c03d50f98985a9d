//! The command line of the lab: `quorate lab ...`.

mod check;
mod draw;
mod explore;
mod matrix;
mod paper;
mod scenes;
mod sim;
mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Looks at protocols: scenes, searches, verdicts.
#[derive(Args, Debug)]
pub struct Lab {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Check(check::Check),
    Draw(draw::Draw),
    Explore(explore::Explore),
    List(scenes::List),
    Matrix(matrix::Matrix),
    Run(scenes::Run),
    Sim(sim::Sim),
    Verify(verify::Verify),
}

impl Lab {
    /// Does what was asked for, on standard output. Answers whether everything was as it should be.
    ///
    /// # Errors
    /// What was wrong with the input, in a sentence that says what to do.
    pub fn run(self) -> Result<bool> {
        match self.action {
            Action::Check(check) => check.run(),
            Action::Draw(draw) => draw.run(),
            Action::Explore(explore) => explore.run(),
            Action::List(list) => list.run(),
            Action::Matrix(matrix) => matrix.run(),
            Action::Run(run) => run.run(),
            Action::Sim(sim) => sim.run(),
            Action::Verify(verify) => verify.run(),
        }
    }
}
