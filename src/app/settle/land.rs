//! Brings a change of ours to the base branch: by a push, or by a pull request where the branch is protected.
//!
//! Whoever makes the commit makes the same one: it carries the time of the decision, not that of the pass.

use jiff::Timestamp;

use crate::app::effects::{Came, Effect};
use crate::app::forge::{BranchCommit, CommitFile, Forge, ForgeErrorClass, NewPullRequest, PullRequest};
use crate::app::pass::{Error, UnderWay};
use crate::domain::state::Update;
use crate::repo::write::{self, EntryKind, Id, Pushed, RefUpdate, Words};

/// Most bytes of a file that is committed through a forge's API.
const FILE_LIMIT: usize = 64 << 20;

/// A change on top of the base branch.
pub(super) struct Landing {
    /// The whole tree with it.
    pub(super) tree: Id,
    /// First line of the message.
    pub(super) title: String,
    /// The message.
    pub(super) message: String,
    /// When it was decided.
    pub(super) time: Timestamp,
}

/// What a push to the base branch came to.
pub(super) enum Pushing {
    /// It is there, as this commit.
    Pushed(String),
    /// Somebody was faster.
    Moved,
    /// The branch is protected.
    Refused(String),
    /// By the witness.
    LeftOut,
}

impl<F: Forge> UnderWay<'_, F> {
    /// Pushes a change to the base branch as it was seen.
    pub(super) fn push_to_base(&mut self, effect: Effect, landing: &Landing) -> Result<Pushing, Error> {
        let (base, branch) = (self.world.base, self.world.base_branch.clone());
        let name = format!("refs/heads/{branch}");
        let done = self.effect_or_found(effect, |run| {
            match run.land_through_forge(&branch, landing, Some(base)) {
                Ok(Some(commit)) => return Ok(Came::Done(Pushing::Pushed(commit))),
                Ok(None) => {}
                Err(Error::Forge(error)) => match error.class {
                    ForgeErrorClass::Conflict => return Ok(Came::Done(Pushing::Moved)),
                    // A protected branch: 403 without the right to pass it, 422 by a rule of the repository.
                    ForgeErrorClass::Denied { .. } | ForgeErrorClass::Permanent => {
                        return Ok(Came::Done(Pushing::Refused(error.to_string())));
                    }
                    _ => return Err(error.into()),
                },
                Err(error) => return Err(error),
            }
            let commit = run.commit_landing(landing)?;
            let pushed = match run.pass.git.push(&[RefUpdate::replace(&name, Some(base), commit)]) {
                // The commit is the same whoever makes it.
                Ok(Pushed::AlreadyThere) => return Ok(Came::Found(Pushing::Pushed(commit.to_string()))),
                Ok(Pushed::Moved) => Pushing::Pushed(commit.to_string()),
                Err(error) if error.lost_race() => Pushing::Moved,
                Err(error @ write::Error::Refused { .. }) => Pushing::Refused(error.to_string()),
                Err(error) => return Err(error.into()),
            };
            Ok(Came::Done(pushed))
        })?;
        let done = done.unwrap_or(Pushing::LeftOut);
        if let Pushing::Pushed(commit) = &done
            && let Ok(commit) = commit.parse::<Id>()
        {
            self.world.base = commit;
            self.world.refs.refs.insert(format!("refs/heads/{branch}"), commit);
        }
        Ok(done)
    }

    /// Pushes a change to a branch of its own, in place of what stands there.
    pub(super) fn push_landing(&mut self, branch: &str, landing: &Landing) -> Result<(), Error> {
        let name = format!("refs/heads/{branch}");
        let refs = self.pass.git.fetch(|known| known == name)?;
        let found = refs.branch(branch);
        let effect = Effect::Push { branch: branch.to_owned(), what: landing.title.clone() };
        self.effect_or_found(effect, |run| {
            if run.land_through_forge(branch, landing, found)?.is_some() {
                return Ok(Came::Done(()));
            }
            let commit = run.commit_landing(landing)?;
            Ok(match run.pass.git.push(&[RefUpdate::replace(&name, found, commit)])? {
                Pushed::Moved => Came::Done(()),
                Pushed::AlreadyThere => Came::Found(()),
            })
        })
        .map(drop)
    }

    /// Opens the pull request of a branch; `None` where the witness left it out.
    pub(super) fn open_landing(
        &mut self,
        branch: &str,
        title: &str,
        body: String,
    ) -> Result<Option<PullRequest>, Error> {
        let settings = &self.pass.config.pull_requests;
        let new = NewPullRequest {
            branch: branch.to_owned(),
            base: self.world.base_branch.clone(),
            title: title.to_owned(),
            body,
            labels: settings.labels.clone(),
            reviewers: settings.reviewers.clone(),
            assignees: settings.assignees.clone(),
            draft: false,
        };
        let effect = Effect::Open { branch: new.branch.clone(), title: new.title.clone() };
        let opened = self.effect(effect, |run| Ok(run.pass.wait(run.pass.forge.open(&new))?))?;
        self.world.pulls.extend(opened.clone());
        Ok(opened)
    }

    fn commit_landing(&self, landing: &Landing) -> Result<Id, Error> {
        let words = Words { message: &landing.message, author: &self.pass.author, time: landing.time };
        Ok(self.pass.git.commit_tree(landing.tree, &[self.world.base], words)?)
    }

    /// A branch moved to a commit that the forge makes and signs, where that was chosen; `None` where it was not, or the
    /// change is one that the forge's API does not take.
    fn land_through_forge(
        &self,
        branch: &str,
        landing: &Landing,
        seen: Option<Id>,
    ) -> Result<Option<String>, Error> {
        if !self.pass.config.commits.through_api {
            return Ok(None);
        }
        let Some(files) = self.files_of(landing)? else { return Ok(None) };
        let commit = BranchCommit {
            branch: branch.to_owned(),
            base: self.world.base.to_string(),
            files,
            message: landing.message.clone(),
            seen: seen.map(|seen| seen.to_string()),
        };
        Ok(self.pass.wait(self.pass.forge.commit(&commit))?)
    }

    /// The files that a change writes; `None` where it takes some away, which a forge's API does not.
    fn files_of(&self, landing: &Landing) -> Result<Option<Vec<CommitFile>>, Error> {
        let git = &self.pass.git;
        let made = self.commit_landing(landing)?;
        let mut files = Vec::new();
        for path in git.changed_paths(self.world.base, made)? {
            let Some(content) = git.read_file(made, &path, FILE_LIMIT)? else { return Ok(None) };
            let executable = git.entry(made, &path)?.is_some_and(|entry| entry.kind == EntryKind::Executable);
            files.push(CommitFile { path, content, executable });
        }
        Ok(Some(files))
    }

    /// Whether the branch that a change would be proposed from has commits of somebody else. Where the forge commits in
    /// its own name, what a pass pushed that was killed before it opened the pull request is known by what it holds.
    pub(super) fn is_foreign_landing(
        &self,
        update: &Update,
        branch: &str,
        landing: &Landing,
    ) -> Result<bool, Error> {
        let name = format!("refs/heads/{branch}");
        let refs = self.pass.git.fetch(|known| known == name)?;
        let Some(head) = refs.branch(branch) else { return Ok(false) };
        if !self.is_foreign(update, head)? {
            return Ok(false);
        }
        let files = match self.pass.config.commits.through_api {
            true => self.files_of(landing)?,
            false => None,
        };
        let Some(files) = files else { return Ok(true) };
        let files = files.into_iter().map(|file| (file.path, file.content)).collect();
        Ok(!self.is_our_change(update, head, &files)?)
    }
}
