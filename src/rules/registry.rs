//! The rules in force, in order.

use std::collections::BTreeSet;

use super::compile;
use super::error::{Fault, RuleError};
use crate::domain::problem::{Category, Problem};
use crate::domain::rule::Rule;

/// Folder of a repository's own rules.
pub const REPOSITORY_FOLDER: &str = ".gitops-updater/rules";

/// The embedded rules. Order matters: of two rules that find the same bytes, the first one wins.
pub(super) const EMBEDDED: &[(&str, &str)] = &[
    ("rules/k3s.yaml", include_str!("../../rules/k3s.yaml")),
    ("rules/rancher-cluster.yaml", include_str!("../../rules/rancher-cluster.yaml")),
    ("rules/flux.yaml", include_str!("../../rules/flux.yaml")),
    ("rules/longhorn.yaml", include_str!("../../rules/longhorn.yaml")),
    ("rules/helm-release.yaml", include_str!("../../rules/helm-release.yaml")),
    ("rules/helm-chart.yaml", include_str!("../../rules/helm-chart.yaml")),
    ("rules/oci-repository.yaml", include_str!("../../rules/oci-repository.yaml")),
    ("rules/git-repository.yaml", include_str!("../../rules/git-repository.yaml")),
    ("rules/kustomize-remote.yaml", include_str!("../../rules/kustomize-remote.yaml")),
    ("rules/container-image.yaml", include_str!("../../rules/container-image.yaml")),
    ("rules/stateful.yaml", include_str!("../../rules/stateful.yaml")),
    ("rules/data-operators.yaml", include_str!("../../rules/data-operators.yaml")),
    ("rules/cert-manager.yaml", include_str!("../../rules/cert-manager.yaml")),
    ("rules/cluster-network.yaml", include_str!("../../rules/cluster-network.yaml")),
    ("rules/operators.yaml", include_str!("../../rules/operators.yaml")),
];

/// The rules in force.
#[derive(Debug)]
pub struct Registry {
    rules: Vec<Rule>,
    /// One for each rule.
    sources: Vec<Source>,
}

/// Where a rule comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path of the file: in the repository, or of the program's own sources.
    pub file: String,
    /// The file.
    pub text: String,
    /// It comes with the program.
    pub embedded: bool,
    /// It stands in the place of an embedded rule.
    pub replaces: bool,
}

impl Registry {
    /// The embedded rules, with those of a repository added or put in their place.
    ///
    /// `files` are path and text of the repository's rule files. A file that is no rule becomes a
    /// problem; the other rules stay in force.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<Problem>) {
        let mut loading = Loading::default();
        for (file, text) in EMBEDDED {
            loading.add(file, text, true);
        }
        for (file, text) in files {
            loading.add(file, text, false);
        }
        let Loading { mut own, mut embedded, problems } = loading;
        // A repository's own rule is more specific than any that is embedded.
        own.append(&mut embedded);
        let (rules, sources) = own.into_iter().unzip();
        (Self { rules, sources }, problems)
    }

    /// The rules, first in force first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of an id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The rules with where they come from, first in force first.
    pub fn with_sources(&self) -> impl Iterator<Item = (&Rule, &Source)> {
        self.rules.iter().zip(&self.sources)
    }
}

/// Rules on their way into a [`Registry`].
#[derive(Default)]
struct Loading {
    own: Vec<(Rule, Source)>,
    embedded: Vec<(Rule, Source)>,
    problems: Vec<Problem>,
}

impl Loading {
    fn add(&mut self, file: &str, text: &str, embedded: bool) {
        let parse = if embedded { compile::parse_embedded } else { compile::parse };
        let read = parse(text).and_then(|rule| match self.conflict(&rule, embedded) {
            Some(error) => Err(error.placed_in(text)),
            None => Ok(rule),
        });
        let rule = match read {
            Ok(rule) => rule,
            Err(error) => {
                let mut errors = compile::mistakes(text);
                if errors.is_empty() {
                    errors.push(error);
                }
                self.problems.extend(errors.into_iter().map(|error| Problem {
                    category: Category::Configuration,
                    file: Some(file.to_owned()),
                    line: error.line,
                    upstream: None,
                    message: error.to_string(),
                }));
                return;
            }
        };
        let known = self.embedded.iter_mut().find(|(known, _)| known.id == rule.id);
        let source =
            Source { file: file.to_owned(), text: text.to_owned(), embedded, replaces: known.is_some() };
        match known {
            // In its place, so that what came first still comes first.
            Some(known) => *known = (rule, source),
            None if embedded => self.embedded.push((rule, source)),
            None => self.own.push((rule, source)),
        }
    }

