//! Which of the kinds that we know the cluster serves, and in which version.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::ask::{Asker, Failure, Question};
use super::path::Path;
use crate::app::cluster::ErrorClass;
use crate::domain::settle::kind::Kind;

/// All groups with their kinds in one document (KEP-3352; `v2beta1` from Kubernetes 1.26, `v2` from 1.30), else the
/// names of the groups only.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// How a kind is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Service {
    /// In this version, of those that we understand.
    In(&'static str),
    /// Only in versions that we do not understand.
    Strange(Vec<String>),
    /// Not at all.
    Absent,
}

/// `APIGroupDiscoveryList`, or `APIGroupList`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    items: Vec<Group>,
    groups: Vec<NamedGroup>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Group {
    metadata: Named,
    versions: Vec<Version>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NamedGroup {
    name: String,
    versions: Vec<Version>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Version {
    version: String,
    resources: Vec<Resource>,
}

/// `resource` in the one document, `name` in the lists.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource {
    #[serde(alias = "name")]
    resource: String,
}

/// Group → version → plurals.
type Groups = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// How each kind is served. One request, with a server older than Kubernetes 1.26 one more for each version of a group.
pub(super) async fn services(asker: &Asker, kinds: &[Kind]) -> Result<Vec<(Kind, Service)>, Failure> {
    let question = Question { accept: ACCEPT, ..Question::get(Path::fixed("/apis")) };
    let groups = match asker.ask(&question).await {
        Ok(body) => {
            let document: Document = serde_json::from_slice(&body).map_err(|error| {
                Failure::strange(format!("the list of API groups is no such list: {error}"))
            })?;
            read(asker, document, kinds).await?
        }
        // Who may not look is told kind by kind.
        Err(failure) if failure.class == ErrorClass::Denied && failure.code == 403 => {
            return Ok(kinds.iter().map(|kind| (*kind, preferred(*kind))).collect());
        }
        Err(failure) => return Err(failure),
    };
    Ok(kinds.iter().map(|kind| (*kind, service(&groups, *kind))).collect())
}

fn preferred(kind: Kind) -> Service {
    kind.api().versions.first().map_or(Service::Absent, |version| Service::In(version))
}

fn service(groups: &Groups, kind: Kind) -> Service {
    let api = kind.api();
    if api.group.is_empty() {
        // The core group is in no list of groups, and is always there.
        return preferred(kind);
    }
    let Some(versions) = groups.get(api.group) else { return Service::Absent };
    let served: Vec<&String> = versions
        .iter()
        .filter(|(_, plurals)| plurals.contains(api.plural))
        .map(|(version, _)| version)
        .collect();
    let known = api.versions.iter().find(|known| served.iter().any(|version| version == *known));
    match known {
        Some(version) => Service::In(version),
        None if served.is_empty() => Service::Absent,
        None => Service::Strange(served.into_iter().cloned().collect()),
    }
}

async fn read(asker: &Asker, document: Document, kinds: &[Kind]) -> Result<Groups, Failure> {
    let mut groups = Groups::new();
    for group in document.items {
        let versions = groups.entry(group.metadata.name).or_default();
        for version in group.versions {
            let plurals = version.resources.into_iter().map(|resource| resource.resource);
            versions.entry(version.version).or_default().extend(plurals);
        }
    }
    let wanted = |name: &str| kinds.iter().any(|kind| kind.api().group == name);
    for group in document.groups.into_iter().filter(|group| wanted(&group.name)) {
        for version in group.versions {
            let path = Path::fixed("/apis").below(&group.name)?.below(&version.version)?;
            let body = match asker.ask(&Question::get(path)).await {
                Ok(body) => body,
                // A group may be announced whose server is away, or is gone since.
                Err(failure) if failure.class == ErrorClass::NotFound => continue,
                Err(failure) => return Err(failure),
            };
            let list: Version = serde_json::from_slice(&body).map_err(|error| {
                Failure::strange(format!("the list of kinds of `{}` is no such list: {error}", group.name))
            })?;
            let plurals = list.resources.into_iter().map(|resource| resource.resource);
            groups.entry(group.name.clone()).or_default().entry(version.version).or_default().extend(plurals);
        }
    }
    Ok(groups)
}
