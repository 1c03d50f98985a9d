//! A rule together with the members it is about.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use quorate_core::NodeId;

use crate::Rule;

/// A quorum system: some members, and which sets of them are enough. All members together always are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct System {
    /// In the order given, which is what a grid's lines are made of; each once.
    members: Vec<NodeId>,
    rule: Rule,
}

/// A rule that does not fit the members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Unfit {}

impl System {
    /// This rule for these members.
    ///
    /// # Errors
    /// If the rule names someone else, or could never be satisfied, or always is.
    pub fn new(rule: Rule, members: &[NodeId]) -> Result<System, Unfit> {
        let mut seen: Vec<NodeId> = Vec::new();
        for &id in members {
            if !seen.contains(&id) {
                seen.push(id);
            }
        }
        let system = System {
            members: seen,
            rule,
        };
        match system.misfit() {
            Some(why) => Err(Unfit(format!("`{}` does not fit: {why}", system.rule))),
            None => Ok(system),
        }
    }

    /// The members, in the order given.
    #[must_use]
    pub fn members(&self) -> &[NodeId] {
        &self.members
    }

    /// How quorums are made.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether those members for whom `agrees` holds are a quorum.
    #[must_use]
    pub fn is_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        let count = || self.members.iter().filter(|&&id| agrees(id)).count();
        match &self.rule {
            Rule::Majority => count() > self.members.len() / 2,
            Rule::Half => count() >= self.members.len().div_ceil(2),
            Rule::Threshold(enough) => count() >= *enough,
            Rule::Weighted { weights, .. } => {
                let agreeing = weights.iter().filter(|(id, _)| agrees(**id));
                agreeing.map(|(_, votes)| votes).sum::<u64>() >= self.enough()
            }
            Rule::Grid { columns, .. } => {
                // From below: whether each line so far had somebody, until a full one comes.
                for line in self.members.rchunks(*columns) {
                    if line.iter().all(|&id| agrees(id)) {
                        return true;
                    }
                    if !line.iter().any(|&id| agrees(id)) {
                        return false;
                    }
                }
                false
            }
            Rule::GridRead { columns, .. } => {
                let mut lines = self.members.chunks(*columns);
                lines.all(|line| line.iter().any(|&id| agrees(id)))
            }
            Rule::Sets(sets) => sets.iter().any(|set| set.iter().all(|&id| agrees(id))),
        }
    }

    /// The largest value that a quorum has reached. Clusters are small, so comparing each with each
    /// is cheaper than sorting a copy.
    #[must_use]
    pub fn reached<V: Ord + Copy + Default>(&self, value: impl Fn(NodeId) -> V) -> V {
        let values = self.members.iter().map(|&id| value(id));
        values
            .filter(|&candidate| self.is_quorum(|id| value(id) >= candidate))
            .max()
            .unwrap_or_default()
    }

    /// The same system where members have other names.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> System {
        let rule = match &self.rule {
            Rule::Weighted { weights, enough } => Rule::Weighted {
                weights: weights
                    .iter()
                    .map(|(&id, &votes)| (name(id), votes))
                    .collect(),
                enough: *enough,
            },
            Rule::Sets(sets) => {
                let rename = |set: &Vec<NodeId>| set.iter().map(|&id| name(id)).collect();
                Rule::Sets(sets.iter().map(rename).collect())
            }
            Rule::Majority
            | Rule::Half
            | Rule::Threshold(_)
            | Rule::Grid { .. }
            | Rule::GridRead { .. } => self.rule.clone(),
        };
        System {
            members: self.members.iter().map(|&id| name(id)).collect(),
            rule,
        }
    }

    /// How many must agree, if it does not matter who.
    pub(crate) fn count(&self) -> Option<usize> {
        match self.rule {
            Rule::Majority => Some(self.members.len() / 2 + 1),
            Rule::Half => Some(self.members.len().div_ceil(2)),
            Rule::Threshold(enough) => Some(enough),
            Rule::Weighted { .. } | Rule::Grid { .. } | Rule::GridRead { .. } | Rule::Sets(_) => {
                None
            }
        }
    }

    /// How many votes are enough, if they are weighted; 0 if they are not.
    pub(crate) fn enough(&self) -> u64 {
        match &self.rule {
            Rule::Weighted { weights, enough } => {
                let all: u64 = weights.values().sum();
                enough.unwrap_or(all / 2 + 1)
            }
            Rule::Majority
            | Rule::Half
            | Rule::Threshold(_)
            | Rule::Grid { .. }
            | Rule::GridRead { .. }
            | Rule::Sets(_) => 0,
        }
    }

    fn misfit(&self) -> Option<String> {
        let size = self.members.len();
        let stranger = |id: &NodeId| !self.members.contains(id);
        if size == 0 {
            return Some("there are no members".into());
        }
        match &self.rule {
            Rule::Majority | Rule::Half => None,
            Rule::Threshold(enough) if (1..=size).contains(enough) => None,
            Rule::Threshold(enough) => Some(format!("{enough} of {size} members")),
            Rule::Weighted { weights, .. } => {
                let all = weights
                    .values()
                    .try_fold(0u64, |sum, &votes| sum.checked_add(votes));
                if let Some(id) = weights.keys().find(|id| stranger(id)) {
                    return Some(format!("{id} is no member"));
                }
                if let Some(id) = self.members.iter().find(|id| !weights.contains_key(id)) {
                    return Some(format!("{id} has no votes; give it 0 if that is meant"));
                }
                let Some(all) = all else {
                    return Some("the votes cannot be counted in 64 bits".into());
                };
                let enough = self.enough();
                (enough == 0 || enough > all).then(|| format!("{enough} of {all} votes"))
            }
            Rule::Grid { lines, columns } | Rule::GridRead { lines, columns } => {
                let places = lines.checked_mul(*columns);
                (places != Some(size)).then(|| format!("{lines} lines of {columns} are not {size}"))
            }
            Rule::Sets(sets) => {
                if let Some(id) = sets.iter().flatten().find(|id| stranger(id)) {
                    return Some(format!("{id} is no member"));
                }
                let hollow = sets.is_empty() || sets.iter().any(Vec::is_empty);
                hollow.then(|| "nobody is no quorum".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn members(count: u64) -> Vec<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    fn system(rule: &str, count: u64) -> System {
        let rule = rule.parse().expect("a rule");
        System::new(rule, &members(count)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn enough(rule: &str, count: u64, ids: &[u64]) -> bool {
        system(rule, count).is_quorum(|id| ids.contains(&id.0))
    }

    #[test]
    fn counts_and_votes() {
        assert!(enough("majority", 3, &[1, 3]) && !enough("majority", 4, &[1, 3]));
        assert!(enough("threshold:1", 3, &[2]) && !enough("threshold:1", 3, &[]));
        let weighted = "weighted:n1=2,n2=1,n3=1,n4=0";
        assert!(enough(weighted, 4, &[1, 2]) && !enough(weighted, 4, &[2, 3, 4]));
        assert!(enough("weighted:n1=2,n2=1,n3=1,enough=2", 3, &[1]));
    }

    /// Checklist H6: a write is a full line and one of each line below, a read is one of each line.
    #[test]
    fn grids() {
        // 1 2 3
        // 4 5 6
        assert!(enough("grid:2x3", 6, &[1, 2, 3, 5]));
        assert!(
            !enough("grid:2x3", 6, &[1, 2, 3]),
            "nobody of the line below"
        );
        assert!(enough("grid:2x3", 6, &[4, 5, 6]), "there is no line below");
        assert!(!enough("grid:2x3", 6, &[1, 2, 4, 5]), "no line is full");
        assert!(enough("grid-read:2x3", 6, &[1, 6]));
        assert!(!enough("grid-read:2x3", 6, &[1, 2, 3]));
    }

    #[test]
    fn sets_and_all_that_contains_them() {
        let sets = "sets:n1+n2,n2+n3";
        assert!(enough(sets, 4, &[2, 3, 4]) && !enough(sets, 4, &[1, 3, 4]));
    }

    #[test]
    fn what_a_quorum_has_reached() {
        let reached = |rule| system(rule, 3).reached(|id| id.0 * 10);
        assert_eq!(reached("threshold:1"), 30);
        assert_eq!(reached("majority"), 20);
        assert_eq!(reached("threshold:3"), 10);
        assert_eq!(reached("sets:n1,n2+n3"), 20);
    }

    #[test]
    fn other_names_change_nothing_else() {
        let exchange = |id: NodeId| NodeId(7 - id.0);
        for rule in ["grid:2x3", "grid-read:3x2", "sets:n1+n2,n6", "threshold:4"] {
            let system = system(rule, 6);
            let renamed = system.renamed(exchange);
            for mask in 0..64u32 {
                let agrees = |id: NodeId| mask >> (id.0 - 1) & 1 == 1;
                let same = renamed.is_quorum(|id| agrees(exchange(id)));
                assert_eq!(system.is_quorum(agrees), same, "{rule} {mask:b}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_reason() {
        for (rule, count, why) in [
            ("threshold:0", 3, "0 of 3 members"),
            ("threshold:4", 3, "4 of 3 members"),
            ("weighted:n1=1,n4=1", 3, "n4 is no member"),
            ("weighted:n1=1,n2=1", 3, "n3 has no votes"),
            ("weighted:n1=0,n2=0", 2, "1 of 0 votes"),
            ("weighted:n1=1,enough=0", 1, "0 of 1 votes"),
            ("grid:2x3", 5, "2 lines of 3 are not 5"),
            ("grid:0x0", 3, "0 lines of 0 are not 3"),
            ("sets:n1+n9", 3, "n9 is no member"),
            ("majority", 0, "there are no members"),
        ] {
            let system = System::new(rule.parse().expect("a rule"), &members(count));
            let error = system.expect_err(rule).to_string();
            assert!(error.contains(why), "{error}");
        }
        let nobody = System::new(Rule::Sets(vec![]), &members(2));
        assert!(nobody.is_err());
    }
}
