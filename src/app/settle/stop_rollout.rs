//! Stops a rollout of k3s that went wrong, so that no further node follows: its Plans get `concurrency: 0` where that is
//! written in Git. The version stays, and Jobs that run end as they would (`domain::settle::stop` says why).
//!
//! As with a revert the decision is recorded first, and the commit carries its time and is found again by its trailer:
//! whoever is killed where, there is one such commit. It is pushed, or proposed where the branch is protected or
//! `validation.revert_by` says so. A person goes on by reverting it, and `verify --resume`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::branch::OnBranch;
use super::land::{Landing, Pushing};
use super::look::Look;
use super::watching::Watching;
use crate::app::cluster::Cluster;
use crate::app::effects::Effect;
use crate::app::forge::{Forge, PullRequestState};
use crate::app::pass::{Error, UnderWay};
use crate::config::{self, RevertBy};
use crate::domain::edit::concurrency::{self, Stopping, Wanted};
use crate::domain::edit::{EditError, apply};
use crate::domain::message::{Stops, branch_name, neutral};
use crate::domain::notice::kind_of;
use crate::domain::settle::record::RolloutStop;
use crate::domain::settle::stop::RollingPlan;
use crate::domain::state::{Stage, State, Update};
use crate::repo::write::{self, Change, EntryKind, Id};
use crate::state::Transition;

/// Most files of a repository that are looked through.
const MOST_FILES: usize = 50_000;
/// Largest manifest that is looked into, in bytes.
pub(super) const FILE_LIMIT: usize = 4 << 20;
/// How often a commit is made anew on a base branch that moved meanwhile.
const MOST_ATTEMPTS: usize = 5;
/// Longest reason in a pull request, in characters.
const MAX_REASON: usize = 2_000;
/// Hours after a hold in which its nodes are looked after.
const CARED_FOR: i64 = 7 * 24;

impl<F: Forge, C: Cluster> Watching<'_, '_, F, C> {
    /// Whether the nodes of an update are looked after though a person has the last word on the update itself.
    pub(super) fn needs_care(&self, update: &Update) -> bool {
        let hold = update.settling.hold.as_ref().filter(|hold| !hold.clears_itself);
        let is_recent =
            hold.is_some_and(|hold| self.run.pass.now.duration_since(hold.since).as_hours() < CARED_FOR);
        let rolls = update.settling.stop.as_ref().is_none_or(|stop| !stop.is_over());
        kind_of(&update.component) == "k3s"
            && self.settle.cluster.is_some()
            && update.stage == Stage::Held
            && update.merge_commit.is_some()
            && update.settling.reversal.is_none()
            && is_recent
            && (self.run.pass.config.validation.stop_rollouts && rolls || self.uncordons(&update.component))
    }

    fn uncordons(&self, component: &str) -> bool {
        let chosen = self.run.pass.config.validation.for_component(component, kind_of(component));
        chosen.recovery.value.contains(&config::Recovery::Uncordon)
    }

    /// Stops that an earlier pass decided and did not carry out.
    pub(super) fn go_on_stopping(&mut self) -> Result<(), Error> {
        let updates = self.run.world.state.updates.values();
        let due: Vec<(String, String)> = updates
            .filter(|update| update.settling.stop.as_ref().is_some_and(RolloutStop::is_due))
            .filter(|update| (self.settle.selected)(&update.update_id, &update.component))
            .map(|update| (update.update_id.clone(), update.component.clone()))
            .collect();
        for (id, component) in due {
            if let Err(error) = self.run.stop_rollout(&id, &[], self.run.pass.now) {
                self.run.failed(&component, error)?;
            }
        }
        Ok(())
    }

    /// Looks after the nodes of every update of k3s that is followed or held.
    pub(super) fn look_after_nodes(&mut self, look: &Look<'_>) -> Result<(), Error> {
        let updates = self.run.world.state.updates.values();
        let ours: Vec<Update> = updates
            .filter(|update| {
                let is_followed = self.followed.contains_key(&update.update_id);
                kind_of(&update.component) == "k3s" && (is_followed || self.needs_care(update))
            })
            .cloned()
            .collect();
        for update in ours {
            if let Err(error) = self.look_after(&update, look) {
                self.run.failed(&update.component, error)?;
            }
        }
        Ok(())
    }

