//! What a person named and the repository does not have.

use super::detect::DetectRequest;
use crate::config::Selector;
use crate::domain::component::Component;
use crate::domain::near::near;
use crate::domain::problem::{Category, Problem};
use crate::telemetry::EVEN_QUIET;

/// A name that nothing has, and the names that are like it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`--component {name}` names nothing that was found; {}", self.next())]
pub struct Unknown {
    /// As it was given.
    pub name: String,
    /// Ids that may have been meant.
    pub like: Vec<String>,
}

impl Unknown {
    fn next(&self) -> String {
        match self.like.as_slice() {
            [] => "`gitops-updater detect -v` lists all ids".to_owned(),
            like => format!("did you mean `{}`?", like.join("` or `")),
        }
    }
}

/// What was named and is not among `components`, which are ids and kinds.
pub fn missing<'a>(
    components: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    selectors: &[Selector],
) -> Vec<Unknown> {
    let is_missing = |selector: &&Selector| !components.clone().any(|(id, kind)| selector.matches(id, kind));
    let like = |selector: &Selector| {
        let ids = components.clone().map(|(id, _)| id);
        near(selector.text(), ids).into_iter().map(str::to_owned).collect()
    };
    let missing = selectors.iter().filter(is_missing);
    missing.map(|selector| Unknown { name: selector.text().to_owned(), like: like(selector) }).collect()
}

/// A problem for each `--component` that names nothing: an empty report looks like one without updates.
pub(super) fn unknown(components: &[Component], request: &DetectRequest) -> Vec<Problem> {
    let ids = components.iter().map(|component| (component.id.as_str(), component.kind.as_str()));
    let unknown = missing(ids, &request.components).into_iter();
    unknown
        .map(|unknown| Problem {
            category: Category::Configuration,
            file: None,
            line: None,
            upstream: None,
            message: unknown.to_string(),
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
        tracing::warn!(target: EVEN_QUIET, key, "the configuration names a component that was not found");
    }
}
