//! What Git ignores, and what the user excludes.

use super::*;

#[test]
fn ignored_files_are_left_out_as_git_leaves_them_out() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    git.write(".gitignore", "*.tmp.yaml\n/build/\nvendor\n!keep.tmp.yaml\nsecret/*\n!secret/public.yaml\n");
    git.write("apps/.gitignore", "local.yaml\n!x.tmp.yaml\n/only-here.yaml\n");
    git.write("tracked.tmp.yaml", "t: 1\n").write("build/tracked.yaml", "t: 1\n");
    git.run(["add", "--force", "."]);
    git.run(["commit", "--quiet", "--message", "Start"]);
    for path in [
        "a.tmp.yaml",
        "keep.tmp.yaml",
        "build/out.yaml",
        "build/deep/out.yaml",
        "sub/build/in.yaml",
        "vendor/v.yaml",
        "sub/vendor/v.yaml",
        "apps/local.yaml",
        "local.yaml",
        "apps/x.tmp.yaml",
        "apps/y.tmp.yaml",
        "apps/deep/local.yaml",
        "apps/only-here.yaml",
        "apps/deep/only-here.yaml",
        "secret/key.yaml",
        "secret/public.yaml",
        "by-info.yaml",
    ] {
        git.write(path, "u: 1\n");
    }
    std::fs::write(git.dir().join(".git/info/exclude"), "by-info.yaml\n").unwrap();

    // What Git itself would show is the measure.
    let shown = git.run(["ls-files", "--cached", "--others", "--exclude-standard", "*.yaml"]);
    let mut expected: Vec<_> = shown.lines().collect();
    expected.sort_unstable();
    let outcome = read(git.dir());
    assert_eq!(outcome.paths(), expected);
    for path in ["tracked.tmp.yaml", "build/tracked.yaml", "keep.tmp.yaml", "secret/public.yaml"] {
        assert!(outcome.paths().contains(&path), "{path}");
    }
    assert!(!outcome.paths().contains(&"by-info.yaml"));

    // The same when a part is read: the patterns of the directories above count.
    let apps = read(&git.dir().join("apps"));
    let expected: Vec<_> = expected.into_iter().filter(|path| path.starts_with("apps/")).collect();
    assert!(!expected.is_empty());
    assert_eq!(apps.paths(), expected);

    let all = outcome_of_all(git.dir());
    assert!(all.contains(&"vendor/v.yaml".to_owned()) && all.contains(&"by-info.yaml".to_owned()));
}

fn outcome_of_all(path: &Path) -> Vec<String> {
    let repo = open(path, None).unwrap();
    repo.files(&yaml().include_ignored(true)).unwrap().entries.into_iter().map(|entry| entry.path).collect()
}

#[test]
fn excludes_file_of_the_configuration_does_not_count() {
    let fixture = Fixture::new();
    fixture.git.write("a.yaml", "a: 1\n");
    fixture.git.commit_all("Start");
    let global = fixture.beside("global-ignore");
    std::fs::write(&global, "b.yaml\n").unwrap();
    fixture.git.run(["config", "core.excludesFile", global.to_str().unwrap()]);
    fixture.git.write("b.yaml", "b: 1\n");
    assert_eq!(read(fixture.git.dir()).paths(), ["a.yaml", "b.yaml"]);
}

#[test]
fn gitignore_that_is_huge_or_a_link_is_not_used() {
    let fixture = Fixture::new();
    fixture.git.write("a.yaml", "a: 1\n");
    fixture.git.commit_all("Start");
    std::fs::write(fixture.beside("outside"), "*.yaml\n").unwrap();
    fixture.git.link("one/.gitignore", fixture.beside("outside")).write("one/b.yaml", "b: 1\n");
    fixture.git.write("two/.gitignore", "c.yaml\n".repeat(200_000)).write("two/c.yaml", "c: 1\n");

    let outcome = read(fixture.git.dir());

    assert_eq!(outcome.paths(), ["a.yaml", "one/b.yaml", "two/c.yaml"]);
    let complaints = outcome.complaints();
    assert!(complaints[0].starts_with("one/.gitignore: its patterns are not used: "), "{complaints:?}");
    assert_eq!(complaints[1], "two/.gitignore: its patterns are not used: it has more than 1048576 bytes");
    assert_eq!(complaints.len(), 2);
}

#[test]
fn excluded_paths_are_left_out_of_disk_and_revision() {
    let fixture = Fixture::new();
    fixture
        .git
        .write("a.yaml", "")
        .write("charts/b.yaml", "")
        .write("apps/charts/c.yaml", "")
        .write("x.sops.yaml", "");
    let head = fixture.git.commit_all("Start");
    std::fs::remove_file(fixture.git.dir().join("charts/b.yaml")).unwrap();
    for rev in [None, Some("HEAD")] {
        let repo = open(fixture.git.dir(), rev).unwrap();
        let options = yaml().exclude(["charts", "*.sops.yaml"]).unwrap();
        let outcome = outcome(&repo, &options);
        assert_eq!(outcome.paths(), ["a.yaml"]);
        assert_eq!(outcome.revision.as_deref(), Some(&*head), "an excluded file does not count");
        assert_eq!(outcome.listing.skipped.excluded, 3);
    }
}
