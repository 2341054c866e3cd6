//! Takes a merged update back in Git: by a push to the base branch, or by a pull request where that is wanted or the
//! branch is protected.
//!
//! The decision is recorded first; the commit carries its time, so that whoever makes it makes the same one. A commit of
//! ours on the base branch, whoever pushed it, is found again by its trailer. So a pass that was killed goes on where it
//! was, and of two passes one reverts and the other finds that done.

use jiff::Timestamp;

use super::act::Decision;
use super::branch::OnBranch;
use crate::app::effects::Effect;
use crate::app::forge::{
    BranchCommit, CommitFile, Forge, ForgeErrorClass, NewPullRequest, PullRequest, PullRequestState,
};
use crate::app::pass::{Error, UnderWay};
use crate::config::RevertBy;
use crate::domain::message::{Reverts, branch_name, neutral};
use crate::domain::settle::memory::Remembered;
use crate::domain::state::Update;
use crate::repo::write::{self, EntryKind, Id, Landed, Merged, RefUpdate, Words};

/// Most bytes of a file that is committed through a forge's API.
const FILE_LIMIT: usize = 64 << 20;
/// How often a revert is made anew on a base branch that moved meanwhile.
const MOST_ATTEMPTS: usize = 5;
/// Longest reason in a pull request, in characters.
const MAX_REASON: usize = 2_000;

/// What became of an attempt to take an update back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is taken back on the base branch.
    Back,
    /// A pull request proposes it.
    Proposed,
    /// Nothing was done, and nothing is wrong: the kill switch is on.
    Stopped,
    /// It must not be done; a person has to look.
    Held(Decision),
}

