use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

fn report(line: &str) -> Report {
    let flags = Line::parse_from(line.split(' ')).flags;
    let mut tally = Tally::new();
    for millis in 1..=1000 {
        tally.succeeded(Duration::from_millis(millis));
    }
    tally.failed_times("Unavailable: etcdserver: no leader".into(), 3);
    let mut report = Report::new(&flags);
    report.add("requests", &tally, Duration::from_secs(2));
    report.add_cost(Duration::from_micros(10_030));
    report
}

#[test]
fn the_text_says_what_was_measured() {
    let report = report("bench --endpoints a:1,b:2 put --clients 8 --conns 2");
    let text = report.text();
    for part in [
        "put: 8 clients on 2 connections, a:1, b:2\n",
        "requests: 1000 in 2.00 s, 500 per second\n",
        "min 1.000  mean 500.",
        "p50 500.",
        "p99 990.",
        "failed 3 times: Unavailable: etcdserver: no leader\n",
        "10.0 µs for each\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert_eq!((report.attempted(), report.failed()), (1003, 3));
}

#[test]
fn the_json_can_be_read_by_machines() {
    let report = report("bench put --total 5 --val-size 256");
    let json = serde_json::to_value(&report).expect("a report is JSON");
    assert_eq!(json["settings"]["load"], "put");
    assert_eq!(json["settings"]["val_size"], 256);
    assert_eq!(json["settings"]["total"], 5);
    let requests = &json["parts"]["requests"];
    assert_eq!(requests["succeeded"], 1000);
    assert_eq!(requests["failed"], 3);
    assert_eq!(requests["per_second"], 500.0);
    assert!(requests["latency_ms"]["p99_9"].as_f64() > Some(990.0));
}
