//! One pass: observe what is under way, take it a step further, propose what comes next.
//!
//! Every pass is the same whoever runs it and however often: what it finds done it does not do again, and what an
//! earlier one left half done it finishes. It may be killed between any two effects. Pull requests and the state ref
//! are all that it remembers; where the state was lost, it is rebuilt from the pull requests.

mod act;
mod adopt;
mod charts;
mod close;
mod data;
mod error;
mod gone_back;
mod ground;
mod known;
mod merge;
mod ours;
mod propose;
mod prune;
mod publish;
mod rolled_back;
mod texts;
mod under_way;
mod unfit;
mod unrecorded;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use jiff::Timestamp;

pub use act::{LEFT_ALONE, delete_branch, mark_verified, may_be_verified};
pub(super) use act::{complete, phase_of};
pub use error::{Error, chain};
pub use known::{close_breaker, resume};
pub use ours::has_foreign_commits;
pub use rolled_back::GoingBack;
pub(super) use under_way::UnderWay;
pub use unfit::Unfit;
pub use unrecorded::{Unrecorded, foresee};

use super::data::DataKeeper;
use super::effects::{Effect, Witness};
use super::forge::{Dashboard, Forge, ForgeError, ForgeErrorClass, PullRequest};
use super::gates::Gates;
use super::notify::Notify;
use super::plan::{self, Charts, Generator, Planned, Planning, Survey, Targets};
use super::probes::Trier;
use crate::config::Config;
use crate::domain::message::{Action as Tick, BRANCH_PREFIX, Templates};
use crate::domain::plan::input::{Observed, Situation};
use crate::domain::plan::{Held, PlanReport, Step};
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::policy::window::Window;
use crate::domain::settle::memory::Baseline;
use crate::domain::state::{Quarantined, State, Update};
use crate::repo;
use crate::repo::write::{Id, Person, RemoteRefs, WriteRepo};
use crate::state::{STATE_REF, StateStore};

/// A pass over one repository.
pub struct Pass<'a, F> {
    /// Where pull requests live.
    pub forge: &'a F,
    /// The repository and its remote.
    pub git: Arc<WriteRepo>,
    /// The state at the remote.
    pub store: StateStore,
    /// The configuration of the base branch.
    pub config: &'a Config,
    /// Who commits.
    pub author: Person,
    /// Texts.
    pub templates: &'a Templates,
    /// Who looks on.
    pub witness: &'a dyn Witness,
    /// What waits for the forge.
    pub runtime: &'a tokio::runtime::Runtime,
    /// Makes generated files.
    pub generator: &'a dyn Generator,
    /// Looks into charts.
    pub charts: &'a dyn Charts,
    /// Says whether versions can be had.
    pub targets: &'a dyn Targets,
    /// Backs up data.
    pub data: &'a dyn DataKeeper,
    /// Tries the cluster before and after updates.
    pub trials: &'a dyn Trier,
    /// Set while every effect but recording is stopped.
    pub kill_switch: Option<KillSwitch>,
    /// Windows of the command line, in place of those of the configuration.
    pub windows: Option<&'a [Window]>,
    /// By update id: who says that it is verified.
    pub accepted: BTreeMap<String, String>,
    /// Which components, by id and kind, new steps are proposed for.
    pub selected: &'a dyn Fn(&str, &str) -> bool,
    /// A person named these components: steps under the gate `manual` are opened for them, too.
    pub by_name: bool,
    /// Whether new steps are proposed.
    pub proposes: bool,
    /// Told of what happens, beside what the state says.
    pub notify: &'a dyn Notify,
    /// How the cluster is now, where it is seen.
    pub baseline: Option<&'a Baseline>,
    /// Why nothing may be merged by the state of the cluster, where there is a way to it.
    pub unfit: Option<&'a Unfit>,
    /// Now.
    pub now: Timestamp,
}

/// What there is, as it was at one moment.
#[derive(Debug)]
pub struct World {
    /// Branch that pull requests are for.
    pub base_branch: String,
    /// Where it is.
    pub base: Id,
    /// Refs of the remote.
    pub refs: RemoteRefs,
    /// Pull requests of ours, newest first.
    pub pulls: Vec<PullRequest>,
    /// The dashboard.
    pub dashboard: Option<Dashboard>,
    /// The state.
    pub state: State,
}

/// What a pass came to.
#[derive(Debug)]
pub struct Done {
    /// The plan after it.
    pub plan: PlanReport,
    /// The state after it.
    pub state: State,
    /// What was done, in order; in a dry run what would have been.
    pub effects: Vec<Effect>,
    /// What another run had done when this one was about to.
    pub found: Vec<Effect>,
    /// What each update under way waits for, by update id.
    pub waiting: BTreeMap<String, String>,
    /// What went wrong with single updates; the others went on.
    pub failures: Vec<Failure>,
    /// What is not as it should be and kept nothing from going on, such as a reviewer who cannot be asked.
    pub warnings: Vec<String>,
    /// Pages of pull requests, by number, where they have one.
    pub links: BTreeMap<u64, String>,
    /// What stops every effect but recording and telling.
    pub kill_switch: Option<KillSwitch>,
    /// Open pull requests that go back to older versions, newest first.
    pub going_back: Vec<GoingBack>,
}

