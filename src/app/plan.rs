//! The use case behind `plan`: what detect knows, put in the safe order, with the edits that it takes.

mod reach;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use self::reach::Reached;
pub use self::reach::{Target, Targets, unreached};
use super::detect::{self, Assessed, DetectRequest, Found, Learner};
use super::ports::{Clock, Upstreams};
use crate::config::Config;
use crate::domain::advisory::Advisory;
use crate::domain::apis::{self, SeenApi};
use crate::domain::assess;
use crate::domain::chart_diff::{Comparison, UserValues};
use crate::domain::component::Component;
use crate::domain::edit::{self, Changes, Diff, Draft, EditError, Generated, Ranges};
use crate::domain::gotk::patches::{self, PatchShift};
use crate::domain::plan::input::{Dependency, Input, Observed, Situation};
use crate::domain::plan::subject::Subject;
use crate::domain::plan::{self, EditEntry, Held, Plan, PlanReport, SCHEMA, Step};
use crate::domain::policy::{self, Admission, ComponentPolicy, Considered, RangeEdits};
use crate::domain::report::Report;
use crate::domain::select::in_form_of;
use crate::domain::state::Quarantined;
use crate::domain::upstream::{Candidate, UpstreamRef};
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
    /// Versions that were declined or reverted: the campaign goes without them.
    pub quarantine: &'a [Quarantined],
}

/// What looks into charts.
pub trait Charts {
    /// What is different between two published versions of the chart at `upstream`, for what the user sets.
    ///
    /// # Errors
    ///
    /// One of them cannot be had; the reason is for people.
    fn compare(
        &self,
        upstream: &UpstreamRef,
        from: &str,
        to: &str,
        users: &[UserValues],
    ) -> Result<Comparison, String>;
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
            Ok((mut plan, edits)) => match ungenerated(&plan, &edits, survey, planning) {
                Some(refusal) => refused.push(refusal),
                // Others may be next then.
                None if reached.ask(&plan, survey, planning) => {}
                None => {
                    reached.tell(&mut plan);
                    let wanting = refused
                        .into_iter()
                        .filter_map(|refusal| Some((refusal.component, refusal.wanting?)))
                        .collect();
                    return Planned {
                        report: report(plan, edits.diffs, survey, now),
                        changes: edits.changes,
                        wanting,
                    };
                }
            },
            // One more component each time round, so that this ends.
            Err(refusal) => refused.push(refusal),
        }
    }
}

/// A step that would be proposed now and whose generated files cannot be made. Later steps are not asked about: what
/// they start from is not there yet.
fn ungenerated(plan: &Plan, made: &Made, survey: &Survey, planning: &Planning<'_>) -> Option<Refusal> {
    let next = plan.waves.iter().flat_map(|wave| &wave.steps).filter(|step| step.next);
    let mut files = next.flat_map(|step| {
        let changes = made.changes.get(&step.id);
        changes.into_iter().flat_map(|changes| &changes.generated).map(move |path| (step, path))
    });
    files.find_map(|(step, path)| {
        let refusal =
            |gate, reason| Some(Refusal { component: step.component.clone(), gate, reason, wanting: None });
        match generated(survey, planning, step, path) {
            Err(reason) => refusal("regenerate", format!("cannot make `{path}` anew: {reason}")),
            // A person who asks for it has looked.
            Ok(_) if planning.situation.asked.contains(&step.id) => None,
            Ok(made) => refusal("patches", shifted(planning, path, &made)?),
        }
    })
}

/// Most patches that are told of.
const MOST_SHIFTS: usize = 3;

/// What patches beside a generated file would do otherwise than before; `None` where they do the same.
fn shifted(planning: &Planning<'_>, path: &str, made: &[u8]) -> Option<String> {
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let text = |path: &str| {
        let bytes = (planning.read)(path).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    };
    let name = format!("{folder}kustomization.yaml");
    let kustomization = match (planning.read)(&name) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // Without one nothing is patched.
        Err(repo::Error::Missing { .. }) => return None,
        Err(error) => return Some(format!("cannot tell what the patches in `{name}` do: {error}")),
    };
    let compared = patches::files(&kustomization).map_err(|error| error.to_string()).and_then(|files| {
        let known = files.into_iter().filter_map(|file| {
            let content = text(&format!("{folder}{}", file.strip_prefix("./").unwrap_or(&file))).ok()?;
            Some((file, content))
        });
        let made = std::str::from_utf8(made).map_err(|error| error.to_string())?;
        patches::compare(&kustomization, &known.collect(), &text(path)?, made)
            .map_err(|error| error.to_string())
    });
    let shifts = match compared {
        Ok(shifts) if shifts.is_empty() => return None,
        Ok(shifts) => shifts,
        Err(error) => return Some(format!("cannot tell what the patches in `{name}` do: {error}")),
    };
    let told = |shift: &PatchShift| {
        let object = if shift.object.is_empty() { String::new() } else { format!(" of {}", shift.object) };
        format!("`{}` (line {}){object}: {}", shift.patch, shift.line, shift.what)
    };
    let listed: Vec<String> = shifts.iter().take(MOST_SHIFTS).map(told).collect();
    let more = match shifts.len().saturating_sub(MOST_SHIFTS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "patches in `{name}` would do something else than before: {}{more}; look at them, then ask for the step by name",
        listed.join("; ")
    ))
}

