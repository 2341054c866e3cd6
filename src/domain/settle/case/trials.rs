//! What is tried for an update beside looking: when results count, what a bad one weighs, and which are missing.
//!
//! Everything is tried when the change is applied and has settled, and once more when the window is over. What went well
//! is remembered, so that a pass that comes later need not try it again.

use std::time::Duration;

use super::super::finding::Finding;
use super::super::line::Moment;
use super::super::readiness::reason;
use super::super::settings::Settings;
use super::super::verdict::Reason;
use super::super::world::World;
use super::Case;

/// What a bad result of a trial says of the update that it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// It went well before the merge.
    Ours,
    /// It went as badly before.
    Known,
    /// Nobody could say how it went before.
    Unsure,
    /// It was made for another update.
    Foreign,
}

impl Case {
    /// From when on results count now; `None` while nothing is to be tried.
    fn tried_since(&self, world: &World, settings: &Settings) -> Option<Moment> {
        let component = &self.update.component;
        let begins = self.settled_from(world)?.after(settings.settle(component));
        // The window is time that somebody looked.
        let unwatched = Duration::from_secs(self.remembered.unwatched);
        let ends = begins.after(settings.window(component, &self.update.kind).saturating_add(unwatched));
        if world.now() < begins {
            return None;
        }
        Some(if world.now() < ends { begins } else { ends })
    }

    /// Names of what has not gone well since it counts; `None` while nothing is to be tried.
    pub(in crate::domain::settle) fn wanted(&self, world: &World, settings: &Settings) -> Option<Vec<&str>> {
        if !self.held.is_empty() || self.remembered.held || self.update.trials.is_empty() {
            return None;
        }
        let since = world.wall_at(self.tried_since(world, settings)?);
        let went_well = |name: &str| self.remembered.tried.get(name).is_some_and(|at| *at >= since);
        Some(self.update.trials.keys().map(String::as_str).filter(|name| !went_well(name)).collect())
    }

    /// Remembers what went well. The first result that counts is kept: one more of the same is no news.
    pub(super) fn note_trials(&mut self, world: &World, settings: &Settings) {
        let since = self.tried_since(world, settings);
        for name in self.update.trials.keys() {
            let Some((at, result)) = world.probe(name) else { continue };
            if result.ok != Some(true) {
                self.remembered.tried.remove(name);
                continue;
            }
            let Some(since) = since.filter(|since| at >= *since) else { continue };
            let since = world.wall_at(since);
            if self.remembered.tried.get(name).is_none_or(|known| *known < since) {
                self.remembered.tried.insert(name.clone(), world.wall_at(at));
            }
        }
    }

    /// What was not seen to go well at the end of the window; what did not before the merge need not.
    pub(super) fn not_tried(&self, world: &World, settings: &Settings) -> Option<Reason> {
        let missing = self.wanted(world, settings)?;
        let missing = missing.into_iter().filter(|name| self.update.trials.get(*name) != Some(&Some(false)));
        let told = missing.map(|name| {
            let object = Some(format!("Probe/{name}"));
            match world.probe(name) {
                Some((_, result)) if result.ok.is_none() => {
                    let text = format!("`{name}` could not be tried: {}", result.detail);
                    (0, reason("trial_not_observed", object, text))
                }
                None => {
                    let text = format!("`{name}` was not tried since everything is applied");
                    (1, reason("trial_not_observed", object, text))
                }
                Some((_, result)) if result.ok == Some(false) => {
                    let text = format!("`{name}` does not go well: {}", result.detail);
                    (0, reason("trial_failing", object, text))
                }
                Some(_) => {
                    let text = format!("the window is over; `{name}` is tried once more");
                    (2, reason("trial_pending", object, text))
                }
            }
        });
        told.min_by_key(|(rank, _)| *rank).map(|(_, why)| why)
    }

