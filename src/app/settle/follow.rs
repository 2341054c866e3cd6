//! Which updates the judge is asked of, what it is told of them, and what is kept of what it remembers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::branch::OnBranch;
use super::look::Look;
use super::{Course, kind_of};
use crate::app::cluster::Cluster;
use crate::app::forge::{Forge, PullRequestState};
use crate::app::pass::{Error, UnderWay};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::{Merged, Seen};
use crate::domain::settle::memory::{Baseline, Memory, Remembered};
use crate::domain::settle::object::Detail;
use crate::domain::settle::world::Sight;
use crate::domain::state::{Stage, State, Update};
use crate::repo::write::Id;
use crate::state::Transition;

/// What the id of an update has behind it where the judge is asked of the way back.
const WAY_BACK: &str = "-back";
/// Hours after which the baseline of an open pull request is taken anew though nothing in it changed.
const BASELINE_AGE: i64 = 24;
/// Most commits after a merge whose statuses are asked for.
const MOST_STATUSES: usize = 10;

/// An update that the judge is asked of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Follow {
    /// Update id.
    pub(super) update: String,
    /// It is the way back that is asked about.
    pub(super) of_the_way_back: bool,
    /// As the judge is told of it.
    pub(super) merged: Merged,
    /// Commit on the base branch before it.
    before: Option<Id>,
    /// The judge was told of it.
    introduced: bool,
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
            let Some(pull) = self.pull_of(&update).cloned() else { continue };
            if let PullRequestState::Merged { commit, at } = &pull.state {
                self.record_merge(&update.update_id, Some(pull.number), commit, *at)?;
            }
        }
        Ok(())
    }
}

