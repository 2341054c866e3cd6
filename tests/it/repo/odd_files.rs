//! What is not a file to read, or only with care.

use super::*;

#[test]
fn submodules_and_nested_repositories_are_not_entered() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n");
    let head = git.commit_all("Start");
    git.run(["update-index", "--add", "--cacheinfo", &format!("160000,{head},themes/sub")]);
    git.run(["commit", "--quiet", "--message", "Add a submodule"]);
    git.write("themes/sub/in-submodule.yaml", "s: 1\n");
    Git::init(git.dir().join("nested")).write("n.yaml", "n: 1\n").commit_all("Nested");
    git.write("linked/.git", "gitdir: /nowhere\n").write("linked/l.yaml", "l: 1\n");

    let outcome = read(git.dir());
    assert_eq!(outcome.paths(), ["a.yaml"]);
    insta::assert_snapshot!(outcome.complaints().join("\n"), @r"
    linked: not entered: another repository; what it holds is read by running on that repository
    nested: not entered: another repository; what it holds is read by running on that repository
    themes/sub: not entered: a submodule; what it holds is read by running on that repository
    ");
    assert_eq!(outcome.listing.skipped.repositories, 3);

    let committed = read_at(git.dir(), "HEAD");
    assert_eq!(committed.paths(), ["a.yaml"]);
    assert_eq!(committed.complaints().len(), 1, "{:?}", committed.complaints());

    let nested = read(&git.dir().join("nested"));
    assert_eq!(nested.paths(), ["n.yaml"], "asked for by itself, a nested repository is read");
}

#[test]
fn pipes_and_sockets_do_not_block() {
    let fixture = Fixture::new();
    fixture.git.write("a.yaml", "a: 1\n");
    rustix::fs::mkfifoat(rustix::fs::CWD, fixture.git.dir().join("pipe.yaml"), 0o644.into()).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(fixture.git.dir().join("s.yaml")).unwrap();
    let outcome = read(fixture.git.dir());
    assert_eq!(outcome.paths(), ["a.yaml"]);
    assert_eq!(outcome.listing.skipped.special, 2);
    insta::assert_snapshot!(outcome.complaints().join("\n"), @r"
    pipe.yaml: not read: a pipe, a socket or a device, not a file
    s.yaml: not read: a pipe, a socket or a device, not a file
    ");
}

#[test]
fn oversized_files_are_named_with_their_size_and_not_loaded() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").write("limit.yaml", vec![b'#'; 1000]).write("over.yaml", vec![b'#'; 1001]);
    git.commit_all("Start");
    broken::sparse(&git.dir().join("hundred.yaml"), 100 * 1024 * 1024);
    let options = yaml().max_size(1000);
    let disk = outcome(&open(git.dir(), None).unwrap(), &options);
    assert_eq!(disk.paths(), ["a.yaml", "limit.yaml"]);
    insta::assert_snapshot!(disk.complaints().join("\n"), @r"
    hundred.yaml: not read: 104857600 bytes, more than the limit of 1000; exclude it or make it smaller
    over.yaml: not read: 1001 bytes, more than the limit of 1000; exclude it or make it smaller
    ");
    let committed = outcome(&open(git.dir(), Some("HEAD")).unwrap(), &options);
    assert_eq!(committed.paths(), ["a.yaml", "limit.yaml"]);
    insta::assert_snapshot!(committed.complaints().join("\n"), @"over.yaml: not read: 1001 bytes, more than the limit of 1000; exclude it or make it smaller");
}

#[test]
fn files_that_together_are_too_large_are_not_all_read() {
    let fixture = Fixture::new();
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        fixture.git.write(name, vec![b'#'; 400]);
    }
    fixture.git.commit_all("Start");
    for rev in [None, Some("HEAD")] {
        let repo = open(fixture.git.dir(), rev).unwrap();
        let outcome = outcome(&repo, &yaml().max_total(1000));
        assert_eq!(outcome.files.len(), 2, "{rev:?}");
        assert_eq!(outcome.problems.len(), 1, "{rev:?}");
        let message = &outcome.problems[0].message;
        assert_eq!(
            message,
            "not read: the files together have more than 1000 bytes; exclude what need not be read"
        );
    }
}

