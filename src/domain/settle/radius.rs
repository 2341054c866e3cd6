//! What an update touches: the objects that have its version, what applies them, and what they own.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::super::component::bare_id;
use super::super::resolve::git_place;
use super::commits::commit_of;
use super::finding::{Category, Finding, Severity, Subject};
use super::kind::Kind;
use super::line::Merged;
use super::object::{CrossReference, Detail, InventoryEntry, Object};
use super::readiness::asks_for;
use super::world::World;

/// Namespace and name.
pub(super) type Key = (String, String);

const KUSTOMIZATION_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
const KUSTOMIZATION_NAMESPACE: &str = "kustomize.toolkit.fluxcd.io/namespace";
const RELEASE_NAME: &str = "helm.toolkit.fluxcd.io/name";
const RELEASE_NAMESPACE: &str = "helm.toolkit.fluxcd.io/namespace";

/// Deepest chain of Kustomizations that is followed.
const DEPTH: usize = 8;

/// Kinds of objects that run pods for longer than a Job.
pub(super) const WORKLOADS: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];

/// What an update touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Radius {
    /// Kustomizations that apply it, and those that apply these.
    pub kustomizations: BTreeSet<Key>,
    /// Releases whose chart it is.
    pub releases: BTreeSet<Key>,
    /// Workloads whose image it is.
    pub workloads: BTreeSet<(Kind, String, String)>,
    /// Flux Operator's instances that have the version.
    pub instances: BTreeSet<Key>,
    /// Plans that have the version.
    pub plans: BTreeSet<Key>,
    /// Flux sources whose version it is.
    pub sources: BTreeSet<(Kind, String, String)>,
    /// Kustomizations and releases that are built from these.
    pub built: BTreeSet<(Kind, String, String)>,
}

impl Radius {
    /// Finds it. What was found before stays in it: an object that the update removed is still touched by it.
    pub(super) fn widen(&mut self, world: &World, update: &Merged) {
        self.find_objects(world, update);
        let mut owners: BTreeSet<Key> = BTreeSet::new();
        for (namespace, name) in &self.releases {
            owners.extend(world.get(Kind::HelmRelease, namespace, name).and_then(applied_by));
        }
        for (kind, namespace, name) in &self.workloads {
            owners.extend(world.get(*kind, namespace, name).and_then(applied_by));
        }
        for (namespace, name) in &self.instances {
            owners.extend(world.get(Kind::FluxInstance, namespace, name).and_then(applied_by));
        }
        for (namespace, name) in &self.plans {
            owners.extend(world.get(Kind::Plan, namespace, name).and_then(applied_by));
        }
        for (kind, namespace, name) in &self.sources {
            owners.extend(world.get(*kind, namespace, name).and_then(applied_by));
        }
        if owners.is_empty() && self.kustomizations.is_empty() {
            owners = by_path(world, update);
            // The releases below are what can say more than the Kustomizations themselves.
            for key in &owners {
                let Some(Detail::Kustomization(found)) =
                    world.get(Kind::Kustomization, &key.0, &key.1).map(|object| &object.detail)
                else {
                    continue;
                };
                let releases = found.inventory.iter().filter(|entry| entry.kind == Kind::HelmRelease.name());
                self.releases.extend(releases.filter(|entry| has_version(world, entry, update)).map(key_of));
            }
        }
        // Parents first: what applies a Kustomization may change it.
        let mut level = owners;
        for _ in 0..DEPTH {
            level.retain(|key| !self.kustomizations.contains(key));
            if level.is_empty() {
                break;
            }
            self.kustomizations.extend(level.iter().cloned());
            level = level
                .iter()
                .filter_map(|(namespace, name)| {
                    applied_by(world.get(Kind::Kustomization, namespace, name)?)
                })
                .collect();
        }
        self.built.extend(self.sources.iter().flat_map(|source| built_from(world, source)));
    }

