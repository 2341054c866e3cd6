//! Kinds of repositories, and broken ones.

use super::*;

#[test]
fn sparse_checkout_is_no_deletion() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("apps/a.yaml", "a: 1\n").write("infra/b.yaml", "b: 1\n").write("infra/deep/c.yaml", "c: 1\n");
    let head = git.commit_all("Start");
    for sparse_index in ["--no-sparse-index", "--sparse-index"] {
        git.run(["sparse-checkout", "set", "--cone", sparse_index, "apps"]);
        let outcome = read(git.dir());
        assert_eq!(outcome.paths(), ["apps/a.yaml"], "{sparse_index}");
        assert_eq!(outcome.revision.as_deref(), Some(&*head), "{sparse_index}");
        assert_eq!(outcome.notices().len(), 1, "{sparse_index}: {:?}", outcome.notices());
        assert!(outcome.notices()[0].starts_with("-: the sparse checkout leaves out "), "{sparse_index}");
        assert_eq!(read_at(git.dir(), "HEAD").paths().len(), 3, "{sparse_index}");
    }
}

#[test]
fn bare_repository_is_read_at_head_or_at_a_revision() {
    let fixture = Fixture::new();
    fixture.git.write("a.yaml", "a: 1\n");
    let first = fixture.git.commit_all("Start");
    fixture.git.write("a.yaml", "a: 2\n");
    let second = fixture.git.commit_all("Go on");
    fixture.git.run(["clone", "--quiet", "--bare", ".", "../bare.git"]);
    let bare = fixture.beside("bare.git");

    let outcome = read(&bare);
    assert_eq!(outcome.files, [("a.yaml".to_owned(), "a: 2\n".to_owned())]);
    assert_eq!(outcome.revision, Some(second));
    let outcome = read_at(&bare, "HEAD~1");
    assert_eq!(outcome.files, [("a.yaml".to_owned(), "a: 1\n".to_owned())]);
    assert_eq!(outcome.revision, Some(first));

    fixture.git.run(["init", "--quiet", "--bare", "../empty.git"]);
    let error = open(&fixture.beside("empty.git"), None).unwrap_err();
    assert!(error.to_string().ends_with("it is a repository without any commit"), "{error}");
}

#[test]
fn every_way_to_name_a_commit_leads_to_it() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n");
    let first = git.commit_all("Start");
    git.run(["tag", "light"]);
    git.run(["tag", "--annotate", "--message", "One", "v1.0.0"]);
    git.run(["branch", "feature/x"]);
    git.write("a.yaml", "a: 2\n");
    git.commit_all("Go on");
    for rev in [&*first, &first[..8], "light", "v1.0.0", "feature/x", "refs/tags/v1.0.0", "HEAD~1", "main^"] {
        assert_eq!(read_at(git.dir(), rev).revision.as_deref(), Some(&*first), "{rev}");
    }
    let tree = git.run(["rev-parse", "HEAD^{tree}"]);
    for rev in ["nothing", "", "HEAD~9", "deadbeef", "v1..v2", "--all", "a\nb", &tree] {
        let error = open(git.dir(), Some(rev)).unwrap_err();
        let shown = rev.replace('\n', "\\n");
        assert!(
            error.to_string().starts_with(&format!("cannot find a commit named `{shown}` in ")),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some(), "{rev}");
    }
}

#[test]
fn path_that_is_gone_is_still_read_in_an_older_revision() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("old/apps/a.yaml", "a: 1\n").write("b.yaml", "b: 1\n").commit_all("Start");
    git.run(["rm", "-r", "--quiet", "old"]);
    git.commit_all("Remove");
    assert_eq!(read_at(&git.dir().join("old/apps"), "HEAD~1").paths(), ["old/apps/a.yaml"]);
    let error = open(&git.dir().join("old/apps"), Some("HEAD")).unwrap_err();
    assert_eq!(error.to_string(), "cannot find `old/apps` in revision `HEAD`");
    assert!(matches!(open(&git.dir().join("old/apps"), None), Err(Error::Path { .. })));
    let error = open(fixture.folder.path(), Some("HEAD")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read revision `HEAD` of "), "{error}");
    assert!(matches!(open(&fixture.beside("nowhere"), None), Err(Error::Path { .. })));
}

