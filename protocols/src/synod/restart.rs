//! What is written down, and how a process starts from what survived (2.5).

use quorate_core::{Boot, Effects, Survival};
use quorate_problems::consensus::Output;

use super::{Acceptor, Ballot, Config, Flaw, Record, Synod};

/// After so many frames all is stated anew, so that duels do not fill the disk.
const FRAMES_MAX: u32 = 64;

impl Synod {
    pub(super) fn restart(
        config: &Config,
        boot: Boot<'_, Synod>,
        fx: &mut Effects<Synod>,
    ) -> Synod {
        let mut synod = Synod {
            me: boot.me,
            config: config.clone(),
            acceptor: Acceptor::default(),
            wanted: None,
            begun: 0,
            heard: 0,
            attempt: None,
            failures: 0,
            decided: None,
            damaged: boot.survival == Survival::Damaged,
            written: 0,
        };
        for (_, record) in boot.records {
            synod.replay(record);
        }
        if let Some(value) = synod.decided.clone() {
            // The layer above remembers nothing: it is told in each life. A decision is true, whatever
            // else this disk has lost.
            synod.damaged = false;
            fx.output(Output::Decide(value));
            return synod;
        }
        if synod.damaged {
            // Whatever is left is of no use: there may have been later promises. It learns and takes part
            // in nothing else, since neither its promises nor its ballots can be trusted.
            (synod.acceptor, synod.begun, synod.heard) = (Acceptor::default(), 0, 0);
            synod.try_again(fx);
        } else if synod.begun > 0 || synod.acceptor.promised() > Ballot::ZERO {
            // Something was under way.
            synod.be_patient(fx);
        }
        synod
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Begun { round } => self.begun = self.begun.max(round),
            Record::Promised { ballot } => {
                // What is stated anew may come after what it sums up.
                let _ = self.acceptor.on_prepare(ballot);
            }
            Record::Accepted { proposal } => {
                let known = self.acceptor.accepted().map(|known| known.ballot);
                if known.is_none_or(|known| known <= proposal.ballot) {
                    self.acceptor.accept(proposal);
                }
            }
            Record::Decided { value } => self.decided = Some(value),
        }
        if !self.has(Flaw::BallotReuse) {
            self.heard = self.heard.max(self.acceptor.promised().round);
        }
    }

    /// Writes down what has just changed, or now and then everything instead.
    pub(super) fn write(&mut self, record: Record, fx: &mut Effects<Synod>) {
        self.written += 1;
        if self.written < FRAMES_MAX {
            fx.persist(record);
            return;
        }
        self.written = 0;
        let accepted = self.acceptor.accepted().cloned();
        let accepted = accepted.map(|proposal| Record::Accepted { proposal });
        let ballot = self.acceptor.promised();
        let (begun, promised) = (
            Record::Begun { round: self.begun },
            Record::Promised { ballot },
        );
        fx.compact(fx.frame(), [begun, promised].into_iter().chain(accepted));
    }
}
