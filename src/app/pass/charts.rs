//! What the reviewer of a chart must know, and what stops its step.

use std::collections::BTreeSet;

use super::Run;
use crate::app::forge::Forge;
use crate::app::plan::{Planned, candidate_of, unreached};
use crate::domain::chart_diff::{Comparison, UserValues, user_values};
use crate::domain::message::Section;
use crate::domain::plan::{Approval, Held, Step};
use crate::domain::state::{Stage, Update};
use crate::domain::upstream::UpstreamRef;

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
        let Some(subject) = self.survey.subject(&step.component) else { return Comparison::default() };
        let Ok(upstream) = &subject.component.upstream else { return Comparison::default() };
        if !matches!(upstream, UpstreamRef::HelmChart { .. } | UpstreamRef::Oci { chart: true, .. }) {
            return Comparison::default();
        }
        let from = subject.current.as_ref().map_or(step.from.as_str(), |current| current.version.as_str());
        let to = candidate_of(subject, step).map_or(step.to.as_str(), |target| target.version.as_str());
        let users = self.users_of(&subject.component.name, subject.component.namespace.as_deref());
        match self.pass.charts.compare(upstream, from, to, &users) {
            Ok(comparison) => comparison,
            Err(reason) => {
                let reason: String = reason.chars().take(MAX_REASON).collect();
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

    /// Values that HelmReleases of this name set, in every file that Flux applies.
    fn users_of(&self, name: &str, namespace: Option<&str>) -> Vec<UserValues> {
        let releases = self.survey.apis.iter().filter(|api| api.kind == "HelmRelease");
        let files: BTreeSet<&str> = releases.map(|api| api.file.as_str()).collect();
        let texts = files.into_iter().filter_map(|file| {
            let bytes = (self.read)(file).ok()?;
            Some((file, String::from_utf8(bytes).ok()?))
        });
        texts.flat_map(|(file, text)| user_values(file, &text, name, namespace)).collect()
    }

    /// Why a look at the chart holds the step; a person who asks for it by name has decided.
    pub(super) fn held_by_chart(&self, step: &Step, comparison: &Comparison) -> Option<Held> {
        if self.pass.by_name {
            return None;
        }
        let (gate, reason) = if comparison.refused {
            (
                "values",
                "the values that are set do not fit the schema of the newer chart, so Helm would refuse it"
                    .to_owned(),
            )
        } else if let Some(lost) = comparison.lost.first() {
            let lost = match &lost.version {
                Some(version) => format!("{version} of {}", lost.crd),
                None => lost.crd.clone(),
            };
            let more = match comparison.lost.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            (
                "crds",
                format!(
                    "the newer chart no longer has {lost}{more}; objects that were stored so would be lost"
                ),
            )
        } else {
            return None;
        };
        Some(Held {
            component: step.component.clone(),
            from: Some(step.from.clone()),
            to: Some(step.to.clone()),
            gate: gate.to_owned(),
            reason,
            constraint: None,
            policy_applied: Some(
                "comparison of the charts; `propose --component` proposes it all the same".to_owned(),
            ),
            until: None,
        })
    }
}
