//! Whether a HelmRelease runs a chart version, or is as it should be where a version says nothing.

use std::time::Duration;

use super::super::kind::Kind;
use super::super::object::{Condition, CrossReference, Detail, HelmRelease, Object, title};
use super::super::radius::{or, same_version};
use super::super::world::World;
use super::source::others_fail;
use super::time::duration;
use super::{Failure, State, Then, bounded, reason, snake, speaks_of, unseen};

/// Whether a release that is made of a chart in a Git repository is as it should be: its version says nothing.
pub(in crate::domain::settle) fn made(world: &World, (namespace, name): (&str, &str)) -> State {
    let name_of = title(Kind::HelmRelease, namespace, name);
    if let Some(unseen) = unseen(world, Kind::HelmRelease) {
        return State::Unseen(unseen);
    }
    let Some(object) = world.get(Kind::HelmRelease, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    if matches!(&object.detail, Detail::HelmRelease(detail) if detail.suspend) {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    match object.condition("Ready").filter(|ready| speaks_of(ready, object)) {
        Some(ready) if ready.is_true() && object.observed_generation == object.meta.generation => {
            State::Applied
        }
        Some(ready) if ready.is_false() => {
            let text = format!("{}: {}", ready.reason, bounded(&ready.message));
            State::Pending(reason("not_ready", Some(name_of), text))
        }
        _ => State::Pending(reason("in_progress", Some(name_of), "is being reconciled")),
    }
}

/// Whether a release runs a chart version.
pub(in crate::domain::settle) fn release(
    world: &World,
    (namespace, name): (&str, &str),
    version: &str,
) -> State {
    let name_of = title(Kind::HelmRelease, namespace, name);
    if let Some(unseen) = unseen(world, Kind::HelmRelease) {
        return State::Unseen(unseen);
    }
    let Some(object) = world.get(Kind::HelmRelease, namespace, name) else {
        return State::Pending(reason("not_found", Some(name_of), "is not there"));
    };
    let Detail::HelmRelease(detail) = &object.detail else {
        return State::Pending(reason("not_found", Some(name_of), "cannot be read"));
    };
    if detail.suspend {
        return State::Suspended(reason("suspended", Some(name_of), "is suspended"));
    }
    let source = ChartSource::of(world, object, detail);
    if !source.wants(version) {
        return State::Pending(reason(
            "not_applied",
            Some(name_of),
            format!("does not ask for {version} yet"),
        ));
    }
    if let Some(failed) = source.failure(version) {
        return State::Failing(failed);
    }
    let current = |condition: &&Condition| speaks_of(condition, object);
    let ready = object.condition("Ready").filter(current);
    let newest = detail.history.first();
    if ready.is_some_and(Condition::is_true)
        && object.observed_generation == object.meta.generation
        && newest
            .is_some_and(|newest| newest.status == "deployed" && source.is_of(&newest.chart_version, version))
    {
        return State::Applied;
    }
    let Some(failed) = ready.filter(|ready| ready.is_false()) else {
        let text = match newest {
            Some(newest) if !source.is_of(&newest.chart_version, version) => {
                format!("still runs chart {}", newest.chart_version)
            }
            _ => "is being reconciled".to_owned(),
        };
        let code = if ready.is_some() { "in_progress" } else { "not_applied" };
        return State::Pending(reason(code, Some(name_of), text));
    };
    // With a chartRef the generation does not move with the version: a failure may be of the old one.
    let tried = source.is_of(&detail.last_attempted_revision, version);
    if matches!(
        failed.reason.as_str(),
        "SourceNotReady" | "DependencyNotReady" | "ArtifactFailed" | "Progressing"
    ) || !tried
    {
        return State::Pending(reason(
            "not_applied",
            Some(name_of),
            format!("{}: {}", failed.reason, bounded(&failed.message)),
        ));
    }
    let stored = detail.history.iter().any(|release| {
        source.is_of(&release.chart_version, version)
            && matches!(release.status.as_str(), "failed" | "uninstalled")
    });
    let within = duration(&detail.timeout, "");
    let then = if object.condition("Stalled").filter(current).is_some_and(Condition::is_true) {
        Then::GivesUp
    } else {
        match detail.retries {
            // What fails before a release is stored is not counted, and tried again for ever.
            Some(retries) if stored && detail.failures <= retries => Then::TriesAgain,
            // It may also have been interrupted and never say so.
            Some(_) if stored => Then::Ends { within },
            _ => Then::ForEver { within: Duration::ZERO, health: false },
        }
    };
    // Rolled back or uninstalled after it, the release says what was done; that it failed stands beside it
    // (helm-controller, `Released`, `TestSuccess` where only its tests did, and `Remediated`).
    let is_remediated = object.condition("Remediated").filter(current).is_some_and(Condition::is_true);
    let is_false = |of: &str| object.condition(of).filter(current).filter(|condition| condition.is_false());
    let first = is_false("Released").or_else(|| is_false("TestSuccess"));
    let cause = first.filter(|_| is_remediated).unwrap_or(failed);
    let mut text = format!("{} at chart {version}: {}", cause.reason, bounded(&cause.message));
    if cause.reason != failed.reason {
        text = format!("{text}; then {}", failed.reason);
    }
    State::Failing(Failure { reason: reason(&snake(&cause.reason), Some(name_of), text), then, at: None })
}

/// Where a release has its chart from.
struct ChartSource<'w> {
    world: &'w World,
    detail: &'w HelmRelease,
    /// The object that holds the chart, where it is seen.
    source: Option<&'w Object>,
}

impl<'w> ChartSource<'w> {
    fn of(world: &'w World, release: &'w Object, detail: &'w HelmRelease) -> Self {
        let referred = |reference: &CrossReference| {
            let kind = Kind::ALL.iter().copied().find(|kind| kind.name() == reference.kind)?;
            world.get(kind, or(&reference.namespace, &release.meta.namespace), &reference.name)
        };
        let source = match &detail.chart_ref {
            Some(reference) => referred(reference),
            None => detail
                .helm_chart
                .split_once('/')
                .and_then(|(namespace, name)| world.get(Kind::HelmChart, namespace, name)),
        };
        Self { world, detail, source }
    }

    fn wanted(&self) -> Option<&str> {
        match self.source.map(|source| &source.detail) {
            Some(Detail::Source(source)) => Some(source.wants.as_str()),
            _ => None,
        }
    }

    /// Whether the version is asked for: what Git says has arrived.
    fn wants(&self, version: &str) -> bool {
        if self.detail.chart_ref.is_none() {
            return same_version(&self.detail.version, version);
        }
        // A digest beside the tag takes its place; the history tells then.
        self.wanted().is_none_or(|wanted| wanted.contains(':') || same_version(wanted, version))
    }

    /// Whether a chart version in the status is the wanted one; from an OCIRepository it carries a digest.
    fn is_of(&self, chart_version: &str, version: &str) -> bool {
        if same_version(chart_version, version) {
            return true;
        }
        if self.detail.chart_ref.is_none() {
            return false;
        }
        chart_version.rsplit_once('+').is_some_and(|(of, digest)| {
            same_version(of, version)
                && digest.len() >= 12
                && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }

    /// The version cannot be had.
    fn failure(&self, version: &str) -> Option<Failure> {
        let source = self.source?;
        self.wanted().filter(|wanted| same_version(wanted, version))?;
        let ready = source.condition("Ready").filter(|ready| ready.is_false() && speaks_of(ready, source))?;
        let stalled = source
            .condition("Stalled")
            .is_some_and(|stalled| stalled.is_true() && speaks_of(stalled, source));
        if !stalled && (ready.reason == "Progressing" || others_fail(self.world, source)) {
            return None;
        }
        Some(Failure {
            reason: reason(
                "chart_not_available",
                Some(source.title()),
                format!("{}: {}", ready.reason, bounded(&ready.message)),
            ),
            then: if stalled {
                Then::GivesUp
            } else {
                Then::ForEver { within: Duration::ZERO, health: false }
            },
            at: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::domain::settle::recording::read;

    /// Type and reason of the condition that says what failed first.
    const RELEASED: (&str, &str) = ("Released", "UpgradeFailed");
    const TESTED: (&str, &str) = ("TestSuccess", "TestFailed");

    /// What failed is told, whatever was done about it since.
    #[rstest]
    #[case::not_remediated(
        "UpgradeFailed",
        RELEASED,
        None,
        "upgrade_failed",
        "UpgradeFailed at chart 1.1.0: it crashes"
    )]
    #[case::rolled_back(
        "RollbackSucceeded",
        RELEASED,
        Some("True"),
        "upgrade_failed",
        "UpgradeFailed at chart 1.1.0: it crashes; then RollbackSucceeded"
    )]
    #[case::uninstalled(
        "UninstallSucceeded",
        RELEASED,
        Some("True"),
        "upgrade_failed",
        "UpgradeFailed at chart 1.1.0: it crashes; then UninstallSucceeded"
    )]
    #[case::tests_failed("TestFailed", TESTED, None, "test_failed", "TestFailed at chart 1.1.0: it crashes")]
    #[case::rolled_back_after_its_tests_failed(
        "RollbackSucceeded",
        TESTED,
        Some("True"),
        "test_failed",
        "TestFailed at chart 1.1.0: it crashes; then RollbackSucceeded"
    )]
    #[case::cannot_be_rolled_back(
        "RollbackFailed",
        RELEASED,
        Some("False"),
        "rollback_failed",
        "RollbackFailed at chart 1.1.0: done"
    )]
    fn a_failed_release_says(
        #[case] ready: &str,
        #[case] (first, why): (&str, &str),
        #[case] remediated: Option<&str>,
        #[case] code: &str,
        #[case] text: &str,
    ) {
        let condition = |of: &str, status: &str, reason: &str, message: &str| json!({"type": of, "status": status, "reason": reason, "message": message, "observedGeneration": 2});
        let mut conditions = vec![
            condition("Ready", "False", ready, if remediated.is_some() { "done" } else { "it crashes" }),
            condition(first, "False", why, "it crashes"),
            condition("Stalled", "True", "RetriesExceeded", ""),
        ];
        if (first, why) == TESTED {
            conditions.push(condition("Released", "True", "UpgradeSucceeded", "it is there"));
        }
        conditions.extend(remediated.map(|status| condition("Remediated", status, ready, "done")));
        let mut world = World::new(Timestamp::UNIX_EPOCH);
        let header =
            json!({"t": 0, "header": {"started_at": "2026-11-21T00:00:00Z", "watching": ["HelmRelease"]}});
        world.take(read(header.to_string().as_bytes()).unwrap());
        let line = json!({"t": 0, "type": "ADDED", "object": {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "web", "namespace": "apps", "uid": "u", "generation": 2},
            "spec": {"chart": {"spec": {"chart": "web", "version": "1.1.0"}}},
            "status": {"observedGeneration": 2, "lastAttemptedRevision": "1.1.0", "conditions": conditions,
                "history": [{"chartVersion": "1.1.0", "status": "failed", "version": 2}]}}});
        world.take(read(line.to_string().as_bytes()).unwrap());
        let State::Failing(failure) = release(&world, ("apps", "web"), "1.1.0") else {
            panic!("it has failed")
        };
        assert_eq!((failure.reason.code.as_str(), failure.reason.text.as_str()), (code, text));
    }
}
