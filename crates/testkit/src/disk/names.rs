//! The names of a [`CrashDisk`](super::CrashDisk): which path leads to what, live and durably.
//!
//! A change of names is applied to the live state at once and queued; syncing a folder applies the queued changes
//! of that folder to the durable state. A rename has two halves, the new name and the end of the old one. The
//! invariant of a journaling filesystem is kept: the old name never ends durably before the new one is durable.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// A folder.
    Dir,
    /// A file, by the number of its content.
    File(usize),
}

/// All names of one state of the disk.
pub(super) type Tree = BTreeMap<PathBuf, Node>;

/// One change of one folder that is not durable yet.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The path whose name appears, is replaced or ends.
    pub(super) path: PathBuf,
    /// What the name leads to from now on; `None` when it ends.
    pub(super) node: Option<Node>,
    /// For the old name of a rename: the new name's change, which must be durable first.
    pub(super) after: Option<u64>,
    /// A number that rises with every change.
    pub(super) number: u64,
}

/// The live and the durable names, and what lies between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) live: Tree,
    pub(super) durable: Tree,
    pub(super) pending: Vec<Change>,
    pub(super) last_number: u64,
}

/// The folder that holds `path`.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

impl Names {
    /// Lets `path` lead to `node`.
    pub(super) fn link(&mut self, path: &Path, node: Node) -> u64 {
        self.live.insert(path.to_owned(), node);
        self.queue(path, Some(node), None)
    }

    /// Ends the name `path`.
    pub(super) fn unlink(&mut self, path: &Path, after: Option<u64>) {
        self.live.remove(path);
        self.queue(path, None, after);
    }

    /// Moves the file `node` from one name to another.
    pub(super) fn rename(&mut self, from: &Path, to: &Path, node: Node) {
        let new_name = self.link(to, node);
        self.unlink(from, Some(new_name));
    }

    fn queue(&mut self, path: &Path, node: Option<Node>, after: Option<u64>) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        self.pending.push(Change { path: path.to_owned(), node, after, number });
        number
    }

    /// Makes every queued change of `dir` durable, and the new names of what was renamed out of it.
    pub(super) fn sync_dir(&mut self, dir: &Path) {
        let chosen = |change: &Change| parent(&change.path) == dir;
        let chosen: Vec<u64> = self.pending.iter().filter(|c| chosen(c)).map(|c| c.number).collect();
        self.commit(chosen);
    }

    /// Makes the changes with these numbers durable, in their order, with all that must come before them: earlier
    /// changes of the same name, and the new name of a rename.
    pub(super) fn commit(&mut self, mut chosen: Vec<u64>) {
        let mut known = 0;
        while known < chosen.len() {
            let number = chosen[known];
            known += 1;
            let Some(change) = self.pending.iter().find(|c| c.number == number) else { continue };
            let earlier = self.pending.iter().filter(|c| c.path == change.path && c.number < number);
            let needed: Vec<u64> = earlier.map(|c| c.number).chain(change.after).collect();
            for number in needed {
                if !chosen.contains(&number) {
                    chosen.push(number);
                }
            }
        }
        for change in std::mem::take(&mut self.pending) {
            if !chosen.contains(&change.number) {
                self.pending.push(change);
            } else if let Some(node) = change.node {
                self.durable.insert(change.path, node);
            } else {
                self.durable.remove(&change.path);
            }
        }
    }
}
