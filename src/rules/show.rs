//! How a person and a script see rules.

use serde_json::{Value, json};

use super::compile::read_any;
use super::raw::{RawAbsent, RawClaim, RawFormat, RawPin, RawRole, RawRule, RawScope, RawUpstream};
use super::registry::{Registry, Source};
use super::show_planning::planning;
use crate::domain::notes::is_unprintable;
use crate::domain::rule::Rule;

/// Version of the list's shape.
const LIST_SCHEMA: &str = "gitops-updater/rules/v1";
/// Columns of text.
const WIDTH: usize = 80;

impl Registry {
    /// The rules, one below the other, as text.
    pub fn list_text(&self) -> String {
        let width = self.rules().iter().map(|rule| rule.id.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (rule, source) in self.with_sources() {
            paragraph(&mut text, &format!("{:width$}  ", rule.id), width + 2, &rule.title);
            if !source.embedded {
                paragraph(&mut text, &" ".repeat(width + 2), width + 2, &origin(source));
            }
        }
        printable(&text)
    }

    /// The rules with their places, for scripts.
    pub fn list_data(&self) -> Value {
        let rules: Vec<Value> = self
            .with_sources()
            .map(|(rule, source)| {
                json!({
                    "id": rule.id,
                    "title": rule.title,
                    "file": source.file,
                    "embedded": source.embedded,
                    "replaces_embedded": source.replaces,
                    "pins": rule.pins.iter().map(|pin| &pin.id).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({ "schema": LIST_SCHEMA, "rules": rules })
    }

    /// Everything that a person wants to know of a rule; `None` where there is none of this id.
    pub fn show_text(&self, id: &str) -> Option<String> {
        let (rule, source) = self.find(id)?;
        let raw = read_any(&source.text).ok()?;
        Some(printable(&text(rule, &raw, source)))
    }

    /// A rule as its file has it, for scripts.
    pub fn show_data(&self, id: &str) -> Option<Value> {
        let (_, source) = self.find(id)?;
        serde_json::to_value(read_any(&source.text).ok()?).ok()
    }

    /// A rule's file, ready to be changed and put into a repository.
    pub fn show_file(&self, id: &str) -> Option<String> {
        self.find(id).map(|(_, source)| printable(&source.text))
    }

    fn find(&self, id: &str) -> Option<(&Rule, &Source)> {
        self.with_sources().find(|(rule, _)| rule.id == id)
    }
}

fn origin(source: &Source) -> String {
    match (source.embedded, source.replaces) {
        (true, _) => "embedded in the program".to_owned(),
        (false, true) => format!("from {}, in place of the embedded rule", source.file),
        (false, false) => format!("from {}", source.file),
    }
}

fn text(rule: &Rule, raw: &RawRule, source: &Source) -> String {
    let mut text = String::new();
    paragraph(&mut text, &format!("{}: ", rule.id), 2, &rule.title);
    paragraph(&mut text, "", 0, &format!("({})", origin(source)));
    heading(&mut text, "Why");
    paragraph(&mut text, "  ", 2, &rule.why);

    if let (Some(component), Some(scheme)) = (&raw.component, &raw.scheme) {
        heading(&mut text, "Component");
        fact(&mut text, "id", &component.id);
        fact(&mut text, "kind", &component.kind);
        fact(&mut text, "name", &component.name);
        fact(&mut text, "versions", &word(scheme));
    }
    if let Some(module) = &raw.advisories {
        fact(&mut text, "advisories", &format!("of the Go module {module}"));
    }
    if let Some(repository) = &raw.notes {
        fact(&mut text, "notes", &format!("of the releases of github.com/{repository}"));
    }
    for claim in &raw.claims {
        fact(&mut text, "claims", &claimed(claim));
    }

    planning(&mut text, raw);
    if !raw.pins.is_empty() {
        heading(&mut text, "Pins");
    }
    for (at, pin) in raw.pins.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        text.push_str(&format!("  {}\n", pin.id));
        for (name, value) in facts(pin) {
            match name {
                // A blank in a pattern is a part of it, no place for a new line.
                "pattern" => lines(&mut text, &label(name), LABEL, std::iter::once(value.as_str())),
                _ => fact(&mut text, name, &value),
            }
        }
    }
    if !rule.references.is_empty() {
        heading(&mut text, "References");
    }
    for reference in &rule.references {
        text.push_str(&format!("  {reference}\n"));
    }
    for example in &rule.examples {
        heading(&mut text, &format!("Example {}", example.file));
        for line in example.text.lines() {
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
        if example.finds.is_empty() {
            text.push_str("  finds nothing\n");
        }
        for (pin, found) in &example.finds {
            let found = if found.is_empty() { "that no version is given" } else { found };
            paragraph(&mut text, "  finds ", 8, &format!("{found} ({pin})"));
        }
    }
    text
}

/// What a pin says, in the order in which it is applied.
fn facts(pin: &RawPin) -> Vec<(&'static str, String)> {
    let mut facts = vec![("in", scope(&pin.scope))];
    let mut add = |name, value: String| facts.push((name, value));
    match (pin.at.as_str(), pin.version.as_str()) {
        ("", "") => {}
        ("", version) => add("at", version.to_owned()),
        (at, "") => add("at", at.to_owned()),
        (_, version) if version.starts_with('/') => add("at", version.to_owned()),
        (at, version) => add("at", format!("{at}/{version}")),
    }
    for when in &pin.when {
        add("if", format!("there is {when}"));
    }
    for (place, pattern) in &pin.matches {
        add("if", format!("{place} matches {pattern}"));
    }
    match pin.format {
        RawFormat::Whole => {}
        RawFormat::Image => add("form", "an image reference".to_owned()),
        RawFormat::Tag => add("form", "a tag, the repository beside it".to_owned()),
    }
    if let Some(pattern) = &pin.pattern {
        add("pattern", pattern.clone());
    }
    match &pin.absent {
        Some(RawAbsent { range: Some(range), .. }) => add("or else", format!("the range {range}")),
        Some(RawAbsent { nothing: Some(reason), .. }) => add("or else", format!("nothing: {reason}")),
        _ => {}
    }
    match pin.role {
        RawRole::Version => {}
        role => add("is", format!("a {}", word(&role))),
    }
    if pin.strict {
        add("only", "what can be read as a version".to_owned());
    }
    if pin.applied == Some(false) {
        add("note", "a copy that Flux does not apply".to_owned());
    }
    if pin.generated {
        add("note", "the whole file is generated; no other rule looks into it".to_owned());
    }
    if let Some(component) = &pin.component {
        add("component", format!("{} (kind {})", component.id, component.kind));
    }
    if let Some(scheme) = &pin.scheme {
        add("versions", word(scheme));
    }
    add("upstream", upstream(&pin.upstream));
    facts
}

fn scope(scope: &RawScope) -> String {
    if scope.kustomize {
        return "Kustomize's own files".to_owned();
    }
    if scope.values {
        return "values of charts".to_owned();
    }
    if let Some(file) = &scope.file {
        return format!("files named {file}");
    }
    if !scope.lines.is_empty() {
        let within = scope.within.map(|bytes| format!(", the first {bytes} bytes")).unwrap_or_default();
        return format!("lines of {}{within}", scope.lines.join(", "));
    }
    let group = scope.group.as_ref().map(|group| match group.as_str() {
        "" => " (core group)".to_owned(),
        group => format!(" ({group})"),
    });
    let except = match scope.except.as_slice() {
        [] => String::new(),
        kinds => format!(" but {}", kinds.join(", ")),
    };
    format!("{}{}{except}", scope.kind.as_deref().unwrap_or("any object"), group.unwrap_or_default())
}

fn claimed(claim: &RawClaim) -> String {
    match (&claim.chart, &claim.release, &claim.oci) {
        (Some(chart), _, _) => format!("the chart {chart}, whatever installs it"),
        (_, Some(release), _) => format!("releases and tags of github.com/{release}"),
        (_, _, Some(oci)) => format!("tags of {oci}"),
        (None, None, None) => String::new(),
    }
}

fn upstream(upstream: &RawUpstream) -> String {
    match upstream {
        RawUpstream::K3s {} => "channels and releases of k3s".to_owned(),
        RawUpstream::GithubReleases { repository } => format!("releases of github.com/{repository}"),
        RawUpstream::GithubTags { repository } => format!("tags of github.com/{repository}"),
        RawUpstream::GitTags { url } => format!("tags of {url}"),
        RawUpstream::Helm { repository, chart } => format!("the chart {chart} at {repository}"),
        RawUpstream::FluxSource { chart, kind, name, .. } => {
            format!("the chart {chart} of the {kind} {name}")
        }
        RawUpstream::FluxChartRef { kind, name, .. } => format!("what the {kind} {name} says"),
        RawUpstream::Oci { url } => format!("tags of {url}"),
        RawUpstream::Image {} => "tags of the image's repository".to_owned(),
    }
}

/// The word that a rule file has for a value.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(super) fn heading(text: &mut String, title: &str) {
    text.push_str(&format!("\n{title}\n"));
}

/// Columns before the value of a fact.
const LABEL: usize = 16;

fn label(name: &str) -> String {
    format!("    {name:<10}  ")
}

pub(super) fn fact(text: &mut String, name: &str, value: &str) {
    paragraph(text, &label(name), LABEL, value);
}

/// Words behind `start`, further lines indented.
fn paragraph(text: &mut String, start: &str, indent: usize, words: &str) {
    lines(text, start, indent, words.split_whitespace());
}

/// Words behind `start`. A word that is too long for a line is cut, so that nothing depends on how a
/// terminal does it.
fn lines<'a>(text: &mut String, start: &str, indent: usize, words: impl Iterator<Item = &'a str>) {
    let mut line = start.to_owned();
    let mut empty = true;
    let next_line = |line: &mut String, text: &mut String| {
        text.push_str(line.trim_end());
        text.push('\n');
        *line = " ".repeat(indent);
    };
    for word in words {
        let used = line.chars().count() + usize::from(!empty);
        if !empty && used + word.chars().count() > WIDTH {
            next_line(&mut line, text);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        for letter in word.chars() {
            if line.chars().count() == WIDTH {
                next_line(&mut line, text);
            }
            line.push(letter);
        }
        empty = false;
    }
    next_line(&mut line, text);
}

/// Rules come from repositories, too, and must not steer the terminal.
fn printable(text: &str) -> String {
    let printable = |letter: char| letter == '\n' || letter == '\t' || !is_unprintable(letter);
    text.chars().map(|letter| if printable(letter) { letter } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_rule_reads_well_at_80_columns() {
        let (registry, _) = Registry::load([]);
        let mut texts = vec![registry.list_text()];
        texts.extend(registry.rules().iter().map(|rule| registry.show_text(&rule.id).unwrap()));
        for text in texts {
            for line in text.lines() {
                // Links stay whole, so that they can be followed; digests in examples cannot be shorter.
                let whole = line.contains("://") || line.contains("sha256:");
                assert!(whole || line.chars().count() <= WIDTH, "{line}");
                assert_eq!(line, line.trim_end());
            }
        }
    }

    #[test]
    fn long_words_are_cut_and_nothing_is_lost() {
        let mut text = String::new();
        let pattern = "x".repeat(200);
        paragraph(&mut text, "  a: ", 5, &format!("one {pattern} two"));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let joined: String = text.split_whitespace().collect();
        assert_eq!(joined, format!("a:one{pattern}two"));
    }

    #[test]
    fn rule_for_scripts_is_the_rule_of_the_file() {
        let (registry, _) = Registry::load([]);
        for (rule, source) in registry.with_sources() {
            let again = serde_json::to_string(&registry.show_data(&rule.id).unwrap()).unwrap();
            let file: Value = serde_saphyr::from_str(&source.text).unwrap();
            let data: Value = serde_json::from_str(&again).unwrap();
            assert_eq!(data["pins"].as_array().map(Vec::len), file["pins"].as_array().map(Vec::len));
            assert_eq!(registry.show_file(&rule.id).unwrap(), source.text);
        }
        assert_eq!(registry.show_data("none"), None);
    }

    #[test]
    fn text_of_a_rule_does_not_steer_the_terminal() {
        let own = "id: a\ntitle: \"x\\e[31mred\"\nwhy: \"\\u202e\"\ncomponent: {id: x, kind: x, name: x}\nscheme: semver\n";
        let (registry, problems) = Registry::load([("a.yaml", own)]);
        assert_eq!(problems, []);
        for text in [registry.list_text(), registry.show_text("a").unwrap()] {
            assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        }
    }
}