#[test]
fn shallow_clone_linked_work_tree_and_packed_repository_are_read() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").commit_all("Start");
    git.write("a.yaml", "a: 2\n").write("apps/b.yaml", "b: 1\n");
    let head = git.commit_all("Go on");
    let url = format!("file://{}", git.dir().display());
    git.run(["clone", "--quiet", "--depth=1", &url, "../shallow"]);
    git.run(["worktree", "add", "--quiet", "--detach", "../linked"]);
    git.run(["gc", "--quiet"]);
    for path in [fixture.beside("shallow"), fixture.beside("linked"), git.dir().to_owned()] {
        for outcome in [read(&path), read_at(&path, "HEAD")] {
            assert_eq!(outcome.paths(), ["a.yaml", "apps/b.yaml"], "{}", path.display());
            assert_eq!(outcome.revision.as_deref(), Some(&*head), "{}", path.display());
        }
    }
    assert!(matches!(open(&fixture.beside("shallow"), Some("HEAD~1")), Err(Error::Revision { .. })));
}

#[test]
fn repository_with_sha256_objects_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::at(folder.path());
    git.run(["init", "--quiet", "--object-format=sha256"]);
    git.write("a.yaml", "a: 1\n").commit_all("Start");
    let error = open(folder.path(), None).unwrap_err();
    let expected = format!(
        "cannot read `{}`: its objects are named by sha256, only sha1 is supported",
        folder.path().display()
    );
    assert_eq!(error.to_string(), expected, "{}", chain(&error));
}

#[test]
fn damaged_repositories_give_problems_and_errors_not_panics() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n")
        .write("b.yaml", "b: 1\n")
        .write("ignored.yaml", "i: 1\n")
        .write(".gitignore", "ignored.yaml\n");
    git.commit_all("Start");
    let blob = git.run(["rev-parse", "HEAD:b.yaml"]);
    let object = git.dir().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(&object).unwrap();
    let outcome = read_at(git.dir(), "HEAD");
    assert_eq!(outcome.paths(), ["a.yaml"]);
    assert!(
        outcome.complaints()[0].starts_with("b.yaml: cannot read the git object: "),
        "{:?}",
        outcome.complaints()
    );

    std::fs::write(git.dir().join(".git/index"), b"DIRC\0\0\0\x02\xff\xff\xff\xff garbage").unwrap();
    let outcome = read(git.dir());
    assert_eq!(outcome.paths(), ["a.yaml", "b.yaml"]);
    assert!(
        outcome.complaints()[0].starts_with(".git/index: cannot read the index: "),
        "{:?}",
        outcome.complaints()
    );
    assert!(outcome.revision.unwrap().ends_with("-dirty"), "nobody can say that nothing changed");

    for (file, content) in [(".git/HEAD", "ref: refs/heads/../../x\n"), (".git/config", "[core\nbroken")] {
        std::fs::write(git.dir().join(file), content).unwrap();
        // Whichever it is: an error with a cause, or the files on disk.
        match open(git.dir(), None) {
            Ok(repo) => assert_eq!(outcome_paths(&repo).len(), 2),
            Err(error) => assert!(std::error::Error::source(&error).is_some(), "{error}"),
        }
    }
}

