//! Goes back to older versions because a person asks for it: by a pull request, or by a push to the base branch.
//!
//! First the versions that are left go into quarantine, so that no pass proposes them again meanwhile; then the commit
//! is pushed; then, where it went to the base branch, the updates are recorded as reverted. Each of these finds what an
//! earlier run did: cut off anywhere and started again, it comes to the same end. Who reads the base branch later knows
//! the commit by its trailer.

mod edits;

use std::sync::Arc;

use jiff::Timestamp;

pub use self::edits::{Back, Edited, edit_back};

use super::effects::{Effect, Go, Stopped, Witness};
use super::forge::{Forge, ForgeError, NewPullRequest, PullRequest, PullRequestState};
use crate::config::PullRequests;
use crate::domain::edit::EditError;
use crate::domain::settle::memory::Remembered;
use crate::domain::settle::record::{A_PERSON, Reversal};
use crate::domain::state::{Quarantined, Stage, State};
use crate::repo::write::{self, Id, Person, RefUpdate, Words, WriteRepo};
use crate::state::{self, StateStore, Transition};

/// How the reason of a quarantine begins that a person's wish to go back put there.
pub(super) const ROLLED_BACK: &str = "rolled back by ";

/// Why nothing could be brought back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or moving refs.
    #[error(transparent)]
    Git(#[from] write::Error),
    /// Reading or moving the state.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// A file that cannot be changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A generated file, and no commit that has it as it was.
    #[error("cannot make `{file}` as it was: it is generated")]
    Generated {
        /// Its path.
        file: String,
    },
    /// The branch for it is there and holds something else.
    #[error("branch `{branch}` is there and holds something else")]
    Branch {
        /// Its name.
        branch: String,
    },
    /// Stopped by the witness.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Error {
    /// What to do next, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Forge(error) => error.hint.clone(),
            Self::Generated { .. } | Self::Edit(_) => {
                Some("`--backup ID` brings the files back as a backup point has them".to_owned())
            }
            Self::Branch { branch } => Some(format!("delete `{branch}` if it is not needed")),
            Self::Stopped(_) => None,
        }
    }
}

/// What is brought back, and what is said of it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Title of the pull request.
    pub title: String,
    /// Its body.
    pub body: String,
    /// Message of the commit.
    pub message: String,
    /// Branch of the pull request, without `refs/heads/`.
    pub branch: String,
    /// Branch that it is for.
    pub base_branch: String,
    /// Where that is.
    pub base: Id,
    /// The tree to come.
    pub tree: Id,
    /// Versions that are left.
    pub left: Vec<Left>,
}

/// A version that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Component id.
    pub component: String,
    /// The version.
    pub version: String,
    /// The update that brought it, where that is known.
    pub update_id: Option<String>,
}

impl Left {
    fn is(&self, known: &Quarantined) -> bool {
        known.component == self.component && known.version == self.version
    }
}

/// Why versions are left, as the record has it.
pub fn said_by(person: &str, reason: &str) -> String {
    format!("{ROLLED_BACK}{person}: {reason}")
}

fn not_again(left: &[Left]) -> String {
    let named: Vec<String> = left.iter().map(|left| format!("{} {}", left.component, left.version)).collect();
    format!("Do not propose {} again", named.join(", "))
}

/// Takes versions that are left out of what is proposed; `said` is who says so and why. `None` where they are out
/// already.
pub fn leave(state: &mut State, left: &[Left], said: &str, now: Timestamp) -> Option<Transition> {
    let mut is_new = false;
    for left in left {
        is_new |= state.put_in_quarantine(Quarantined {
            component: left.component.clone(),
            version: left.version.clone(),
            reason: said.to_owned(),
            since: now,
            update_id: left.update_id.clone(),
        });
    }
    is_new.then(|| Transition::new(not_again(left)).because(said))
}

/// The same for a wish that needs a pull request of its own: where versions are out because of an earlier one, it takes
/// that one's place, so that whoever ends the earlier one does not end this.
pub fn leave_again(state: &mut State, left: &[Left], said: &str, now: Timestamp) -> Option<Transition> {
    let mut renewed = false;
    for known in &mut state.quarantine {
        let is_wish = known.reason.starts_with(ROLLED_BACK) && left.iter().any(|left| left.is(known));
        if is_wish && known.since < now {
            (known.since, known.reason) = (now, said.to_owned());
            renewed = true;
        }
    }
    leave(state, left, said, now).or_else(|| renewed.then(|| Transition::new(not_again(left)).because(said)))
}

