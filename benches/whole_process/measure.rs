//! Runs a program and says what it cost.
//!
//! The shell's `time` gives CPU time in milliseconds; GNU `time` gives the peak memory, from a process
//! of its own: a child started from here would count what this process held at the fork.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What one run cost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cost {
    /// User and system time, seconds.
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    pub(crate) peak_mib: f64,
    pub(crate) requests: usize,
}

/// A program with its arguments.
pub(crate) struct Program {
    words: Vec<String>,
    input: Option<PathBuf>,
}

impl Program {
    pub(crate) fn new(program: &Path) -> Self {
        Self { words: vec![text(program).to_owned()], input: None }
    }

    /// `git cat-file --batch` of the objects that `list` names.
    pub(crate) fn cat_file(repository: &Path, list: &Path) -> Self {
        let words = ["git", "-C", text(repository), "cat-file", "--batch"].map(str::to_owned).to_vec();
        Self { words, input: Some(list.to_owned()) }
    }

    pub(crate) fn detect(
        self,
        repository: &Path,
        configuration: &Path,
        cache: &Path,
        extra: &[&str],
    ) -> Cost {
        self.look("detect", repository, configuration, cache, extra)
    }

    /// `detect` or `plan`.
    pub(crate) fn look(
        mut self,
        command: &str,
        repository: &Path,
        configuration: &Path,
        cache: &Path,
        extra: &[&str],
    ) -> Cost {
        let words = [command, text(repository), "--config", text(configuration), "--format", "json"];
        self.words.extend(words.map(str::to_owned));
        self.words.extend(["--cache-dir", text(cache)].map(str::to_owned));
        self.words.extend(extra.iter().map(|word| (*word).to_owned()));
        self.run()
    }

    /// With these arguments.
    pub(crate) fn with(mut self, words: &[&str]) -> Cost {
        self.words.extend(words.iter().map(|word| (*word).to_owned()));
        self.run()
    }

    pub(crate) fn run(&self) -> Cost {
        let memory = tempfile::NamedTempFile::new().unwrap();
        let script =
            r#"TIMEFORMAT='%3U %3S %3R'; time command time -f %M -o "$0" "$@" >/dev/null 2>"$0.err""#;
        let mut command = Command::new("bash");
        command.args(["-c", script]).arg(memory.path()).args(&self.words);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C");
        if let Some(input) = &self.input {
            command.stdin(std::fs::File::open(input).unwrap());
        } else {
            command.stdin(Stdio::null());
        }
        let output = command.output().unwrap();
        let errors = memory.path().with_extension("err");
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        // Named after a file that goes by itself; where it cannot go, the system's folder is cleaned.
        std::fs::remove_file(&errors).unwrap_or_default();
        assert!(output.status.success(), "{:?}: {said} {output:?}", self.words);
        let times = String::from_utf8(output.stderr).unwrap();
        let times: Vec<f64> = times.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let kib = std::fs::read_to_string(memory.path()).unwrap();
        let kib: f64 = kib.trim().parse().expect("GNU time writes the peak in KiB");
        Cost { cpu: times[0] + times[1], wall: times[2], peak_mib: kib / 1024.0, requests: 0 }
    }
}

/// The middle value.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// What Git prints; no configuration of the user is read.
pub(crate) fn git(repository: &Path, words: &[&str]) -> String {
    let identity =
        ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "core.autocrlf=false"];
    let output = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(identity)
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Copies the plain files of a folder, without what Git keeps of it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() && entry.file_name() != ".git" {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::write(&target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
