//! The followed branch, as far as its commits were seen.

use std::collections::{BTreeMap, BTreeSet};

use super::line::Commit;

/// Commits by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Commits {
    known: BTreeMap<String, Commit>,
    /// In the order in which they reached the branch.
    order: Vec<String>,
}

impl Commits {
    pub(super) fn add(&mut self, commit: Commit) {
        if !self.known.contains_key(&commit.id) {
            self.order.push(commit.id.clone());
        }
        self.known.insert(commit.id.clone(), commit);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Commit> {
        self.known.get(id)
    }

    /// The one that reached the branch last.
    pub(super) fn head(&self) -> Option<&str> {
        self.order.last().map(String::as_str)
    }

    /// Whether `old` is `new` or an ancestor of it; `None` where the way back leads to commits that were not seen.
    pub(super) fn contains(&self, new: &str, old: &str) -> Option<bool> {
        let mut whole = true;
        let mut seen = BTreeSet::new();
        let mut next = vec![new];
        while let Some(id) = next.pop() {
            if id == old {
                return Some(true);
            }
            if !seen.insert(id) {
                continue;
            }
            match self.known.get(id) {
                Some(commit) => next.extend(commit.parents.iter().map(String::as_str)),
                None => whole = false,
            }
        }
        // What lies behind an ancestor of `old` need not be known.
        if whole { Some(false) } else { self.before(old, &seen) }
    }

    /// Commits that reached the branch after `id`, in order, as long as they have it among their ancestors.
    pub(super) fn since<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Commit> {
        let from = self.order.iter().position(|known| known == id).map_or(self.order.len(), |at| at + 1);
        self.order[from..]
            .iter()
            .filter(move |new| self.contains(new, id) == Some(true))
            .filter_map(|new| self.known.get(new))
    }

    /// `old` cannot be behind the unknown commits `seen` leads to when it has itself one of them as an ancestor.
    fn before(&self, old: &str, seen: &BTreeSet<&str>) -> Option<bool> {
        let unknown: Vec<&&str> = seen.iter().filter(|id| !self.known.contains_key(**id)).collect();
        let mut ancestors = BTreeSet::new();
        let mut next = vec![old];
        while let Some(id) = next.pop() {
            if !ancestors.insert(id) {
                continue;
            }
            if let Some(commit) = self.known.get(id) {
                next.extend(commit.parents.iter().map(String::as_str));
            }
        }
        (self.known.contains_key(old) && unknown.iter().all(|id| ancestors.contains(**id))).then_some(false)
    }
}

/// The commit of a revision (`main@sha1:…`, `sha1:…`, `main/…`), or of an origin revision.
pub(super) fn commit_of(revision: &str) -> Option<&str> {
    let hash = match revision.rsplit_once("sha1:") {
        Some((_, hash)) => hash,
        // The form before Flux 2.0.
        None => revision.rsplit('/').next()?,
    };
    (hash.len() >= 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(id: &str, parents: &[&str]) -> Commit {
        Commit {
            id: id.to_owned(),
            parents: parents.iter().map(|&parent| parent.to_owned()).collect(),
            ..Commit::default()
        }
    }

    fn branch() -> Commits {
        let mut commits = Commits::default();
        for (id, parents) in
            [("b", &["a"][..]), ("c", &["b"]), ("x", &["a"]), ("m", &["c", "x"]), ("other", &[])]
        {
            commits.add(commit(id, parents));
        }
        commits
    }

    #[test]
    fn an_ancestor_is_found_through_merges() {
        assert_eq!(branch().contains("m", "x"), Some(true));
        assert_eq!(branch().contains("m", "m"), Some(true));
        assert_eq!(branch().contains("m", "a"), Some(true));
    }

    #[test]
    fn a_commit_behind_unseen_ones_is_neither_in_nor_out() {
        assert_eq!(branch().contains("c", "z"), None);
        assert_eq!(branch().contains("z", "c"), None);
    }

    #[test]
    fn what_is_not_among_the_ancestors_is_not_contained() {
        assert_eq!(branch().contains("c", "x"), Some(false));
        assert_eq!(branch().contains("other", "c"), Some(false));
    }

    #[test]
    fn only_descendants_came_since() {
        let since: Vec<String> = branch().since("b").map(|commit| commit.id.clone()).collect();
        assert_eq!(since, ["c", "m"]);
    }

    #[test]
    fn the_commit_is_read_from_every_form_of_a_revision() {
        let hash = "29199db7e060c6d433126295436a3c06052dcd5e";
        for form in ["main@sha1:", "refs/heads/main@sha1:", "sha1:", "main/"] {
            assert_eq!(commit_of(&format!("{form}{hash}")), Some(hash));
        }
        assert_eq!(
            commit_of("1.0.0@sha256:fe016e20435f7d38a74ea293c37d3e3c17cb36b0bee4c3a84dfc3b365a5f34d4"),
            None
        );
        assert_eq!(commit_of(""), None);
    }
}
