//! What a person named and the repository does not have.

use super::detect::DetectRequest;
use crate::domain::component::Component;
use crate::domain::near::near;
use crate::domain::problem::{Category, Problem};

/// A problem for each `--component` that names nothing: an empty report looks like one without updates.
pub(super) fn unknown(components: &[Component], request: &DetectRequest) -> Vec<Problem> {
    let missing = request.components.iter().filter(|selector| {
        !components.iter().any(|component| selector.matches(&component.id, &component.kind))
    });
    missing
        .map(|selector| {
            let ids = components.iter().map(|component| component.id.as_str());
            let next = match near(selector.text(), ids).as_slice() {
                [] => "without `--component` the report lists all ids".to_owned(),
                like => format!("did you mean `{}`?", like.join("` or `")),
            };
            Problem {
                category: Category::Configuration,
                file: None,
                line: None,
                upstream: None,
                message: format!("`--component {}` names nothing that was found; {next}", selector.text()),
            }
        })
        .collect()
}

/// Tells of ids that the configuration has settings for and the repository has not.
///
/// Kinds and patterns are left alone: they are meant for whatever there is.
pub(super) fn warn_of_unused(components: &[Component], request: &DetectRequest) {
    let found = components.iter().map(|component| (component.id.as_str(), component.kind.as_str()));
    let detection = request.config.detection.unused_ids(found.clone());
    for key in detection.into_iter().chain(request.config.policy.unused_ids(found)) {
        tracing::warn!(key, "the configuration names a component that was not found");
    }
}
