//! The only source of randomness: a seed, or a list of choices made elsewhere.

use alloc::vec::Vec;

/// Answers "which of n?". Seeded in the simulator and the server, dictated by the model checker,
/// which explores every answer.
#[derive(Clone, Hash, Debug)]
pub enum Choice {
    /// A SplitMix64 generator (Steele, Lea and Flood, "Fast splittable pseudorandom number
    /// generators", 2014) and its state.
    Seeded(u64),
    /// The answers to give, last one first; 0 when they run out. `asked` collects the number of
    /// alternatives of each question, so that an explorer learns what else there was to choose.
    Dictated {
        /// The remaining answers, the next one at the end.
        answers: Vec<u32>,
        /// How many alternatives each question so far had.
        asked: Vec<u32>,
    },
}

impl Choice {
    /// A number below `n` that only spreads load over time, in which an explorer has no choice.
    pub fn spread(&mut self, n: u32) -> u32 {
        match self {
            Choice::Seeded(_) => self.choose(n),
            Choice::Dictated { .. } => 0,
        }
    }

    /// A number below `n`.
    ///
    /// # Panics
    /// If `n` is 0, or a dictated answer is out of range.
    pub fn choose(&mut self, n: u32) -> u32 {
        assert!(n > 0, "there must be something to choose from");
        match self {
            Choice::Seeded(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^= z >> 31;
                // The high half of a product is an even spread without a division.
                (((z >> 32) * u64::from(n)) >> 32) as u32
            }
            Choice::Dictated { answers, asked } => {
                asked.push(n);
                let answer = answers.pop().unwrap_or(0);
                assert!(answer < n, "answer {answer} to a choice of {n}");
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_seed_repeats_and_spreads() {
        let mut one = Choice::Seeded(42);
        let mut two = Choice::Seeded(42);
        let mut seen = [0u32; 5];
        for _ in 0..5000 {
            let chosen = one.choose(5);
            assert_eq!(chosen, two.choose(5));
            seen[chosen as usize] += 1;
        }
        assert!(seen.iter().all(|&count| count > 800), "{seen:?}");
    }

    #[test]
    fn a_dictated_choice_follows_the_list_and_reports_the_alternatives() {
        let mut choice = Choice::Dictated {
            answers: vec![1, 2],
            asked: vec![],
        };
        assert_eq!([choice.choose(3), choice.spread(9)], [2, 0]);
        assert_eq!([choice.choose(2), choice.choose(4)], [1, 0]);
        let Choice::Dictated { asked, .. } = choice else {
            unreachable!("it was dictated")
        };
        assert_eq!(asked, [3, 2, 4]);
    }
}
