//! A repository on GitHub, a clone of it, the charts that it uses, and the program.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::fake_channels::FakeChannels;
use crate::support::fake_forge::{Account, FakeForge, Issue, PullState, VirtualTime};
use crate::support::fake_upstream::FakeUpstream;
use crate::support::git::Git;
use crate::support::manifests::{SOURCE, release};
use crate::support::sandbox::{CommandOutput, Sandbox, copy};

/// When the program takes it to be.
pub(super) const NOW: &str = "2026-11-21T10:00:00Z";
pub(super) const LATER: &str = "2026-11-21T14:00:00Z";
pub(super) const MUCH_LATER: &str = "2026-11-22T10:00:00Z";

pub(super) const TOKEN: &str = "ghs_0123456789abcdefSECRET";

/// A chart as it is published.
pub(crate) fn chart(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let about = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    for (path, text) in [("Chart.yaml", about.as_str())].iter().chain(files) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, format!("{name}/{path}"), text.as_bytes()).unwrap();
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&archive.into_inner().unwrap()).unwrap();
    packed.finish().unwrap()
}

/// All of it.
pub(super) struct World {
    pub(super) sandbox: Sandbox,
    pub(super) forge: FakeForge,
    pub(super) web: FakeUpstream,
    pub(super) bare: PathBuf,
    published: Vec<(String, Vec<String>)>,
    /// The environment of the program.
    pub(super) variables: Vec<(&'static str, String)>,
    /// Where the servers run; they end with it.
    runtime: Runtime,
}

/// What lies on `main` of every world, with a bare repository that has it. Made once: programs take longer than copies.
fn begun() -> &'static Path {
    static BEGUN: OnceLock<tempfile::TempDir> = OnceLock::new();
    BEGUN
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let git = Git::init(folder.path().join("work"));
            git.write("apps/source.yaml", SOURCE)
                .write(
                    "apps/podinfo.yaml",
                    release("podinfo", "6.5.0", "  values: {replicas: 2, color: red}\n"),
                )
                .write("apps/website.yaml", release("website", "1.0.0", "  dependsOn: [{name: podinfo}]\n"))
                .write("apps/legacy.yaml", release("legacy", "1.0.0", ""));
            git.commit_all("Begin");
            let bare = folder.path().join("home-ops.git");
            git.run(["clone", "--quiet", "--bare", "--template=", ".", bare.to_str().unwrap()]);
            folder
        })
        .path()
}

impl World {
    /// A patch of podinfo under review, a minor of website that waits for podinfo, and a major of legacy that a person
    /// has to ask for; the token is that of GitHub Actions.
    pub(super) fn new() -> Self {
        Self::at(VirtualTime::start())
    }

    /// The same at another time of GitHub's.
    pub(super) fn at(time: VirtualTime) -> Self {
        let sandbox = Sandbox::empty();
        copy(&begun().join("work"), sandbox.work());
        let bare = sandbox.work().with_file_name("home-ops.git");
        copy(&begun().join("home-ops.git"), &bare);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (forge, web) = runtime.block_on(async {
            let forge = FakeForge::start_at(time, Git::at(&bare)).await;
            (forge, FakeUpstream::start().await)
        });
        forge.github().account(TOKEN, Account::bot(41_898_282, "github-actions[bot]"));
        let url = forge.served.url.join("acme/home-ops.git").unwrap();
        sandbox.git().run(["remote", "add", "origin", url.as_str()]);
        web.serve("/osv/v1/query", "{}");
        let mut world = Self {
            sandbox,
            forge,
            web,
            bare,
            published: Vec::new(),
            variables: vec![("GITHUB_TOKEN", TOKEN.to_owned())],
            runtime,
        };
        world.publish("podinfo", &["6.5.0", "6.5.1"]);
        world.publish("website", &["1.0.0", "1.1.0"]);
        world.publish("legacy", &["1.0.0", "2.0.0"]);
        world.configure("");
        world
    }

    /// Somewhere to send messages to, for as long as this world is there.
    pub(super) fn channels(&self) -> FakeChannels {
        self.runtime.block_on(FakeChannels::start())
    }

