//! Members that come and go while a cluster runs.

use etcd_client::MemberAddOptions;

use super::client::{self, bounded};
use super::cluster::{Cluster, initial_cluster};
use super::eventually;
use super::member::Member;

impl Cluster {
    /// Where clients reach each member, and each that may come to be one.
    pub(crate) fn all_endpoints(&self) -> Vec<String> {
        let all = self.members.iter().chain(&self.spares);
        all.map(Member::client_url).collect()
    }

    /// The id of a member by its peers' way to it, by the word of the cluster.
    pub(crate) async fn id_of(&self, peer_url: &str) -> Option<u64> {
        let (_, id) = self.listed(peer_url).await?;
        id
    }

    /// A client of somebody who answers, and the id of the member with this peer URL.
    async fn listed(&self, peer_url: &str) -> Option<(client::Client, Option<u64>)> {
        for member in self.members.iter().filter(|member| member.is_running()) {
            let mut client = client::connect(&member.client_url()).await;
            let Ok(list) = bounded(client.member_list()).await else {
                continue;
            };
            let mut all = list.members().iter();
            let found = all.find(|one| one.peer_urls().iter().any(|url| url == peer_url));
            return Some((client, found.map(etcd_client::Member::id)));
        }
        None
    }

    /// Lets the next spare take part, and waits until the cluster says so: its place in `members`. It is not
    /// started.
    pub(crate) async fn add(&mut self, learner: bool) -> usize {
        let mut member = self.spares.remove(0);
        let url = member.peer_url();
        eventually("another member is added", async || {
            let (mut client, id) = self.listed(&url).await?;
            if id.is_some() {
                return Some(());
            }
            let options = match learner {
                true => MemberAddOptions::new().with_is_learner(),
                false => MemberAddOptions::new(),
            };
            // Whether it was done, the list says.
            let _ = bounded(client.member_add([url.clone()], Some(options))).await;
            None
        })
        .await;
        let initial = format!("{},{}={url}", initial_cluster(&self.members), member.name);
        member.set_flag("initial-cluster", &initial);
        member.set_flag("initial-cluster-state", "existing");
        self.members.push(member);
        self.members.len() - 1
    }

    /// Lets the next spare take part with a vote, and waits until it serves.
    pub(crate) async fn join(&mut self) -> usize {
        let at = self.add(false).await;
        self.start_one(at).await;
        at
    }

    /// Gives a learner a vote, once it has caught up.
    pub(crate) async fn promote(&self, at: usize) {
        let url = self.members[at].peer_url();
        eventually("a learner is promoted", async || {
            let (mut client, id) = self.listed(&url).await?;
            match bounded(client.member_promote(id?)).await {
                Ok(_) => Some(()),
                Err(_) => {
                    // It may have been done although nobody said so.
                    let list = bounded(client.member_list()).await.ok()?;
                    let mut all = list.members().iter();
                    all.any(|one| Some(one.id()) == id && !one.is_learner())
                        .then_some(())
                }
            }
        })
        .await;
    }

    /// Lets a member take part no more. Its process, if there is one, is its own matter.
    pub(crate) async fn remove(&mut self, at: usize) -> Member {
        let member = self.members.remove(at);
        let url = member.peer_url();
        eventually("a member is removed", async || {
            let (mut client, id) = self.listed(&url).await?;
            let Some(id) = id else {
                return Some(());
            };
            // Whether it was done, the list says.
            let _ = bounded(client.member_remove(id)).await;
            None
        })
        .await;
        member
    }
}
