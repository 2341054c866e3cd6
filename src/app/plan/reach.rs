//! What only a look at its target says of a step, whether it can be had and whether its chart does harm: asked for
//! steps that could be proposed now, never for all that is newer.

use std::collections::BTreeMap;

use super::charts::{self, chart_changes};
use super::{Planning, Survey, candidate_of};
use crate::domain::component::Component;
use crate::domain::plan::{Held, Plan, Step};
use crate::domain::policy::{BUILT_IN, Hold};
use crate::domain::state::Stage;
use crate::domain::upstream::{FailureClass, UpstreamFailure, UpstreamRef};

/// Gate of what cannot be fetched, or of which nobody can say.
const GATE: &str = "fetch";
/// How often steps that take the place of those that are held are asked for.
const ROUNDS: usize = 8;

/// A version that a step would install.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Who has it.
    pub upstream: UpstreamRef,
    /// As it is published.
    pub version: String,
    /// What is installed, as it is published (an image by its tag): a newer image must be there for the same platforms.
    pub installed: Option<String>,
}

/// What says whether versions can be had. Asking twice is cheap.
pub trait Targets {
    /// One answer for each target: it is there whole, and is what was promised.
    ///
    /// # Errors
    ///
    /// Of one target: it is not there ([`FailureClass::NotFound`]), is not what was promised, or nobody can say.
    fn reach(&self, targets: &[Target]) -> Vec<Result<(), UpstreamFailure>>;
}

/// What was learnt of the steps that could be proposed.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// By step id; what can be had and does no harm has no hold.
    known: BTreeMap<String, Option<Hold>>,
    /// By step id: why its chart could not be looked into, though it can be had.
    unjudged: BTreeMap<String, String>,
    rounds: usize,
}

impl Reached {
    /// Asks for the steps that would be proposed now, or were it not for limits; `true` where some of them cannot be,
    /// so that others may take their place.
    pub(super) fn ask(&mut self, plan: &Plan, survey: &Survey, planning: &Planning<'_>) -> bool {
        // What only limits keep back is asked for, too: that it cannot be had outlasts them.
        let is_meant = |step: &Step| step.next || plan.waits.get(&step.id).is_some_and(|wait| wait.limits);
        let is_new = |step: &&Step| {
            is_meant(step) && !self.known.contains_key(&step.id) && !is_proposed(step, planning)
        };
        let steps: Vec<&Step> = plan.waves.iter().flat_map(|wave| &wave.steps).filter(is_new).collect();
        if self.rounds == ROUNDS {
            let reason = "too many others are held for this one to be looked at now".to_owned();
            let held = steps.iter().map(|step| (step.id.clone(), Some(hold(reason.clone(), false))));
            self.known.extend(held);
            return false;
        }
        self.rounds += 1;
        let asked: Vec<(&Step, Vec<Target>)> =
            steps.into_iter().map(|step| (step, targets_of(step, survey))).collect();
        let targets: Vec<Target> = asked.iter().flat_map(|(_, targets)| targets.clone()).collect();
        let mut answers = match targets.is_empty() {
            true => Vec::new(),
            false => planning.targets.reach(&targets),
        }
        .into_iter();
        let mut holds: Vec<(&Step, Option<Hold>)> = Vec::new();
        for (step, targets) in asked {
            // What has no upstream that could be asked is made from what the repository says.
            let answers: Vec<_> = answers.by_ref().take(targets.len()).collect();
            let held = match answers.len() == targets.len() {
                true => worst(answers).map(|failure| hold(told(&failure), is_asked_again(&failure.class))),
                false => Some(hold("nobody said whether it can be fetched".to_owned(), true)),
            };
            holds.push((step, held));
        }
        self.look_into_charts(&mut holds, survey, planning);
        let any = holds.iter().any(|(_, held)| held.is_some());
        self.known.extend(holds.into_iter().map(|(step, held)| (step.id.clone(), held)));
        any
    }

    /// Adds what the charts of steps say that can be had. A person who asks for one by name has decided.
    fn look_into_charts(
        &mut self,
        holds: &mut [(&Step, Option<Hold>)],
        survey: &Survey,
        planning: &Planning<'_>,
    ) {
        let is_open = |step: &Step, held: &Option<Hold>| held.is_none() && !planning.named.contains(&step.id);
        let open: Vec<&Step> =
            holds.iter().filter(|(step, held)| is_open(step, held)).map(|(step, _)| *step).collect();
        let changes = chart_changes(survey, planning.read, &open);
        let (steps, changes): (Vec<&Step>, Vec<_>) =
            open.into_iter().zip(changes).filter_map(|(step, change)| Some((step, change?))).unzip();
        if changes.is_empty() {
            return;
        }
        for (step, harm) in steps.into_iter().zip(planning.charts.harm(&changes)) {
            let held = match harm {
                Ok(harm) => charts::hold(&harm),
                Err(failure) if is_asked_again(&failure.class) => Some(hold(
                    format!(
                        "not judged, because the charts could not be compared: {failure}; asked again next time"
                    ),
                    true,
                )),
                // Whoever proposes it says so to the reviewer, who can look.
                Err(failure) => {
                    self.unjudged.insert(step.id.clone(), failure.to_string());
                    None
                }
            };
            if let Some((_, own)) = holds.iter_mut().find(|(other, _)| other.id == step.id) {
                *own = held;
            }
        }
    }

