//! Plans to look at.

use std::collections::BTreeMap;

use crate::domain::component::UpdateType;
use crate::domain::plan::{
    Approval, EditEntry, FactSource, Held, PlanReport, Revert, RevertSafety, SCHEMA, Step, Wave,
};
use crate::domain::problem::Problem;
use crate::domain::report::Repository;

pub(super) fn empty() -> PlanReport {
    PlanReport {
        schema: SCHEMA.to_owned(),
        repository: Repository { path: ".".to_owned(), revision: Some("3f2c1ab".repeat(5)) },
        now: "2026-11-21T12:00:00Z".parse().unwrap(),
        facts: vec![],
        waves: vec![],
        held: vec![],
        diffs: BTreeMap::new(),
        problems: vec![],
    }
}

fn step(component: &str, from: &str, to: &str, update_type: UpdateType) -> Step {
    Step {
        id: format!("{component}@{to}"),
        component: component.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        update_type,
        gate: Approval::Review,
        policy_applied: format!("policy.semver_gates.{}", update_type.as_str()),
        next: false,
        reasons: vec![],
        untested: Vec::new(),
        requires: vec![],
        revert: Revert { safety: RevertSafety::Safe, why: "a revert of the commit is enough".to_owned() },
        edits: vec![EditEntry {
            file: "apps/release.yaml".to_owned(),
            line: 12,
            route: "/spec/chart/spec/version".to_owned(),
            old: from.to_owned(),
            new: to.to_owned(),
        }],
    }
}

/// A campaign with a ladder, a hold and everything hostile that a manifest can carry.
pub(super) fn campaign() -> PlanReport {
    let mut flux = step("flux", "v2.8.8", "v2.9.4", UpdateType::Minor);
    flux.next = true;
    flux.revert = Revert {
        safety: RevertSafety::Conditional,
        why: "only while the CRDs of v2.8.8 serve every stored version".to_owned(),
    };
    let podinfo = Step { next: true, ..step("helm/apps/podinfo", "6.7.0", "6.7.1", UpdateType::Patch) };
    let mut k3s = step("k3s", "v1.33.4+k3s1", "v1.34.2+k3s1", UpdateType::Minor);
    k3s.requires = vec![flux.id.clone()];
    k3s.reasons = vec!["waits until `flux@v2.9.4` is verified".to_owned()];
    k3s.revert =
        Revert { safety: RevertSafety::Unsafe, why: "a node that moved refuses an older k3s".to_owned() };
    let long = step(
        "staging:helm/a-namespace-with-a-long-name/and-a-release-with-a-longer-one",
        "1.2.3",
        "1.3.0",
        UpdateType::Minor,
    );
    let diffs = BTreeMap::from([(
        podinfo.id.clone(),
        "--- a/apps/release.yaml\n+++ b/apps/release.yaml\n@@ -11,3 +11,3 @@\n       chart: podinfo # \u{1b}[31m```\n\
         -      version: 6.7.0\n+      version: 6.7.1\n       sourceRef:\n"
            .to_owned(),
    )]);
    let held = |component: &str| Held {
        component: component.to_owned(),
        from: Some("1.8.2".to_owned()),
        to: Some("1.13.0".to_owned()),
        gate: "compatibility".to_owned(),
        reason: "no order of steps reaches it".to_owned(),
        constraint: Some("longhorn 1.13 needs kubernetes >=1.34".to_owned()),
        policy_applied: Some("rule longhorn".to_owned()),
        until: None,
    };
    PlanReport {
        facts: vec![FactSource {
            fact: "kubernetes".to_owned(),
            value: Some("v1.33.4+k3s1".to_owned()),
            source: "git".to_owned(),
            taken_at: None,
            note: None,
        }],
        waves: vec![
            Wave { number: 1, steps: vec![flux, podinfo] },
            Wave { number: 2, steps: vec![k3s, long] },
        ],
        held: vec![held("longhorn"), held("@everyone/#1 <b>")],
        diffs,
        problems: vec![Problem::in_file("broken.yaml", Some(3), "cannot read it as YAML")],
        ..empty()
    }
}
