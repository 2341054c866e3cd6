//! Checks that rules find in their examples what these say.

use std::collections::BTreeSet;

use super::Registry;
use super::error::{Fault, RuleError};
use crate::domain::problem::{Category, Problem};
use crate::domain::rule::{Rule, RuleExample};
use crate::domain::scan::scan_file;

impl Registry {
    /// What the examples of the repository's own rules promise and do not hold, with file and line.
    pub fn wrong_examples(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (rule, source) in self.with_sources().filter(|(_, source)| !source.embedded) {
            for (at, example) in rule.examples.iter().enumerate() {
                problems.extend(self.faults(rule, example).into_iter().map(|(field, told)| {
                    let field = format!("examples[{at}]{field}");
                    let error = RuleError::at(field, Fault::Example(told)).placed_in(&source.text);
                    Problem {
                        category: Category::Configuration,
                        file: Some(source.file.clone()),
                        line: error.line,
                        upstream: None,
                        message: error.to_string(),
                    }
                }));
            }
        }
        problems
    }

    /// What is wrong with one example: the field of it, and why.
    pub(super) fn faults(&self, rule: &Rule, example: &RuleExample) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let scan = scan_file(&example.file, example.text.as_bytes(), self.rules());
        for problem in &scan.problems {
            let place = problem.line.map(|line| format!("line {line} of ")).unwrap_or_default();
            faults.push((".text".to_owned(), format!("{place}the manifest {}", problem.message)));
        }
        // The first pin of a place has it.
        let mut places = BTreeSet::new();
        let own = scan
            .found
            .iter()
            .filter(|found| found.site.as_ref().is_none_or(|site| places.insert(site.span.start)))
            .filter(|found| self.rules()[found.rule].id == rule.id);
        let found: BTreeSet<&str> = own.map(|found| rule.pins[found.pin].id.as_str()).collect();
        for pin in found.iter().filter(|pin| !example.finds.contains_key(**pin)) {
            faults.push((".finds".to_owned(), format!("the pin `{pin}` is found too, and not listed here")));
        }
        for (pin, expected) in &example.finds {
            let texts: Vec<&str> = scan
                .found
                .iter()
                .filter(|found| self.rules()[found.rule].pins[found.pin].id == *pin)
                .map(|found| found.site.as_ref().map_or("", |site| site.text.as_str()))
                .collect();
            if texts.contains(&expected.as_str()) {
                continue;
            }
            let told = match texts.as_slice() {
                [] => format!("nothing is found where `{expected}` should be"),
                [text] => format!("`{text}` is found where `{expected}` should be"),
                [text, ..] => format!("`{text}` and others are found where `{expected}` should be"),
            };
            faults.push((format!(".finds.{pin}"), told));
        }
        faults
    }
}
