//! The file form of a rule, and its way to a checked [`Rule`].

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobSetBuilder};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::manifest::route::{Pattern, PatternError};
use crate::domain::rule::{
    Absent, Claim, ComponentTemplate, Format, PinRule, Role, Rule, RuleExample, Scope, UpstreamTemplate,
};
use crate::domain::version::Scheme;

/// Larger compiled expressions than any rule needs are refused.
const MAX_REGEX: usize = 1 << 20;

/// One rule file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    /// Stable id in kebab-case; a file with the id of an embedded rule replaces it.
    id: String,
    /// One line for people.
    title: String,
    /// Why versions are found and judged like this.
    why: String,
    /// Documentation of the fields that the rule reads.
    #[serde(default)]
    references: Vec<String>,
    /// The component that a found version belongs to.
    component: RawComponent,
    /// Order and grammar of the versions.
    scheme: Scheme,
    /// Go module by which advisories name it.
    advisories: Option<String>,
    /// What other rules find that belongs to this component.
    #[serde(default)]
    claims: Vec<RawClaim>,
    /// Where versions live.
    #[serde(default)]
    pins: Vec<RawPin>,
    /// Manifests with the pins that must be found in them.
    #[serde(default)]
    examples: Vec<RawExample>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawComponent {
    /// Such as `helm/{namespace?}/{name}`.
    id: String,
    /// Such as `helm`.
    kind: String,
    /// Such as `{name}`.
    name: String,
}

/// Exactly one of the keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawClaim {
    /// Name of a Helm chart.
    chart: Option<String>,
    /// `owner/name` on GitHub, as annotations name it.
    release: Option<String>,
    /// `host/path` of an OCI repository.
    oci: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawPin {
    /// Stable id in kebab-case, shown with every pin.
    id: String,
    /// Which documents.
    #[serde(rename = "in")]
    scope: RawScope,
    /// Nodes that hold a version, seen from the object; default: the object.
    #[serde(default)]
    at: String,
    /// The scalar with the version, seen from `at` (or from the object, with a leading `/`).
    #[serde(default)]
    version: String,
    /// Nodes that must exist.
    #[serde(default)]
    when: Vec<String>,
    /// Scalars that must match a regular expression.
    #[serde(default)]
    matches: BTreeMap<String, String>,
    /// `whole` (default), `image`, or `tag` (the repository stands beside it).
    #[serde(default)]
    format: RawFormat,
    /// Regular expression with the group `version`; other named groups are captures.
    pattern: Option<String>,
    /// What a missing version means; without it a missing version is no pin.
    absent: Option<RawAbsent>,
    /// Scalars to remember, by name.
    #[serde(default)]
    capture: BTreeMap<String, String>,
    /// `version` (default), `range`, `channel`, `commit` or `digest`.
    #[serde(default)]
    role: RawRole,
    /// Whether Flux applies the value from here; default `true`.
    applied: Option<bool>,
    /// The whole file is generated, and no other rule looks into it; default `false`.
    #[serde(default)]
    generated: bool,
    /// Only texts that the scheme understands are pins; default `false`.
    #[serde(default)]
    strict: bool,
    /// Who publishes newer versions.
    upstream: RawUpstream,
    /// Overrides the rule's component.
    component: Option<RawComponent>,
    /// Overrides the rule's scheme.
    scheme: Option<Scheme>,
}

