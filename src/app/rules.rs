//! The rules in force for a repository: the embedded ones, and its own.

use crate::domain::problem::{Category, Problem};
use crate::repo::{ReadOptions, Repo};
use crate::rules::{REPOSITORY_FOLDER, Registry};

/// Most bytes of one rule file of the repository.
const LARGEST_RULE: usize = 1 << 20;

/// Reads a repository's own rules and puts them before, or in the place of, the embedded ones.
///
/// Where only a part of a repository is looked at, the part's own rules hold, else those of the
/// repository around it, as with the configuration. What is no rule is a problem; the rest is in force.
pub fn rules_of(repository: &Repo) -> (Registry, Vec<Problem>) {
    let options = ReadOptions::new(|path| path.ends_with(".yaml") || path.ends_with(".yml"));
    let mut folders = vec![REPOSITORY_FOLDER.to_owned()];
    if !repository.prefix().is_empty() {
        folders.insert(0, format!("{}/{REPOSITORY_FOLDER}", repository.prefix()));
    }
    let listing = folders
        .iter()
        .map(|folder| repository.files_below(folder, &options))
        .find(|listing| !listing.entries.is_empty() || !listing.problems.is_empty())
        .unwrap_or_default();
    let mut texts = Vec::new();
    let mut problems = listing.problems;
    for entry in listing.entries {
        let mut refuse = |message: String| {
            let problem = Problem::in_file(&entry.path, None, message);
            problems.push(Problem { category: Category::Configuration, ..problem });
        };
        match repository.read(&entry.path).map(String::from_utf8) {
            Ok(Ok(text)) if text.len() > LARGEST_RULE => refuse("is too large for a rule (1 MiB)".to_owned()),
            Ok(Ok(text)) => texts.push((entry.path, text)),
            Ok(Err(_)) => refuse("is not UTF-8 text; save it as UTF-8".to_owned()),
            Err(error) => refuse(error.to_string()),
        }
    }
    let (registry, wrong) = Registry::load(texts.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    problems.extend(wrong);
    (registry, problems)
}

/// Whether a file is one of a repository's own rules, whose examples are no manifests of the cluster.
pub fn is_rule_file(path: &str) -> bool {
    path.match_indices(REPOSITORY_FOLDER).any(|(at, folder)| {
        (at == 0 || path[..at].ends_with('/')) && path[at + folder.len()..].starts_with('/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_files_are_known_by_their_folder() {
        for (path, is) in [
            (".gitops-updater/rules/a.yaml", true),
            ("clusters/home/.gitops-updater/rules/a.yaml", true),
            (".gitops-updater/rules.yaml", false),
            ("my.gitops-updater/rules/a.yaml", false),
            (".gitops-updater/other/a.yaml", false),
        ] {
            assert_eq!(is_rule_file(path), is, "{path}");
        }
    }
}