impl<F: Forge> UnderWay<'_, F> {
    /// Takes an update back, as far as that is safe now.
    pub(super) fn take_back(&mut self, decision: &Decision, now: Timestamp) -> Result<Taken, Error> {
        let id = decision.update.clone();
        for _ in 0..MOST_ATTEMPTS {
            self.look_at_base()?;
            if self.is_stopped()? {
                self.waiting
                    .insert(id, "everything is stopped by the kill switch; nothing is reverted".to_owned());
                return Ok(Taken::Stopped);
            }
            let Some(update) = self.world.state.updates.get(&id).cloned() else { return Ok(Taken::Back) };
            let (landed, paths, changed) = match self.on_branch(&update)? {
                OnBranch::TakenBack { commit, ours } => {
                    self.record_taken_back(&id, &commit.to_string(), ours, now)?;
                    return Ok(Taken::Back);
                }
                OnBranch::Lost => {
                    self.record_lost(&id, now)?;
                    return Ok(Taken::Back);
                }
                OnBranch::Unclear { reason, .. } => {
                    return Ok(Taken::Held(
                        decision.held("merge_unclear", format!("not reverted: {reason}")),
                    ));
                }
                OnBranch::Landed { landed, paths, changed } => (landed, paths, changed),
            };
            if self.world.state.memory.get(&id).is_some_and(Remembered::cannot_go_back) {
                let text = "not reverted: the cluster has moved to the new version in part, and cannot go back by Git";
                return Ok(Taken::Held(decision.held("moved", text.to_owned())));
            }
            // Many failures in a row have a cause that no revert removes.
            if update.settling.reversal.is_none()
                && let Some(breaker) = &self.world.state.breaker
            {
                let text = format!("not reverted: the circuit breaker is open, because {}", breaker.reason());
                return Ok(Taken::Held(decision.held("circuit_breaker", text)));
            }
            if !changed.is_empty()
                && let Some(stranger) = self.strangers(&update, landed, &paths)?.first()
            {
                let text = format!(
                    "not reverted: `{}` changed {} after it was merged, so a person is at work",
                    stranger.id.short(),
                    changed.join(", ")
                );
                return Ok(Taken::Held(decision.held("changed_since", text)));
            }
            let tree = match self.pass.git.without(landed, self.world.base)? {
                Merged::Tree(tree) => tree,
                Merged::Conflicts(paths) => {
                    let text =
                        format!("not reverted: it conflicts with what came later in {}", paths.join(", "));
                    return Ok(Taken::Held(decision.held("revert_conflicts", text)));
                }
            };
            self.decide_reversal(decision)?;
            let Some(update) = self.world.state.updates.get(&id).cloned() else { return Ok(Taken::Back) };
            let Some(reversal) = update.settling.reversal.clone() else {
                // Another pass has ended it, or has a reason to hold it that this one has not seen.
                let text = "not reverted: another pass has decided otherwise meanwhile".to_owned();
                return Ok(Taken::Held(decision.held("decided_otherwise", text)));
            };
            let by_pull_request =
                self.pass.config.validation.revert_by == RevertBy::PullRequest || reversal.branch.is_some();
            if by_pull_request {
                return self.propose_revert(&update, landed, tree, decision);
            }
            match self.push_revert(&update, landed, tree)? {
                Pushing::Pushed(commit) => {
                    self.record_taken_back(&id, &commit, true, now)?;
                    return Ok(Taken::Back);
                }
                Pushing::LeftOut => return Ok(Taken::Back),
                // Somebody was faster, maybe a pass that did the same: look again.
                Pushing::Moved => {}
                Pushing::Refused(why) => {
                    tracing::info!(
                        component = update.component,
                        reason = why,
                        "the revert is proposed instead of pushed"
                    );
                    return self.propose_revert(&update, landed, tree, decision);
                }
            }
        }
        let text = format!("not reverted yet: the base branch moved {MOST_ATTEMPTS} times meanwhile");
        self.waiting.insert(id, text);
        Ok(Taken::Stopped)
    }

    /// The base branch as it is now.
    pub(super) fn look_at_base(&mut self) -> Result<(), Error> {
        let name = format!("refs/heads/{}", self.world.base_branch);
        let refs = self.pass.git.fetch(|known| known == name)?;
        if let Some(base) = refs.branch(&self.world.base_branch) {
            self.world.base = base;
            self.world.refs = refs;
        }
        Ok(())
    }

    fn words(&self, update: &Update, landed: Landed) -> String {
        let reason = update.settling.reversal.as_ref().map(|reversal| reversal.reason.as_str());
        Reverts { update, commit: &landed.after.to_string(), reason: reason.unwrap_or_default() }.message()
    }

    fn push_revert(&mut self, update: &Update, landed: Landed, tree: Id) -> Result<Pushing, Error> {
        let Some(reversal) = &update.settling.reversal else { return Ok(Pushing::LeftOut) };
        let (base, branch) = (self.world.base, self.world.base_branch.clone());
        let message = self.words(update, landed);
        let time = reversal.decided_at;
        let what = Reverts { update, commit: "", reason: "" }.title();
        let effect = Effect::Revert { branch: branch.clone(), what };
        let name = format!("refs/heads/{branch}");
        let done = self.effect(effect, |run| {
            match run.revert_through_forge(&branch, base, tree, &message, Some(base)) {
                Ok(Some(commit)) => return Ok(Pushing::Pushed(commit)),
                Ok(None) => {}
                Err(Error::Forge(error)) => match error.class {
                    ForgeErrorClass::Conflict => return Ok(Pushing::Moved),
                    // A protected branch: 403 without the right to pass it, 422 by a rule of the repository.
                    ForgeErrorClass::Denied { .. } | ForgeErrorClass::Permanent => {
                        return Ok(Pushing::Refused(error.to_string()));
                    }
                    _ => return Err(error.into()),
                },
                Err(error) => return Err(error),
            }
            let words = Words { message: &message, author: &run.pass.author, time };
            let commit = run.pass.git.commit_tree(tree, &[base], words)?;
            match run.pass.git.push(&[RefUpdate::replace(&name, Some(base), commit)]) {
                Ok(_) => Ok(Pushing::Pushed(commit.to_string())),
                Err(error) if error.lost_race() => Ok(Pushing::Moved),
                Err(error @ write::Error::Refused { .. }) => Ok(Pushing::Refused(error.to_string())),
                Err(error) => Err(error.into()),
            }
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

    /// The branch moved to a commit that the forge makes and signs, where that was chosen; `None` where it was not, or
    /// the change is one that the forge's API does not take.
    pub(super) fn revert_through_forge(
        &self,
        branch: &str,
        base: Id,
        tree: Id,
        message: &str,
        seen: Option<Id>,
    ) -> Result<Option<String>, Error> {
        if !self.pass.config.commits.through_api {
            return Ok(None);
        }
        let words = Words { message, author: &self.pass.author, time: self.pass.now };
        let made = self.pass.git.commit_tree(tree, &[base], words)?;
        let mut files = Vec::new();
        for path in self.pass.git.changed_paths(base, made)? {
            let Some(content) = self.pass.git.read_file(made, &path, FILE_LIMIT)? else { return Ok(None) };
            let entry = self.pass.git.entry(made, &path)?;
            let executable = entry.is_some_and(|entry| entry.kind == EntryKind::Executable);
            files.push(CommitFile { path, content, executable });
        }
        let commit = BranchCommit {
            branch: branch.to_owned(),
            base: base.to_string(),
            files,
            message: message.to_owned(),
            seen: seen.map(|seen| seen.to_string()),
        };
        Ok(self.pass.wait(self.pass.forge.commit(&commit))?)
    }

    /// Proposes the revert in a pull request, once.
    fn propose_revert(
        &mut self,
        update: &Update,
        landed: Landed,
        tree: Id,
        decision: &Decision,
    ) -> Result<Taken, Error> {
        let id = update.update_id.clone();
        let branch = branch_name(&format!("revert-{}", update.component), &format!("{}-{id}", update.to));
        let title = Reverts { update, commit: "", reason: "" }.title();
        let found = self.pass.wait(self.pass.forge.pull_requests_of(&branch))?;
        if let Some(closed) = found.iter().find(|pull| pull.state == PullRequestState::Closed)
            && found.iter().all(|pull| pull.state != PullRequestState::Open)
        {
            let text = format!("not reverted: a person closed #{}, which proposed it", closed.number);
            return Ok(Taken::Held(decision.held("revert_declined", text)));
        }
        let open = found.into_iter().find(|pull| pull.state == PullRequestState::Open);
        let pull = match open {
            Some(pull) => Some(pull),
            None => {
                if let Some(held) = self.foreign_branch(update, &branch, decision)? {
                    return Ok(Taken::Held(held));
                }
                self.push_revert_branch(update, landed, tree, &branch, &title)?;
                self.open_revert(update, &branch, &title)?
            }
        };
        let number = pull.map(|pull| pull.number);
        self.record_update(&id, |update| {
            if let Some(reversal) = &mut update.settling.reversal {
                reversal.branch = Some(branch.clone());
                reversal.pull_request = number.or(reversal.pull_request);
                update.reason = reversal.pull_request.map(|number| {
                    format!("regressed; the revert is proposed in #{number}, which a person has to merge")
                });
            }
        })?;
        if let Some(number) = number {
            self.waiting.insert(id, format!("the revert is proposed in #{number}; a person has to merge it"));
        }
        Ok(Taken::Proposed)
    }

    /// Somebody's commits on the branch that the revert would be proposed from are left alone.
    fn foreign_branch(
        &self,
        update: &Update,
        branch: &str,
        decision: &Decision,
    ) -> Result<Option<Decision>, Error> {
        let name = format!("refs/heads/{branch}");
        let refs = self.pass.git.fetch(|known| known == name)?;
        let Some(found) = refs.branch(branch) else { return Ok(None) };
        if !self.is_foreign(update, found)? {
            return Ok(None);
        }
        let text = format!("not reverted: the branch `{branch}` has commits of somebody else");
        Ok(Some(decision.held("foreign_branch", text)))
    }

    fn push_revert_branch(
        &mut self,
        update: &Update,
        landed: Landed,
        tree: Id,
        branch: &str,
        title: &str,
    ) -> Result<(), Error> {
        let name = format!("refs/heads/{branch}");
        let refs = self.pass.git.fetch(|known| known == name)?;
        let found = refs.branch(branch);
        let base = self.world.base;
        let message = self.words(update, landed);
        let time = update.settling.reversal.as_ref().map_or(self.pass.now, |reversal| reversal.decided_at);
        let effect = Effect::Push { branch: branch.to_owned(), what: title.to_owned() };
        self.effect(effect, |run| {
            if run.revert_through_forge(branch, base, tree, &message, found)?.is_some() {
                return Ok(());
            }
            let words = Words { message: &message, author: &run.pass.author, time };
            let commit = run.pass.git.commit_tree(tree, &[base], words)?;
            run.pass.git.push(&[RefUpdate::replace(&name, found, commit)])?;
            Ok(())
        })
        .map(drop)
    }

    fn open_revert(
        &mut self,
        update: &Update,
        branch: &str,
        title: &str,
    ) -> Result<Option<PullRequest>, Error> {
        let settings = &self.pass.config.pull_requests;
        let reason = update.settling.reversal.as_ref().map_or("", |reversal| reversal.reason.as_str());
        let merged = update.pull_request.map(|number| format!(" (#{number})")).unwrap_or_default();
        let body = format!(
            "Takes {} back from {} to {}{merged}, because it regressed after its merge:\n\n> {}\n\nMerging this brings \
             the old version back. Closing it without merging means that the new version stays, and a person looks after \
             it.\n",
            neutral::code(&update.component),
            neutral::code(&update.to),
            neutral::code(&update.from),
            neutral::prose(reason, MAX_REASON)
        );
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
}

enum Pushing {
    Pushed(String),
    Moved,
    Refused(String),
    /// By the witness.
    LeftOut,
}
