//! What a pass looks into before it proposes: Flux's release manifests, charts and images.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;

use super::environment;
use crate::app::plan::{ChartChange, Charts, Generator, Target, Targets};
use crate::config::Config;
use crate::domain::chart_diff::{Chart, Comparison, Harm, UserValues, compare, compare_rendered, harm};
use crate::domain::gotk::{self, Manifests};
use crate::domain::message::Section;
use crate::domain::upstream::{UpstreamFailure, UpstreamRef};
use crate::upstream::client::UpstreamClient;
use crate::upstream::helm_program::HelmProgram;

/// Most releases whose objects are rendered.
const MOST_RENDERED: usize = 3;
/// Time for rendering one chart.
const RENDER_TIME: Duration = Duration::from_secs(20);
const RENDERED: &str = "Rendered objects";

/// Charts by where they come from and version.
type KnownCharts = BTreeMap<(UpstreamRef, String), Result<Rc<Chart>, UpstreamFailure>>;

/// Makes `gotk-components.yaml` from the manifests of Flux's releases, each asked for once.
pub(super) struct Looker<'a> {
    upstreams: &'a UpstreamClient,
    runtime: &'a tokio::runtime::Runtime,
    releases: RefCell<BTreeMap<String, Result<Rc<Manifests>, String>>>,
    /// Charts of targets, each asked for once.
    charts: RefCell<KnownCharts>,
    /// What was found of changes of charts: a pass plans more than once.
    harms: RefCell<Vec<(ChartChange, Harm)>>,
    /// Whether images can be pulled, each asked for once.
    images: RefCell<BTreeMap<Target, Result<(), UpstreamFailure>>>,
    helm: Option<HelmProgram>,
}

impl<'a> Looker<'a> {
    pub(super) fn new(upstreams: &'a UpstreamClient, runtime: &'a tokio::runtime::Runtime) -> Self {
        Self {
            upstreams,
            runtime,
            releases: RefCell::default(),
            charts: RefCell::default(),
            harms: RefCell::default(),
            images: RefCell::default(),
            helm: None,
        }
    }

    /// Renders charts, too, where that is wished for and `helm` is on the `PATH`.
    pub(super) fn rendering(self, config: &Config) -> Self {
        Self { helm: helm().filter(|_| config.pull_requests.render_charts), ..self }
    }

    /// What both versions make of the values of each release; nothing for what renders the same.
    fn rendered(&self, helm: &HelmProgram, old: &Chart, new: &Chart, users: &[UserValues]) -> Vec<Section> {
        let section = |user: &UserValues| {
            let place = user.release.split_once('/').unwrap_or(("default", &user.release));
            let render = |chart: &Chart| helm.template(chart, &user.values, place);
            let (before, after) = match (render(old), render(new)) {
                (Ok(before), Ok(after)) => (before, after),
                (Err(error), _) | (_, Err(error)) => {
                    tracing::info!(release = user.release, reason = %error, "chart not rendered");
                    let items = vec![format!("{} could not be rendered: {error}", user.release)];
                    return Some(Section { title: RENDERED.to_owned(), urgent: false, items, diff: None });
                }
            };
            let mut section = compare_rendered(&before, &after)?;
            section.title = format!("{RENDERED} of {}", user.release);
            if user.has_more {
                section.items.insert(0, "without the values from ConfigMaps and Secrets".to_owned());
            }
            Some(section)
        };
        users.iter().take(MOST_RENDERED).filter_map(section).collect()
    }

    fn manifests(&self, release: &str) -> Result<Rc<Manifests>, String> {
        if let Some(known) = self.releases.borrow().get(release) {
            return known.clone();
        }
        let asked = self.runtime.block_on(self.upstreams.flux_manifests(release));
        let manifests = asked.map(Rc::new).map_err(|failure| failure.to_string());
        self.releases.borrow_mut().insert(release.to_owned(), manifests.clone());
        manifests
    }

    fn chart(&self, upstream: &UpstreamRef, version: &str) -> Result<Rc<Chart>, UpstreamFailure> {
        let key = (upstream.clone(), version.to_owned());
        if let Some(known) = self.charts.borrow().get(&key) {
            return known.clone();
        }
        let chart = self.runtime.block_on(self.upstreams.chart(upstream, version)).map(Rc::new);
        self.charts.borrow_mut().insert(key, chart.clone());
        chart
    }

    /// Both versions of a chart, the older one first.
    fn both(&self, change: &ChartChange) -> Result<(Rc<Chart>, Rc<Chart>), UpstreamFailure> {
        let new = self.chart(&change.upstream, &change.to)?;
        Ok((self.chart(&change.upstream, &change.from)?, new))
    }

