//! What was merged is found again on the base branch, and reverted without anything else.

use gitops_updater::repo::write::{Id, Landed, Merged, Person, Remote, Standing, WriteRepo};
use rstest::rstest;

use super::words;
use crate::support::git::Git;

struct World {
    _folder: tempfile::TempDir,
    git: Git,
    repo: WriteRepo,
    base: Id,
    head: Id,
}

/// A pull request of `commits` commits, each of which changes one line of `a.yaml`, and a base branch that moved on.
fn world(commits: usize) -> World {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::init(folder.path().join("repo"));
    git.write("a.yaml", "one: 1\n#\n#\n#\n#\ntwo: 1\n#\n#\n#\n#\nthree: 1\n").write("b.yaml", "b: 1\n");
    let base = git.commit_all("Start").parse().unwrap();
    git.run(["checkout", "--quiet", "-b", "pull"]);
    for number in 0..commits {
        let text = std::fs::read_to_string(git.dir().join("a.yaml")).unwrap();
        let line = ["one: 1", "two: 1", "three: 1"][number];
        git.write("a.yaml", text.replace(line, &line.replace('1', "2")));
        git.commit_all(&format!("Change {number}"));
    }
    let head = git.head().parse().unwrap();
    git.run(["checkout", "--quiet", "main"]);
    git.write("b.yaml", "b: 2\n");
    git.commit_all("Somebody else's");
    let repo = WriteRepo::open(git.dir(), Remote::own()).unwrap();
    World { _folder: folder, git, repo, base, head }
}

impl World {
    fn main(&self) -> Id {
        self.git.run(["rev-parse", "main"]).parse().unwrap()
    }

    /// Merges as a forge does, with something else after it; returns the commit that a forge names.
    fn merge(&self, how: &str) -> Id {
        match how {
            "merge" => _ = self.git.run(["merge", "--quiet", "--no-ff", "--message", "Merge", "pull"]),
            "squash" => {
                self.git.run(["merge", "--quiet", "--squash", "pull"]);
                self.git.commit_all("Squashed (#7)");
            }
            "rebase" => {
                self.git.run(["cherry-pick", &format!("{}..{}", self.base, self.head)]);
            }
            _ => panic!("{how}"),
        }
        let merge = self.main();
        self.git.write("c.yaml", "c: 1\n");
        self.git.commit_all("Later");
        merge
    }

    fn found(&self, merge: Id) -> Option<Landed> {
        self.repo.landed(merge, Some((self.base, self.head))).unwrap()
    }

    fn reverted(&self, landed: Landed) -> Id {
        let tip = self.main();
        let Merged::Tree(tree) = self.repo.without(landed, tip).unwrap() else { panic!("no conflict") };
        let bot = Person::bot();
        self.repo.commit_tree(tree, &[tip], words("Revert", &bot)).unwrap()
    }
}

#[rstest]
fn what_landed_is_found_and_reverted_without_anything_else(
    #[values("merge", "squash", "rebase")] how: &str,
    #[values(1, 2, 3)] commits: usize,
) {
    let world = world(commits);
    let before = world.main();
    let merge = world.merge(how);
    let landed = world.found(merge).unwrap();
    assert_eq!(landed, Landed { before, after: merge });
    assert_eq!(world.repo.landed_paths(landed).unwrap(), ["a.yaml"]);
    assert_eq!(world.repo.standing(landed, world.main()).unwrap(), Standing::Untouched);
    let reverted = world.reverted(landed);
    assert_eq!(world.repo.changed_paths(before, reverted).unwrap(), ["c.yaml"]);
    assert_eq!(world.repo.standing(landed, reverted).unwrap(), Standing::Reverted);
    // As Git itself does it.
    let last = merge.to_string();
    let arguments: Vec<String> = match how {
        "merge" => vec!["-m".to_owned(), "1".to_owned(), last],
        "squash" => vec![last],
        _ => vec![format!("{before}..{last}")],
    };
    world.git.run(["revert", "--no-edit"].into_iter().map(str::to_owned).chain(arguments));
    let tree = |rev: &str| world.git.run(["rev-parse", &format!("{rev}^{{tree}}")]);
    assert_eq!(tree("main"), tree(&reverted.to_string()));
}

#[test]
fn branch_that_was_moved_forward_is_all_of_its_commits() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::init(folder.path().join("repo"));
    git.write("a.yaml", "a: 1\n");
    let base: Id = git.commit_all("Start").parse().unwrap();
    git.write("a.yaml", "a: 2\n");
    git.commit_all("One");
    git.write("a.yaml", "a: 3\n");
    let head: Id = git.commit_all("Two").parse().unwrap();
    let repo = WriteRepo::open(git.dir(), Remote::own()).unwrap();
    let landed = repo.landed(head, Some((base, head))).unwrap();
    assert_eq!(landed, Some(Landed { before: base, after: head }));
}

#[rstest]
#[case::squash("squash")]
#[case::rebase("rebase")]
fn commit_that_is_not_the_pull_request_is_not_taken_for_it(#[case] how: &str) {
    let world = world(2);
    world.git.run(["checkout", "--quiet", "-b", "other"]);
    world.git.write("a.yaml", "mine: 1\n");
    let other: Id = world.git.commit_all("Mine").parse().unwrap();
    world.git.run(["checkout", "--quiet", "main"]);
    let merge = world.merge(how);
    assert_eq!(world.repo.landed(merge, Some((world.base, other))).unwrap(), None);
    assert_eq!(world.repo.landed(world.main(), Some((world.base, world.head))).unwrap(), None);
    assert_eq!(world.repo.landed(merge, None).unwrap(), None, "nobody knows what was merged");
}

#[test]
fn person_who_amended_while_squashing_is_noticed() {
    let world = world(1);
    world.git.run(["merge", "--quiet", "--squash", "pull"]);
    world.git.write("b.yaml", "b: 3\n");
    let merge: Id = world.git.commit_all("Squashed with more").parse().unwrap();
    assert_eq!(world.found(merge), None);
}

#[test]
fn later_change_to_the_same_file_is_seen_and_the_line_itself_conflicts() {
    let world = world(1);
    let landed = world.found(world.merge("merge")).unwrap();
    let text = std::fs::read_to_string(world.git.dir().join("a.yaml")).unwrap();
    world.git.write("a.yaml", text.replace("three: 1", "three: mine"));
    let elsewhere: Id = world.git.commit_all("In the same file").parse().unwrap();
    assert_eq!(world.repo.standing(landed, elsewhere).unwrap(), Standing::Changed(vec!["a.yaml".to_owned()]));
    let touching = world.repo.commits_touching(landed.after, elsewhere, &["a.yaml".to_owned()], 100).unwrap();
    assert_eq!(touching.iter().map(|commit| commit.id).collect::<Vec<_>>(), [elsewhere]);
    let reverted = world.reverted(landed);
    let kept = world.git.run(["show", &format!("{reverted}:a.yaml")]);
    assert!(kept.starts_with("one: 1\n") && kept.ends_with("three: mine"), "{kept}");
    world.git.write("a.yaml", text.replace("one: 2", "one: mine"));
    let same_line: Id = world.git.commit_all("The same line").parse().unwrap();
    assert_eq!(world.repo.without(landed, same_line).unwrap(), Merged::Conflicts(vec!["a.yaml".to_owned()]));
}
