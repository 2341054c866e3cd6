//! The rules in force, in order.

use crate::domain::problem::{Category, Problem};
use crate::domain::rule::Rule;

use super::raw;

/// Folder of a repository's own rules.
pub const REPOSITORY_FOLDER: &str = ".gitops-updater/rules";

/// The embedded rules. Order matters: of two rules that find the same bytes, the first one wins.
const EMBEDDED: &[(&str, &str)] = &[
    ("rules/k3s.yaml", include_str!("../../rules/k3s.yaml")),
    ("rules/flux.yaml", include_str!("../../rules/flux.yaml")),
    ("rules/longhorn.yaml", include_str!("../../rules/longhorn.yaml")),
    ("rules/helm-release.yaml", include_str!("../../rules/helm-release.yaml")),
    ("rules/helm-chart.yaml", include_str!("../../rules/helm-chart.yaml")),
    ("rules/oci-repository.yaml", include_str!("../../rules/oci-repository.yaml")),
    ("rules/git-repository.yaml", include_str!("../../rules/git-repository.yaml")),
    ("rules/kustomize-remote.yaml", include_str!("../../rules/kustomize-remote.yaml")),
    ("rules/container-image.yaml", include_str!("../../rules/container-image.yaml")),
];

/// The rules in force.
#[derive(Debug)]
pub struct Registry {
    rules: Vec<Rule>,
}

impl Registry {
    /// The embedded rules, with those of a repository added or put in their place.
    ///
    /// `files` are path and text of the repository's rule files. A file that is no rule becomes a
    /// problem; the other rules stay in force.
    pub fn load<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<Problem>) {
        let mut rules = Vec::new();
        let mut problems = Vec::new();
        let mut refuse = |path: &str, error: &raw::RuleError| {
            problems.push(Problem {
                category: Category::Configuration,
                file: Some(path.to_owned()),
                line: error.line(),
                upstream: None,
                message: error.to_string(),
            });
        };
        for (path, text) in EMBEDDED {
            match raw::parse(text) {
                Ok(rule) => rules.push(rule),
                Err(error) => refuse(path, &error),
            }
        }
        let mut own = Vec::new();
        for (path, text) in files {
            match raw::parse(text) {
                Ok(rule) => match rules.iter_mut().find(|known: &&mut Rule| known.id == rule.id) {
                    Some(known) => *known = rule,
                    None => own.push(rule),
                },
                Err(error) => refuse(path, &error),
            }
        }
        // A repository's own rule is more specific than any that is embedded.
        own.append(&mut rules);
        (Self { rules: own }, problems)
    }

    /// The rules, first in force first.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of an id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::scan::scan_file;

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
    fn every_rule_finds_in_its_examples_what_it_says_and_each_pin_has_an_example() {
        let (registry, _) = Registry::load([]);
        for rule in registry.rules() {
            assert!(!rule.examples.is_empty(), "{} has no example", rule.id);
            let mut shown = BTreeSet::new();
            for example in &rule.examples {
                let scan = scan_file(&example.file, example.text.as_bytes(), registry.rules());
                assert_eq!(scan.problems, [], "{} {}", rule.id, example.file);
                for (pin, expected) in &example.finds {
                    let found: Vec<_> = scan
                        .found
                        .iter()
                        .filter(|found| registry.rules()[found.rule].pins[found.pin].id == *pin)
                        .map(|found| found.site.as_ref().map_or("", |site| site.text.as_str()))
                        .collect();
                    assert!(found.contains(&expected.as_str()), "{} {pin}: {found:?}", rule.id);
                    shown.insert(pin.clone());
                }
            }
            for pin in &rule.pins {
                assert!(shown.contains(&pin.id), "no example shows {}", pin.id);
            }
        }
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
        let files: Vec<_> = problems.iter().filter_map(|problem| problem.file.as_deref()).collect();
        assert_eq!(files, [".gitops-updater/rules/broken.yaml", ".gitops-updater/rules/unknown.yaml"]);
    }
}