    fn look_after(&mut self, update: &Update, look: &Look<'_>) -> Result<(), Error> {
        let (id, now) = (update.update_id.as_str(), look.wall());
        if self.uncordons(&update.component) {
            self.uncordon(id, look)?;
        }
        if !self.run.pass.config.validation.stop_rollouts || update.stage != Stage::Held {
            return Ok(());
        }
        match &update.settling.stop {
            None => {
                let for_a_person = update.settling.hold.as_ref().is_some_and(|hold| !hold.clears_itself);
                let plans = look.judge().rollout_to_stop(id, for_a_person);
                if !plans.is_empty() {
                    self.run.stop_rollout(id, &plans, now)?;
                    let update = self.run.world.state.updates.get(id);
                    if update.is_some_and(|update| update.settling.stop.is_some()) {
                        // Only a person lets the nodes go on.
                        self.followed.remove(id);
                    }
                }
                Ok(())
            }
            Some(stop) if stop.is_over() => Ok(()),
            Some(stop) => {
                let seen = look.judge().plans(id);
                let is_stopped =
                    |key: &String| seen.iter().any(|plan| plan.key() == *key && plan.concurrency <= 0);
                let refused = |key: &str| stop.refused.iter().any(|why| why.starts_with(&format!("{key}:")));
                if !stop.plans.keys().filter(|key| !refused(key)).all(is_stopped) {
                    return Ok(());
                }
                self.run.note_stop(id, |stop| stop.in_force_at = stop.in_force_at.or(Some(now)))
            }
        }
    }
}

