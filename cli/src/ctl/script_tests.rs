use super::*;
use quorate_client::proto::{DeleteRangeRequest, PutRequest, RangeRequest};

fn read(text: &str) -> TxnRequest {
    let mut script = Script::new();
    for line in text.lines() {
        script.line(line).expect(line);
    }
    script.finish()
}

#[test]
fn the_example_of_etcdctl() {
    let txn = read(
        "mod(\"key1\") > \"0\"\n\nput key1 \"overwrote-key1\"\n\nput key1 \"created-key1\"\nput key2 \"some extra key\"\n\n",
    );
    assert_eq!(txn.compare.len(), 1);
    assert_eq!(txn.compare[0].result(), CompareResult::Greater);
    assert_eq!(
        txn.compare[0].target_union,
        Some(TargetUnion::ModRevision(0))
    );
    let put = |key: &'static str, value: &'static str| RequestOp {
        request: Some(Request::RequestPut(PutRequest {
            key: key.into(),
            value: value.into(),
            ..Default::default()
        })),
    };
    assert_eq!(txn.success, [put("key1", "overwrote-key1")]);
    assert_eq!(
        txn.failure,
        [put("key1", "created-key1"), put("key2", "some extra key")]
    );
}

#[test]
fn every_target_and_operator() {
    for (line, target, result, union) in [
        (
            "ver(\"k\") = \"3\"",
            CompareTarget::Version,
            CompareResult::Equal,
            TargetUnion::Version(3),
        ),
        (
            "version(k) != 3",
            CompareTarget::Version,
            CompareResult::NotEqual,
            TargetUnion::Version(3),
        ),
        (
            "c(\"k\")<\"3\"",
            CompareTarget::Create,
            CompareResult::Less,
            TargetUnion::CreateRevision(3),
        ),
        (
            "create(\"k\") > \"-3\"",
            CompareTarget::Create,
            CompareResult::Greater,
            TargetUnion::CreateRevision(-3),
        ),
        (
            "m(`k`) = `3`",
            CompareTarget::Mod,
            CompareResult::Equal,
            TargetUnion::ModRevision(3),
        ),
        (
            "val(\"k\") = \"a b\"",
            CompareTarget::Value,
            CompareResult::Equal,
            TargetUnion::Value("a b".into()),
        ),
        (
            "value(\"k\") = \"\"",
            CompareTarget::Value,
            CompareResult::Equal,
            TargetUnion::Value("".into()),
        ),
        (
            "lease(\"k\") = \"1f\"",
            CompareTarget::Lease,
            CompareResult::Equal,
            TargetUnion::Lease(0x1f),
        ),
    ] {
        let read = compare(line).expect(line);
        assert_eq!((read.target(), read.result()), (target, result), "{line}");
        assert_eq!(
            (&read.key[..], read.target_union),
            (&b"k"[..], Some(union)),
            "{line}"
        );
    }
}

#[test]
fn operations_take_the_options_of_their_commands() {
    let txn = read(
        "\nget \"a b\" --prefix --limit=3 --sort-by=MODIFY\ndel a c --prev-kv\nput k v --lease=1f --prev-kv\n\nget a\n\n",
    );
    let requests: Vec<_> = txn
        .success
        .into_iter()
        .filter_map(|op| op.request)
        .collect();
    let [
        Request::RequestRange(get),
        Request::RequestDeleteRange(del),
        Request::RequestPut(put),
    ] = &requests[..]
    else {
        panic!("{requests:?}");
    };
    let RangeRequest {
        key,
        range_end,
        limit,
        ..
    } = get;
    assert_eq!(
        (&key[..], &range_end[..], *limit),
        (&b"a b"[..], &b"a c"[..], 3)
    );
    let DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    } = del;
    assert_eq!(
        (&key[..], &range_end[..], *prev_kv),
        (&b"a"[..], &b"c"[..], true)
    );
    assert_eq!((put.lease, put.prev_kv), (0x1f, true));
    assert_eq!(txn.failure.len(), 1);
}

#[test]
fn quoted_words_may_hold_any_bytes() {
    let quoted = r#"put "\x00\xff\n\t\"\\\u00e9\101" 'raw \n' "" `back \x`"#;
    let words = words(quoted).expect("words");
    let words: Vec<Vec<u8>> = words.into_iter().map(OsString::into_vec).collect();
    assert_eq!(words[1], b"\x00\xff\n\t\"\\\xc3\xa9A");
    assert_eq!(words[2], b"raw \\n");
    assert_eq!(words[3], b"");
    assert_eq!(words[4], b"back \\x");
}

#[test]
fn malformed_lines_are_refused_with_what_to_write() {
    for (line, hint) in [
        ("mod(\"a\") > \"0", "no comparison"),
        ("mod(\"a\"", "no comparison"),
        ("mod(\"a\") <> \"0\"", "no comparison"),
        ("mod(\"a\") > \"0\" x", "no comparison"),
        ("frob(\"a\") = \"0\"", "no comparison"),
        ("mod(\"a\") > \"x\"", "no decimal number"),
        ("lease(\"a\") = \"xyz\"", "no hexadecimal number"),
        ("get", "no comparison"),
    ] {
        let error = compare(line).expect_err(line);
        assert!(
            error.is::<Usage>() && error.to_string().contains(hint),
            "{line}: {error}"
        );
    }
    for (line, hint) in [
        ("frob a", "no get, put or del"),
        ("get", "no get, put or del"),
        ("get a --frob", "--frob"),
        ("put a", "no value"),
        ("put a \"b", "not closed"),
        (r#"put a "\q""#, "wrong escape"),
        (r#"put a "\x4""#, "wrong escape"),
        (r#"put a "\400""#, "wrong escape"),
        (r#"put a "\ud800""#, "wrong escape"),
    ] {
        let error = operation(line).expect_err(line);
        assert!(
            error.is::<Usage>() && error.to_string().contains(hint),
            "{line}: {error}"
        );
    }
}

#[test]
fn any_line_is_read_or_refused_without_a_panic() {
    let pieces = [
        "mod(", "\"", "\\", "x", "é", "(", ")", "=", "1", " ", "put", "`", "'", "\\u12", "\\x",
    ];
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut line = String::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            line.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        let _ = (compare(&line), words(&line));
    }
}
