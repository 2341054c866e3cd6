//! Pushes and fetches over HTTP, served by the real `git http-backend`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gitops_updater::domain::upstream::FailureClass;
use gitops_updater::repo::write::{
    Error, HttpLimits, Id, Person, Pushed, RefUpdate, Remote, RemoteRefs, WriteRepo, configured_url,
};
use gitops_updater::upstream::credentials::{Credential, Credentials};
use rstest::rstest;
use url::Url;

use super::{words, write};
use crate::support::fake_git::{FakeGit, Manner};
use crate::support::git::Git;

const TOKEN: &str = "s3cret-token";

/// A served repository and a clone of it.
struct World {
    fake: FakeGit,
    bare: Git,
    _folder: tempfile::TempDir,
    clone: Git,
    repo: Arc<WriteRepo>,
    main: Id,
}

fn credentials(url: &Url) -> Credentials {
    let mut credentials = Credentials::new();
    credentials
        .add(&format!("http://{}", url.authority()), Credential::Bearer(TOKEN.to_owned().into()))
        .unwrap();
    credentials
}

fn limits() -> HttpLimits {
    HttpLimits { timeout: Duration::from_secs(20), ..HttpLimits::default() }
}

async fn world() -> World {
    world_with(&[]).await
}

async fn world_with(clone_arguments: &[&str]) -> World {
    let fake = FakeGit::start().await;
    let bare = Git::at(fake.repository("team/app.git", &[]));
    let folder = tempfile::tempdir().unwrap();
    let seed = Git::at(folder.path().join("seed"));
    let place = format!("file://{}", bare.dir().display());
    let here = Git::at(folder.path());
    here.run(["clone", "--quiet", &place, "seed"]);
    for version in 1..=3 {
        seed.write("a.yaml", format!("a: {version}\n"));
        seed.commit_all(&format!("Version {version}"));
    }
    seed.run(["push", "--quiet", "origin", "main"]);
    here.run([&["clone", "--quiet"], clone_arguments, &[&place, "clone"]].concat());
    let clone = Git::at(folder.path().join("clone"));
    let url = fake.served.url.join("team/app.git").unwrap();
    let repo = WriteRepo::open(clone.dir(), Remote::http(url.clone(), credentials(&url), limits())).unwrap();
    let main = clone.head().parse().unwrap();
    fake.manner(Manner::Token(TOKEN));
    World { fake, bare, _folder: folder, clone, repo: Arc::new(repo), main }
}

impl World {
    /// Runs what blocks where it may.
    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&WriteRepo) -> T + Send + 'static) -> T {
        let repo = self.repo.clone();
        tokio::task::spawn_blocking(move || work(&repo)).await.unwrap()
    }

    async fn push(&self, updates: Vec<RefUpdate>) -> Result<Pushed, Error> {
        self.with(move |repo| repo.push(&updates)).await
    }

    async fn refs(&self) -> RemoteRefs {
        self.with(WriteRepo::refs).await.unwrap()
    }

    fn commit(&self, base: Id, text: &str) -> Id {
        let bot = Person::bot();
        self.repo.commit(base, &write([("a.yaml", text)]), words(text, &bot)).unwrap()
    }

    /// Puts a commit on `main` of the server by other means.
    fn somebody_pushes(&self, message: &str) -> Id {
        somebody_pushes(self.bare.dir().to_owned(), "refs/heads/main", message)
    }
}

fn somebody_pushes(bare: PathBuf, name: &str, message: &str) -> Id {
    let bare = Git::at(bare);
    let commit = bare.run(["commit-tree", "-p", "main", "-m", message, "main^{tree}"]);
    bare.run(["update-ref", name, &commit]);
    commit.parse().unwrap()
}

