//! Whose the commits on a branch are: what is somebody else's is left alone.

use std::collections::BTreeMap;

use super::act::step_of;
use super::wanted::FILE_LIMIT;
use super::{Error, Run, UnderWay};
use crate::app::forge::Forge;
use crate::app::plan::Planned;
use crate::domain::message::is_commit_of;
use crate::domain::state::{Stage, Update};
use crate::repo::write::{self, CommitInfo, Id, WriteRepo};

/// Most commits of a branch of ours that are looked at.
const MOST_COMMITS: usize = 100;

impl<F: Forge> Run<'_, F> {
    /// The update, and whether somebody else has committed to its branch. Where the forge commits in its own name, a
    /// commit whose note was lost is known by what it holds.
    pub(super) fn with_our_head(
        &self,
        update: &Update,
        head: Option<Id>,
        planned: &Planned,
    ) -> Result<(Update, bool), Error> {
        let mut update = update.clone();
        let Some(head) = head.filter(|_| update.stage == Stage::Proposed) else { return Ok((update, false)) };
        if !self.is_foreign(&update, head)? {
            return Ok((update, false));
        }
        let step = step_of(&update, planned).filter(|_| self.pass.config.commits.through_api);
        let is_ours = match step {
            Some(step) => self.is_our_change(&update, head, &self.files(step, planned)?)?,
            None => false,
        };
        if is_ours {
            update.head = Some(head.to_string());
        }
        Ok((update, !is_ours))
    }
}

/// Whether anything between the base branch, which is at `base`, and the branch of an update, which is at `head`, is not
/// of the account `ours`, or says nothing of that update. Both commits must be here.
///
/// # Errors
///
/// The repository cannot be read.
pub fn has_foreign_commits(
    git: &WriteRepo,
    base: Id,
    ours: &str,
    update: &Update,
    head: Id,
) -> Result<bool, write::Error> {
    if update.head.as_deref() == Some(head.to_string().as_str()) {
        return Ok(false);
    }
    let since = git.merge_base(base, head)?;
    let commits = git.commits_since(since, head, MOST_COMMITS)?;
    let is_ours = |commit: &CommitInfo| {
        commit.author.email == *ours
            && commit.committer.email == *ours
            && is_commit_of(&commit.message, update)
    };
    Ok(commits.len() >= MOST_COMMITS || !commits.iter().all(is_ours))
}

impl<F: Forge> UnderWay<'_, F> {
    /// Whether anything on the branch since the base branch is not ours: written by another account, or without the
    /// trailers that say what of ours it is. Accounts are shared; another program may commit as the same one.
    pub(in crate::app) fn is_foreign(&self, update: &Update, head: Id) -> Result<bool, Error> {
        Ok(has_foreign_commits(&self.pass.git, self.world.base, &self.pass.author.email, update, head)?)
    }

    /// Whether a branch holds exactly this change, in one commit that says so. Then there is nothing of anybody else's on
    /// it, whoever the forge names as its author.
    pub(in crate::app) fn is_our_change(
        &self,
        update: &Update,
        head: Id,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<bool, Error> {
        let git = &self.pass.git;
        let Some(since) = git.merge_base(self.world.base, head)? else { return Ok(false) };
        let commit = git.commit_info(head)?;
        if commit.parents != [since] || !is_commit_of(&commit.message, update) {
            return Ok(false);
        }
        for path in git.changed_paths(since, head)? {
            if !files.contains_key(&path) {
                return Ok(false);
            }
        }
        for (path, content) in files {
            if git.read_file(head, path, FILE_LIMIT)?.as_ref() != Some(content) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
