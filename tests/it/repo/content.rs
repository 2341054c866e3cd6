//! What is read, and which revision it is of.

use super::*;

#[test]
fn work_tree_is_what_is_on_disk() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("apps/b.yaml", "b: 1\n").write("apps/a.yml", "a: 1\n").write("README.md", "no");
    git.write("gone.yaml", "x: 1\n");
    let head = git.commit_all("Start");
    git.write("apps/b.yaml", "b: 2\n").write("new.yaml", "n: 1\n").remove("gone.yaml");

    let outcome = read(git.dir());

    let expected = [("apps/a.yml", "a: 1\n"), ("apps/b.yaml", "b: 2\n"), ("new.yaml", "n: 1\n")]
        .map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(outcome.files, expected);
    assert_eq!(outcome.revision, Some(format!("{head}-dirty")));
    assert_eq!(outcome.listing.skipped.deleted, 1);
    assert_eq!(outcome.listing.skipped.unwanted, 1);
    assert_eq!(outcome.complaints(), [""; 0]);
}

#[test]
fn revision_is_dirty_only_when_a_file_that_is_read_differs() {
    type Change = fn(&Git);
    let cases: [(&str, Change, bool); 15] = [
        ("nothing", |_| {}, false),
        (
            "touched",
            |git| {
                let file = std::fs::File::options().write(true).open(git.dir().join("a.yaml")).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            },
            false,
        ),
        (
            "same size, other text",
            |git| {
                git.write("a.yaml", "a: 2\n");
            },
            true,
        ),
        (
            "other size",
            |git| {
                git.write("a.yaml", "a: 22\n");
            },
            true,
        ),
        (
            "changed and changed back",
            |git| {
                git.write("a.yaml", "a: 2\n").write("a.yaml", "a: 1\n");
            },
            false,
        ),
        (
            "line ends turned by a checkout",
            |git| {
                git.write("a.yaml", "a: 1\r\n");
            },
            false,
        ),
        (
            "executable bit",
            |git| {
                git.mode("a.yaml", 0o755);
            },
            false,
        ),
        (
            "file that nobody reads",
            |git| {
                git.write("README.md", "changed");
            },
            false,
        ),
        (
            "untracked wanted file",
            |git| {
                git.write("new.yaml", "n: 1\n");
            },
            true,
        ),
        (
            "untracked ignored file",
            |git| {
                git.write("ignored.yaml", "i: 1\n");
            },
            false,
        ),
        (
            "deleted",
            |git| {
                git.remove("a.yaml");
            },
            true,
        ),
        (
            "staged",
            |git| {
                git.write("a.yaml", "a: 2\n").run(["add", "a.yaml"]);
            },
            true,
        ),
        (
            "staged deletion",
            |git| {
                git.run(["rm", "--quiet", "a.yaml"]);
            },
            true,
        ),
        (
            "staged file that nobody reads",
            |git| {
                git.write("README.md", "new").run(["add", "."]);
            },
            false,
        ),
        (
            "link turned elsewhere",
            |git| {
                git.remove("link.yaml").link("link.yaml", "README.md");
            },
            true,
        ),
    ];
    for (name, change, dirty) in cases {
        let fixture = Fixture::new();
        let git = &fixture.git;
        git.write("a.yaml", "a: 1\n").write("README.md", "no").write(".gitignore", "ignored.yaml\n");
        git.write("apps/b.yaml", "b: 1\n").link("link.yaml", "a.yaml");
        let head = git.commit_all("Start");
        change(git);
        let expected = if dirty { format!("{head}-dirty") } else { head };
        assert_eq!(read(git.dir()).revision, Some(expected), "{name}");
    }
}

#[test]
fn fresh_clone_and_copied_tree_are_clean() {
    let fixture = Fixture::new();
    fixture.git.write("a.yaml", "a: 1\n").write("apps/b.yaml", "b: 1\n");
    let head = fixture.git.commit_all("Start");
    fixture.git.run(["clone", "--quiet", ".", "../clone"]);
    crate::support::sandbox::copy(fixture.git.dir(), &fixture.beside("copy"));

    assert_eq!(read(&fixture.beside("clone")).revision, Some(head.clone()));
    assert_eq!(read(&fixture.beside("copy")).revision, Some(head));
}

