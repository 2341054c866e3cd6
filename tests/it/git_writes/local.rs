//! Refs of repositories on this machine.

use std::sync::Barrier;

use gitops_updater::repo::write::{Error, Id, Person, Pushed, RefUpdate, Remote, WriteRepo};

use super::{words, write};
use crate::support::git::Git;
use crate::support::snapshot::snapshot;

struct World {
    folder: tempfile::TempDir,
    git: Git,
    repo: WriteRepo,
    main: Id,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::init(folder.path().join("repo"));
    git.write("a.yaml", "a: 1\n").write("b.yaml", "b: 1\n");
    let main = git.commit_all("Start").parse().unwrap();
    let repo = WriteRepo::open(git.dir(), Remote::own()).unwrap();
    World { folder, git, repo, main }
}

impl World {
    fn commit(&self, base: Id, text: &str) -> Id {
        let bot = Person::bot();
        self.repo.commit(base, &write([("a.yaml", text)]), words("Change", &bot)).unwrap()
    }

    fn move_main(&self, new: Id) -> Result<Pushed, Error> {
        self.repo.push(&[RefUpdate::replace("refs/heads/main", Some(self.main), new)])
    }
}

#[test]
fn refs_of_the_repository_itself_move_together_or_not_at_all() {
    let world = world();
    let new = world.commit(world.main, "a: 2\n");
    let (x, y) = ("refs/heads/x", "refs/gitops-updater/y");
    assert_eq!(
        world.repo.push(&[RefUpdate::create(x, new), RefUpdate::create(y, new)]).unwrap(),
        Pushed::Moved
    );
    assert_eq!(world.repo.push(&[RefUpdate::create(x, new)]).unwrap(), Pushed::AlreadyThere);
    let other = world.commit(new, "a: 3\n");
    let error = world
        .repo
        .push(&[RefUpdate::replace(x, Some(new), other), RefUpdate::replace(y, Some(world.main), other)])
        .unwrap_err();
    assert!(matches!(&error, Error::Moved { name, .. } if name == y), "{error}");
    assert_eq!(world.repo.own_ref(x).unwrap(), Some(new), "the other one stayed");
    world.git.run(["pack-refs", "--all"]);
    world.repo.push(&[RefUpdate::delete(x, new), RefUpdate::replace(y, Some(new), other)]).unwrap();
    let refs = world.repo.refs().unwrap();
    assert_eq!((refs.branch("x"), refs.refs[y]), (None, other));
    assert_eq!(refs.default_branch.as_deref(), Some("main"));
    assert_eq!(world.git.run(["status", "--porcelain"]), "");
}

