//! Detect: what a repository runs, and what is newer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::inspect::{self, Target};
use super::named;
use super::ports::{Clock, Upstreams, Wanted};
use super::rules::{is_rule_file, rules_of};
use crate::config::{Config, Selector};
use crate::domain::advisory::Advisory;
use crate::domain::apis::SeenApi;
use crate::domain::assess::{self, Settings};
use crate::domain::component::{Component, Given, Inventory};
use crate::domain::plan::input::Dependency;
use crate::domain::problem::{Category, Problem};
use crate::domain::report::{Entry, Report, Repository, SCHEMA, Summary, UpdateReport};
use crate::domain::resolve::{self, Options};
use crate::domain::scan::{self, FileScan};
use crate::domain::select::{Ignored, Wish};
use crate::domain::upstream::{Answer, UpstreamFailure, UpstreamRef};
use crate::domain::version::range::Range;
use crate::repo::{self, ReadOptions, Repo};
use crate::rules::Registry;

/// What to look at, and how.
#[derive(Debug, Clone)]
pub struct DetectRequest {
    /// Repository or folder, as given.
    pub path: PathBuf,
    /// Revision to read instead of the working tree.
    pub rev: Option<String>,
    /// The validated configuration; the defaults where there is none.
    pub config: Config,
    /// Cached answers only.
    pub offline: bool,
    /// Only components that one of these names; empty = all.
    pub components: Vec<Selector>,
    /// Also ask what needs a request of its own for each target.
    pub deep: bool,
    /// When the report is made.
    pub now: Timestamp,
}

impl DetectRequest {
    /// Whether the component is wanted: looked for, and named by the filter where there is one.
    pub fn wants(&self, id: &str, kind: &str) -> bool {
        let named =
            self.components.is_empty() || self.components.iter().any(|selector| selector.matches(id, kind));
        named && self.config.settings_for(id, kind).enabled.value
    }
}

/// What a repository runs, before anybody is asked.
#[derive(Debug)]
pub struct Found {
    /// Components, sorted by id.
    pub components: Vec<Component>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Objects per kind.
    pub inventory: Inventory,
    /// Files read.
    pub files_read: usize,
    /// The revision, for repositories.
    pub revision: Option<String>,
    /// Architectures of nodes that manifests ask for.
    pub architectures: BTreeSet<String>,
    /// Which component must be moved before which.
    pub dependencies: Vec<Dependency>,
    /// The API version of every object that Flux applies.
    pub apis: Vec<SeenApi>,
    /// Rules in force.
    pub registry: Arc<Registry>,
}

/// Reads a repository and finds its components.
///
/// # Errors
///
/// The repository cannot be listed, or an `exclude` pattern is wrong. Single files that cannot be
/// read are problems of what is found.
pub fn read(repository: &Repo, request: &DetectRequest, threads: usize) -> Result<Found, repo::Error> {
    let files = &request.config.files;
    let options = ReadOptions::new(is_wanted)
        .max_size(files.max_size)
        .include_ignored(files.include_ignored)
        .exclude(&files.exclude)?;
    let listing = repository.files(&options)?;
    let (registry, mut problems) = rules_of(repository);
    problems.extend(listing.problems.iter().chain(&listing.notices).cloned());
    let reading = repository.read_each(&listing, threads, |file, bytes| {
        // Rules are no manifests: their examples would be found, and their mistakes told twice.
        (!is_rule_file(&file.path)).then(|| scan::scan_file(&file.path, bytes, registry.rules()))
    });
    problems.extend(reading.problems);
    let mut scans: Vec<FileScan> = reading.files.into_iter().filter_map(|(_, scan)| scan).collect();
    scans.sort_by(|one, other| one.path.cmp(&other.path));
    let clusters =
        request.config.clusters.iter().map(|cluster| (cluster.name.clone(), cluster.path.clone())).collect();
    let options = Options { clusters, root: repository.prefix().to_owned() };
    let resolved = resolve::resolve(&scans, registry.rules(), &options);
    problems.extend(resolved.problems);
    Ok(Found {
        components: resolved.components,
        problems,
        inventory: resolved.inventory,
        files_read: scans.len(),
        revision: repository.revision(&listing),
        architectures: resolved.architectures,
        registry: Arc::new(registry),
        dependencies: resolved.dependencies,
        apis: resolved.apis,
    })
}

