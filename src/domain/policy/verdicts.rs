//! What every gate says about a step that is proposed, for the reviewer: each with its verdict, what it looked at, and what
//! decided. The gates themselves are asked elsewhere ([`admit`](super::admit()), [`Circumstances`], the planner); a step
//! that is written about has passed those that do not depend on the hour.

use super::circumstances::Circumstances;
use super::window::Window;
use super::{BUILT_IN, ComponentPolicy, DEFAULT, Hold};
use crate::domain::component::UpdateType;
use crate::domain::duration::in_words;
use crate::domain::plan::{Approval, RevertSafety, Step};
use crate::domain::upstream::Candidate;

/// What one gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its name, as holds and plans name it.
    pub gate: &'static str,
    /// Whether it lets the step pass now.
    pub passed: bool,
    /// What it looked at and found.
    pub reason: String,
    /// Configuration key, rule or default that decided; empty where nothing can be configured.
    pub policy_applied: String,
}

impl Verdict {
    fn passed(gate: &'static str, reason: impl Into<String>, by: &str) -> Self {
        Self { gate, passed: true, reason: reason.into(), policy_applied: by.to_owned() }
    }

    fn of(gate: &'static str, hold: Option<Hold>, otherwise: impl Into<String>, by: &str) -> Self {
        match hold {
            Some(hold) => {
                Self { gate, passed: false, reason: hold.reason, policy_applied: hold.policy_applied }
            }
            None => Self::passed(gate, otherwise, by),
        }
    }
}

/// What the policy of its component says about a step to `target`.
pub fn of_policy(policy: &ComponentPolicy, step: &Step, target: Option<&Candidate>) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::passed(
        "semver",
        format!("{} updates are under `{}`", step.update_type.as_str(), step.gate.as_str()),
        &step.policy_applied,
    )];
    let age = &policy.minimum_release_age;
    let released = match target.and_then(|target| target.released_at) {
        Some(at) => format!("released at {at}"),
        None => "nobody says when it was released".to_owned(),
    };
    let demanded = match age.value.is_zero() {
        true => "any age will do".to_owned(),
        false => format!("at least {} is demanded", in_words(age.value)),
    };
    verdicts.push(Verdict::passed("release_age", format!("{released}; {demanded}"), &age.by));
    if policy.allowed.is_empty() {
        verdicts.push(Verdict::passed("allowed", "every version is allowed", DEFAULT));
    }
    verdicts.extend(policy.allowed.iter().map(|allowed| {
        // A digest is of the version that is there.
        let words = match step.update_type {
            UpdateType::Digest => format!("the version stays; `{}` is allowed", allowed.value),
            _ => format!("within the allowed versions `{}`", allowed.value),
        };
        Verdict::passed("allowed", words, &allowed.by)
    }));
    let (words, by) = match policy.denied.as_slice() {
        [] => ("no version is denied".to_owned(), DEFAULT),
        [first, rest @ ..] => {
            let others: String = rest.iter().map(|denied| format!(", `{}`", denied.value)).collect();
            (format!("not among what is denied: `{}`{others}", first.value), first.by.as_str())
        }
    };
    verdicts.push(Verdict::passed("denied", words, by));
    verdicts
}

/// Whether what had to come before a step did. `requires` are steps that the plan puts before it, `before` those that had
/// to come first and are verified, by id; `lost` says what of that was taken back since.
pub fn of_order(requires: &[String], before: &[String], lost: Option<&str>) -> Verdict {
    const BY: &str = "rules, dependsOn";
    if let Some(lost) = lost {
        return Verdict {
            gate: "order",
            passed: false,
            reason: lost.to_owned(),
            policy_applied: BY.to_owned(),
        };
    }
    let order = match (requires, before) {
        ([], []) => "nothing that was planned had to come first".to_owned(),
        ([], [one]) => format!("`{one}` had to come first and is verified"),
        ([], [one, other]) => format!("`{one}` and `{other}` had to come first and are verified"),
        ([], [.., last]) => {
            format!("{} steps had to come first and are verified, `{last}` last", before.len())
        }
        (first, _) => format!("after `{}`", first.join("`, `")),
    };
    Verdict::passed("order", order, BY)
}