impl<F: Forge> UnderWay<'_, F> {
    /// Stops the rollout of an update that is held, as far as that can be done in Git. `plans` are those of a decision
    /// that is made now; what was decided before is on record.
    fn stop_rollout(&mut self, id: &str, plans: &[RollingPlan], now: Timestamp) -> Result<(), Error> {
        for _ in 0..MOST_ATTEMPTS {
            self.look_at_base()?;
            if self.is_stopped()? {
                let text = "everything is stopped by the kill switch; the rollout is not stopped in Git";
                self.waiting.insert(id.to_owned(), text.to_owned());
                return Ok(());
            }
            let held = |update: &&Update| update.stage == Stage::Held;
            let Some(update) = self.world.state.updates.get(id).filter(held).cloned() else { return Ok(()) };
            if let Some(commit) = self.stopped_by(&update)? {
                return self.note_stop(id, |stop| stop.commit = Some(commit.clone()));
            }
            let stopping = match self.stopping(&update, plans)? {
                Some(stopping) => stopping,
                None => return Ok(()),
            };
            self.decide_stop(&update, plans, &stopping, now)?;
            let Some(update) = self.world.state.updates.get(id).filter(held).cloned() else { return Ok(()) };
            let Some(stop) = update.settling.stop.clone().filter(RolloutStop::is_due) else { return Ok(()) };
            if stopping.replacements.is_empty() {
                let base = self.world.base.to_string();
                return self.note_stop(id, |stop| {
                    stop.refused.clone_from(&stopping.refused);
                    if !stopping.stopped.is_empty() {
                        stop.commit = Some(base.clone());
                    }
                });
            }
            let stops = Stops { update: &update, decided_at: stop.decided_at, reason: &stop.reason };
            let landing = Landing {
                tree: self.stopped_tree(&stopping)?,
                title: stops.title(),
                message: stops.message(),
                time: stop.decided_at,
            };
            if self.pass.config.validation.revert_by == RevertBy::PullRequest || stop.branch.is_some() {
                return self.propose_stop(&update, &stop, &landing);
            }
            let effect = Effect::Stop { branch: self.world.base_branch.clone(), what: landing.title.clone() };
            match self.push_to_base(effect, &landing)? {
                Pushing::Pushed(commit) => {
                    return self.note_stop(id, |stop| stop.commit = Some(commit.clone()));
                }
                Pushing::LeftOut => return Ok(()),
                Pushing::Moved => {}
                Pushing::Refused(why) => {
                    tracing::info!(component = update.component, reason = why, "proposed instead of pushed");
                    return self.propose_stop(&update, &stop, &landing);
                }
            }
        }
        let text = format!("not stopped yet: the base branch moved {MOST_ATTEMPTS} times meanwhile");
        self.waiting.insert(id.to_owned(), text);
        Ok(())
    }

    /// What is to be changed in Git now; `None` where the base branch does not have the update any more.
    fn stopping(&self, update: &Update, plans: &[RollingPlan]) -> Result<Option<Stopping>, Error> {
        let mut in_digest: BTreeSet<String> = BTreeSet::new();
        let wanted: Vec<Wanted> = match &update.settling.stop {
            Some(stop) => stop.plans.iter().filter_map(|(key, count)| wanted(key, *count)).collect(),
            None => {
                in_digest.extend(plans.iter().filter(|plan| plan.in_digest).map(RollingPlan::key));
                plans.iter().filter_map(|plan| wanted(&plan.key(), plan.concurrency)).collect()
            }
        };
        // What was refused when it was decided stays refused: the Plan's digest is not seen again.
        in_digest.extend(update.settling.stop.iter().flat_map(begin_anew));
        let all = |why: &str| Stopping {
            refused: wanted.iter().map(|one| format!("{}/{}: {why}", one.namespace, one.name)).collect(),
            ..Stopping::default()
        };
        let paths = match self.on_branch(update)? {
            OnBranch::Reverted { .. } | OnBranch::Lost => return Ok(None),
            OnBranch::Replaced { commit } => {
                let who = commit.short();
                return Ok(Some(all(&format!("`{who}` changed the same files, so a person is at work"))));
            }
            OnBranch::Unclear { paths, .. } => paths,
            OnBranch::Landed { landed, paths, changed } => {
                let stranger = match changed.is_empty() {
                    true => None,
                    false => self.strangers(update, landed, &paths)?.into_iter().next(),
                };
                if let Some(stranger) = stranger {
                    let who = stranger.id.short();
                    return Ok(Some(all(&format!("`{who}` changed the same files, so a person is at work"))));
                }
                paths
            }
        };
        let files = self.manifests(self.world.base)?;
        let files = files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        let (begins, safe): (Vec<Wanted>, Vec<Wanted>) = wanted
            .iter()
            .cloned()
            .partition(|one| in_digest.contains(&format!("{}/{}", one.namespace, one.name)));
        let mut stopping = concurrency::stop(files, &paths.into_iter().collect(), &safe);
        let refused = begins.iter().map(|one| format!("{}/{}: {BEGINS_ANEW}", one.namespace, one.name));
        stopping.refused.extend(refused);
        Ok(Some(stopping))
    }

    /// Manifests of a commit that may hold a Plan.
    pub(super) fn manifests(&self, at: Id) -> Result<Vec<(String, String)>, Error> {
        let git = &self.pass.git;
        let files = git.files(at, "", MOST_FILES)?;
        let mut texts = Vec::new();
        for (path, entry) in files {
            let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end));
            if !is_manifest || !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
                continue;
            }
            match git.read_file(at, &path, FILE_LIMIT) {
                Ok(Some(bytes)) => texts.extend(String::from_utf8(bytes).ok().map(|text| (path, text))),
                Ok(None) | Err(write::Error::TooLarge { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(texts)
    }

    /// The tree of the base branch with the rollout stopped.
    fn stopped_tree(&self, stopping: &Stopping) -> Result<Id, Error> {
        let (git, base) = (&self.pass.git, self.world.base);
        let mut changes = BTreeMap::new();
        let files: BTreeSet<&str> = stopping.replacements.iter().map(|one| one.file.as_str()).collect();
        for file in files {
            let of_file: Vec<_> =
                stopping.replacements.iter().filter(|one| one.file == file).cloned().collect();
            let bytes = git.read_file(base, file, FILE_LIMIT)?.ok_or_else(|| EditError::Unreadable {
                file: file.to_owned(),
                reason: "it is not there any more".to_owned(),
            })?;
            changes.insert(file.to_owned(), Change::Write(apply(file, &bytes, &of_file)?));
        }
        Ok(git.tree_with(base, &changes)?)
    }

    /// Records that no further node is to follow, and which Plans that concerns; from here on only a person goes on.
    fn decide_stop(
        &mut self,
        update: &Update,
        plans: &[RollingPlan],
        stopping: &Stopping,
        now: Timestamp,
    ) -> Result<(), Error> {
        let id = update.update_id.clone();
        let what = format!("Decide to stop the rollout of {} {}", update.component, update.to);
        let plans: BTreeMap<String, i64> = plans.iter().map(|plan| (plan.key(), plan.concurrency)).collect();
        let (refused, base) = (stopping.refused.clone(), self.world.base.to_string());
        self.record(what.clone(), |state: &mut State| {
            let update = state.updates.get_mut(&id).filter(|update| update.stage == Stage::Held)?;
            if update.settling.stop.is_some() || plans.is_empty() {
                return None;
            }
            let why = update.reason.clone().unwrap_or_default();
            let stop = RolloutStop {
                decided_at: now,
                decided_on: Some(base.clone()),
                reason: why.clone(),
                plans: plans.clone(),
                refused: refused.clone(),
                branch: None,
                pull_request: None,
                commit: None,
                in_force_at: None,
            };
            if let Some(hold) = &mut update.settling.hold {
                hold.clears_itself = false;
            }
            update.reason = Some(format!("{why}; {}", stop.words()));
            update.settling.stop = Some(stop);
            Some(
                Transition::new(&what)
                    .because(why)
                    .trailer("Update", &update.update_id)
                    .trailer("Policy-Applied", "validation.stop_rollouts"),
            )
        })
    }

    /// Records how far stopping a rollout is.
    fn note_stop(&mut self, id: &str, change: impl Fn(&mut RolloutStop)) -> Result<(), Error> {
        let told = |update: &Update| {
            let words = update.settling.stop.as_ref().map(RolloutStop::words).unwrap_or_default();
            Transition::new(format!("Note the rollout of {} {}", update.component, update.to)).because(words)
        };
        self.record_update_as(id, told, |update| {
            let Some(stop) = &mut update.settling.stop else { return };
            change(stop);
            update.reason = Some(format!("{}; {}", stop.reason, stop.words()));
        })
    }

    /// Records why none of the Plans is stopped in Git.
    fn refuse_stop(&mut self, id: &str, why: &str) -> Result<(), Error> {
        self.note_stop(id, |stop| {
            stop.refused = stop.plans.keys().map(|key| format!("{key}: {why}")).collect();
        })
    }

    /// Proposes it in a pull request, once.
    fn propose_stop(&mut self, update: &Update, stop: &RolloutStop, landing: &Landing) -> Result<(), Error> {
        let id = update.update_id.as_str();
        let decided = stop.decided_at;
        let branch =
            branch_name(&format!("stop-{}", update.component), &format!("{}-{id}-{decided}", update.to));
        let found = self.pass.wait(self.pass.forge.pull_requests_of(&branch))?;
        let open = found.iter().find(|pull| pull.state == PullRequestState::Open);
        let closed = found.iter().find(|pull| pull.state == PullRequestState::Closed);
        if let (None, Some(closed)) = (open, closed) {
            let why = format!("a person closed #{}, which proposed it", closed.number);
            return self.refuse_stop(id, &why);
        }
        let number = match open {
            Some(open) => Some(open.number),
            None => {
                if self.is_foreign_landing(update, &branch, landing)? {
                    let why = format!("the branch `{branch}` has commits of somebody else");
                    return self.refuse_stop(id, &why);
                }
                self.push_landing(&branch, landing)?;
                self.open_stop(update, stop, &branch, &landing.title)?
            }
        };
        self.note_stop(id, |stop| {
            stop.branch = Some(branch.clone());
            stop.pull_request = number.or(stop.pull_request);
        })?;
        if let Some(number) = number {
            let text = format!("stopping the rollout is proposed in #{number}; a person has to merge it");
            self.waiting.insert(id.to_owned(), text);
        }
        Ok(())
    }

    fn open_stop(
        &mut self,
        update: &Update,
        stop: &RolloutStop,
        branch: &str,
        title: &str,
    ) -> Result<Option<u64>, Error> {
        let body = format!(
            "The rollout of {} {} went wrong:\n\n> {}\n\nMerging this gives its Plans the concurrency 0, so that no further \
             node follows; Jobs that run end as they would, and the version stays. Revert it later to go on, and say \
             `gitops-updater verify --resume` {}. Closing it without merging lets the nodes follow.\n",
            neutral::code(&update.component),
            neutral::code(&update.to),
            neutral::prose(&stop.reason, MAX_REASON),
            neutral::code(&update.update_id),
        );
        Ok(self.open_landing(branch, title, body)?.map(|pull| pull.number))
    }
}

/// Why the concurrency of a Plan is left as it is.
const BEGINS_ANEW: &str =
    "its concurrency counts for its digest, so another one would begin the rollout anew";

/// Plans whose concurrency is left as it is for that, as `namespace/name`.
pub(super) fn begin_anew(stop: &RolloutStop) -> impl Iterator<Item = String> {
    let anew = stop.refused.iter().filter(|why| why.contains(BEGINS_ANEW));
    anew.filter_map(|why| why.split(':').next().map(str::to_owned))
}

pub(super) fn wanted(key: &str, concurrency: i64) -> Option<Wanted> {
    let (namespace, name) = key.split_once('/')?;
    Some(Wanted { namespace: namespace.to_owned(), name: name.to_owned(), concurrency })
}
