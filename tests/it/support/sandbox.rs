//! Runs the built program where nothing of this machine can change the result.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::fake_cluster::FakeCluster;
use super::git::{self, Git};

/// What the program takes for now.
pub(crate) const NOW: &str = "2026-08-23T10:00:00Z";

/// A temporary home, cache and work folder. Removed when it is dropped.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    work: PathBuf,
    variables: Vec<(String, String)>,
}

impl Sandbox {
    /// An empty work folder that is not a repository.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The system's temporary folder may be a link; the program shows where it leads.
        let base = folder.path().canonicalize().unwrap();
        for name in ["home", "cache", "work"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        Self { work: base.join("work"), folder, variables: Vec::new() }
    }

    /// A copy of `testdata/flux-repos/<scenario>`, committed on `main` of a new Git repository.
    pub(crate) fn with_repo(scenario: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/flux-repos").join(scenario);
        assert!(source.is_dir(), "there is no scenario `{}`", source.display());
        let sandbox = Self::empty();
        let git = Git::init(&sandbox.work);
        copy(&source, &sandbox.work);
        git.commit_all("Start");
        sandbox
    }

    /// An empty Git repository as the work folder.
    pub(crate) fn with_empty_repo() -> Self {
        let sandbox = Self::empty();
        Git::init(&sandbox.work);
        sandbox
    }

    /// Sets a variable of the program's environment.
    #[must_use]
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the program ask this cluster, with the account of a token, where it is told to ask one.
    #[must_use]
    pub(crate) fn in_cluster(self, cluster: &FakeCluster, token: &str) -> Self {
        let kubeconfig = self.work.with_file_name("home").join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig(token)).unwrap();
        self.variable("KUBECONFIG", kubeconfig.to_str().unwrap())
    }

    /// Where the program runs.
    pub(crate) fn work(&self) -> &Path {
        &self.work
    }

    /// Where the program keeps what it may lose.
    pub(crate) fn cache(&self) -> PathBuf {
        self.work.with_file_name("cache")
    }

    /// The work folder's repository.
    pub(crate) fn git(&self) -> Git {
        Git::at(&self.work)
    }

    /// Writes a file of the work folder.
    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> &Self {
        self.git().write(path, bytes);
        self
    }

    /// The history of `rev`, drawn.
    pub(crate) fn git_graph(&self, rev: &str) -> String {
        self.git().graph(rev)
    }

    /// Runs the program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> CommandOutput {
        self.finish(self.command(arguments))
    }

    /// Runs a program that [`Sandbox::command`] made to its end.
    pub(crate) fn finish(&self, mut command: Command) -> CommandOutput {
        let output = command.output().unwrap();
        CommandOutput {
            exit_code: output.status.code().unwrap_or(-1),
            stdout: self.without_paths(&output.stdout),
            stderr: self.without_paths(&output.stderr),
        }
    }

    /// The program with its arguments, ready to be started.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let home = self.work.with_file_name("home");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitops-updater"));
        command.current_dir(&self.work).args(arguments);
        git::environment(&mut command, &home);
        command
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", self.cache())
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("TMPDIR", &home)
            .env("NO_PROXY", "*")
            .env("COLUMNS", "80")
            .env("NO_COLOR", "1")
            .env("GITOPS_UPDATER_NOW", NOW);
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// Text with the sandbox's own paths replaced, and with Unix line ends.
    fn without_paths(&self, bytes: &[u8]) -> String {
        let base = self.work.with_file_name("");
        let base = base.to_str().unwrap().trim_end_matches('/').to_owned();
        String::from_utf8_lossy(bytes)
            .replace(&*self.work.to_string_lossy(), "[work]")
            .replace(&*self.cache().to_string_lossy(), "[cache]")
            .replace(&base, "[sandbox]")
            .replace(&*self.folder.path().to_string_lossy(), "[sandbox]")
    }
}

/// What a run of the program came to.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandOutput {
    pub(crate) exit_code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandOutput {
    /// Standard output without its lines: what is said, however it is wrapped.
    pub(crate) fn said(&self) -> String {
        self.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("standard output is not JSON: {error}\n{self}"),
        }
    }

    /// Itself, after checking the exit code.
    #[track_caller]
    pub(crate) fn exited(self, code: i32) -> Self {
        assert_eq!(self.exit_code, code, "{self}");
        self
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "exit_code: {}", self.exit_code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(formatter, "----- {name} -----")?;
            formatter.write_str(text)?;
            if !text.is_empty() && !text.ends_with('\n') {
                writeln!(formatter, "[no line end]")?;
            }
        }
        Ok(())
    }
}

/// Copies a folder with everything below it; links stay links.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            // Not `fs::copy`: a read-only source must not make a read-only copy.
            std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

#[test]
fn output_shows_no_path_of_the_sandbox_and_says_where_a_line_end_is_missing() {
    let sandbox = Sandbox::empty();
    let text = format!("{}/a.yaml and {}/x", sandbox.work().display(), sandbox.cache().display());
    let output =
        CommandOutput { exit_code: 3, stdout: sandbox.without_paths(text.as_bytes()), stderr: String::new() };
    super::snapshot::snapshot!(output, @r"
    exit_code: 3
    ----- stdout -----
    [work]/a.yaml and [cache]/x[no line end]
    ----- stderr -----
    ");
}

#[test]
fn program_sees_nothing_of_this_machine() {
    let sandbox = Sandbox::empty().variable("EXTRA", "1");
    let command = sandbox.command(["--version"]);
    let names: Vec<_> =
        command.get_envs().filter_map(|(name, value)| value.map(|_| name.to_str().unwrap())).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    for wanted in ["HOME", "GIT_CONFIG_GLOBAL", "XDG_CACHE_HOME", "EXTRA", "GITOPS_UPDATER_NOW"] {
        assert!(names.contains(&wanted), "{wanted}");
    }
    for name in names {
        assert!(!name.to_ascii_lowercase().contains("token"), "{name}");
    }
}

#[test]
fn history_is_the_same_on_every_machine() {
    let sandbox = Sandbox::with_empty_repo();
    sandbox.write("a.yaml", "a: 1\n");
    sandbox.git().commit_all("Start");
    // The id itself, without filters: it holds the time, the person and the content.
    insta::assert_snapshot!(sandbox.git().head(), @"e714b3855b38c0df68071a800f3d2339fc09f908");
    super::snapshot::snapshot!(sandbox.git_graph("main"), @"* [commit] (HEAD -> main) Start");
}