#[tokio::test]
async fn refs_are_made_moved_and_deleted_with_a_token() {
    let world = world().await;
    let (branch, backup) = ("refs/heads/gitops-updater/x", "refs/gitops-updater/backups/b1");
    let first = world.commit(world.main, "a: 4\n");
    let bot = Person::bot();
    let tag = world.repo.tag(first, "b1", words("backup", &bot)).unwrap();
    let made = vec![RefUpdate::create(branch, first), RefUpdate::create(backup, tag)];
    assert_eq!(world.push(made.clone()).await.unwrap(), Pushed::Moved);
    let refs = world.refs().await;
    assert_eq!(refs.default_branch.as_deref(), Some("main"));
    assert_eq!((refs.branch("gitops-updater/x"), refs.refs[backup]), (Some(first), tag));
    assert_eq!(world.bare.run(["cat-file", "-t", backup]), "tag");

    assert_eq!(world.push(made).await.unwrap(), Pushed::AlreadyThere, "a push may be made again");
    let rebuilt = world.commit(world.main, "a: 5\n");
    let moved = vec![RefUpdate::replace(branch, Some(first), rebuilt)];
    assert_eq!(world.push(moved).await.unwrap(), Pushed::Moved, "no fast-forward, but with a lease");
    world.push(vec![RefUpdate::delete(branch, rebuilt)]).await.unwrap();
    assert_eq!(world.refs().await.branch("gitops-updater/x"), None);
    world.bare.run(["fsck", "--strict"]);
    assert_eq!(world.clone.run(["for-each-ref", "--format=%(refname)", "refs/gitops-updater"]), "");
}

#[tokio::test]
async fn a_ref_that_is_elsewhere_is_left_there() {
    let world = world().await;
    let name = "refs/heads/main";
    let ours = world.commit(world.main, "a: 4\n");
    let theirs = world.somebody_pushes("Somebody was faster");
    let error = world.push(vec![RefUpdate::replace(name, Some(world.main), ours)]).await.unwrap_err();
    let Error::Moved { found, expected, .. } = &error else { panic!("{error}") };
    assert_eq!((*found, *expected, error.lost_race()), (Some(theirs), Some(world.main), true));
    let error = world.push(vec![RefUpdate::create(name, ours)]).await.unwrap_err();
    assert!(matches!(error, Error::Moved { expected: None, .. }), "{error}");
    assert_eq!(world.bare.run(["rev-parse", "main"]), theirs.to_string());
}

/// Between the list of refs and the push lies the network: the server compares, too.
#[tokio::test]
async fn who_is_overtaken_on_the_way_loses() {
    let world = world().await;
    let name = "refs/gitops-updater/state";
    let ours = world.commit(world.main, "a: 4\n");
    let bare = world.bare.dir().to_owned();
    world.fake.before_push(move || {
        somebody_pushes(bare, name, "Overtaking");
    });
    let error = world.push(vec![RefUpdate::create(name, ours)]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && error.lost_race(), "{error:?}");
    assert_eq!(world.bare.run(["log", "-1", "--format=%s", name]), "Overtaking");
}

#[tokio::test]
async fn what_the_servers_hook_says_is_told() {
    let world = world().await;
    world.fake.hook("team/app.git", "pre-receive", "echo 'no changes on a Friday' >&2; exit 1");
    let ours = world.commit(world.main, "a: 4\n");
    let error = world.push(vec![RefUpdate::create("refs/heads/x", ours)]).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`refs/heads/x` (pre-receive hook declined)"), "{text}");
    assert!(text.contains("no changes on a Friday") && error.hint().is_some(), "{text}");
    assert!(!error.lost_race());
}

#[tokio::test]
async fn one_protected_ref_is_an_error_even_where_another_went_through() {
    let world = world().await;
    let script =
        "case $1 in refs/heads/main) echo 'error: GH006: Protected branch update failed' >&2; exit 1;; esac";
    world.fake.hook("team/app.git", "update", script);
    let ours = world.commit(world.main, "a: 4\n");
    let updates = vec![
        RefUpdate::replace("refs/heads/main", Some(world.main), ours),
        RefUpdate::create("refs/heads/x", ours),
    ];
    let error = world.push(updates).await.unwrap_err();
    let Error::Refused { refused, said } = &error else { panic!("{error}") };
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, "refs/heads/main");
    assert!(said.contains("GH006") && error.hint().unwrap().contains("protected"), "{error:?}");
    assert_eq!(world.refs().await.branch("x"), Some(ours));
}

