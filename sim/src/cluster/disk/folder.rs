//! The log's folder: names that are durable only after a sync of the folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::Choice;

use super::content::{handed_on, survivor};
use super::{Inode, Mood};

#[derive(Debug, Default)]
pub(super) struct Folder {
    /// As processes see it.
    now: BTreeMap<String, Inode>,
    /// As it was at the last sync.
    synced: BTreeMap<String, Inode>,
    /// What was changed since, oldest first.
    changes: Vec<Change>,
}

/// One change of the folder, which happens as a whole or not at all.
#[derive(Debug)]
struct Change {
    remove: Option<String>,
    add: Option<(String, Inode)>,
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        if let Some(name) = &self.remove {
            names.remove(name);
        }
        if let Some((name, inode)) = &self.add {
            names.insert(name.clone(), inode.clone());
        }
    }
}

impl Folder {
    pub(super) fn get(&self, name: &str) -> Option<&Inode> {
        self.now.get(name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.now.keys().cloned().collect()
    }

    pub(super) fn inodes(&self) -> impl Iterator<Item = (&String, &Inode)> {
        self.now.iter()
    }

    pub(super) fn create(&mut self, name: &str) -> Inode {
        let inode = Inode::default();
        self.change(Change {
            remove: None,
            add: Some((name.to_owned(), inode.clone())),
        });
        inode
    }

    /// Whether there was such a file.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(inode) = self.now.get(from).cloned() else {
            return false;
        };
        self.change(Change {
            remove: Some(from.to_owned()),
            add: Some((to.to_owned(), inode)),
        });
        true
    }

    /// Whether there was such a file.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let there = self.now.contains_key(name);
        if there {
            self.change(Change {
                remove: Some(name.to_owned()),
                add: None,
            });
        }
        there
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.changes.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.changes.clear();
        self.synced.clone_from(&self.now);
    }

    /// Of what was changed since the last sync, some has happened. A later change may be there while
    /// an earlier one is not.
    pub(super) fn crash(&mut self, choice: &mut Choice, mood: Mood) {
        self.now = std::mem::take(&mut self.synced);
        for change in std::mem::take(&mut self.changes) {
            if mood.survives(choice) {
                change.apply(&mut self.now);
            }
        }
        self.replace(|inode| survivor(inode, choice, mood));
        self.synced.clone_from(&self.now);
    }

    /// Gives the files to the next process.
    pub(super) fn kill(&mut self) {
        self.replace(handed_on);
    }

    /// Replaces each file, wherever its name stands.
    fn replace(&mut self, mut new: impl FnMut(&Inode) -> Inode) {
        let mut done: Vec<(Inode, Inode)> = Vec::new();
        let added = self
            .changes
            .iter_mut()
            .filter_map(|change| change.add.as_mut());
        let places = self.now.values_mut().chain(self.synced.values_mut());
        for inode in places.chain(added.map(|(_, inode)| inode)) {
            let known = done.iter().find(|(old, _)| Arc::ptr_eq(old, inode));
            let replaced = match known {
                Some((_, replaced)) => replaced.clone(),
                None => {
                    let replaced = new(inode);
                    done.push((inode.clone(), replaced.clone()));
                    replaced
                }
            };
            *inode = replaced;
        }
    }
}
