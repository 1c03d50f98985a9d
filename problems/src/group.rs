//! Process groups: members, views, and multicast between views (virtual synchrony).
//!
//! A view is a numbered set of members. A view change is a barrier: a message that is multicast in a
//! view is delivered by all members of it before any of them installs the next view, or by none.
//! "All" means those that survive into the next view; a member that crashed on the way is exempt.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use quorate_core::NodeId;

use crate::broadcast::MessageId;

/// Watches views, multicasts and deliveries, as they happen.
#[derive(Clone, Default, Hash, Debug)]
pub struct Oracle {
    /// The members of each view, by its number.
    views: BTreeMap<u64, BTreeSet<NodeId>>,
    /// In which view each member is.
    current: BTreeMap<NodeId, u64>,
    /// In which view each message was sent.
    sent: BTreeMap<MessageId, u64>,
    /// What each member delivered in its current view.
    delivered: BTreeMap<NodeId, BTreeSet<MessageId>>,
    /// Everything that each member ever delivered.
    all: BTreeSet<(NodeId, MessageId)>,
    /// For each pair of consecutive views: what the first member that went from one to the other had
    /// delivered between them.
    between: BTreeMap<(u64, u64), (NodeId, BTreeSet<MessageId>)>,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// A process installed a view that it is no member of.
    NotAMember {
        /// The process.
        node: NodeId,
        /// The number of the view.
        view: u64,
    },
    /// A view has two sets of members.
    TwoMemberships {
        /// The number of the view.
        view: u64,
        /// Who saw the second one.
        node: NodeId,
    },
    /// A process installed a view that is not later than the one it was in.
    BackToView {
        /// The process.
        node: NodeId,
        /// The view it was in.
        from: u64,
        /// The view it installed.
        to: u64,
    },
    /// Two members went from one view to the next, and only one delivered a message between.
    NotTheSame {
        /// The message.
        message: MessageId,
        /// The view.
        view: u64,
        /// Who delivered it in the view.
        by: NodeId,
        /// Who went on without it.
        not_by: NodeId,
    },
    /// A message was delivered in another view than it was sent in.
    InAnotherView {
        /// The message.
        message: MessageId,
        /// The view it was sent in, if it was sent at all.
        sent: Option<u64>,
        /// Who delivered it.
        node: NodeId,
        /// The view that it is in, if it is in any.
        view: Option<u64>,
    },
    /// A message was delivered twice.
    Duplicate {
        /// The message.
        message: MessageId,
        /// Who delivered it.
        node: NodeId,
    },
    /// A process multicast without being in a view.
    NoView {
        /// The process.
        node: NodeId,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::NotAMember { node, view } => {
                write!(
                    f,
                    "self-inclusion: {node} installed view {view}, which it is not in"
                )
            }
            Violation::TwoMemberships { view, node } => {
                write!(
                    f,
                    "agreement: {node} sees other members in view {view} than another did"
                )
            }
            Violation::BackToView { node, from, to } => {
                write!(
                    f,
                    "order of views: {node} went from view {from} to view {to}"
                )
            }
            Violation::NotTheSame {
                message,
                view,
                by,
                not_by,
            } => write!(
                f,
                "virtual synchrony: {by} delivered {message} in view {view}, and {not_by} went on without it"
            ),
            Violation::InAnotherView {
                message,
                sent,
                node,
                view,
            } => write!(
                f,
                "barrier: {node} delivered {message} in view {view:?}; it was sent in {sent:?}"
            ),
            Violation::Duplicate { message, node } => {
                write!(f, "integrity: {node} delivered {message} twice")
            }
            Violation::NoView { node } => write!(f, "{node} multicast without being in a view"),
        }
    }
}

impl Oracle {
    /// A process installs a view.
    ///
    /// # Errors
    /// If it is no member of it, if it or another process knows better, or if what it delivered
    /// before is not what others delivered that went the same way.
    pub fn on_view(
        &mut self,
        node: NodeId,
        view: u64,
        members: &BTreeSet<NodeId>,
    ) -> Result<(), Violation> {
        if !members.contains(&node) {
            return Err(Violation::NotAMember { node, view });
        }
        if *self.views.entry(view).or_insert_with(|| members.clone()) != *members {
            return Err(Violation::TwoMemberships { view, node });
        }
        let delivered = self.delivered.remove(&node).unwrap_or_default();
        let Some(from) = self.current.insert(node, view) else {
            return Ok(());
        };
        if from >= view {
            return Err(Violation::BackToView {
                node,
                from,
                to: view,
            });
        }
        let between = self.between.entry((from, view));
        let (first, expected) = between.or_insert_with(|| (node, delivered.clone()));
        let Some(&message) = expected.symmetric_difference(&delivered).next() else {
            return Ok(());
        };
        let (by, not_by) = match delivered.contains(&message) {
            true => (node, *first),
            false => (*first, node),
        };
        Err(Violation::NotTheSame {
            message,
            view: from,
            by,
            not_by,
        })
    }

    /// A process crashes or leaves; if it comes back, it joins anew.
    pub fn on_leave(&mut self, node: NodeId) {
        self.current.remove(&node);
        self.delivered.remove(&node);
    }

