use super::*;

/// The specification: which code comes with which text.
const TABLE: &[(i32, &[&str])] = &[
    (
        3, // InvalidArgument
        &[
            "key is not provided",
            "key not found",
            "value is provided",
            "lease is provided",
            "too many operations in txn request",
            "duplicate key given in txn request",
            "invalid sort option",
            "invalid compare target or result in txn request",
            "request is too large",
            "given member URLs are invalid",
            "wrong downgrade target version format",
            "invalid downgrade target version",
            "alarm type is not known",
        ],
    ),
    (
        11, // OutOfRange
        &[
            "mvcc: required revision has been compacted",
            "mvcc: required revision is a future revision",
            "too large lease TTL",
        ],
    ),
    (
        5, // NotFound
        &["requested lease not found", "member not found"],
    ),
    (
        9, // FailedPrecondition
        &[
            "lease already exists",
            "not leader",
            "bad leader transferee",
            "member ID already exist",
            "Peer URLs already exists",
            "can only promote a learner member",
            "re-configuration failed due to not enough started members",
            "too many learner members in cluster",
            "can only promote a learner member which is in sync with leader",
            "no inflight downgrade job",
        ],
    ),
    (
        8, // ResourceExhausted
        &["too many requests", "mvcc: database space exceeded"],
    ),
    (
        14, // Unavailable
        &[
            "no leader",
            "server stopped",
            "unhealthy cluster",
            "rpc not supported for learner",
            "request timed out",
            "request timed out, leader transfer took too long",
        ],
    ),
    (15 /* DataLoss */, &["corrupt cluster"]),
];

#[test]
fn codes_and_texts_are_those_of_the_specification() {
    let mut expected = Vec::new();
    for (code, texts) in TABLE {
        expected.extend(
            texts
                .iter()
                .map(|text| (*code, format!("etcdserver: {text}"))),
        );
    }
    let mut found: Vec<_> = ALL
        .iter()
        .map(|refusal| Status::from(*refusal))
        .map(|status| (i32::from(status.code()), status.message().to_owned()))
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn refusals_of_the_service_keep_their_meaning() {
    for (error, refusal) in [
        (Error::Compacted { compacted: 3 }, COMPACTED),
        (Error::FutureRevision { current: 3 }, FUTURE_REVISION),
        (Error::KeyNotFound, KEY_NOT_FOUND),
        (Error::LeaseNotFound, LEASE_NOT_FOUND),
        (Error::LeaseExists, LEASE_EXISTS),
        (Error::Timeout, TIMEOUT),
        (Error::NoLeader, NO_LEADER),
        (Error::TooManyRequests, TOO_MANY_REQUESTS),
        (Error::TooLarge, TOO_LARGE),
        (Error::Stopped, STOPPED),
        (Error::Storage("disk".into()), STOPPED),
        (Error::Damaged("byte".into()), CORRUPT),
    ] {
        let status = status(&error);
        assert_eq!((status.code(), status.message()), (refusal.0, refusal.1));
    }
}
