//! The same session at `quorate ctl` and at etcdctl, against the same server: same words, same output.

use crate::harness::PATIENCE;
use crate::harness::cluster::Cluster;
use crate::harness::tool::Tool;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_with_quorate_ctl() {
    let cluster = Cluster::start(3).await;
    session(&Tool::ours(&cluster.endpoints())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_with_etcdctl() {
    let cluster = Cluster::start(3).await;
    if let Some(tool) = Tool::etcdctl(&cluster.endpoints()) {
        session(&tool).await;
        let healthy = tool.run(&["endpoint", "health"]).await;
        assert_eq!(healthy.code, 0, "{healthy:?}");
        let told = format!("{}{}", healthy.out, healthy.err);
        assert_eq!(told.matches("is healthy").count(), 3, "{healthy:?}");
        let performance = tool.run(&["lease", "grant", "2"]).await;
        assert_eq!(performance.code, 0, "{performance:?}");
    }
}

async fn session(tool: &Tool) {
    keys(tool).await;
    ranges(tool).await;
    transactions(tool).await;
    leases(tool).await;
    watches(tool).await;
    cluster(tool).await;
    compaction(tool).await;
}

async fn keys(tool: &Tool) {
    assert_eq!(tool.lines(&["put", "greeting", "hello"]).await, ["OK"]);
    assert_eq!(
        tool.lines(&["get", "greeting"]).await,
        ["greeting", "hello"]
    );
    assert_eq!(
        tool.lines(&["get", "greeting", "--print-value-only"]).await,
        ["hello"]
    );
    assert_eq!(tool.lines(&["get", "missing"]).await, [""; 0]);
    let replaced = tool.lines(&["put", "greeting", "world", "--prev-kv"]).await;
    assert_eq!(replaced, ["OK", "greeting", "hello"]);
    assert_eq!(
        tool.run_with(&["put", "from-input"], "one\ntwo")
            .await
            .lines(),
        ["OK"]
    );
    assert_eq!(
        tool.lines(&["get", "from-input"]).await,
        ["from-input", "one", "two"]
    );

    let now = tool.json(&["get", "greeting"]).await;
    assert_eq!(now["kvs"][0]["key"], "Z3JlZXRpbmc=", "base64");
    assert_eq!(now["kvs"][0]["value"], "d29ybGQ=", "base64");
    assert_eq!(now["kvs"][0]["version"], 2);
    assert_eq!(now["count"], 1);
    let created = now["kvs"][0]["create_revision"].as_i64().expect("a number");
    assert_eq!(now["kvs"][0]["mod_revision"], created + 1);
    assert!(now["header"]["revision"].as_i64().expect("a number") > created);
    let before = format!("--rev={created}");
    assert_eq!(
        tool.lines(&["get", "greeting", &before]).await,
        ["greeting", "hello"]
    );

    assert_eq!(tool.lines(&["del", "from-input"]).await, ["1"]);
    assert_eq!(tool.lines(&["del", "from-input"]).await, ["0"]);
    let deleted = tool.lines(&["del", "greeting", "--prev-kv"]).await;
    assert_eq!(deleted, ["1", "greeting", "world"]);
    assert_eq!(
        tool.lines(&["get", "greeting", &before]).await,
        ["greeting", "hello"]
    );
}

async fn ranges(tool: &Tool) {
    for (key, value) in [("r/1", "c"), ("r/2", "b"), ("r/3", "a"), ("s", "z")] {
        tool.lines(&["put", key, value]).await;
    }
    let keys = async |arguments: &[&str]| {
        tool.lines(&[&["get", "--keys-only"], arguments].concat())
            .await
    };
    assert_eq!(keys(&["r/", "--prefix"]).await, ["r/1", "r/2", "r/3"]);
    assert_eq!(keys(&["r/", "--prefix", "--limit=2"]).await, ["r/1", "r/2"]);
    assert_eq!(keys(&["r/1", "r/3"]).await, ["r/1", "r/2"]);
    assert_eq!(keys(&["r/3", "--from-key"]).await, ["r/3", "s"]);
    assert_eq!(
        keys(&["r/", "--prefix", "--order=DESCEND"]).await,
        ["r/3", "r/2", "r/1"]
    );
    assert_eq!(keys(&["", "--prefix"]).await, ["r/1", "r/2", "r/3", "s"]);
    let by_value = [
        "get",
        "r/",
        "--prefix",
        "--sort-by=VALUE",
        "--print-value-only",
    ];
    assert_eq!(tool.lines(&by_value).await, ["a", "b", "c"]);
    let limited = tool.json(&["get", "r/", "--prefix", "--limit=1"]).await;
    assert_eq!(
        (&limited["count"], &limited["more"]),
        (&3.into(), &true.into())
    );
    let serializable = ["get", "r/1", "--consistency=s"];
    assert_eq!(tool.run(&serializable).await.code, 0);
    assert_eq!(tool.lines(&["del", "r/", "--prefix"]).await, ["3"]);
    assert_eq!(tool.lines(&["del", "a", "--from-key"]).await, ["1"]);
}

async fn transactions(tool: &Tool) {
    let script = "value(\"t\") = \"x\"\n\nput t \"then\"\n\nput t \"else\"\nget t\n\n";
    tool.lines(&["put", "t", "x"]).await;
    let done = tool.run_with(&["txn"], script).await.lines();
    assert_eq!(done, ["SUCCESS", "OK"]);
    let done = tool.run_with(&["txn"], script).await.lines();
    assert_eq!(done, ["FAILURE", "OK", "t", "else"]);
    let script = "version(\"new\") = \"0\"\nmod(\"t\") > \"1\"\n\nput new here\ndel t\n\n\n";
    assert_eq!(
        tool.run_with(&["txn"], script).await.lines(),
        ["SUCCESS", "OK", "1"]
    );
    assert_eq!(tool.lines(&["get", "new"]).await, ["new", "here"]);
}

async fn leases(tool: &Tool) {
    let granted = tool.lines(&["lease", "grant", "60"]).await;
    let [line] = granted.as_slice() else {
        panic!("{granted:?}")
    };
    let words: Vec<&str> = line.split(' ').collect();
    let ["lease", id, "granted", "with", "TTL(60s)"] = words[..] else {
        panic!("{line}")
    };
    tool.lines(&["put", "leased", "x", &format!("--lease={id}")])
        .await;
    let left = tool.lines(&["lease", "timetolive", id, "--keys"]).await;
    assert!(
        left[0].starts_with(&format!("lease {id} granted with TTL(60s), remaining(")),
        "{left:?}"
    );
    assert!(left[0].ends_with("attached keys([leased])"), "{left:?}");
    assert_eq!(tool.lines(&["lease", "list"]).await, ["found 1 leases", id]);
    let kept = tool.lines(&["lease", "keep-alive", id, "--once"]).await;
    assert_eq!(kept, [format!("lease {id} keepalived with TTL(60)")]);
    assert_eq!(
        tool.lines(&["lease", "revoke", id]).await,
        [format!("lease {id} revoked")]
    );
    assert_eq!(tool.lines(&["get", "leased"]).await, [""; 0]);
    let again = tool.run(&["lease", "revoke", id]).await;
    assert_ne!(again.code, 0);
    assert!(again.err.contains("requested lease not found"), "{again:?}");
}

async fn watches(tool: &Tool) {
    let written = tool.json(&["put", "w/1", "x"]).await;
    let revision = written["header"]["revision"].as_i64().expect("a number");
    let (mut process, mut lines) =
        tool.follow(&["watch", "w/", "--prefix", &format!("--rev={revision}")]);
    tool.lines(&["put", "w/2", "y"]).await;
    tool.lines(&["del", "w/1"]).await;
    let mut seen = Vec::new();
    while seen.len() < 8 {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let line = line.expect("events come").expect("a pipe can be read");
        seen.extend(line.filter(|line| !line.is_empty()));
        assert!(
            process.try_wait().expect("a child can be asked").is_none(),
            "it ended after {seen:?}"
        );
    }
    assert_eq!(
        seen,
        ["PUT", "w/1", "x", "PUT", "w/2", "y", "DELETE", "w/1"]
    );
    process.kill().await.expect("a child can be killed");
}

async fn cluster(tool: &Tool) {
    let members = tool.lines(&["member", "list"]).await;
    for name in ["n1", "n2", "n3"] {
        let fitting = members
            .iter()
            .filter(|line| line.contains(&format!(", started, {name}, http://127.0.0.1:")));
        assert_eq!(fitting.count(), 1, "{members:?}");
    }
    let status = tool.json(&["endpoint", "status"]).await;
    let status = status.as_array().expect("one for each endpoint");
    assert_eq!(status.len(), 3);
    for one in status {
        assert_eq!(one["Status"]["leader"], status[0]["Status"]["leader"]);
        assert_ne!(one["Status"]["raftTerm"], 0);
    }
}

async fn compaction(tool: &Tool) {
    let written = tool.json(&["put", "c", "1"]).await;
    let revision = written["header"]["revision"].as_i64().expect("a number");
    tool.lines(&["put", "c", "2"]).await;
    let compacted = tool
        .lines(&["compaction", &format!("{}", revision + 1)])
        .await;
    assert_eq!(compacted, [format!("compacted revision {}", revision + 1)]);
    let gone = tool.run(&["get", "c", &format!("--rev={revision}")]).await;
    assert_ne!(gone.code, 0);
    assert!(
        gone.err.contains("required revision has been compacted"),
        "{gone:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_can_trust_the_exit_codes_of_quorate_ctl() {
    let mut cluster = Cluster::start(1).await;
    let tool = Tool::ours(&cluster.endpoints());
    assert_eq!(tool.run(&["put", "k", "v"]).await.code, 0);
    assert_eq!(tool.run(&["get", "k"]).await.code, 0);
    assert_eq!(
        tool.run(&["get", "missing"]).await.code,
        0,
        "as etcdctl has it"
    );
    assert_eq!(tool.run(&["get", "missing", "--exists"]).await.code, 1);
    assert_eq!(tool.run(&["get", "k", "--exists"]).await.code, 0);
    assert_eq!(tool.run(&["get", "k", "--rev=1000"]).await.code, 1);
    assert_eq!(tool.run(&["put", "k", "v", "--lease=77"]).await.code, 1);
    assert_eq!(tool.run(&["get"]).await.code, 2);
    assert_eq!(
        tool.run(&["get", "k", "--prefix", "--from-key"]).await.code,
        2
    );
    assert_eq!(tool.run(&["get", "k", "--prefixes"]).await.code, 2);
    assert_eq!(tool.run(&["gett", "k"]).await.code, 2);
    let status = tool.run(&["status", "--json"]).await;
    assert_eq!(status.code, 0, "{status:?}");
    let counted = tool.run(&["watch", "k", "--rev=1", "--count=1"]).await;
    assert_eq!(counted.lines(), ["PUT", "k", "v"]);

    cluster.kill_all();
    let failed = tool
        .run(&["get", "k", "--command-timeout=1s", "--dial-timeout=1s"])
        .await;
    assert_eq!(failed.code, 1, "{failed:?}");
    assert_eq!(failed.err.lines().count(), 1, "{failed:?}");
    assert!(
        failed.err.starts_with("error:") && failed.out.is_empty(),
        "{failed:?}"
    );
}