    /// A process multicasts to its view.
    ///
    /// # Errors
    /// If it is in none.
    pub fn on_multicast(&mut self, message: MessageId) -> Result<(), Violation> {
        let node = message.sender;
        let view = self.current.get(&node).ok_or(Violation::NoView { node })?;
        self.sent.insert(message, *view);
        Ok(())
    }

    /// A process delivers a message.
    ///
    /// # Errors
    /// If it was sent in another view, or not at all, or was delivered before.
    pub fn on_deliver(&mut self, node: NodeId, message: MessageId) -> Result<(), Violation> {
        let view = self.current.get(&node).copied();
        let sent = self.sent.get(&message).copied();
        if view.is_none() || view != sent {
            return Err(Violation::InAnotherView {
                message,
                sent,
                node,
                view,
            });
        }
        if !self.all.insert((node, message)) {
            return Err(Violation::Duplicate { message, node });
        }
        self.delivered.entry(node).or_default().insert(message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: NodeId = NodeId(1);
    const N2: NodeId = NodeId(2);
    const N3: NodeId = NodeId(3);
    const M: MessageId = MessageId {
        sender: N1,
        number: 1,
    };

    fn members(nodes: &[NodeId]) -> BTreeSet<NodeId> {
        nodes.iter().copied().collect()
    }

    /// Three members in view 1, and a message of the first.
    fn group() -> Oracle {
        let mut oracle = Oracle::default();
        for node in [N1, N2, N3] {
            assert_eq!(oracle.on_view(node, 1, &members(&[N1, N2, N3])), Ok(()));
        }
        assert_eq!(oracle.on_multicast(M), Ok(()));
        oracle
    }

    #[test]
    fn a_message_before_the_view_change_reaches_all_survivors() {
        let mut oracle = group();
        for node in [N2, N3] {
            assert_eq!(oracle.on_deliver(node, M), Ok(()));
        }
        for node in [N2, N3] {
            assert_eq!(oracle.on_view(node, 2, &members(&[N2, N3])), Ok(()));
        }
    }

    #[test]
    fn a_sender_that_crashed_may_have_delivered_alone() {
        let mut oracle = group();
        assert_eq!(oracle.on_deliver(N1, M), Ok(()));
        oracle.on_leave(N1);
        for node in [N2, N3] {
            assert_eq!(oracle.on_view(node, 2, &members(&[N2, N3])), Ok(()));
        }
        assert_eq!(oracle.on_view(N1, 3, &members(&[N1, N2, N3])), Ok(()));
    }

    #[test]
    fn survivors_deliver_the_same_between_views() {
        for (by, not_by) in [(N2, N3), (N3, N2)] {
            let mut oracle = group();
            assert_eq!(oracle.on_deliver(by, M), Ok(()));
            assert_eq!(oracle.on_view(N2, 2, &members(&[N2, N3])), Ok(()));
            let found = oracle.on_view(N3, 2, &members(&[N2, N3]));
            let view = 1;
            let message = M;
            assert_eq!(
                found,
                Err(Violation::NotTheSame {
                    message,
                    view,
                    by,
                    not_by
                })
            );
        }
    }

    #[test]
    fn a_view_change_is_a_barrier() {
        let mut oracle = group();
        assert_eq!(oracle.on_view(N2, 2, &members(&[N2, N3])), Ok(()));
        let late = oracle.on_deliver(N2, M);
        assert!(matches!(
            late,
            Err(Violation::InAnotherView {
                sent: Some(1),
                view: Some(2),
                ..
            })
        ));
        let invented = oracle.on_deliver(N3, MessageId { number: 9, ..M });
        assert!(matches!(
            invented,
            Err(Violation::InAnotherView { sent: None, .. })
        ));
        let nowhere = MessageId {
            sender: NodeId(4),
            number: 1,
        };
        let found = oracle.on_multicast(nowhere);
        assert_eq!(found, Err(Violation::NoView { node: NodeId(4) }));
    }

    #[test]
    fn duplicates_are_discarded() {
        let mut oracle = group();
        assert_eq!(oracle.on_deliver(N2, M), Ok(()));
        let again = oracle.on_deliver(N2, M);
        assert_eq!(
            again,
            Err(Violation::Duplicate {
                message: M,
                node: N2
            })
        );
    }

    #[test]
    fn views_are_one_sequence_of_sets_that_contain_who_installs_them() {
        let outside = group().on_view(N3, 2, &members(&[N1, N2]));
        assert_eq!(outside, Err(Violation::NotAMember { node: N3, view: 2 }));
        let mut oracle = group();
        assert_eq!(oracle.on_view(N2, 2, &members(&[N1, N2])), Ok(()));
        let other = oracle.on_view(N1, 2, &members(&[N1, N3]));
        assert_eq!(other, Err(Violation::TwoMemberships { view: 2, node: N1 }));
        let back = oracle.on_view(N2, 1, &members(&[N1, N2, N3]));
        assert_eq!(
            back,
            Err(Violation::BackToView {
                node: N2,
                from: 2,
                to: 1
            })
        );
    }
}
