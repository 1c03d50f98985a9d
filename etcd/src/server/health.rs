//! `/livez`, `/readyz` and `/health`: is the process worth keeping, and is it worth asking?
//!
//! The first two are made of checks, each of which has a path of its own too, and may be left out with
//! `?exclude=`; `?verbose` shows them one by one.

use bytes::Bytes;
use quorate_service::command::{KeyRange, Range};
use quorate_service::health::AlarmKind;

use crate::context::Context;

/// One thing that can be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Check {
    /// The store can be read.
    SerializableRead,
    /// A leader confirms that what is read is the newest.
    LinearizableRead,
    /// This member has the state that the others have.
    DataCorruption,
    /// This member has a vote.
    NonLearner,
    /// This member does all that others count on; it makes up for nothing that it forgot.
    Whole,
}

const LIVEZ: &[Check] = &[Check::SerializableRead];
const READYZ: &[Check] = &[
    Check::DataCorruption,
    Check::LinearizableRead,
    Check::NonLearner,
    Check::SerializableRead,
    Check::Whole,
];

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::DataCorruption => "data_corruption",
            Check::NonLearner => "non_learner",
            Check::Whole => "whole",
        }
    }

    async fn run(self, context: &Context) -> Result<(), String> {
        let me = context.options().member_id;
        match self {
            Check::SerializableRead => {
                let any = Range {
                    range: KeyRange {
                        key: Bytes::from_static(b"\0"),
                        end: Bytes::new(),
                    },
                    ..Range::default()
                };
                let read = context.view().range(&any);
                read.map(|_| ()).map_err(|error| error.to_string())
            }
            Check::LinearizableRead => match context.latest().await {
                Ok(_) => Ok(()),
                Err(status) => Err(status.message().to_owned()),
            },
            Check::DataCorruption => match context.view().health().is_corrupt(me) {
                false => Ok(()),
                true => Err("alarm activated: CORRUPT".to_owned()),
            },
            Check::NonLearner => match context.check_vote() {
                Ok(()) => Ok(()),
                Err(_) => Err("not supported for learner".to_owned()),
            },
            Check::Whole => match context.service().status().whole {
                true => Ok(()),
                false => Err("it makes up for what it forgot".to_owned()),
            },
        }
    }
}

/// The checks behind a path, if it has any.
pub(super) fn checks(path: &str, query: &str) -> Option<Vec<Check>> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let all = match parts.next()? {
        "livez" => LIVEZ,
        "readyz" => READYZ,
        _ => return None,
    };
    match (parts.next(), parts.next()) {
        (None, _) => {
            let excluded = excluded(query);
            let kept = all.iter().filter(|check| !excluded.contains(&check.name()));
            Some(kept.copied().collect())
        }
        (Some(name), None) => {
            let one = all.iter().find(|check| check.name() == name)?;
            Some(vec![*one])
        }
        (Some(_), Some(_)) => None,
    }
}

/// What a query wants left out.
fn excluded(query: &str) -> Vec<&str> {
    let parts = query.split('&');
    let values = parts.filter_map(|part| part.strip_prefix("exclude="));
    values.flat_map(|value| value.split(',')).collect()
}

/// Runs the checks; what to answer, and whether all is well.
pub(super) async fn run(context: &Context, checks: &[Check], query: &str) -> (bool, String) {
    let mut text = String::new();
    let mut is_well = true;
    for check in checks {
        let name = check.name();
        match check.run(context).await {
            Ok(()) => text.push_str(&format!("[+]{name} ok\n")),
            Err(reason) => {
                is_well = false;
                text.push_str(&format!("[-]{name} failed: {reason}\n"));
            }
        }
    }
    let is_verbose = query
        .split('&')
        .any(|part| part == "verbose" || part.starts_with("verbose="));
    if is_well {
        if !is_verbose {
            text.clear();
        }
        text.push_str("ok\n");
    }
    (is_well, text)
}

/// Whether a client is well served here: without alarms, and by linearizable reads, unless it says that it
/// can do without either. The reason if it is not; our own text, without quotes.
pub(super) async fn health(context: &Context, query: &str) -> Result<(), String> {
    let excluded = excluded(query);
    let me = context.options().member_id;
    {
        let view = context.view();
        let health = view.health();
        let alarms = [
            ("NOSPACE", health.has(AlarmKind::NoSpace)),
            ("CORRUPT", health.is_corrupt(me)),
        ];
        for (name, is_raised) in alarms {
            if is_raised && !excluded.contains(&name) {
                return Err(format!("ALARM {name}"));
            }
        }
    }
    if query.split('&').any(|part| part == "serializable=true") {
        return Ok(());
    }
    if context.leader().is_none() {
        return Err("RAFT NO LEADER".to_owned());
    }
    match context.latest().await {
        Ok(_) => Ok(()),
        Err(status) => Err(format!("RANGE ERROR:{}", status.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_have_paths() {
        assert_eq!(checks("/livez", ""), Some(LIVEZ.to_vec()));
        assert_eq!(checks("/readyz", "verbose"), Some(READYZ.to_vec()));
        assert_eq!(
            checks("/readyz/non_learner", ""),
            Some(vec![Check::NonLearner])
        );
        let query = "verbose&exclude=linearizable_read&exclude=whole,data_corruption";
        assert_eq!(
            checks("/readyz", query),
            Some(vec![Check::NonLearner, Check::SerializableRead])
        );
        for path in [
            "/",
            "/healthz",
            "/livez/non_learner",
            "/readyz/",
            "/readyz/whole/x",
        ] {
            assert_eq!(checks(path, ""), None, "{path}");
        }
    }
}