    /// Asks for what is not known yet, all at once: the client bounds how many requests are on the way.
    fn ask(&self, targets: &[Target]) {
        let is_new = |target: &&Target| {
            if is_chart(&target.upstream) {
                let key = (target.upstream.clone(), target.version.clone());
                return !self.charts.borrow().contains_key(&key);
            }
            !self.images.borrow().contains_key(*target)
        };
        let wanted: BTreeSet<&Target> = targets.iter().filter(is_new).collect();
        let asked = wanted.into_iter().map(|target| async move {
            let Target { upstream, version, installed } = target;
            match is_chart(upstream) {
                true => Asked::Chart(target, self.upstreams.chart(upstream, version).await.map(Rc::new)),
                false => Asked::Other(
                    target,
                    self.upstreams.pullable(upstream, version, installed.as_deref()).await,
                ),
            }
        });
        for answer in self.runtime.block_on(join_all(asked)) {
            match answer {
                Asked::Chart(Target { upstream, version, .. }, chart) => {
                    let key = (upstream.clone(), version.clone());
                    self.charts.borrow_mut().insert(key, chart);
                }
                Asked::Other(target, answer) => {
                    self.images.borrow_mut().insert(target.clone(), answer);
                }
            }
        }
    }
}

/// What was asked for a target, and the answer.
enum Asked<'t> {
    Chart(&'t Target, Result<Rc<Chart>, UpstreamFailure>),
    Other(&'t Target, Result<(), UpstreamFailure>),
}

fn is_chart(upstream: &UpstreamRef) -> bool {
    matches!(upstream, UpstreamRef::HelmChart { .. } | UpstreamRef::Oci { chart: true, .. })
}

impl Targets for Looker<'_> {
    fn reach(&self, targets: &[Target]) -> Vec<Result<(), UpstreamFailure>> {
        self.ask(targets);
        let answer = |target: &Target| match is_chart(&target.upstream) {
            true => self.chart(&target.upstream, &target.version).map(drop),
            false => self.images.borrow().get(target).cloned().unwrap_or(Ok(())),
        };
        targets.iter().map(answer).collect()
    }
}

impl Generator for Looker<'_> {
    fn generate(&self, _: &str, old: &[u8], to: &str) -> Result<Vec<u8>, String> {
        let text = std::str::from_utf8(old).map_err(|error| error.to_string())?;
        let from = gotk::version(text).map_err(|error| error.to_string())?;
        let (from, to) = (self.manifests(&from)?, self.manifests(to)?);
        gotk::regenerate(old, &from, &to).map_err(|error| error.to_string())
    }
}

impl Charts for Looker<'_> {
    fn compare(&self, change: &ChartChange) -> Result<Comparison, UpstreamFailure> {
        let (old, new) = self.both(change)?;
        let mut comparison = compare(&old, &new, &change.users);
        if let Some(helm) = &self.helm {
            comparison.sections.extend(self.rendered(helm, &old, &new, &change.users));
        }
        Ok(comparison)
    }

    fn harm(&self, changes: &[ChartChange]) -> Vec<Result<Harm, UpstreamFailure>> {
        let target = |change: &ChartChange, version: &String| Target {
            upstream: change.upstream.clone(),
            version: version.clone(),
            installed: None,
        };
        let both = |change: &ChartChange| [&change.to, &change.from].map(|version| target(change, version));
        let targets: Vec<Target> = changes.iter().flat_map(both).collect();
        self.ask(&targets);
        let found = |change: &ChartChange| {
            let (old, new) = self.both(change)?;
            let known = self.harms.borrow().iter().find(|(known, _)| known == change).cloned();
            let harm = known.map_or_else(|| harm(&old, &new, &change.users), |(_, harm)| harm);
            Ok((change.clone(), harm))
        };
        let found: Vec<Result<(ChartChange, Harm), UpstreamFailure>> = changes.iter().map(found).collect();
        let mut harms = self.harms.borrow_mut();
        for one in found.iter().flatten() {
            if !harms.contains(one) {
                harms.push(one.clone());
            }
        }
        found.into_iter().map(|found| found.map(|(_, harm)| harm)).collect()
    }
}

/// The `helm` program, where it is on the `PATH`.
fn helm() -> Option<HelmProgram> {
    let path = environment::read("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("helm"));
    // A relative entry would be looked for in whatever folder this was started in.
    let program = found.into_iter().find(|program| program.is_absolute() && program.is_file())?;
    Some(HelmProgram { program, timeout: RENDER_TIME })
}
