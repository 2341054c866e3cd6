//! What a rule says, checked and ready to be applied: where versions live and who publishes newer ones.
//!
//! Rules are data (`rules/*.yaml`); their file form is read elsewhere. `rules/README.md` documents the fields.

pub mod health;
pub mod planning;

use std::collections::BTreeMap;

use super::component::{Component, bare_id};
use super::expression::Expression;
use super::manifest::keys::Keys;
use super::manifest::route::Pattern;
use super::upstream::UpstreamRef;
use super::version::Scheme;
use planning::Planning;

/// One rule file: a kind of component and the places of its versions.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Stable, kebab-case.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// Why it is done like this.
    pub why: String,
    /// Documentation of the fields that the rule reads.
    pub references: Vec<String>,
    /// Manifests with the pins that are found in them.
    pub examples: Vec<RuleExample>,
    /// The component that a found version belongs to; empty where the rule has neither pins nor claims.
    pub component: ComponentTemplate,
    /// Order and grammar of the versions.
    pub scheme: Scheme,
    /// Where versions live.
    pub pins: Vec<PinRule>,
    /// What found by other rules belongs to this component.
    pub claims: Vec<Claim>,
    /// Go module by which advisories name it (`github.com/k3s-io/k3s`).
    pub advisories: Option<String>,
    /// `owner/name` on GitHub whose releases have the notes, where versions are published without any.
    pub notes: Option<String>,
    /// How its components are moved.
    pub planning: Planning,
}

impl Rule {
    /// Whether the rule claims what is published there.
    pub fn claims_what_is_at(&self, upstream: &UpstreamRef) -> bool {
        self.claims.iter().any(|claim| match (claim, upstream) {
            (Claim::Chart(wanted), UpstreamRef::HelmChart { chart, .. }) => wanted == chart,
            (Claim::Chart(wanted), UpstreamRef::Oci { repository, chart: true, .. }) => {
                repository.rsplit('/').next() == Some(wanted)
            }
            (Claim::Oci(wanted), UpstreamRef::Oci { registry, repository, .. }) => {
                *wanted == format!("{registry}/{repository}")
            }
            (
                Claim::Release(wanted),
                UpstreamRef::GithubReleases { owner, name, .. } | UpstreamRef::GithubTags { owner, name, .. },
            ) => *wanted == format!("{owner}/{name}"),
            _ => false,
        })
    }

    /// Whether a component is the rule's own: of its id, where that is fixed, or of what it claims.
    ///
    /// The kind alone says nothing: rules may share one.
    pub fn owns(&self, component: &Component) -> bool {
        // The name of a cluster may stand before an id, and what tells namesakes apart behind it.
        let id = bare_id(&component.id);
        let fixed = !self.component.id.contains('{') && self.component.id == id;
        fixed || component.upstream.as_ref().is_ok_and(|upstream| self.claims_what_is_at(upstream))
    }

    /// Whether what the rule says about moving holds for a component: it is the rule's own, the rule names its
    /// chart or image, or one of the rule's pins holds its version.
    pub fn moves(&self, component: &Component) -> bool {
        let found = || {
            let mut applied = component.pins.iter().filter(|pin| pin.applied);
            applied.any(|pin| self.pins.iter().any(|own| own.id == pin.rule))
        };
        self.owns(component) || self.planning.about.names(component) || found()
    }
}

/// A manifest that shows a rule at work; also its test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExample {
    /// Path of the file.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Pin id → the text that is found.
    pub finds: BTreeMap<String, String>,
}

/// Id, kind and name of a component; `{capture}` is filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentTemplate {
    /// Such as `helm/{namespace}/{name}`.
    pub id: String,
    /// Such as `helm`.
    pub kind: String,
    /// Such as `{name}`.
    pub name: String,
}

/// Makes what another rule found part of this rule's component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// A Helm chart of this name.
    Chart(String),
    /// Releases or tags of this GitHub repository (`owner/name`), named by an annotation.
    Release(String),
    /// An OCI repository (`ghcr.io/fluxcd/flux-manifests`).
    Oci(String),
}

/// Which documents a [`PinRule`] looks at.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Kubernetes objects of a group (`""` = core, `None` = any) and kind (`None` = any not in `except`).
    Object {
        /// API group without version.
        group: Option<String>,
        /// Kind.
        kind: Option<String>,
        /// Kinds that are left out when `kind` is `None`.
        except: Vec<String>,
    },
    /// Kustomize's own files (`kustomization.yaml`), components too.
    KustomizeFile,
    /// Documents of files with this name (`Chart.yaml`).
    FileName(String),
    /// Values of charts: files that a Kustomize file names or that stand beside a `Chart.yaml`, and
    /// `*values.yaml` in ConfigMaps.
    Values,
    /// Lines of text, in files of any form whose path matches.
    Lines {
        /// Path pattern; `*` and `**` as in `.gitignore`.
        files: globset::GlobSet,
        /// Only this many bytes from the start of the file; `None` = all.
        within: Option<usize>,
    },
}

impl Scope {
    /// Whether objects of a group and kind are looked at.
    pub fn holds(&self, group: &str, kind: &str) -> bool {
        let Self::Object { group: wanted_group, kind: wanted_kind, except } = self else { return false };
        wanted_group.as_ref().is_none_or(|wanted| wanted == group)
            && wanted_kind
                .as_ref()
                .map_or_else(|| !except.iter().any(|left_out| left_out == kind), |wanted| wanted == kind)
    }
}

