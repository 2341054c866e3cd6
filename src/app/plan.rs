//! The use case behind `plan`: what detect knows, put in the safe order, with the edits that it takes.

mod charts;
mod edits;
mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

pub use self::charts::{ChartChange, Charts, chart_changes};
pub use self::edits::generated;
use self::edits::{Edits, regenerated, show_generated};
use self::reach::Reached;
pub use self::reach::{Target, Targets, unreached};
use super::detect::{self, Assessed, DetectRequest, Found, Learner};
use super::ports::{Clock, Upstreams};
use crate::config::Config;
use crate::domain::advisory::Advisory;
use crate::domain::apis::{self, SeenApi};
use crate::domain::assess;
use crate::domain::component::Component;
use crate::domain::edit::Changes;
use crate::domain::plan::before::Requirements;
use crate::domain::plan::input::{Dependency, Input, Observed, Situation};
use crate::domain::plan::subject::Subject;
use crate::domain::plan::{self, Held, Plan, PlanReport, SCHEMA, Step, Wait};
use crate::domain::policy::{self, Admission, Applied, ComponentPolicy, Considered, RangeEdits};
use crate::domain::report::Report;
use crate::domain::select::in_form_of;
use crate::domain::state::Quarantined;
use crate::domain::upstream::Candidate;
use crate::repo;
use crate::rules::{Registry, removed_apis};

/// What detect knows, with the versions that each component may move to.
#[derive(Debug)]
pub struct Survey {
    /// The report of `detect`.
    pub report: Report,
    /// Sorted by id.
    pub subjects: Vec<Subject>,
    /// What policy says about each of them.
    pub policies: BTreeMap<String, ComponentPolicy>,
    /// What must be moved before what.
    pub dependencies: Vec<Dependency>,
    /// The API version of every object that Flux applies.
    pub apis: Vec<SeenApi>,
    /// Rules in force.
    pub registry: Arc<Registry>,
}

/// What one plan is made for.
#[derive(Clone, Copy)]
pub struct Planning<'a> {
    /// Policy, and what the components may move to.
    pub config: &'a Config,
    /// Facts of the cluster, where there are some.
    pub observed: Option<Observed<'a>>,
    /// What is under way, and what stops a step at this hour.
    pub situation: Situation<'a>,
    /// Reads a file as it was read when its pins were found.
    pub read: &'a dyn Fn(&str) -> Result<Vec<u8>, repo::Error>,
    /// Makes generated files anew.
    pub generator: &'a dyn Generator,
    /// Says whether versions can be had.
    pub targets: &'a dyn Targets,
    /// Looks into charts.
    pub charts: &'a dyn Charts,
    /// Ids of the steps that a person named: what a look at their charts shows does not hold them.
    pub named: &'a BTreeSet<String>,
    /// Versions that were declined or reverted: the campaign goes without them.
    pub quarantine: &'a [Quarantined],
}

/// What makes files anew that a program generated. Asking twice is cheap.
pub trait Generator {
    /// The file at `path`, whose text is `old`, for the published version `to`.
    ///
    /// # Errors
    ///
    /// It cannot be made faithfully; the reason is for people.
    fn generate(&self, path: &str, old: &[u8], to: &str) -> Result<Vec<u8>, String>;
}

/// What of the answers is planned with.
#[derive(Default)]
struct Learnt {
    open: Vec<(Component, Option<Candidate>, Vec<Candidate>)>,
    advisories: BTreeMap<String, Vec<Advisory>>,
}

impl Learner for Learnt {
    fn assessed(&mut self, assessed: Assessed<'_>) {
        let newer = assessed.answer.map(|answer| {
            let newer = assess::newer(assessed.component, answer, assessed.settings);
            (newer.current.cloned(), newer.candidates.into_iter().cloned().collect())
        });
        let (current, candidates) = newer.unwrap_or_default();
        self.open.push((assessed.component.clone(), current, candidates));
    }

    fn advisories(&mut self, component: &str, found: Vec<Advisory>) {
        self.advisories.insert(component.to_owned(), found);
    }
}

