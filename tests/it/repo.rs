//! Reading real repositories, with everything in them that real repositories and hostile ones have.

mod content;
mod ignored;
mod kinds;
mod links;
mod odd_files;

use crate::support::broken;
use crate::support::git::Git;
use gitops_updater::domain::problem::Problem;
use gitops_updater::repo::{Error, Listing, Location, ReadOptions, Repo, open};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

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

fn outcome_paths(repo: &Repo) -> Vec<String> {
    repo.files(&yaml()).unwrap().entries.into_iter().map(|entry| entry.path).collect()
}