#[test]
fn no_program_named_by_the_repository_is_run() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").commit_all("Start");
    let mark = fixture.beside("was-run");
    let script = fixture.beside("script");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\ncat\n", mark.display())).unwrap();
    Git::at(fixture.folder.path()).mode("script", 0o755);
    let script = script.to_str().unwrap();
    for key in [
        "filter.x.smudge",
        "filter.x.clean",
        "filter.x.process",
        "diff.x.textconv",
        "core.fsmonitor",
        "core.hooksPath",
        "core.sshCommand",
        "core.pager",
        "credential.helper",
    ] {
        git.run(["config", key, script]);
    }
    git.write(".gitattributes", "*.yaml filter=x diff=x\n").write("a.yaml", "a: 2\n");

    let outcome = read(git.dir());
    assert_eq!(outcome.files[0].1, "a: 2\n");
    assert_eq!(read_at(git.dir(), "HEAD").files[0].1, "a: 1\n");
    assert!(!mark.exists());
    // The trap works: Git itself does run it.
    let _ = git.run(["status", "--short"]);
    assert!(mark.exists());
}

/// As in a container whose volume belongs to another user. Only the superuser can make such a
/// repository, so elsewhere this is the plain case once more.
#[test]
fn repository_of_somebody_else_is_read_all_the_same() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").write(".gitignore", "b.yaml\n");
    let head = git.commit_all("Start");
    git.write("b.yaml", "b: 1\n");
    let nobody = rustix::fs::Uid::from_raw(65534);
    for path in [git.dir().join(".git"), git.dir().join(".git/config"), git.dir().to_owned()] {
        if rustix::fs::chown(&path, Some(nobody), None).is_err() {
            break;
        }
    }
    for outcome in [read(git.dir()), read_at(git.dir(), "HEAD")] {
        assert_eq!(outcome.paths(), ["a.yaml"]);
        assert_eq!(outcome.revision.as_deref(), Some(&*head));
        assert_eq!(outcome.complaints(), [""; 0]);
    }
}

#[test]
fn work_tree_named_by_the_configuration_must_hold_the_path() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").commit_all("Start");
    let elsewhere = fixture.beside("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("a.yaml"), "secret").unwrap();
    git.run(["config", "core.worktree", elsewhere.to_str().unwrap()]);
    let outcome = read(git.dir());
    assert!(outcome.files.iter().all(|(_, text)| text == "a: 1\n"), "{:?}", outcome.files);
    assert_eq!(outcome.files.len(), 1);
}

#[test]
fn unfinished_merge_is_read_as_it_lies_on_disk() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write("a.yaml", "a: 1\n").commit_all("Start");
    git.run(["branch", "other"]);
    git.write("a.yaml", "a: 2\n").commit_all("Two");
    git.run(["checkout", "--quiet", "other"]);
    git.write("a.yaml", "a: 3\n").commit_all("Three");
    git.run(["-c", "merge.conflictStyle=merge", "read-tree", "-m", "HEAD~1", "HEAD", "main"]);
    git.write("a.yaml", "<<<<<<< HEAD\na: 3\n=======\na: 2\n>>>>>>> main\n");
    let outcome = read(git.dir());
    assert_eq!(outcome.paths(), ["a.yaml"]);
    assert!(outcome.revision.unwrap().ends_with("-dirty"));
}

#[test]
fn broken_files_are_handed_over_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    broken::write_all(folder.path());
    let repo = open(folder.path(), None).unwrap();
    let listing = repo.files(&ReadOptions::default()).unwrap();
    let reading = repo.read_each(&listing, 2, |_, bytes| bytes.to_vec());
    let read: BTreeMap<_, _> = reading.files.into_iter().map(|(entry, bytes)| (entry.path, bytes)).collect();
    for broken in broken::all() {
        assert!(read.get(broken.name) == Some(&broken.bytes), "{}", broken.name);
    }
    assert_eq!(read.len(), broken::all().len());
    assert_eq!(
        listing.problems.iter().map(line).collect::<Vec<_>>(),
        [
            "hundred-megabytes.yaml: not read: 104857600 bytes, more than the limit of 10485760; exclude it or make it smaller"
        ]
    );
}