/// Asks the upstreams what every component may move to.
pub async fn survey<U: Upstreams>(
    mut found: Found,
    request: &DetectRequest,
    upstreams: &U,
    clock: &(impl Clock + ?Sized),
) -> Survey {
    let registry = Arc::clone(&found.registry);
    let dependencies = std::mem::take(&mut found.dependencies);
    let apis = std::mem::take(&mut found.apis);
    let mut learnt = Learnt::default();
    let report = detect::survey(found, request, upstreams, clock, &mut learnt).await;
    let Learnt { open, mut advisories } = learnt;
    let mut subjects: Vec<Subject> = open
        .into_iter()
        .filter_map(|(component, current, candidates)| {
            let entry = report.update_report.components.get(&component.id)?.clone();
            let advisories = advisories.remove(&component.id).unwrap_or_default();
            Some(Subject { component, entry, current, candidates, advisories })
        })
        .collect();
    subjects.sort_by(|one, other| one.component.id.cmp(&other.component.id));
    let policies =
        subjects.iter().map(|subject| (subject.component.id.clone(), policy_of(subject, &request.config)));
    Survey { report, policies: policies.collect(), subjects, dependencies, apis, registry }
}

/// How often digests are asked for: each time they let a component move, the next step may want another.
const DIGEST_ROUNDS: usize = 4;

/// Asks for the digests of the versions that steps go to, where a digest stands beside the pin: nothing else needs
/// them, and each is a request of its own.
pub async fn look_up_digests<U: Upstreams>(
    survey: &mut Survey,
    planning: &Planning<'_>,
    upstreams: &U,
    now: Timestamp,
) {
    for _ in 0..DIGEST_ROUNDS {
        let wanting = plan(survey, planning, now).wanting;
        let looks = wanting.into_iter().filter_map(|(component, version)| {
            let upstream = survey.subject(&component)?.component.upstream.clone().ok()?;
            Some(async move {
                let checks = upstreams.inspect(&upstream, &version).await;
                (component, version, checks.ok().and_then(|checks| checks.digest))
            })
        });
        let mut found = false;
        for (component, version, digest) in join_all(looks).await {
            let Some(digest) = digest else { continue };
            let subject = survey.subjects.iter_mut().find(|subject| subject.component.id == component);
            let candidates = subject.into_iter().flat_map(|subject| &mut subject.candidates);
            for candidate in candidates.filter(|candidate| candidate.version == version) {
                candidate.digest = Some(digest.clone());
                found = true;
            }
        }
        if !found {
            return;
        }
    }
}

