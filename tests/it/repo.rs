//! Reading real repositories, with everything in them that real repositories and hostile ones have.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use gitops_updater::domain::problem::Problem;
use gitops_updater::repo::{Error, Listing, Location, ReadOptions, Repo, open};

use crate::support::broken;
use crate::support::git::Git;

/// A repository in a temporary folder of its own.
struct Fixture {
    folder: tempfile::TempDir,
    git: Git,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::init(folder.path().join("tree"));
        Self { folder, git }
    }

    fn beside(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn yaml() -> ReadOptions {
    ReadOptions::new(|path| path.ends_with(".yaml") || path.ends_with(".yml"))
}

/// What reading comes to: content by path, in order, the problems of both steps, and the revision.
struct Outcome {
    files: Vec<(String, String)>,
    listing: Listing,
    problems: Vec<Problem>,
    revision: Option<String>,
}

impl Outcome {
    fn paths(&self) -> Vec<&str> {
        self.files.iter().map(|(path, _)| path.as_str()).collect()
    }

    /// `file: message`, sorted.
    fn complaints(&self) -> Vec<String> {
        self.problems.iter().map(line).collect()
    }

    fn notices(&self) -> Vec<String> {
        self.listing.notices.iter().map(line).collect()
    }
}

fn line(problem: &Problem) -> String {
    format!("{}: {}", problem.file.as_deref().unwrap_or("-"), problem.message)
}

fn outcome(repo: &Repo, options: &ReadOptions) -> Outcome {
    let listing = repo.files(options).unwrap();
    let reading = repo.read_each(&listing, 2, |entry, bytes| {
        (entry.path.clone(), String::from_utf8_lossy(bytes).into_owned())
    });
    let mut problems = listing.problems.clone();
    problems.extend(reading.problems);
    problems.sort();
    let revision = repo.revision(&listing);
    Outcome { files: reading.files.into_iter().map(|(_, file)| file).collect(), listing, problems, revision }
}

#[track_caller]
fn read(path: &Path) -> Outcome {
    outcome(&open(path, None).unwrap(), &yaml())
}

#[track_caller]
fn read_at(path: &Path, rev: &str) -> Outcome {
    outcome(&open(path, Some(rev)).unwrap(), &yaml())
}

/// The error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(" <- {error}"));
        source = error.source();
    }
    text
}

// --- what is read ---------------------------------------------------------------------------------

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

