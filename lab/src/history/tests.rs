//! Histories go out and come back; what makes no sense is refused with its line; verdicts name the
//! lines that contradict one another.

use quorate_problems::key_value::{Shape, invent, spoil};
use quorate_problems::linearizable::CONFIGURATIONS_MAX;

use super::*;

const STORE: &str = r#"{"history":1,"of":"key-value"}"#;
const REGISTER: &str = r#"{"history":1,"of":"register"}"#;

fn lines(header: &str, lines: &[&str]) -> String {
    [&[header], lines].concat().join("\n")
}

fn refused(content: &str) -> String {
    match read(content) {
        Err(error) => error.to_string(),
        Ok(imported) => panic!("expected an error, found {imported:?}"),
    }
}

fn report(content: &str, claim: Option<Claim>) -> (Option<bool>, String) {
    let imported = read(content).expect("well-formed");
    let report = verify(&imported, claim, CONFIGURATIONS_MAX).expect("a claim that fits");
    (report.holds(), report.text(false))
}

#[test]
fn histories_go_out_and_come_back() {
    let shape = Shape {
        operations: 300,
        processes: 8,
        keys: 5,
        gets: 40,
        transactions: 20,
        lost: 50,
        values: None,
    };
    for seed in 0..20 {
        let mut names = ();
        let text = |_: &mut (), number: &u32| number.to_string();
        let history = spoil(&invent(&shape, seed), seed).map(
            &mut names,
            |names, input| input.rename(names, text, text),
            |names, output| output.rename(names, text),
        );
        let written = write_key_value(&history);
        let imported = read(&written).expect("what was written can be read");
        let Object::KeyValue(again) = &imported.object else {
            panic!("another object")
        };
        assert_eq!(again.operations(), history.operations());
        assert_eq!(imported.lines[0].0, 2);
        assert_eq!(write_key_value(again), written);
    }
}

#[test]
fn registers_go_out_and_come_back() {
    let content = lines(
        REGISTER,
        &[
            r#"{"call":1,"op":"write","process":1,"return":3,"value":"a"}"#,
            r#"{"call":2,"found":"a","op":"read","process":2,"return":4}"#,
            r#"{"call":5,"op":"write","process":1,"value":"b"}"#,
            "",
        ],
    );
    let imported = read(&content).expect("well-formed");
    let Object::Register(history) = &imported.object else {
        panic!("another object")
    };
    let header = r#"{"history":1,"of":"register"}"#;
    assert_eq!(write_register(history), content.replace(REGISTER, header));
    assert_eq!(imported.lines, [(2, Some(2)), (3, Some(3)), (4, None)]);
}