/// The files that can hold manifests: YAML and JSON, and templates of YAML.
fn is_wanted(path: &str) -> bool {
    if is_rule_file(path) {
        return false;
    }
    let name =
        path.strip_suffix(".j2").or_else(|| path.strip_suffix(".tpl")).or_else(|| path.strip_suffix(".tmpl"));
    let name = name.unwrap_or(path);
    [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
}

/// A component with what its upstream answered, told once, before the answer is dropped.
#[derive(Debug, Clone, Copy)]
pub struct Assessed<'a> {
    /// The component.
    pub component: &'a Component,
    /// What the configuration says about it.
    pub settings: &'a Settings,
    /// What its upstream answered; `None` where it was not asked, or failed.
    pub answer: Option<&'a Answer>,
}

/// Told of what the report has no room for.
pub trait Learner: Send {
    /// Of every component that is reported.
    fn assessed(&mut self, assessed: Assessed<'_>);
    /// Of the known vulnerabilities that the update of a component, by its id, ends.
    fn advisories(&mut self, component: &str, found: Vec<Advisory>);
}

/// Keeps nothing beside the report.
struct Nobody;

impl Learner for Nobody {
    fn assessed(&mut self, _: Assessed<'_>) {}
    fn advisories(&mut self, _: &str, _: Vec<Advisory>) {}
}

/// Asks the upstreams and makes the report.
pub async fn report<U: Upstreams>(
    found: Found,
    request: &DetectRequest,
    upstreams: &U,
    clock: &(impl Clock + ?Sized),
) -> Report {
    survey(found, request, upstreams, clock, &mut Nobody).await
}

/// Asks the upstreams and makes the report; `learner` may take from each answer what the report has no room for.
pub async fn survey<U: Upstreams>(
    found: Found,
    request: &DetectRequest,
    upstreams: &U,
    clock: &(impl Clock + ?Sized),
    learner: &mut dyn Learner,
) -> Report {
    let Found {
        mut components, mut problems, inventory, files_read, revision, architectures, registry, ..
    } = found;
    // What the configuration says is meant; what manifests ask for is as good a witness where it is silent.
    let configured = &request.config.architectures;
    let architectures =
        if configured.is_empty() { architectures } else { configured.iter().cloned().collect() };
    problems.extend(named::unknown(&components, request));
    named::warn_of_unused(&components, request);
    components.retain(|component| request.wants(&component.id, &component.kind));
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut waiting: BTreeMap<UpstreamRef, Vec<(Component, Settings)>> = BTreeMap::new();
    let mut wanted: BTreeMap<UpstreamRef, Wanted> = BTreeMap::new();
    for mut component in components {
        let (settings, fresh_for) = configure(&mut component, request, &architectures);
        match &component.upstream {
            Ok(upstream) if assess::needs_answer(&component, &settings) => {
                let installed = match &component.given {
                    Given::Exact(text) => Some(text.clone()),
                    Given::Range(_) | Given::Channel(_) | Given::Nothing(_) => None,
                };
                wanted
                    .entry(upstream.clone())
                    .and_modify(|known| {
                        known.fresh_for = known.fresh_for.min(fresh_for);
                        known.installed.take_if(|text| Some(&*text) != installed.as_ref());
                    })
                    .or_insert(Wanted { fresh_for, installed });
                waiting.entry(upstream.clone()).or_default().push((component, settings));
            }
            _ => {
                let entry = assess::assess_unasked(&component, &settings);
                learner.assessed(Assessed { component: &component, settings: &settings, answer: None });
                entries.insert(component.id, entry);
            }
        }
    }
    let mut ledger = Ledger {
        request,
        registry: &registry,
        targets: Vec::new(),
        failures: BTreeSet::new(),
        entries,
        learner,
    };
    let mut without_notes: BTreeMap<UpstreamRef, Vec<(Component, Settings, Answer)>> = BTreeMap::new();
    upstreams
        .ask_all(wanted, &mut |upstream, answer| {
            ledger.note(upstream, &answer);
            for (component, settings) in waiting.remove(upstream).unwrap_or_default() {
                match (&answer, inspect::notes_of(&component, &registry)) {
                    (Ok(answer), Some(notes)) => {
                        without_notes.entry(notes).or_default().push((component, settings, answer.clone()));
                    }
                    _ => ledger.enter(&component, &settings, answer.as_ref()),
                }
            }
        })
        .await;
    let wanted =
        without_notes.iter().map(|(notes, asking)| (notes.clone(), wanted_notes(asking, request))).collect();
    upstreams
        .ask_all(wanted, &mut |upstream, notes| {
            ledger.note(upstream, &notes);
            for (component, settings, mut answer) in without_notes.remove(upstream).unwrap_or_default() {
                if let Ok(notes) = &notes {
                    answer.adopt_notes(notes);
                }
                ledger.enter(&component, &settings, Ok(&answer));
            }
        })
        .await;
    // Every upstream answers or fails; one that did neither must not take its components with it.
    for (component, settings, answer) in without_notes.into_values().flatten() {
        ledger.enter(&component, &settings, Ok(&answer));
    }
    for (component, settings) in waiting.into_values().flatten() {
        let entry = assess::assess_unasked(&component, &settings);
        ledger.learner.assessed(Assessed { component: &component, settings: &settings, answer: None });
        ledger.entries.insert(component.id.clone(), entry);
    }
    let Ledger { targets, failures, mut entries, learner, .. } = ledger;
    problems.extend(inspect::targets(targets, request.deep, upstreams, &mut entries, learner).await);
    problems.extend(failures);
    problems.sort_by(|one, other| {
        (one.category, &one.file, one.line).cmp(&(other.category, &other.file, other.line))
    });
    problems.dedup();
    let summary = Summary::of(&entries, files_read, inventory, &problems);
    Report {
        update_report: UpdateReport {
            schema: SCHEMA.to_owned(),
            timestamp: whole_second(request.now),
            scan_duration: duration(request.now, clock.now()),
            repository: Repository { path: request.path.display().to_string(), revision },
            components: entries,
            summary,
            problems,
        },
    }
}

fn wanted_notes(waiting: &[(Component, Settings, Answer)], request: &DetectRequest) -> Wanted {
    let intervals = waiting.iter().map(|(component, ..)| {
        request.config.settings_for(&component.id, &component.kind).check_interval.value
    });
    let installed = match waiting {
        // Releases carry a leading `v`, charts do not.
        [(Component { given: Given::Exact(text), .. }, ..)] => {
            Some(format!("v{}", text.trim_start_matches('v')))
        }
        _ => None,
    };
    Wanted { fresh_for: intervals.min().unwrap_or_default(), installed }
}

/// What was learnt, as the answers come in.
struct Ledger<'a> {
    request: &'a DetectRequest,
    registry: &'a Registry,
    entries: BTreeMap<String, Entry>,
    targets: Vec<Target>,
    failures: BTreeSet<Problem>,
    learner: &'a mut dyn Learner,
}

impl Ledger<'_> {
    fn note(&mut self, upstream: &UpstreamRef, answer: &Result<Answer, UpstreamFailure>) {
        self.failures.extend(problems_of(upstream, answer, self.request));
    }