/// Objects (`group`, `kind`, `except`), or one of `kustomize`, `file`, `lines`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawScope {
    /// API group without version, `""` for the core group.
    group: Option<String>,
    /// Kind of the object.
    kind: Option<String>,
    /// Kinds left out where no `kind` is given.
    #[serde(default)]
    except: Vec<String>,
    /// Any Kubernetes object.
    #[serde(default)]
    objects: bool,
    /// Kustomize's own files.
    #[serde(default)]
    kustomize: bool,
    /// Files of this name.
    file: Option<String>,
    /// Lines of files whose path matches one of these patterns.
    #[serde(default)]
    lines: Vec<String>,
    /// With `lines`: only this many bytes from the start of the file.
    within: Option<usize>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RawFormat {
    #[default]
    Whole,
    Image,
    Tag,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RawRole {
    #[default]
    Version,
    Range,
    Channel,
    Commit,
    Digest,
}

/// Exactly one of the keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawAbsent {
    /// The newest of this range is installed.
    range: Option<String>,
    /// Git does not say; the reason for people.
    nothing: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum RawUpstream {
    /// k3s releases and channels.
    K3s {},
    /// Releases on GitHub.
    GithubReleases { repository: String },
    /// Tags on GitHub.
    GithubTags { repository: String },
    /// Tags of the Git repository at a URL.
    GitTags { url: String },
    /// A chart of a repository given by its URL.
    Helm { repository: String, chart: String },
    /// A chart in a Flux source.
    FluxSource { chart: String, kind: String, name: String, namespace: String },
    /// A Flux object that carries the chart.
    FluxChartRef { kind: String, name: String, namespace: String },
    /// Tags of an OCI repository.
    Oci { url: String },
    /// Tags of the image's repository.
    Image {},
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawExample {
    /// Path of the file.
    file: String,
    /// Its text.
    text: String,
    /// Pin id → the text that must be found.
    finds: BTreeMap<String, String>,
}

/// Why a rule file is refused.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It is no rule file.
    #[error("cannot read the rule: {0}")]
    Syntax(String),
    /// A route pattern is wrong.
    #[error("`{field}`: {source}")]
    Route {
        /// Pin id and field.
        field: String,
        /// Why.
        source: PatternError,
    },
    /// A regular expression or path pattern is wrong.
    #[error("`{field}`: {message}")]
    Pattern {
        /// Pin id and field.
        field: String,
        /// Why.
        message: String,
    },
    /// Fields that exclude each other, or none of those needed.
    #[error("`{field}`: {message}")]
    Choice {
        /// Rule or pin id and field.
        field: String,
        /// What to do.
        message: &'static str,
    },
}

pub(super) fn parse(text: &str) -> Result<Rule, RuleError> {
    let raw: RawRule = serde_saphyr::from_str(text).map_err(|error| RuleError::Syntax(error.to_string()))?;
    rule(raw)
}

fn rule(raw: RawRule) -> Result<Rule, RuleError> {
    kebab(&raw.id, "id")?;
    let claims = raw
        .claims
        .into_iter()
        .map(|claim| match (claim.chart, claim.release, claim.oci) {
            (Some(chart), None, None) => Ok(Claim::Chart(chart)),
            (None, Some(release), None) => Ok(Claim::Release(release)),
            (None, None, Some(oci)) => Ok(Claim::Oci(oci)),
            _ => Err(choice(&raw.id, "claims", "name exactly one of `chart`, `release`, `oci`")),
        })
        .collect::<Result<_, _>>()?;
    let pins = raw.pins.into_iter().map(pin).collect::<Result<_, _>>()?;
    let examples = raw
        .examples
        .into_iter()
        .map(|example| RuleExample { file: example.file, text: example.text, finds: example.finds })
        .collect();
    Ok(Rule {
        id: raw.id,
        title: raw.title,
        why: raw.why,
        references: raw.references,
        component: component(raw.component),
        scheme: raw.scheme,
        advisories: raw.advisories,
        claims,
        pins,
        examples,
    })
}

/// The pattern with `\d`, `\w` and `\s` as ASCII: versions and names are, and with the tables of Unicode
/// every pattern takes a millisecond to compile, in every run.
fn ascii_classes(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match rest.next() {
            Some('d') => plain.push_str("[0-9]"),
            Some('w') => plain.push_str("[0-9A-Za-z_]"),
            Some('s') => plain.push_str("[ \\t\\n\\r\\x0b\\x0c]"),
            escaped => plain.extend(['\\'].into_iter().chain(escaped)),
        }
    }
    plain
}

