//! How quorums are made, and how that is written.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use quorate_core::NodeId;

/// How quorums are made. Every rule is monotone: more than a quorum is a quorum.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// More than half of the members (Thomas 1979).
    Majority,
    /// At least half of them, which is less than a majority if they are even in number, and meets each:
    /// the other phase of Flexible Paxos (Howard, Malkhi and Spiegelman 2016), for any number.
    Half,
    /// So many members, whichever they are. `threshold:1` beside `threshold:N` is read one, write all.
    Threshold(usize),
    /// Members that together have at least so many votes (Gifford 1979).
    Weighted {
        /// The votes of each member.
        weights: BTreeMap<NodeId, u64>,
        /// How many votes are enough; more than half of all if nothing is said.
        enough: Option<u64>,
    },
    /// The members in lines, in the order given: a full line, and one member of each line below it.
    /// Any two such sets meet (Cheung, Ammar and Ahamad 1990).
    Grid {
        /// The number of lines.
        lines: usize,
        /// The number of members in each.
        columns: usize,
    },
    /// The same lines: one member of each. Meets every [`Rule::Grid`] of the same shape, and every full
    /// line, but not its own kind.
    GridRead {
        /// The number of lines.
        lines: usize,
        /// The number of members in each.
        columns: usize,
    },
    /// These sets, and whatever contains one of them.
    Sets(Vec<Vec<NodeId>>),
}

/// What can be written, for people who wrote something else.
const FORMS: &str = "majority, half, threshold:2, weighted:n1=2,n2=1,n3=1, grid:2x3, grid-read:2x3 or \
                     sets:n1+n2,n2+n3";

/// A text that is no rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoRule(String);

impl fmt::Display for NoRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for NoRule {}

impl fmt::Display for Rule {
    /// Writes what [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Majority => f.write_str("majority"),
            Rule::Half => f.write_str("half"),
            Rule::Threshold(count) => write!(f, "threshold:{count}"),
            Rule::Weighted { weights, enough } => {
                let weights = weights.iter().map(|(id, votes)| format!("{id}={votes}"));
                let enough = enough.map(|enough| format!("enough={enough}"));
                let parts: Vec<_> = weights.chain(enough).collect();
                write!(f, "weighted:{}", parts.join(","))
            }
            Rule::Grid { lines, columns } => write!(f, "grid:{lines}x{columns}"),
            Rule::GridRead { lines, columns } => write!(f, "grid-read:{lines}x{columns}"),
            Rule::Sets(sets) => {
                let sets = sets.iter().map(|set| {
                    let ids: Vec<_> = set.iter().map(ToString::to_string).collect();
                    ids.join("+")
                });
                write!(f, "sets:{}", sets.collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl FromStr for Rule {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Rule, NoRule> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        let wrong = |why: String| NoRule(format!("`{text}` is no quorum rule: {why}"));
        let rest = match (kind, rest) {
            ("majority", None) => return Ok(Rule::Majority),
            ("majority", Some(_)) => return Err(wrong("a majority needs no numbers".into())),
            ("half", None) => return Ok(Rule::Half),
            ("half", Some(_)) => return Err(wrong("a half needs no numbers".into())),
            (_, rest) => rest.unwrap_or_default(),
        };
        let rule = match kind {
            "threshold" => number(rest).map(Rule::Threshold),
            "weighted" => weighted(rest),
            "grid" => shape(rest).map(|(lines, columns)| Rule::Grid { lines, columns }),
            "grid-read" => shape(rest).map(|(lines, columns)| Rule::GridRead { lines, columns }),
            "sets" => sets(rest).map(Rule::Sets),
            _ => Err(format!("expected {FORMS}")),
        };
        rule.map_err(wrong)
    }
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    let number = text.parse();
    number.map_err(|_| format!("expected a number, found `{text}`"))
}

fn node(text: &str) -> Result<NodeId, String> {
    let node = text.parse();
    node.map_err(|error| format!("{error}, found `{text}`"))
}

fn weighted(text: &str) -> Result<Rule, String> {
    let (mut weights, mut enough) = (BTreeMap::new(), None);
    for part in text.split(',') {
        let (name, votes) = part
            .split_once('=')
            .ok_or_else(|| format!("expected a member and its votes, n1=2, found `{part}`"))?;
        let votes = number(votes)?;
        let before = match name {
            "enough" => enough.replace(votes),
            name => weights.insert(node(name)?, votes),
        };
        if before.is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(Rule::Weighted { weights, enough })
}

fn shape(text: &str) -> Result<(usize, usize), String> {
    let (lines, columns) = text
        .split_once('x')
        .ok_or_else(|| format!("expected lines and columns, 2x3, found `{text}`"))?;
    Ok((number(lines)?, number(columns)?))
}

fn sets(text: &str) -> Result<Vec<Vec<NodeId>>, String> {
    let set = |text: &str| text.split('+').map(node).collect();
    text.split(',').map(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "majority",
            "half",
            "threshold:2",
            "weighted:n1=2,n2=1,n3=1",
            "weighted:n1=2,n2=1,n3=1,enough=2",
            "grid:2x3",
            "grid-read:2x3",
            "sets:n1+n2,n2+n3",
        ] {
            let rule: Rule = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(rule.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_was_expected() {
        for (text, complaint) in [
            ("most", "expected majority, half, threshold:2"),
            ("majority:3", "a majority needs no numbers"),
            ("threshold", "expected a number, found ``"),
            ("threshold:two", "expected a number, found `two`"),
            ("weighted:n1", "expected a member and its votes"),
            ("weighted:a=1", "expected n1, n2, ..., found `a`"),
            ("weighted:n1=1,n1=2", "n1 is there twice"),
            ("weighted:enough=1,enough=2", "enough is there twice"),
            ("grid:6", "expected lines and columns, 2x3, found `6`"),
            ("sets:n1+,n2", "expected n1, n2, ..., found ``"),
        ] {
            let error = text.parse::<Rule>().expect_err(text).to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }
}