#[rstest]
#[case::who_are_you(Manner::Unauthorized, FailureClass::Denied, "refused the token")]
#[case::may_not_push(Manner::ReadOnly, FailureClass::Denied, "contents: write")]
#[case::forbidden(Manner::Status(403), FailureClass::Denied, "contents: write")]
#[case::not_there(Manner::Status(404), FailureClass::NotFound, "look absent")]
#[case::too_many(Manner::Status(429), FailureClass::RateLimited { reset: None }, "")]
#[case::broken(Manner::Status(502), FailureClass::Transient, "")]
#[case::tea(Manner::Status(418), FailureClass::Permanent, "")]
#[case::web_page(Manner::WebPage, FailureClass::Permanent, "")]
#[case::cut_list(Manner::Cut("info/refs", 40), FailureClass::Transient, "")]
#[case::cut_answer(Manner::Cut("/git-receive-pack", 10), FailureClass::Transient, "")]
#[tokio::test]
async fn a_refusal_has_its_class_and_shows_no_token(
    #[case] manner: Manner,
    #[case] class: FailureClass,
    #[case] hint: &str,
) {
    let world = world().await;
    world.fake.manner(manner);
    let ours = world.commit(world.main, "a: 4\n");
    let error = world.push(vec![RefUpdate::create("refs/heads/x", ours)]).await.unwrap_err();
    assert_eq!(error.class(), class, "{error:?}");
    assert!(error.hint().unwrap_or_default().contains(hint), "{error:?}");
    let told = format!("{error} {error:?}");
    assert!(told.contains(world.fake.served.url.as_str()) && !told.contains(TOKEN), "{told}");
    if class == FailureClass::Transient {
        world.fake.manner(Manner::Token(TOKEN));
        world.push(vec![RefUpdate::create("refs/heads/x", ours)]).await.unwrap();
        assert_eq!(world.refs().await.branch("x"), Some(ours), "the same push may be made again");
    }
}

#[tokio::test]
async fn without_a_token_what_is_missing_is_told() {
    let world = world().await;
    let url = world.repo.remote().url().unwrap().clone();
    let repo = world.repo.with_remote(Remote::http(url, Credentials::new(), limits())).unwrap();
    let error = tokio::task::spawn_blocking(move || repo.refs()).await.unwrap().unwrap_err();
    assert_eq!(error.class(), FailureClass::Denied);
    assert!(error.hint().unwrap().contains("none is given"), "{error:?}");
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let world = world().await;
    world.fake.manner(Manner::Silent);
    let url = world.repo.remote().url().unwrap().clone();
    let impatient = HttpLimits { timeout: Duration::from_millis(200), ..HttpLimits::default() };
    let repo = world.repo.with_remote(Remote::http(url, Credentials::new(), impatient)).unwrap();
    let error = tokio::task::spawn_blocking(move || repo.refs()).await.unwrap().unwrap_err();
    assert_eq!(error.class(), FailureClass::Transient, "{error:?}");
}