    fn find_objects(&mut self, world: &World, update: &Merged) {
        // Where several clusters are described, the cluster stands before the id.
        let id = bare_id(&update.component);
        let mut parts = id.splitn(3, '/');
        match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            ("helm", Some(namespace), Some(name)) => {
                let releases = world.of(Kind::HelmRelease).filter(|release| {
                    release.meta.name == name && (namespace == "-" || release.meta.namespace == namespace)
                });
                self.releases.extend(releases.map(key));
            }
            ("oci", Some(namespace), Some(name)) => {
                let releases = world.of(Kind::HelmRelease).filter(|release| match &release.detail {
                    Detail::HelmRelease(detail) => detail.chart_ref.as_ref().is_some_and(|chart| {
                        chart.name == name && or(&chart.namespace, &release.meta.namespace) == namespace
                    }),
                    _ => false,
                });
                self.releases.extend(releases.map(key));
                if world.get(Kind::OciRepository, namespace, name).is_some() {
                    self.sources.insert((Kind::OciRepository, namespace.to_owned(), name.to_owned()));
                }
            }
            ("git", Some(host), Some(path)) => {
                let is_it = |source: &&Object| match &source.detail {
                    Detail::Source(detail) => {
                        is_at(&detail.url, host, path)
                            && [&update.from, &update.to]
                                .into_iter()
                                .any(|version| same_version(version, &detail.wants))
                    }
                    _ => false,
                };
                // Another repository may have the same source for itself.
                let is_ours = |source: &&Object| {
                    let parent = applied_by(source)
                        .and_then(|(namespace, name)| world.get(Kind::Kustomization, &namespace, &name));
                    parent.is_none_or(|parent| is_followed(world, update, parent))
                };
                let sources = world.of(Kind::GitRepository).filter(is_it).filter(is_ours).map(key);
                self.sources.extend(sources.map(|(namespace, name)| (Kind::GitRepository, namespace, name)));
            }
            ("image", Some(_), _) => {
                let image = id.trim_start_matches("image/");
                for kind in WORKLOADS {
                    let workloads = world.of(kind).filter(|workload| runs(workload, image));
                    self.workloads.extend(
                        workloads.map(|workload| (kind, workload.meta.namespace.clone(), key(workload).1)),
                    );
                }
            }
            _ if update.kind == "k3s" => {
                let plans = world.of(Kind::Plan).filter(|plan| match &plan.detail {
                    Detail::Plan(plan) => {
                        same_version(&plan.version, &update.to) || same_version(&plan.version, &update.from)
                    }
                    _ => false,
                });
                self.plans.extend(plans.map(key));
            }
            _ if update.kind == "flux" => {
                let instances = world.of(Kind::FluxInstance).filter(|instance| match &instance.detail {
                    Detail::FluxInstance(detail) => {
                        asks_for(detail, &update.from) || asks_for(detail, &update.to)
                    }
                    _ => false,
                });
                self.instances.extend(instances.map(key));
            }
            _ if update.kind == "longhorn" => {
                let releases = world.of(Kind::HelmRelease).filter(
                    |release| matches!(&release.detail, Detail::HelmRelease(detail) if detail.chart == "longhorn"),
                );
                self.releases.extend(releases.map(key));
            }
            _ => {}
        }
    }

    /// Whether the update, merged at a time, can be to blame for a finding.
    pub(super) fn covers(
        &self,
        world: &World,
        update: &Merged,
        merged_at: Option<Timestamp>,
        finding: &Finding,
    ) -> bool {
        use Category::{Applications, Custom, Flux, Infrastructure, Network, Storage};
        // Components below everything else: what ran on them before shall run on them after.
        let reaches = match (update.kind.as_str(), finding.category) {
            ("k3s", Infrastructure | Network | Storage | Custom) => true,
            ("k3s", Applications | Flux) | ("flux", Flux) => was_there(world, &finding.subject, merged_at),
            ("longhorn", Storage) => true,
            _ => false,
        };
        reaches || self.has(world, &finding.subject)
    }

    /// Whether an object is touched.
    pub(super) fn has(&self, world: &World, subject: &Subject) -> bool {
        let here = (subject.namespace.clone(), subject.name.clone());
        let kind = Kind::of_label(&subject.kind);
        let whole = kind.map(|kind| (kind, here.0.clone(), here.1.clone()));
        if whole.is_some_and(|whole| self.sources.contains(&whole) || self.built.contains(&whole)) {
            return true;
        }
        match kind {
            // What the radius' Kustomizations apply beside the update is no part of it: all are below the root.
            Some(Kind::Kustomization) => {
                self.kustomizations.contains(&here) || self.feeds(world, Kind::Kustomization, &here)
            }
            Some(Kind::FluxInstance) => self.instances.contains(&here),
            Some(Kind::HelmRelease) => {
                self.releases.contains(&here) || self.owns(world, Kind::HelmRelease, &here)
            }
            Some(kind) => self.owns(world, kind, &here),
            None => false,
        }
    }

    /// Whether an object comes from what is built from the update's source, by its labels or by an inventory.
    fn feeds(&self, world: &World, kind: Kind, (namespace, name): &Key) -> bool {
        if self.built.is_empty() {
            return false;
        }
        let is_built = |kind: Kind, (namespace, name): Key| self.built.contains(&(kind, namespace, name));
        let object = world.get(kind, namespace, name);
        let is_labelled = object.is_some_and(|object| {
            released_by(object).is_some_and(|release| is_built(Kind::HelmRelease, release))
                || applied_by(object).is_some_and(|parent| is_built(Kind::Kustomization, parent))
        });
        let entry = |entry: &InventoryEntry| {
            entry.kind == kind.name() && entry.name == *name && entry.namespace == *namespace
        };
        is_labelled
            || self.built.iter().any(|(kind, namespace, name)| {
                match world.get(*kind, namespace, name).map(|object| &object.detail) {
                    Some(Detail::HelmRelease(release)) => release.inventory.iter().any(entry),
                    Some(Detail::Kustomization(built)) => built.inventory.iter().any(entry),
                    _ => false,
                }
            })
    }

    /// Whether an object belongs to what is touched, by its labels or by an inventory.
    pub(super) fn owns(&self, world: &World, kind: Kind, (namespace, name): &Key) -> bool {
        if self.workloads.contains(&(kind, namespace.clone(), name.clone()))
            || self.feeds(world, kind, &(namespace.clone(), name.clone()))
        {
            return true;
        }
        if let Some(object) = world.get(kind, namespace, name) {
            if released_by(object).is_some_and(|release| self.releases.contains(&release)) {
                return true;
            }
            // Kustomizations are in for what they apply themselves; a release within has its own name in the radius.
            if self.releases.is_empty()
                && applied_by(object).is_some_and(|parent| self.kustomizations.contains(&parent))
            {
                return true;
            }
        }
        let entry = |entry: &InventoryEntry| {
            entry.kind == kind.name() && entry.name == *name && entry.namespace == *namespace
        };
        self.releases.iter().any(|(namespace, name)| match world.get(Kind::HelmRelease, namespace, name) {
            Some(Object { detail: Detail::HelmRelease(release), .. }) => release.inventory.iter().any(entry),
            _ => false,
        }) || (self.releases.is_empty()
            && self.kustomizations.iter().any(|(namespace, name)| {
                match world.get(Kind::Kustomization, namespace, name) {
                    Some(Object { detail: Detail::Kustomization(parent), .. }) => {
                        parent.inventory.iter().any(entry)
                    }
                    _ => false,
                }
            }))
    }
}

