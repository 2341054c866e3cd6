//! What a person went back from with a pull request of `rollback` is recorded as reverted when it is merged.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Error, Run, UnderWay};
use crate::app::effects::{Came, Effect};
use crate::app::forge::{Forge, PullRequest, PullRequestState};
use crate::app::rollback::{ROLLED_BACK, mark_reverted};
use crate::domain::message::{asked_at, goes_back, left_versions};
use crate::domain::state::{Quarantined, Stage, State, Update};
use crate::repo::write::{Pushed, RefUpdate};
use crate::state::Transition;

/// How long a wish to go back may be without a pull request: `rollback` records it first, then pushes, then opens one.
/// Waited for where no pull request says that it is the one of the wish.
const ASKING: SignedDuration = SignedDuration::from_mins(30);

/// An open pull request that goes back to older versions or files, because a person asked for it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GoingBack {
    /// Its number.
    pub pull_request: u64,
    /// Its title.
    pub title: String,
}

impl GoingBack {
    /// Those among pull requests of ours.
    pub fn among(pulls: &[PullRequest]) -> Vec<Self> {
        let open = |pull: &&PullRequest| pull.state == PullRequestState::Open && goes_back(&pull.body);
        let told = |pull: &PullRequest| Self { pull_request: pull.number, title: pull.title.clone() };
        pulls.iter().filter(open).map(told).collect()
    }
}

impl<F: Forge> Run<'_, F> {
    /// Records updates as reverted whose version is in quarantine because of them, and which the base branch does not
    /// have any more but an older one.
    pub(super) fn record_rolled_back(&mut self) -> Result<(), Error> {
        let gone: Vec<(String, String)> = self
            .world
            .state
            .updates
            .values()
            .filter(|update| {
                matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Verified | Stage::Held)
            })
            // What the bot reverted itself is not over before the cluster is seen back.
            .filter(|update| {
                let reversal = update.settling.reversal.as_ref();
                !reversal.is_some_and(|one| one.commit.is_some() && one.seen_by.is_none())
            })
            .filter_map(|update| {
                let known = self.left_because_of(update)?;
                self.is_older_now(update).then(|| (update.update_id.clone(), known.reason.clone()))
            })
            .collect();
        let now = self.pass.now;
        for (id, said) in gone {
            self.record(format!("Record {id} as reverted"), |state: &mut State| {
                mark_reverted(state, &id, &said, None, now)
            })?;
            self.tell_reverted(&id)?;
        }
        Ok(())
    }

    /// Says on the forge that an update is reverted: what was merged was told of before anybody knew.
    pub(super) fn tell_reverted(&mut self, id: &str) -> Result<(), Error> {
        // What nodes and data keep from being over is told by who looks at the cluster.
        let over = self.world.state.updates.get(id).filter(|update| update.stage == Stage::Reverted);
        let Some(component) = over.map(|update| update.component.clone()) else { return Ok(()) };
        match self.tell(id, None) {
            Ok(()) => Ok(()),
            Err(error) => self.failed(&component, error),
        }
    }

    /// Ends what a person asked for by a pull request of `rollback` or `restore` that is over: its branch goes, and where it was
    /// closed without being merged, the versions that it would have left are not in quarantine because of it any more.
    ///
    /// A person who asked again since the pass observed is heard: that one is under way.
    pub(super) fn end_rollbacks(&mut self) -> Result<(), Error> {
        if !self.world.pulls.iter().any(|pull| self.may_be_to_end(pull)) {
            return Ok(());
        }
        self.look_at_state()?;
        // Newest first: of several that leave the same version the newest counts.
        let mut pulls = self.pass.wait(self.pass.forge.pull_requests())?;
        pulls.retain(|pull| goes_back(&pull.body));
        let mut decided = BTreeSet::new();
        for pull in pulls {
            let left = left_versions(&pull.body);
            for (component, version) in &left {
                let is_newest = decided.insert((component.clone(), version.clone()));
                let runs =
                    self.survey.subject(component).and_then(|known| known.entry.current_version.as_deref());
                if is_newest && pull.state == PullRequestState::Closed && runs == Some(version.as_str()) {
                    self.end_quarantine(&pull, component, version)?;
                }
            }
            self.delete_branch_of(&pull, &left)?;
        }
        Ok(())
    }

    /// Whether a pull request goes back, is over, and left something.
    fn may_be_to_end(&self, pull: &PullRequest) -> bool {
        let left = left_versions(&pull.body);
        let runs = |component: &str| {
            self.survey.subject(component).and_then(|known| known.entry.current_version.as_deref())
        };
        // What was merged has nothing to take back, nor what Git does not run any more.
        let is_left = |one: &Quarantined| {
            pull.state == PullRequestState::Closed
                && left.iter().any(|(component, version)| {
                    is_wish(one, component, version) && runs(component) == Some(version.as_str())
                })
        };
        pull.state != PullRequestState::Open
            && goes_back(&pull.body)
            && (self.world.refs.branch(&pull.branch).is_some_and(|head| head.to_string() == pull.head)
                || self.world.state.quarantine.iter().any(is_left))
    }

    /// Deletes the branch of a pull request that is over, unless another one uses it, or is about to.
    fn delete_branch_of(&mut self, pull: &PullRequest, left: &[(String, String)]) -> Result<(), Error> {
        let name = pull.branch.as_str();
        let head = self.world.refs.branch(name).filter(|head| head.to_string() == pull.head);
        let Some(head) = head.filter(|_| pull.state != PullRequestState::Open) else { return Ok(()) };
        let is_asked_for = |one: &Quarantined| {
            left.iter().any(|(component, version)| is_wish(one, component, version))
                && !self.is_settled(one, pull)
        };
        // One that was merged has moved the base branch, and with it what the next one would push.
        let is_closed = pull.state == PullRequestState::Closed;
        if is_closed && self.world.state.quarantine.iter().any(is_asked_for) || self.may_not()? {
            return Ok(());
        }
        // GitHub closes what is open for a branch together with it.
        let others = self.pass.wait(self.pass.forge.pull_requests_of(name))?;
        if others.iter().any(|other| other.state == PullRequestState::Open) {
            return Ok(());
        }
        self.note(pull.number)?;
        let branch = format!("refs/heads/{name}");
        self.effect_or_found(Effect::DeleteBranch { branch: name.to_owned() }, |run| {
            match run.pass.git.push(&[RefUpdate::delete(&branch, head)]) {
                Ok(Pushed::Moved) => Ok(Came::Done(())),
                Ok(Pushed::AlreadyThere) => Ok(Came::Found(())),
                Err(error) if error.lost_race() => Ok(Came::Found(())),
                Err(error) => Err(error.into()),
            }
        })?;
        self.world.refs.refs.remove(&branch);
        Ok(())
    }

    /// Only what a person's wish to go back put there: what regressed stays.
    fn end_quarantine(&mut self, pull: &PullRequest, component: &str, version: &str) -> Result<(), Error> {
        let what = format!("Let {component} {version} be");
        let (observed, now, number) = (self.quarantined.clone(), self.pass.now, pull.number);
        let is_it =
            |one: &Quarantined| is_wish(one, component, version) && is_settled(one, pull, &observed, now);
        self.record(what.clone(), |state: &mut State| {
            let before = state.quarantine.len();
            state.quarantine.retain(|one| !is_it(one));
            let why = format!("#{number}, which goes back from it, was closed without being merged");
            (state.quarantine.len() < before).then(|| Transition::new(&what).because(why))
        })
    }

    fn is_settled(&self, one: &Quarantined, pull: &PullRequest) -> bool {
        is_settled(one, pull, &self.quarantined, self.pass.now)
    }

    /// Whether Git has an older version than the one that an update brought.
    pub(super) fn is_older_now(&self, update: &Update) -> bool {
        let Some(subject) = self.survey.subject(&update.component) else { return false };
        let Some(current) = subject.entry.current_version.as_deref() else { return false };
        if current == update.from || current == update.to {
            // A digest moves without its version.
            return update.from != update.to && current == update.from;
        }
        let scheme = subject.component.scheme;
        let versions = scheme.parse(current).zip(scheme.parse(&update.to));
        versions.is_some_and(|(current, newer)| current.comparable(&newer) && current < newer)
    }
}

