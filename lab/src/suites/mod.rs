//! Every protocol by name, and what the worlds must know of each.
//!
//! Worlds are generic over the protocol, and a name on a command line is not a type. [`find`] turns
//! the name into a [`Subject`], and [`Subject::visit`] calls a generic piece of work with the type.

pub mod chain;
pub mod multipaxos;
pub mod paxos_commit;
pub mod primary_backup;
pub mod raft;
pub mod strategies;
pub mod synod;
pub mod two_phase_commit;
pub mod viewstamped;

use core::fmt;
use core::str::FromStr;

use quorate_check::world::{Checkable, Judge, Symmetry};
use quorate_core::{NodeId, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_protocols::museum::Exhibit;
use quorate_sim::nearest::nearest;
use quorate_sim::suite::number;
use quorate_sim::{Options, Parsed, Suite};

use crate::scenes::Claims;

/// What the lab knows of one protocol.
pub struct Known<P: Checkable> {
    /// Its name on the command line and in scenes.
    pub name: &'static str,
    /// What scripts and seeds need.
    pub suite: Suite<P>,
    /// What the checker needs to treat replicas as exchangeable, if they are: a protocol that prefers
    /// one name to another, as one that breaks ties by names does, has none.
    pub rename: Option<Symmetry<P>>,
    /// Who can watch all replicas together in the checker, by name; the first does so unless another
    /// is asked for, since what a judge remembers makes more states.
    pub judges: &'static [(&'static str, NewJudge<P>)],
    /// The famous bugs that can be switched on: the museum.
    pub flaws: &'static [Exhibit],
    /// What a scene's verdict sheet says of it.
    pub claims: Claims,
}

/// Appoints a judge.
pub type NewJudge<P> = fn() -> Box<dyn Judge<P>>;

// Derived instances would ask the same of `P`.
impl<P: Checkable> Clone for Known<P> {
    fn clone(&self) -> Known<P> {
        *self
    }
}

impl<P: Checkable> Copy for Known<P> {}

/// A piece of work that can be done with any protocol.
pub trait Visit: Sized {
    /// What comes of it.
    type Answer;

    /// Does it with a protocol that solves any problem.
    fn any<P>(self, known: &Known<P>) -> Self::Answer
    where
        P: Checkable;

    /// Does it with a protocol of total order, above which the whole service can run.
    fn total_order<P>(self, known: &Known<P>) -> Self::Answer
    where
        P: Checkable + Protocol<Problem = TotalOrder>,
    {
        self.any(known)
    }
}

macro_rules! subjects {
    ($($subject:ident: $folder:ident, $visit:ident;)+) => {
        /// A protocol that the lab knows.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Subject {
            $(#[doc = concat!("See [`", stringify!($folder), "`].")] $subject,)+
        }

        impl Subject {
            /// All of them.
            pub const ALL: &'static [Subject] = &[$(Subject::$subject),+];

            /// Its name on the command line and in scenes.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Subject::$subject => $folder::KNOWN.name,)+
                }
            }

            /// Its museum.
            #[must_use]
            pub fn flaws(self) -> &'static [Exhibit] {
                match self {
                    $(Subject::$subject => $folder::KNOWN.flaws,)+
                }
            }

            /// Does something with it.
            pub fn visit<V: Visit>(self, work: V) -> V::Answer {
                match self {
                    $(Subject::$subject => work.$visit(&$folder::KNOWN),)+
                }
            }
        }
    };
}

// The protocol, its module here, and `total_order` if that is its problem, else `any`.
subjects! {
    Raft: raft, total_order;
    MultiPaxos: multipaxos, total_order;
    Viewstamped: viewstamped, total_order;
    PrimaryBackup: primary_backup, total_order;
    Chain: chain, total_order;
    Synod: synod, any;
    TwoPhaseCommit: two_phase_commit, any;
    PaxosCommit: paxos_commit, any;
    Strategies: strategies, any;
}

/// The members that a world of these nodes begins with: the first three with `members=3`, else all.
///
/// # Errors
/// If it is no number, or not one of them.
pub fn initial<'a>(nodes: &'a [NodeId], options: &Options<'_>) -> Parsed<&'a [NodeId]> {
    let Some(count) = options.get("members") else {
        return Ok(nodes);
    };
    let count: usize = number("members", count)?;
    match (1..=nodes.len()).contains(&count) {
        true => Ok(&nodes[..count]),
        false => Err(format!(
            "members={count}: the world has {} nodes",
            nodes.len()
        )),
    }
}

/// The names of all protocols.
pub fn names() -> impl Iterator<Item = &'static str> {
    Subject::ALL.iter().map(|subject| subject.name())
}

/// The protocol of that name.
///
/// # Errors
/// If there is none, with the name that was perhaps meant.
pub fn find(name: &str) -> Result<Subject, Unknown> {
    let mut all = Subject::ALL.iter().copied();
    all.find(|subject| subject.name() == name)
        .ok_or_else(|| Unknown::new("protocol", name, names()))
}

/// A name that means nothing, and the valid one that is nearest to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    kind: &'static str,
    name: String,
    nearest: Option<String>,
}

impl Unknown {
    /// `name` is no `kind`; these are.
    pub fn new<'a>(
        kind: &'static str,
        name: &str,
        choices: impl IntoIterator<Item = &'a str>,
    ) -> Unknown {
        Unknown {
            kind,
            name: name.to_string(),
            nearest: nearest(name, choices).map(str::to_string),
        }
    }
}

/// Reads the value of the option `flaw=`.
///
/// # Errors
/// If the museum has none of that name, with the one that was perhaps meant.
pub fn flaw<F: FromStr>(museum: &[Exhibit], name: &str) -> Parsed<F> {
    let names = museum.iter().map(|exhibit| exhibit.name);
    name.parse()
        .map_err(|_| Unknown::new("flaw", name, names).to_string())
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} is called `{}`", self.kind, self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; the nearest is `{nearest}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unknown {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_others_answered_with_the_nearest() {
        assert_eq!(find("raft"), Ok(Subject::Raft));
        let unknown = find("rfat").expect_err("there is no such protocol");
        assert_eq!(
            unknown.to_string(),
            "no protocol is called `rfat`; the nearest is `raft`"
        );
        let choices = ["figure-8", "read-index", "pre-vote"];
        let unknown = Unknown::new("flaw", "figure8", choices);
        assert_eq!(unknown.nearest.as_deref(), Some("figure-8"));
    }
}
