//! What a look at both versions of a chart says of a step: read for steps that could be proposed now, by `plan` and by
//! whoever proposes them.

use std::collections::BTreeSet;

use super::{Survey, candidate_of};
use crate::domain::chart_diff::{Comparison, Harm, Releases, UserValues, user_values};
use crate::domain::plan::Step;
use crate::domain::policy::Hold;
use crate::domain::upstream::{UpstreamFailure, UpstreamRef};
use crate::repo;

/// Kind of the components that are called after their release.
const OF_RELEASES: &str = "helm";

/// Another version of a chart, for what the user sets.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartChange {
    /// Who has both versions.
    pub upstream: UpstreamRef,
    /// What is installed, as it is published.
    pub from: String,
    /// What the step goes to, as it is published.
    pub to: String,
    /// The values of every release that installs it.
    pub users: Vec<UserValues>,
}

/// What looks into charts. Asking twice is cheap.
pub trait Charts {
    /// What is different, for the reviewer.
    ///
    /// # Errors
    ///
    /// One of the versions cannot be had.
    fn compare(&self, change: &ChartChange) -> Result<Comparison, UpstreamFailure>;

    /// What stops each of these changes, in their order: of the comparison what needs no reviewer.
    ///
    /// # Errors
    ///
    /// Of one change: one of its versions cannot be had.
    fn harm(&self, changes: &[ChartChange]) -> Vec<Result<Harm, UpstreamFailure>>;
}

/// What each step changes of a chart; `None` for what is no chart.
pub fn chart_changes(
    survey: &Survey,
    read: &dyn Fn(&str) -> Result<Vec<u8>, repo::Error>,
    steps: &[&Step],
) -> Vec<Option<ChartChange>> {
    let mut changes: Vec<Option<ChartChange>> = steps.iter().map(|step| change(survey, step)).collect();
    if changes.iter().all(Option::is_none) {
        return changes;
    }
    let releases = survey.apis.iter().filter(|api| api.kind == "HelmRelease");
    let files: BTreeSet<&str> = releases.map(|api| api.file.as_str()).collect();
    for file in files {
        let Some(text) = read(file).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else { continue };
        for (step, change) in steps.iter().zip(&mut changes) {
            let subject = survey.subject(&step.component).map(|subject| &subject.component);
            let (Some(component), Some(change)) = (subject, change) else { continue };
            let chart = component.chart().filter(|_| component.kind != OF_RELEASES);
            let releases = match &chart {
                Some(chart) => Releases::Of { chart },
                None => Releases::Named { name: &component.name, namespace: component.namespace.as_deref() },
            };
            change.users.extend(user_values(file, &text, releases));
        }
    }
    changes
}

fn change(survey: &Survey, step: &Step) -> Option<ChartChange> {
    let subject = survey.subject(&step.component)?;
    let upstream = subject.component.upstream.as_ref().ok()?;
    if !matches!(upstream, UpstreamRef::HelmChart { .. } | UpstreamRef::Oci { chart: true, .. }) {
        return None;
    }
    let from = subject.current.as_ref().map_or(&step.from, |current| &current.version);
    let to = candidate_of(subject, step).map_or(&step.to, |target| &target.version);
    Some(ChartChange { upstream: upstream.clone(), from: from.clone(), to: to.clone(), users: Vec::new() })
}

/// Why a look at its chart holds a step.
pub(super) fn hold(harm: &Harm) -> Option<Hold> {
    let (gate, reason) = if harm.refused {
        (
            "values",
            "the values that are set do not fit the schema of the newer chart, so Helm would refuse it"
                .to_owned(),
        )
    } else {
        let first = harm.lost.first()?;
        let lost = match &first.version {
            Some(version) => format!("{version} of {}", first.crd),
            None => first.crd.clone(),
        };
        let more = match harm.lost.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let reason =
            format!("the newer chart no longer has {lost}{more}; objects that were stored so would be lost");
        ("crds", reason)
    };
    Some(Hold {
        gate,
        reason,
        policy_applied: "comparison of the charts; `propose --component` proposes it all the same".to_owned(),
        until: None,
        is_asked_again: false,
    })
}
