//! What a process that lies may do: keep back, repeat, misdirect and change what it says, and, where
//! nothing is signed, speak for others.
//!
//! It knows no protocol: it changes its own encoded mail until that decodes again.

use std::sync::Arc;

use quorate_core::{Faults, NodeId, Protocol, Reader, Wire};

use super::driver::{Driver, Outcome};
use crate::Workload;
use crate::command::{Command, Fate};

/// Old mail that a liar keeps to say again.
const KEPT_MAX: usize = 40;

impl<P: Protocol> Driver<'_, P>
where
    P::Problem: Workload,
{
    /// Some lie of some liar, if there is one and it has something to say.
    pub(super) fn lie(&mut self) -> Outcome {
        if self.faulty.is_empty() || !self.adversary.lies() {
            return Ok(());
        }
        self.overhear();
        let which = self.below(self.faulty.len());
        let liar = self.faulty[which];
        let own = self.kept.iter().filter(|(from, _)| *from == liar);
        // Without signatures it can take anybody's words and name.
        let forges = self.adversary.model.faults == Faults::Byzantine && self.choice.choose(2) == 0;
        let words: Vec<_> = match forges {
            true => self.kept.iter().collect(),
            false => own.collect(),
        };
        if words.is_empty() {
            return Ok(());
        }
        let words: Vec<Vec<u8>> = words.into_iter().map(|(_, bytes)| bytes.clone()).collect();
        let words = words[self.below(words.len())].clone();
        let from = match forges {
            true => self.member(),
            false => liar,
        };
        let to = self.member();
        let bytes = match self.choice.choose(3) {
            // Repeated, or said to somebody else than the first time.
            0 => words,
            _ => self.changed(&words),
        };
        if from == to {
            return Ok(());
        }
        // Instead of something true, or besides.
        let flying = self.world.flying().iter();
        let truth = flying
            .rev()
            .position(|mail| (mail.from, mail.to) == (liar, to));
        if let Some(behind) = truth
            && self.choice.choose(2) == 0
        {
            let at = self.world.flying().len() - 1 - behind;
            self.mail(Fate::Drop, at)?;
        }
        self.play(Command::Forge { from, to, bytes })
    }

    /// Keeps some of what is being said.
    fn overhear(&mut self) {
        let flying = self.world.flying().iter().rev().take(KEPT_MAX / 4);
        let heard: Vec<(NodeId, Vec<u8>)> =
            flying.map(|mail| (mail.from, mail.bytes.clone())).collect();
        for words in heard {
            if !self.kept.contains(&words) {
                self.kept.push_back(words);
            }
        }
        while self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    /// A message that differs a little and can still be decoded; the same one if none is found.
    fn changed(&mut self, bytes: &[u8]) -> Vec<u8> {
        /// Most single changes decode, so this is plenty.
        const ATTEMPTS: usize = 20;
        for _ in 0..ATTEMPTS {
            let mut changed = bytes.to_vec();
            if changed.is_empty() {
                break;
            }
            for _ in 0..=self.choice.choose(2) {
                let at = self.below(changed.len());
                // Numbers are little endian, so most lies are off by little.
                changed[at] = match self.choice.choose(4) {
                    0 => changed[at].wrapping_add(1),
                    1 => changed[at].wrapping_sub(1),
                    2 => 0,
                    _ => changed[at] ^ (1 << self.choice.choose(8)),
                };
            }
            if changed != bytes && decodes::<P>(&changed) {
                return changed;
            }
        }
        bytes.to_vec()
    }

    fn below(&mut self, count: usize) -> usize {
        let count = u32::try_from(count).expect("worlds are small");
        self.choice.choose(count) as usize
    }
}

fn decodes<P: Protocol>(bytes: &[u8]) -> bool {
    let block = Arc::new(bytes.to_vec());
    let mut reader = Reader::new(&block);
    P::Message::decode(&mut reader).is_ok() && reader.finish().is_ok()
}