impl<F: Forge> UnderWay<'_, F> {
    /// Whether a person has asked to go back from what an update brought in.
    pub(in crate::app) fn is_rolled_back(&self, update: &Update) -> bool {
        self.asked_back(update).is_some()
    }

    /// What the person said who has asked to go back from what an update brought in, and who it was.
    pub(in crate::app) fn asked_back(&self, update: &Update) -> Option<&str> {
        let said = self.left_because_of(update).map(|known| known.reason.as_str());
        said.filter(|said| said.starts_with(ROLLED_BACK))
    }

    /// The quarantine of the version of an update, if it is there because of that update.
    fn left_because_of(&self, update: &Update) -> Option<&Quarantined> {
        self.world.state.quarantine.iter().find(|known| {
            known.component == update.component
                && known.version == update.to
                && known.update_id.as_ref() == Some(&update.update_id)
        })
    }
}

/// Whether a version is in quarantine because a person wished to go back from it.
fn is_wish(one: &Quarantined, component: &str, version: &str) -> bool {
    one.component == component && one.version == version && one.reason.starts_with(ROLLED_BACK)
}

/// Whether a wish is over with its pull request, which is closed: it is the one that was opened for this wish, as it says
/// itself, and nobody has renewed the wish since, which would have changed its time. Otherwise its pull request must have
/// been there when the pass observed: the wish was there, nobody has renewed it since, and it was old enough.
fn is_settled(one: &Quarantined, pull: &PullRequest, observed: &[Quarantined], now: Timestamp) -> bool {
    asked_at(&pull.body) == Some(one.since)
        || observed.contains(one) && now.duration_since(one.since) >= ASKING
}
