//! Which updates the judge is asked of, what it is told of them, and what is kept of what it remembers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::branch::OnBranch;
use super::look::Look;
use super::watching::Watching;
use crate::app::cluster::Cluster;
use crate::app::forge::{Forge, PullRequestState};
use crate::app::pass::{Error, UnderWay};
use crate::domain::message::OWN_PREFIX;
use crate::domain::notice::kind_of;
use crate::domain::settle::line::{Merged, Seen};
use crate::domain::settle::memory::{Memory, Remembered, WAY_BACK};
use crate::domain::state::{Stage, State, Update};
use crate::repo::write::Id;
use crate::state::Transition;

/// Most commits after a merge whose statuses are asked for.
const MOST_STATUSES: usize = 10;
/// How much the time at which was looked last may lag behind in the state while a pass looks on: what is kept more
/// often is one commit each.
pub(super) const SLACK: SignedDuration = SignedDuration::from_mins(3);

/// An update that the judge is asked of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Follow {
    /// Update id.
    pub(super) update: String,
    /// It is the way back that is asked about.
    pub(super) of_the_way_back: bool,
    /// As the judge is told of it.
    pub(super) merged: Merged,
    /// Only its nodes are looked after: a person has the last word on it.
    pub(super) attended: bool,
    /// Commit on the base branch before it.
    before: Option<Id>,
    /// The judge was told of it.
    pub(super) introduced: bool,
}

impl<F: Forge> UnderWay<'_, F> {
    /// Records merges that nobody recorded yet.
    pub(super) fn record_merges(&mut self) -> Result<(), Error> {
        let proposed: Vec<Update> = self
            .world
            .state
            .updates
            .values()
            .filter(|update| update.stage == Stage::Proposed)
            .cloned()
            .collect();
        for update in proposed {
            let Some(pull) = self.pull_of(&update).filter(|pull| self.is_for_base(pull)).cloned() else {
                continue;
            };
            if let PullRequestState::Merged { commit, at } = &pull.state {
                self.record_merge(&update.update_id, Some(pull.number), commit, *at)?;
            }
        }
        Ok(())
    }
}

impl<F: Forge, C: Cluster> Watching<'_, '_, F, C> {
    /// Every update that the judge is asked of.
    pub(super) fn find_followed(&mut self) -> Result<BTreeMap<String, Follow>, Error> {
        let ids: Vec<(String, String)> = self
            .run
            .world
            .state
            .updates
            .values()
            .filter(|update| (self.settle.selected)(&update.update_id, &update.component))
            .map(|update| (update.update_id.clone(), update.component.clone()))
            .collect();
        let mut followed = BTreeMap::new();
        for (id, component) in ids {
            match self.follow(&id) {
                Ok(found) => followed.extend(found),
                Err(error) => self.run.failed(&component, error)?,
            }
        }
        Ok(followed)
    }