    /// Publishes these versions of a chart, and no others.
    pub(super) fn publish(&mut self, name: &str, versions: &[&str]) {
        self.published.retain(|(known, _)| known != name);
        self.published
            .push((name.to_owned(), versions.iter().map(|version| (*version).to_owned()).collect()));
        for version in versions {
            let archive = chart(name, version, &[("values.yaml", "replicas: 1\ncolor: blue\n")]);
            self.web.serve(&format!("/charts/{name}-{version}.tgz"), archive);
        }
        let mut index = "apiVersion: v1\nentries:\n".to_owned();
        for (name, versions) in &self.published {
            index.push_str(&format!("  {name}:\n"));
            for version in versions {
                index.push_str(&format!(
                    "    - {{name: {name}, version: {version}, created: '2026-07-01T10:00:00Z', urls: [{name}-{version}.tgz]}}\n"
                ));
            }
        }
        self.web.serve("/charts/index.yaml", index);
    }

    /// The file that `--config` names: where everything is, and `more` after it.
    pub(super) fn configure(&self, more: &str) {
        let api = self.forge.served.url.as_str().trim_end_matches('/').to_owned();
        self.configure_with(&format!("  github: {{api_url: '{api}'}}\n"), more);
    }

    /// The same, with these lines of the block `upstreams` in place of the API's address.
    pub(super) fn configure_with(&self, upstreams: &str, more: &str) {
        let (host, charts, osv) =
            (self.forge.served.authority(), self.web.url("/charts"), self.web.url("/osv"));
        let text = format!(
            "\
upstreams:
  map:
    - {{from: https://charts.example.com, to: '{charts}'}}
    - {{from: https://api.osv.dev, to: '{osv}'}}
  hosts: {{'{host}': {{plain_http: true}}}}
{upstreams}{more}"
        );
        std::fs::write(self.config_path(), text).unwrap();
    }

    pub(super) fn config_path(&self) -> PathBuf {
        self.sandbox.work().with_file_name("mirror.yaml")
    }

    /// The arguments with `--config`.
    pub(super) fn arguments<'a>(&self, arguments: &[&'a str]) -> Vec<std::borrow::Cow<'a, str>> {
        let config = self.config_path().to_str().unwrap().to_owned();
        let all = arguments.iter().map(|argument| std::borrow::Cow::from(*argument));
        all.chain(["--config".into(), config.into()]).collect()
    }

    /// The program with its arguments, ready to be started.
    pub(super) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let arguments = self.arguments(arguments);
        let mut command = self.sandbox.command(arguments.iter().map(|argument| argument.as_ref()));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program; addresses are replaced by names. No token may ever be seen.
    #[track_caller]
    pub(super) fn run(&self, arguments: &[&str]) -> CommandOutput {
        let output = self.sandbox.finish(self.command(arguments));
        let named = |text: String| {
            text.replace(&self.forge.served.authority(), "github.test")
                .replace(&self.web.authority(), "web.test")
        };
        let output = CommandOutput { stdout: named(output.stdout), stderr: named(output.stderr), ..output };
        assert!(!output.to_string().contains("SECRET"), "a token was shown: {output}");
        output
    }

    /// A pass at this time that goes well, as JSON.
    #[track_caller]
    pub(super) fn pass(&self, now: &str) -> Value {
        self.run(&["run", "--now", now, "--format", "json"]).exited(0).json()
    }

    /// Effects of a pass that goes well, without what changes from one machine to the next.
    #[track_caller]
    pub(super) fn effects(&self, now: &str) -> Vec<String> {
        let report = self.pass(now);
        report["effects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|effect| effect.as_str().unwrap().to_owned())
            .collect()
    }

    /// A pass at this time that has nothing to do and does nothing.
    #[track_caller]
    pub(super) fn quiet(&self, now: &str) {
        let dashboard = |world: &Self| {
            let github = world.forge.github();
            github.issues.values().find(|issue| issue.pull.is_none()).map(|issue| issue.body.clone())
        };
        let before = dashboard(self);
        self.forge.writes();
        let effects = self.effects(now);
        assert_eq!(
            effects,
            [""; 0],
            "{}\n--- before:\n{}",
            dashboard(self).unwrap_or_default(),
            before.unwrap_or_default()
        );
        let mut writes = self.forge.writes();
        // An App makes itself a token, whatever it is for.
        writes.retain(|line| !line.ends_with("/access_tokens"));
        assert_eq!(writes, [""; 0], "not one request that writes");
    }

    pub(super) fn git(&self) -> Git {
        Git::at(&self.bare)
    }

    /// The pull requests, oldest first: component's branch without our prefix, and state.
    pub(super) fn pulls(&self) -> Vec<(u64, String, PullState)> {
        let github = self.forge.github();
        let pulls = github.issues.values().filter_map(|issue| {
            let branch = &issue.pull.as_ref()?.head;
            let (name, _hash) = branch.trim_start_matches("gitops-updater/").rsplit_once('-')?;
            Some((issue.number, name.to_owned(), issue.state()))
        });
        pulls.collect()
    }

    /// The open pull request whose branch has this in its name.
    #[track_caller]
    pub(super) fn open(&self, name: &str) -> Issue {
        let github = self.forge.github();
        let mut open = github
            .issues
            .values()
            .filter(|issue| issue.open && issue.pull.as_ref().is_some_and(|pull| pull.head.contains(name)));
        let found = open.next().unwrap_or_else(|| panic!("no open pull request of {name}")).clone();
        assert!(open.next().is_none(), "two open pull requests of {name}");
        found
    }

    /// The body of the dashboard.
    pub(super) fn dashboard(&self) -> Issue {
        let github = self.forge.github();
        let found = github.issues.values().find(|issue| issue.pull.is_none() && issue.open);
        found.expect("there is no dashboard").clone()
    }

    /// Ticks the box on the dashboard's line that has all of these words.
    #[track_caller]
    pub(super) fn tick(&self, words: &[&str]) {
        let dashboard = self.dashboard();
        let wanted = |line: &str| line.contains("[ ]") && words.iter().all(|word| line.contains(word));
        assert_eq!(
            dashboard.body.lines().filter(|line| wanted(line)).count(),
            1,
            "{words:?}: {}",
            dashboard.body
        );
        let ticked = |line: &str| if wanted(line) { line.replacen("[ ]", "[x]", 1) } else { line.to_owned() };
        let body: Vec<String> = dashboard.body.lines().map(ticked).collect();
        self.forge.github().issue(dashboard.number).body = body.join("\n");
    }

    /// A person merges.
    pub(super) fn merge(&self, name: &str, method: &str) -> String {
        let pull = self.open(name);
        let commit = self.forge.github().merge(pull.number, method, &pull.title).unwrap();
        self.pull();
        commit
    }

    /// The clone follows.
    pub(super) fn pull(&self) {
        let bare = self.bare.to_str().unwrap();
        self.sandbox.git().run(["fetch", "--quiet", bare, "main"]);
        self.sandbox.git().run(["reset", "--quiet", "--hard", "FETCH_HEAD"]);
    }

    /// A person commits on a branch.
    pub(super) fn somebody_commits(&self, branch: &str, path: &str, text: &str) -> String {
        let git = self.sandbox.git();
        let bare = self.bare.to_str().unwrap();
        git.run(["fetch", "--quiet", bare, branch]);
        git.run(["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
        git.write(path, text);
        let commit = git.commit_all("Mine");
        git.run(["push", "--quiet", bare, &format!("HEAD:refs/heads/{branch}")]);
        git.run(["checkout", "--quiet", "main"]);
        commit
    }

    /// Refs of the repository with what they point at.
    pub(super) fn refs(&self) -> Vec<String> {
        let all = self.git().run(["for-each-ref", "--format=%(refname) %(objectname)"]);
        all.lines().map(str::to_owned).collect()
    }

    /// Branches of ours.
    pub(super) fn branches(&self) -> Vec<String> {
        let all = self.git().run(["for-each-ref", "--format=%(refname:short)", "refs/heads/gitops-updater"]);
        all.lines().map(str::to_owned).collect()
    }

    /// Component, version and stage of every update, and why it is where it is.
    pub(super) fn updates(&self) -> Vec<String> {
        let git = self.git();
        let names = git.run(["ls-tree", "--name-only", "refs/gitops-updater/state", "updates/"]);
        let update = |path: &str| {
            let text = git.run(["show", &format!("refs/gitops-updater/state:{path}")]);
            let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            let word = |name: &str| value[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("component"), word("to"), word("stage"))
        };
        let mut all: Vec<String> = names.lines().map(update).collect();
        all.sort();
        all
    }

    /// Puts an update on hold, as whoever watches the cluster does.
    pub(super) fn hold(&self, component: &str, reason: &str) {
        self.record(component, |update| {
            update.stage = gitops_updater::domain::state::Stage::Held;
            update.reason = Some(reason.to_owned());
        });
    }

    /// Changes the record of the newest update of a component, as another pass does.
    pub(super) fn record(
        &self,
        component: &str,
        change: impl Fn(&mut gitops_updater::domain::state::Update),
    ) {
        use gitops_updater::repo::write::{Person, Remote, WriteRepo};
        use gitops_updater::state::{StateStore, Transition};
        let repo = std::sync::Arc::new(WriteRepo::open(&self.bare, Remote::own()).unwrap());
        let store = StateStore::new(repo, Person::bot());
        let changed = store.change(LATER.parse().unwrap(), |state| {
            let mut updates = state.updates.values_mut().rev();
            let update = updates.find(|update| update.component == component)?;
            change(update);
            update.status = update.stage.status();
            Some(Transition::of(update))
        });
        changed.unwrap();
    }

    /// The state is lost, here and at the remote; nobody remembers that there was one.
    pub(super) fn lose_the_state(&self) {
        for name in ["state", "state-seen"] {
            self.git().run(["update-ref", "-d", &format!("refs/gitops-updater/{name}")]);
        }
        let git = self.sandbox.git();
        let all = git.run(["for-each-ref", "--format=%(refname)"]);
        for name in all.lines().filter(|name| !name.starts_with("refs/heads/")) {
            git.run(["update-ref", "-d", name]);
        }
    }

    /// Every check of an open pull request is green.
    pub(super) fn green(&self, name: &str) {
        let head = self.open(name).pull.unwrap().head_sha;
        self.forge.github().add_check(&head, "build", "success");
    }

    /// A text of the record of the update of a component.
    pub(super) fn recorded(&self, component: &str, key: &str) -> String {
        let path = format!("refs/gitops-updater/state:updates/{}.yaml", self.update_id(component));
        let value: serde_yaml::Value = serde_yaml::from_str(&self.git().run(["show", &path])).unwrap();
        value[key].as_str().unwrap_or_default().to_owned()
    }

    /// The id of the update of a component that is not over.
    pub(super) fn update_id(&self, component: &str) -> String {
        let status = self.run(&["status", "--format", "json"]).exited(0).json();
        let updates = status["updates"].as_array().unwrap_or_else(|| panic!("{status}")).clone();
        let found = updates.iter().find(|update| update["component"] == component);
        found.unwrap_or_else(|| panic!("{status}"))["update_id"].as_str().unwrap().to_owned()
    }

    /// Everything that a pass leaves: refs, pull requests, issues and comments.
    pub(super) fn end(&self) -> Vec<String> {
        let mut all = self.refs();
        let github = self.forge.github();
        for issue in github.issues.values() {
            let pull = issue.pull.as_ref().map(|pull| {
                let people = (&pull.reviewers, &pull.teams);
                format!("{} -> {} draft {} {people:?}", pull.head, pull.base, pull.draft)
            });
            all.push(format!(
                "#{} {:?} {} {:?} {:?} {pull:?}\n{}",
                issue.number,
                issue.state(),
                issue.title,
                issue.labels,
                issue.assignees,
                issue.body
            ));
        }
        let comments = github.comments.iter();
        all.extend(comments.map(|comment| format!("on #{}: {}", comment.issue, comment.body)));
        all
    }
}
