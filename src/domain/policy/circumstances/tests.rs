use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::domain::component::UpdateType;
use crate::domain::plan::{Approval, Revert};

const NOW: &str = "2026-11-21T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn revert(safety: RevertSafety) -> Revert {
    Revert { safety, why: String::new() }
}

fn step(component: &str, to: &str, safety: RevertSafety) -> Step {
    Step {
        id: format!("{component}@{to}"),
        component: component.to_owned(),
        from: "1.0.0".to_owned(),
        to: to.to_owned(),
        update_type: UpdateType::Patch,
        gate: Approval::Review,
        policy_applied: "default".to_owned(),
        next: false,
        reasons: vec![],
        untested: Vec::new(),
        requires: vec![],
        revert: revert(safety),
        edits: vec![],
    }
}

fn update(component: &str, to: &str, stage: Stage, safety: RevertSafety) -> Update {
    Update {
        update_id: format!("update-of-{component}"),
        status: stage.status(),
        stage,
        started_at: at("2026-11-01T00:00:00Z"),
        changed_at: at("2026-11-01T00:00:00Z"),
        campaign: "campaign".to_owned(),
        component: component.to_owned(),
        chart: None,
        from: "1.0.0".to_owned(),
        to: to.to_owned(),
        update_type: UpdateType::Patch,
        gate: Approval::Review,
        policy_applied: "default".to_owned(),
        revert: revert(safety),
        backup_id: None,
        branch: "b".to_owned(),
        base: None,
        head: None,
        pull_request: None,
        merge_commit: None,
        merged_at: None,
        current_phase: None,
        completed_phases: vec![],
        failure_stage: None,
        reason: None,
        verified_by: None,
        settling: Default::default(),
    }
}

struct World {
    now: Timestamp,
    kill_switch: Option<KillSwitch>,
    maintenance: Option<Maintenance>,
    limits: Limits,
    updates: Vec<Update>,
    quarantine: Vec<Quarantined>,
    windows: Vec<Window>,
}

fn world() -> World {
    World {
        now: at(NOW),
        kill_switch: None,
        maintenance: None,
        limits: Limits::default(),
        updates: vec![],
        quarantine: vec![],
        windows: vec![],
    }
}

impl World {
    fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            now: self.now,
            kill_switch: self.kill_switch,
            maintenance: self.maintenance.as_ref(),
            breaker: None,
            limits: self.limits,
            updates: &self.updates,
            quarantine: &self.quarantine,
        }
    }

    fn holds_after(&self, step: &Step, ahead: &[&Step]) -> Vec<String> {
        let windows: Vec<&Window> = self.windows.iter().collect();
        let holds = self.circumstances().holds(step, ahead, &windows);
        holds
            .iter()
            .map(|hold| format!("{} by {}: {}", hold.gate, hold.policy_applied, hold.reason))
            .collect()
    }

    fn holds(&self, component: &str, to: &str) -> Vec<String> {
        self.holds_after(&step(component, to, RevertSafety::Safe), &[])
    }
}

#[test]
fn nothing_stops_a_step_in_quiet_circumstances() {
    assert!(world().holds("a", "2").is_empty());
}

#[test]
fn kill_switch_stops_everything_and_says_how_to_go_on() {
    for (switch, expected) in [
        (
            KillSwitch::BaseBranch,
            "kill_switch by enabled: everything is stopped; set `enabled: true` on the base branch to go on",
        ),
        (
            KillSwitch::Unreadable,
            "kill_switch by .gitops-updater.yaml: everything is stopped; mend `.gitops-updater.yaml` of the base branch, which cannot be read, to go on",
        ),
        (
            KillSwitch::WorkTree,
            "kill_switch by enabled: everything is stopped; set `enabled: true` in `.gitops-updater.yaml` of the work tree to go on",
        ),
        (
            KillSwitch::NamedFile,
            "kill_switch by enabled: everything is stopped; set `enabled: true` in the file that `--config` names to go on",
        ),
        (
            KillSwitch::Environment,
            "kill_switch by GITOPS_UPDATER_DISABLE: everything is stopped; unset the environment variable `GITOPS_UPDATER_DISABLE` to go on",
        ),
        (
            KillSwitch::Dashboard,
            "kill_switch by gitops-updater/stop: everything is stopped; take the label `gitops-updater/stop` off the dashboard to go on",
        ),
    ] {
        let world = World { kill_switch: Some(switch), ..world() };
        assert_eq!(world.holds("a", "2"), [expected]);
        assert!(world.circumstances().stopped().is_some());
    }
}

