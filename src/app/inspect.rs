//! A closer look at chosen targets: where their notes are, which advisories they end, and whether
//! what would be installed is there.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::detect::Learner;
use super::ports::Upstreams;
use crate::domain::advisory::Advisory;
use crate::domain::component::Component;
use crate::domain::notes;
use crate::domain::problem::{Category, Problem};
use crate::domain::report::{Entry, Status};
use crate::domain::upstream::{Answer, Candidate, FailureClass, UpstreamFailure, UpstreamRef};
use crate::rules::Registry;

/// Name of the advisory database, for people.
const DATABASE: &str = "OSV";

/// Where the release notes of a component are, when its own upstream has none (charts, OCI tags).
pub(super) fn notes_of(component: &Component, registry: &Registry) -> Option<UpstreamRef> {
    let published_without = matches!(
        component.upstream,
        Ok(UpstreamRef::HelmChart { .. } | UpstreamRef::Oci { .. } | UpstreamRef::GitTags { .. })
    );
    let rule = registry.rules().iter().find(|rule| rule.owns(component))?;
    let (owner, name) = rule.notes.as_deref().filter(|_| published_without)?.split_once('/')?;
    let host = "github.com".to_owned();
    Some(UpstreamRef::GithubReleases { host, owner: owner.to_owned(), name: name.to_owned() })
}

/// An update worth a closer look.
#[derive(Debug)]
pub(super) struct Target {
    id: String,
    upstream: UpstreamRef,
    /// As the upstream publishes it.
    version: String,
    /// Module and versions for the advisory database.
    module: Option<(String, String, String)>,
}

impl Target {
    /// The target of an entry that is an update; `answer` is what the entry was made from.
    pub(super) fn of(
        component: &Component,
        entry: &Entry,
        registry: &Registry,
        answer: &Answer,
    ) -> Option<Self> {
        if entry.status != Status::UpdateAvailable {
            return None;
        }
        let (from, to) = (entry.current_version.as_deref()?, entry.available_version.as_deref()?);
        let published = |text: &str| {
            let plain = text.trim_start_matches('v');
            let same = |candidate: &&Candidate| candidate.version.trim_start_matches('v') == plain;
            answer.candidates.iter().find(same)
        };
        // Advisories speak of the program; a chart's own number may be that of another release of it.
        let released_as = |text: &str| {
            published(text)
                .and_then(|candidate| candidate.app_version.clone())
                .unwrap_or_else(|| text.to_owned())
        };
        let rule = registry.rules().iter().find(|rule| rule.owns(component));
        let module = rule.and_then(|rule| rule.advisories.clone());
        Some(Self {
            id: component.id.clone(),
            upstream: component.upstream.clone().ok()?,
            module: module.map(|module| (module, released_as(from), released_as(to))),
            version: published(to).map_or_else(|| to.to_owned(), |candidate| candidate.version.clone()),
        })
    }
}

/// Asks what needs a request of its own: advisories of what the cluster runs on, and with `deep` the target;
/// gives back what could not be asked.
pub(super) async fn targets<U: Upstreams>(
    targets: Vec<Target>,
    deep: bool,
    upstreams: &U,
    entries: &mut BTreeMap<String, Entry>,
    learner: &mut dyn Learner,
) -> Vec<Problem> {
    // All at once: the client bounds how many requests are on the way.
    let looks = targets.into_iter().map(|target| async move {
        let advisories = match &target.module {
            Some((module, from, to)) => Some(upstreams.advisories(module, from, to).await),
            None => None,
        };
        let checks = match deep {
            true => Some(upstreams.inspect(&target.upstream, &target.version).await),
            false => None,
        };
        (target.id, advisories, checks)
    });
    let mut unknown: BTreeMap<(Category, String), Vec<String>> = BTreeMap::new();
    for (id, advisories, checks) in join_all(looks).await {
        let Some(entry) = entries.get_mut(&id) else { continue };
        match advisories {
            Some(Ok(found)) => {
                add_advisories(entry, &found);
                learner.advisories(&id, found);
            }
            // Without an answer the notes stand alone: unknown stays unknown. Who wanted `--offline` knows.
            Some(Err(failure)) if failure.class == FailureClass::Offline => {}
            Some(Err(failure)) => {
                unknown.entry((category(&failure), failure.message)).or_default().push(id.clone());
            }
            None => {}
        }
        match checks {
            Some(Ok(checks)) => entry.deep = Some(checks),
            Some(Err(failure)) => {
                entry.warnings.push(format!("the target could not be looked at: {failure}"));
            }
            None => {}
        }
    }
    let told = unknown.into_iter().map(|((category, message), ids)| Problem {
        category,
        file: None,
        line: None,
        upstream: Some(DATABASE.to_owned()),
        message: format!("advisories of {} are not known: {message}", ids.join(", ")),
    });
    told.collect()
}

