//! The last two effects of a proposal: its branch and its pull request.

use std::collections::BTreeMap;

use super::act::may_be_of;
use super::{Error, Run, UnderWay};
use crate::app::effects::{Came, Effect};
use crate::app::forge::{
    BranchCommit, CommitFile, Forge, NewPullRequest, PullRequestChange, PullRequestState,
};
use crate::domain::message::Written;
use crate::domain::plan::{Approval, Step};
use crate::domain::state::Update;
use crate::repo::write::{Change, EntryKind, Id, Pushed, RefUpdate, Words};

impl<F: Forge> Run<'_, F> {
    /// The branch with the change, on the base branch of today; `None` in a dry run.
    pub(super) fn push_branch(
        &mut self,
        update: &Update,
        written: &Written,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Option<Id>, Error> {
        let found = self.world.refs.branch(&update.branch);
        if let Some(head) = found
            && self.is_foreign(update, head)?
            && !(self.pass.config.commits.through_api && self.is_our_change(update, head, files)?)
        {
            return Err(Error::Foreign { branch: update.branch.clone() });
        }
        let base = self.world.base;
        let changes: BTreeMap<String, Change> =
            files.iter().map(|(path, bytes)| (path.clone(), Change::Write(bytes.clone()))).collect();
        let name = format!("refs/heads/{}", update.branch);
        let effect = Effect::Push { branch: update.branch.clone(), what: written.title.clone() };
        let made = |run: &UnderWay<'_, F>| -> Result<Id, Error> {
            let words = Words { message: &written.commit, author: &run.pass.author, time: update.started_at };
            Ok(run.pass.git.commit(base, &changes, words)?)
        };
        // What is there as it should be is no effect. Making the commit writes objects, which a dry run does not.
        let by_git = !self.pass.config.commits.through_api;
        if by_git && found.is_some() && self.pass.witness.acts() && found == Some(made(self)?) {
            return Ok(found);
        }
        let pushed = self.found_unless_stopped(effect, |run| {
            if run.pass.config.commits.through_api
                && let Some(commit) = run.commit_through_forge(update, written, files, found)?
            {
                return Ok(Came::Done(commit));
            }
            let commit = made(run)?;
            Ok(match run.pass.git.push(&[RefUpdate::replace(&name, found, commit)])? {
                Pushed::Moved => Came::Done(commit),
                // The commit is the same whoever makes it.
                Pushed::AlreadyThere => Came::Found(commit),
            })
        })?;
        if let Some(commit) = pushed {
            self.world.refs.refs.insert(name, commit);
        }
        Ok(pushed)
    }

    /// The open pull request of the branch; `None` in a dry run.
    pub(super) fn open(
        &mut self,
        update: &Update,
        step: &Step,
        written: &Written,
    ) -> Result<Option<u64>, Error> {
        let settings = &self.pass.config.pull_requests;
        let is_open = |state: &PullRequestState| matches!(state, PullRequestState::Open);
        let there = self
            .world
            .pulls
            .iter()
            .find(|pull| pull.branch == update.branch && is_open(&pull.state))
            .cloned();
        // What was opened and not noted may lack labels and reviewers: opening it again sees to that.
        if let Some(pull) = there.filter(|_| update.pull_request.is_some()) {
            let change = PullRequestChange {
                title: (pull.title != written.title).then(|| written.title.clone()),
                body: (pull.body.trim_end() != written.body.trim_end()).then(|| written.body.clone()),
                ..PullRequestChange::default()
            };
            if change != PullRequestChange::default() {
                if self.may_not()? {
                    return Err(Error::KillSwitch);
                }
                self.change(&pull, change, "made anew on the base branch as it is now")?;
            }
            self.note(pull.number)?;
            return Ok(Some(pull.number));
        }
        let new = NewPullRequest {
            branch: update.branch.clone(),
            base: self.world.base_branch.clone(),
            title: written.title.clone(),
            body: written.body.clone(),
            labels: settings.labels.clone(),
            reviewers: settings.reviewers.clone(),
            assignees: settings.assignees.clone(),
            draft: settings.draft && step.gate != Approval::Auto,
        };
        let effect = Effect::Open { branch: new.branch.clone(), title: new.title.clone() };
        let opened =
            self.found_unless_stopped(effect, |run| Ok(run.pass.wait(run.pass.forge.open_or_find(&new))?))?;
        let Some(pull) = opened else { return Ok(None) };
        let number = pull.number;
        // That of an earlier attempt says what was so then, and may be merged or closed by now.
        if !may_be_of(&pull, update) {
            return Err(Error::Another { number, branch: pull.branch });
        }
        self.world.pulls.push(pull);
        Ok(Some(number))
    }
}

impl<F: Forge> UnderWay<'_, F> {
    /// The branch, moved to a commit that the forge makes in its own name; `None` where it makes none.
    fn commit_through_forge(
        &self,
        update: &Update,
        written: &Written,
        files: &BTreeMap<String, Vec<u8>>,
        seen: Option<Id>,
    ) -> Result<Option<Id>, Error> {
        let file = |(path, content): (&String, &Vec<u8>)| -> Result<CommitFile, Error> {
            let entry = self.pass.git.entry(self.world.base, path)?;
            let executable = entry.is_some_and(|entry| entry.kind == EntryKind::Executable);
            Ok(CommitFile { path: path.clone(), content: content.clone(), executable })
        };
        let commit = BranchCommit {
            branch: update.branch.clone(),
            base: self.world.base.to_string(),
            files: files.iter().map(file).collect::<Result<_, _>>()?,
            message: written.commit.clone(),
            seen: seen.map(|seen| seen.to_string()),
        };
        let Some(text) = self.pass.wait(self.pass.forge.commit(&commit))? else { return Ok(None) };
        text.parse().map(Some).map_err(|source| Error::Commit { text, source })
    }
}
