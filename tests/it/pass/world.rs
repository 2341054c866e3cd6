//! A repository with two releases and a k3s Plan, its upstreams, and passes over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;

use gitops_updater::app::data::{DataKeeper, Keeper, NoCluster};
use gitops_updater::app::detect::{self, DetectRequest};
use gitops_updater::app::effects::{Effect, Go, Stopped, Witness};
use gitops_updater::app::pass::{Done, Error, Pass};
use gitops_updater::app::plan::{self, ChartChange, Charts, Generator, Target, Targets};
use gitops_updater::app::ports::{OnAnswer, Upstreams, Wanted};
use gitops_updater::app::probes::{NoTrials, Trier};
use gitops_updater::clock::AnyClock;
use gitops_updater::config::{self, Config, Origin, Trust};
use gitops_updater::domain::advisory::{Advisory, Affected, Event};
use gitops_updater::domain::chart_diff::{Comparison, Harm};
use gitops_updater::domain::message::{Overrides, Templates};
use gitops_updater::domain::policy::circumstances::KillSwitch;
use gitops_updater::domain::report::DeepChecks;
use gitops_updater::domain::settle::memory::Baseline;
use gitops_updater::domain::upstream::{Answer, Candidate, FailureClass, UpstreamFailure, UpstreamRef};
use gitops_updater::forge::local::LocalForge;
use gitops_updater::repo;
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::StateStore;
use jiff::Timestamp;

use crate::support::git::Git;
use crate::support::manifests::{SOURCE, release};
use crate::support::scripted_cluster::ScriptedCluster;

pub(crate) const NOW: &str = "2026-11-21T10:00:00Z";

/// What the charts' repository publishes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published(pub(crate) BTreeMap<String, Vec<&'static str>>);

impl Upstreams for Published {
    async fn ask_all(&self, wanted: BTreeMap<UpstreamRef, Wanted>, on_answer: OnAnswer<'_>) {
        for upstream in wanted.keys() {
            let answer = match self.0.get(&upstream.name()) {
                Some(versions) => Ok(Answer {
                    candidates: versions
                        .iter()
                        .map(|version| Candidate {
                            version: (*version).to_owned(),
                            released_at: Some("2026-10-01T10:00:00Z".parse().unwrap()),
                            notes: Some(notes(&upstream.name(), version)),
                            ..Candidate::default()
                        })
                        .collect(),
                    ..Answer::default()
                }),
                None => Err(failure()),
            };
            on_answer(upstream, answer);
        }
    }

    /// Of Longhorn there is one for each minor, which ends with its second patch.
    async fn advisories(&self, module: &str, _: &str, _: &str) -> Result<Vec<Advisory>, UpstreamFailure> {
        if module != "github.com/longhorn/longhorn-manager" {
            return Err(failure());
        }
        let advisory = |minor: u64| Advisory {
            name: format!("CVE-2025-8{minor:03}"),
            affected: vec![Affected {
                ranges: vec![vec![Event::Introduced("0".to_owned()), Event::Fixed(format!("1.{minor}.1"))]],
                versions: Vec::new(),
            }],
        };
        Ok([9, 10, 11].map(advisory).to_vec())
    }

    async fn inspect(&self, _: &UpstreamRef, _: &str) -> Result<DeepChecks, UpstreamFailure> {
        Err(failure())
    }
}

/// Longhorn tells of each version what is its own.
fn notes(name: &str, version: &str) -> String {
    match name {
        "longhorn" => {
            let number: String = version.chars().filter(char::is_ascii_digit).collect();
            format!(
                "## Breaking changes\n\n- what {version} removed is gone\n\n## Fixes\n\n- CVE-2026-9{number}\n"
            )
        }
        _ => "- fixes @everyone, see #12".to_owned(),
    }
}

fn failure() -> UpstreamFailure {
    UpstreamFailure { class: FailureClass::NotFound, message: "nobody publishes it".to_owned() }
}

/// No file of the repository is generated.
struct NoGenerator;

impl Generator for NoGenerator {
    fn generate(&self, path: &str, _: &[u8], _: &str) -> Result<Vec<u8>, String> {
        Err(format!("`{path}` is not generated"))
    }
}

impl Charts for NoGenerator {
    fn compare(&self, _: &ChartChange) -> Result<Comparison, UpstreamFailure> {
        Ok(Comparison::default())
    }

    fn harm(&self, changes: &[ChartChange]) -> Vec<Result<Harm, UpstreamFailure>> {
        changes.iter().map(|_| Ok(Harm::default())).collect()
    }
}

/// Whatever is listed can be had.
impl Targets for NoGenerator {
    fn reach(&self, targets: &[Target]) -> Vec<Result<(), UpstreamFailure>> {
        targets.iter().map(|_| Ok(())).collect()
    }
}

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) git: Git,
    pub(crate) published: Published,
    pub(crate) config: String,
    /// The cluster, where there is a way to one.
    pub(crate) cluster: Option<ScriptedCluster>,
    /// What is tried around updates.
    pub(crate) trials: Option<Box<dyn Trier>>,
    /// How the cluster was seen to be right before.
    pub(crate) baseline: Option<Baseline>,
    /// Where its refs are; `None` = with it.
    pub(crate) remote: Option<PathBuf>,
}

