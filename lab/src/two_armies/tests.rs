//! However many letters, whatever the rules: some loss breaks the coordination.

use std::fmt::Write as _;

use quorate_core::{Block, Reader, Wire};
use quorate_sim::script::Session;

use super::{Letter, SUITE};

/// What breaks when `arrive` of so many letters arrive, under these rules.
fn campaign(letters: u32, rules: [&str; 2], proposed: bool, arrive: u32) -> Vec<String> {
    let mut script = format!(
        "cluster 2 letters={letters} first={} second={}\n",
        rules[0], rules[1]
    );
    if proposed {
        script.push_str("propose n1\n");
        for number in 1..=letters.min(arrive + 1) {
            let fate = if number <= arrive { "deliver" } else { "drop" };
            let ends = if number % 2 == 1 { "n1 n2" } else { "n2 n1" };
            let _ = writeln!(script, "{fate} {ends}");
        }
    }
    script.push_str("fire n1 Dawn\nfire n2 Dawn\n");
    let mut session = Session::new(&SUITE);
    for line in script.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let done = session.command(&words);
        done.unwrap_or_else(|error| panic!("{error} in `{line}` of\n{script}"));
    }
    session.violations().to_vec()
}

/// Every rule for a general who may receive so many letters: a digit for each number received.
fn rules(receives: u32) -> Vec<String> {
    let digits = receives + 1;
    let rule = |bits: u32| {
        let digit = |at: u32| if bits >> at & 1 == 1 { '1' } else { '0' };
        (0..digits).map(digit).collect()
    };
    (0..1 << digits).map(rule).collect()
}

/// A11. A rule that is worth anything lets both attack when every letter arrives, and nobody when
/// nothing was proposed. Each such pair of rules, for each number of letters, is broken by some loss.
#[test]
fn for_every_number_of_letters_and_every_rule_some_loss_breaks_the_coordination() {
    let mut tried = 0;
    for letters in 0..=5 {
        for first in rules(letters / 2) {
            for second in rules(letters.div_ceil(2)) {
                let pair = [first.as_str(), second.as_str()];
                let idle = campaign(letters, pair, false, 0);
                let attacks = first.ends_with('1') && second.ends_with('1');
                if !attacks || !idle.is_empty() {
                    continue;
                }
                tried += 1;
                let broken = (0..=letters).find(|&arrive| {
                    let broken = campaign(letters, pair, true, arrive);
                    broken.iter().any(|text| text.starts_with("coordination"))
                });
                assert!(broken.is_some(), "{letters} letters, {pair:?}");
            }
        }
    }
    // 1 + 2 + 4 + 8 + 16 pairs for one to five letters; without letters nobody could know.
    assert_eq!(tried, 31);
}

/// The regress: the plan in which both want all letters fails at the last one, however many there are.
#[test]
fn losing_the_last_letter_is_always_enough() {
    for letters in 1..=12u32 {
        let all = |receives: u32| "0".repeat(usize::try_from(receives).expect("small")) + "1";
        let (first, second) = (all(letters / 2), all(letters.div_ceil(2)));
        let pair = [first.as_str(), second.as_str()];
        assert!(campaign(letters, pair, true, letters).is_empty());
        let broken = campaign(letters, pair, true, letters - 1);
        assert_eq!(broken.len(), 1, "{letters} letters: {broken:?}");
        assert!(broken[0].starts_with("coordination"), "{broken:?}");
        // Earlier losses are noticed in time: nobody attacks.
        for arrive in 0..letters - 1 {
            assert!(campaign(letters, pair, true, arrive).is_empty());
        }
    }
}

#[test]
fn letters_survive_the_wire() {
    for letter in [Letter::Proposal, Letter::Acknowledged { letter: 7 }] {
        let mut bytes = Vec::new();
        letter.encode(&mut bytes);
        let block: Block = bytes.into();
        assert_eq!(Letter::decode(&mut Reader::new(&block)), Ok(letter));
    }
    let block: Block = vec![0; 4].into();
    assert!(Letter::decode(&mut Reader::new(&block)).is_err());
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let refused = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut session = Session::new(&SUITE);
        session.command(&words).expect_err("it makes no sense")
    };
    assert!(refused("cluster 3").contains("two armies"));
    assert!(refused("cluster 2 letter=3").contains("perhaps letters"));
    assert!(refused("cluster 2 first=02").contains("first=02"));
    assert!(refused("cluster 2 letters=9999").contains("at most"));
}