#[test]
fn objects_go_along_to_another_repository() {
    let world = world();
    let here = Git::at(world.folder.path());
    here.run(["init", "--quiet", "--bare", "--initial-branch=main", "bare.git"]);
    let bare = Git::at(world.folder.path().join("bare.git"));
    let repo = world.repo.with_remote(Remote::path(bare.dir())).unwrap();
    let new = world.commit(world.main, "a: 2\n");
    let bot = Person::bot();
    let tag = repo.tag(new, "b1", words("backup", &bot)).unwrap();
    repo.push(&[RefUpdate::create("refs/heads/main", world.main)]).unwrap();
    repo.push(&[RefUpdate::create("refs/gitops-updater/backups/b1", tag)]).unwrap();
    bare.run(["fsck", "--strict"]);
    assert_eq!(bare.run(["rev-list", "--count", "refs/gitops-updater/backups/b1"]), "2");
    // And back: what somebody else put there is fetched.
    let theirs = bare.run(["commit-tree", "-p", "main", "-m", "theirs", "main^{tree}"]);
    bare.run(["update-ref", "refs/heads/main", &theirs]);
    let theirs: Id = theirs.parse().unwrap();
    assert!(!repo.has(theirs));
    let refs = repo.fetch(|name| name == "refs/heads/main").unwrap();
    assert!(refs.branch("main") == Some(theirs) && repo.has(theirs));
    assert_eq!(world.git.run(["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn of_two_writers_at_once_one_wins_and_the_other_is_told() {
    let world = world();
    let name = "refs/gitops-updater/state";
    let candidates: Vec<Id> = (2..10).map(|n| world.commit(world.main, &format!("a: {n}\n"))).collect();
    let barrier = Barrier::new(candidates.len());
    let results: Vec<(Id, Result<Pushed, Error>)> = std::thread::scope(|scope| {
        let writers: Vec<_> = candidates
            .iter()
            .map(|new| {
                let (barrier, dir) = (&barrier, world.git.dir());
                scope.spawn(move || {
                    let repo = WriteRepo::open(dir, Remote::own()).unwrap();
                    barrier.wait();
                    (*new, repo.push(&[RefUpdate::create(name, *new)]))
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let winners: Vec<Id> = results.iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| *id).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert_eq!(world.repo.own_ref(name).unwrap(), Some(winners[0]));
    assert!(
        results.iter().filter_map(|(_, result)| result.as_ref().err()).all(Error::lost_race),
        "{results:?}"
    );
}

#[test]
fn a_clean_work_tree_follows_its_branch() {
    let world = world();
    world.git.write("untracked.txt", "mine\n");
    let new = world.commit(world.main, "a: 2\n");
    world.move_main(new).unwrap();
    assert_eq!(std::fs::read_to_string(world.git.dir().join("a.yaml")).unwrap(), "a: 2\n");
    assert_eq!(world.git.run(["status", "--porcelain"]), "?? untracked.txt");
    assert_eq!(world.git.head(), new.to_string());
}

#[test]
fn a_work_tree_with_changes_keeps_its_branch_where_it_is() {
    for (change, in_the_way) in
        [("edit", "a.yaml"), ("other", "b.yaml"), ("stage", "b.yaml"), ("untracked", "new")]
    {
        let world = world();
        let bot = Person::bot();
        let files = [("a.yaml", "a: 2\n"), ("new", "ours\n")];
        let new = world.repo.commit(world.main, &write(files), words("Change", &bot)).unwrap();
        match change {
            "edit" => world.git.write("a.yaml", "a: mine\n"),
            "untracked" => world.git.write("new", "mine\n"),
            _ => world.git.write("b.yaml", "b: mine\n"),
        };
        if change == "stage" {
            world.git.run(["add", "b.yaml"]);
        }
        let before = world.git.run(["status", "--porcelain"]);
        let error = world.move_main(new).unwrap_err();
        assert!(matches!(error, Error::CheckedOut { .. }) && error.hint().is_some(), "{change}: {error}");
        if change != "untracked" {
            assert!(error.to_string().contains(in_the_way), "{change}: {error}");
        }
        assert_eq!(world.git.head(), world.main.to_string());
        assert_eq!(world.git.run(["status", "--porcelain"]), before, "{change}");
    }
}

/// Killed after the files and before the ref.
#[test]
fn a_move_that_was_cut_off_is_finished_by_the_next_one() {
    let world = world();
    let new = world.commit(world.main, "a: 2\n");
    world.git.run(["read-tree", "-u", "-m", "HEAD", &new.to_string()]);
    assert_eq!(world.git.run(["status", "--porcelain"]), "M  a.yaml");
    world.move_main(new).unwrap();
    assert_eq!(world.git.run(["status", "--porcelain"]), "");
}

#[test]
fn linked_work_trees_count_too() {
    let world = world();
    world.git.run(["checkout", "--quiet", "-b", "elsewhere"]);
    world.git.run(["worktree", "add", "--quiet", "../linked", "main"]);
    let linked = Git::at(world.folder.path().join("linked"));
    let new = world.commit(world.main, "a: 2\n");
    linked.write("a.yaml", "a: mine\n");
    let error = world.move_main(new).unwrap_err();
    assert!(error.to_string().contains("linked"), "{error}");
    linked.write("a.yaml", "a: 1\n");
    world.move_main(new).unwrap();
    assert_eq!(linked.run(["status", "--porcelain"]), "");
    assert_eq!(std::fs::read_to_string(linked.dir().join("a.yaml")).unwrap(), "a: 2\n");
    let from_there = WriteRepo::open(linked.dir(), Remote::own()).unwrap();
    assert_eq!(from_there.refs().unwrap().branch("main"), Some(new));
    snapshot!(world.git.graph("main"), @r"
    * [commit] (main) Change
    * [commit] (HEAD -> elsewhere) Start
    ");
}

#[test]
fn base_is_never_a_branch_of_ours() {
    let world = world();
    world.git.run(["checkout", "--quiet", "-b", "gitops-updater/x"]);
    assert_eq!(world.repo.refs().unwrap().default_branch.as_deref(), Some("main"));
    world.git.run(["checkout", "--quiet", "--detach"]);
    assert_eq!(world.repo.refs().unwrap().default_branch.as_deref(), Some("main"));
    world.git.run(["branch", "--quiet", "-m", "main", "trunk"]);
    assert_eq!(world.repo.refs().unwrap().default_branch, None);
    world.git.run(["checkout", "--quiet", "trunk"]);
    assert_eq!(world.repo.refs().unwrap().default_branch.as_deref(), Some("trunk"));
}