#[test]
fn path_limits_what_is_read_and_names_stay_those_of_the_repository() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("apps/a.yaml", "a: 1\n").write("apps2/b.yaml", "b: 1\n").write("c.yaml", "c: 1\n");
    let head = git.commit_all("Start");
    git.write("c.yaml", "changed: elsewhere\n");

    for outcome in [read(&git.dir().join("apps")), read_at(&git.dir().join("apps"), "HEAD")] {
        assert_eq!(outcome.paths(), ["apps/a.yaml"]);
        assert_eq!(outcome.revision.as_deref(), Some(&*head), "a change elsewhere does not count");
    }
    for outcome in [read(&git.dir().join("apps/a.yaml")), read_at(&git.dir().join("apps/a.yaml"), "HEAD")] {
        assert_eq!(outcome.paths(), ["apps/a.yaml"]);
    }
}

#[test]
fn untracked_folder_is_read_as_plain_files() {
    let fixture = Fixture::new();
    fixture.git.write("a.yaml", "a: 1\n").write(".gitignore", "*.yaml\n").commit_all("Start");
    fixture.git.write("scratch/b.yaml", "b: 1\n");
    let plain = fixture.beside("plain");
    std::fs::create_dir_all(plain.join("deep")).unwrap();
    std::fs::write(plain.join("deep/c.yaml"), "c: 1\n").unwrap();

    let untracked = read(&fixture.git.dir().join("scratch"));
    assert_eq!((untracked.paths(), untracked.revision.clone()), (vec!["b.yaml"], None));

    let outcome = read(&plain);
    assert_eq!((outcome.paths(), outcome.revision.clone()), (vec!["deep/c.yaml"], None));
    let repo = open(&plain.join("deep/c.yaml"), None).unwrap();
    assert!(matches!(repo.location(), Location::Folder { .. }));
    assert_eq!(outcome_paths(&repo), ["c.yaml"]);
}

#[test]
fn repository_without_commits_is_read_from_disk() {
    let fixture = Fixture::new();
    fixture.git.write("a.yaml", "a: 1\n").write("b.yaml", "b: 1\n").write(".gitignore", "b.yaml\n");
    let outcome = read(fixture.git.dir());
    assert_eq!((outcome.paths(), outcome.revision.clone()), (vec!["a.yaml"], None));

    let error = open(fixture.git.dir(), Some("HEAD")).unwrap_err();
    assert!(matches!(error, Error::NoCommit { .. }), "{error:?}");
}

#[test]
fn results_come_in_order_and_each_file_is_made_once_on_any_number_of_threads() {
    let fixture = Fixture::new();
    for number in 0..500 {
        fixture.git.write(format!("apps/{}/{number}.yaml", number % 7), format!("number: {number}\n"));
    }
    fixture.git.commit_all("Start");
    for rev in [None, Some("HEAD")] {
        let repo = open(fixture.git.dir(), rev).unwrap();
        let listing = repo.files(&yaml()).unwrap();
        let mut sorted: Vec<_> = listing.entries.iter().map(|entry| entry.path.clone()).collect();
        sorted.sort();
        assert_eq!(sorted.len(), 500);
        for threads in [0, 1, 2, 7, 1000] {
            let calls = AtomicUsize::new(0);
            let reading = repo.read_each(&listing, threads, |entry, bytes| {
                calls.fetch_add(1, Ordering::Relaxed);
                (entry.path.clone(), bytes.to_vec())
            });
            assert_eq!(calls.into_inner(), 500);
            let paths: Vec<_> = reading.files.iter().map(|(entry, _)| entry.path.clone()).collect();
            assert_eq!(paths, sorted, "{threads} threads");
            for (entry, (path, bytes)) in &reading.files {
                let number = path.rsplit('/').next().unwrap().trim_end_matches(".yaml");
                assert_eq!(&entry.path, path);
                assert_eq!(bytes, format!("number: {number}\n").as_bytes());
            }
        }
    }
}
