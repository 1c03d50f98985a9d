//! Serializable reads: answered from whatever a machine has applied, without asking anybody. What one
//! shows may be old, but it was true of all keys at one moment, and at one machine time does not go back.

use std::collections::BTreeMap;

use quorate_core::{Choice, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_service::reply::Revision;
use quorate_service::store::View;

use super::judge::Outcome;
use super::network::draw;
use super::plan::Settings;
use super::session::{self, Answer, Key, Value, key_number, value_number};
use super::world::{Event, MS, World};

/// How long somebody waits between two glances.
const PAUSE: u64 = 30 * MS;

/// How many keys are read at once.
const KEYS: u64 = 3;

/// Whoever reads what happens to be there.
pub(super) struct Reader {
    choice: Choice,
}

impl Reader {
    pub(super) fn all(settings: &Settings) -> Vec<Reader> {
        let reader = |number: u64| Reader {
            choice: Choice::Seeded(settings.seed ^ ((0x91a_4ce + number) << 22)),
        };
        (0..settings.glances).map(reader).collect()
    }
}

/// What was seen at one moment.
#[derive(Debug)]
pub(super) struct Glance {
    /// Where, and in which of the machine's processes.
    place: (usize, u32),
    revision: i64,
    keys: Vec<(Key, Option<Value>)>,
}

/// All glances so far.
#[derive(Default)]
pub(super) struct Glances {
    all: Vec<Glance>,
    /// What each process showed last.
    last: BTreeMap<(usize, u32), i64>,
}

impl Glances {
    /// Somebody reads.
    pub(super) fn on_glance(&mut self, glance: Glance) -> Outcome {
        let last = self.last.insert(glance.place, glance.revision);
        if last > Some(glance.revision) {
            let (at, before) = (glance.place.0 + 1, last.unwrap_or_default());
            return Err(format!(
                "serializable reads: n{at} showed revision {before}, and then {}",
                glance.revision
            ));
        }
        self.all.push(glance);
        Ok(())
    }

    /// Each saw the state of its revision, as all changes from the first on tell it.
    pub(super) fn were_true(&mut self, changes: &[Revision]) -> Outcome {
        self.all.sort_by_key(|glance| glance.revision);
        let mut state: BTreeMap<Key, Value> = BTreeMap::new();
        let mut changes = changes.iter().peekable();
        for glance in &self.all {
            while let Some(change) = changes.next_if(|change| change.revision <= glance.revision) {
                for event in &change.events {
                    let Some(key) = key_number(&event.kv.key) else {
                        continue;
                    };
                    match value_number(&event.kv.value).filter(|_| !event.deleted) {
                        Some(value) => state.insert(key, value),
                        None => state.remove(&key),
                    };
                }
            }
            let wrong = glance
                .keys
                .iter()
                .find(|(key, value)| state.get(key) != value.as_ref());
            if let Some((key, value)) = wrong {
                return Err(format!(
                    "serializable reads: n{} showed {value:?} at key {key} as of revision {}, \
                     when it was {:?}",
                    glance.place.0 + 1,
                    glance.revision,
                    state.get(key)
                ));
            }
        }
        Ok(())
    }
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// A reader's turn.
    pub(super) fn glance(&mut self, number: usize) -> Outcome {
        if self.quiet {
            return Ok(());
        }
        let (machines, keys) = (self.machines.len() as u32, self.settings.keys.max(1));
        let choice = &mut self.readers[number].choice;
        let at = choice.choose(machines) as usize;
        let first = u64::from(choice.choose(u32::try_from(keys).unwrap_or(u32::MAX)));
        let pause = draw(choice, PAUSE);
        self.agenda.plan_in(pause, Event::Glance(number));
        let machine = &self.machines[at];
        let Some(process) = machine.process.as_ref().filter(|_| !machine.paused) else {
            return Ok(());
        };
        let place = (at, machine.life);
        match read(&process.service.view(), place, first, keys)? {
            Some(glance) => {
                self.summary.glances += 1;
                self.judge.glances.on_glance(glance)
            }
            None => Ok(()), // Its disk has failed, and it is about to end.
        }
    }
}

/// Reads some keys of one state.
fn read(view: &View, place: (usize, u32), first: Key, keys: u64) -> Result<Option<Glance>, String> {
    let mut found = Vec::new();
    for key in (first..first + KEYS.min(keys)).map(|key| key % keys) {
        match session::look_up(key, view)? {
            Some((Answer::Value(value), _)) => found.push((key, value)),
            _ => return Ok(None),
        }
    }
    Ok(Some(Glance {
        place,
        revision: view.revision(),
        keys: found,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_service::reply::{Event as Change, KeyValue};

    fn put(revision: i64, key: Key, value: Value) -> Revision {
        let kv = KeyValue {
            key: session::key_name(key),
            value: session::value_text(value, 4),
            ..KeyValue::default()
        };
        let event = Change {
            deleted: false,
            kv,
            prev_kv: None,
        };
        Revision {
            revision,
            events: vec![event],
        }
    }

    fn glance(life: u32, revision: i64, keys: &[(Key, Option<Value>)]) -> Glance {
        Glance {
            place: (0, life),
            revision,
            keys: keys.to_vec(),
        }
    }

    fn verdict(glances: Vec<Glance>) -> Outcome {
        let mut all = Glances::default();
        for glance in glances {
            all.on_glance(glance)?;
        }
        all.were_true(&[put(2, 1, 10), put(3, 2, 20), put(4, 1, 11)])
    }

    #[test]
    fn old_states_may_be_shown_and_mixtures_may_not() {
        let (old, new) = (Some(10), Some(11));
        let fine = vec![
            glance(1, 2, &[(1, old), (2, None)]),
            glance(1, 4, &[(1, new), (2, Some(20))]),
            // What was in memory is gone with the process.
            glance(2, 3, &[(1, old), (2, Some(20))]),
        ];
        assert_eq!(verdict(fine), Ok(()));
        let mixed = vec![glance(1, 4, &[(1, old), (2, Some(20))])];
        assert!(verdict(mixed).is_err(), "one key is of an older revision");
        let early = vec![glance(1, 2, &[(2, Some(20))])];
        assert!(verdict(early).is_err(), "one key is of a later revision");
        let back = vec![glance(1, 4, &[(1, new)]), glance(1, 3, &[(1, old)])];
        assert!(verdict(back).is_err(), "time goes back");
    }
}
