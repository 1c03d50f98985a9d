//! What is written down, and how a process starts from what survived.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use quorate_core::{Boot, Effects, Survival};
use quorate_problems::atomic_commitment::Output;

use super::{Config, PaxosCommit, Record};
use crate::synod::{Acceptor, Ballot};

/// After so many frames all is stated anew, so that leaders who outbid one another do not fill the disk.
const FRAMES_MAX: u32 = 64;

impl PaxosCommit {
    pub(super) fn restart(
        config: &Config,
        boot: Boot<'_, PaxosCommit>,
        fx: &mut Effects<PaxosCommit>,
    ) -> PaxosCommit {
        let members = config.members().iter();
        let idle: BTreeMap<_, _> = members.map(|&id| (id, Acceptor::default())).collect();
        let mut process = PaxosCommit {
            me: boot.me,
            config: config.clone(),
            vote: None,
            acceptors: idle.clone(),
            collected: BTreeSet::new(),
            begun: 0,
            heard: 0,
            attempt: None,
            failures: 0,
            outcome: None,
            damaged: boot.survival == Survival::Damaged,
            written: 0,
        };
        for (_, record) in boot.records {
            process.replay(record);
        }
        process.heard = process.promised().round;
        if let Some(outcome) = process.outcome {
            // The layer above remembers nothing: it is told in each life. What is decided is true,
            // whatever else this disk has lost.
            process.damaged = false;
            fx.output(Output::Decide(outcome));
        } else if process.damaged {
            // Whatever is left is of no use: there may have been a vote, or later promises. It learns,
            // and takes part in nothing else.
            (process.vote, process.acceptors) = (None, idle);
            (process.begun, process.heard) = (0, 0);
            process.wonder(fx);
        } else if let Some(vote) = process.vote {
            process.send_vote(vote, fx);
        } else if process.casts().next().is_some() || process.promised() > Ballot::ZERO {
            process.be_patient(fx);
        }
        process
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Voted { vote } => self.vote = Some(vote),
            Record::Begun { round } => self.begun = self.begun.max(round),
            Record::Promised { ballot } => {
                for acceptor in self.acceptors.values_mut() {
                    // What is stated anew may come after what it sums up.
                    let _ = acceptor.on_prepare(ballot);
                }
            }
            Record::Accepted { cast } => {
                if let Some(acceptor) = self.acceptors.get_mut(&cast.participant) {
                    let known = acceptor.accepted().map(|known| known.ballot);
                    if known.is_none_or(|known| known <= cast.proposal.ballot) {
                        acceptor.accept(cast.proposal);
                    }
                }
            }
            Record::Decided { outcome } => self.outcome = Some(outcome),
        }
    }

    /// Writes down what has just changed, or now and then everything instead.
    pub(super) fn write(&mut self, record: Record, fx: &mut Effects<PaxosCommit>) {
        self.written += 1;
        if self.written < FRAMES_MAX {
            fx.persist(record);
            return;
        }
        self.written = 0;
        let ballot = self.promised();
        let mut all = Vec::from([
            Record::Begun { round: self.begun },
            Record::Promised { ballot },
        ]);
        all.extend(self.vote.map(|vote| Record::Voted { vote }));
        all.extend(self.casts().map(|cast| Record::Accepted { cast }));
        fx.compact(fx.frame(), all);
    }
}