fn pin(raw: RawPin) -> Result<PinRule, RuleError> {
    let id = raw.id;
    kebab(&id, "pins.id")?;
    let route = |field: &str, text: &str| {
        Pattern::parse(text).map_err(|source| RuleError::Route { field: format!("{id}.{field}"), source })
    };
    let regex = |field: &str, text: &str| {
        let plain = ascii_classes(text);
        regex::RegexBuilder::new(&plain).size_limit(MAX_REGEX).build().map_err(|error| RuleError::Pattern {
            field: format!("{id}.{field}"),
            message: error.to_string(),
        })
    };
    let format = match (raw.pattern, raw.format) {
        (Some(pattern), RawFormat::Whole) => {
            let compiled = regex("pattern", &pattern)?;
            if !compiled.capture_names().flatten().any(|name| name == "version") {
                return Err(choice(&id, "pattern", "needs a group named `version`"));
            }
            Format::Regex(compiled)
        }
        (Some(_), _) => return Err(choice(&id, "pattern", "goes with no `format`")),
        (None, RawFormat::Whole) => Format::Whole,
        (None, RawFormat::Image) => Format::Image,
        (None, RawFormat::Tag) => Format::Tag,
    };
    let scope = scope(&id, raw.scope)?;
    if matches!(scope, Scope::Lines { .. }) != matches!(format, Format::Regex(_))
        && matches!(scope, Scope::Lines { .. })
    {
        return Err(choice(&id, "in.lines", "needs a `pattern`"));
    }
    let absent = match raw.absent {
        None => None,
        Some(RawAbsent { range: Some(range), nothing: None }) => Some(Absent::Range(range)),
        Some(RawAbsent { range: None, nothing: Some(reason) }) => Some(Absent::Nothing(reason)),
        Some(_) => return Err(choice(&id, "absent", "name exactly one of `range`, `nothing`")),
    };
    Ok(PinRule {
        scope,
        at: route("at", &raw.at)?,
        version: route("version", &raw.version)?,
        when: raw.when.iter().map(|text| route("when", text)).collect::<Result<_, _>>()?,
        matches: raw
            .matches
            .iter()
            .map(|(place, pattern)| Ok((route("matches", place)?, regex("matches", pattern)?)))
            .collect::<Result<_, RuleError>>()?,
        format,
        absent,
        capture: raw
            .capture
            .iter()
            .map(|(name, place)| Ok((name.clone(), route("capture", place)?)))
            .collect::<Result<_, RuleError>>()?,
        role: match raw.role {
            RawRole::Version => Role::Version,
            RawRole::Range => Role::Range,
            RawRole::Channel => Role::Channel,
            RawRole::Commit => Role::Commit,
            RawRole::Digest => Role::Digest,
        },
        applied: raw.applied.unwrap_or(true),
        generated: raw.generated,
        strict: raw.strict,
        upstream: upstream(raw.upstream),
        component: raw.component.map(component),
        scheme: raw.scheme,
        id,
    })
}

fn scope(id: &str, raw: RawScope) -> Result<Scope, RuleError> {
    let object = raw.objects || raw.kind.is_some() || raw.group.is_some();
    let chosen = [object, raw.kustomize, raw.file.is_some(), !raw.lines.is_empty()];
    if chosen.iter().filter(|chosen| **chosen).count() != 1 {
        return Err(choice(
            id,
            "in",
            "say exactly one of objects (`kind`, `group`, `objects`), `kustomize`, `file`, `lines`",
        ));
    }
    if raw.kustomize {
        return Ok(Scope::KustomizeFile);
    }
    if let Some(file) = raw.file {
        return Ok(Scope::FileName(file));
    }
    if raw.lines.is_empty() {
        return Ok(Scope::Object { group: raw.group, kind: raw.kind, except: raw.except });
    }
    let mut files = GlobSetBuilder::new();
    let wrong = |error: globset::Error| RuleError::Pattern {
        field: format!("{id}.in.lines"),
        message: error.to_string(),
    };
    for pattern in &raw.lines {
        files.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(wrong)?);
    }
    Ok(Scope::Lines { files: files.build().map_err(wrong)?, within: raw.within })
}

fn upstream(raw: RawUpstream) -> UpstreamTemplate {
    match raw {
        RawUpstream::K3s {} => UpstreamTemplate::K3s,
        RawUpstream::GithubReleases { repository } => UpstreamTemplate::GithubReleases { repository },
        RawUpstream::GithubTags { repository } => UpstreamTemplate::GithubTags { repository },
        RawUpstream::GitTags { url } => UpstreamTemplate::GitTags { url },
        RawUpstream::Helm { repository, chart } => UpstreamTemplate::Helm { repository, chart },
        RawUpstream::FluxSource { chart, kind, name, namespace } => {
            UpstreamTemplate::FluxSource { chart, kind, name, namespace }
        }
        RawUpstream::FluxChartRef { kind, name, namespace } => {
            UpstreamTemplate::FluxChartRef { kind, name, namespace }
        }
        RawUpstream::Oci { url } => UpstreamTemplate::Oci { url },
        RawUpstream::Image {} => UpstreamTemplate::Image,
    }
}

fn component(raw: RawComponent) -> ComponentTemplate {
    ComponentTemplate { id: raw.id, kind: raw.kind, name: raw.name }
}

fn kebab(id: &str, field: &str) -> Result<(), RuleError> {
    let valid = !id.is_empty()
        && id.len() <= 80
        && id.chars().all(|character| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
        });
    if valid { Ok(()) } else { Err(choice(id, field, "use lower-case letters, digits and `-`")) }
}

fn choice(id: &str, field: &str, message: &'static str) -> RuleError {
    RuleError::Choice { field: format!("{id}.{field}"), message }
}
