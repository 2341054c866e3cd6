//! Why a component goes no further: the one constraint that forbids more.

use jiff::Timestamp;

use super::Held;
use super::course::{Course, Obstacle};
use super::input::{ApiUse, Input};
use super::search::{Search, Timeline};
use super::world::{Need, World};
use crate::domain::policy::{Admission, BUILT_IN};
use crate::domain::report::Status;
use crate::domain::version::range::Range;

/// Most places that a reason lists.
const MOST_PLACES: usize = 5;

/// What forbids more, before it is told of a component.
struct Reason {
    gate: String,
    reason: String,
    constraint: Option<String>,
    policy_applied: Option<String>,
    until: Option<Timestamp>,
}

/// Tells why a component stays where the campaign leaves it, where there is something newer.
pub(super) fn held(
    world: &World<'_>,
    input: &Input<'_>,
    search: &Search<'_, '_>,
    timeline: &Timeline,
    at: usize,
    last: usize,
) -> Option<Held> {
    let course = &world.courses[at];
    let entry = &course.subject.entry;
    let told = |from: Option<String>, to: Option<String>, reason: Reason| Held {
        component: course.id().to_owned(),
        from,
        to,
        gate: reason.gate,
        reason: reason.reason,
        constraint: reason.constraint,
        policy_applied: reason.policy_applied,
        until: reason.until,
    };
    if let Some(frozen) = &course.frozen {
        let newer = entry.available_version.is_some() || !course.subject.candidates.is_empty();
        let reason = Reason {
            gate: frozen.gate.to_owned(),
            reason: frozen.reason.clone(),
            constraint: None,
            policy_applied: Some(frozen.policy_applied.clone()),
            until: None,
        };
        return (newer || entry.status == Status::Unresolved)
            .then(|| told(entry.current_version.clone(), entry.available_version.clone(), reason));
    }
    let newest = course.newest();
    if last == newest {
        return None;
    }
    let explainer = Explainer { world, input, search, timeline, at, last };
    let reason = explainer.reason();
    Some(told(Some(course.nodes[last].text.clone()), Some(course.nodes[newest].text.clone()), reason))
}

struct Explainer<'e, 'w, 'a> {
    world: &'e World<'a>,
    input: &'e Input<'e>,
    search: &'e Search<'w, 'a>,
    timeline: &'e Timeline,
    at: usize,
    last: usize,
}

