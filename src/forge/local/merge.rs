//! Merging a pull request into its base branch.

use super::record::Stage;
use super::{Inner, conflict, failed};
use crate::app::forge::{ForgeError, ForgeResult, MergeMethod, Number, PullRequestState};
use crate::repo::write::{Error, Id, Merged, RefUpdate, Words};

/// Most commits that are put on top of the base one by one.
const MOST_COMMITS: usize = 250;

impl Inner {
    /// Returns the commit on the base branch. Merging what is merged returns where it was.
    pub(super) fn merge(
        &self,
        number: Number,
        head: &str,
        method: MergeMethod,
        message: &str,
    ) -> ForgeResult<String> {
        let attempt = format!("merge pull request {number}");
        let merged = std::cell::RefCell::new(String::new());
        self.update(number, &attempt, |refs, thread| {
            let pull = self.pull(refs, thread)?;
            match pull.state {
                PullRequestState::Merged { commit, .. } => {
                    *merged.borrow_mut() = commit;
                    return Ok(None);
                }
                PullRequestState::Closed => return Err(conflict(format!("cannot {attempt}: it is closed"))),
                PullRequestState::Open => {}
            }
            if pull.head != head {
                return Err(conflict(format!("cannot {attempt}: its head is `{}`, not `{head}`", pull.head)));
            }
            if pull.draft {
                return Err(conflict(format!("cannot {attempt}: it is a draft")));
            }
            let missing = |what: &str| conflict(format!("cannot {attempt}: branch `{what}` is gone"));
            let theirs = refs.branch(&pull.branch).ok_or_else(|| missing(&pull.branch))?;
            let ours = refs.branch(&pull.base).ok_or_else(|| missing(&pull.base))?;
            let told = |error: &Error| told(&attempt, &pull.branch, error);
            // A squash or rebase that was cut off after the base had moved leaves nothing to be merged.
            let is_there = self.has_all_of(ours, theirs).map_err(|error| told(&error))?;
            let new = if is_there {
                ours
            } else {
                self.merge_commit(ours, theirs, method, message).map_err(|error| told(&error))?
            };
            thread.record.state = Stage::Merged;
            thread.record.merge_commit = Some(new.to_string());
            thread.record.merged_by = Some(format!("{} <{}>", self.author.name, self.author.email));
            thread.record.ended_at = Some(self.now());
            thread.record.head = Some(theirs.to_string());
            *merged.borrow_mut() = new.to_string();
            let mut updates = self.keep_head(refs, number, Some(theirs));
            updates.push(RefUpdate::replace(format!("refs/heads/{}", pull.base), Some(ours), new));
            Ok(Some((format!("Merge pull request {number} as {}", new.short()), updates)))
        })?;
        Ok(merged.into_inner())
    }

    fn has_all_of(&self, ours: Id, theirs: Id) -> Result<bool, Error> {
        let tree = self.repo.commit_info(ours)?.tree;
        Ok(self.repo.merge_trees(ours, theirs)? == Merged::Tree(tree))
    }

    fn merge_commit(&self, ours: Id, theirs: Id, method: MergeMethod, message: &str) -> Result<Id, Error> {
        let repo = &self.repo;
        let words = Words { message, author: &self.author, time: self.now() };
        let tree = |merged| match merged {
            Merged::Tree(tree) => Ok(tree),
            Merged::Conflicts(paths) => Err(Error::Conflict { ours, theirs, paths }),
        };
        match method {
            MergeMethod::Merge => {
                repo.commit_tree(tree(repo.merge_trees(ours, theirs)?)?, &[ours, theirs], words)
            }
            MergeMethod::Squash => repo.commit_tree(tree(repo.merge_trees(ours, theirs)?)?, &[ours], words),
            MergeMethod::Rebase => {
                let mut tip = ours;
                for commit in repo.commits_since(Some(ours), theirs, MOST_COMMITS)?.into_iter().rev() {
                    // A merge into the branch brought in what the base has, or what is among these commits.
                    if commit.parents.len() > 1 {
                        continue;
                    }
                    let words = Words { message: &commit.message, author: &commit.author, ..words };
                    tip = repo.commit_tree(tree(repo.replay(commit.id, tip)?)?, &[tip], words)?;
                }
                Ok(tip)
            }
        }
    }
}

fn told(attempt: &str, branch: &str, error: &Error) -> ForgeError {
    let mut told = failed(attempt, error);
    if matches!(error, Error::Conflict { .. }) {
        told.hint = Some(format!("bring the base branch into `{branch}` and settle the conflicts there"));
    }
    told
}