/// What policy says about a component, by where its applied pins are.
fn policy_of(subject: &Subject, config: &Config) -> ComponentPolicy {
    let component = &subject.component;
    let applied = component.pins.iter().filter(|pin| pin.applied);
    let mut files: Vec<&str> = applied.map(|pin| pin.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    config.policy_for(&component.id, &component.kind, component.namespace.as_deref(), &files)
}

/// Why a component is left out of the plan.
#[derive(Debug, Clone)]
struct Refusal {
    component: String,
    gate: &'static str,
    reason: String,
    /// The published version, where it is its digest that is missing.
    wanting: Option<String>,
}

/// A plan with the change of each step.
#[derive(Debug)]
pub struct Planned {
    /// Waves and holds, for people and scripts.
    pub report: PlanReport,
    /// By step id: which bytes change.
    pub changes: BTreeMap<String, Changes>,
    /// Components and published versions whose digest must be known before they can be moved.
    pub wanting: Vec<(String, String)>,
    /// By step id: what keeps back those that are not next.
    pub waits: BTreeMap<String, Wait>,
    /// What each step comes after.
    pub requires: Requirements,
    /// By step id: why nobody can say of a step that would be proposed now whether its chart takes the user's values and
    /// keeps its CRDs. The reviewer of a pull request is told by the comparison itself.
    pub unjudged: BTreeMap<String, String>,
}

/// Makes the plan: waves and holds, each step with its edits and its diff.
///
/// A component whose files cannot be changed as a step needs it is held, and the plan is made again without it.
pub fn plan(survey: &Survey, planning: &Planning<'_>, now: Timestamp) -> Planned {
    let mut refused: Vec<Refusal> = Vec::new();
    let mut reached = Reached::default();
    loop {
        let made = arrange(survey, planning, &refused, &reached, now);
        match Edits::make(made, survey, planning) {
            Ok((mut plan, mut edits)) => match regenerated(&plan, &edits, survey, planning) {
                Err(refusal) => refused.push(refusal),
                // Others may be next then.
                Ok(_) if reached.ask(&plan, survey, planning) => {}
                Ok(files) => {
                    show_generated(&mut edits.diffs, &files, planning);
                    reached.tell(&mut plan);
                    let wanting = refused
                        .into_iter()
                        .filter_map(|refusal| Some((refusal.component, refusal.wanting?)))
                        .collect();
                    let waits = std::mem::take(&mut plan.waits);
                    let requires = std::mem::take(&mut plan.requires);
                    return Planned {
                        report: report(plan, edits.diffs, survey, now),
                        changes: edits.changes,
                        wanting,
                        waits,
                        requires,
                        unjudged: reached.into_unjudged(),
                    };
                }
            },
            // One more component each time round, so that this ends.
            Err(refusal) => refused.push(refusal),
        }
    }
}

/// Waves and holds, without the components whose files cannot be changed.
fn arrange(
    survey: &Survey,
    planning: &Planning<'_>,
    refused: &[Refusal],
    reached: &Reached,
    now: Timestamp,
) -> Plan {
    let holds = |step: &Step| {
        let mut holds = (planning.situation.holds)(step);
        holds.extend(reached.hold(step));
        holds
    };
    let is_refused =
        |subject: &Subject| refused.iter().any(|refusal| refusal.component == subject.component.id);
    // What cannot be moved still counts: others must go with the version that it has.
    let stays = |subject: &Subject| Subject { candidates: Vec::new(), ..subject.clone() };
    let subjects = survey.subjects.iter();
    let subjects: Vec<Subject> =
        subjects.map(|subject| if is_refused(subject) { stays(subject) } else { subject.clone() }).collect();
    let judge = |considered: &Considered<'_>| match survey.policies.get(considered.component) {
        Some(policy) => policy::admit(policy, considered, now),
        None => Admission::Hold(policy::Hold {
            gate: "policy",
            reason: "no policy is known for it".to_owned(),
            policy_applied: policy::DEFAULT.to_owned(),
            until: None,
            is_asked_again: false,
        }),
    };
    let admit = |considered: &Considered<'_>| match policy::quarantined(considered, planning.quarantine) {
        Some(hold) => Admission::Hold(hold),
        None => judge(considered),
    };
    let ranges = |id: &str| match survey.policies.get(id) {
        Some(policy) => policy.ranges.clone(),
        None => Applied::default_of(RangeEdits::Keep),
    };
    let ignored_by = |component: &Component| {
        let settings = planning.config.settings_for(&component.id, &component.kind);
        settings.ignore.by.unwrap_or_else(|| policy::DEFAULT.to_owned())
    };
    let mut plan = plan::plan(&Input {
        subjects: &subjects,
        rules: survey.registry.rules(),
        policy: &admit,
        ranges: &ranges,
        ignored_by: &ignored_by,
        dependencies: &survey.dependencies,
        removed_apis: &|from, to| {
            let table = planning.config.kubernetes_apis.iter().chain(removed_apis());
            apis::removed(&survey.apis, table, from, to)
        },
        uses_of: &|version| apis::uses_of(&survey.apis, version),
        observed: planning.observed,
        situation: Situation { holds: &holds, ..planning.situation },
        concurrency: planning.config.limits.concurrency,
        now,
    });
    for Refusal { component, gate, reason, .. } in refused {
        let entry = survey.report.update_report.components.get(component);
        plan.held.push(Held {
            component: component.clone(),
            from: entry.and_then(|entry| entry.current_version.clone()),
            to: entry.and_then(|entry| entry.available_version.clone()),
            gate: (*gate).to_owned(),
            reason: reason.clone(),
            constraint: None,
            policy_applied: Some(policy::BUILT_IN.to_owned()),
            until: None,
        });
    }
    plan.held.sort_by(|one, other| one.component.cmp(&other.component));
    plan
}

/// The published version that a step goes to.
pub fn candidate_of<'a>(subject: &'a Subject, step: &Step) -> Option<&'a Candidate> {
    published(subject, &step.to)
}

/// The published version that is written so in Git.
pub fn published<'a>(subject: &'a Subject, to: &str) -> Option<&'a Candidate> {
    let component = &subject.component;
    let from = subject.entry.current_version.as_deref().unwrap_or_default();
    let listed = subject.current.as_ref().map(|current| current.version.as_str());
    let prefix = component.tag_prefix.as_deref();
    let written = |candidate: &&Candidate| {
        candidate.version == to
            || in_form_of(from, listed, &candidate.version, component.scheme, prefix) == to
    };
    subject.candidates.iter().find(written)
}

impl Survey {
    /// What is known of a component.
    pub fn subject(&self, id: &str) -> Option<&Subject> {
        let at = self.subjects.binary_search_by(|subject| subject.component.id.as_str().cmp(id)).ok()?;
        self.subjects.get(at)
    }
}

fn report(plan: Plan, diffs: BTreeMap<String, String>, survey: &Survey, now: Timestamp) -> PlanReport {
    let detected = &survey.report.update_report;
    PlanReport {
        schema: SCHEMA.to_owned(),
        repository: detected.repository.clone(),
        now: Timestamp::from_second(now.as_second()).unwrap_or(now),
        facts: plan.facts,
        waves: plan.waves,
        held: plan.held,
        diffs,
        problems: detected.problems.clone(),
    }
}