#[test]
fn maintenance_stops_proposals_until_its_end_and_never_reverts() {
    let maintenance = |until: Option<&str>| World {
        maintenance: Some(Maintenance {
            by: "jane".to_owned(),
            reason: Some("new switch".to_owned()),
            since: at("2026-11-21T08:00:00Z"),
            until: until.map(at),
        }),
        ..world()
    };
    assert_eq!(
        maintenance(Some("2026-11-21T12:00:01Z")).holds("a", "2"),
        ["maintenance by maintenance: maintenance mode until 2026-11-21T12:00:01Z, set by jane: new switch"]
    );
    assert_eq!(maintenance(None).holds("a", "2").len(), 1);
    assert!(maintenance(Some(NOW)).holds("a", "2").is_empty(), "over at its end");
    assert!(maintenance(None).circumstances().stopped().is_none());
}

#[test]
fn closed_window_stops_a_step_until_the_next_opens() {
    let window = Window::new("0 13 * * *", Duration::from_secs(3600), TimeZone::UTC, "windows[0]").unwrap();
    let mut world = World { windows: vec![window], ..world() };
    assert_eq!(
        world.holds("a", "2"),
        ["window by windows[0]: outside its maintenance windows; the next opens at 2026-11-21 13:00 UTC"]
    );
    world.now = at("2026-11-21T13:00:00Z");
    assert!(world.holds("a", "2").is_empty());
}

/// The time was UTC whatever the window's own zone, and stood there twice.
#[test]
fn window_is_told_once_and_in_its_own_time_zone() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let hour = Duration::from_secs(3600);
    let windows = vec![
        Window::new("0 2 * * *", hour, berlin, "windows[0]").unwrap(),
        Window::new("0 3 * * *", hour, TimeZone::UTC, "windows[1]").unwrap(),
    ];
    let world = World { windows, ..world() };
    let windows: Vec<&Window> = world.windows.iter().collect();
    let hold = world.circumstances().at_this_hour(&windows).unwrap();
    assert_eq!(
        hold.to_string(),
        "window: outside its maintenance windows; the next opens at 2026-11-22 02:00 Europe/Berlin"
    );
    assert_eq!(hold.until, Some(at("2026-11-22T01:00:00Z")));
}

#[test]
fn quarantine_stops_that_version_only() {
    let world = World {
        quarantine: vec![Quarantined {
            component: "a".to_owned(),
            version: "2".to_owned(),
            reason: "reverted: pods crashed".to_owned(),
            since: at("2026-11-20T00:00:00Z"),
            update_id: Some("update-1".to_owned()),
        }],
        ..world()
    };
    assert_eq!(
        world.holds("a", "2"),
        ["quarantine by update-1: in quarantine since 2026-11-20T00:00:00Z: reverted: pods crashed"]
    );
    for (component, to) in [("a", "3"), ("b", "2")] {
        assert!(world.holds(component, to).is_empty(), "{component} {to}");
    }
}

#[test]
fn what_cannot_be_reverted_goes_alone() {
    use RevertSafety::{Conditional, Safe, Unsafe};
    use Stage::{Abandoned, Merged, Proposed, Reverted, Rolling, Verified};
    for (stage, of_update, of_step, stopped) in [
        (Proposed, Safe, Safe, false),
        (Merged, Safe, Safe, false),
        (Proposed, Safe, Unsafe, true),
        (Rolling, Safe, Conditional, true),
        (Proposed, Unsafe, Safe, true),
        (Merged, Conditional, Safe, true),
        (Verified, Unsafe, Unsafe, false),
        (Reverted, Unsafe, Unsafe, false),
        (Abandoned, Unsafe, Unsafe, false),
    ] {
        let world = World { updates: vec![update("k3s", "2", stage, of_update)], ..world() };
        let holds = world.holds_after(&step("a", "2", of_step), &[]);
        let expected = if !stopped {
            vec![]
        } else if of_step != Safe {
            vec![
                "in_flight by update-of-k3s: goes alone, because a revert may do harm, and k3s 2 is under way"
                    .to_owned(),
            ]
        } else {
            vec![
                "in_flight by update-of-k3s: k3s 2 is under way, which goes alone, because a revert may do harm"
                    .to_owned(),
            ]
        };
        assert_eq!(holds, expected, "{stage:?} {of_update:?} {of_step:?}");
    }
}

#[test]
fn steps_of_the_same_run_are_company_too() {
    let (safe, other) = (step("a", "2", RevertSafety::Safe), step("b", "2", RevertSafety::Safe));
    let alone = step("k3s", "2", RevertSafety::Unsafe);
    let world = world();
    assert!(world.holds_after(&safe, &[&other]).is_empty());
    assert_eq!(
        world.holds_after(&alone, &[&safe]),
        ["in_flight by a@2: goes alone, because a revert may do harm, and a 2 is under way"]
    );
    assert_eq!(
        world.holds_after(&safe, &[&alone]),
        ["in_flight by k3s@2: k3s 2 is under way, which goes alone, because a revert may do harm"]
    );
}

