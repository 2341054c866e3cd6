//! Reverting what was merged: which commits of the base branch brought a change in, and the tree without them.
//!
//! A revert is made as Git makes it, by a three-way merge: from what was merged back to what was before it, on the tip
//! of today. It is made only where nobody needs to be asked: what landed is known for certain, and every file of it is
//! as it landed, or differs only where the change did not touch it and the caller knows who changed it.

use git2::{DiffOptions, MergeOptions, Repository};

use super::commit::{Merged, tree_between};
use super::tree::tree_of;
use super::{CommitInfo, Error, Id, WriteRepo};

/// Most commits of one pull request.
const MOST_COMMITS: usize = 250;

/// What a merge brought into the base branch: everything between two commits of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed {
    /// The base branch just before.
    pub before: Id,
    /// The base branch just after.
    pub after: Id,
}

/// What became of a change on the way from where it landed to a later tip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Every file of it is as it landed.
    Untouched,
    /// Every file of it is as it was before it landed: somebody has reverted it.
    Reverted,
    /// Files of it that are neither, sorted.
    Changed(Vec<String>),
}

impl WriteRepo {
    /// What the merge of a pull request brought in by `merge`: a merge commit, one commit that holds all of it
    /// (squash), or the last of its commits (rebase, fast-forward). `pull` is the commit that the pull request was made
    /// on, and its head.
    ///
    /// `None` where that cannot be told for certain: what the base branch got is not what the pull request had.
    ///
    /// # Errors
    ///
    /// A commit is not here, or a tree cannot be read.
    pub fn landed(&self, merge: Id, pull: Option<(Id, Id)>) -> Result<Option<Landed>, Error> {
        let info = self.commit_info(merge)?;
        let pull = pull.filter(|(base, head)| self.has(*base) && self.has(*head));
        match info.parents[..] {
            [first, second] => {
                // Which side was merged is written in the commit; the head may have got a merge of the base since.
                let known = match pull {
                    Some((_, head)) => self.is_ancestor(head, second)?,
                    None => true,
                };
                Ok(known.then_some(Landed { before: first, after: merge }))
            }
            [first] => match pull {
                Some((base, head)) if head == merge => self.forwarded(base, merge),
                Some((_, head)) => self.squashed_or_rebased(first, merge, head),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// The commits of the pull request are those of the base branch.
    fn forwarded(&self, base: Id, merge: Id) -> Result<Option<Landed>, Error> {
        if base == merge || !self.is_ancestor(base, merge)? {
            return Ok(None);
        }
        let commits = self.commits_since(Some(base), merge, MOST_COMMITS)?;
        let is_line = commits.iter().all(|commit| commit.parents.len() == 1);
        Ok(is_line.then_some(Landed { before: base, after: merge }))
    }

    fn squashed_or_rebased(&self, first: Id, merge: Id, head: Id) -> Result<Option<Landed>, Error> {
        let Some(fork) = self.merge_base(first, head)? else { return Ok(None) };
        let mut proposed = self.commits_since(Some(fork), head, MOST_COMMITS)?;
        proposed.retain(|commit| commit.parents.len() == 1);
        if proposed.len() > 1
            && let Some(before) = self.before_copies(merge, &proposed)?
        {
            let landed = Landed { before, after: merge };
            return Ok(self.is_all_of(landed, fork, head)?.then_some(landed));
        }
        let landed = Landed { before: first, after: merge };
        Ok(self.is_all_of(landed, fork, head)?.then_some(landed))
    }

    /// The commit before the copies of `proposed` (newest first) that a rebase left, which keep their messages.
    fn before_copies(&self, merge: Id, proposed: &[CommitInfo]) -> Result<Option<Id>, Error> {
        let mut at = merge;
        for original in proposed {
            let copy = self.commit_info(at)?;
            match copy.parents[..] {
                [parent] if copy.message.trim_end() == original.message.trim_end() => at = parent,
                _ => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Whether the range is the pull request from `fork` to `head`, whole and alone: it changes the same lines in the
    /// same way, or merging the pull request comes to the same tree by the same files.
    fn is_all_of(&self, landed: Landed, fork: Id, head: Id) -> Result<bool, Error> {
        let ours = {
            let repository = self.lock();
            let ours = patch_id(&repository, landed.before, landed.after)?;
            if ours.is_some() && ours == patch_id(&repository, fork, head)? {
                return Ok(true);
            }
            ours
        };
        let tree = self.commit_info(landed.after)?.tree;
        Ok(ours.is_some()
            && self.merge_trees(landed.before, head)? == Merged::Tree(tree)
            && self.landed_paths(landed)? == self.changed_paths(fork, head)?)
    }

    /// Files that `landed` changed, sorted.
    ///
    /// # Errors
    ///
    /// A tree cannot be read.
    pub fn landed_paths(&self, landed: Landed) -> Result<Vec<String>, Error> {
        self.changed_paths(landed.before, landed.after)
    }

    /// What became of a change until `tip`.
    ///
    /// # Errors
    ///
    /// A tree cannot be read.
    pub fn standing(&self, landed: Landed, tip: Id) -> Result<Standing, Error> {
        let mut changed = Vec::new();
        let mut reverted = true;
        for path in self.landed_paths(landed)? {
            let (before, after) = (self.entry(landed.before, &path)?, self.entry(landed.after, &path)?);
            let now = self.entry(tip, &path)?;
            reverted &= now == before;
            if now != after {
                changed.push(path);
            }
        }
        Ok(match changed.is_empty() {
            true => Standing::Untouched,
            false if reverted => Standing::Reverted,
            false => Standing::Changed(changed),
        })
    }

    /// The tree of `tip` without what `landed` brought in. Nothing is written but objects.
    ///
    /// # Errors
    ///
    /// A commit cannot be read.
    pub fn without(&self, landed: Landed, tip: Id) -> Result<Merged, Error> {
        let repository = self.lock();
        let (ancestor, ours, theirs) = (
            tree_of(&repository, landed.after)?,
            tree_of(&repository, tip)?,
            tree_of(&repository, landed.before)?,
        );
        let mut options = MergeOptions::new();
        options.find_renames(false);
        let what = || format!("the trees of `{}` and `{}`", landed.after.short(), tip.short());
        tree_between(&repository, (&ancestor, &ours, &theirs), &options, what)
    }

    /// Commits that `tip` has and `since` does not and that change one of `paths` against their first parent, newest
    /// first.
    ///
    /// # Errors
    ///
    /// A commit cannot be read, or there are more than `most` of them to look at.
    pub fn commits_touching(
        &self,
        since: Id,
        tip: Id,
        paths: &[String],
        most: usize,
    ) -> Result<Vec<CommitInfo>, Error> {
        let mut touching = Vec::new();
        for commit in self.commits_since(Some(since), tip, most)? {
            let changed = match commit.parents.first() {
                Some(parent) => self.changed_paths(*parent, commit.id)?,
                None => paths.to_vec(),
            };
            if changed.iter().any(|path| paths.contains(path)) {
                touching.push(commit);
            }
        }
        Ok(touching)
    }
}

/// What tells the same change from another, wherever its lines stand (git-patch-id).
fn patch_id(repository: &Repository, from: Id, to: Id) -> Result<Option<git2::Oid>, Error> {
    let what = || format!("the difference of `{}` and `{}`", from.short(), to.short());
    let (old, new) = (tree_of(repository, from)?, tree_of(repository, to)?);
    let mut options = DiffOptions::new();
    let diff = repository
        .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
        .map_err(Error::object(what()))?;
    if diff.deltas().len() == 0 {
        return Ok(None);
    }
    diff.patchid(None).map(Some).map_err(Error::object(what()))
}
