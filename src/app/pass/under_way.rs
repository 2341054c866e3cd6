//! What every part of a pass works with: the world as it was seen, effects that pass the witness, and the record.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Failure, Pass, World, stopped_by};
use crate::app::effects::{Came, Effect, Go};
use crate::app::forge::Forge;
use crate::config::{self, FILE_NAME, MAX_BYTES, Origin, Trust};
use crate::domain::message::Action as Tick;
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::state::{State, Update, UpdateStatus};
use crate::state::Transition;

/// Largest configuration that is read, in bytes.
const CONFIG_LIMIT: usize = MAX_BYTES as usize;

/// A pass under way.
pub(in crate::app) struct UnderWay<'a, F> {
    pub(in crate::app) pass: &'a Pass<'a, F>,
    pub(in crate::app) world: World,
    pub(in crate::app) ticked: BTreeSet<Tick>,
    pub(in crate::app) kill_switch: Option<KillSwitch>,
    pub(in crate::app) effects: Vec<Effect>,
    /// What another run had done when this one was about to.
    pub(in crate::app) found: Vec<Effect>,
    /// What each update waits for, by id.
    pub(in crate::app) waiting: BTreeMap<String, String>,
    pub(in crate::app) failures: Vec<Failure>,
    /// What did not go well and kept nothing from going on.
    pub(in crate::app) warnings: Vec<String>,
}

