//! The service `Cluster`: who is a member, and changes of that. The rules are the machine's
//! ([`quorate_service::members`]); what depends on who is reachable now is looked at here.

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_core::NodeId;
use quorate_service::command::{Command, Member};
use quorate_service::store::View;
use tonic::{Request, Response, Status};
use xxhash_rust::xxh3::xxh3_64;

use crate::context::Context;
use crate::convert;
use crate::error;
use crate::proto::etcdserverpb as pb;

/// See the module.
pub(crate) struct Cluster {
    context: Context,
}

impl Cluster {
    pub(crate) fn new(context: Context) -> Cluster {
        Cluster { context }
    }

    /// Has the list changed. The state afterwards is what the answer tells of.
    async fn change(&self, command: Command) -> Result<View, Status> {
        let context = &self.context;
        // As long as an election may take.
        let patience = context.options().election_timeout * 2;
        let changed = context.service().change_members(command, patience).await;
        changed.map_err(|error| error::status(&error))?;
        Ok(context.view())
    }

    /// How many members with a vote there are, and how many of them are there.
    fn connected(&self, view: &View) -> (usize, usize) {
        let voters = view.members().list.iter();
        let voters = voters.filter(|member| !member.is_learner);
        voters.fold((0, 0), |(all, connected), member| {
            let is_connected = self.is_connected(member.id);
            (all + 1, connected + usize::from(is_connected))
        })
    }

    fn is_connected(&self, id: u64) -> bool {
        let options = self.context.options();
        id == options.member_id || (options.connected)(NodeId(id))
    }

    /// A cluster that misses a majority, or had it back only just now, should not grow: the new one may miss too.
    /// (etcd wants everybody before 3.6.11, and a majority since.)
    fn check_add(&self, view: &View, is_learner: bool) -> Result<(), Status> {
        let rules = self.context.options().rules;
        if !rules.strict {
            return Ok(());
        }
        let may_add = view.members().may_add(is_learner, rules);
        may_add.map_err(|error| error::status(&error))?;
        let (all, connected) = self.connected(view);
        match connected > all / 2 {
            true => Ok(()),
            false => Err(error::UNHEALTHY.into()),
        }
    }

    /// Whoever is gone may be removed; whoever is there only if enough others are.
    fn check_remove(&self, view: &View, id: u64) -> Result<(), Status> {
        let rules = self.context.options().rules;
        let member = view.members().get(id);
        if !rules.strict || member.is_some_and(|member| member.is_learner) {
            return Ok(());
        }
        let may_remove = view.members().may_remove(id, rules);
        may_remove.map_err(|error| error::status(&error))?;
        if member.is_none() || !self.is_connected(id) {
            return Ok(());
        }
        let (all, connected) = self.connected(view);
        match connected - 1 > (all - 1) / 2 {
            true => Ok(()),
            false => Err(error::UNHEALTHY.into()),
        }
    }

    fn header(&self, view: &View) -> Option<pb::ResponseHeader> {
        Some(self.context.header(view.revision()))
    }
}

fn members(view: &View) -> Vec<pb::Member> {
    let members = view.members().list.iter().cloned();
    members.map(convert::member).collect()
}

/// A new member's id: a hash of what identifies it. Time is part of that, so that a member that comes back
/// under the same URLs is another one.
fn new_id(cluster_id: u64, peer_urls: &[String]) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    let text = format!("{}\n{cluster_id:x}\n{now}", peer_urls.join(","));
    xxh3_64(text.as_bytes()).max(1)
}

/// The URLs in order, if each is one at which a peer can be reached.
fn check_urls(mut urls: Vec<String>) -> Result<Vec<String>, Status> {
    if urls.is_empty() || !urls.iter().all(|url| is_peer_url(url)) {
        return Err(error::BAD_MEMBER_URLS.into());
    }
    urls.sort();
    Ok(urls)
}

/// A scheme, a host and a port, and nothing behind them.
fn is_peer_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let Some((host, port)) = rest.rsplit_once(':') else {
        return false;
    };
    let host_is_whole = match host.strip_prefix('[') {
        Some(address) => address.ends_with(']'),
        None => !host.contains(':'),
    };
    ["http", "https"].contains(&scheme)
        && host_is_whole
        && !rest.contains(['/', '?', '#', ' '])
        && port.parse::<u16>().is_ok()
}

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let view = match request.into_inner().linearizable {
            true => self.context.latest().await?,
            false => self.context.view(),
        };
        Ok(Response::new(pb::MemberListResponse {
            header: self.header(&view),
            members: members(&view),
        }))
    }

    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let pb::MemberAddRequest {
            peer_ur_ls,
            is_learner,
        } = request.into_inner();
        let peer_urls = check_urls(peer_ur_ls)?;
        self.check_add(&self.context.view(), is_learner)?;
        let options = self.context.options();
        let member = Member {
            id: new_id(options.cluster_id, &peer_urls),
            peer_urls,
            is_learner,
            ..Member::default()
        };
        let added = convert::member(member.clone());
        let rules = options.rules;
        let view = self.change(Command::MemberAdd { member, rules }).await?;
        Ok(Response::new(pb::MemberAddResponse {
            header: self.header(&view),
            member: Some(added),
            members: members(&view),
        }))
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let id = request.into_inner().id;
        self.check_remove(&self.context.view(), id)?;
        let rules = self.context.options().rules;
        let view = self.change(Command::MemberRemove { id, rules }).await?;
        Ok(Response::new(pb::MemberRemoveResponse {
            header: self.header(&view),
            members: members(&view),
        }))
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let pb::MemberUpdateRequest { id, peer_ur_ls } = request.into_inner();
        let peer_urls = check_urls(peer_ur_ls)?;
        let view = self.change(Command::MemberUpdate { id, peer_urls }).await?;
        Ok(Response::new(pb::MemberUpdateResponse {
            header: self.header(&view),
            members: members(&view),
        }))
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let id = request.into_inner().id;
        let rules = self.context.options().rules;
        let view = self.change(Command::MemberPromote { id, rules }).await?;
        Ok(Response::new(pb::MemberPromoteResponse {
            header: self.header(&view),
            members: members(&view),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_scheme_a_host_and_a_port_and_nothing_else() {
        for url in [
            "http://127.0.0.1:2380",
            "https://a.example:1",
            "http://[::1]:2380",
        ] {
            assert!(is_peer_url(url), "{url}");
        }
        for url in [
            "",
            "127.0.0.1:2380",
            "://127.0.0.1",
            "http://127.0.0.1",
            "http://a:1/",
            "http://a:1/b",
            "ftp://a:1",
            "http://a:b",
            "http://a:99999",
            "http://::1:2380",
            "mailto://a:1",
        ] {
            assert!(!is_peer_url(url), "{url}");
        }
        let urls = |urls: &[&str]| urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>();
        assert!(check_urls(Vec::new()).is_err());
        assert_eq!(
            check_urls(urls(&["http://b:1", "http://a:1"])).ok(),
            Some(urls(&["http://a:1", "http://b:1"]))
        );
    }

    #[test]
    fn nobody_gets_an_id_twice() {
        let urls = ["http://a:1".to_owned()];
        let first = new_id(7, &urls);
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_ne!(first, new_id(7, &urls));
        assert_ne!(first, 0);
    }
}