impl<F: Forge, C: Cluster> Course<'_, '_, F, C> {
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
            OnBranch::TakenBack { .. } | OnBranch::Lost => return Ok(None),
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
        };
        Ok(Some((id.to_owned(), Follow::new(id, false, merged, before))))
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

    fn merged_at(&self, follow: &Follow) -> Option<Timestamp> {
        let update = self.run.world.state.updates.get(&follow.update)?;
        match follow.of_the_way_back {
            true => update.settling.reversal.as_ref().and_then(|reversal| reversal.made_at),
            false => update.merged_at.or(Some(update.changed_at)),
        }
    }

    /// What is seen before Flux has fetched the merge is the best baseline there is; what was kept when the update was
    /// proposed may be days old.
    fn refresh_baselines(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        let fresh: Vec<String> = self
            .followed
            .iter()
            .filter(|(judged, follow)| {
                !follow.introduced
                    && !follow.of_the_way_back
                    && !self.run.world.state.memory.contains_key(*judged)
            })
            .map(|(judged, _)| judged.clone())
            .collect();
        for judged in fresh {
            let Some(merge) = self.followed.get(&judged).and_then(|one| one.merged.commit.parse().ok())
            else {
                continue;
            };
            if !self.is_fetched(merge, look)? {
                look.forget(&judged);
            }
        }
        Ok(())
    }

    /// Whether Flux has fetched a commit, or may have: any revision that it shows and that is not known to be from
    /// before counts.
    fn is_fetched(&self, merge: Id, look: &Look<'_>) -> Result<bool, Error> {
        let world = look.judge().world();
        if world.sees(Kind::GitRepository) != Sight::Seen || world.sees(Kind::Kustomization) != Sight::Seen {
            return Ok(true);
        }
        let git = &self.run.pass.git;
        let mut seen_one = false;
        for object in world.of(Kind::GitRepository).chain(world.of(Kind::Kustomization)) {
            let revisions: [&str; 2] = match &object.detail {
                Detail::Source(source) => {
                    [source.artifact.as_ref().map_or("", |artifact| artifact.revision.as_str()), ""]
                }
                Detail::Kustomization(one) => [one.last_attempted.as_str(), one.last_applied.as_str()],
                _ => continue,
            };
            for revision in revisions {
                let Some(id) = revision.rsplit([':', '/']).next().and_then(|id| id.parse::<Id>().ok()) else {
                    continue;
                };
                // A commit of another repository is not here.
                if !git.has(id) {
                    continue;
                }
                seen_one = true;
                if git.is_ancestor(merge, id)? {
                    return Ok(true);
                }
            }
        }
        Ok(!seen_one)
    }

    /// Tells the judge of the branch, then of the updates that it does not know of yet.
    pub(super) fn introduce(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        self.tell_commits(look)?;
        self.tell_statuses(look)?;
        self.refresh_baselines(look)?;
        for follow in self.followed.values_mut().filter(|follow| !follow.introduced) {
            follow.introduced = true;
            look.take(Seen::Update(follow.merged.clone()), None);
        }
        look.advance();
        Ok(())
    }

    fn tell_commits(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        let git = &self.run.pass.git;
        let mut oldest: Option<Id> = None;
        for before in self.followed.values().filter_map(|follow| follow.before) {
            oldest = match oldest {
                Some(known) if git.is_ancestor(known, before)? => Some(known),
                _ => Some(before),
            };
        }
        let commits = self.run.told_commits(oldest, self.run.world.base)?;
        for commit in commits {
            if self.told.insert(commit.id.clone()) {
                look.take(Seen::Commit(commit), None);
            }
        }
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
            let later = git.commits_since(Some(merge), self.run.world.base, 5_000)?;
            asked.extend(later.iter().take(MOST_STATUSES).map(|commit| commit.id.to_string()));
        }
        asked.sort();
        asked.dedup();
        for commit in asked {
            let statuses = self.run.pass.wait(self.run.pass.forge.statuses(&commit))?;
            for status in statuses.iter().filter(|status| !status.context.starts_with("gitops-updater/")) {
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
        self.check_branches(look.wall())?;
        self.introduce(look)?;
        self.remember(look)
    }

    /// Keeps the baseline of what is proposed, so that one from before the merge is there whoever merges it.
    pub(super) fn keep_baselines(&mut self, look: &Look<'_>) -> Result<(), Error> {
        if self.settle.cluster.is_none() || look.blind.is_some() {
            return Ok(());
        }
        let baseline = look.judge().baseline();
        let is_old = |known: &Baseline| {
            let age = known.taken_at.zip(baseline.taken_at).map(|(known, now)| now.duration_since(known));
            Baseline { taken_at: None, ..known.clone() } != Baseline { taken_at: None, ..baseline.clone() }
                || age.is_none_or(|age| age.as_hours() >= BASELINE_AGE)
        };
        self.run.record("Keep how the cluster is before the merge".to_owned(), |state: &mut State| {
            let State { updates, baselines, .. } = state;
            let mut changed = false;
            for update in updates.values().filter(|update| update.stage == Stage::Proposed) {
                if baselines.get(&update.update_id).is_none_or(is_old) {
                    baselines.insert(update.update_id.clone(), baseline.clone());
                    changed = true;
                }
            }
            changed.then(|| Transition::new("Keep how the cluster is before the merge"))
        })
    }

    /// Keeps what the next pass must know.
    pub(super) fn remember(&mut self, look: &Look<'_>) -> Result<(), Error> {
        if self.is_remote() {
            return Ok(());
        }
        let memory = look.judge().memory();
        let followed: Vec<(String, String)> =
            self.followed.iter().map(|(judged, follow)| (judged.clone(), follow.update.clone())).collect();
        self.run.record("Remember what was seen".to_owned(), |state: &mut State| {
            let before = (state.memory.clone(), state.baselines.clone());
            for (judged, id) in &followed {
                let Some(remembered) = memory.updates.get(judged) else { continue };
                let mut remembered = remembered.clone();
                if let Some(baseline) = remembered.baseline.take() {
                    state.baselines.insert(id.clone(), baseline);
                }
                if remembered != Remembered::default() {
                    state.memory.insert(judged.clone(), remembered);
                }
            }
            forget_what_is_over(state);
            ((&state.memory, &state.baselines) != (&before.0, &before.1))
                .then(|| Transition::new("Remember what was seen"))
        })
    }
}

/// What is over is not looked at again.
fn forget_what_is_over(state: &mut State) {
    let State { updates, memory, baselines, .. } = state;
    let stage = |id: &str| updates.get(id).map(|update| update.stage);
    memory.retain(|judged, _| {
        let id = judged.strip_suffix(WAY_BACK).unwrap_or(judged);
        matches!(stage(id), Some(Stage::Merged | Stage::Rolling | Stage::Held))
    });
    baselines.retain(|id, _| {
        matches!(stage(id), Some(Stage::Proposed | Stage::Merged | Stage::Rolling | Stage::Held))
    });
}

impl Follow {
    fn new(update: &str, of_the_way_back: bool, merged: Merged, before: Option<Id>) -> Self {
        Self { update: update.to_owned(), of_the_way_back, merged, before, introduced: false }
    }
}
