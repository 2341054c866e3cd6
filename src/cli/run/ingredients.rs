//! What a pass is made of.

use std::collections::BTreeMap;

use crate::app::data::{DataKeeper, Keeper, NoCluster};
use crate::app::effects::{Acting, Effect, Go, Stopped, Witness};
use crate::app::notify::Gathered;
use crate::app::pass::{self, Pass, Unfit};
use crate::app::plan::{ChartChange, Charts, Generator, Target, Targets};
use crate::app::probes::{NoTrials, Trier};
use crate::cli::GlobalArgs;
use crate::cli::error::CommandError;
use crate::cli::settle::Seen;
use crate::cli::stop::{Stop, Stoppable};
use crate::cli::switch;
use crate::cli::workplace::Workplace;
use crate::config::Config;
use crate::domain::chart_diff::{Comparison, Harm};
use crate::domain::message::{Overrides, Templates};
use crate::domain::policy::circumstances::KillSwitch;
use crate::domain::policy::window::Window;
use crate::domain::settle::memory::Baseline;
use crate::domain::upstream::{FailureClass, UpstreamFailure};

/// Who looks on: nothing in a dry run, and nothing after a signal.
pub(in crate::cli) fn witness(dry_run: bool, stop: &Stop) -> Box<dyn Witness + '_> {
    let inner: Box<dyn Witness> = if dry_run { Box::new(DryRun) } else { Box::new(Acting) };
    Box::new(Stoppable { inner, stop })
}

/// Whether a component, by id and kind, is meant.
pub(super) type Selects<'a> = Box<dyn Fn(&str, &str) -> bool + 'a>;

/// What a pass is made of.
pub(super) struct Ingredients<'a> {
    place: &'a Workplace,
    runtime: &'a tokio::runtime::Runtime,
    config: &'a Config,
    templates: Templates,
    pub(super) witness: Box<dyn Witness + 'a>,
    pub(super) windows: Option<&'a [Window]>,
    pub(super) selected: Selects<'a>,
    pub(super) by_name: bool,
    data: Box<dyn DataKeeper + 'a>,
    pub(super) trials: Box<dyn Trier + 'a>,
    pub(super) stopped: Option<KillSwitch>,
    gathered: &'a Gathered,
    /// How the cluster is now.
    pub(super) baseline: Option<Baseline>,
    /// Why nothing may be merged by the state of the cluster.
    pub(super) unfit: Option<Unfit>,
}

impl<'a> Ingredients<'a> {
    /// For every component, in the windows of the configuration.
    pub(super) fn bare(
        place: &'a Workplace,
        runtime: &'a tokio::runtime::Runtime,
        config: &'a Config,
        witness: Box<dyn Witness + 'a>,
        gathered: &'a Gathered,
        seen: &'a Seen,
    ) -> Result<Self, CommandError> {
        let texts = &config.pull_requests.templates;
        let templates = Templates::new(Overrides {
            title: texts.title.clone(),
            commit: texts.commit.clone(),
            pull_request: texts.body.clone(),
            dashboard: config.dashboard.template.clone(),
        })
        .map_err(CommandError::configuration)?;
        let settings = &config.data_backups;
        let data: Box<dyn DataKeeper + 'a> = match &seen.live {
            Some(cluster) => Box::new(Keeper { cluster, settings, runtime }),
            None => Box::new(NoCluster { settings }),
        };
        Ok(Self {
            place,
            runtime,
            config,
            templates,
            witness,
            windows: None,
            selected: Box::new(|_, _| true),
            by_name: false,
            data,
            trials: Box::new(NoTrials),
            stopped: None,
            gathered,
            baseline: None,
            unfit: None,
        })
    }

    /// Heeds the kill switch wherever it was pulled: in the configuration of the base branch, whatever file the program
    /// was given, in that file, in the work tree that it is begun in, or in the environment.
    pub(super) fn heed(&mut self, global: &GlobalArgs, of_base: &Config) {
        let of_base = (!of_base.enabled).then_some(KillSwitch::BaseBranch);
        let given = || switch::pulled(self.config, global, KillSwitch::BaseBranch);
        self.stopped = of_base.or_else(given).or(self.place.stopped);
    }

    /// The pass, with what makes files.
    pub(super) fn pass<'s, L: Generator + Charts + Targets>(
        &'s self,
        looker: &'s L,
    ) -> Pass<'s, crate::forge::AnyForge> {
        Pass {
            forge: &self.place.forge,
            git: self.place.repo.clone(),
            store: self.place.state(),
            config: self.config,
            author: self.place.author.clone(),
            templates: &self.templates,
            witness: self.witness.as_ref(),
            runtime: self.runtime,
            generator: looker,
            charts: looker,
            targets: looker,
            data: self.data.as_ref(),
            trials: self.trials.as_ref(),
            kill_switch: self.stopped,
            windows: self.windows,
            accepted: BTreeMap::new(),
            selected: self.selected.as_ref(),
            by_name: self.by_name,
            proposes: true,
            notify: self.gathered,
            baseline: self.baseline.as_ref(),
            unfit: self.unfit.as_ref(),
            now: self.place.now(),
        }
    }
}

/// The error with what to do next.
pub(super) fn failed(error: pass::Error) -> CommandError {
    let hint = error.hint();
    let error = CommandError::failed(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Leaves every effect out; what would have been is told in the end.
pub(in crate::cli) struct DryRun;

impl Witness for DryRun {
    fn before(&self, _: &Effect) -> Result<Go, Stopped> {
        Ok(Go::Skip)
    }

    fn acts(&self) -> bool {
        false
    }
}

/// For looking on, which makes no files.
pub(super) struct Nothing;

impl Generator for Nothing {
    fn generate(&self, path: &str, _: &[u8], _: &str) -> Result<Vec<u8>, String> {
        Err(format!("nothing makes `{path}`"))
    }
}

impl Charts for Nothing {
    fn compare(&self, _: &ChartChange) -> Result<Comparison, UpstreamFailure> {
        Err(unasked("nothing looks into charts"))
    }

    fn harm(&self, changes: &[ChartChange]) -> Vec<Result<Harm, UpstreamFailure>> {
        changes.iter().map(|_| Err(unasked("nothing looks into charts"))).collect()
    }
}

impl Targets for Nothing {
    fn reach(&self, targets: &[Target]) -> Vec<Result<(), UpstreamFailure>> {
        targets.iter().map(|_| Err(unasked("nothing asks for versions"))).collect()
    }
}

fn unasked(message: &str) -> UpstreamFailure {
    UpstreamFailure { class: FailureClass::Offline, message: message.to_owned() }
}