#[test]
fn own_pull_request_stops_nothing_and_an_older_one_of_the_component_is_replaced() {
    use RevertSafety::Unsafe;
    let world = |to: &str, stage| World {
        updates: vec![update("k3s", to, stage, Unsafe)],
        limits: Limits { open_pull_requests: 1, ..Limits::default() },
        ..world()
    };
    for stage in [Stage::Proposed, Stage::Merged, Stage::Held] {
        assert!(world("3", stage).holds_after(&step("k3s", "3", Unsafe), &[]).is_empty(), "{stage:?}");
    }
    assert!(world("2", Stage::Proposed).holds_after(&step("k3s", "3", Unsafe), &[]).is_empty());
    assert_eq!(
        world("2", Stage::Merged).holds_after(&step("k3s", "3", Unsafe), &[]),
        ["in_flight by update-of-k3s: k3s 2 is merged and not verified yet"]
    );
}

#[test]
fn held_update_stops_the_queue() {
    let held = Update {
        reason: Some("node-2 does not come back".to_owned()),
        ..update("k3s", "2", Stage::Held, RevertSafety::Unsafe)
    };
    let world = World { updates: vec![held], ..world() };
    assert_eq!(
        world.holds("a", "2"),
        ["held_update by update-of-k3s: k3s 2 is held: node-2 does not come back"]
    );
}

#[test]
fn open_pull_requests_are_limited_those_of_this_run_included() {
    let open = |name| update(name, "2", Stage::Proposed, RevertSafety::Safe);
    let mut world = World {
        updates: vec![open("a"), open("b"), update("c", "2", Stage::Merged, RevertSafety::Safe)],
        limits: Limits { open_pull_requests: 3, ..Limits::default() },
        ..world()
    };
    let (new, ahead) = (step("x", "2", RevertSafety::Safe), step("y", "2", RevertSafety::Safe));
    assert!(world.holds_after(&new, &[]).is_empty());
    assert_eq!(
        world.holds_after(&new, &[&ahead]),
        ["open_pull_requests by limits.open_pull_requests: 3 pull requests are open, 3 at most"]
    );
    world.updates.push(open("d"));
    assert_eq!(world.holds_after(&new, &[]).len(), 1);
    assert!(world.holds("a", "2").is_empty(), "its own pull request does not count");
}

#[test]
fn pull_requests_of_the_last_hour_are_limited_whatever_became_of_them() {
    let opened = |name: &str, time: &str, stage| Update {
        started_at: at(time),
        ..update(name, "2", stage, RevertSafety::Safe)
    };
    let world = World {
        updates: vec![
            opened("a", "2026-11-21T11:00:00Z", Stage::Verified),
            opened("b", "2026-11-21T11:40:00Z", Stage::Abandoned),
            opened("c", "2026-11-21T11:20:00Z", Stage::Verified),
        ],
        limits: Limits { per_hour: 2, ..Limits::default() },
        ..world()
    };
    let step = step("x", "2", RevertSafety::Safe);
    let holds = world.circumstances().holds(&step, &[], &[]);
    assert_eq!(holds.len(), 1);
    assert_eq!(holds[0].gate, "per_hour");
    assert_eq!(holds[0].until, Some(at("2026-11-21T12:20:00Z")), "when the older of the two is an hour old");
    let later = World { now: at("2026-11-21T12:20:00Z"), ..world };
    assert!(later.holds("x", "2").is_empty());
}

proptest! {
    /// However steps are offered, a run never opens more than the limits allow, and what goes alone stays alone.
    #[test]
    fn limits_hold_for_any_order_of_steps(
        safeties in proptest::collection::vec(0..3u8, 0..12),
        open in 0usize..6,
        most_open in 1usize..6,
        per_hour in 1usize..6,
    ) {
        let safety = |number: u8| match number {
            0 => RevertSafety::Unsafe,
            _ => RevertSafety::Safe,
        };
        let updates: Vec<Update> = (0..open).map(|n| Update {
            started_at: at("2026-11-21T11:30:00Z"),
            ..update(&format!("open-{n}"), "2", Stage::Proposed, RevertSafety::Safe)
        }).collect();
        let world = World {
            updates,
            limits: Limits { open_pull_requests: most_open, per_hour, ..Limits::default() },
            ..world()
        };
        let steps: Vec<Step> =
            safeties.iter().enumerate().map(|(n, s)| step(&format!("s{n}"), "2", safety(*s))).collect();
        let mut taken: Vec<&Step> = vec![];
        for step in &steps {
            if world.circumstances().holds(step, &taken, &[]).is_empty() {
                taken.push(step);
            }
        }
        if !taken.is_empty() {
            prop_assert!(open + taken.len() <= most_open && open + taken.len() <= per_hour);
        }
        let alone = taken.iter().filter(|step| step.revert.safety != RevertSafety::Safe).count();
        prop_assert!(alone == 0 || (taken.len() == 1 && open == 0));
        prop_assert!(!taken.is_empty() || steps.is_empty() || open > 0, "the first of an idle bot always goes");
    }
}
