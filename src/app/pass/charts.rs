//! What the reviewer of a chart must know.

use super::Run;
use crate::app::forge::Forge;
use crate::app::plan::{Planned, chart_changes, unreached};
use crate::domain::chart_diff::Comparison;
use crate::domain::message::Section;
use crate::domain::plan::{Approval, Step};
use crate::domain::state::{Stage, Update};

/// Most characters of a failure that stands in a pull request.
const MAX_REASON: usize = 500;

impl<F: Forge> Run<'_, F> {
    /// Why the bot does not merge an update: what it would install was there when it was proposed, and is not now.
    pub(super) fn out_of_reach(&self, update: &Update, planned: &Planned) -> Option<String> {
        if update.gate != Approval::Auto || update.stage != Stage::Proposed || update.pull_request.is_none() {
            return None;
        }
        let mut steps = planned.report.waves.iter().flat_map(|wave| &wave.steps);
        let step = steps.find(|step| step.component == update.component && step.to == update.to)?;
        unreached(self.survey, self.pass.targets, step)
    }

    /// Compares the chart before and after a step; nothing for what is no chart. A chart that cannot be looked into
    /// is said to the reviewer, who can.
    pub(super) fn compare_charts(&self, step: &Step) -> Comparison {
        let change = chart_changes(self.survey, self.read, &[step]).pop().flatten();
        let Some(change) = change else { return Comparison::default() };
        match self.pass.charts.compare(&change) {
            Ok(comparison) => comparison,
            Err(failure) => {
                let reason: String = failure.to_string().chars().take(MAX_REASON).collect();
                let section = Section {
                    title: "The charts could not be compared".to_owned(),
                    urgent: true,
                    items: vec![reason],
                    diff: None,
                };
                Comparison { sections: vec![section], ..Comparison::default() }
            }
        }
    }
}