    fn enter(
        &mut self,
        component: &Component,
        settings: &Settings,
        answer: Result<&Answer, &UpstreamFailure>,
    ) {
        let entry = assess::assess(component, answer, settings);
        self.learner.assessed(Assessed { component, settings, answer: answer.ok() });
        if let Ok(answer) = answer {
            self.targets.extend(Target::of(component, &entry, self.registry, answer));
        }
        self.entries.insert(component.id.clone(), entry);
    }
}

/// Applies the configuration to a component.
fn configure(
    component: &mut Component,
    request: &DetectRequest,
    architectures: &BTreeSet<String>,
) -> (Settings, Duration) {
    let settings = request.config.settings_for(&component.id, &component.kind);
    if let Some(repository) = &settings.repository.value {
        let replaced = repository.upstream_instead_of(component.upstream.as_ref().ok());
        // A version without a value stays unknown, whoever publishes it.
        if component.upstream.is_ok() || !matches!(component.given, Given::Nothing(_)) {
            component.upstream = Ok(replaced);
        }
    }
    let mut channel = None;
    if let (Some(name), Ok(UpstreamRef::K3s { channel: asked })) =
        (&settings.channel.value, &mut component.upstream)
        && asked.is_none()
    {
        channel = Some(name.to_string());
        *asked = Some(name.to_string());
    }
    let wish = Wish {
        prereleases: settings.check_prereleases.value,
        minimum_version: settings.minimum_version.value,
        // The configuration was validated: a range that cannot be read here was refused there.
        allowed: settings.allowed.value.as_deref().and_then(|text| Range::parse(text).ok()),
        ignored: settings.ignored.value.iter().filter_map(|text| Ignored::parse(text).ok()).collect(),
        channel,
        tag_prefix: None,
        architectures: architectures.iter().cloned().collect(),
    };
    (Settings { ignored: settings.ignore.value, wish, changelog_url: None }, settings.check_interval.value)
}