/// [`leave`] or [`leave_again`].
type Leave = fn(&mut State, &[Left], &str, Timestamp) -> Option<Transition>;

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// What was done, in order; in a dry run what would have been.
    pub effects: Vec<Effect>,
    /// The pull request.
    pub pull: Option<PullRequest>,
    /// The commit, where one was made.
    pub commit: Option<Id>,
}

/// Who brings back.
pub struct Rollback<'a, F> {
    /// Where pull requests live.
    pub forge: &'a F,
    /// The repository and its remote.
    pub git: Arc<WriteRepo>,
    /// The state at the remote.
    pub store: StateStore,
    /// The state as it was seen: a dry run goes by it, because nothing of what it would record is at the remote.
    pub seen: &'a State,
    /// What pull requests look like.
    pub pull_requests: &'a PullRequests,
    /// Who commits.
    pub author: Person,
    /// The person who asks for it.
    pub by: String,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who looks on.
    pub witness: &'a dyn Witness,
    /// What waits for the forge.
    pub runtime: &'a tokio::runtime::Runtime,
    /// Now.
    pub now: Timestamp,
}

impl<F: Forge> Rollback<'_, F> {
    /// Opens the pull request, or finds the one that is open. One that was closed without being merged is over: a
    /// person who asks again means it, and gets another one for the same branch.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn propose(&self, plan: &Plan) -> Result<Done, Error> {
        let mut done = Done::default();
        let known = self.runtime.block_on(self.forge.pull_requests())?;
        let is_open =
            |pull: &&PullRequest| pull.branch == plan.branch && pull.state == PullRequestState::Open;
        let open = known.iter().find(is_open);
        match open {
            Some(_) => self.quarantine(plan, leave, &mut done)?,
            None => self.quarantine(plan, leave_again, &mut done)?,
        }
        done.commit = self.push_branch(plan, &mut done)?;
        let settings = self.pull_requests;
        // What was opened by a run that was cut off may lack labels and reviewers: opening it again sees to that.
        let lacks = |open: &PullRequest| {
            settings
                .labels
                .iter()
                .any(|label| !open.labels.iter().any(|known| known.eq_ignore_ascii_case(label)))
        };
        if let Some(open) = open.filter(|open| !lacks(open)) {
            if self.witness.acts() {
                self.runtime.block_on(self.forge.note(open.number))?;
            }
            done.pull = Some(open.clone());
            return Ok(done);
        }
        let new = NewPullRequest {
            branch: plan.branch.clone(),
            base: plan.base_branch.clone(),
            title: plan.title.clone(),
            body: plan.body.clone(),
            labels: settings.labels.clone(),
            reviewers: settings.reviewers.clone(),
            assignees: settings.assignees.clone(),
            draft: false,
        };
        let effect = match open {
            Some(open) => Effect::Change { number: open.number, what: "add its labels".to_owned() },
            None => Effect::Open { branch: new.branch.clone(), title: new.title.clone() },
        };
        done.pull =
            self.effect(effect, &mut done.effects, || Ok(self.runtime.block_on(self.forge.open(&new))?))?;
        Ok(done)
    }

    /// Pushes to the base branch.
    ///
    /// # Errors
    ///
    /// See [`Error`]; the base branch moved meanwhile, or does not take pushes.
    pub fn push(&self, plan: &Plan) -> Result<Done, Error> {
        let mut done = Done::default();
        self.quarantine(plan, leave, &mut done)?;
        let words = Words { message: &plan.message, author: &self.author, time: self.now };
        let name = format!("refs/heads/{}", plan.base_branch);
        let effect = Effect::Push { branch: plan.base_branch.clone(), what: plan.title.clone() };
        done.commit = self.effect(effect, &mut done.effects, || {
            let commit = self.git.commit_tree(plan.tree, &[plan.base], words)?;
            self.git.push(&[RefUpdate::replace(&name, Some(plan.base), commit)])?;
            Ok(commit)
        })?;
        let commit = done.commit.map(|commit| commit.to_string());
        self.record_reverted(plan, commit.as_deref(), &mut done)?;
        Ok(done)
    }

    /// Records what an earlier run that was cut off has pushed already.
    ///
    /// # Errors
    ///
    /// The state cannot be moved.
    pub fn record_pushed(&self, plan: &Plan) -> Result<Done, Error> {
        let mut done = Done::default();
        self.quarantine(plan, leave, &mut done)?;
        self.record_reverted(plan, None, &mut done)?;
        Ok(done)
    }

    fn said(&self) -> String {
        match &self.reason {
            Some(reason) => said_by(&self.by, reason),
            None => format!("{ROLLED_BACK}{}", self.by),
        }
    }

    fn quarantine(&self, plan: &Plan, leave: Leave, done: &mut Done) -> Result<(), Error> {
        let said = self.said();
        let what = not_again(&plan.left);
        self.record(&what, done, |state: &mut State| leave(state, &plan.left, &said, self.now))
    }

    fn record_reverted(&self, plan: &Plan, commit: Option<&str>, done: &mut Done) -> Result<(), Error> {
        for id in plan.left.iter().filter_map(|left| left.update_id.as_ref()) {
            let what = format!("Record {id} as reverted");
            self.record(&what, done, |state: &mut State| {
                mark_reverted(state, id, &self.said(), commit, self.now)
            })?;
        }
        Ok(())
    }

    fn record(
        &self,
        what: &str,
        done: &mut Done,
        decide: impl Fn(&mut State) -> Option<Transition>,
    ) -> Result<(), Error> {
        let mut known = match self.witness.acts() {
            true => self.store.load()?.state,
            false => self.seen.clone(),
        };
        if decide(&mut known).is_none() {
            return Ok(());
        }
        let effect = Effect::Record { what: what.to_owned() };
        self.effect(effect, &mut done.effects, || Ok(self.store.change(self.now, &decide)?))?;
        Ok(())
    }

    fn push_branch(&self, plan: &Plan, done: &mut Done) -> Result<Option<Id>, Error> {
        let name = format!("refs/heads/{}", plan.branch);
        let found = self.git.fetch(|known| known == name)?.branch(&plan.branch);
        if let Some(found) = found {
            let info = self.git.commit_info(found)?;
            if info.tree == plan.tree && info.parents == [plan.base] {
                return Ok(Some(found));
            }
            if info.author.email != self.author.email || info.committer.email != self.author.email {
                return Err(Error::Branch { branch: plan.branch.clone() });
            }
        }
        let words = Words { message: &plan.message, author: &self.author, time: self.now };
        let effect = Effect::Push { branch: plan.branch.clone(), what: plan.title.clone() };
        self.effect(effect, &mut done.effects, || {
            let commit = self.git.commit_tree(plan.tree, &[plan.base], words)?;
            self.git.push(&[RefUpdate::replace(&name, found, commit)])?;
            Ok(commit)
        })
    }

    fn effect<T>(
        &self,
        effect: Effect,
        effects: &mut Vec<Effect>,
        act: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let result = match self.witness.before(&effect)? {
            Go::Do => {
                tracing::info!(effect = %effect, "rollback");
                let result = act()?;
                self.witness.after(&effect)?;
                Some(result)
            }
            Go::Skip => None,
        };
        effects.push(effect);
        Ok(result)
    }
}