#[test]
fn file_that_grows_or_shrinks_after_it_was_listed_is_read_within_the_bound() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    for name in [
        "deleted.yaml",
        "grows.yaml",
        "grows-too-far.yaml",
        "shrinks.yaml",
        "turns-into-a-link.yaml",
        "turns-into-a-pipe.yaml",
    ] {
        git.write(name, "a: 1\n");
    }
    std::fs::write(fixture.beside("secret.yaml"), "secret").unwrap();
    let repo = open(git.dir(), None).unwrap();
    let listing = repo.files(&yaml().max_size(1000)).unwrap();
    git.write("grows.yaml", vec![b'#'; 500])
        .write("grows-too-far.yaml", vec![b'#'; 2000])
        .write("shrinks.yaml", "");
    git.remove("deleted.yaml")
        .remove("turns-into-a-link.yaml")
        .link("turns-into-a-link.yaml", "../secret.yaml");
    git.remove("turns-into-a-pipe.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, git.dir().join("turns-into-a-pipe.yaml"), 0o644.into()).unwrap();

    let reading = repo.read_each(&listing, 2, |_, bytes| bytes.len());

    let sizes: Vec<_> = reading.files.iter().map(|(entry, size)| (entry.path.as_str(), *size)).collect();
    assert_eq!(sizes, [("grows.yaml", 500), ("shrinks.yaml", 0)]);
    let complaints: Vec<_> = reading.problems.iter().map(line).collect();
    assert_eq!(complaints.len(), 4);
    assert_eq!(complaints[0], "deleted.yaml: cannot read: it was deleted while the repository was read");
    assert_eq!(
        complaints[1],
        "grows-too-far.yaml: not read: 2000 bytes, more than the limit of 1000; exclude it or make it smaller"
    );
    assert!(complaints[2].starts_with("turns-into-a-link.yaml: cannot read: "), "{complaints:?}");
    assert_eq!(complaints[3], "turns-into-a-pipe.yaml: cannot read: not a regular file");
}

#[test]
fn file_that_may_not_be_read_is_a_problem_and_hides_nothing() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").write("b.yaml", "b: 1\n").write("closed/c.yaml", "c: 1\n");
    git.mode("b.yaml", 0o000).mode("closed", 0o000);
    // The superuser reads everything: then there is nothing to complain about, and nothing may be missing.
    let is_superuser = std::fs::File::open(git.dir().join("b.yaml")).is_ok();
    let outcome = read(git.dir());
    git.mode("closed", 0o755);
    if is_superuser {
        assert_eq!(outcome.paths(), ["a.yaml", "b.yaml", "closed/c.yaml"]);
    } else {
        assert_eq!(outcome.paths(), ["a.yaml"]);
        let complaints = outcome.complaints();
        assert_eq!(complaints[0], "b.yaml: cannot read: permission denied; allow this user to read it");
        assert!(
            complaints[1].starts_with("closed: cannot list the directory: Permission denied"),
            "{complaints:?}"
        );
    }
}

