//! Members that come and go: clusters grow and shrink under load, the leader is removed, lost members are
//! replaced, and those who were removed are told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::client::{self, bounded, code_and_text};
use crate::harness::cluster::{Cluster, Settings};
use crate::harness::member::Member;
use crate::harness::tool::Tool;
use crate::harness::{eventually, rounds, server};
use crate::history::load::{Load, PREFIX};
use crate::history::verdict::judge;
use crate::history::watcher::Watcher;

/// The exit code of a member that was removed.
const REMOVED: i32 = 3;

fn spares(spares: usize) -> Settings {
    Settings {
        spares,
        ..Settings::default()
    }
}

/// Waits until a process that was removed has ended by itself, and says why.
async fn expect_told(member: &mut Member) {
    let name = member.name.clone();
    let status = eventually(&format!("{name} ends"), async || member.ended()).await;
    assert_eq!(status.code(), Some(REMOVED), "{}", member.last_words(20));
    let said = member.last_words(5);
    assert!(said.contains("was removed from the cluster"), "{said}");
    assert!(member.folder.join("identity").exists(), "its data is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_from_one_to_five_and_shrinks_back_under_load() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start_with(1, spares(4)).await;
    let load = Load::begin(&cluster.all_endpoints());
    let watchers = vec![Watcher::begin("watcher", &cluster.endpoints(), PREFIX, 1)];
    for members in 2..=5 {
        load.progress(20).await;
        cluster.join().await;
        assert_eq!(cluster.members.len(), members);
    }
    load.progress(50).await;
    // Everyone of the five counts: two may be missing.
    for at in [0, 3] {
        cluster.members[at].kill();
    }
    load.progress(20).await;
    for at in [0, 3] {
        cluster.start_one(at).await;
    }
    while cluster.members.len() > 1 {
        load.progress(20).await;
        let mut gone = cluster.remove(cluster.members.len() - 1).await;
        expect_told(&mut gone).await;
    }
    load.progress(50).await;
    judge(&mut cluster, load, watchers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_removed_and_others_take_over() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start_with(3, spares(2)).await;
    let load = Load::begin(&cluster.all_endpoints());
    for _ in 0..2 {
        load.progress(30).await;
        cluster.join().await;
        let leader = cluster.leader().await;
        let mut gone = cluster.remove(leader).await;
        load.progress(30).await;
        expect_told(&mut gone).await;
    }
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_away_when_it_was_removed_is_told_when_it_comes_back() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let away = (cluster.leader().await + 1) % 3;
    cluster.members[away].kill();
    let mut gone = cluster.remove(away).await;
    load.progress(30).await;
    for _ in 0..2 {
        gone.start();
        expect_told(&mut gone).await;
        gone.kill();
    }
    load.progress(30).await;
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_answers_what_needs_no_vote_and_is_promoted_when_it_has_caught_up() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start_with(3, spares(1)).await;
    let load = Load::begin(&cluster.endpoints());
    load.progress(50).await;
    let learner = cluster.add(true).await;
    let url = cluster.members[learner].peer_url();
    let id = cluster.id_of(&url).await.expect("it is listed");
    let mut client = cluster.client(0).await;
    let refused = bounded(client.member_promote(id)).await;
    let (_, text) = code_and_text(&refused.expect_err("it does not even run"));
    assert!(text.contains("in sync with leader"), "{text}");

    cluster.members[learner].start();
    let mut there = cluster.client(learner).await;
    eventually("the learner says that it is one", async || {
        let status = bounded(there.status()).await.ok()?;
        status.is_learner().then_some(())
    })
    .await;
    let refused = bounded(there.put("k", "v", None)).await;
    let (_, text) = code_and_text(&refused.expect_err("it has no vote"));
    assert!(text.contains("not supported for learner"), "{text}");
    let stale = etcd_client::GetOptions::new().with_serializable();
    bounded(there.get("k", Some(stale)))
        .await
        .expect("it has the data");
    // Two of the three voters are no majority without a third, whatever learners there are.
    cluster.promote(learner).await;
    cluster.member_ready(learner).await;
    bounded(there.put("k", "v", None))
        .await
        .expect("it has a vote now");
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_disk_is_gone_is_replaced_with_one_command() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start_with(3, spares(1)).await;
    let load = Load::begin(&cluster.endpoints());
    load.progress(50).await;
    let lost = (cluster.leader().await + 1) % 3;
    cluster.members[lost].kill();
    std::fs::remove_dir_all(&cluster.members[lost].folder).expect("it is ours");
    // With an empty disk it must not pretend that it has forgotten nothing.
    let member = &mut cluster.members[lost];
    let name = member.name.clone();
    member.set_flag("initial-cluster-state", "existing");
    let said = member.start_and_fail();
    assert!(said.contains("has been started before"), "{said}");
    assert!(said.contains("member replace"), "{said}");

    let mut new = cluster.spares.remove(0);
    let endpoints = cluster.endpoints();
    let to = format!("{}={}", new.name, new.peer_url());
    let replacing = tokio::spawn(async move {
        let tool = Tool::member(&endpoints);
        tool.run(&["replace", &name, &to, "--json"]).await
    });
    // It is started with what the command says, as soon as it is listed.
    let gone = cluster.members.remove(lost);
    let url = new.peer_url();
    eventually("the new member is added", async || {
        cluster.id_of(&url).await
    })
    .await;
    let initial = crate::harness::cluster::initial_cluster(&cluster.members);
    new.set_flag(
        "initial-cluster",
        &format!("{initial},{}={}", new.name, new.peer_url()),
    );
    new.set_flag("initial-cluster-state", "existing");
    cluster.members.push(new);
    cluster.start_one(2).await;
    let outcome = replacing.await.expect("it does not panic");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    for step in ["removed", "added", "promoted", "done"] {
        let told = format!("\"step\":\"{step}\"");
        assert!(outcome.out.contains(&told), "{step} in {outcome:?}");
    }
    drop(gone);
    // All that it was replaced for: one of the others may be lost now.
    cluster.members[0].kill();
    load.progress(30).await;
    judge(&mut cluster, load, Vec::new()).await;
}

/// The same machine takes its own place with an empty disk, and whoever runs the command is killed after each
/// step and runs it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_that_dies_between_two_steps_goes_on() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start(3).await;
    let lost = (cluster.leader().await + 1) % 3;
    cluster.members[lost].kill();
    std::fs::remove_dir_all(&cluster.members[lost].folder).expect("it is ours");
    let mut back = cluster.members.remove(lost);
    let (old, url) = (back.name.clone(), back.peer_url());
    let tool = Tool::member(&cluster.endpoints());
    let to = format!("again={url}");
    let command = ["replace", &old, &to, "--json"];
    let mut steps = Vec::new();
    while !steps.iter().any(|step: &String| step.contains("removed")) {
        let (_dies, mut lines) = tool.follow(&command);
        let line = lines.next_line().await.expect("it can be read");
        steps.push(line.expect("it says what it does"));
    }
    let initial = crate::harness::cluster::initial_cluster(&cluster.members);
    back.set_flag("name", "again");
    back.set_flag("initial-cluster", &format!("{initial},{to}"));
    back.set_flag("initial-cluster-state", "existing");
    back.start();
    cluster.members.push(back);
    let outcome = tool.run(&command).await;
    assert_eq!(outcome.code, 0, "{steps:?} {outcome:?}");
    cluster.member_ready(2).await;
    assert!(steps[0].contains("moved"), "{steps:?}");
    // It has nothing left to do, and says so again.
    let outcome = tool.run(&command).await;
    assert!(outcome.out.contains("done"), "{outcome:?}");
    assert_eq!(
        tool.run(&["replace", "nobody", "x=http://x:1"]).await.code,
        1
    );
    cluster.members[0].kill();
    let mut client = cluster.client(2).await;
    eventually("two of three serve", async || {
        bounded(client.put("k", "v", None)).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_runs_is_replaced_with_one_command() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start_with(3, spares(1)).await;
    let load = Load::begin(&cluster.all_endpoints());
    load.progress(50).await;
    let leader = cluster.leader().await;
    let name = cluster.members[leader].name.clone();
    let to = format!(
        "{}={}",
        cluster.spares[0].name,
        cluster.spares[0].peer_url()
    );
    let endpoints = cluster.endpoints();
    let replacing = tokio::spawn(async move {
        let tool = Tool::member(&endpoints);
        tool.run(&["replace", &name, &to]).await
    });
    let url = cluster.spares[0].peer_url();
    eventually("the new member is added", async || {
        cluster.id_of(&url).await
    })
    .await;
    // It is listed, so this only tells it so.
    let at = cluster.add(true).await;
    cluster.members[at].start();
    let outcome = replacing.await.expect("it does not panic");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let mut gone = cluster.members.remove(leader);
    expect_told(&mut gone).await;
    load.progress(50).await;
    judge(&mut cluster, load, Vec::new()).await;
}

/// Puts and gets until it is told to end; an error is one try at the next member away from being a failure.
/// Answers how often it had to try again.
async fn try_twice(name: String, endpoints: Vec<String>, over: Arc<AtomicBool>) -> usize {
    let mut at = 0;
    let mut again = 0;
    let mut client = client::connect(&endpoints[at]).await;
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let (key, value) = (format!("{name}/{}", number % 10), number.to_string());
        for attempt in 0..2 {
            let put = bounded(client.put(key.clone(), value.clone(), None)).await;
            let got = match put {
                Ok(_) => bounded(client.get(key.clone(), None)).await,
                Err(error) => Err(error),
            };
            match got {
                Ok(found) => {
                    assert_eq!(found.kvs()[0].value(), value.as_bytes());
                    break;
                }
                Err(error) if attempt == 0 => {
                    println!("{name} tries again: {error}");
                    again += 1;
                    at = (at + 1) % endpoints.len();
                    client = client::connect(&endpoints[at]).await;
                }
                Err(error) => panic!("{name} failed twice: {error}"),
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    again
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_clients_no_more_than_a_second_try() {
    let mut cluster = Cluster::start(3).await;
    let load = Load::begin(&cluster.endpoints());
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for at in 0..3 {
        let mut endpoints = cluster.endpoints();
        endpoints.rotate_left(at);
        clients.push(tokio::spawn(try_twice(
            format!("c{at}"),
            endpoints,
            over.clone(),
        )));
    }
    for _ in 0..rounds(1) {
        for at in 0..3 {
            load.progress(30).await;
            cluster.members[at].terminate();
            load.progress(30).await;
            cluster.start_one(at).await;
        }
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no client failed twice");
    }
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_not_added_is_told_to_be_added_first() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start_with(1, spares(1)).await;
    let mut stranger = cluster.spares.remove(0);
    let initial = crate::harness::cluster::initial_cluster(&cluster.members);
    stranger.set_flag(
        "initial-cluster",
        &format!("{initial},{}={}", stranger.name, stranger.peer_url()),
    );
    stranger.set_flag("initial-cluster-state", "existing");
    let said = stranger.start_and_fail();
    assert!(said.contains("quorate ctl member add"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_member_has_is_enough_for_a_new_cluster_when_the_others_are_gone_for_good() {
    if !server::is_ours() {
        return;
    }
    let mut cluster = Cluster::start_with(3, spares(2)).await;
    let mut client = cluster.client(0).await;
    for number in 0..20 {
        let key = format!("k{number}");
        bounded(client.put(key, number.to_string(), None))
            .await
            .expect("acknowledged");
    }
    // What it knows itself to be decided is on its own disk, too.
    let left = cluster.leader().await;
    cluster.kill_all();
    let folder = cluster.members[left].folder.display().to_string();
    let data = format!("--data-dir={folder}");
    let recover = ["--force-new-cluster", data.as_str()];
    let tool = Tool::recover();
    let asked = tool.run_with(&recover, "no\n").await;
    assert_ne!(asked.code, 0, "{asked:?}");
    assert!(asked.err.contains("nothing was changed"), "{asked:?}");
    for other in 0..3 {
        let known = asked.out.contains(&cluster.members[other].peer_url());
        assert_eq!(known, other != left, "who is given up: {asked:?}");
    }
    let done = tool.run(&[&recover[..], &["--yes"]].concat()).await;
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("is lost"), "{done:?}");

    // The others are refused from now on, as members of another cluster.
    let survivor = cluster.members.remove(left);
    let given_up = std::mem::replace(&mut cluster.members, vec![survivor]);
    cluster.members[0].set_flag("initial-cluster-state", "existing");
    cluster.start_all().await;
    let mut client = cluster.client(0).await;
    for number in 0..20 {
        let found = bounded(client.get(format!("k{number}"), None)).await;
        let found = found.expect("it serves alone");
        assert_eq!(found.kvs()[0].value(), number.to_string().as_bytes());
    }
    let members = bounded(client.member_list()).await.expect("it serves");
    assert_eq!(members.members().len(), 1);
    drop(given_up);
    let load = Load::begin(&cluster.all_endpoints());
    cluster.join().await;
    cluster.join().await;
    cluster.members[0].kill();
    load.progress(30).await;
    judge(&mut cluster, load, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_changes_members_as_etcdctl_does() {
    if !server::is_ours() {
        return;
    }
    let cluster = Cluster::start(3).await;
    let ours = members_in_words(&Tool::ours(&cluster.endpoints()), "http://127.0.0.1:1").await;
    let Some(etcdctl) = Tool::etcdctl(&cluster.endpoints()) else {
        return;
    };
    let theirs = members_in_words(&etcdctl, "http://127.0.0.1:1").await;
    assert_eq!(ours, theirs);
}

/// A learner is added, moved and removed: what was said, with the ids left out.
async fn members_in_words(tool: &Tool, url: &str) -> Vec<String> {
    let peer_urls = format!("--peer-urls={url}");
    let add = ["member", "add", "n9", "--learner", &peer_urls];
    let mut said = eventually("a member can be added", async || {
        // Everyone must have been connected for a while.
        let added = tool.run(&add).await;
        (added.code == 0).then(|| added.lines())
    })
    .await;
    let id = said[0].split_whitespace().nth(1).expect("an id").to_owned();
    let settings = said.iter().any(|line| {
        line.starts_with("ETCD_INITIAL_CLUSTER=") && line.contains(&format!("n9={url}"))
    });
    assert!(settings, "{said:?}");
    let moved = "--peer-urls=http://127.0.0.1:2";
    said.extend(tool.lines(&["member", "update", &id, moved]).await);
    let promoted = tool.run(&["member", "promote", &id]).await;
    assert!(promoted.err.contains("in sync with leader"), "{promoted:?}");
    said.extend(tool.lines(&["member", "remove", &id]).await);
    let again = tool.run(&["member", "remove", &id]).await;
    assert!(again.err.contains("member not found"), "{again:?}");
    let mut words = Vec::new();
    for line in said {
        // The others may be listed in another order, since the new one has another id.
        let mut parts: Vec<String> = line.split([',', '"']).map(str::to_owned).collect();
        parts.sort();
        // An etcdctl of 3.4 does not say that it was a learner.
        let words_of = parts.join(",").replace(" as learner", "");
        // An id with less than 16 digits is filled up with spaces where it is announced, and only there.
        let padded = format!("{id:>16}");
        words.push(words_of.replace(&padded, "ID").replace(&id, "ID"));
    }
    words
}