/// Something that went wrong with one update.
#[derive(Debug)]
pub struct Failure {
    /// Component id.
    pub component: String,
    /// What went wrong.
    pub error: Error,
}

impl<F: Forge> Pass<'_, F> {
    /// Looks at the remote, the state and the forge.
    ///
    /// # Errors
    ///
    /// One of them cannot be asked, or nothing may be built on the state.
    pub fn observe(&self) -> Result<World, Error> {
        let wanted = self.config.forge.base_branch.clone();
        let known = match &wanted {
            Some(branch) => branch.clone(),
            None => self
                .git
                .refs()?
                .default_branch
                .ok_or_else(|| Error::NoDefault { remote: self.git.remote().shown() })?,
        };
        let base_ref = format!("refs/heads/{known}");
        let own_branches = format!("refs/heads/{BRANCH_PREFIX}");
        let refs = self.git.fetch(|name| {
            name == base_ref
                || name == STATE_REF
                || name.starts_with(&own_branches)
                || name.starts_with("refs/gitops-updater/")
        })?;
        let base = refs
            .branch(&known)
            .ok_or_else(|| Error::NoBase { branch: known.clone(), remote: self.git.remote().shown() })?;
        let loaded = self.store.load()?;
        loaded.may_build()?;
        let pulls = self.wait(self.forge.pull_requests())?;
        let dashboard = match self.config.dashboard.enabled {
            true => self.wait(self.forge.dashboard()).map_err(|error| ForgeError {
                // It can stop everything, so that it is not passed over.
                hint: error
                    .hint
                    .map(|hint| format!("{hint}; or do without: `dashboard: {{enabled: false}}`")),
                ..error
            })?,
            false => None,
        };
        Ok(World { base_branch: known, base, refs, pulls, dashboard, state: loaded.state })
    }

    /// Takes everything that is under way a step further and proposes what comes next.
    ///
    /// `survey` is what the base branch at `world.base` runs, and `read` reads its files.
    ///
    /// # Errors
    ///
    /// The pass as a whole cannot go on; what concerns one update alone is among the failures of what was done.
    pub fn carry_out(
        &self,
        world: World,
        survey: &Survey,
        observed: Option<Observed<'_>>,
        read: &dyn Fn(&str) -> Result<Vec<u8>, repo::Error>,
    ) -> Result<Done, Error> {
        let mut run = Run {
            quarantined: world.state.quarantine.clone(),
            under_way: UnderWay::new(self, world),
            survey,
            observed,
            read,
            replaced: Vec::new(),
            touched: BTreeSet::new(),
            occupied: BTreeMap::new(),
            held: BTreeMap::new(),
        };
        run.adopt()?;
        run.obey()?;
        run.record_rolled_back()?;
        run.record_gone_back()?;
        if let Err(error) = run.end_rollbacks() {
            run.failed("rollback", error)?;
        }
        let mut planned = run.plan();
        let mut made_from = run.world.state.clone();
        run.take_further(&planned)?;
        // What was merged or verified just now lets others go on.
        run.plan_again(&mut planned, &mut made_from);
        if self.proposes {
            run.propose_next(&planned)?;
        }
        run.close_replaced()?;
        run.answer_rebuilds();
        run.plan_again(&mut planned, &mut made_from);
        run.tell_held(&mut planned.report);
        // What one person named for once is no news for everybody.
        let of_all = self.by_name.then(|| run.plan_for_all());
        match run.write_dashboard(of_all.as_ref().unwrap_or(&planned)) {
            Err(Error::Forge(error)) if error.class == ForgeErrorClass::Conflict => {
                run.warnings.push(format!("the dashboard is as another run left it: {error}"));
            }
            Err(error) => run.failed("dashboard", error)?,
            Ok(()) => {}
        }
        if let Err(error) = run.prune() {
            run.failed("backups", error)?;
        }
        if let Err(error) = run.forget_evidence() {
            run.failed("state", error)?;
        }
        // Always, so that a pass that was stopped just before this leaves nothing behind.
        if run.kill_switch.is_none() && self.witness.acts() && !run.world.state.updates.is_empty() {
            self.store.confirm()?;
        }
        let kill_switch = run.kill_switch;
        let UnderWay { world, effects, found, waiting, failures, mut warnings, .. } = run.under_way;
        warnings.extend(self.forge.warnings());
        let going_back = GoingBack::among(&world.pulls);
        let pulls = world.pulls.into_iter().filter(|pull| !pull.url.is_empty());
        let links = pulls.map(|pull| (pull.number, pull.url)).collect();
        Ok(Done {
            plan: planned.report,
            state: world.state,
            effects,
            found,
            waiting,
            failures,
            warnings,
            links,
            kill_switch,
            going_back,
        })
    }

    pub(in crate::app) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }
}

/// The label on the dashboard that stops everything.
const STOP_LABEL: &str = "gitops-updater/stop";

