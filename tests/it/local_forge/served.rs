//! The same over a Git server of which only Git is spoken.

use std::sync::Arc;
use std::time::Duration;

use gitops_updater::app::forge::{Forge as _, ForgeErrorClass, MergeMethod, PullRequestState};
use gitops_updater::repo::write::{HttpLimits, Remote, WriteRepo};
use gitops_updater::upstream::credentials::{Credential, Credentials};

use super::{branch, forge, new};
use crate::support::fake_git::{FakeGit, Manner};
use crate::support::git::Git;

#[tokio::test]
async fn pull_requests_live_on_a_plain_git_server() {
    let fake = FakeGit::start().await;
    let bare = Git::at(fake.repository("team/app.git", &[]));
    let folder = tempfile::tempdir().unwrap();
    Git::at(folder.path()).run(["clone", "--quiet", &bare.dir().display().to_string(), "clone"]);
    let url = fake.served.url.join("team/app.git").unwrap();
    let mut credentials = Credentials::new();
    credentials
        .add(&format!("http://{}", url.authority()), Credential::Bearer("token".to_owned().into()))
        .unwrap();
    let limits = HttpLimits { timeout: Duration::from_secs(20), ..HttpLimits::default() };
    let repo = WriteRepo::open(&folder.path().join("clone"), Remote::http(url, credentials, limits)).unwrap();
    let repo = Arc::new(repo);
    fake.manner(Manner::Token("token"));

    let (bot, x) = (repo.clone(), "gitops-updater/x");
    let head = tokio::task::spawn_blocking(move || branch(&bot, x, "a.yaml", "a: 2\n")).await.unwrap();
    let forge = forge(&repo);
    let pull = forge.open(&new(x)).await.unwrap();
    forge.comment(pull.number, "<!-- m -->", "<!-- m --> hello").await.unwrap();
    let commit = forge.merge(pull.number, &head.to_string(), MergeMethod::Squash, "Squash it").await.unwrap();
    assert_eq!(bare.run(["rev-parse", "main"]), commit);
    assert_eq!(bare.run(["log", "-1", "--format=%s", "main"]), "Squash it");
    let pull = forge.pull_request(pull.number).await.unwrap();
    assert!(matches!(pull.state, PullRequestState::Merged { .. }), "{pull:?}");

    // A refusal is told in the words of the port.
    fake.hook("team/app.git", "update", "echo 'GH006: Protected branch update failed' >&2; exit 1");
    let error = forge.comment(pull.number, "<!-- n -->", "<!-- n -->").await.unwrap_err();
    assert!(error.message.contains("GH006") && error.hint.is_some(), "{error:?}");
    fake.manner(Manner::Unauthorized);
    let error = forge.pull_requests().await.unwrap_err();
    assert!(matches!(error.class, ForgeErrorClass::Denied { .. }), "{error:?}");
}

/// Over HTTP refs move one by one: a run may be cut off between the base branch and the record of the merge.
#[tokio::test]
async fn a_squash_that_was_cut_off_is_recorded_and_not_made_twice() {
    let fake = FakeGit::start().await;
    let bare = Git::at(fake.repository("app.git", &[]));
    let folder = tempfile::tempdir().unwrap();
    Git::at(folder.path()).run(["clone", "--quiet", &bare.dir().display().to_string(), "clone"]);
    let url = fake.served.url.join("app.git").unwrap();
    let remote = Remote::http(url, Credentials::new(), HttpLimits::default());
    let repo = Arc::new(WriteRepo::open(&folder.path().join("clone"), remote).unwrap());
    let (bot, x) = (repo.clone(), "gitops-updater/x");
    let head =
        tokio::task::spawn_blocking(move || branch(&bot, x, "a.yaml", "a: 2\n")).await.unwrap().to_string();
    let forge = forge(&repo);
    forge.open(&new(x)).await.unwrap();
    fake.hook("app.git", "update", "case $1 in */meta) echo stop >&2; exit 1;; esac");
    forge.merge(1, &head, MergeMethod::Squash, "Squash it").await.unwrap_err();
    let squashed = bare.run(["rev-parse", "main"]);
    assert_eq!(bare.run(["log", "-1", "--format=%s", "main"]), "Squash it");
    fake.hook("app.git", "update", "exit 0");
    assert_eq!(forge.merge(1, &head, MergeMethod::Squash, "Squash it").await.unwrap(), squashed);
    assert_eq!(bare.run(["rev-parse", "main"]), squashed);
    assert!(matches!(forge.pull_request(1).await.unwrap().state, PullRequestState::Merged { .. }));
}
