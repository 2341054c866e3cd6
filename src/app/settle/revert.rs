//! Reverts a merged update in Git: by a push to the base branch, or by a pull request where that is wanted or the
//! branch is protected.
//!
//! The decision is recorded first; the commit carries its time, so that whoever makes it makes the same one. A commit of
//! ours on the base branch, whoever pushed it, is found again by its trailer. So a pass that was killed goes on where it
//! was, and of two passes one reverts and the other finds that done.

use jiff::Timestamp;

use super::act::Decision;
use super::branch::OnBranch;
use super::land::{Landing, Pushing};
use crate::app::effects::Effect;
use crate::app::forge::{Forge, PullRequest, PullRequestState};
use crate::app::pass::{Error, UnderWay};
use crate::config::RevertBy;
use crate::domain::message::{Reverts, branch_name, neutral};
use crate::domain::settle::memory::Remembered;
use crate::domain::state::Update;
use crate::repo::write::{Id, Landed, Merged};

/// How often a revert is made anew on a base branch that moved meanwhile.
const MOST_ATTEMPTS: usize = 5;
/// Longest reason in a pull request, in characters.
const MAX_REASON: usize = 2_000;

/// What became of an attempt to revert an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is reverted on the base branch.
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
    pub(super) fn revert_in_git(&mut self, decision: &Decision, now: Timestamp) -> Result<Taken, Error> {
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
                OnBranch::Reverted { commit, ours } => {
                    let ours = self.counts_as_ours(&update, ours);
                    self.record_reverted(&id, &commit.to_string(), ours, now)?;
                    return Ok(Taken::Back);
                }
                OnBranch::Lost => {
                    self.record_lost(&id, now)?;
                    return Ok(Taken::Back);
                }
                OnBranch::Replaced { commit } => {
                    let text = format!("not reverted: `{}` put another version in its place", commit.short());
                    return Ok(Taken::Held(decision.held("changed_since", text)));
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
                    self.record_reverted(&id, &commit, true, now)?;
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
        let Some(landing) = self.landing(update, landed, tree) else { return Ok(Pushing::LeftOut) };
        let effect = Effect::Revert { branch: self.world.base_branch.clone(), what: landing.title.clone() };
        self.push_to_base(effect, &landing)
    }

    /// The revert as it goes to a branch.
    fn landing(&self, update: &Update, landed: Landed, tree: Id) -> Option<Landing> {
        let time = update.settling.reversal.as_ref()?.decided_at;
        let title = Reverts { update, commit: "", reason: "" }.title();
        Some(Landing { tree, title, message: self.words(update, landed), time })
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
                if let Some(landing) = self.landing(update, landed, tree) {
                    // Somebody's commits on the branch that the revert would be proposed from are left alone.
                    if self.is_foreign_landing(update, &branch, &landing)? {
                        let text =
                            format!("not reverted: the branch `{branch}` has commits of somebody else");
                        return Ok(Taken::Held(decision.held("foreign_branch", text)));
                    }
                    self.push_landing(&branch, &landing)?;
                }
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

    fn open_revert(
        &mut self,
        update: &Update,
        branch: &str,
        title: &str,
    ) -> Result<Option<PullRequest>, Error> {
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
        self.open_landing(branch, title, body)
    }
}