#[test]
fn events_and_whole_operations_say_the_same() {
    let events = lines(
        STORE,
        &[
            r#"{"event":"call","process":1,"time":10,"op":"put","key":"x","value":1}"#,
            r#"{"event":"call","process":2,"time":11,"op":"swap","key":"x","expected":1,"new":null}"#,
            r#"{"event":"return","process":1,"time":12}"#,
            r#"{"event":"return","process":2,"time":13,"held":true}"#,
            r#"{"event":"call","process":2,"time":14,"op":"delete","key":"x"}"#,
            r#"{"event":"lost","process":2,"time":15}"#,
            r#"{"event":"call","process":2,"time":16,"op":"delete","key":"y"}"#,
            r#"{"event":"failed","process":2,"time":17}"#,
        ],
    );
    let whole = lines(
        STORE,
        &[
            r#"{"process":2,"call":14,"op":"delete","key":"x"}"#,
            r#"{"process":2,"call":11,"return":13,"op":"swap","key":"x","expected":1,"new":null,"held":true}"#,
            r#"{"process":1,"call":10,"return":12,"op":"put","key":"x","value":1}"#,
        ],
    );
    let (events, whole) = (read(&events), read(&whole));
    let (events, whole) = (events.expect("well-formed"), whole.expect("well-formed"));
    let operations = |imported: &Imported| match &imported.object {
        Object::KeyValue(history) => history.operations().to_vec(),
        Object::Register(_) => panic!("another object"),
    };
    assert_eq!(operations(&events), operations(&whole));
    assert_eq!(events.lines, [(2, Some(4)), (3, Some(5)), (6, None)]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line() {
    let call = r#"{"event":"call","process":1,"time":5,"op":"get","key":"x"}"#;
    let cases: &[(&str, &[&str], &str)] = &[
        ("", &[], "line 1: expected a first line such as"),
        ("{", &[], "line 1: expected one JSON object on this line"),
        ("[]", &[], "line 1: expected a JSON object, found []"),
        (
            call,
            &[],
            "line 1: expected a field \"history\" with a number",
        ),
        (
            r#"{"history":2,"of":"register"}"#,
            &[],
            "line 1: expected version 1 of the format, found 2",
        ),
        (
            r#"{"history":1,"of":"keyvalue"}"#,
            &[],
            "found \"keyvalue\"; the nearest is \"key-value\"",
        ),
        (
            STORE,
            &[r#"{"event":"return","process":1,"found":1}"#],
            "line 2: process 1 has no open operation; expected a call before its reply",
        ),
        (
            STORE,
            &[call, call],
            "line 3: process 1 calls while its last operation is still open",
        ),
        (
            STORE,
            &[call, r#"{"event":"return","process":1,"time":4,"found":1}"#],
            "line 3: moment 4 comes after moment 5",
        ),
        (
            STORE,
            &[call, r#"{"event":"return","process":1,"time":6}"#],
            "line 3: expected the answer to a get with \"found\"",
        ),
        (
            STORE,
            &[call, r#"{"event":"reply","process":1}"#],
            "line 3: expected \"event\" to be one of call, return, lost, failed",
        ),
        (
            STORE,
            &[r#"{"process":1,"call":5,"return":3,"op":"delete","key":"x"}"#],
            "line 2: process 1 got its reply at 3, before its call at 5",
        ),
        (
            STORE,
            &[r#"{"process":1,"call":5,"op":"puts","key":"x","value":1}"#],
            "found \"puts\"; the nearest is \"put\"",
        ),
        (
            STORE,
            &[r#"{"process":1,"call":5,"op":"put","key":"x"}"#],
            "line 2: expected a field \"value\"",
        ),
        (
            STORE,
            &[r#"{"process":1,"call":5,"op":"put","key":"x","value":null}"#],
            "line 2: expected \"value\" to be something",
        ),
        (
            STORE,
            &[r#"{"process":-1,"call":5,"op":"get","key":"x"}"#],
            "line 2: expected \"process\" to be a whole number",
        ),
        (
            STORE,
            &[r#"{"process":1,"call":5,"op":"get","key":"x","value":1}"#],
            "line 2: did not expect a field \"value\" here",
        ),
        (
            STORE,
            &[r#"{"process":1,"call":5,"op":"transaction","then":[{"op":"swap","key":1}]}"#],
            "line 2: expected \"op\" to be one of get, put, delete",
        ),
        (
            STORE,
            &[r#"{"process":1,"call":5,"op":"transaction","then":7}"#],
            "line 2: expected \"then\" to be a list",
        ),
        (
            STORE,
            &[
                r#"{"process":1,"call":5,"return":9,"op":"delete","key":"x"}"#,
                r#"{"process":1,"call":6,"op":"delete","key":"x"}"#,
            ],
            "line 3: process 1 calls while its last operation is still open",
        ),
        (
            REGISTER,
            &[r#"{"process":1,"call":5,"op":"get","key":"x"}"#],
            "expected \"op\" to be one of read, write",
        ),
    ];
    for (header, rest, expected) in cases {
        let found = refused(&lines(header, rest));
        assert!(
            found.contains(expected),
            "expected {expected:?}, found {found:?}"
        );
    }
}

#[test]
fn a_stale_read_is_shown_with_its_lines() {
    let content = lines(
        STORE,
        &[
            r#"{"process":1,"call":0,"return":1,"op":"put","key":"x","value":"old"}"#,
            r#"{"process":3,"call":0,"return":9,"op":"put","key":"other","value":"old"}"#,
            r#"{"process":1,"call":2,"return":3,"op":"put","key":"x","value":"new"}"#,
            r#"{"process":2,"call":4,"return":5,"op":"get","key":"x","found":"old"}"#,
        ],
    );
    let (holds, text) = report(&content, None);
    assert_eq!(holds, Some(false));
    let expected = "\
4 operations of 3 processes, 0 of them without an answer
linearizable key-value store: no
  no order of the operations explains these together:
    line 4: process 1, 2 to 3: {\"key\":\"x\",\"op\":\"put\",\"value\":\"new\"} -> done
    line 5: process 2, 4 to 5: {\"key\":\"x\",\"op\":\"get\"} -> {\"found\":\"old\"}
  whatever became of:
    line 2: process 1, 0 to 1: {\"key\":\"x\",\"op\":\"put\",\"value\":\"old\"} -> done
";
    assert_eq!(text, expected);
}

#[test]
fn claims_of_registers_differ() {
    let inversion = lines(
        REGISTER,
        &[
            r#"{"process":1,"call":0,"return":1,"op":"write","value":1}"#,
            r#"{"process":1,"call":2,"return":9,"op":"write","value":2}"#,
            r#"{"process":2,"call":3,"return":4,"op":"read","found":2}"#,
            r#"{"process":3,"call":5,"return":6,"op":"read","found":1}"#,
        ],
    );
    for (claim, expected) in [
        (Claim::Safe, true),
        (Claim::Regular, true),
        (Claim::AtomicOneWriter, false),
        (Claim::Atomic, false),
    ] {
        assert_eq!(
            report(&inversion, Some(claim)).0,
            Some(expected),
            "{claim:?}"
        );
    }
    let (_, text) = report(&inversion, Some(Claim::AtomicOneWriter));
    assert!(text.contains("a new-old inversion"), "{text}");
    let imported = read(&inversion).expect("well-formed");
    let other = verify(&imported, Some(Claim::KeyValue), 1).expect_err("it is a register");
    assert!(
        other.to_string().contains("expected --as safe, regular"),
        "{other}"
    );
}

#[test]
fn timestamps_are_judged_where_there_are_any() {
    let content = lines(
        STORE,
        &[
            r#"{"process":1,"call":0,"return":1,"op":"put","key":"x","value":1,"timestamp":20}"#,
            r#"{"process":2,"call":2,"return":3,"op":"put","key":"y","value":1,"timestamp":10}"#,
        ],
    );
    let (holds, text) = report(&content, None);
    assert_eq!(holds, Some(false));
    assert!(text.contains("linearizable key-value store: yes"), "{text}");
    assert!(
        text.contains("externally consistent timestamps: no"),
        "{text}"
    );
}

#[test]
fn a_bound_leaves_the_question_open() {
    let content = lines(
        STORE,
        &[
            r#"{"process":1,"call":0,"return":9,"op":"put","key":"x","value":1}"#,
            r#"{"process":2,"call":0,"return":9,"op":"put","key":"x","value":2}"#,
            r#"{"process":3,"call":10,"return":11,"op":"get","key":"x","found":1}"#,
        ],
    );
    let imported = read(&content).expect("well-formed");
    let report = verify(&imported, None, 1).expect("a claim that fits");
    assert_eq!(report.holds(), None);
    assert!(report.text(false).contains("gave up after"));
    let json = report.json(false);
    assert!(json["findings"][0]["holds"].is_null(), "{json}");
    let report = verify(&imported, None, 100).expect("a claim that fits");
    assert_eq!(
        report.json(true)["findings"][0]["points"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}
