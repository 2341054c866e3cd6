//! Where a symbolic link leads, worked out within the tree alone.
//!
//! The steps are taken on names, as the kernel would take them, but the walk ends where it would leave
//! the tree: nothing outside is ever looked at.

use std::collections::VecDeque;

/// Links followed for one path before it is called a cycle; the kernel's own bound (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// What is at a path of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    File,
    Directory,
    /// A link with its text.
    Link(Vec<u8>),
    /// A device, a pipe, a socket, or another repository.
    Other,
    Missing,
}

/// A tree that can be asked what is at a path whose parents are known to be directories.
pub(super) trait Tree {
    /// What is at `path` (never empty).
    fn look(&self, path: &str) -> Look;
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A file of the tree, by its own path.
    File(String),
    /// A directory of the tree, by its own path (empty for the root).
    Directory(String),
    /// Out of the tree, by an absolute path or too many `..`, or into a `.git` directory.
    Outside,
    /// Round and round.
    Cycle,
    /// Nowhere.
    Missing,
    /// To something that is not read.
    Special,
}

/// Follows `path` through `tree`.
pub(super) fn resolve(tree: &impl Tree, path: &str) -> Target {
    if path.starts_with('/') || path.contains('\0') {
        return Target::Outside;
    }
    let mut ahead: VecDeque<String> = parts(path).collect();
    let mut here = String::new();
    let mut followed = 0;
    let mut file = false;
    while let Some(part) = ahead.pop_front() {
        if file {
            return Target::Missing;
        }
        if part == ".." {
            if here.is_empty() {
                return Target::Outside;
            }
            here.truncate(here.rfind('/').unwrap_or(0));
            continue;
        }
        if part.eq_ignore_ascii_case(".git") {
            return Target::Outside;
        }
        let above = here.len();
        if !here.is_empty() {
            here.push('/');
        }
        here.push_str(&part);
        match tree.look(&here) {
            Look::Directory => {}
            Look::File => file = true,
            Look::Missing => return Target::Missing,
            Look::Other => return Target::Special,
            Look::Link(text) => {
                followed += 1;
                if followed > MAX_LINKS {
                    return Target::Cycle;
                }
                let Ok(text) = String::from_utf8(text) else { return Target::Missing };
                if text.starts_with('/') {
                    return Target::Outside;
                }
                here.truncate(above);
                for part in parts(&text).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(part);
                }
            }
        }
    }
    if file { Target::File(here) } else { Target::Directory(here) }
}

fn parts(path: &str) -> impl Iterator<Item = String> + '_ {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;

    struct Drawn(BTreeMap<&'static str, Look>);

    impl Tree for Drawn {
        fn look(&self, path: &str) -> Look {
            self.0.get(path).cloned().unwrap_or(Look::Missing)
        }
    }

    fn drawn() -> Drawn {
        let link = |text: &str| Look::Link(text.as_bytes().to_vec());
        Drawn(BTreeMap::from([
            ("apps", Look::Directory),
            ("apps/base", Look::Directory),
            ("apps/base/release.yaml", Look::File),
            ("apps/same.yaml", link("base/release.yaml")),
            ("apps/again.yaml", link("./same.yaml")),
            ("apps/folder", link("base")),
            ("apps/root", link("..")),
            ("apps/through.yaml", link("../apps/folder/release.yaml")),
            ("apps/absolute.yaml", link("/etc/passwd")),
            ("apps/out.yaml", link("../../etc/passwd")),
            ("apps/one", link("two")),
            ("apps/two", link("one")),
            ("apps/self", link("self/self")),
            ("apps/nowhere.yaml", link("gone.yaml")),
            ("apps/config", link("../.git/config")),
            ("apps/pipe", Look::Other),
            ("apps/empty", link("")),
            ("apps/beyond", link("same.yaml/x")),
        ]))
    }

    #[rstest]
    #[case::plain("apps/base/release.yaml", Target::File("apps/base/release.yaml".into()))]
    #[case::file("apps/same.yaml", Target::File("apps/base/release.yaml".into()))]
    #[case::chain("apps/again.yaml", Target::File("apps/base/release.yaml".into()))]
    #[case::directory("apps/folder", Target::Directory("apps/base".into()))]
    #[case::root("apps/root", Target::Directory(String::new()))]
    #[case::link_on_the_way("apps/through.yaml", Target::File("apps/base/release.yaml".into()))]
    #[case::absolute("apps/absolute.yaml", Target::Outside)]
    #[case::parents("apps/out.yaml", Target::Outside)]
    #[case::git_directory("apps/config", Target::Outside)]
    #[case::cycle("apps/one", Target::Cycle)]
    #[case::cycle_that_grows("apps/self", Target::Cycle)]
    #[case::dangling("apps/nowhere.yaml", Target::Missing)]
    #[case::pipe("apps/pipe", Target::Special)]
    #[case::below_a_file("apps/beyond", Target::Missing)]
    #[case::absolute_itself("/etc/passwd", Target::Outside)]
    #[case::parent_itself("apps/../../x", Target::Outside)]
    #[case::dots("./apps//./base/../base/release.yaml", Target::File("apps/base/release.yaml".into()))]
    fn path_leads_to_its_target(#[case] path: &str, #[case] target: Target) {
        assert_eq!(resolve(&drawn(), path), target);
    }
}
