//! From the file form of a rule to a checked [`Rule`].

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobSetBuilder};

use super::error::{Fault, RuleError};
use super::planning::planning;
use super::quick;
use super::raw::{RawAbsent, RawComponent, RawFormat, RawPin, RawRole, RawRule, RawScope, RawUpstream};
use crate::domain::expression::Expression;
use crate::domain::manifest::keys::Keys;
use crate::domain::manifest::route::Pattern;
use crate::domain::rule::{
    Absent, Claim, ComponentTemplate, Format, PinRule, Role, Rule, RuleExample, Scope, UpstreamTemplate,
    placeholder,
};
use crate::domain::version::Scheme;
use crate::strict;

/// Reads a rule file.
///
/// # Errors
///
/// The first thing that is wrong, with field and line; [`mistakes`] has all.
pub fn parse(text: &str) -> Result<Rule, RuleError> {
    rule(read_any(text)?, false).map_err(|errors| first(errors, text))
}

/// Everything that is wrong with a rule file, in its order; fields are judged when each of them is what it should be.
pub(super) fn mistakes(text: &str) -> Vec<RuleError> {
    match serde_saphyr::from_str(text) {
        Ok(raw) => {
            let errors = rule(raw, false).err().unwrap_or_default();
            let mut errors: Vec<RuleError> = errors.into_iter().map(|error| error.placed_in(text)).collect();
            errors.sort_by_key(|error| error.line);
            errors
        }
        Err(error) => misshapen(text, &error),
    }
}

/// As [`parse`], for a rule that comes with the program: a test has compiled its patterns, and a run
/// compiles those that it uses.
pub(super) fn parse_embedded(text: &str) -> Result<Rule, RuleError> {
    let raw = match quick::read(text) {
        Some(raw) => raw,
        None => read_any(text)?,
    };
    rule(raw, true).map_err(|errors| first(errors, text))
}

/// Reads the file form of any rule.
pub(super) fn read_any(text: &str) -> Result<RawRule, RuleError> {
    // Knowing the place of every field takes as long as reading; only what is wrong is read for it again.
    serde_saphyr::from_str(text).map_err(|error| first(misshapen(text, &error), text))
}

fn first(errors: Vec<RuleError>, text: &str) -> RuleError {
    let first = errors.into_iter().next();
    first.unwrap_or_else(|| RuleError::at("", Fault::Shape("is no rule".to_owned()))).placed_in(text)
}

/// What makes a file no rule; `seen` is what the quick reader stopped at.
fn misshapen(text: &str, seen: &serde_saphyr::Error) -> Vec<RuleError> {
    match strict::read::<RawRule>(text) {
        Err(mistakes) => mistakes
            .into_iter()
            .map(|mistake| RuleError {
                line: Some(mistake.line),
                field: mistake.field,
                fault: Fault::Shape(mistake.message),
            })
            .collect(),
        // What only the quick reader minds.
        Ok(_) => {
            let line = seen.location().map(|location| usize::try_from(location.line()).unwrap_or(usize::MAX));
            let message = seen.to_string().lines().next().unwrap_or_default().to_owned();
            vec![RuleError { line, field: String::new(), fault: Fault::Shape(message) }]
        }
    }
}

