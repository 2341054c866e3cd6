//! What stands in the commits that are made.

use std::collections::BTreeMap;

use gitops_updater::repo::write::{Change, Error, Id, Merged, Person, Remote, WriteRepo};
use rstest::rstest;

use super::{words, write};
use crate::support::git::Git;
use crate::support::snapshot::snapshot;

struct World {
    _folder: tempfile::TempDir,
    git: Git,
    repo: WriteRepo,
    base: Id,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::init(folder.path().join("repo"));
    git.write("apps/a.yaml", "a: 1\n").write("apps/run.sh", "#!/bin/sh\n").mode("apps/run.sh", 0o755);
    git.write("lone/b.yaml", "b: 1\n")
        .link("link.yaml", "apps/a.yaml")
        .write(".gitattributes", "*.yaml text eol=crlf\n");
    let base = git.commit_all("Start").parse().unwrap();
    let repo = WriteRepo::open(git.dir(), Remote::own()).unwrap();
    World { _folder: folder, git, repo, base }
}

#[test]
fn only_what_was_given_changes_and_modes_stay() {
    let world = world();
    let mut changes =
        write([("apps/a.yaml", "a: 2\n"), ("apps/run.sh", "#!/bin/bash\n"), ("new/c.yaml", "c: 1\n")]);
    changes.insert("lone/b.yaml".to_owned(), Change::Delete);
    changes.insert("never/there.yaml".to_owned(), Change::Delete);
    let bot = Person::bot();
    let commit = world.repo.commit(world.base, &changes, words("Change\n\nwhy", &bot)).unwrap();
    snapshot!(world.git.run(["show", "--format=%an <%ae> %cn %cI%n%B", "--raw", "--no-abbrev", "--no-renames", &commit.to_string()]), @r"
    gitops-updater <gitops-updater@localhost> gitops-updater 2026-11-21T10:00:00+00:00
    Change

    why


    :100644 100644 [commit] [commit] M	apps/a.yaml
    :100755 100755 [commit] [commit] M	apps/run.sh
    :100644 000000 [commit] [commit] D	lone/b.yaml
    :000000 100644 [commit] [commit] A	new/c.yaml
    ");
    // A folder without files is no folder of Git.
    assert_eq!(world.repo.entry(commit, "lone").unwrap(), None);
    // Attributes are for work trees: what was given is what is stored.
    assert_eq!(world.git.run(["show", &format!("{commit}:apps/a.yaml")]), "a: 2");
    assert_eq!(world.git.run(["status", "--porcelain"]), "", "neither work tree nor index is touched");
    assert_eq!(world.git.head(), world.base.to_string());
    world.git.run(["fsck", "--strict"]);
}

#[test]
fn the_same_commit_made_twice_has_the_same_id() {
    let world = world();
    let bot = Person::bot();
    let changes = write([("apps/a.yaml", "a: 2\n")]);
    let first = world.repo.commit(world.base, &changes, words("x", &bot)).unwrap();
    assert_eq!(world.repo.commit(world.base, &changes, words("x", &bot)).unwrap(), first);
    let info = world.repo.commit_info(first).unwrap();
    assert_eq!((info.parents, info.message.as_str(), info.author), (vec![world.base], "x\n", bot));
    assert_eq!(world.repo.changed_paths(world.base, first).unwrap(), ["apps/a.yaml"]);
}

#[test]
fn a_commit_that_changes_nothing_is_not_made() {
    let world = world();
    let bot = Person::bot();
    for changes in [write([("apps/a.yaml", "a: 1\n")]), BTreeMap::new()] {
        let error = world.repo.commit(world.base, &changes, words("x", &bot)).unwrap_err();
        assert!(matches!(error, Error::NothingChanged { .. }), "{error}");
    }
}

#[rstest]
#[case::link("link.yaml", "symbolic link")]
#[case::folder("apps", "folder")]
#[case::git(".git/config", "out of the repository")]
#[case::git_in_other_letters("a/.GIT/config", "out of the repository")]
#[case::parent("../a.yaml", "out of the repository")]
#[case::inner_parent("apps/../../a.yaml", "out of the repository")]
#[case::root("/etc/passwd", "out of the repository")]
#[case::nothing("", "empty")]
#[case::null("a\0b", "character")]
fn a_path_that_is_no_file_of_the_repository_is_refused(#[case] path: &str, #[case] why: &str) {
    let world = world();
    let bot = Person::bot();
    let error = world.repo.commit(world.base, &write([(path, "x")]), words("x", &bot)).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn histories_are_merged_by_content_and_conflicts_are_named() {
    let world = world();
    let bot = Person::bot();
    let commit = |files| world.repo.commit(world.base, &write(files), words("x", &bot)).unwrap();
    let (ours, theirs) = (commit([("apps/a.yaml", "a: 2\n")]), commit([("new.yaml", "n: 1\n")]));
    let Merged::Tree(tree) = world.repo.merge_trees(ours, theirs).unwrap() else { panic!("no conflict") };
    let merged = world.repo.commit_tree(tree, &[ours, theirs], words("merge", &bot)).unwrap();
    assert_eq!(world.repo.read_file(merged, "apps/a.yaml", 100).unwrap().unwrap(), b"a: 2\n");
    assert_eq!(world.repo.read_file(merged, "new.yaml", 100).unwrap().unwrap(), b"n: 1\n");
    assert!(
        world.repo.is_ancestor(theirs, merged).unwrap() && !world.repo.is_ancestor(theirs, ours).unwrap()
    );
    let other = commit([("apps/a.yaml", "a: 3\n")]);
    assert_eq!(
        world.repo.merge_trees(ours, other).unwrap(),
        Merged::Conflicts(vec!["apps/a.yaml".to_owned()])
    );
}

#[test]
fn reads_are_bounded() {
    let world = world();
    assert!(matches!(world.repo.read_file(world.base, "apps/a.yaml", 3), Err(Error::TooLarge { .. })));
    assert!(matches!(world.repo.files(world.base, "", 2), Err(Error::TooLarge { .. })));
    assert_eq!(
        world.repo.files(world.base, "apps", 2).unwrap().into_keys().collect::<Vec<_>>(),
        ["apps/a.yaml", "apps/run.sh"]
    );
    assert_eq!(world.repo.read_file(world.base, "none", 3).unwrap(), None);
}

#[test]
fn a_folder_that_is_no_repository_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = WriteRepo::open(folder.path(), Remote::own()).unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }), "{error}");
    let error = WriteRepo::open(&folder.path().join("none"), Remote::own()).unwrap_err();
    assert!(matches!(error, Error::NoRepository { .. }), "{error}");
}

#[test]
fn a_partial_clone_says_what_to_do() {
    let world = world();
    world.git.run(["config", "core.repositoryformatversion", "1"]);
    world.git.run(["config", "extensions.partialClone", "origin"]);
    let error = WriteRepo::open(world.git.dir(), Remote::own()).unwrap_err();
    assert!(error.hint().unwrap().contains("partial clone"), "{error:?}");
}