/// What the label on the dashboard stops.
pub fn stopped_by(dashboard: Option<&Dashboard>) -> Option<KillSwitch> {
    dashboard
        .is_some_and(|dashboard| dashboard.labels.iter().any(|label| label == STOP_LABEL))
        .then_some(KillSwitch::Dashboard)
}

/// A pass that takes further what is under way and proposes what comes next, with what it knows of the base branch.
struct Run<'a, F> {
    under_way: UnderWay<'a, F>,
    survey: &'a Survey,
    observed: Option<Observed<'a>>,
    read: &'a dyn Fn(&str) -> Result<Vec<u8>, repo::Error>,
    /// The quarantine as it was when the pass observed.
    quarantined: Vec<Quarantined>,
    /// Updates that another version takes the place of, to be closed when that one is open.
    replaced: Vec<(Update, String, Option<String>)>,
    /// Updates that were acted upon.
    touched: BTreeSet<String>,
    /// Components on whose pull request a person works, with its version and what the person did.
    occupied: BTreeMap<String, (String, String)>,
    /// What was found when a step was about to be proposed, by step id.
    held: BTreeMap<String, Held>,
}

impl<'a, F> Deref for Run<'a, F> {
    type Target = UnderWay<'a, F>;

    fn deref(&self) -> &Self::Target {
        &self.under_way
    }
}

impl<F> DerefMut for Run<'_, F> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.under_way
    }
}

impl<F: Forge> Run<'_, F> {
    /// This moment, with all that may stop a step.
    fn gates(&self) -> Gates<'_> {
        Gates {
            now: self.pass.now,
            config: self.pass.config,
            survey: self.survey,
            state: &self.world.state,
            windows: self.pass.windows,
            kill_switch: self.kill_switch,
        }
    }

    /// Makes the plan anew, where what is recorded is not what it was made from.
    fn plan_again(&self, planned: &mut Planned, made_from: &mut State) {
        if *made_from != self.world.state {
            *planned = self.plan();
            made_from.clone_from(&self.world.state);
        }
    }

    fn plan(&self) -> Planned {
        let updates: Vec<Update> = self.world.state.updates.values().cloned().collect();
        let mut asked = self.asked_steps();
        let planned = self.plan_with(&updates, &asked, &BTreeSet::new());
        if !self.pass.by_name {
            return planned;
        }
        let steps = planned.report.waves.iter().flat_map(|wave| &wave.steps);
        let named: BTreeSet<String> =
            steps.filter(|step| self.is_selected(step)).map(|step| step.id.clone()).collect();
        asked.extend(named.iter().cloned());
        self.plan_with(&updates, &asked, &named)
    }

    /// The plan as it is where nobody has named anything.
    fn plan_for_all(&self) -> Planned {
        let updates: Vec<Update> = self.world.state.updates.values().cloned().collect();
        let mut planned = self.plan_with(&updates, &self.asked_steps(), &BTreeSet::new());
        self.tell_held(&mut planned.report);
        planned
    }

    fn plan_with(&self, updates: &[Update], asked: &BTreeSet<String>, named: &BTreeSet<String>) -> Planned {
        let gates = self.gates();
        let holds = |step: &Step| gates.holds(step, &[]);
        let unrecorded = BTreeSet::new();
        let groundless = gates.groundless();
        let situation =
            Situation { updates, unrecorded: &unrecorded, groundless: &groundless, holds: &holds, asked };
        plan::plan(self.survey, &self.planning(situation, named), self.pass.now)
    }

    fn planning<'s>(&'s self, situation: Situation<'s>, named: &'s BTreeSet<String>) -> Planning<'s> {
        Planning {
            config: self.pass.config,
            observed: self.observed,
            situation,
            read: self.read,
            generator: self.pass.generator,
            targets: self.pass.targets,
            charts: self.pass.charts,
            named,
            quarantine: &self.world.state.quarantine,
        }
    }

    fn is_selected(&self, step: &Step) -> bool {
        let kind = self.survey.subject(&step.component).map(|subject| subject.component.kind.as_str());
        (self.pass.selected)(&step.component, kind.unwrap_or_default())
    }

    /// Steps that a person asked for: by the dashboard now, or earlier and recorded since.
    fn asked_steps(&self) -> BTreeSet<String> {
        let ticked = self.ticked.iter().filter_map(|tick| match tick {
            Tick::Open { component, version } => Some(format!("{component}@{version}")),
            _ => None,
        });
        self.gates().asked().into_iter().chain(ticked).collect()
    }

    /// Holds that only a look at the target showed are holds of the plan.
    fn tell_held(&self, report: &mut PlanReport) {
        for step in report.waves.iter_mut().flat_map(|wave| &mut wave.steps) {
            if let Some(held) = self.held.get(&step.id) {
                step.next = false;
                step.reasons.push(format!("{}: {}", held.gate, held.reason));
            }
        }
        report.held.extend(self.held.values().cloned());
        report.held.sort_by(|one, other| one.component.cmp(&other.component));
        // What a person ticked on the dashboard stays there to be seen, and ticked.
        report.tell_once(&|step| {
            let (component, version) = (step.component.clone(), step.to.clone());
            self.ticked.contains(&Tick::Open { component, version })
        });
    }
}