#[tokio::test]
async fn a_redirect_carries_no_token_to_another_host() {
    let world = world().await;
    let other = FakeGit::start().await;
    other.repository("team/app.git", &[]);
    world.fake.redirect(&other.served.url);
    assert!(world.refs().await.branch("main").is_some(), "what is public is read");
    let seen = other.seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|request| request.header("authorization").is_none()),
        "{seen:?}"
    );
    other.manner(Manner::Unauthorized);
    let error = world.with(WriteRepo::refs).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Denied);
    assert!(other.seen().iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn what_was_wanted_is_fetched_and_no_ref_is_written() {
    let world = world().await;
    let hidden = somebody_pushes(world.bare.dir().to_owned(), "refs/gitops-updater/state", "State");
    let theirs = world.somebody_pushes("Newer");
    let before = world.clone.run(["for-each-ref"]);
    let refs = world.with(|repo| repo.fetch(|name| name.starts_with("refs/gitops-updater/"))).await.unwrap();
    assert_eq!((refs.branch("main"), refs.refs["refs/gitops-updater/state"]), (Some(theirs), hidden));
    assert!(world.repo.has(hidden) && !world.repo.has(theirs));
    assert_eq!(world.repo.commit_info(hidden).unwrap().message, "State\n");
    assert_eq!(world.clone.run(["for-each-ref"]), before);
    assert!(!world.clone.dir().join(".git/FETCH_HEAD").exists());
    let below: Vec<_> = refs.below("refs/gitops-updater/").collect();
    assert_eq!(below, [("state", hidden)]);
}

/// As a checkout in a pipeline makes it: one commit deep.
#[tokio::test]
async fn a_shallow_clone_is_enough() {
    let world = world_with(&["--depth=1"]).await;
    let shallow = || std::fs::read_to_string(world.clone.dir().join(".git/shallow")).unwrap();
    let before = shallow();
    let ours = world.commit(world.main, "a: 4\n");
    world.push(vec![RefUpdate::create("refs/heads/x", ours)]).await.unwrap();
    // The base is no longer the tip of anything that both sides know.
    let theirs = world.somebody_pushes("Newer");
    world.bare.run(["update-ref", "-d", "refs/heads/x"]);
    let second = world.commit(ours, "a: 5\n");
    world.push(vec![RefUpdate::create("refs/heads/y", second)]).await.unwrap();
    world.with(|repo| repo.fetch(|name| name == "refs/heads/main")).await.unwrap();
    assert!(world.repo.has(theirs));
    let on_theirs = world.commit(theirs, "a: 6\n");
    world.push(vec![RefUpdate::create("refs/heads/z", on_theirs)]).await.unwrap();
    assert_eq!(world.bare.run(["rev-list", "--count", "y"]), "6");
    assert_eq!(world.bare.run(["rev-list", "--count", "z"]), "6");
    world.bare.run(["fsck", "--strict"]);
    world.clone.run(["fsck"]);
    assert_eq!(shallow(), before, "the border stays where it was");
}

#[tokio::test]
async fn names_that_are_no_refs_are_not_pushed() {
    let world = world().await;
    for name in
        ["main", "HEAD", "refs/heads/a..b", "refs/heads/a b", "refs/heads/x.lock", "refs/heads/-x:y", "refs/"]
    {
        let error = world.push(vec![RefUpdate::create(name, world.main)]).await.unwrap_err();
        assert!(matches!(error, Error::RefName { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn nothing_in_the_repositorys_configuration_leads_elsewhere() {
    let world = world().await;
    let elsewhere = FakeGit::start().await;
    elsewhere.repository("team/app.git", &[]);
    for from in [world.fake.served.url.as_str(), "gitops-updater://"] {
        let key = format!("url.{}.insteadOf", elsewhere.served.url);
        world.clone.run(["config", "--add", &key, from]);
    }
    let ours = world.commit(world.main, "a: 4\n");
    let error = world.push(vec![RefUpdate::create("refs/heads/x", ours)]).await.unwrap_err();
    assert!(error.to_string().contains("insteadOf"), "{error}");
    assert!(elsewhere.seen().is_empty(), "nobody else is asked");
}

#[tokio::test]
async fn the_remote_of_the_clone_is_known() {
    let world = world().await;
    let url = configured_url(world.clone.dir(), "origin").unwrap().unwrap();
    assert!(url.starts_with("file://"), "{url}");
    assert_eq!(configured_url(world.clone.dir(), "upstream").unwrap(), None);
}
