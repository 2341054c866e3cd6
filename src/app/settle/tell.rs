//! Tells the forge what became of a merged update: commit status, label and comment. People are told of a revert that
//! failed as well, because the record of the update does not say so.
//!
//! What is decided is recorded before anything is told, so that nothing that the forge refuses here is a failure of
//! settling: it is a warning, the rest is told all the same, and the next pass tries it again.

use jiff::Timestamp;

use crate::app::effects::Effect;
use crate::app::forge::{CommitStatus, Forge, ForgeError, PullRequestChange, StatusState};
use crate::app::notify::{Event, Kind};
use crate::app::pass::{Error, UnderWay, chain};
use crate::domain::message::settled::{self, HOLD_LABEL, Light, STATUS_CONTEXT, Told};
use crate::domain::state::{State, Update};
use crate::state::Transition;

impl<F: Forge> UnderWay<'_, F> {
    /// Notes which channels people are told by from now on.
    pub(super) fn meet_channels(&mut self) -> Result<(), Error> {
        let config = self.pass.config;
        let now = self.pass.now;
        let names = || config.notifications.channels.iter().map(|channel| channel.name.as_str());
        let known = &self.world.state.told.channels;
        let new: Vec<&str> = names().filter(|name| !known.contains_key(*name)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let what = format!("Tell people by {} from now on", new.join(", "));
        self.record(what.clone(), |state: &mut State| {
            state.told.meet(names(), now).then(|| Transition::new(&what))
        })
    }

    /// Says on the forge what the record says, where it was not said yet.
    pub(in crate::app) fn tell(&mut self, id: &str, runbook: Option<&str>) -> Result<(), Error> {
        let Some(update) = self.world.state.updates.get(id).cloned() else { return Ok(()) };
        let evidence = self.world.state.evidence.get(id);
        let Some(told) = settled::told(&update, evidence, runbook) else { return Ok(()) };
        if update.settling.told.as_deref() == Some(told.digest.as_str()) {
            return Ok(());
        }
        match self.may_not() {
            Ok(false) => {}
            Ok(true) => return Ok(()),
            Err(Error::Forge(error)) => {
                self.not_told(&update.component, &error);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let said = [
            self.tell_status(&update, &told),
            self.tell_label(&update, &told),
            self.tell_comment(&update, &told),
        ];
        let mut all = true;
        for refused in said.into_iter().filter_map(Result::err) {
            match refused {
                Error::Forge(error) => {
                    all = false;
                    self.not_told(&update.component, &error);
                }
                error => return Err(error),
            }
        }
        if !all {
            return Ok(());
        }
        // Last, so that a pass that was killed before says it again; all of it may be said twice.
        let digest = told.digest;
        // In words of its own: what became of the update is in the trail already.
        let noted = |update: &Update| Transition::told("Note what was said of", update);
        self.record_update_as(id, noted, |update| update.settling.told = Some(digest.clone()))
    }

    fn tell_status(&mut self, update: &Update, told: &Told) -> Result<(), Error> {
        let Some(commit) = update.merge_commit.clone() else { return Ok(()) };
        let status = CommitStatus {
            state: match told.light {
                Light::Pending => StatusState::Pending,
                Light::Success => StatusState::Success,
                Light::Failure => StatusState::Failure,
            },
            context: STATUS_CONTEXT.to_owned(),
            description: told.description.clone(),
            url: None,
        };
        let effect = Effect::Status { commit: commit.clone(), what: told.description.clone() };
        self.effect(effect, |run| Ok(run.pass.wait(run.pass.forge.set_status(&commit, &status))?)).map(drop)
    }

    fn tell_label(&mut self, update: &Update, told: &Told) -> Result<(), Error> {
        let Some(pull) = self.pull_of(update).cloned() else { return Ok(()) };
        let has = pull.labels.iter().any(|label| label.eq_ignore_ascii_case(HOLD_LABEL));
        if has == told.label {
            return Ok(());
        }
        let labels = vec![HOLD_LABEL.to_owned()];
        let (change, what) = match told.label {
            true => (
                PullRequestChange { add_labels: labels, ..PullRequestChange::default() },
                format!("add the label `{HOLD_LABEL}`"),
            ),
            false => (
                PullRequestChange { remove_labels: labels, ..PullRequestChange::default() },
                format!("remove the label `{HOLD_LABEL}`"),
            ),
        };
        self.change(&pull, change, &what)?;
        self.relabel(pull.number, told.label);
        Ok(())
    }

    fn tell_comment(&mut self, update: &Update, told: &Told) -> Result<(), Error> {
        let Some(number) = self.pull_of(update).map(|pull| pull.number) else { return Ok(()) };
        let Some(body) = &told.comment else { return Ok(()) };
        let marker = settled::marker(&update.update_id);
        let effect = Effect::Comment { number, what: told.description.clone() };
        self.effect(effect, |run| Ok(run.pass.wait(run.pass.forge.comment(number, &marker, body))?)).map(drop)
    }

    fn not_told(&mut self, component: &str, error: &ForgeError) {
        tracing::warn!(component, reason = %error, "the forge was not told");
        let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        let warning = format!("{component}: {error}{hint}");
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Has people told that an update was to be reverted and could not be. A stop is no failure.
    pub(super) fn tell_revert_failed(&mut self, id: &str, error: &Error, at: Timestamp) {
        let Some(update) = self
            .world
            .state
            .updates
            .get(id)
            .filter(|_| !matches!(error, Error::Stopped(_) | Error::KillSwitch))
        else {
            return;
        };
        let event = Event::of_update(Kind::RevertFailed, update, at);
        let event = Event { details: Vec::new(), ..event }
            .because([chain(error)])
            .because(update.reason.iter().cloned())
            .then(error.hint())
            .then([format!(
                "the next pass tries it again; or revert it yourself: gitops-updater rollback {}",
                update.component
            )]);
        self.pass.notify.tell(event);
    }

    fn relabel(&mut self, number: u64, add: bool) {
        let pull = self.world.pulls.iter_mut().find(|pull| pull.number == number);
        if let Some(labels) = pull.map(|pull| &mut pull.labels) {
            labels.retain(|label| !label.eq_ignore_ascii_case(HOLD_LABEL));
            if add {
                labels.push(HOLD_LABEL.to_owned());
            }
        }
    }
}
