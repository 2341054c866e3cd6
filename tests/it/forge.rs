//! GitHub as the place of pull requests: the real client against a GitHub that remembers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committing;
mod dashboard;
mod furnishing;
mod limits;
mod merging;
mod openapi;
mod opening;
mod pushing;
mod signing;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gitops_updater::app::forge::NewPullRequest;
use gitops_updater::forge::github::{Auth, GithubForge, GithubOptions, Place};

use crate::support::fake_forge::{Account, FakeForge};
use crate::support::git::Git;

/// The token of the bot's account in most tests.
const TOKEN: &str = "github_pat_secret";

/// A fake with one repository on disk.
struct World {
    _folder: tempfile::TempDir,
    fake: FakeForge,
    /// A work tree whose commits get into the repository by [`World::push`].
    tree: Git,
    bare: std::path::PathBuf,
}

impl World {
    /// `acme/home-ops` with one commit on `main`, and the account `updater` that has [`TOKEN`].
    async fn new() -> Self {
        static BEGUN: OnceLock<tempfile::TempDir> = OnceLock::new();
        let begun = BEGUN.get_or_init(begin).path();
        let folder = tempfile::tempdir().unwrap();
        for name in ["tree", "home-ops.git"] {
            copy(&begun.join(name), &folder.path().join(name));
        }
        let tree = Git::at(folder.path().join("tree"));
        let bare = folder.path().join("home-ops.git");
        let fake = FakeForge::start(Git::at(&bare)).await;
        fake.github().account(TOKEN, me());
        Self { _folder: folder, fake, tree, bare }
    }

    /// Puts a commit with this version on a branch from `main` and pushes it.
    fn push(&self, branch: &str, version: &str) -> String {
        self.tree.run(["checkout", "--quiet", "-B", branch, "main"]);
        self.tree.write("apps/podinfo.yaml", format!("version: {version}\n"));
        let commit = self.tree.commit_all(&format!("podinfo {version}"));
        self.tree.run(["push", "--quiet", "--force", self.bare.to_str().unwrap(), branch]);
        self.tree.run(["checkout", "--quiet", "main"]);
        commit
    }

    fn options(&self, auth: Auth) -> GithubOptions {
        let place = Place::named("github.com", "acme/home-ops").unwrap();
        GithubOptions {
            api: self.fake.served.url.clone(),
            timeout: Duration::from_secs(5),
            ..GithubOptions::new(place, auth).unwrap()
        }
    }

    /// A client as one run has it, with nothing learnt before.
    fn forge(&self) -> GithubForge {
        self.forge_with(self.options(token(TOKEN)))
    }

    fn forge_with(&self, options: GithubOptions) -> GithubForge {
        GithubForge::new(&http(), Arc::new(self.fake.time.clone()), options).unwrap()
    }
}

/// A work tree with one commit, and a bare repository that has it. Made once: programs take longer than copies.
fn begin() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let tree = Git::init(folder.path().join("tree"));
    tree.write("apps/podinfo.yaml", "version: 6.0.0\n").commit_all("Begin");
    let bare = folder.path().join("home-ops.git");
    tree.run(["clone", "--quiet", "--bare", "--template=", ".", bare.to_str().unwrap()]);
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn me() -> Account {
    Account::person(7, "updater")
}

fn token(text: &str) -> Auth {
    Auth::Token(text.to_owned().into())
}

/// The client as the program builds it, as far as it matters here.
fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().user_agent("gitops-updater/test").redirect(none).build().unwrap()
}

const BRANCH: &str = "gitops-updater/podinfo-6.1.0-0a1b2c3d";

fn proposal() -> NewPullRequest {
    NewPullRequest {
        branch: BRANCH.to_owned(),
        base: "main".to_owned(),
        title: "podinfo 6.0.0 -> 6.1.0".to_owned(),
        body: "Why and what.\n<!-- update-20261121-100000 -->".to_owned(),
        ..NewPullRequest::default()
    }
}