/// Kustomizations and releases that are built from a source.
fn built_from(
    world: &World,
    (kind, namespace, name): &(Kind, String, String),
) -> Vec<(Kind, String, String)> {
    let is_it = |reference: &CrossReference, own: &str| {
        reference.kind == kind.name() && reference.name == *name && or(&reference.namespace, own) == namespace
    };
    let kustomizations = world.of(Kind::Kustomization).filter(|object| match &object.detail {
        Detail::Kustomization(detail) => is_it(&detail.source_ref, &object.meta.namespace),
        _ => false,
    });
    // A chart in a Git repository: the release names the HelmChart, and that its source.
    let releases = world.of(Kind::HelmRelease).filter(|object| {
        let Detail::HelmRelease(detail) = &object.detail else { return false };
        let chart = detail
            .helm_chart
            .split_once('/')
            .and_then(|(namespace, name)| world.get(Kind::HelmChart, namespace, name));
        match chart.map(|chart| (&chart.detail, &chart.meta.namespace)) {
            Some((Detail::Source(chart), own)) => {
                chart.source_ref.as_ref().is_some_and(|reference| is_it(reference, own))
            }
            _ => false,
        }
    });
    let whole = |object: &Object| (object.kind, object.meta.namespace.clone(), object.meta.name.clone());
    kustomizations.chain(releases).map(whole).collect()
}

/// Whether a URL is that of a repository, by whatever scheme.
fn is_at(url: &str, host: &str, path: &str) -> bool {
    git_place(url).is_some_and(|(its_host, its_path)| {
        its_host.eq_ignore_ascii_case(host) && its_path.eq_ignore_ascii_case(path)
    })
}