/// A file of a step, made anew.
///
/// # Errors
///
/// It cannot be read, or cannot be made; the reason is for people.
pub fn generated(
    survey: &Survey,
    planning: &Planning<'_>,
    step: &Step,
    path: &str,
) -> Result<Vec<u8>, String> {
    let old = (planning.read)(path).map_err(|error| error.to_string())?;
    let target = survey.subject(&step.component).and_then(|subject| candidate_of(subject, step));
    planning.generator.generate(path, &old, target.map_or(step.to.as_str(), |target| target.version.as_str()))
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
        }),
    };
    let admit = |considered: &Considered<'_>| match policy::quarantined(considered, planning.quarantine) {
        Some(hold) => Admission::Hold(hold),
        None => judge(considered),
    };
    let widens =
        |id: &str| survey.policies.get(id).is_some_and(|policy| policy.ranges.value == RangeEdits::Widen);
    let mut plan = plan::plan(&Input {
        subjects: &subjects,
        rules: survey.registry.rules(),
        policy: &admit,
        widens: &widens,
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
            policy_applied: None,
        });
    }
    plan.held.sort_by(|one, other| one.component.cmp(&other.component));
    plan
}

/// The bytes of all steps, made one after the other on drafts of the files.
struct Edits<'a> {
    survey: &'a Survey,
    planning: &'a Planning<'a>,
    drafts: BTreeMap<String, Draft>,
    /// Components as Git will have them after the steps so far, with the published version they are at.
    moved: BTreeMap<String, (Component, Option<Candidate>)>,
    made: Made,
}

/// What came of it.
#[derive(Default)]
struct Made {
    changes: BTreeMap<String, Changes>,
    diffs: BTreeMap<String, String>,
}

impl<'a> Edits<'a> {
    fn make(mut plan: Plan, survey: &'a Survey, planning: &'a Planning<'a>) -> Result<(Plan, Made), Refusal> {
        let mut edits =
            Self { survey, planning, drafts: BTreeMap::new(), moved: BTreeMap::new(), made: Made::default() };
        for step in plan.waves.iter_mut().flat_map(|wave| &mut wave.steps) {
            edits.step(step).map_err(|error| {
                let target = survey.subject(&step.component).and_then(|subject| candidate_of(subject, step));
                let wanting = match &error {
                    EditError::Digest { .. } => target.filter(|target| target.digest.is_none()),
                    _ => None,
                };
                Refusal {
                    component: step.component.clone(),
                    gate: "edit",
                    reason: error.to_string(),
                    wanting: wanting.map(|target| target.version.clone()),
                }
            })?;
        }
        Ok((plan, edits.made))
    }

    fn step(&mut self, step: &mut Step) -> Result<(), EditError> {
        let Some(subject) = self.survey.subject(&step.component) else { return Ok(()) };
        let (component, from) = match self.moved.remove(&step.component) {
            Some(moved) => moved,
            None => (subject.component.clone(), subject.current.clone()),
        };
        let Some(target) = candidate_of(subject, step) else { return Ok(()) };
        let widens = self
            .survey
            .policies
            .get(&step.component)
            .is_some_and(|policy| policy.ranges.value == RangeEdits::Widen);
        let options = edit::Options {
            ranges: if widens { Ranges::Widen } else { Ranges::Leave },
            generated: Generated::Elsewhere,
        };
        let changes = edit::replacements(&component, from.as_ref(), target, options)?;
        step.edits = entries(&component, &changes, target);
        let mut diff = String::new();
        let mut files: Vec<&str> =
            changes.replacements.iter().map(|replacement| replacement.file.as_str()).collect();
        files.dedup();
        for file in files {
            let of_file: Vec<_> =
                changes.replacements.iter().filter(|one| one.file == file).cloned().collect();
            let draft = self.draft(file)?;
            let before = draft.text();
            draft.apply(&of_file)?;
            diff.push_str(&Diff::of(file, &before, &draft.text()).to_string());
        }
        if !diff.is_empty() {
            self.made.diffs.insert(step.id.clone(), diff);
        }
        self.moved
            .insert(step.component.clone(), (changes.advance(&component, target), Some(target.clone())));
        self.made.changes.insert(step.id.clone(), changes);
        Ok(())
    }

    fn draft(&mut self, file: &str) -> Result<&mut Draft, EditError> {
        match self.drafts.entry(file.to_owned()) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(new) => {
                let bytes = (self.planning.read)(file).map_err(|error| EditError::Unreadable {
                    file: file.to_owned(),
                    reason: error.to_string(),
                })?;
                Ok(new.insert(Draft::new(file, &bytes)?))
            }
        }
    }
}

/// What changes, for people and scripts; of a generated file the place of its version.
fn entries(component: &Component, changes: &Changes, target: &Candidate) -> Vec<EditEntry> {
    let edited = changes.replacements.iter().map(|replacement| EditEntry {
        file: replacement.file.clone(),
        line: replacement.line,
        route: replacement.route.clone(),
        old: replacement.old.clone(),
        new: replacement.new.clone(),
    });
    let generated =
        component.pins.iter().filter(|pin| changes.generated.contains(&pin.file)).map(|pin| EditEntry {
            file: pin.file.clone(),
            line: pin.line,
            route: pin.route.clone(),
            old: pin.text.clone(),
            new: target.version.clone(),
        });
    edited.chain(generated).collect()
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