impl World {
    /// Two releases with something newer.
    pub(crate) fn new() -> Self {
        Self::in_folder("repo")
    }

    /// The same in a folder that reads as the address which sources of the cluster have: the repository is told by it.
    pub(crate) fn with_address() -> Self {
        let mut world = Self::in_folder("git@/git.example.com/home-ops");
        world.remote = Some(world.dir().to_path_buf());
        world
    }

    fn in_folder(path: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::init(folder.path().join(path));
        git.write("source.yaml", SOURCE)
            .write("podinfo.yaml", release("podinfo", "6.5.0", ""))
            .write("website.yaml", release("website", "1.0.0", ""));
        git.commit_all("Start");
        let published = Published(BTreeMap::from([
            ("podinfo".to_owned(), vec!["6.5.0", "6.5.1"]),
            ("website".to_owned(), vec!["1.0.0", "1.1.0"]),
        ]));
        Self {
            _folder: folder,
            git,
            published,
            config: String::new(),
            cluster: None,
            trials: None,
            baseline: None,
            remote: None,
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.git.dir()
    }

    pub(crate) fn forge(&self) -> LocalForge {
        let repo = Arc::new(WriteRepo::open(self.dir(), Remote::own()).unwrap());
        let person = Person { name: "Jane".to_owned(), email: "jane@example.com".to_owned() };
        LocalForge::new(repo, person, Arc::new(AnyClock::Fixed(NOW.parse().unwrap())))
    }

    pub(crate) fn run(&self) -> Done {
        let done = self.pass(&Recording::default(), NOW).unwrap();
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        done
    }

    pub(crate) fn at(&self, now: &str) -> Done {
        let done = self.pass(&Recording::default(), now).unwrap();
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        done
    }

    pub(crate) fn pass(&self, witness: &dyn Witness, now: &str) -> Result<Done, Error> {
        self.pass_while(witness, now, || ())
    }

    /// A pass, and something that happens when it has observed and done nothing yet.
    pub(crate) fn pass_while(
        &self,
        witness: &dyn Witness,
        now: &str,
        meanwhile: impl FnOnce(),
    ) -> Result<Done, Error> {
        // Where a cluster is waited for, time goes on by itself.
        let paused = self.cluster.is_some();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap();
        self.with_pass(witness, now, &runtime, |pass| {
            let world = pass.observe()?;
            let base = world.base.to_string();
            let repository = repo::open(self.dir(), Some(&base)).unwrap();
            let request = DetectRequest {
                path: self.dir().to_path_buf(),
                rev: Some(base),
                config: pass.config.clone(),
                offline: false,
                components: vec![],
                deep: false,
                now: pass.now,
            };
            let found = detect::read(&repository, &request, 1).unwrap();
            let clock = AnyClock::Fixed(pass.now);
            let survey = runtime.block_on(plan::survey(found, &request, &self.published, &clock));
            meanwhile();
            pass.carry_out(world, &survey, None, &|file| repository.read(file))
        })
    }

    /// Does something with a pass over this repository.
    pub(crate) fn with_pass<T>(
        &self,
        witness: &dyn Witness,
        now: &str,
        runtime: &tokio::runtime::Runtime,
        act: impl FnOnce(&Pass<'_, LocalForge>) -> T,
    ) -> T {
        let now: Timestamp = now.parse().unwrap();
        let config = self.config();
        let remote = self.remote.as_ref().map_or_else(Remote::own, Remote::path);
        let git = Arc::new(WriteRepo::open(self.dir(), remote).unwrap());
        let author = Person::bot();
        let forge = LocalForge::new(git.clone(), author.clone(), Arc::new(AnyClock::Fixed(now)));
        let settings = &config.data_backups;
        let data: Box<dyn DataKeeper + '_> = match &self.cluster {
            Some(cluster) => Box::new(Keeper { cluster, settings, runtime }),
            None => Box::new(NoCluster { settings }),
        };
        let templates = Templates::new(Overrides::default()).unwrap();
        act(&Pass {
            forge: &forge,
            git: git.clone(),
            store: StateStore::new(git, author.clone()),
            config: &config,
            author,
            templates: &templates,
            witness,
            runtime,
            generator: &NoGenerator,
            charts: &NoGenerator,
            targets: &NoGenerator,
            data: data.as_ref(),
            trials: self.trials.as_deref().unwrap_or(&NoTrials),
            kill_switch: (!config.enabled).then_some(KillSwitch::BaseBranch),
            windows: None,
            accepted: BTreeMap::new(),
            selected: &|_, _| true,
            by_name: false,
            proposes: true,
            notify: &gitops_updater::app::notify::Silent,
            baseline: self.baseline.as_ref(),
            unfit: None,
            now,
        })
    }

    fn config(&self) -> Config {
        let origin =
            Origin { name: ".gitops-updater.yaml", trust: Trust::Repository, folder: None, repository: None };
        config::parse(&self.config, &origin).unwrap()
    }

    /// Every ref and where it is, but for this clone's own memory of the state.
    pub(crate) fn refs(&self) -> Vec<String> {
        let all = self.git.run(["for-each-ref", "--format=%(refname) %(objectname)"]);
        all.lines().filter(|line| !line.starts_with("refs/remotes/")).map(str::to_owned).collect()
    }

    /// The text of a file of the state.
    pub(crate) fn state_file(&self, path: &str) -> String {
        self.git.run(["show", &format!("refs/gitops-updater/state:{path}")])
    }

    pub(crate) fn branches(&self) -> Vec<String> {
        let all = self.git.run(["for-each-ref", "--format=%(refname:short)", "refs/heads/gitops-updater"]);
        all.lines().map(str::to_owned).collect()
    }

    /// Merges a pull request, as a person does.
    pub(crate) fn merge(&self, number: u64) {
        use gitops_updater::app::forge::{Forge as _, MergeMethod};
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let forge = self.forge();
        let pull = runtime.block_on(forge.pull_request(number)).unwrap();
        runtime.block_on(forge.merge(number, &pull.head, MergeMethod::Merge, "Merge")).unwrap();
    }

    /// Closes a pull request, as a person does.
    pub(crate) fn close(&self, number: u64) {
        use gitops_updater::app::forge::Forge as _;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.forge().close(number)).unwrap();
    }

