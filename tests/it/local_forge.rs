//! The forge without a server, over real repositories.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod pulls;
mod reach;
mod repository;
mod served;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;

use gitops_updater::app::forge::NewPullRequest;
use gitops_updater::clock::AnyClock;
use gitops_updater::forge::local::LocalForge;
use gitops_updater::repo::write::{Change, Id, Person, RefUpdate, Remote, Words, WriteRepo};
use jiff::Timestamp;

use crate::support::git::Git;

struct World {
    _folder: tempfile::TempDir,
    git: Git,
    repo: Arc<WriteRepo>,
    forge: LocalForge,
}

fn time() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn forge(repo: &Arc<WriteRepo>) -> LocalForge {
    let person = Person { name: "Jane".to_owned(), email: "jane@example.com".to_owned() };
    LocalForge::new(repo.clone(), person, Arc::new(AnyClock::Fixed(time())))
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let git = Git::init(folder.path().join("repo"));
    git.write("a.yaml", "a: 1\n").write("b.yaml", "b: 1\n");
    git.commit_all("Start");
    let repo = Arc::new(WriteRepo::open(git.dir(), Remote::own()).unwrap());
    World { _folder: folder, git, forge: forge(&repo), repo }
}

impl World {
    /// A branch of the bot with one commit on `main`.
    fn branch(&self, name: &str, path: &str, text: &str) -> Id {
        branch(&self.repo, name, path, text)
    }
}

fn branch(repo: &WriteRepo, name: &str, path: &str, text: &str) -> Id {
    let base = repo.fetch(|name| name == "refs/heads/main").unwrap().branch("main").unwrap();
    let changes = BTreeMap::from([(path.to_owned(), Change::Write(text.as_bytes().to_vec()))]);
    let message = format!("Change {path}\n\nUpdate: update-1\n");
    let commit = repo
        .commit(base, &changes, Words { message: &message, author: &Person::bot(), time: time() })
        .unwrap();
    repo.push(&[RefUpdate::create(format!("refs/heads/{name}"), commit)]).unwrap();
    commit
}

fn new(branch: &str) -> NewPullRequest {
    NewPullRequest {
        branch: branch.to_owned(),
        base: "main".to_owned(),
        title: format!("Propose {branch}"),
        body: "What and why\n<!-- gitops-updater: update-1 -->\n".to_owned(),
        labels: vec!["gitops-updater".to_owned()],
        reviewers: vec!["jane".to_owned()],
        ..NewPullRequest::default()
    }
}