impl<'a> Explainer<'_, '_, 'a> {
    fn course(&self) -> &Course<'a> {
        &self.world.courses[self.at]
    }

    /// Of the versions that the ladder lets be next, the newest that policy admits; what forbids that one.
    fn reason(&self) -> Reason {
        let course = self.course();
        let above = || (self.last + 1..course.nodes.len()).rev();
        let Some(newest) = above().find(|to| course.reaches(self.last, *to).is_ok()) else {
            let to = self.last + 1;
            let obstacle = course.reaches(self.last, to).err().unwrap_or(Obstacle::Rung);
            return self.told(&obstacle, to);
        };
        let is_wanted = |to: &usize| {
            course.reaches(self.last, *to).is_ok()
                && course.avoided(*to).is_none()
                && matches!(course.admission(self.input, self.last, *to), Admission::Allow { .. })
        };
        let to = above().find(is_wanted).unwrap_or(newest);
        match course.step(self.input, self.last, to) {
            Err(obstacle) => self.told(&obstacle, to),
            Ok(()) => self.compatibility(to),
        }
    }

    fn told(&self, obstacle: &Obstacle<'_>, to: usize) -> Reason {
        let course = self.course();
        let name = &course.subject.component.name;
        let [from, to] = [self.last, to].map(|node| course.nodes[node].text.as_str());
        let ladder = || course.rules.iter().find(|rule| rule.planning.ladder.is_some());
        let by_rule = |gate: &str, reason: String, constraint: String| Reason {
            gate: gate.to_owned(),
            reason,
            constraint: Some(constraint),
            policy_applied: ladder().map(|rule| format!("rules.{}.ladder", rule.id)),
            until: None,
        };
        match obstacle {
            Obstacle::Policy(hold) => Reason {
                gate: hold.gate.to_owned(),
                reason: hold.reason.clone(),
                constraint: None,
                policy_applied: Some(hold.policy_applied.clone()),
                until: hold.until,
            },
            Obstacle::Avoided(marked) => by_rule(
                "avoid",
                format!("{name} {to} is to be avoided: {}", marked.why),
                format!("{name} is never {}", plain(&marked.versions)),
            ),
            Obstacle::Rung => by_rule(
                "ladder",
                format!(
                    "{name} may not skip a version on its way, and of those that come after {from} none is \
                     offered before {to}"
                ),
                format!("{name} {to} is more than one step from {from}"),
            ),
            Obstacle::Stop(stop) => by_rule(
                "ladder",
                format!("{name} must stop at {} before {to}: {}", plain(&stop.versions), stop.why),
                format!("{name} stops at {}", plain(&stop.versions)),
            ),
            Obstacle::Entrance(gate) => {
                let entrance = gate.from.as_ref().map(plain).unwrap_or_default();
                by_rule(
                    "ladder",
                    format!(
                        "{name} {} is entered only from {entrance}, and no such version can be reached from \
                         {from}: {}",
                        plain(&gate.to),
                        gate.why
                    ),
                    format!("{name} {} only from {entrance}", plain(&gate.to)),
                )
            }
            Obstacle::Removed(gate, uses) => {
                let apis: Vec<&str> = gate.removes.iter().map(String::as_str).collect();
                let used = apis.iter().find(|api| uses.iter().any(|found| found.api_version == **api));
                by_rule(
                    "removed_api",
                    format!("{}; {}", gate.why, places(uses)),
                    format!("{name} {} no longer serves {}", plain(&gate.to), used.unwrap_or(&"these APIs")),
                )
            }
            Obstacle::RemovedKubernetes(minor, uses) => {
                let api = uses.first().map(|found| format!("{} {}", found.kind, found.api_version));
                Reason {
                    gate: "removed_api".to_owned(),
                    reason: places(uses),
                    constraint: Some(format!(
                        "kubernetes 1.{minor} no longer serves {}",
                        api.as_deref().unwrap_or("these APIs")
                    )),
                    policy_applied: Some("kubernetes_apis".to_owned()),
                    until: None,
                }
            }
            Obstacle::EarlierMonth => by_rule(
                "build_month",
                format!("every {name} that could be next was built in an earlier month than {from}"),
                format!("{name} is never replaced by one that was built in an earlier month"),
            ),
            Obstacle::UnknownMonth => by_rule(
                "build_month",
                format!("nobody says when {from} or {to} was built"),
                format!("{name} is never replaced by one that was built in an earlier month"),
            ),
        }
    }

    fn no_way(&self) -> String {
        match self.timeline.cut {
            false => "no order of steps leads there".to_owned(),
            true => "no order of steps is found that leads there, and there are too many to look at all"
                .to_owned(),
        }
    }

    /// What a version needs that the end of the campaign does not have, or who needs that it is not taken.
    fn compatibility(&self, to: usize) -> Reason {
        let end = self.timeline.states.last().map(Vec::as_slice).unwrap_or_default();
        if let Some(core) = self.world.core_of(self.at) {
            return self.blocked(core, to);
        }
        let known = self.world.unmet(self.at, self.last, end);
        match self.world.first_unmet(self.at, to, end, known) {
            Some(need) => self.needed(self.at, to, need),
            None => Reason {
                gate: "compatibility".to_owned(),
                reason: self.no_way(),
                constraint: None,
                policy_applied: Some(BUILT_IN.to_owned()),
                until: None,
            },
        }
    }

    fn needed(&self, at: usize, to: usize, need: &Need) -> Reason {
        let course = &self.world.courses[at];
        let constraint = format!(
            "{} {} needs {} {}",
            course.subject.component.name, course.nodes[to].text, need.of, need.range
        );
        let reason = if World::is_unknown(need) {
            format!(
                "{constraint}, and nobody says which version that is; give facts of the cluster with `--facts`"
            )
        } else {
            format!("{constraint}, which is not there when the campaign ends")
        };
        Reason {
            gate: "compatibility".to_owned(),
            reason,
            constraint: Some(constraint),
            policy_applied: Some(need.by.clone()),
            until: None,
        }
    }

    /// Who stands in the way of a core.
    fn blocked(&self, core: usize, to: usize) -> Reason {
        let end = self.timeline.states.last().map(Vec::as_slice).unwrap_or_default();
        let mut after = end.to_vec();
        after[core] = to;
        let (course, node) = match self.search.blocker_of(self.timeline, core, to) {
            Some(Err(other)) => (self.world.cores[other], after[other]),
            Some(Ok(blocker)) => {
                let lane = &self.search.blockers[blocker];
                let newest = self.timeline.reached[blocker].iter().rposition(|reached| *reached);
                (lane.course, lane.nodes[newest.unwrap_or(0)])
            }
            None => {
                return Reason {
                    gate: "compatibility".to_owned(),
                    reason: self.no_way(),
                    constraint: None,
                    policy_applied: Some(BUILT_IN.to_owned()),
                    until: None,
                };
            }
        };
        let blocking = &self.world.courses[course];
        match self.world.first_unmet(course, node, &after, 0) {
            Some(need) => {
                let constraint = format!(
                    "{} {} needs {} {}",
                    blocking.id(),
                    blocking.nodes[node].text,
                    need.of,
                    need.range
                );
                let name = &self.course().subject.component.name;
                Reason {
                    gate: "compatibility".to_owned(),
                    reason: format!(
                        "{constraint}, and it has no version that goes with {name} {} and can be reached",
                        self.course().nodes[to].text
                    ),
                    constraint: Some(constraint),
                    policy_applied: Some(need.by.clone()),
                    until: None,
                }
            }
            None => Reason {
                gate: "compatibility".to_owned(),
                reason: format!("{} stands in the way", blocking.id()),
                constraint: None,
                policy_applied: Some(BUILT_IN.to_owned()),
                until: None,
            },
        }
    }
}

/// A range of a rule without the sign for pre-releases.
fn plain(range: &Range) -> String {
    range.to_string().replace(".0-0", "")
}

fn places(uses: &[ApiUse]) -> String {
    let listed: Vec<String> = uses.iter().take(MOST_PLACES).map(ToString::to_string).collect();
    let more = uses.len().saturating_sub(MOST_PLACES);
    let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("still in the repository: {}{rest}", listed.join(", "))
}
