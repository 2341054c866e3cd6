//! A repository with a merged update, and passes that settle it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gitops_updater::app::effects::Witness;
use gitops_updater::app::forge::{CommitStatus, Forge as _, MergeMethod, PullRequest};
use gitops_updater::app::pass::{Error, Pass, World as Observed};
use gitops_updater::app::probes::Trier;
use gitops_updater::app::replay::replay;
use gitops_updater::app::settle::{self, Outcome, Recorder, Settle, Settled};
use gitops_updater::domain::settle::health::HealthSettings;
use gitops_updater::domain::settle::line::Line;
use gitops_updater::domain::settle::memory::is_of;
use gitops_updater::domain::settle::record::{Evidence, Reversal};
use gitops_updater::domain::settle::recording;
use gitops_updater::domain::settle::settings::{Settings, Windows};
use gitops_updater::domain::settle::verdict::{Action, Judgement, Reason, Verdict};
use gitops_updater::domain::state::{Stage, State, Update};
use gitops_updater::forge::local::LocalForge;
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};
use serde_json::Value;

use super::scripted::Scripted;
use crate::pass::world::{Recording, World};

pub(super) const MERGED: &str = "2026-11-21T11:00:00Z";
pub(super) const LATER: &str = "2026-11-21T12:00:00Z";

pub(super) const PODINFO: &str = "helm/apps/podinfo";

pub(super) struct Settling {
    pub(super) world: World,
    /// Id of the update of podinfo.
    pub(super) id: String,
    /// Number of its pull request.
    pub(super) number: u64,
}

impl Settling {
    /// Two proposals, of which the one of podinfo is merged as a forge does it.
    pub(super) fn merged(method: MergeMethod) -> Self {
        Self::merged_with(method, "")
    }

    pub(super) fn merged_with(method: MergeMethod, config: &str) -> Self {
        Self::merged_by(method, config, None)
    }

    /// The same, with somebody who tries the cluster around updates.
    pub(super) fn merged_by(method: MergeMethod, config: &str, trials: Option<Box<dyn Trier>>) -> Self {
        let mut world = World::new();
        world.config = config.to_owned();
        world.trials = trials;
        Self::merged_in(world, method)
    }

    /// The same in a world of its own.
    pub(super) fn merged_in(world: World, method: MergeMethod) -> Self {
        world.run();
        let number = world.pulls().iter().find(|pull| pull.1.contains("podinfo")).unwrap().0;
        let forge = world.forge();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pull = runtime.block_on(forge.pull_request(number)).unwrap();
        runtime.block_on(forge.merge(number, &pull.head, method, "Merge podinfo")).unwrap();
        let mut settling = Self { world, id: String::new(), number };
        let state = settling.settle(MERGED).state;
        settling.id =
            state.updates.values().find(|update| update.component == PODINFO).unwrap().update_id.clone();
        settling
    }

    pub(super) fn store(&self) -> StateStore {
        let repo = WriteRepo::open(self.world.dir(), Remote::own()).unwrap();
        StateStore::new(Arc::new(repo), Person::bot())
    }

    pub(super) fn state(&self) -> State {
        self.store().load().unwrap().state
    }

    pub(super) fn update(&self) -> Update {
        self.state().updates[&self.id].clone()
    }

    /// Records that the update regressed and is to be reverted, as a pass does that is killed right after.
    pub(super) fn decide_to_revert(&self) {
        let id = self.id.clone();
        let changed = self.store().change(LATER.parse().unwrap(), |state: &mut State| {
            let update = state.updates.get_mut(&id)?;
            update.stage = Stage::Rolling;
            update.status = update.stage.status();
            update.settling.verdict = Some(Verdict::Regressed);
            update.settling.reversal = Some(Reversal {
                decided_at: LATER.parse().unwrap(),
                reason: "Deployment/apps/podinfo: ProgressDeadlineExceeded".to_owned(),
                branch: None,
                pull_request: None,
                commit: None,
                made_at: None,
                back_at: None,
                seen_by: None,
            });
            Some(Transition::of(update))
        });
        changed.unwrap();
    }

    pub(super) fn settle(&self, now: &str) -> Settled {
        let settled = self.settle_by(&Recording::default(), now).unwrap();
        assert!(settled.failures.is_empty(), "{:?}", settled.failures);
        settled
    }

    pub(super) fn settle_by(&self, witness: &dyn Witness, now: &str) -> Result<Settled, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        self.world.with_pass(witness, now, &runtime, |pass| settle(pass, None, None, Settings::default()))
    }

    pub(super) fn main(&self) -> String {
        self.world.git.run(["rev-parse", "main"])
    }

    /// Subjects of the commits of the base branch, newest first.
    pub(super) fn subjects(&self) -> Vec<String> {
        let all = self.world.git.run(["log", "--first-parent", "--format=%s", "main"]);
        all.lines().map(str::to_owned).collect()
    }

    pub(super) fn version(&self) -> String {
        let text = self.world.git.run(["show", "main:podinfo.yaml"]);
        let line = text.lines().find(|line| line.trim().starts_with("version:")).unwrap();
        line.trim().to_owned()
    }

    pub(super) fn pull(&self, number: u64) -> PullRequest {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.world.forge().pull_request(number)).unwrap()
    }

    pub(super) fn comments(&self) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let details = runtime.block_on(self.world.forge().details(self.number)).unwrap();
        details.comments.into_iter().map(|comment| comment.body).collect()
    }

    /// Statuses of the merge commit.
    pub(super) fn statuses(&self) -> Vec<CommitStatus> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let commit = self.update().merge_commit.unwrap();
        runtime.block_on(self.world.forge().statuses(&commit)).unwrap()
    }
}