    /// Ids that are taken: reports and configurations name rules and pins by them.
    fn conflict(&self, rule: &Rule, embedded: bool) -> Option<RuleError> {
        let all = || self.own.iter().chain(&self.embedded);
        // Two files of one kind never replace each other: which of them would win is nothing to rely on.
        let same = all().find(|(known, source)| known.id == rule.id && source.embedded == embedded);
        if let Some((_, source)) = same {
            return Some(taken("id".to_owned(), &rule.id, &format!("`{}`", source.file)));
        }
        let mut ids = BTreeSet::new();
        rule.pins.iter().enumerate().find_map(|(at, pin)| {
            let field = || format!("pins[{at}].id");
            if !ids.insert(&pin.id) {
                return Some(taken(field(), &pin.id, "another pin of this rule"));
            }
            let (other, _) = all()
                .filter(|(known, _)| known.id != rule.id)
                .find(|(known, _)| known.pins.iter().any(|known| known.id == pin.id))?;
            Some(taken(field(), &pin.id, &format!("a pin of the rule `{}`", other.id)))
        })
    }
}

fn taken(field: String, id: &str, of: &str) -> RuleError {
    RuleError::at(field, Fault::Taken { id: id.to_owned(), of: of.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_embedded_rules_can_be_compiled() {
        for (file, text) in EMBEDDED {
            assert!(compile::parse(text).is_ok(), "{file}");
        }
    }

    #[test]
    fn every_embedded_rule_is_valid_and_its_ids_are_unique() {
        let (registry, problems) = Registry::load([]);
        assert_eq!(problems, []);
        let mut ids = BTreeSet::new();
        for rule in registry.rules() {
            assert!(ids.insert(rule.id.clone()), "{}", rule.id);
            for pin in &rule.pins {
                assert!(ids.insert(pin.id.clone()), "{}", pin.id);
            }
        }
    }

    #[test]
    fn every_rule_finds_in_its_examples_what_it_says_and_nothing_else_and_each_pin_has_an_example() {
        let (registry, _) = Registry::load([]);
        for rule in registry.rules() {
            let finds = !rule.pins.is_empty() || !rule.claims.is_empty();
            assert!(!rule.examples.is_empty() || !finds, "{} has no example", rule.id);
            let mut shown = BTreeSet::new();
            for example in &rule.examples {
                let faults = registry.faults(rule, example);
                assert_eq!(faults, [], "{} {}", rule.id, example.file);
                shown.extend(example.finds.keys().cloned());
            }
            for pin in &rule.pins {
                assert!(shown.contains(&pin.id), "no example shows {}", pin.id);
            }
        }
    }

    #[test]
    fn an_example_that_shows_something_else_is_a_problem_with_its_line() {
        let rule = |text: &str, finds: &str| {
            format!(
                "id: mine\ntitle: t\nwhy: w\ncomponent: {{id: mine, kind: mine, name: mine}}\nscheme: semver\npins:\n  - id: mine-a\n    in: {{kind: Mine}}\n    version: /spec/a\n    upstream: {{type: github_releases, repository: o/r}}\n  - id: mine-b\n    in: {{kind: Mine}}\n    version: /spec/b\n    upstream: {{type: github_releases, repository: o/r}}\nexamples:\n  - file: a.yaml\n    text: |\n      apiVersion: example.org/v1\n      kind: Mine\n      metadata: {{name: a}}\n      spec: {text}\n    finds:\n      {finds}\n"
            )
        };
        for (text, finds, expected) in [
            ("{a: 1.2.3}", "mine-a: 1.2.3", None),
            (
                "{a: 1.2.3}",
                "mine-a: 1.2.4",
                Some((23, "`examples[0].finds.mine-a`: `1.2.3` is found where `1.2.4` should be")),
            ),
            (
                "{c: 1.2.3}",
                "mine-a: 1.2.3",
                Some((23, "`examples[0].finds.mine-a`: nothing is found where `1.2.3` should be")),
            ),
            (
                "{a: 1.2.3, b: 2.0.0}",
                "mine-a: 1.2.3",
                Some((23, "`examples[0].finds`: the pin `mine-b` is found too, and not listed here")),
            ),
            (
                "{a: 1.2.3, b: [",
                "mine-a: 1.2.3",
                Some((18, "`examples[0].text`: line 4 of the manifest is not valid YAML")),
            ),
        ] {
            let text = rule(text, finds);
            let (registry, problems) = Registry::load([("r/mine.yaml", text.as_str())]);
            assert_eq!(problems, [], "{text}");
            let told = registry.wrong_examples();
            match (told.first(), expected) {
                (None, None) => {}
                (Some(problem), Some((line, message))) => {
                    assert!(problem.message.starts_with(message), "{}", problem.message);
                    assert_eq!(
                        (problem.file.as_deref(), problem.line),
                        (Some("r/mine.yaml"), Some(line)),
                        "{message}"
                    );
                }
                (told, expected) => panic!("{told:?} is not {expected:?}"),
            }
        }
        assert_eq!(Registry::load([]).0.wrong_examples(), [], "embedded rules are tested, not checked");
    }

    #[test]
    fn a_repository_replaces_and_adds_rules_and_a_broken_one_hides_none() {
        let replaced =
            "id: longhorn\ntitle: t\nwhy: w\ncomponent: {id: x, kind: x, name: x}\nscheme: semver\n";
        let (registry, problems) = Registry::load([
            (".gitops-updater/rules/longhorn.yaml", replaced),
            (".gitops-updater/rules/broken.yaml", "id: [\n"),
            (".gitops-updater/rules/unknown.yaml", "id: a\nunknown: 1\n"),
        ]);
        assert_eq!(registry.get("longhorn").unwrap().component.id, "x");
        assert!(registry.get("k3s").is_some());
        let mut files: Vec<_> = problems.iter().filter_map(|problem| problem.file.as_deref()).collect();
        files.dedup();
        assert_eq!(files, [".gitops-updater/rules/broken.yaml", ".gitops-updater/rules/unknown.yaml"]);
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("rules/{}", entry.unwrap().file_name().to_str().unwrap()))
            .filter(|name| name.ends_with(".yaml"))
            .collect();
        let mut embedded: Vec<&str> = EMBEDDED.iter().map(|(file, _)| *file).collect();
        files.sort();
        embedded.sort_unstable();
        assert_eq!(files, embedded);
        let (registry, _) = Registry::load([]);
        for (rule, source) in registry.with_sources() {
            assert_eq!(source.file, format!("rules/{}.yaml", rule.id));
        }
    }

    #[test]
    fn replaced_rule_keeps_its_place_and_an_added_one_comes_first() {
        let rule = |id: &str| {
            format!("id: {id}\ntitle: t\nwhy: w\ncomponent: {{id: x, kind: x, name: x}}\nscheme: semver\n")
        };
        let (mine, longhorn) = (rule("mine"), rule("longhorn"));
        let (before, _) = Registry::load([]);
        let (registry, problems) = Registry::load([("l.yaml", &*longhorn), ("m.yaml", &*mine)]);
        assert_eq!(problems, []);
        assert_eq!(registry.rules()[0].id, "mine");
        let ids = |rules: &[Rule]| rules.iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&registry.rules()[1..]), ids(before.rules()));
        let (_, source) = registry.with_sources().find(|(rule, _)| rule.id == "longhorn").unwrap();
        assert_eq!((source.file.as_str(), source.embedded, source.replaces), ("l.yaml", false, true));
    }

    #[test]
    fn an_id_that_is_taken_is_refused_with_its_line() {
        let rule = |id: &str, pins: &[&str]| {
            let pins: String = pins
                .iter()
                .map(|pin| format!("  - id: {pin}\n    in: {{kind: A}}\n    upstream: {{type: k3s}}\n"))
                .collect();
            format!(
                "id: {id}\ntitle: t\nwhy: w\ncomponent: {{id: x, kind: x, name: x}}\nscheme: semver\npins:\n{pins}"
            )
        };
        let files = [
            ("a.yaml", rule("a", &["one"])),
            ("b.yaml", rule("a", &["two"])),
            ("c.yaml", rule("c", &["one"])),
            ("d.yaml", rule("d", &["four", "four"])),
            ("e.yaml", rule("e", &["k3s-plan-version"])),
        ];
        let (_, problems) = Registry::load(files.iter().map(|(file, text)| (*file, text.as_str())));
        let told: Vec<_> = problems
            .iter()
            .map(|problem| {
                (problem.file.as_deref().unwrap(), problem.line.unwrap(), problem.message.as_str())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("b.yaml", 1, "`id`: the id `a` is already that of `a.yaml`; choose another"),
                (
                    "c.yaml",
                    7,
                    "`pins[0].id`: the id `one` is already that of a pin of the rule `a`; choose another"
                ),
                (
                    "d.yaml",
                    10,
                    "`pins[1].id`: the id `four` is already that of another pin of this rule; choose another"
                ),
                (
                    "e.yaml",
                    7,
                    "`pins[0].id`: the id `k3s-plan-version` is already that of a pin of the rule `k3s`; choose another"
                ),
            ]
        );
    }
}