/// What the planner looked at for every step: it drafts none that breaks any of it. `before` and `lost` are as in
/// [`of_order`].
pub fn of_planner(step: &Step, before: &[String], lost: Option<&str>) -> Vec<Verdict> {
    let company = match step.untested.as_slice() {
        [] => "goes with what stands beside it before and after".to_owned(),
        [first, rest @ ..] => {
            let others = if rest.is_empty() { "" } else { ", and others: see the notes" };
            format!("breaks no demand, but is not all tested together: {first}{others}")
        }
    };
    vec![
        Verdict::passed("ladder", "no version is passed over that has to be stopped at", "rules"),
        Verdict::passed("compatibility", company, "rules"),
        Verdict::passed("apis", "no manifest uses an API version that it removes", "rules"),
        of_order(&step.requires, before, lost),
        Verdict::passed("fetch", "what it installs can be had where it is published", BUILT_IN),
    ]
}

impl Circumstances<'_> {
    /// What the hour and what is under way say about a step. Its own record must not be among the updates.
    pub fn verdicts(&self, step: &Step, windows: &[&Window]) -> Vec<Verdict> {
        let (component, to) = (step.component.as_str(), step.to.as_str());
        let by: Vec<&str> = windows.iter().map(|window| window.by()).collect();
        let (open, by) = match by.as_slice() {
            [] => ("no window is set: any time will do", DEFAULT.to_owned()),
            _ => ("its window is open", by.join(", ")),
        };
        let limits = self.limits;
        let most = format!("at most {} may be open at once", limits.open_pull_requests);
        let hourly = format!("at most {} may be opened within an hour", limits.per_hour);
        let stopped = self.stopped_queue(component, to, step.revert.safety);
        vec![
            Verdict::of("quarantine", self.quarantined(component, to), "not in quarantine", ""),
            Verdict::of("kill_switch", self.stopped(), "nothing is stopped", ""),
            Verdict::of("maintenance", self.in_maintenance(), "no maintenance is on", ""),
            Verdict::of("circuit_breaker", self.broken(), "closed", ""),
            Verdict::of("window", self.outside_windows(windows), open, &by),
            Verdict::of("held_update", stopped, "nothing is held that stops the queue", ""),
            Verdict::of("in_flight", self.company(step, &[]), company(step), ""),
            Verdict::of("open_pull_requests", self.open_limit(step, &[]), most, "limits.open_pull_requests"),
            Verdict::of("per_hour", self.hourly_limit(&[]), hourly, "limits.per_hour"),
        ]
    }
}

fn company(step: &Step) -> &'static str {
    match step.revert.safety {
        RevertSafety::Safe => "nothing is under way that has to go alone",
        RevertSafety::Conditional | RevertSafety::Unsafe => "goes alone, and nothing else is under way",
    }
}