/// Keeps what is wrong and goes on.
fn kept<T>(errors: &mut Vec<RuleError>, result: Result<T, RuleError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn rule(raw: RawRule, embedded: bool) -> Result<Rule, Vec<RuleError>> {
    let mut errors = Vec::new();
    kept(&mut errors, kebab(&raw.id, "id"));
    let planning = kept(&mut errors, planning(&raw));
    let of = match (raw.component, raw.scheme) {
        (Some(raw), Some(scheme)) => Ok((component(raw), scheme)),
        (None, None) if raw.pins.is_empty() && raw.claims.is_empty() => {
            Ok((ComponentTemplate::default(), Scheme::Loose))
        }
        (None, _) => Err(choice("component", "is needed where there are `pins` or `claims`, or a `scheme`")),
        (_, None) => Err(choice("scheme", "is needed where there is a `component`")),
    };
    let of = kept(&mut errors, of);
    let mut claims = Vec::new();
    for (at, claim) in raw.claims.into_iter().enumerate() {
        let claim = match (claim.chart, claim.release, claim.oci) {
            (Some(chart), None, None) => Ok(Claim::Chart(chart)),
            (None, Some(release), None) => Ok(Claim::Release(release)),
            (None, None, Some(oci)) => Ok(Claim::Oci(oci)),
            _ => Err(choice(&format!("claims[{at}]"), "name exactly one of `chart`, `release`, `oci`")),
        };
        claims.extend(kept(&mut errors, claim));
    }
    let mut pins = Vec::new();
    for (at, pin) in raw.pins.into_iter().enumerate() {
        // What a pin is read by matters only where there is one.
        let scheme = of.as_ref().map_or(Scheme::Loose, |(_, scheme)| *scheme);
        let Some(pin) = kept(&mut errors, self::pin(at, pin, scheme, embedded)) else { continue };
        if let Some((component, _)) = &of {
            kept(&mut errors, placeholders(at, &pin, component));
        }
        pins.push(pin);
    }
    let examples = raw
        .examples
        .into_iter()
        .map(|example| RuleExample { file: example.file, text: example.text, finds: example.finds })
        .collect();
    match (of, planning) {
        (Some((component, scheme)), Some(planning)) if errors.is_empty() => Ok(Rule {
            id: raw.id,
            title: raw.title,
            why: raw.why,
            references: raw.references,
            component,
            scheme,
            advisories: raw.advisories,
            notes: raw.notes,
            claims,
            pins,
            examples,
            planning,
        }),
        _ => Err(errors),
    }
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

fn pin(position: usize, raw: RawPin, scheme: Scheme, embedded: bool) -> Result<PinRule, RuleError> {
    let id = raw.id;
    let field = |name: &str| format!("pins[{position}].{name}");
    kebab(&id, &field("id"))?;
    let route = |name: &str, text: &str| {
        Pattern::parse(text).map_err(|fault| RuleError::at(field(name), Fault::from(fault)))
    };
    let regex = |name: &str, text: &str| {
        let text = ascii_classes(text);
        if embedded {
            return Ok(Expression::known_good(&text));
        }
        Expression::compiled(&text)
            .map_err(|error| RuleError::at(field(name), Fault::Pattern(error.to_string())))
    };
    let format = match (raw.pattern, raw.format) {
        (Some(pattern), RawFormat::Whole) => {
            let compiled = regex("pattern", &pattern)?;
            if !compiled.names().any(|name| name == "version") {
                return Err(choice(&field("pattern"), "needs a group named `version`"));
            }
            Format::Regex(compiled)
        }
        (Some(_), _) => return Err(choice(&field("pattern"), "goes with no `format`")),
        (None, RawFormat::Whole) => Format::Whole,
        (None, RawFormat::Image) => Format::Image,
        (None, RawFormat::Tag) => Format::Tag,
    };
    let scope = scope(&field("in"), raw.scope)?;
    if matches!(scope, Scope::Lines { .. }) && !matches!(format, Format::Regex(_)) {
        return Err(choice(&field("in.lines"), "needs a `pattern`"));
    }
    if matches!(format, Format::Tag) && !raw.capture.contains_key("repository") {
        return Err(choice(&field("format"), "`tag` needs `repository` under `capture`"));
    }
    let absent = match raw.absent {
        None => None,
        Some(RawAbsent { range: Some(range), nothing: None }) => Some(Absent::Range(range)),
        Some(RawAbsent { range: None, nothing: Some(reason) }) => Some(Absent::Nothing(reason)),
        Some(_) => return Err(choice(&field("absent"), "name exactly one of `range`, `nothing`")),
    };
    let (at, version) = (route("at", &raw.at)?, route("version", &raw.version)?);
    let when: Vec<Pattern> = raw
        .when
        .iter()
        .enumerate()
        .map(|(at, text)| route(&format!("when[{at}]"), text))
        .collect::<Result<_, _>>()?;
    // Without a version there is no pin, unless that means something, or what does not match tells what the
    // object is not.
    let needs_version = absent.is_none() && raw.matches.is_empty();
    let needs = Keys::needed([&at].into_iter().chain(&when).chain(needs_version.then_some(&version)));
    Ok(PinRule {
        scope,
        at,
        version,
        when,
        needs,
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
            .map(|(name, place)| Ok((name.clone(), route(&format!("capture.{name}"), place)?)))
            .collect::<Result<_, RuleError>>()?,
        pulls: raw.pulls,
        role: match raw.role {
            RawRole::Version => Role::Version,
            RawRole::Range => Role::Range,
            RawRole::Channel => Role::Channel,
            RawRole::Commit => Role::Commit,
            RawRole::Digest => Role::Digest,
        },
        applied: raw.applied.unwrap_or(true),
        generated: raw.generated,
        strict: raw.strict.then(|| raw.scheme.unwrap_or(scheme)),
        upstream: upstream(raw.upstream),
        component: raw.component.map(component),
        scheme: raw.scheme,
        id,
    })
}

fn scope(field: &str, raw: RawScope) -> Result<Scope, RuleError> {
    let object = raw.objects || raw.kind.is_some() || raw.group.is_some();
    let chosen = [object, raw.kustomize, raw.values, raw.file.is_some(), !raw.lines.is_empty()];
    if chosen.iter().filter(|chosen| **chosen).count() != 1 {
        return Err(choice(
            field,
            "say exactly one of objects (`kind`, `group`, `objects`), `kustomize`, `values`, `file`, `lines`",
        ));
    }
    if raw.kustomize {
        return Ok(Scope::KustomizeFile);
    }
    if raw.values {
        return Ok(Scope::Values);
    }
    if let Some(file) = raw.file {
        return Ok(Scope::FileName(file));
    }
    if raw.lines.is_empty() {
        return Ok(Scope::Object { group: raw.group, kind: raw.kind, except: raw.except });
    }
    let mut files = GlobSetBuilder::new();
    let wrong = |at: usize, error: globset::Error| {
        RuleError::at(format!("{field}.lines[{at}]"), Fault::Pattern(error.to_string()))
    };
    for (at, pattern) in raw.lines.iter().enumerate() {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        files.add(glob.map_err(|error| wrong(at, error))?);
    }
    Ok(Scope::Lines { files: files.build().map_err(|error| wrong(0, error))?, within: raw.within })
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

/// Refuses templates that name what can never be filled in: such a rule would find nothing, silently.
fn placeholders(at: usize, pin: &PinRule, rule: &ComponentTemplate) -> Result<(), RuleError> {
    let field = |name: &str| format!("pins[{at}].{name}");
    let known = captures(pin);
    let upstream: Vec<(&str, &str)> = match &pin.upstream {
        UpstreamTemplate::K3s => vec![],
        UpstreamTemplate::Image => vec![("type", "{registry}/{repository}")],
        UpstreamTemplate::GithubReleases { repository } | UpstreamTemplate::GithubTags { repository } => {
            vec![("repository", repository)]
        }
        UpstreamTemplate::GitTags { url } | UpstreamTemplate::Oci { url } => vec![("url", url)],
        UpstreamTemplate::Helm { repository, chart } => vec![("repository", repository), ("chart", chart)],
        UpstreamTemplate::FluxSource { chart, kind, name, namespace } => {
            vec![("chart", chart), ("kind", kind), ("name", name), ("namespace", namespace)]
        }
        UpstreamTemplate::FluxChartRef { kind, name, namespace } => {
            vec![("kind", kind), ("name", name), ("namespace", namespace)]
        }
    };
    for (name, template) in upstream {
        filled(&field(&format!("upstream.{name}")), template, &known)?;
    }
    filled(&field("pulls"), pin.pulls.as_deref().unwrap_or_default(), &known)?;
    let (component, prefix) = match &pin.component {
        Some(own) => (own, field("component")),
        None => (rule, "component".to_owned()),
    };
    filled(&format!("{prefix}.id"), &component.id, &known)?;
    filled(&format!("{prefix}.kind"), &component.kind, &known)?;
    filled(&format!("{prefix}.name"), &component.name, &known)
}

/// The names that a pin fills in.
fn captures(pin: &PinRule) -> BTreeSet<&str> {
    let mut known: BTreeSet<&str> = pin.capture.iter().map(|(name, _)| name.as_str()).collect();
    if matches!(pin.scope, Scope::Object { .. }) {
        known.extend(["name", "namespace", "kind"]);
    }
    match &pin.format {
        Format::Whole => {}
        Format::Image | Format::Tag => known.extend(["registry", "repository", "digest"]),
        Format::Regex(regex) => {
            known.extend(regex.names().filter(|name| *name != "version"));
        }
    }
    if known.contains("url") {
        known.extend(["git_host", "git_path"]);
    }
    known
}

fn filled(field: &str, template: &str, known: &BTreeSet<&str>) -> Result<(), RuleError> {
    let mut rest = template;
    while let Some((_, tail)) = rest.split_once('{') {
        let Some((name, after)) = tail.split_once('}') else {
            return Err(RuleError::at(field, Fault::Unclosed(template.to_owned())));
        };
        let (names, _) = placeholder(name);
        if let Some(name) = names.split('|').find(|name| !known.contains(name)) {
            let known = known.iter().map(|&name| name.to_owned()).collect();
            return Err(RuleError::at(field, Fault::Placeholder { name: name.to_owned(), known }));
        }
        rest = after;
    }
    Ok(())
}

fn kebab(id: &str, field: &str) -> Result<(), RuleError> {
    let valid = !id.is_empty()
        && id.len() <= 80
        && id.chars().all(|character| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
        });
    if valid { Ok(()) } else { Err(choice(field, "use lower-case letters, digits and `-`")) }
}

fn choice(field: &str, message: &'static str) -> RuleError {
    RuleError::at(field, Fault::Choice(message))
}

#[cfg(test)]
pub(super) mod tests;
