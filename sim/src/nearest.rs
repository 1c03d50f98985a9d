//! The valid choice that somebody perhaps meant.

/// The choice that is nearest to a name: the fewest letters to insert, remove or replace. None if
/// there are no choices, or all are so far away that naming one would only puzzle.
pub fn nearest<'a>(name: &str, choices: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let choices = choices.into_iter();
    let measured = choices.map(|choice| (distance(name, choice), choice));
    let (edits, choice) = measured.min_by_key(|(edits, _)| *edits)?;
    (edits < choice.chars().count().max(name.chars().count())).then_some(choice)
}

/// `: perhaps X`, to end a sentence about an unknown name with, or nothing.
pub fn perhaps<'a>(name: &str, choices: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, choices).map_or(String::new(), |choice| format!("; perhaps {choice}"))
}

/// How many letters must be inserted, removed or replaced to make one word of the other
/// (Levenshtein, 1966).
#[must_use]
pub fn distance(one: &str, two: &str) -> usize {
    let two: Vec<char> = two.chars().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = place + 1;
        for (at, &other) in two.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn the_nearest_is_named_unless_nothing_is_near() {
        let choices = ["figure-8", "read-index", "pre-vote"];
        assert_eq!(nearest("figure8", choices), Some("figure-8"));
        assert_eq!(nearest("xyz", choices), None);
        assert_eq!(nearest("xyz", []), None);
        assert_eq!(perhaps("prevote", choices), "; perhaps pre-vote");
    }
}