/// Who has to act where an upstream failed.
pub(super) fn category(failure: &UpstreamFailure) -> Category {
    match failure.class {
        FailureClass::Denied => Category::Authentication,
        FailureClass::RateLimited { .. } => Category::RateLimit,
        FailureClass::Transient
        | FailureClass::Permanent
        | FailureClass::NotFound
        | FailureClass::Offline => Category::Upstream,
    }
}

fn add_advisories(entry: &mut Entry, found: &[Advisory]) {
    let names = found.iter().map(|advisory| advisory.name.clone());
    let known: BTreeSet<String> =
        entry.security_advisories.drain(..).chain(names.filter(|name| notes::is_advisory(name))).collect();
    if !known.is_empty() {
        entry.security_update = Some(true);
    }
    entry.security_advisories = known.into_iter().collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::assess::{self, Settings};
    use crate::domain::component::Given;
    use crate::domain::version::Scheme;

    fn chart(id: &str, kind: &str, name: &str, version: &str) -> Component {
        Component {
            id: id.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: None,
            cluster: None,
            given: Given::Exact(version.to_owned()),
            scheme: Scheme::Semver,
            upstream: Ok(UpstreamRef::HelmChart {
                repository: "https://charts.example.org".to_owned(),
                chart: name.to_owned(),
            }),
            digest: None,
            managed_elsewhere: None,
            tag_prefix: None,
            images: Default::default(),
            warnings: Vec::new(),
            pins: Vec::new(),
        }
    }

    /// A rule that claims one chart and shares its kind with all charts lent its notes to every one of them: an
    /// unrelated chart was called free of security updates.
    #[test]
    fn notes_belong_to_what_a_rule_owns_not_to_its_kind() {
        let rule = "id: mine\ntitle: t\nwhy: w\ncomponent: {id: \"helm/{namespace?}/{name}\", kind: helm, name: \"{name}\"}\nscheme: semver\nnotes: example/mine\nclaims: [{chart: mine}]\n";
        let (registry, problems) = Registry::load([("mine.yaml", rule)]);
        assert_eq!(problems, []);
        let notes = |component: &Component| notes_of(component, &registry).map(|upstream| upstream.name());
        assert_eq!(notes(&chart("helm/a/mine", "helm", "mine", "1.0.0")).as_deref(), Some("example/mine"));
        assert_eq!(notes(&chart("helm/a/demo", "helm", "demo", "1.0.0")), None);
        assert_eq!(
            notes(&chart("staging:longhorn", "longhorn", "longhorn", "1.0.0")).as_deref(),
            Some("longhorn/longhorn")
        );
    }

    #[test]
    fn advisories_are_asked_for_the_program_not_for_the_number_of_its_chart() {
        let (registry, _) = Registry::load([]);
        let component = chart("flux", "flux", "flux2", "2.18.3");
        let candidate = |version: &str, app: &str| Candidate {
            version: version.to_owned(),
            app_version: Some(app.to_owned()),
            ..Candidate::default()
        };
        let answer = Answer {
            candidates: vec![candidate("2.18.3", "2.8.5"), candidate("2.19.0", "2.9.4")],
            ..Answer::default()
        };
        let entry = assess::assess(&component, Ok(&answer), &Settings::default());
        let target = Target::of(&component, &entry, &registry, &answer).unwrap();
        let module = ("github.com/fluxcd/flux2".to_owned(), "2.8.5".to_owned(), "2.9.4".to_owned());
        assert_eq!(target.module, Some(module));
        assert_eq!(target.version, "2.19.0");
    }
}