/// Records that an update was reverted by a person; `None` where it is over already. Where nodes or data have moved
/// they do not go back by Git alone: then it is not over before the cluster is seen back, and stays as it is.
pub fn mark_reverted(
    state: &mut State,
    id: &str,
    said: &str,
    commit: Option<&str>,
    now: Timestamp,
) -> Option<Transition> {
    let moved = state.memory.get(id).is_some_and(Remembered::cannot_go_back);
    let update = state.updates.get_mut(id)?;
    if moved && matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held) {
        let said = format!("{said}; nodes and data do not go back by Git alone");
        if update.reason.as_ref() == Some(&said) {
            return None;
        }
        update.reason = Some(said);
        return Some(Transition::of(update));
    }
    if !matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Verified | Stage::Held) {
        return None;
    }
    update.stage = Stage::Reverted;
    update.settling.decided_by = Some(A_PERSON.to_owned());
    update.status = update.stage.status();
    update.changed_at = now;
    update.current_phase = None;
    update.reason = Some(said.to_owned());
    let reversal = update.settling.reversal.get_or_insert_with(|| Reversal::by_person(now, said));
    reversal.made_at.get_or_insert(now);
    if let Some(commit) = commit {
        reversal.commit.get_or_insert_with(|| commit.to_owned());
    }
    Some(Transition::of(update))
}
