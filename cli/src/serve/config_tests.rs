//! Flags that make sense, and flags that do not.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

fn config(line: &str) -> Result<Config> {
    let words = std::iter::once("serve").chain(line.split_whitespace());
    let line = Line::try_parse_from(words).map_err(|error| anyhow::anyhow!("{error}"))?;
    Config::from_flags(&line.flags)
}

fn refusal(line: &str) -> String {
    match config(line) {
        Ok(_) => panic!("{line:?} was accepted"),
        Err(error) => format!("{error:#}"),
    }
}

const THREE: &str =
    "--initial-cluster a=http://127.0.0.1:1,b=http://127.0.0.1:2,c=http://127.0.0.1:3";

fn one_of_three(name: &str, port: u16) -> Config {
    let line =
        format!("--name {name} --initial-advertise-peer-urls http://127.0.0.1:{port} {THREE}");
    config(&line).expect("it makes sense")
}

#[test]
fn without_flags_one_member_serves_on_loopback() {
    let config = config("").expect("the defaults make sense");
    assert_eq!(config.listen_client, ["127.0.0.1:2379"]);
    assert_eq!(config.members.len(), 1);
    assert_eq!(config.me.name, "default");
    assert_eq!(config.me.client_urls, ["http://127.0.0.1:2379"]);
}

#[test]
fn all_members_see_the_same_cluster() {
    let (a, c) = (one_of_three("a", 1), one_of_three("c", 3));
    assert_eq!(a.cluster_id, c.cluster_id);
    assert_eq!(a.members, c.members, "or the initial states would differ");
    assert_ne!(a.me.id, c.me.id);
}

#[test]
fn another_token_is_another_cluster() {
    let (one, two) = (config(""), config("--initial-cluster-token other"));
    let (one, two) = (one.expect("it makes sense"), two.expect("it makes sense"));
    assert_ne!(one.cluster_id, two.cluster_id);
    assert_ne!(one.me.id, two.me.id);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    for (line, told) in [
        (
            "--election-timeout 300",
            "--election-timeout[300ms] should be at least as 5 times as --heartbeat-interval[100ms]",
        ),
        (
            "--election-timeout 60000",
            "should be set less than 50000ms",
        ),
        ("--heartbeat-interval 0", "must be more than 0"),
        ("--max-txn-ops 0", "--max-txn-ops 0"),
        ("--max-request-bytes 0", "not between"),
        ("--listen-client-urls 127.0.0.1:2379", "has no scheme"),
        ("--listen-client-urls http://127.0.0.1", "has no port"),
        ("--listen-client-urls http://:2379", "has no host"),
        ("--listen-client-urls http://h:99999", "is not a port"),
        ("--listen-client-urls http://h:1/v3", "must not have a path"),
        ("--listen-client-urls https://h:1", "TLS is not there yet"),
        (
            "--lease-reads --protocol chain",
            "answers reads in its own way",
        ),
        ("--clock-drift-ppm 1000000", "a clock may stand still"),
        ("--listen-client-urls ,", "give at least one URL"),
        (
            "--initial-cluster a=http://h:1",
            "does not list a member named \"default\"",
        ),
        (
            "--initial-cluster default",
            "is not of the form NAME=PEER_URL",
        ),
        ("--initial-cluster default=http://h:1", "make them equal"),
        (
            "--initial-cluster default=http://127.0.0.1:2380,b=http://127.0.0.1:2380",
            "each member needs its own",
        ),
        (
            "--initial-cluster-state old",
            "possible values: new, existing",
        ),
        ("--heartbeat-intervall 5", "--heartbeat-interval"),
    ] {
        let refusal = refusal(line);
        assert!(refusal.contains(told), "{line:?} gave: {refusal}");
    }
}

#[test]
fn history_and_the_store_have_limits() {
    let limits = |line: &str| {
        let config = config(line).expect("it makes sense");
        (config.quota_bytes, config.retention)
    };
    let hour = Duration::from_secs(60 * 60);
    assert_eq!(limits(""), (Some(2 << 30), None));
    assert_eq!(limits("--quota-backend-bytes -1").0, None);
    assert_eq!(limits("--quota-backend-bytes=17").0, Some(17));
    for (text, time) in [("1", hour), ("30m", hour / 2), ("72h", hour * 72)] {
        let line = format!("--auto-compaction-retention {text}");
        assert_eq!(limits(&line).1, Some(Retention::Time(time)), "{text}");
    }
    let line = "--auto-compaction-mode revision --auto-compaction-retention";
    assert_eq!(
        limits(&format!("{line} 1000")).1,
        Some(Retention::Revisions(1000))
    );
    assert_eq!(limits(&format!("{line} 0")).1, None);
    assert!(refusal(&format!("{line} 30m")).contains("count of revisions"));
    assert!(refusal("--auto-compaction-retention soon").contains("no duration"));
}