/// Whether an object is older than the merge: what came later came with something else.
fn was_there(world: &World, subject: &Subject, merged_at: Option<Timestamp>) -> bool {
    let made = Kind::of_label(&subject.kind)
        .and_then(|kind| world.get(kind, &subject.namespace, &subject.name))
        .and_then(|object| object.meta.creation_timestamp);
    matches!((made, merged_at), (Some(made), Some(merged)) if made < merged)
}

/// The Kustomization that applied an object.
pub(super) fn applied_by(object: &Object) -> Option<Key> {
    let name = object.meta.labels.get(KUSTOMIZATION_NAME)?;
    let namespace = object.meta.labels.get(KUSTOMIZATION_NAMESPACE)?;
    Some((namespace.clone(), name.clone()))
}

/// The release that an object is of.
pub(super) fn released_by(object: &Object) -> Option<Key> {
    let name = object.meta.labels.get(RELEASE_NAME)?;
    let namespace = object.meta.labels.get(RELEASE_NAMESPACE)?;
    Some((namespace.clone(), name.clone()))
}

/// Kustomizations of the followed branch whose folder has the files; all of them where no folder has.
fn by_path(world: &World, update: &Merged) -> BTreeSet<Key> {
    let followed: Vec<&Object> = world
        .of(Kind::Kustomization)
        .filter(|kustomization| is_followed(world, update, kustomization))
        .collect();
    let mut found = BTreeSet::new();
    for file in &update.files {
        let depth = |object: &Object| match &object.detail {
            Detail::Kustomization(detail) if is_below(file, &detail.path) => Some(detail.path.len()),
            _ => None,
        };
        let deepest = followed.iter().filter_map(|object| depth(object)).max();
        if deepest.is_some() {
            found.extend(followed.iter().filter(|object| depth(object) == deepest).map(|object| key(object)));
        }
    }
    if found.is_empty() { followed.into_iter().map(key).collect() } else { found }
}

/// Whether a file is in a folder; the empty one is the root.
pub(super) fn is_below(file: &str, folder: &str) -> bool {
    folder.is_empty() || file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a Kustomization follows the branch whose commits are seen, or is where the update began.
fn is_followed(world: &World, update: &Merged, kustomization: &Object) -> bool {
    let Detail::Kustomization(detail) = &kustomization.detail else { return false };
    let seen = |revision: &str| {
        commit_of(revision).is_some_and(|commit| world.commit(commit).is_some() || update.base == commit)
    };
    if [&detail.last_applied, &detail.last_attempted, &detail.last_applied_origin]
        .into_iter()
        .any(|it| seen(it))
    {
        return true;
    }
    let namespace = or(&detail.source_ref.namespace, &kustomization.meta.namespace);
    match world.get(Kind::GitRepository, namespace, &detail.source_ref.name) {
        Some(Object { detail: Detail::Source(source), .. }) => {
            source.artifact.as_ref().is_some_and(|artifact| seen(&artifact.revision))
        }
        _ => false,
    }
}

fn has_version(world: &World, entry: &InventoryEntry, update: &Merged) -> bool {
    match world.get(Kind::HelmRelease, &entry.namespace, &entry.name).map(|release| &release.detail) {
        Some(Detail::HelmRelease(release)) => {
            [&update.from, &update.to].into_iter().any(|version| same_version(version, &release.version))
        }
        _ => false,
    }
}

/// Whether a workload runs an image, however its registry is written.
fn runs(workload: &Object, image: &str) -> bool {
    let Detail::Workload(detail) = &workload.detail else { return false };
    let short = image.trim_start_matches("docker.io/").trim_start_matches("library/");
    detail.template.images.iter().any(|full| {
        let of = |name: &str| {
            full.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
        };
        of(image) || (short != image && (of(short) || of(&format!("docker.io/{short}"))))
    })
}

/// Versions as they are written in different places: with or without `v`, `+` or `-` or `_` before the build.
pub(super) fn same_version(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.trim_start_matches('v').replace(['+', '_'], "-");
    !one.is_empty() && plain(one) == plain(other)
}

/// Whether a finding is dangerous for the whole cluster.
pub(super) fn is_critical(finding: &Finding) -> bool {
    finding.severity == Severity::Critical
}

pub(super) fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

pub(super) fn key(object: &Object) -> Key {
    (object.meta.namespace.clone(), object.meta.name.clone())
}

fn key_of(entry: &InventoryEntry) -> Key {
    (entry.namespace.clone(), entry.name.clone())
}
