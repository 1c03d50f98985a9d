//! The peers of a running member follow the list of members, and a member that was removed ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::NodeId;
use quorate_problems::total_order::Membership;
use quorate_runtime::{Introductions, PeerList, PeersHandle};
use quorate_service::Service;
use quorate_service::introduction::Introduction;
use quorate_service::members::Members;
use quorate_service::store::Views;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

use super::config::address;

/// What a member knows of its cluster: what it tells others, and what it hears.
pub(super) struct Known {
    me: u64,
    /// The cluster as it was when this member came to it.
    origin: Introduction,
    views: Views,
    /// The newest list that was heard of, which may be ahead of the one that was applied here.
    heard: watch::Sender<Members>,
    /// Why this member should end, once it should.
    removed: watch::Sender<Option<String>>,
}

impl Known {
    pub(super) fn new(me: u64, origin: Introduction, views: Views) -> Known {
        Known {
            me,
            heard: watch::Sender::new(origin.members.clone()),
            origin,
            views,
            removed: watch::Sender::new(None),
        }
    }

    /// The cluster.
    pub(super) fn cluster(&self) -> u64 {
        self.origin.cluster
    }

    /// The newest list that is known here.
    pub(super) fn newest(&self) -> Members {
        let view = self.views.view();
        let (applied, heard) = (view.members(), self.heard.borrow());
        match applied.version >= heard.version {
            true => applied.clone(),
            false => heard.clone(),
        }
    }

    /// Why this member should end, once it should.
    pub(super) async fn removed(&self) -> String {
        let mut removed = self.removed.subscribe();
        let why = removed.wait_for(Option::is_some).await;
        // The sender is in `self`, so there is an answer.
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }
}

impl Introductions for Known {
    fn tell(&self) -> io::Result<Vec<u8>> {
        let introduction = Introduction {
            members: self.newest(),
            ..self.origin.clone()
        };
        Ok(introduction.encode())
    }

    fn hear(&self, told: &[u8]) {
        let introduction = match Introduction::decode(told) {
            Ok(introduction) => introduction,
            Err(error) => {
                warn!(%error, "an introduction makes no sense");
                return;
            }
        };
        if introduction.cluster != self.origin.cluster {
            return; // The handshake refuses that; whoever says it is confused.
        }
        let heard = introduction.members;
        let newest = self.newest().version;
        if heard.version > newest {
            info!(version = heard.version, "heard of newer members");
            self.heard.send_replace(heard);
        }
    }

    fn on_removed(&self, by: NodeId, reason: &str) {
        self.removed
            .send_replace(Some(format!("member {:x} says: {reason}", by.0)));
    }
}

/// The addresses of members, those that are on their way out included.
#[derive(Default)]
pub(super) struct Addresses(BTreeMap<NodeId, Vec<String>>);

impl Addresses {
    /// Whom to exchange mail with: those who are listed, and those who are not any more as long as the protocol
    /// goes by them. A leader that was removed leads until its removal is decided, and others may need its mail.
    pub(super) fn peers(&mut self, members: &Members, in_force: &Membership) -> PeerList {
        let ids: BTreeSet<NodeId> = members.list.iter().map(|one| NodeId(one.id)).collect();
        self.0
            .retain(|id, _| ids.contains(id) || in_force.contains(*id));
        for member in &members.list {
            let urls = member.peer_urls.iter();
            // What the list has was checked when it was added.
            let urls = urls.filter_map(|url| address("peer-urls", url).ok());
            self.0.insert(NodeId(member.id), urls.collect());
        }
        let removed = members.removed.iter().map(|&id| NodeId(id));
        PeerList {
            peers: self.0.clone().into_iter().collect(),
            removed: removed.filter(|id| !in_force.contains(*id)).collect(),
        }
    }
}

/// Follows the list of members until this member is none any more, or the service has ended.
pub(super) async fn follow(
    service: Service,
    peers: PeersHandle,
    known: Arc<Known>,
    mut addresses: Addresses,
    grace: Duration,
) {
    let mut listed = service.member_changes();
    let mut in_force = service.membership_changes();
    let mut heard = known.heard.subscribe();
    loop {
        listed.mark_unchanged();
        heard.mark_unchanged();
        let members = known.newest();
        let list = addresses.peers(&members, &in_force.borrow_and_update());
        peers.set(list);
        if members.removed.contains(&known.me) {
            // If it leads, it leads until others have taken over; it may never hear of that.
            let (me, version) = (NodeId(known.me), members.version);
            let out =
                in_force.wait_for(|members| members.version >= version && !members.contains(me));
            let _ = timeout(grace, out).await;
            let why = format!("the list of members of version {version} does not name it");
            known.removed.send_replace(Some(why));
            return;
        }
        let changed = tokio::select! {
            changed = listed.changed() => changed,
            changed = in_force.changed() => changed,
            changed = heard.changed() => changed,
        };
        if changed.is_err() {
            return; // The service has ended.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_service::command::Member;

    fn member(id: u64, urls: &[&str]) -> Member {
        Member {
            id,
            peer_urls: urls.iter().map(|&url| url.to_owned()).collect(),
            ..Member::default()
        }
    }

    fn members(version: u64, list: Vec<Member>, removed: &[u64]) -> Members {
        Members {
            version,
            list,
            removed: removed.iter().copied().collect(),
        }
    }

    fn in_force(version: u64, voters: &[u64]) -> Membership {
        Membership::new(version, voters.iter().map(|&id| NodeId(id)), [])
    }

    #[test]
    fn who_is_listed_is_called_at_all_its_addresses() {
        let list = vec![
            member(1, &["http://a:1"]),
            member(2, &["http://b:1", "http://c:1"]),
        ];
        let peers = Addresses::default().peers(&members(3, list, &[]), &in_force(0, &[1]));
        let two = vec!["b:1".to_owned(), "c:1".to_owned()];
        assert_eq!(peers.peers[1], (NodeId(2), two));
        assert!(peers.removed.is_empty());
    }

    #[test]
    fn who_was_removed_is_a_peer_until_the_protocol_goes_on_without_it() {
        let mut addresses = Addresses::default();
        let (one, two) = (member(1, &["http://a:1"]), member(2, &["http://b:1"]));
        addresses.peers(
            &members(0, vec![one.clone(), two], &[]),
            &in_force(0, &[1, 2]),
        );
        let without = members(5, vec![one], &[2]);
        let peers = addresses.peers(&without, &in_force(0, &[1, 2]));
        assert_eq!(peers.peers.len(), 2);
        assert!(peers.removed.is_empty());
        let peers = addresses.peers(&without, &in_force(5, &[1]));
        assert_eq!(peers.peers.len(), 1);
        assert_eq!(peers.removed, [NodeId(2)].into());
    }
}
