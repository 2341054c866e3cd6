//! What a person should know about the current version, the chart and the target.

use super::Selection;
use super::known::Known;
use crate::domain::upstream::{Answer, Candidate};
use crate::domain::version::Version;

pub(super) fn warn_about_current(
    selection: &mut Selection<'_>,
    text: &str,
    current: &Version,
    known: &[Known<'_>],
    newest: &Known<'_>,
    answer: &Answer,
) {
    let is_higher = known.iter().any(|known| known.version > *current);
    let is_lower = known.iter().any(|known| known.version < *current);
    match selection.current {
        Some(Candidate { unusable: Some(reason), .. }) => {
            selection
                .warnings
                .push(format!("the installed version `{text}` cannot be installed any more: {reason}"));
        }
        Some(_) => {}
        None if !is_higher => selection.warnings.push(format!(
            "the installed version `{text}` is newer than every published one (newest: `{}`)",
            newest.candidate.version
        )),
        // A list that begins above the current version, or was cut off, says nothing about it.
        None if is_lower && answer.notes.is_empty() => selection.warnings.push(format!(
            "the upstream does not list the installed version `{text}`: it was withdrawn or never published"
        )),
        None => {}
    }
}

/// Helm: a chart is deprecated when its newest version says so.
pub(super) fn warn_about_deprecation(selection: &mut Selection<'_>, newest: &Known<'_>) {
    if newest.candidate.deprecated {
        let version = &newest.candidate.version;
        selection.warnings.push(format!("the chart is deprecated: its newest version `{version}` says so"));
    }
}

pub(super) fn warn_about_dates(selection: &mut Selection<'_>, target: &Candidate) {
    if let Some(current) = selection.current
        && let (Some(before), Some(after)) = (current.released_at, target.released_at)
        && after < before
    {
        let day = |time: jiff::Timestamp| time.strftime("%Y-%m-%d").to_string();
        selection.warnings.push(format!(
            "`{}` was released on {}, before the lower `{}` on {}",
            target.version,
            day(after),
            current.version,
            day(before)
        ));
    }
}
