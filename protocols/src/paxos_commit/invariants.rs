//! What must hold between any two steps, of one process and of all.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use quorate_core::NodeId;
use quorate_problems::atomic_commitment::Vote;

use super::PaxosCommit;
use super::leader::Phase;
use crate::synod::Ballot;

impl PaxosCommit {
    pub(super) fn check(&self) {
        let promised = self.promised();
        if promised > Ballot::ZERO {
            let mut all = self.acceptors.values();
            let alike = all.all(|acceptor| acceptor.promised() == promised);
            assert!(alike, "what is promised is promised in all instances");
        }
        if self.damaged {
            let silent = self.vote.is_none() && self.attempt.is_none();
            assert!(silent, "who may have forgotten a vote casts none");
        }
        let Some(attempt) = &self.attempt else {
            return;
        };
        assert!(self.outcome.is_none(), "who knows the outcome rests");
        assert_eq!(attempt.ballot.proposer, self.me, "ballots are one's own");
        let last = attempt.ballot.round == self.begun;
        assert!(last, "only the last ballot begun is tried");
        if let Phase::Accepting { accepted, .. } = &attempt.phase {
            let enough = self.config.quorums.is_quorum(|id| accepted.contains(&id));
            assert!(!enough, "what a quorum accepted is chosen");
        }
    }
}

/// Looks at all processes of a run together: no two acceptors have counted a participant differently in
/// one ballot.
///
/// # Errors
/// A ballot with two values in one instance.
pub fn one_vote(processes: &[&PaxosCommit]) -> Result<(), String> {
    let mut votes: BTreeMap<(NodeId, Ballot), (NodeId, Vote)> = BTreeMap::new();
    for process in processes {
        for cast in process.casts() {
            let (me, of) = (process.me, cast.participant);
            let (ballot, vote) = (cast.proposal.ballot, cast.proposal.value);
            let (first, other) = *votes.entry((of, ballot)).or_insert((me, vote));
            if other != vote {
                return Err(format!(
                    "one vote: in ballot {ballot:?} {first} counts {of} as {other:?} and {me} as {vote:?}"
                ));
            }
        }
    }
    Ok(())
}
