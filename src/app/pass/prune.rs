//! Removes what nobody needs any more: old backup points, and why updates that are long over were judged as they were.

use std::collections::BTreeSet;

use super::{Error, Run};
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::backup;
use crate::domain::state::{EVIDENCE_DAYS, State, UpdateStatus};
use crate::state::Transition;

/// Most ids that a message of the record names.
const MOST_NAMED: usize = 50;

impl<F: Forge> Run<'_, F> {
    /// Removes backup points that nobody needs any more.
    pub(super) fn prune(&mut self) -> Result<(), Error> {
        let settings = self.pass.config.backup;
        let retention = backup::Retention { keep_last: settings.keep_last, keep_for: settings.keep_for };
        let in_use: BTreeSet<String> = self
            .world
            .state
            .updates
            .values()
            .filter(|update| matches!(update.status, UpdateStatus::InProgress | UpdateStatus::Held))
            .filter_map(|update| update.backup_id.clone())
            .collect();
        if self.may_not()? {
            return Ok(());
        }
        self.prune_data(&in_use)?;
        let ids: Vec<&str> = self.world.refs.below(backup::PREFIX).map(|(id, _)| id).collect();
        let outdated = backup::outdated(&ids, retention, &in_use, self.pass.now);
        if outdated.is_empty() || self.may_not()? {
            return Ok(());
        }
        let (refs, now) = (self.world.refs.clone(), self.pass.now);
        let effect = Effect::Prune { count: outdated.len() };
        self.effect(effect, |run| Ok(run.pass.backups().prune(&refs, retention, &in_use, now)?)).map(drop)
    }

    /// Takes the evidence of updates that are long over out of the record, which would grow with every pass otherwise.
    /// The updates stay, for `report`; what is taken out stays in the history of the ref.
    pub(super) fn forget_evidence(&mut self) -> Result<(), Error> {
        let now = self.pass.now;
        let what = format!("Forget the evidence of updates that have been over for {EVIDENCE_DAYS} days");
        if self.world.state.outdated_evidence(now).is_empty() || self.may_not()? {
            return Ok(());
        }
        self.record(what.clone(), |state: &mut State| {
            let outdated = state.outdated_evidence(now);
            state.evidence.retain(|id, _| !outdated.contains(id));
            (!outdated.is_empty())
                .then(|| Transition::new(&what).because(named(outdated.iter().map(String::as_str))))
        })
    }
}

/// How many they are, and the first of them, a line each.
fn named<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = ids.len();
    let more = count.saturating_sub(MOST_NAMED);
    let mut lines = vec![format!("{count} {}:", if count == 1 { "update" } else { "updates" })];
    lines.extend(ids.take(MOST_NAMED).map(str::to_owned));
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_so_many_and_says_how_many_more_there_are() {
        let told = |count: usize| {
            let ids: Vec<String> = (0..count).map(|id| format!("update-{id}")).collect();
            named(ids.iter().map(String::as_str))
        };
        assert_eq!(told(1), "1 update:\nupdate-0");
        assert_eq!(told(50).lines().count(), 51);
        let many = told(2_000);
        assert!(
            many.starts_with("2000 updates:\nupdate-0\n") && many.ends_with("update-49\nand 1950 more"),
            "{many}"
        );
    }
}
