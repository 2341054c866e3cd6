//! Real Git repositories in temporary folders, the same on every machine.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// When every commit of the tests is made.
pub(crate) const COMMIT_TIME: &str = "2026-01-02T03:04:05Z";

/// A work tree (or a bare repository) and the `git` program.
pub(crate) struct Git {
    dir: PathBuf,
}

impl Git {
    /// An empty repository with the branch `main`, in `dir`, which is made.
    pub(crate) fn init(dir: impl Into<PathBuf>) -> Self {
        let git = Self::at(dir);
        std::fs::create_dir_all(&git.dir).unwrap();
        git.run(["init", "--quiet", "--initial-branch=main"]);
        git
    }

    /// The repository in `dir`, as it is.
    pub(crate) fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs `git`, which must succeed, and returns what it printed, without the last line end.
    #[track_caller]
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        let output = self.command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git failed: {errors}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs `git` with `input`, which must succeed.
    #[track_caller]
    pub(crate) fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> String {
        let output = self.feed(arguments, input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git failed: {errors}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn feed<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Output {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(program());
        command.current_dir(&self.dir).args(arguments);
        environment(&mut command, &self.dir);
        short_lived(&mut command);
        command
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    /// Makes a symbolic link at `path` with the text `target`.
    pub(crate) fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> &Self {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    pub(crate) fn remove(&self, path: impl AsRef<Path>) -> &Self {
        std::fs::remove_file(self.dir.join(path)).unwrap();
        self
    }

    pub(crate) fn mode(&self, path: impl AsRef<Path>, mode: u32) -> &Self {
        std::fs::set_permissions(self.dir.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Commits all that is there and returns the commit's id.
    #[track_caller]
    pub(crate) fn commit_all(&self, message: &str) -> String {
        self.run(["add", "--all"]);
        self.run(["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    #[track_caller]
    pub(crate) fn head(&self) -> String {
        self.run(["rev-parse", "HEAD"])
    }

    /// The history of `rev`, one line a commit, newest first, as it is drawn by Git.
    #[track_caller]
    pub(crate) fn graph(&self, rev: &str) -> String {
        let drawn =
            self.run(["log", "--graph", "--format=%h%d %s", "--decorate-refs-exclude=refs/remotes/*", rev]);
        drawn.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

/// Where `git` is. A process is started by `fork` where its name has to be looked up in the `PATH` that it is given, which
/// takes this large program several times as long as `posix_spawn`.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&folders).map(|folder| folder.join("git")).find(|path| path.is_file());
        found.expect("git is needed, and not in PATH")
    })
}

/// What answers Git over HTTP, without the `git` in front of it that only starts it.
pub(crate) fn http_backend_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let output = Command::new(program()).arg("--exec-path").output().unwrap();
        Path::new(String::from_utf8(output.stdout).unwrap().trim_end()).join("git-http-backend")
    })
}

/// Repositories of tests live for a second: nothing is packed for later, and nothing has to outlast a power failure.
pub(crate) fn short_lived(command: &mut Command) {
    let settings = [
        ("core.fsync", "none"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        ("receive.autogc", "false"),
    ];
    command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (i, (key, value)) in settings.into_iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{i}"), key).env(format!("GIT_CONFIG_VALUE_{i}"), value);
    }
}

/// Nothing of the machine but `PATH`, and a fixed person and time.
pub(crate) fn environment(command: &mut Command, home: &Path) {
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("HOME", home.join("no-home"))
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Test Person")
            .env(format!("GIT_{role}_EMAIL"), "test@example.com")
            .env(format!("GIT_{role}_DATE"), COMMIT_TIME);
    }
}