impl<'a, F: Forge> UnderWay<'a, F> {
    pub(in crate::app) fn new(pass: &'a Pass<'a, F>, world: World) -> Self {
        let dashboard = world.dashboard.as_ref();
        Self {
            pass,
            ticked: dashboard.map(|dashboard| Tick::ticked(&dashboard.body)).unwrap_or_default(),
            kill_switch: pass.kill_switch.or_else(|| stopped_by(dashboard)),
            world,
            effects: Vec::new(),
            found: Vec::new(),
            waiting: BTreeMap::new(),
            failures: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Does one thing, if the witness lets it; `None` where it was left out.
    pub(in crate::app) fn effect<T>(
        &mut self,
        effect: Effect,
        act: impl FnOnce(&Self) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.effect_or_found(effect, |run| act(run).map(Came::Done))
    }

    /// The same where another run may have done it since this one looked: then it is not told as done by this one.
    pub(in crate::app) fn effect_or_found<T>(
        &mut self,
        effect: Effect,
        act: impl FnOnce(&Self) -> Result<Came<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let go = self.pass.witness.before(&effect)?;
        let came = match go {
            Go::Do => {
                tracing::info!(effect = %effect, "pass");
                let came = act(self)?;
                self.pass.witness.after(&effect)?;
                came.map(Some)
            }
            Go::Skip => Came::Done(None),
        };
        match &came {
            Came::Done(_) => self.effects.push(effect),
            Came::Found(_) => {
                tracing::info!(effect = %effect, "left, because others were faster");
                self.found.push(effect);
            }
        }
        Ok(came.into_inner())
    }

    /// The same for what the kill switch stops, which is asked for right before: it may have been set since the pass
    /// began.
    ///
    /// # Errors
    ///
    /// [`Error::KillSwitch`] where it is on, with nothing done.
    pub(in crate::app) fn unless_stopped<T>(
        &mut self,
        effect: Effect,
        act: impl FnOnce(&Self) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.found_unless_stopped(effect, |run| act(run).map(Came::Done))
    }

    /// [`Self::effect_or_found`] for what the kill switch stops.
    ///
    /// # Errors
    ///
    /// [`Error::KillSwitch`] where it is on, with nothing done.
    pub(in crate::app) fn found_unless_stopped<T>(
        &mut self,
        effect: Effect,
        act: impl FnOnce(&Self) -> Result<Came<T>, Error>,
    ) -> Result<Option<T>, Error> {
        match self.may_not()? {
            true => Err(Error::KillSwitch),
            false => self.effect_or_found(effect, act),
        }
    }

    /// Whether nothing may be done; a dry run tells what would be done as things were when it began.
    pub(in crate::app) fn may_not(&mut self) -> Result<bool, Error> {
        match self.pass.witness.acts() {
            true => self.is_stopped(),
            false => Ok(self.kill_switch.is_some()),
        }
    }

    /// Whether everything is stopped now, asked again before what others have to live with: on the dashboard, and in
    /// the configuration of the base branch as it is at the remote, which may be ahead of what this pass works with.
    pub(in crate::app) fn is_stopped(&mut self) -> Result<bool, Error> {
        if self.kill_switch.is_none() && self.pass.config.dashboard.enabled {
            let dashboard = self.pass.wait(self.pass.forge.dashboard())?;
            self.kill_switch = stopped_by(dashboard.as_ref());
        }
        if self.kill_switch.is_none() {
            let base_ref = format!("refs/heads/{}", self.world.base_branch);
            let refs = self.pass.git.fetch(|name| name == base_ref)?;
            let tip = refs.branch(&self.world.base_branch).unwrap_or(self.world.base);
            let text = self.pass.git.read_file(tip, FILE_NAME, CONFIG_LIMIT)?;
            // Folders that it names are not looked into here; a bare repository may have them, too.
            let git = &self.pass.git;
            let folder = Some(git.work_dir().unwrap_or(git.git_dir()));
            let origin = Origin { name: FILE_NAME, trust: Trust::Repository, folder, repository: folder };
            self.kill_switch = text.and_then(|text| {
                match config::parse(&String::from_utf8_lossy(&text), &origin) {
                    Ok(config) => (!config.enabled).then_some(KillSwitch::BaseBranch),
                    // Who cannot be understood may have meant to stop it.
                    Err(findings) => {
                        let first = findings.first().map(ToString::to_string).unwrap_or_default();
                        tracing::error!(error = first, "cannot read the configuration of the base branch");
                        Some(KillSwitch::Unreadable)
                    }
                }
            });
        }
        Ok(self.kill_switch.is_some())
    }

    /// Looks at the state again: somebody may have recorded maintenance or a hold since the pass began.
    pub(in crate::app) fn look_at_state(&mut self) -> Result<(), Error> {
        if self.pass.witness.acts() {
            let loaded = self.pass.store.load()?;
            loaded.may_build()?;
            self.world.state = loaded.state;
        }
        Ok(())
    }

    /// Records a transition. `decide` is asked with the newest state, again where somebody else was faster.
    pub(in crate::app) fn record(
        &mut self,
        what: String,
        decide: impl Fn(&mut State) -> Option<Transition>,
    ) -> Result<(), Error> {
        // What changes nothing is no effect.
        if decide(&mut self.world.state.clone()).is_none() {
            return Ok(());
        }
        let now = self.pass.now;
        let changed = self.effect_or_found(Effect::Record { what }, |run| {
            let changed = run.pass.store.change(now, &decide)?;
            // With the newest state there was nothing to be changed any more.
            Ok(if changed.transition.is_some() { Came::Done(changed) } else { Came::Found(changed) })
        })?;
        match changed {
            Some(changed) => self.world.state = changed.loaded.state,
            None => {
                decide(&mut self.world.state);
            }
        }
        Ok(())
    }

    /// Changes the record of one update, if it is there.
    pub(in crate::app) fn record_update(
        &mut self,
        id: &str,
        change: impl Fn(&mut Update),
    ) -> Result<(), Error> {
        self.record_update_as(id, Transition::of, change)
    }

    /// The same, in other words than those of the stage that it is in afterwards.
    pub(in crate::app) fn record_update_as(
        &mut self,
        id: &str,
        told: impl Fn(&Update) -> Transition,
        change: impl Fn(&mut Update),
    ) -> Result<(), Error> {
        let now = self.pass.now;
        let what = self.world.state.updates.get(id).map_or_else(String::new, |update| {
            let mut after = update.clone();
            change(&mut after);
            told(&after).subject().to_owned()
        });
        self.record(what, |state| {
            let update = state.updates.get_mut(id)?;
            let before = update.clone();
            change(update);
            if *update == before {
                return None;
            }
            if update.stage != before.stage {
                update.changed_at = now;
            }
            update.status = update.stage.status();
            Some(told(update))
        })
    }

    pub(in crate::app) fn failed(&mut self, component: &str, error: Error) -> Result<(), Error> {
        match error {
            Error::Stopped(stopped) => return Err(stopped.into()),
            Error::KillSwitch => {
                let of_it = |update: &&Update| {
                    update.component == component && update.status == UpdateStatus::InProgress
                };
                let updates = self.world.state.updates.values().filter(of_it);
                let ids: Vec<String> = updates.map(|update| update.update_id.clone()).collect();
                self.waiting.extend(ids.into_iter().map(|id| (id, error.to_string())));
                return Ok(());
            }
            _ => {}
        }
        tracing::error!(component, error = %error, "update failed");
        self.failures.push(Failure { component: component.to_owned(), error });
        Ok(())
    }
}