pub(super) fn settle(
    pass: &Pass<'_, LocalForge>,
    cluster: Option<&Scripted>,
    wait: Option<std::time::Duration>,
    settings: Settings,
) -> Result<Settled, Error> {
    settle_before(pass, cluster, wait, settings, false)
}

/// Settles; `proposes` = something may be proposed afterwards.
pub(super) fn settle_before(
    pass: &Pass<'_, LocalForge>,
    cluster: Option<&Scripted>,
    wait: Option<std::time::Duration>,
    settings: Settings,
    proposes: bool,
) -> Result<Settled, Error> {
    let world = pass.observe()?;
    settle_in(pass, world, cluster, wait, settings, proposes)
}

/// A recording that is kept.
#[derive(Default)]
pub(super) struct Lines(pub(super) std::cell::RefCell<String>);

impl Recorder for Lines {
    fn record(&self, line: &Line<Value>) -> std::io::Result<()> {
        let mut lines = self.0.borrow_mut();
        lines.push_str(&recording::write(line)?);
        lines.push('\n');
        Ok(())
    }
}

/// What is kept of updates, by id.
type Kept = BTreeMap<String, Evidence>;

/// What is said of a recording by nothing but itself.
pub(super) fn replayed(recording: &str) -> Vec<Judgement> {
    let mut said = Vec::new();
    replay(recording.as_bytes(), None, |judgement| said.push(judgement)).unwrap();
    said
}

/// The recording of a pass comes to the same end as the pass itself: verdict, action and reasons of every update.
/// `before` = what had been kept of each.
pub(super) fn comes_to_the_same_end(recording: &str, settled: &Settled, before: &Kept) {
    let said = replayed(recording);
    let state = &settled.state;
    for (id, kept) in &state.evidence {
        let is_said = said.iter().any(|said| is_of(&said.update, id));
        assert!(is_said || before.get(id) == Some(kept), "{id}: nothing replayed of {kept:?}\n{recording}");
    }
    for (id, outcome) in &settled.outcomes {
        // The way back was said of later, where there is one. Of what was decided before the cluster was looked at
        // nothing is said.
        let of_it = |said: &&Judgement| is_of(&said.update, id);
        let Some(last) = said.iter().rfind(of_it) else { continue };
        let stage = state.updates[id].stage;
        if last.action == Action::None {
            assert!(
                matches!(stage, Stage::Reverted | Stage::Abandoned | Stage::Held | Stage::Rolling),
                "{id} is {stage:?}, and the replay says {last:?}"
            );
            continue;
        }
        // A person ended it, or what was chosen is tried before it is reverted.
        let is_over_otherwise = matches!(stage, Stage::Reverted | Stage::Abandoned)
            && !matches!(last.action, Action::Complete | Action::Revert);
        if is_over_otherwise || (last.action == Action::Revert && *outcome == Outcome::Undecided) {
            continue;
        }
        let Some(kept) = state.evidence.get(id).and_then(|evidence| evidence.judgements.last()) else {
            assert_eq!(last.reasons[0].code, "not_observed", "nothing is kept of {last:?}");
            continue;
        };
        let live = (kept.verdict, kept.action, kept.of_the_way_back);
        let again = (last.verdict, last.action, last.update != *id);
        // What Git, or the breaker, holds up is told by the pass alone.
        let is_held_up = live == (again.0, Action::Hold, again.2)
            && again.1 == Action::Revert
            && recording.contains(&format!("{id} is held: "));
        assert!(live == again || is_held_up, "{id}: {live:?} live, {again:?} replayed\n{recording}");
        let codes = |reasons: &[Reason]| {
            reasons.iter().map(|reason| (reason.code.clone(), reason.object.clone())).collect::<BTreeSet<_>>()
        };
        let kept = &kept.reasons[usize::from(is_held_up)..];
        assert_eq!(codes(kept), codes(&last.reasons), "{id}\n{recording}");
    }
}

/// Settles in the world as it was seen. What is seen of a cluster is recorded, and must be judged alike again.
pub(super) fn settle_in(
    pass: &Pass<'_, LocalForge>,
    world: Observed,
    cluster: Option<&Scripted>,
    wait: Option<std::time::Duration>,
    settings: Settings,
    proposes: bool,
) -> Result<Settled, Error> {
    let lines = Lines::default();
    let before = world.state.evidence.clone();
    let settled = settle_recorded(pass, world, cluster, wait, settings, proposes, Some(&lines))?;
    if cluster.is_some() {
        comes_to_the_same_end(&lines.0.borrow(), &settled, &before);
    }
    Ok(settled)
}

/// The same, with what is recorded, if anything.
pub(super) fn settle_recorded(
    pass: &Pass<'_, LocalForge>,
    world: Observed,
    cluster: Option<&Scripted>,
    wait: Option<std::time::Duration>,
    settings: Settings,
    proposes: bool,
    lines: Option<&Lines>,
) -> Result<Settled, Error> {
    let (registry, _) = gitops_updater::rules::Registry::load(std::iter::empty::<(&str, &str)>());
    let patience = match settings.windows == Windows::all(settings.windows.other) {
        true => HealthSettings::default().within(settings.windows.other),
        false => HealthSettings::default(),
    };
    pass.settle(
        world,
        &Settle {
            cluster,
            away: None,
            wait,
            proposes,
            settings,
            checks: &|| settle::checks(patience.clone()),
            stop: &|| Box::pin(std::future::pending()),
            recorder: cluster.and(lines).map(|lines| lines as &dyn Recorder),
            selected: &|_, _| true,
            rules: registry.rules(),
        },
    )
}