/// How the version stands in its scalar.
#[derive(Debug, Clone)]
pub enum Format {
    /// The scalar is the version.
    Whole,
    /// An image reference; captures `registry`, `repository`, `digest`.
    Image,
    /// The tag of an image whose repository stands beside it; a digest may follow.
    Tag,
    /// The group `version` of a regular expression; its other named groups are captures.
    Regex(Expression),
}

/// One place where versions live.
#[derive(Debug, Clone)]
pub struct PinRule {
    /// Stable id, shown with every pin.
    pub id: String,
    /// Which documents.
    pub scope: Scope,
    /// The nodes that hold a version, seen from the object.
    pub at: Pattern,
    /// The scalar with the version, seen from `at`.
    pub version: Pattern,
    /// Nodes that must exist, seen from `at` or absolute.
    pub when: Vec<Pattern>,
    /// Keys that a document must have somewhere to be of any interest here.
    pub needs: Keys,
    /// Scalars that must match.
    pub matches: Vec<(Pattern, Expression)>,
    /// How the version stands in its scalar.
    pub format: Format,
    /// What it means when there is no version.
    pub absent: Option<Absent>,
    /// Scalars to remember, by name.
    pub capture: Vec<(String, Pattern)>,
    /// Image that is pulled to install the version; `{capture}` is filled in.
    pub pulls: Option<String>,
    /// What the text is.
    pub role: Role,
    /// Whether Flux applies the value from here.
    pub applied: bool,
    /// The whole file is generated: no other rule looks into it.
    pub generated: bool,
    /// Only texts that this scheme understands are pins.
    pub strict: Option<Scheme>,
    /// Who publishes newer versions.
    pub upstream: UpstreamTemplate,
    /// Overrides [`Rule::component`].
    pub component: Option<ComponentTemplate>,
    /// Overrides [`Rule::scheme`].
    pub scheme: Option<Scheme>,
}

/// What a missing version means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// The newest is taken, which is this range.
    Range(String),
    /// Nothing says; the reason for people.
    Nothing(String),
}

/// What the text at a pin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An exact version, or a range where the field takes ranges.
    Version,
    /// Always a range.
    Range,
    /// The name or URL of a channel.
    Channel,
    /// A commit id.
    Commit,
    /// A digest, no version.
    Digest,
}

/// Who publishes newer versions; `{capture}` is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamTemplate {
    /// k3s releases, with `{channel}` from the pin when its role is a channel.
    K3s,
    /// Releases on GitHub.
    GithubReleases {
        /// `owner/name`.
        repository: String,
    },
    /// Tags on GitHub.
    GithubTags {
        /// `owner/name`.
        repository: String,
    },
    /// Tags of the Git repository at a URL.
    GitTags {
        /// Clone URL.
        url: String,
    },
    /// A chart of a repository given by its URL, `https://` or `oci://`.
    Helm {
        /// URL of the repository.
        repository: String,
        /// Chart name; a whole `oci://` or archive URL where the repository is empty.
        chart: String,
    },
    /// A chart in a Flux source: HelmRepository, GitRepository or Bucket.
    FluxSource {
        /// Chart name or path.
        chart: String,
        /// Kind of the source.
        kind: String,
        /// Name of the source.
        name: String,
        /// Namespace of the source; the object's own where empty.
        namespace: String,
    },
    /// A Flux object that carries the chart: OCIRepository or HelmChart.
    FluxChartRef {
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// Namespace of the object; the release's own where empty.
        namespace: String,
    },
    /// Tags of an OCI repository (`oci://host/path` or `host/path`).
    Oci {
        /// URL.
        url: String,
    },
    /// Tags of the image's repository.
    Image,
}

/// Fills `{name}` in a template; `None` when a capture is missing. `{name?}` is `-` when missing, and
/// `{name|other}` is the first of them that is there.
pub fn fill(template: &str, captures: &BTreeMap<String, String>) -> Option<String> {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        let close = rest[open..].find('}')? + open;
        let (names, optional) = placeholder(&rest[open + 1..close]);
        match names.split('|').find_map(|name| captures.get(name)) {
            Some(value) => filled.push_str(value),
            None if optional => filled.push('-'),
            None => return None,
        }
        rest = &rest[close + 1..];
    }
    filled.push_str(rest);
    Some(filled)
}

/// The names in a placeholder's braces, separated by `|`, and whether it may stay empty.
pub(crate) fn placeholder(inside: &str) -> (&str, bool) {
    inside.strip_suffix('?').map_or((inside, false), |names| (names, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_or_missing() {
        let captures = BTreeMap::from([("name".to_owned(), "podinfo".to_owned())]);
        assert_eq!(fill("helm/{namespace?}/{name}", &captures).as_deref(), Some("helm/-/podinfo"));
        assert_eq!(fill("{namespace}", &captures), None);
        assert_eq!(fill("{release|name}", &captures).as_deref(), Some("podinfo"));
        assert_eq!(fill("{release|namespace?}", &captures).as_deref(), Some("-"));
        assert_eq!(fill("{unclosed", &captures), None);
        assert_eq!(fill("plain", &captures).as_deref(), Some("plain"));
    }
}