fn outcome_paths(repo: &Repo) -> Vec<String> {
    repo.files(&yaml()).unwrap().entries.into_iter().map(|entry| entry.path).collect()
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

// --- what Git ignores -----------------------------------------------------------------------------

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

// --- links ----------------------------------------------------------------------------------------

/// The same links in a work tree and in a commit.
#[test]
fn links_are_read_once_by_their_target_and_never_out_of_the_tree() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    std::fs::write(fixture.beside("secret.yaml"), "secret: outside\n").unwrap();
    std::fs::create_dir(fixture.beside("folder")).unwrap();
    std::fs::write(fixture.beside("folder/secret.yaml"), "secret: outside\n").unwrap();
    git.write("base/release.yaml", "r: 1\n").write("base/text.txt", "t: 1\n");
    git.link("apps/same.yaml", "../base/release.yaml").link("apps/again.yaml", "same.yaml");
    git.link("apps/as-yaml.yaml", "../base/text.txt").link("apps/folder", "../base");
    git.link("apps/out.yaml", "../../secret.yaml").link("apps/absolute.yaml", fixture.beside("secret.yaml"));
    git.link("apps/out-folder", "../../folder").link("apps/through.yaml", "out-folder/secret.yaml");
    git.link("apps/one.yaml", "two.yaml").link("apps/two.yaml", "one.yaml").link("apps/here", ".");
    git.link("apps/gone.yaml", "nowhere.yaml").link("apps/config.yaml", "../.git/config");
    git.link("README", "/usr/share/doc");
    git.commit_all("Start");

    for outcome in [read(git.dir()), read_at(git.dir(), "HEAD")] {
        assert_eq!(outcome.paths(), ["base/release.yaml", "base/text.txt"]);
        assert!(outcome.files.iter().all(|(_, text)| !text.contains("secret")));
        let expected: BTreeMap<_, _> = [
            ("apps/again.yaml", "base/release.yaml"),
            ("apps/as-yaml.yaml", "base/text.txt"),
            ("apps/folder", "base"),
            ("apps/here", "apps"),
            ("apps/same.yaml", "base/release.yaml"),
        ]
        .map(|(link, target)| (link.to_owned(), target.to_owned()))
        .into();
        assert_eq!(outcome.listing.links, expected);
        insta::allow_duplicates! {
            insta::assert_snapshot!(outcome.complaints().join("\n"), @r"
            apps/absolute.yaml: not followed: a link out of the repository
            apps/config.yaml: not followed: a link out of the repository
            apps/gone.yaml: not followed: a link to a file that does not exist
            apps/one.yaml: not followed: a link that leads back to itself
            apps/out.yaml: not followed: a link out of the repository
            apps/through.yaml: not followed: a link out of the repository
            apps/two.yaml: not followed: a link that leads back to itself
            ");
            insta::assert_snapshot!(outcome.notices().join("\n"), @r"
            README: not followed: a link out of the repository
            apps/folder: not followed: a link to a directory; its files are read as `base`
            apps/here: not followed: a link to a directory; its files are read as `apps`
            apps/out-folder: not followed: a link out of the repository
            ");
        }
    }
}

#[test]
fn link_to_an_ignored_file_does_not_read_it() {
    let fixture = Fixture::new();
    fixture.git.write(".gitignore", "secret/\n").link("a.yaml", "secret/key.yaml");
    fixture.git.commit_all("Start");
    fixture.git.write("secret/key.yaml", "key: 1\n");
    assert_eq!(read(fixture.git.dir()).paths(), [""; 0]);
}

#[test]
fn single_file_is_read_through_links_within_the_tree_only() {
    let fixture = Fixture::new();
    std::fs::write(fixture.beside("secret.yaml"), "secret").unwrap();
    fixture.git.write("base/a.yaml", "a: 1\n").link("link.yaml", "base/a.yaml").link("folder", "base");
    fixture.git.link("out.yaml", "../secret.yaml").write("big.yaml", vec![b'#'; 11 * 1024 * 1024]);
    fixture.git.commit_all("Start");
    for rev in [None, Some("HEAD")] {
        let repo = open(fixture.git.dir(), rev).unwrap();
        for path in ["base/a.yaml", "link.yaml", "folder/a.yaml", "./base/../link.yaml"] {
            assert_eq!(repo.read(path).unwrap(), b"a: 1\n", "{path}");
        }
        for (path, message) in [
            ("out.yaml", "cannot read `out.yaml`: it is not a path within the repository"),
            ("../secret.yaml", "cannot read `../secret.yaml`: it is not a path within the repository"),
            ("/etc/passwd", "cannot read `/etc/passwd`: it is not a path within the repository"),
            (".git/config", "cannot read `.git/config`: it is not a path within the repository"),
            (".GIT/config", "cannot read `.GIT/config`: it is not a path within the repository"),
            ("base", "cannot read `base`: it is not a file"),
            ("base/none.yaml", "cannot find `base/none.yaml`"),
            ("base/a.yaml/b", "cannot find `base/a.yaml/b`"),
            ("big.yaml", "cannot read `big.yaml`: it has more than 10485760 bytes"),
        ] {
            assert_eq!(repo.read(path).unwrap_err().to_string(), message);
        }
    }
}

// --- what is not a file to read -------------------------------------------------------------------

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

// --- kinds of repositories ------------------------------------------------------------------------

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
