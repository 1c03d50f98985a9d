//! What replicas choose when a script says so: for one step its answers stand in for the seed.

use quorate_core::Choice;

/// Puts answers in the place of a seed, if there are any, last one first; returns the seed then.
pub(super) fn dictate(answers: &mut Option<Vec<u32>>, choice: &mut Choice) -> Option<Choice> {
    let answers = answers.take()?;
    let asked = Vec::new();
    Some(std::mem::replace(
        choice,
        Choice::Dictated { answers, asked },
    ))
}

/// Puts the seed back, and says which answers were not needed.
pub(super) fn restore(answers: &mut Option<Vec<u32>>, choice: &mut Choice, seeded: Option<Choice>) {
    if let Some(seeded) = seeded
        && let Choice::Dictated { answers: left, .. } = std::mem::replace(choice, seeded)
    {
        *answers = Some(left);
    }
}