    /// What a finding says of this update, where it is a bad result of a trial that was made for an update.
    pub(super) fn blame(&self, finding: &Finding) -> Option<Blame> {
        if finding.subject.kind != "Probe" {
            return None;
        }
        let name = finding.subject.name.as_str();
        let trials = &self.update.trials;
        match trials.get(name).or_else(|| trials.get(&format!("probe/{name}"))) {
            Some(Some(true)) => Some(Blame::Ours),
            Some(Some(false)) => Some(Blame::Known),
            Some(None) => Some(Blame::Unsure),
            // A volume belongs to one update.
            None => (finding.check == "storage_probe" && name.contains('/')).then_some(Blame::Foreign),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use jiff::Timestamp;
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::domain::settle::health::{HealthSettings, checks};
    use crate::domain::settle::judge::Judge;
    use crate::domain::settle::line::Moment;
    use crate::domain::settle::memory::Memory;
    use crate::domain::settle::recording::read;
    use crate::domain::settle::settings::{Settings, Windows};
    use crate::domain::settle::verdict::{Action, Judgement, Verdict};

    const BASE: &str = "1111111111111111111111111111111111111111";
    const MERGE: &str = "2222222222222222222222222222222222222222";
    const STARTED: &str = "2026-11-21T00:00:00Z";

    /// Everything is applied after 2 s: results count from 3 s on, and the window is over after 9 s.
    struct Stage {
        judge: Judge,
        said: Vec<Judgement>,
    }

    fn settings() -> Settings {
        Settings {
            sample: Duration::from_secs(1),
            settle: Duration::from_secs(1),
            windows: Windows::all(Duration::from_secs(6)),
            good: 3,
            cap: Duration::from_secs(60),
            ..Settings::default()
        }
    }

    fn objects(commit: &str, version: &str) -> [Value; 2] {
        let ready =
            json!([{"type": "Ready", "status": "True", "reason": "Succeeded", "observedGeneration": 1}]);
        [
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": "apps", "namespace": "flux-system", "uid": "k", "generation": 1},
                "spec": {"path": "./apps", "sourceRef": {"kind": "GitRepository", "name": "flux-system"}},
                "status": {"observedGeneration": 1, "conditions": ready,
                    "lastAppliedRevision": format!("main@sha1:{commit}"), "lastAttemptedRevision": format!("main@sha1:{commit}")}}),
            json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": {"name": "shop", "namespace": "apps", "uid": "h", "generation": 1, "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
                "spec": {"chart": {"spec": {"chart": "shop", "version": version}}},
                "status": {"observedGeneration": 1, "conditions": ready, "lastAttemptedRevision": version,
                    "history": [{"chartVersion": version, "status": "deployed", "version": 1}]}}),
        ]
    }

    impl Stage {
        fn new(trials: Value, memory: Memory) -> Self {
            let judge =
                Judge::new(settings(), checks(HealthSettings::default()), Timestamp::UNIX_EPOCH, memory);
            let mut stage = Self { judge, said: Vec::new() };
            let watching = ["GitRepository", "Kustomization", "HelmRelease", "Pod", "Deployment"];
            stage.tell(0.0, json!({"header": {"started_at": STARTED, "watching": watching}}));
            stage.tell(0.0, json!({"commit": {"id": BASE, "files": ["apps/x.yaml"]}}));
            for object in objects(BASE, "1.0.0") {
                stage.tell(0.0, json!({"type": "ADDED", "object": object}));
            }
            stage.tell(1.0, json!({"commit": {"id": MERGE, "parents": [BASE], "files": ["apps/x.yaml"]}}));
            stage.tell(
                1.0,
                json!({"update": {"id": "u", "component": "helm/apps/shop", "kind": "helm", "from": "1.0.0",
                "to": "1.0.1", "base": BASE, "commit": MERGE, "files": ["apps/x.yaml"], "trials": trials}}),
            );
            for object in objects(MERGE, "1.0.1") {
                stage.tell(2.0, json!({"type": "MODIFIED", "object": object}));
            }
            stage
        }

        fn tell(&mut self, t: f64, mut line: Value) {
            line["t"] = json!(t);
            self.said.extend(self.judge.take(read(line.to_string().as_bytes()).unwrap()));
        }

        fn probe(&mut self, t: f64, name: &str, ok: Value) {
            self.tell(t, json!({"probe": {"name": name, "ok": ok, "detail": "so it went"}}));
        }

        fn until(&mut self, t: f64) -> &Judgement {
            self.said.extend(self.judge.advance(Moment((t * 1000.0) as i64)));
            self.said.extend(self.judge.conclude());
            self.said.last().unwrap()
        }

        fn did(&self, action: Action) -> bool {
            self.said.iter().any(|said| said.action == action)
        }
    }

    /// `+` good, `-` bad, `?` not tried, one each half second from 3.5 s on; a blank is none.
    #[rstest]
    #[case::good_twice("+            +", json!(true), Verdict::Healthy, Action::Complete, "healthy")]
    #[case::good_all_the_time("++++++++++++++", json!(true), Verdict::Healthy, Action::Complete, "healthy")]
    #[case::good_where_nobody_tried_before("+            +", json!(null), Verdict::Healthy, Action::Complete, "healthy")]
    #[case::good_only_at_the_beginning("+", json!(true), Verdict::Unknown, Action::Wait, "trial_pending")]
    #[case::never_tried("", json!(true), Verdict::Unknown, Action::Wait, "trial_not_observed")]
    #[case::could_not_be_tried("?            ?", json!(true), Verdict::Unknown, Action::Wait, "trial_not_observed")]
    #[case::could_not_be_tried_in_the_end("+            ?", json!(true), Verdict::Unknown, Action::Wait, "trial_pending")]
    #[case::bad_and_then_not_tried("-?           ?", json!(true), Verdict::Unknown, Action::Wait, "trial_not_observed")]
    #[case::bad("-", json!(true), Verdict::Regressed, Action::Revert, "storage_probe")]
    #[case::bad_in_the_end("+            -", json!(true), Verdict::Regressed, Action::Revert, "storage_probe")]
    #[case::bad_as_before("-            -", json!(false), Verdict::Healthy, Action::Complete, "healthy")]
    #[case::bad_before_and_not_tried("", json!(false), Verdict::Healthy, Action::Complete, "healthy")]
    #[case::bad_and_nobody_tried_before("-            -", json!(null), Verdict::Inconclusive, Action::Wait, "storage_probe")]
    #[case::in_turn("+ - + - + - + -", json!(true), Verdict::Inconclusive, Action::Hold, "flapping")]
    fn what_is_tried_decides(
        #[case] results: &str,
        #[case] before: Value,
        #[case] verdict: Verdict,
        #[case] action: Action,
        #[case] code: &str,
    ) {
        let mut stage = Stage::new(json!({"storage/u": before}), Memory::default());
        for (at, result) in results.chars().enumerate() {
            let ok = match result {
                '+' => json!(true),
                '-' => json!(false),
                '?' => json!(null),
                _ => continue,
            };
            stage.probe(3.5 + at as f64 / 2.0, "storage/u", ok);
        }
        let last = stage.until(14.0);
        let first = last.reasons.first().map(|reason| reason.code.as_str());
        assert_eq!((last.verdict, last.action, first), (verdict, action, Some(code)), "{last:?}");
    }

    #[rstest]
    #[case::not_tried("?", json!(true))]
    #[case::nobody_knows_how_it_was("-", json!(null))]
    fn what_is_not_proven_is_held_until_it_is(#[case] result: &str, #[case] before: Value) {
        let mut stage = Stage::new(json!({"network/dns": before}), Memory::default());
        stage.probe(4.0, "network/dns", if result == "-" { json!(false) } else { json!(null) });
        let held = stage.until(70.0);
        assert!(held.action == Action::Hold && held.clears_itself, "{held:?}");
        assert!(!stage.did(Action::Revert) && !stage.did(Action::Complete));
        stage.probe(71.0, "network/dns", json!(true));
        assert_eq!(stage.until(80.0).action, Action::Complete);
    }

    #[test]
    fn volume_of_another_update_decides_nothing() {
        let mut stage = Stage::new(json!({"storage/u": true}), Memory::default());
        for t in [4.0, 10.0] {
            stage.probe(t, "storage/other", json!(false));
            stage.probe(t, "storage/u", json!(true));
        }
        assert_eq!(stage.until(14.0).action, Action::Complete);
    }

    #[test]
    fn it_is_tried_when_it_has_settled_and_again_when_the_window_is_over() {
        let mut stage = Stage::new(json!({"storage/u": true, "probe/shop": true}), Memory::default());
        let both = Some(vec!["probe/shop", "storage/u"]);
        stage.until(2.5);
        assert_eq!(stage.judge.wants_tried("u"), None, "it may still restart");
        stage.until(3.2);
        assert_eq!(stage.judge.wants_tried("u"), both);
        stage.probe(3.5, "storage/u", json!(true));
        stage.probe(3.5, "probe/shop", json!(false));
        stage.until(4.2);
        assert_eq!(stage.judge.wants_tried("u"), Some(vec!["probe/shop"]));
        stage.probe(4.5, "probe/shop", json!(true));
        stage.until(8.8);
        assert_eq!(stage.judge.wants_tried("u"), Some(vec![]));
        stage.until(9.2);
        assert_eq!(stage.judge.wants_tried("u"), both);
        stage.tell(9.3, json!({"view": "lost"}));
        stage.until(9.4);
        assert_eq!(stage.judge.wants_tried("u"), None, "nothing is learned in the dark");
    }

    #[test]
    fn next_pass_knows_what_went_well() {
        let mut stage = Stage::new(json!({"storage/u": true}), Memory::default());
        stage.probe(4.0, "storage/u", json!(true));
        stage.until(5.0);
        let memory = stage.judge.memory();
        let tried: BTreeSet<&str> = memory.updates["u"].tried.keys().map(String::as_str).collect();
        assert_eq!(tried, BTreeSet::from(["storage/u"]));
        let judge = Judge::new(settings(), checks(HealthSettings::default()), Timestamp::UNIX_EPOCH, memory);
        let mut next = Stage { judge, said: Vec::new() };
        let watching = ["GitRepository", "Kustomization", "HelmRelease", "Pod", "Deployment"];
        next.tell(0.0, json!({"header": {"started_at": "2026-11-21T00:00:05Z", "watching": watching}}));
        for id in [BASE, MERGE] {
            next.tell(0.0, json!({"commit": {"id": id, "files": ["apps/x.yaml"]}}));
        }
        for object in objects(MERGE, "1.0.1") {
            next.tell(0.0, json!({"type": "ADDED", "object": object}));
        }
        next.tell(0.0, json!({"update": {"id": "u", "component": "helm/apps/shop", "kind": "helm", "from": "1.0.0",
            "to": "1.0.1", "base": BASE, "commit": MERGE, "files": ["apps/x.yaml"], "trials": {"storage/u": true}}}));
        next.until(1.0);
        assert_eq!(next.judge.wants_tried("u"), Some(vec![]), "the window is not over");
        next.until(5.0);
        assert_eq!(next.judge.wants_tried("u"), Some(vec!["storage/u"]));
    }
}