    /// How the judge is asked of an update, with the id that it knows it by; `None` where there is nothing to ask.
    pub(super) fn follow(&self, id: &str) -> Result<Option<(String, Follow)>, Error> {
        let Some(update) = self.run.world.state.updates.get(id) else { return Ok(None) };
        let clears_itself = update.settling.hold.as_ref().is_some_and(|hold| hold.clears_itself);
        match update.stage {
            Stage::Merged | Stage::Rolling => {}
            Stage::Held if clears_itself && update.merge_commit.is_some() => {}
            Stage::Held if self.needs_care(update) => {}
            _ => return Ok(None),
        }
        let git = &self.run.pass.git;
        if let Some(reversal) = &update.settling.reversal {
            let Some(commit) = reversal.commit.as_deref().and_then(|text| text.parse::<Id>().ok()) else {
                return Ok(None);
            };
            let before = git.commit_info(commit)?.parents.first().copied();
            let files =
                before.map(|before| git.changed_paths(before, commit)).transpose()?.unwrap_or_default();
            let merged = Merged {
                id: format!("{id}{WAY_BACK}"),
                component: update.component.clone(),
                kind: kind_of(&update.component).to_owned(),
                from: update.to.clone(),
                to: update.from.clone(),
                base: before.map(|before| before.to_string()).unwrap_or_default(),
                commit: commit.to_string(),
                files,
                // There is no way back from the way back.
                revert: Some("unsafe".to_owned()),
                trials: self.trials_of(update),
                remembered: None,
            };
            return Ok(Some((merged.id.clone(), Follow::new(id, true, merged, before))));
        }
        let (before, files) = match self.run.on_branch(update)? {
            OnBranch::Landed { landed, paths, .. } => (Some(landed.before), paths),
            OnBranch::Unclear { paths, .. } => {
                let merge = update.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok());
                let first = merge.map(|merge| git.commit_info(merge)).transpose()?;
                (first.and_then(|info| info.parents.first().copied()), paths)
            }
            // Nodes and data do not go back by themselves: what a person put there is watched, too.
            OnBranch::Reverted { ours: false, .. } | OnBranch::Replaced { .. } if self.cannot_go_back(id) => {
                let merge = update.merge_commit.as_deref().and_then(|text| text.parse::<Id>().ok());
                let before = merge.map(|merge| git.commit_info(merge)).transpose()?;
                let before = before.and_then(|info| info.parents.first().copied());
                let paths =
                    before.zip(merge).map(|(before, merge)| git.changed_paths(before, merge)).transpose()?;
                (before, paths.unwrap_or_default())
            }
            OnBranch::Reverted { .. } | OnBranch::Replaced { .. } | OnBranch::Lost => return Ok(None),
        };
        let merged = Merged {
            id: id.to_owned(),
            component: update.component.clone(),
            kind: kind_of(&update.component).to_owned(),
            from: update.from.clone(),
            to: update.to.clone(),
            base: before.map(|before| before.to_string()).unwrap_or_default(),
            commit: update.merge_commit.clone().unwrap_or_default(),
            files,
            revert: Some(update.revert.safety.as_str().to_owned()),
            trials: self.trials_of(update),
            remembered: None,
        };
        let attended = update.stage == Stage::Held && !clears_itself;
        Ok(Some((id.to_owned(), Follow { attended, ..Follow::new(id, false, merged, before) })))
    }

    /// Whether the cluster has moved, for an update, in a way that Git cannot revert.
    pub(super) fn cannot_go_back(&self, id: &str) -> bool {
        self.run.world.state.memory.get(id).is_some_and(Remembered::cannot_go_back)
    }

    /// What the judge remembers of what it is asked.
    pub(super) fn memory(&self) -> Memory {
        let state = &self.run.world.state;
        let remembered = self.followed.iter().map(|(judged, follow)| {
            let mut remembered = state.memory.get(judged).cloned().unwrap_or_default();
            remembered.baseline = state.baselines.get(&follow.update).cloned();
            // Whoever looks for the first time after the merge must not take what the update broke for a baseline.
            remembered.merged_at = remembered.merged_at.or_else(|| self.merged_at(follow));
            (judged.clone(), remembered)
        });
        Memory { updates: remembered.collect() }
    }

    pub(super) fn merged_at(&self, follow: &Follow) -> Option<Timestamp> {
        let update = self.run.world.state.updates.get(&follow.update)?;
        match follow.of_the_way_back {
            true => update.settling.reversal.as_ref().and_then(|reversal| reversal.made_at),
            false => update.merged_at.or(Some(update.changed_at)),
        }
    }

    /// Tells the judge of the branch, then of the updates that it does not know of yet.
    pub(super) fn introduce(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        self.tell_commits(look)?;
        self.tell_statuses(look)?;
        self.refresh_baselines(look)?;
        self.ask_to_fetch(look)?;
        for follow in self.followed.values_mut().filter(|follow| !follow.introduced) {
            follow.introduced = true;
            look.take(Seen::Update(follow.merged.clone()), None);
        }
        look.advance();
        Ok(())
    }

    fn tell_commits(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        // With nobody to be judged any more, what there is of the branch would be its whole history.
        if self.followed.is_empty() {
            return Ok(());
        }
        let git = &self.run.pass.git;
        let mut oldest: Option<Id> = None;
        for before in self.followed.values().filter_map(|follow| follow.before) {
            oldest = match oldest {
                Some(known) if git.is_ancestor(known, before)? => Some(known),
                _ => Some(before),
            };
        }
        let commits = self.run.told_commits(oldest, self.run.world.base, &self.told)?;
        for commit in commits {
            if self.told.insert(commit.id.clone()) {
                look.take(Seen::Commit(commit), None);
            }
        }
        let git = &self.run.pass.git;
        look.place(|id| id.parse().is_ok_and(|id| git.has(id)));
        Ok(())
    }

    /// What Flux's notification-controller wrote on the merge and on what came after it. Where the cluster itself is
    /// seen, nothing is asked.
    fn tell_statuses(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        if self.settle.cluster.is_some() || !self.run.pass.config.validation.statuses {
            return Ok(());
        }
        let git = &self.run.pass.git;
        let mut asked: Vec<String> = Vec::new();
        for follow in self.followed.values() {
            asked.push(follow.merged.commit.clone());
            asked.extend(follow.before.map(|before| before.to_string()));
            let Ok(merge) = follow.merged.commit.parse::<Id>() else { continue };
            // A commit that polling skipped has no status of its own: those after it speak for it.
            let later = git.newest_since(Some(merge), self.run.world.base, MOST_STATUSES)?;
            asked.extend(later.iter().map(|commit| commit.id.to_string()));
        }
        asked.sort();
        asked.dedup();
        for commit in asked {
            let statuses = match self.run.pass.wait(self.run.pass.forge.statuses(&commit)) {
                Ok(statuses) => statuses,
                // Without them nothing is known, and the next look asks again.
                Err(error) => {
                    tracing::warn!(commit, error = %error, "the statuses cannot be read");
                    continue;
                }
            };
            for status in statuses.iter().filter(|status| !status.context.starts_with(OWN_PREFIX)) {
                look.take_status(&commit, status);
            }
        }
        Ok(())
    }

    /// Looks at the branch and the forge again.
    pub(super) fn poll(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        if let Err(error) = self.run.look_at_base() {
            // The remote may be away for a while; nothing is done before it is seen again.
            tracing::warn!(error = %error, "the base branch cannot be looked at");
            return Ok(());
        }
        // Before anything is concluded from it: what became of the pins belongs to what a verdict is made from.
        self.tell_commits(look)?;
        self.check_branches(look.wall())?;
        self.introduce(look)?;
        if let Err(error) = self.remember(look, SLACK) {
            if matches!(error, Error::Stopped(_)) {
                return Err(error);
            }
            // It is kept at the next look, or at the end.
            tracing::warn!(error = %error, "what was seen cannot be kept now");
        }
        Ok(())
    }

    /// Keeps what the next pass must know, where it differs from what is kept by more than `slack` of the time at which
    /// was looked.
    pub(super) fn remember(&mut self, look: &Look<'_>, slack: SignedDuration) -> Result<(), Error> {
        if self.is_remote() {
            return Ok(());
        }
        let memory = look.judge().memory();
        let followed: Vec<(String, String)> =
            self.followed.iter().map(|(judged, follow)| (judged.clone(), follow.update.clone())).collect();
        self.run.record("Remember what was seen".to_owned(), |state: &mut State| {
            let mut changed = false;
            for (judged, id) in &followed {
                let Some(remembered) = memory.updates.get(judged) else { continue };
                let mut remembered = remembered.clone();
                if let Some(baseline) = remembered.baseline.take() {
                    let kept = state.baselines.get(id);
                    // Another pass may have kept a better one.
                    if kept.is_none_or(|kept| *kept != baseline && !baseline.saw_less_than(kept)) {
                        state.baselines.insert(id.clone(), baseline);
                        changed = true;
                    }
                }
                if remembered == Remembered::default() {
                    continue;
                }
                let known = state.memory.get(judged);
                let joined = match known {
                    Some(known) => remembered.joined(known),
                    None => remembered,
                };
                if known.is_none_or(|known| !known.is_about(&joined, slack)) {
                    state.memory.insert(judged.clone(), joined);
                    changed = true;
                }
            }
            changed |= forget_what_is_over(state);
            changed.then(|| Transition::new("Remember what was seen"))
        })
    }
}

/// What is over is not looked at again.
fn forget_what_is_over(state: &mut State) -> bool {
    let State { updates, memory, baselines, .. } = state;
    let before = memory.len() + baselines.len();
    let stage = |id: &str| updates.get(id).map(|update| update.stage);
    memory.retain(|judged, _| {
        let id = judged.strip_suffix(WAY_BACK).unwrap_or(judged);
        matches!(stage(id), Some(Stage::Merged | Stage::Rolling | Stage::Held))
    });
    baselines.retain(|id, _| {
        matches!(stage(id), Some(Stage::Proposed | Stage::Merged | Stage::Rolling | Stage::Held))
    });
    memory.len() + baselines.len() != before
}

impl Follow {
    fn new(update: &str, of_the_way_back: bool, merged: Merged, before: Option<Id>) -> Self {
        Self {
            update: update.to_owned(),
            of_the_way_back,
            merged,
            attended: false,
            before,
            introduced: false,
        }
    }
}