    /// Bodies of all pull requests.
    pub(crate) fn bodies(&self) -> Vec<String> {
        use gitops_updater::app::forge::Forge as _;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pulls = runtime.block_on(self.forge().pull_requests()).unwrap();
        pulls.into_iter().map(|pull| pull.body).collect()
    }

    /// The body of one pull request.
    pub(crate) fn body(&self, number: u64) -> String {
        use gitops_updater::app::forge::Forge as _;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.forge().pull_request(number)).unwrap().body
    }

    /// Writes the body of a pull request, as a person does.
    pub(crate) fn set_body(&self, number: u64, body: &str) {
        use gitops_updater::app::forge::{Forge as _, PullRequestChange};
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let forge = self.forge();
        let pull = runtime.block_on(forge.pull_request(number)).unwrap();
        let change = PullRequestChange { body: Some(body.to_owned()), ..PullRequestChange::default() };
        runtime.block_on(forge.change(&pull, &change)).unwrap();
    }

    /// The body of the dashboard.
    pub(crate) fn dashboard(&self) -> String {
        use gitops_updater::app::forge::Forge as _;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.forge().dashboard()).unwrap().unwrap().body
    }

    /// Ticks a box of the dashboard, as a person does.
    pub(crate) fn tick(&self, action: &gitops_updater::domain::message::Action) {
        use gitops_updater::app::forge::Forge as _;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let forge = self.forge();
        let seen = runtime.block_on(forge.dashboard()).unwrap().unwrap();
        let ticked = action.tick(&seen.body).unwrap();
        runtime.block_on(forge.write_dashboard(Some(&seen), "Updates", &ticked)).unwrap();
    }

    /// Numbers, branches and states of all pull requests, oldest first.
    pub(crate) fn pulls(&self) -> Vec<(u64, String, &'static str)> {
        use gitops_updater::app::forge::{Forge as _, PullRequestState};
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut pulls = runtime.block_on(self.forge().pull_requests()).unwrap();
        pulls.sort_by_key(|pull| pull.number);
        let word = |state: &PullRequestState| match state {
            PullRequestState::Open => "open",
            PullRequestState::Merged { .. } => "merged",
            PullRequestState::Closed => "closed",
        };
        pulls.iter().map(|pull| (pull.number, pull.branch.clone(), word(&pull.state))).collect()
    }
}

/// Remembers what was done, and stops where it is told to.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Stop before this effect is done, counted from 0.
    pub(crate) stop_before: Option<usize>,
    /// Stop after this effect was done.
    pub(crate) stop_after: Option<usize>,
    /// Leave every effect out.
    pub(crate) skip: bool,
    pub(crate) done: Mutex<Vec<Effect>>,
}

impl Recording {
    pub(crate) fn count(&self) -> usize {
        self.done.lock().unwrap().len()
    }
}

impl Witness for Recording {
    fn acts(&self) -> bool {
        !self.skip
    }

    fn before(&self, _: &Effect) -> Result<Go, Stopped> {
        if self.skip {
            return Ok(Go::Skip);
        }
        if self.stop_before == Some(self.count()) { Err(Stopped) } else { Ok(Go::Do) }
    }

    fn after(&self, effect: &Effect) -> Result<(), Stopped> {
        self.done.lock().unwrap().push(effect.clone());
        if self.stop_after.is_some_and(|stop| stop + 1 == self.count()) { Err(Stopped) } else { Ok(()) }
    }
}
