//! What the cluster was in the middle of when its baseline was taken.

use rstest::rstest;

use super::*;
use crate::domain::settle::finding::{Category, Finding, ROLLOUT, Severity, Subject};
use crate::domain::settle::memory::Baseline;

fn finding(kind: &str, check: &str, severity: Severity, reason: &str) -> Finding {
    let (category, namespace) = match kind {
        "Kustomization" => (Category::Flux, "flux-system"),
        _ => (Category::Applications, "apps"),
    };
    Finding {
        check: check.to_owned(),
        category,
        subject: Subject { kind: kind.to_owned(), namespace: namespace.to_owned(), name: "web".to_owned() },
        reason: reason.to_owned(),
        severity,
        message: String::new(),
    }
}

fn with_baseline(findings: Vec<Finding>) -> Option<Remembered> {
    Some(Remembered {
        baseline: Some(Baseline { findings, ..Baseline::default() }),
        merged_at: Some("2026-11-21T00:00:01Z".parse().unwrap()),
        ..Remembered::default()
    })
}

/// Flux applies the merge and finds its workload unhealthy, again and again.
fn unhealthy() -> Value {
    let mut object = kustomization(MERGE);
    object["status"]["lastAppliedRevision"] = json!(format!("main@sha1:{BASE}"));
    object["status"]["conditions"][0] = json!({"type": "Ready", "status": "False", "reason": "HealthCheckFailed",
        "message": "timeout waiting for Deployment/apps/web", "observedGeneration": 1});
    object
}

fn played(findings: Vec<Finding>) -> Vec<Judgement> {
    let mut judge = judge(with_baseline(findings));
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    said.extend(tell(&mut judge, 2.0, json!({"type": "MODIFIED", "object": unhealthy()})));
    said.extend(tell(&mut judge, 2.0, json!({"type": "MODIFIED", "object": deployment(1, true)})));
    said.extend(judge.advance(Moment(3_600_000)));
    said
}

/// A Kustomization that waited for another one, or was at work, while the baseline was taken hid every later failure:
/// nothing was ever decided.
#[rstest]
#[case::nothing_was_wrong(vec![], Action::Revert)]
#[case::it_waited_for_another(
    vec![finding("Kustomization", "flux_ready", Severity::Notice, "DependencyNotReady")],
    Action::Revert
)]
#[case::it_was_at_work(vec![finding("Kustomization", "flux_ready", Severity::Failing, "Progressing")], Action::Revert)]
#[case::it_was_unhealthy(vec![finding("Kustomization", "flux_ready", Severity::Failing, "HealthCheckFailed")], Action::Wait)]
#[case::it_was_at_work_on_what_was_unhealthy(
    vec![
        finding("Kustomization", "flux_ready", Severity::Failing, "Progressing"),
        finding("Deployment", ROLLOUT, Severity::Failing, "Unavailable"),
    ],
    Action::Wait
)]
fn failure_after_the_merge_counts_where_there_was_none_before(
    #[case] before: Vec<Finding>,
    #[case] expected: Action,
) {
    let said = played(before);
    assert_eq!(said.last().unwrap().action, expected, "{said:?}");
}

/// A workload that was on its way when the baseline was taken, of which nobody can say that it would have got there.
#[test]
fn rollout_that_was_under_way_before_neither_excuses_nor_convicts() {
    let moving = finding("Deployment", ROLLOUT, Severity::Notice, "Unavailable");
    let mut judge = judge(with_baseline(vec![moving]));
    added(&mut judge, &kustomization(MERGE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    said.extend(judge.advance(Moment(3_000)));
    said.extend(tell(&mut judge, 3.5, json!({"type": "MODIFIED", "object": deployment(0, true)})));
    said.extend(judge.advance(Moment(10_000_000)));
    assert!(said.iter().all(|said| !matches!(said.action, Action::Revert | Action::Complete)), "{said:?}");
    assert_eq!(said.last().unwrap().action, Action::Hold, "{said:?}");
}

#[test]
fn baseline_tells_what_moves_from_what_fails() {
    let mut judge = judge(None);
    added(&mut judge, &deployment(1, true));
    let baseline = judge.baseline();
    let told: Vec<(&str, Severity)> =
        baseline.findings.iter().map(|finding| (finding.check.as_str(), finding.severity)).collect();
    assert_eq!(told, [(ROLLOUT, Severity::Notice)]);

    judge.check_by(Box::new(|_| vec![finding("Deployment", ROLLOUT, Severity::Failing, "Unavailable")]));
    assert_eq!(judge.baseline().findings[0].severity, Severity::Failing);
}

/// What had waited for too long before the merge, and still does, is nothing new; what came of it is what nobody can lay
/// to anybody.
#[rstest]
#[case::still_waits("SourceNotReady", "SourceNotReady", Action::Complete)]
#[case::still_in_progress("Progressing", "Progressing", Action::Complete)]
#[case::failed_since("Progressing", "BuildFailed", Action::Hold)]
#[case::waited_and_failed_since("SourceNotReady", "InstallFailed", Action::Hold)]
#[case::failed_before("BuildFailed", "BuildFailed", Action::Complete)]
#[case::was_well("", "BuildFailed", Action::Revert)]
fn what_waited_for_long_is_known(#[case] before: &str, #[case] after: &str, #[case] expected: Action) {
    let failing = |reason: &str| match reason {
        "" => Vec::new(),
        reason => vec![finding("Kustomization", "flux_ready", Severity::Failing, reason)],
    };
    let mut judge = judge(with_baseline(failing(before)));
    let now = failing(after);
    judge.check_by(Box::new(move |_| now.clone()));
    added(&mut judge, &kustomization(MERGE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    said.extend(judge.advance(Moment(10_000_000)));
    assert_eq!(said.last().unwrap().action, expected, "{said:?}");
}