#[test]
fn lfs_pointers_and_locked_files_are_named_instead_of_parsed() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("pointer.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n");
    git.write("locked.yaml", b"\0GITCRYPT\0\x01\x02").write("version.yaml", "version: https://example.com\n");
    git.commit_all("Start");
    for outcome in [read(git.dir()), read_at(git.dir(), "HEAD")] {
        assert_eq!(outcome.paths(), ["version.yaml"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(outcome.complaints().join("\n"), @r"
            locked.yaml: not read: locked by git-crypt; unlock the repository
            pointer.yaml: not read: a Git LFS pointer, its content is not in the repository; run `git lfs pull`
            ");
        }
    }
}

#[test]
fn odd_names_are_read_or_named_and_cannot_forge_a_line() {
    use std::os::unix::ffi::OsStrExt as _;
    let fixture = Fixture::new();
    let git = &fixture.git;
    let bytes = |name: &'static [u8]| std::ffi::OsStr::from_bytes(name);
    git.write("line\nbreak.yaml", "a: 1\n").write("a b/ü 日.yaml", "b: 1\n").write("-rf.yaml", "c: 1\n");
    git.write("Case.yaml", "d: 1\n").write("case.yaml", "e: 1\n");
    git.write(bytes(b"bad-\xff.yaml"), "f: 1\n").write(bytes(b"bad-\xff.txt"), "g: 1\n");
    git.link("link\n.yaml", "nowhere\n");
    git.commit_all("Start");
    for outcome in [read(git.dir()), read_at(git.dir(), "HEAD")] {
        assert_eq!(
            outcome.paths(),
            ["-rf.yaml", "Case.yaml", "a b/ü 日.yaml", "case.yaml", "line\nbreak.yaml"]
        );
        assert!(outcome.problems.iter().all(|problem| !problem.message.contains(char::is_control)));
        assert_eq!(
            outcome.complaints(),
            [
                "bad-\u{fffd}.yaml: not read: the name is not UTF-8; rename it",
                "link\n.yaml: not followed: a link to a file that does not exist",
            ]
        );
    }
}

#[test]
fn deeply_nested_directories_end_at_a_bound() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    let deep = vec!["d"; 1000].join("/");
    git.write(format!("{deep}/x.yaml"), "x: 1\n");
    git.write(format!("{}/y.yaml", &deep[..2 * 200]), "y: 1\n");
    git.commit_all("Start");
    let cut = &deep[..2 * 257 - 1];
    for outcome in [read(git.dir()), read_at(git.dir(), "HEAD")] {
        assert_eq!(outcome.files.len(), 1, "{:?}", outcome.paths());
        assert_eq!(
            outcome.complaints(),
            [format!("{cut}: not entered: nested more than 256 directories deep")]
        );
        assert!(!outcome.revision.unwrap().ends_with("-dirty"), "what is not entered is not missing");
    }
}

#[test]
fn hundred_thousand_files_are_listed_and_read() {
    let fixture = Fixture::new();
    let mut stream = String::from(
        "blob\nmark :1\ndata 5\na: 1\n\ncommit refs/heads/main\nmark :2\ncommitter T <t@example.com> 0 +0000\ndata 5\nStart\n",
    );
    for number in 0..100_000 {
        stream.push_str(&format!("M 100644 :1 apps/{}/{number}.yaml\n", number % 100));
    }
    fixture.git.run_with(["fast-import", "--quiet"], stream.as_bytes());
    let repo = open(fixture.git.dir(), Some("main")).unwrap();
    let listing = repo.files(&yaml()).unwrap();
    let reading = repo.read_each(&listing, 2, |_, bytes| bytes.len());
    assert_eq!(reading.files.len(), 100_000);
    assert!(reading.files.iter().all(|(_, size)| *size == 5));
}

#[test]
fn tree_with_names_that_point_elsewhere_is_read_without_them() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").commit_all("Start");
    let blob = git.run(["rev-parse", "HEAD:a.yaml"]);
    let id: Vec<u8> =
        (0..20).map(|byte| u8::from_str_radix(&blob[2 * byte..2 * byte + 2], 16).unwrap()).collect();
    let mut tree = Vec::new();
    for name in ["..", ".git", "a.yaml", "sub/../../x.yaml"] {
        tree.extend_from_slice(format!("100644 {name}\0").as_bytes());
        tree.extend_from_slice(&id);
    }
    let tree = git.run_with(["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &tree);
    let commit = git.run(["commit-tree", &tree, "-m", "Hostile"]);

    let outcome = read_at(git.dir(), &commit);

    assert_eq!(outcome.paths(), ["a.yaml"]);
    assert_eq!(outcome.complaints().len(), 3, "{:?}", outcome.complaints());
}