    /// By step id: why nobody can say of steps that would be proposed now what their charts do.
    pub(super) fn into_unjudged(self) -> BTreeMap<String, String> {
        self.unjudged
    }

    /// What holds a step.
    pub(super) fn hold(&self, step: &Step) -> Option<Hold> {
        self.known.get(&step.id).cloned().flatten()
    }

    /// Adds to a plan what is held.
    pub(super) fn tell(&self, plan: &mut Plan) {
        for step in plan.waves.iter_mut().flat_map(|wave| &mut wave.steps).filter(|step| step.next) {
            // What was not asked for in the last round.
            if let Some(hold) = self.hold(step) {
                step.next = false;
                step.reasons.push(format!("{}: {}", hold.gate, hold.reason));
                plan.waits.entry(step.id.clone()).or_default().person |= !hold.ends_by_itself();
            }
        }
        let held = self.held(plan);
        plan.held.extend(held);
        plan.held.sort_by(|one, other| one.component.cmp(&other.component));
    }

    /// The holds of the steps of a plan that last. What the next run asks again only waits: it keeps its place on the way.
    fn held(&self, plan: &Plan) -> Vec<Held> {
        let steps = plan.waves.iter().flat_map(|wave| &wave.steps);
        let held = steps.filter_map(|step| {
            let hold = self.hold(step).filter(|hold| !hold.ends_by_itself())?;
            Some(Held {
                component: step.component.clone(),
                from: Some(step.from.clone()),
                to: Some(step.to.clone()),
                gate: hold.gate.to_owned(),
                reason: hold.reason,
                constraint: None,
                policy_applied: Some(hold.policy_applied),
                until: hold.until,
            })
        });
        held.collect()
    }
}

/// Asks for the version of one step, as it is to be installed; the reason where it cannot be had now.
pub fn unreached(survey: &Survey, targets: &dyn Targets, step: &Step) -> Option<String> {
    worst(targets.reach(&targets_of(step, survey))).map(|failure| told(&failure))
}

/// Why a step cannot be proposed: what is not there comes first, then what is not right, then what nobody can say.
fn worst(answers: Vec<Result<(), UpstreamFailure>>) -> Option<UpstreamFailure> {
    let failures = answers.into_iter().filter_map(Result::err);
    failures.min_by_key(|failure| (failure.class != FailureClass::NotFound, is_asked_again(&failure.class)))
}

/// Whether the next run may get another answer though nothing was published and nobody did anything.
fn is_asked_again(class: &FailureClass) -> bool {
    match class {
        // Credentials do not come or get better by themselves.
        FailureClass::NotFound | FailureClass::Permanent | FailureClass::Denied => false,
        FailureClass::Transient | FailureClass::RateLimited { .. } | FailureClass::Offline => true,
    }
}

/// The version at its upstream, and the images that are pulled to install it.
fn targets_of(step: &Step, survey: &Survey) -> Vec<Target> {
    let Some(subject) = survey.subject(&step.component) else { return Vec::new() };
    let Ok(upstream) = subject.component.upstream.clone() else { return Vec::new() };
    let version = candidate_of(subject, step).map_or(&step.to, |target| &target.version).clone();
    let installed = subject.current.as_ref().map(|current| current.version.clone());
    let images = subject.component.images.iter().map(|image| Target {
        upstream: image.clone(),
        version: Component::image_tag(&version),
        installed: installed.as_deref().map(Component::image_tag),
    });
    let images: Vec<Target> = images.collect();
    [Target { upstream, version, installed }].into_iter().chain(images).collect()
}

/// What is proposed was looked at before.
fn is_proposed(step: &Step, planning: &Planning<'_>) -> bool {
    planning.situation.updates.iter().any(|update| {
        update.stage == Stage::Proposed && update.component == step.component && update.to == step.to
    })
}

fn hold(reason: String, is_asked_again: bool) -> Hold {
    Hold { gate: GATE, reason, policy_applied: BUILT_IN.to_owned(), until: None, is_asked_again }
}

/// For people: that it is not there, or that nobody can say.
fn told(failure: &UpstreamFailure) -> String {
    match failure.class {
        FailureClass::NotFound => format!("it cannot be fetched: {failure}"),
        FailureClass::Permanent => format!("it cannot be installed as it is published: {failure}"),
        FailureClass::Transient
        | FailureClass::Denied
        | FailureClass::RateLimited { .. }
        | FailureClass::Offline => {
            format!(
                "not judged, because it could not be asked whether it can be fetched: {failure}; asked again next time"
            )
        }
    }
}
