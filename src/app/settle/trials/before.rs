//! Trials before the merge: how the cluster is while the pull request is open.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Group, groups, list};
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay};
use crate::app::probes::{Order, Trial, Tried, Work, read_job};
use crate::domain::settle::health::probe::{RESTORE, STORAGE, Trials};
use crate::domain::settle::record::{KeptVolume, TrialResult, TrialsBefore};
use crate::domain::state::{Stage, State, Update};
use crate::state::Transition;

/// Hours after which what is open is tried again.
const OLD: i64 = 24;
/// The same where not everything went well.
const OLD_IF_BAD: i64 = 1;
/// Minutes for which what was tried for one update counts for another one, too.
const SHARED: i64 = 10;
/// Largest manifest of a test Job, in bytes.
const MANIFEST: usize = 256 << 10;

impl<F: Forge> UnderWay<'_, F> {
    /// Tries how the cluster is before the merge of updates that are open, where nobody did, or it is long ago. What
    /// cannot be tried stops nothing.
    pub(in crate::app) fn try_before(&mut self, ids: &[String]) -> Result<(), Error> {
        for id in ids {
            let Some(update) = self.world.state.updates.get(id) else { continue };
            let trials = self.pass.trials.trials(update);
            let names = trials.names_for(id);
            if names.is_empty() || !is_due(update.settling.trials.as_ref(), &names, self.pass.now) {
                continue;
            }
            let what = format!("try {} before {} {}", list(&names), update.component, update.to);
            if self.is_stopped()? {
                return Ok(());
            }
            let (id, trials) = (id.clone(), trials.clone());
            let tried = self.effect(Effect::Ask { what }, |run| run.tried_before(&id, &trials))?;
            if let Some((results, volume)) = tried {
                self.record_trials(&id, &names, &results, volume)?;
            }
        }
        Ok(())
    }

    fn tried_before(
        &self,
        id: &str,
        trials: &Trials,
    ) -> Result<(BTreeMap<String, TrialResult>, Option<KeptVolume>), Error> {
        let (trier, wait) = (self.pass.trials, |trial| self.pass.wait(trial));
        let mut results = self.shared_results();
        let mut kept = None;
        for (group, trials, names) in groups(trials, id) {
            if names.iter().all(|name| results.contains_key(name)) {
                continue;
            }
            // Whoever wants the pass to end need not wait for the rest.
            self.pass.witness.before(&Effect::Ask { what: format!("try {}", list(&names)) })?;
            let order = |work, trials| Order { work, update: id.to_owned(), trials };
            let told = match group {
                Group::Here => wait(trier.ask(trials)),
                Group::Inside => wait(trier.work(order(Work::Inside, trials))),
                Group::Storage => {
                    let (volume, told) = self.pass.wait(trier.write(id.to_owned(), trials));
                    kept = volume;
                    told
                }
                // It is made with the volume.
                Group::Restore => Vec::new(),
                Group::Job => match self.job(&trials) {
                    Ok(work) => wait(trier.work(order(work, trials))),
                    Err(tried) => Vec::from([Trial { name: "test_job".to_owned(), tried }]),
                },
                Group::Command => wait(trier.work(order(Work::Command, trials))),
            };
            results.extend(told.iter().map(|trial| (trial.name.clone(), result(trial))));
        }
        Ok((results, kept))
    }

    /// What was tried for others just now, but for what is an update's own.
    fn shared_results(&self) -> BTreeMap<String, TrialResult> {
        let known = self.world.state.updates.values().filter_map(|update| update.settling.trials.as_ref());
        let fresh = known.filter(|known| self.pass.now.duration_since(known.at).as_mins() < SHARED);
        fresh
            .flat_map(|known| &known.results)
            .filter(|(name, _)| !is_own(name))
            .map(|(name, result)| (name.clone(), result.clone()))
            .collect()
    }

    fn record_trials(
        &mut self,
        id: &str,
        names: &BTreeSet<String>,
        results: &BTreeMap<String, TrialResult>,
        volume: Option<KeptVolume>,
    ) -> Result<(), Error> {
        let at = self.pass.now;
        let result = |name: &String| {
            let none = || TrialResult { ok: None, detail: "nothing was said of it".to_owned() };
            (name.clone(), results.get(name).cloned().unwrap_or_else(none))
        };
        let results: BTreeMap<String, TrialResult> = names.iter().map(result).collect();
        self.record("Note what was tried before the merge".to_owned(), |state: &mut State| {
            let update = state.updates.get_mut(id).filter(|update| update.stage == Stage::Proposed)?;
            let mut now = TrialsBefore { at, results: results.clone(), volume: volume.clone() };
            // What was written once is there, though nobody could look at it today.
            if let Some(known) = update.settling.trials.take()
                && now.volume.is_none()
                && known.volume.is_some()
            {
                now.results.extend(known.results.into_iter().filter(|(name, _)| is_own(name)));
                now.volume = known.volume;
            }
            update.settling.trials = Some(now);
            Some(Transition::told("Note what was tried before the merge of", update))
        })
    }

    /// The user's Job, as it is on the base branch.
    pub(super) fn job(&self, trials: &Trials) -> Result<Work, Tried> {
        let Some(spec) = &trials.test_job else { return Err(Tried::Not("there is no Job".to_owned())) };
        let text = self.pass.git.read_file(self.world.base, &spec.manifest, MANIFEST);
        let text = text.map_err(|error| Tried::Not(error.to_string()))?;
        let text = text.ok_or_else(|| Tried::Not(format!("`{}` is not there", spec.manifest)))?;
        read_job(&spec.manifest, &text).map(Work::Job).map_err(|error| Tried::Not(error.to_string()))
    }

    /// Why an update is not merged by itself: the volume that is to be read back after it is not there.
    pub(in crate::app) fn unwritten(&self, update: &Update) -> Option<String> {
        let name = format!("{STORAGE}/{}", update.update_id);
        if !self.pass.trials.trials(update).names_for(&update.update_id).contains(&name) {
            return None;
        }
        let known = update.settling.trials.as_ref().and_then(|before| before.results.get(&name));
        let why = match known {
            Some(known) if known.ok == Some(true) => return None,
            Some(known) => known.detail.as_str(),
            None => "nobody has tried yet",
        };
        Some(format!("a volume must be written before the merge, to be read back after it: {why}"))
    }
}

/// Whether what is open is to be tried, by what is known of it.
fn is_due(known: Option<&TrialsBefore>, names: &BTreeSet<String>, now: Timestamp) -> bool {
    let Some(known) = known else { return true };
    let is_whole = names.iter().all(|name| known.results.contains_key(name));
    let is_good = known.results.values().all(|result| result.ok == Some(true));
    let hours = now.duration_since(known.at).as_hours();
    !is_whole || hours >= if is_good { OLD } else { OLD_IF_BAD }
}

/// Whether a result is about an update's own volume.
fn is_own(name: &str) -> bool {
    matches!(name.split('/').next(), Some(STORAGE | RESTORE))
}

fn result(trial: &Trial) -> TrialResult {
    let seen = trial.seen();
    TrialResult { ok: seen.ok, detail: seen.detail }
}