/// How checks of the pull request decide about its merge.
pub fn of_checks(gate: Approval, required: bool) -> Verdict {
    let words = match (gate, required) {
        (Approval::Auto, true) => "merged when at least one check has succeeded and none fails or is pending",
        (Approval::Auto, false) => "merged when no check fails or is pending",
        _ => "a person who merges looks at them",
    };
    Verdict::passed("checks", words, "pull_requests.require_checks")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::domain::plan::Revert;
    use crate::domain::policy::circumstances::KillSwitch;
    use crate::domain::policy::{Applied, Limits};
    use crate::domain::version::range::Range;

    fn step() -> Step {
        Step {
            id: "helm/apps/podinfo@6.7.1".to_owned(),
            component: "helm/apps/podinfo".to_owned(),
            from: "6.7.0".to_owned(),
            to: "6.7.1".to_owned(),
            update_type: UpdateType::Patch,
            gate: Approval::Auto,
            policy_applied: "policy.semver_gates.patch".to_owned(),
            next: true,
            reasons: vec![],
            untested: Vec::new(),
            requires: vec![],
            revert: Revert { safety: RevertSafety::Safe, why: String::new() },
            edits: vec![],
        }
    }

    #[test]
    fn every_gate_has_a_verdict_and_what_decided() {
        let policy = ComponentPolicy {
            minimum_release_age: Applied {
                value: Duration::from_secs(3 * 86_400),
                by: "policy.minimum_release_age".to_owned(),
            },
            allowed: vec![Applied { value: Range::parse("<7").unwrap(), by: "policy.allowed".to_owned() }],
            ..ComponentPolicy::default()
        };
        let circumstances = Circumstances {
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            kill_switch: Some(KillSwitch::Environment),
            maintenance: None,
            breaker: None,
            limits: Limits::default(),
            updates: &[],
            quarantine: &[],
        };
        let step = step();
        let mut all = of_policy(&policy, &step, None);
        all.extend(of_planner(&step, &[], None));
        all.extend(circumstances.verdicts(&step, &[]));
        all.push(of_checks(step.gate, true));
        let gates: Vec<&str> = all.iter().map(|verdict| verdict.gate).collect();
        assert_eq!(
            gates.join(" "),
            "semver release_age allowed denied ladder compatibility apis order fetch quarantine kill_switch maintenance \
             circuit_breaker window held_update in_flight open_pull_requests per_hour checks"
        );
        let of = |gate: &str| all.iter().find(|verdict| verdict.gate == gate).unwrap();
        assert_eq!(of("semver").policy_applied, "policy.semver_gates.patch");
        assert_eq!(of("release_age").reason, "nobody says when it was released; at least 3 days is demanded");
        assert_eq!(of("allowed").policy_applied, "policy.allowed");
        assert_eq!(of("per_hour").policy_applied, "limits.per_hour");
        let holding: Vec<&str> =
            all.iter().filter(|verdict| !verdict.passed).map(|verdict| verdict.gate).collect();
        assert_eq!(holding, ["kill_switch"]);
        assert_eq!(of("kill_switch").policy_applied, "GITOPS_UPDATER_DISABLE");
    }

    #[test]
    fn versions_that_were_not_tested_together_are_not_said_to_go_together() {
        let of = |untested: &[&str]| {
            let step = Step { untested: untested.iter().map(|text| (*text).to_owned()).collect(), ..step() };
            let all = of_planner(&step, &[], None);
            all.into_iter().find(|verdict| verdict.gate == "compatibility").unwrap().reason
        };
        assert_eq!(of(&[]), "goes with what stands beside it before and after");
        let one = "longhorn 1.11.3 was tested with kubernetes >=1.34, not with v1.33.9+k3s1";
        assert_eq!(of(&[one]), format!("breaks no demand, but is not all tested together: {one}"));
        assert!(of(&[one, "flux v2.9 was tested with it"]).ends_with(", and others: see the notes"));
    }

    #[rstest]
    #[case::nothing(&[], &[], "nothing that was planned had to come first")]
    #[case::one(&[], &["k3s@1.25"], "`k3s@1.25` had to come first and is verified")]
    #[case::two(&[], &["db@2", "k3s@1.25"], "`db@2` and `k3s@1.25` had to come first and are verified")]
    #[case::many(&[], &["a@1", "b@1", "c@1"], "3 steps had to come first and are verified, `c@1` last")]
    #[case::not_yet(&["k3s@1.25"], &["db@2"], "after `k3s@1.25`")]
    fn order_names_what_came_first(
        #[case] requires: &[&str],
        #[case] before: &[&str],
        #[case] expected: &str,
    ) {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let step = Step { requires: owned(requires), ..step() };
        let all = of_planner(&step, &owned(before), None);
        assert_eq!(all.iter().find(|verdict| verdict.gate == "order").unwrap().reason, expected);
    }
}
