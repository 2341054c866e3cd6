//! The dashboard.

use rstest::rstest;

use super::*;
use crate::domain::plan::{Held, Wave};
use crate::domain::state::{Quarantined, Stage, Update, UpdateStatus};

fn update(id: &str, stage: Stage) -> Update {
    let step = step();
    Update {
        update_id: id.to_owned(),
        status: UpdateStatus::InProgress,
        stage,
        started_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        changed_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        campaign: "campaign-1".to_owned(),
        component: format!("helm/apps/{id}"),
        chart: None,
        from: "1.0.0".to_owned(),
        to: "1.1.0".to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: "x".to_owned(),
        revert: step.revert,
        backup_id: None,
        branch: "b".to_owned(),
        base: None,
        head: None,
        pull_request: Some(12),
        merge_commit: None,
        merged_at: None,
        current_phase: None,
        completed_phases: Vec::new(),
        failure_stage: None,
        reason: Some("waits for a person".to_owned()),
        verified_by: None,
        settling: Default::default(),
    }
}

fn dashboard(count: usize) -> String {
    let steps: Vec<Step> = (0..count)
        .flat_map(|number| {
            let next = Step { component: format!("helm/apps/a{number}"), ..step() };
            let manual = Step {
                component: format!("image/x#{number}"),
                gate: Approval::Manual,
                next: false,
                ..step()
            };
            let later = Step {
                component: format!("git/y{number}"),
                requires: vec!["k3s@1".to_owned()],
                next: false,
                ..step()
            };
            [next, manual, later]
        })
        .collect();
    let held = Held {
        component: "k3s".to_owned(),
        from: Some("v1.33.4+k3s1".to_owned()),
        to: Some("v1.35.0+k3s1".to_owned()),
        gate: "compatibility".to_owned(),
        reason: "longhorn 1.11 is not tested with it, says @someone in #12".to_owned(),
        constraint: None,
        policy_applied: None,
        until: None,
    };
    let quarantined = Quarantined {
        component: "helm/apps/bad".to_owned(),
        version: "2.0.0".to_owned(),
        reason: "reverted".to_owned(),
        since: "2026-11-01T00:00:00Z".parse().unwrap(),
        update_id: None,
    };
    let updates: Vec<Update> = (0..count)
        .flat_map(|number| {
            [Stage::Proposed, Stage::Merged, Stage::Held]
                .map(|stage| update(&format!("u{number}{stage:?}"), stage))
        })
        .collect();
    Dashboard {
        now: "2026-11-21T10:00:00Z".parse().unwrap(),
        notices: &["Maintenance since yesterday by jane: nothing is proposed".to_owned()],
        updates: &updates,
        waves: &[Wave { number: 1, steps }],
        held: &vec![held; count],
        ignored: &[Ignored { component: "image/z".to_owned(), reason: "ignored by `detection`".to_owned() }],
        quarantine: &vec![quarantined; count],
        breaker: None,
        asked: &std::collections::BTreeSet::new(),
        problems: 2,
    }
    .write(&ours())
    .unwrap()
}

#[test]
fn the_dashboard_shows_everything_with_boxes_that_work() {
    let body = dashboard(1);
    insta::assert_snapshot!(seen(&body), @r"
    What gitops-updater knows about this repository. Tick a box, and the next run does what it says.

    > Maintenance since yesterday by jane: nothing is proposed

    ### Open pull requests

    - `helm/apps/u0Proposed` `1.0.0` → `1.1.0` (#12), approval: review: waits for a person
      - [ ] <!-- gitops-updater:rebuild u0Proposed --> Write the branch anew

    ### Merged, not yet verified

    - `helm/apps/u0Merged` `1.0.0` → `1.1.0` (#12): waits for a person
      - [ ] <!-- gitops-updater:accept u0Merged --> I have looked: this update is good

    ### Stopped

    - `helm/apps/u0Held` `1.0.0` → `1.1.0` (#12): waits for a person
      - [ ] <!-- gitops-updater:retry u0Held --> Take it up again
      - [ ] <!-- gitops-updater:accept u0Held --> I have looked: this update is good

    ### Waiting to be asked for

    - [ ] <!-- gitops-updater:open image/x%230 1.12.1 --> Open the pull request: `image/x#0` `1.11.2` → `1.12.1` (minor): k3s `v1.34.1+k3s1` must be there first, and is

    ### Next

    - `helm/apps/a0` `1.11.2` → `1.12.1` (minor): k3s `v1.34.1+k3s1` must be there first, and is

    ### Later

    - wave 1: `git/y0` `1.11.2` → `1.12.1` (minor): k3s `v1.34.1+k3s1` must be there first, and is

    ### Held

    - `k3s` at `v1.35.0+k3s1` (compatibility): longhorn 1.11 is not tested with it, says @·someone in #·12

    ### Quarantined

    - [ ] <!-- gitops-updater:unquarantine helm/apps/bad 2.0.0 --> Let it be proposed again: `helm/apps/bad` `2.0.0` (reverted)

    <details><summary>Left out</summary>

    - `image/z`: ignored by `detection`

    </details>

    2 things could not be read or asked; `gitops-updater detect` lists them.

    Written at 2026-11-21 10:00 UTC.
    ");
    assert!(Action::ticked(&body).is_empty());
    let ticked = Action::ticked(&body.replace("[ ]", "[x]"));
    let id = |stage: &str| format!("u0{stage}");
    let expected = [
        Action::Open { component: "image/x#0".to_owned(), version: "1.12.1".to_owned() },
        Action::Rebuild { update_id: id("Proposed") },
        Action::Retry { update_id: id("Held") },
        Action::Accept { update_id: id("Held") },
        Action::Accept { update_id: id("Merged") },
        Action::Unquarantine { component: "helm/apps/bad".to_owned(), version: "2.0.0".to_owned() },
    ];
    assert_eq!(ticked, expected.into());
}

#[test]
fn a_dashboard_of_any_length_fits() {
    let body = dashboard(1_000);
    assert!(body.chars().count() <= MAX_BODY);
    assert!(body.contains("more; `gitops-updater plan`"));
}

#[rstest]
#[case::another_sign("* [X] <!-- gitops-updater:accept u1 --> x", true)]
#[case::indented("  - [x] <!-- gitops-updater:accept u1 -->", true)]
#[case::not_ticked("- [ ] <!-- gitops-updater:accept u1 -->", false)]
#[case::not_ours("- [x] accept u1", false)]
#[case::too_many("- [x] <!-- gitops-updater:accept u1 u2 -->", false)]
#[case::unknown("- [x] <!-- gitops-updater:destroy u1 -->", false)]
#[case::left_open("- [x] <!-- gitops-updater:accept u1", false)]
#[case::in_a_sentence("see [x] <!-- gitops-updater:accept u1 -->", false)]
fn only_boxes_of_ours_count(#[case] line: &str, #[case] counts: bool) {
    assert_eq!(Action::ticked(line).len(), usize::from(counts));
}