/// What a failure, or an answer with reservations, tells the reader of the report.
fn problems_of(
    upstream: &UpstreamRef,
    answer: &Result<Answer, UpstreamFailure>,
    request: &DetectRequest,
) -> Vec<Problem> {
    let problem = |category, message: String| Problem {
        category,
        file: None,
        line: None,
        upstream: Some(upstream.url()),
        message,
    };
    match answer {
        Ok(answer) => {
            let stale = answer.stale.as_ref().filter(|_| !request.offline);
            let stale = stale.map(|why| format!("an earlier answer was used: {why}"));
            let notes = answer.notes.iter().cloned().chain(stale);
            notes.map(|note| problem(Category::Upstream, note)).collect()
        }
        Err(failure) => vec![problem(inspect::category(failure), failure.message.clone())],
    }
}

/// Reports are compared and read; nobody needs their nanoseconds.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// `0.4s`, `45s`, `2m 5s`.
fn duration(from: Timestamp, to: Timestamp) -> String {
    let milliseconds = (to.as_millisecond() - from.as_millisecond()).max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0..10 => format!("{}.{}s", seconds, milliseconds % 1000 / 100),
        10..120 => format!("{seconds}s"),
        _ => format!("{}m {}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_and_configuration_both_decide_what_is_wanted() {
        let mut request = DetectRequest {
            path: PathBuf::new(),
            rev: None,
            config: Config::default(),
            offline: false,
            components: vec![],
            deep: false,
            now: Timestamp::UNIX_EPOCH,
        };
        assert!(request.wants("helm/a/b", "helm"));
        request.components = ["k3s", "helm/a/*"].map(|text| Selector::read(text).unwrap()).to_vec();
        for (id, kind, wanted) in [
            ("helm/a/b", "helm", true),
            ("staging:helm/a/b", "helm", true),
            ("helm/c/b", "helm", false),
            ("staging:k3s", "k3s", true),
            ("flux", "flux", false),
        ] {
            assert_eq!(request.wants(id, kind), wanted, "{id}");
        }
    }

    #[test]
    fn durations_are_short() {
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        for (milliseconds, text) in [(0, "0.0s"), (1_234, "1.2s"), (45_900, "45s"), (125_000, "2m 5s")] {
            assert_eq!(duration(at(0), at(milliseconds)), text);
        }
    }

    #[test]
    fn manifests_and_their_templates_are_read() {
        for (path, wanted) in [
            ("a.yaml", true),
            ("a/b.yml", true),
            ("a.json", true),
            ("a.yaml.j2", true),
            ("a.conf.j2", false),
            ("a.json5", false),
            ("README.md", false),
        ] {
            assert_eq!(is_wanted(path), wanted, "{path}");
        }
    }
}
