//! Whether a step can be reverted, by the rules.

use super::course::Course;
use super::{Revert, RevertSafety};
use crate::domain::component::UpdateType;

/// The class of a step, and the rule that says so.
pub(super) fn revert<'a>(course: &Course<'a>, update: UpdateType) -> (Revert, Option<&'a str>) {
    let component = &course.subject.component;
    let found = course.rules.iter().find_map(|rule| {
        let entry = rule.planning.revert.iter().find(|entry| entry.matches(component, update))?;
        Some((Revert { safety: entry.safety, why: entry.why.clone() }, rule.id.as_str()))
    });
    match found {
        Some((revert, rule)) => (revert, Some(rule)),
        None => {
            let why = "no rule says whether this can be reverted".to_owned();
            (Revert { safety: RevertSafety::Conditional, why }, None)
        }
    }
}
