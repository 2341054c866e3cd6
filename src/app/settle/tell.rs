//! Tells the forge what became of a merged update: commit status, label and comment.

use crate::app::effects::Effect;
use crate::app::forge::{CommitStatus, Forge, PullRequestChange, StatusState};
use crate::app::pass::{Error, UnderWay};
use crate::domain::message::settled::{self, HOLD_LABEL, Light, STATUS_CONTEXT};

impl<F: Forge> UnderWay<'_, F> {
    /// Says on the forge what the record says, where it was not said yet.
    pub(super) fn tell(&mut self, id: &str, runbook: Option<&str>) -> Result<(), Error> {
        let Some(update) = self.world.state.updates.get(id).cloned() else { return Ok(()) };
        let evidence = self.world.state.evidence.get(id);
        let Some(told) = settled::told(&update, evidence, runbook) else { return Ok(()) };
        if update.settling.told.as_deref() == Some(told.digest.as_str()) || self.kill_switch.is_some() {
            return Ok(());
        }
        if let Some(commit) = update.merge_commit.clone() {
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
            self.effect(effect, |run| Ok(run.pass.wait(run.pass.forge.set_status(&commit, &status))?))?;
        }
        if let Some(pull) = self.pull_of(&update).cloned() {
            let number = pull.number;
            let has = pull.labels.iter().any(|label| label.eq_ignore_ascii_case(HOLD_LABEL));
            if has != told.label {
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
                self.relabel(number, told.label);
            }
            if let Some(body) = &told.comment {
                let marker = settled::marker(id);
                self.effect(Effect::Comment { number, what: told.description.clone() }, |run| {
                    Ok(run.pass.wait(run.pass.forge.comment(number, &marker, body))?)
                })?;
            }
        }
        // Last, so that a pass that was killed before says it again; all of it may be said twice.
        let digest = told.digest;
        self.record_update(id, |update| update.settling.told = Some(digest.clone()))
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
