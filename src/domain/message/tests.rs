mod dashboard;
mod neutral;
mod proposal;
mod templates;

use super::neutral::BREAK;
use super::*;
use crate::domain::component::UpdateType;
use crate::domain::edit::LeftAlone;
use crate::domain::plan::{Approval, EditEntry, Revert, RevertSafety, Step};

fn step() -> Step {
    Step {
        id: "longhorn@1.12.1".to_owned(),
        component: "longhorn".to_owned(),
        from: "1.11.2".to_owned(),
        to: "1.12.1".to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: "policy.semver_gates.minor".to_owned(),
        next: true,
        reasons: vec!["k3s `v1.34.1+k3s1` must be there first, and is".to_owned()],
        untested: Vec::new(),
        requires: Vec::new(),
        revert: Revert {
            safety: RevertSafety::Unsafe,
            why: "Longhorn cannot go back to 1.11 once its managers have started".to_owned(),
        },
        edits: vec![EditEntry {
            file: "infrastructure/longhorn/release.yaml".to_owned(),
            line: 12,
            route: "/spec/chart/spec/version".to_owned(),
            old: "1.11.2".to_owned(),
            new: "1.12.1".to_owned(),
        }],
    }
}

fn marker(step: &Step) -> Marker {
    Marker {
        update_id: "update-20261121-100000".to_owned(),
        campaign: "campaign-20261121-095000".to_owned(),
        component: step.component.clone(),
        chart: None,
        from: step.from.clone(),
        to: step.to.clone(),
        update_type: step.update_type,
        gate: step.gate,
        policy_applied: step.policy_applied.clone(),
        revert: step.revert.clone(),
        backup_id: Some("backup-20261121-095500".to_owned()),
        base: Some("0f0e0d0c".to_owned()),
    }
}

fn neighbour(component: &str, state: &str, pull_request: Option<u64>) -> Neighbour {
    Neighbour {
        component: component.to_owned(),
        from: "v1.33.4+k3s1".to_owned(),
        to: "v1.34.1+k3s1".to_owned(),
        state: state.to_owned(),
        pull_request,
        why: "longhorn 1.12 needs kubernetes >=1.34".to_owned(),
    }
}

fn written(notes: &str, sections: &[Section], templates: &Templates) -> Written {
    let step = step();
    let marker = marker(&step);
    let proposal = Proposal {
        marker: &marker,
        step: &step,
        name: "Longhorn",
        why: "fixes CVE-2026-12345",
        wave: (2, 5),
        before: &[neighbour("k3s", "verified", Some(7))],
        after: &[neighbour("k3s", "not yet proposed", None)],
        gates: &[GateVerdict {
            gate: "release_age".to_owned(),
            passed: true,
            reason: "released 12 days ago, 3 are asked for".to_owned(),
            policy_applied: "policy.minimum_release_age".to_owned(),
        }],
        left_alone: &[LeftAlone {
            file: "old/values.yaml".to_owned(),
            line: 3,
            text: "1.9.0".to_owned(),
            reason: "it is a copy that says `1.9.0`, not `1.11.2`".to_owned(),
        }],
        advisories: &["CVE-2026-12345".to_owned()],
        breaking: &["The setting `x` of @someone was removed, see #12".to_owned()],
        warnings: &[],
        changelog_url: Some("https://github.com/longhorn/longhorn/releases"),
        releases: &[
            ReleaseNotes {
                version: "1.12.0".to_owned(),
                released_at: Some("2026-09-01T00:00:00Z".parse().unwrap()),
                url: Some("https://github.com/longhorn/longhorn/releases/tag/v1.12.0".to_owned()),
                notes: None,
            },
            ReleaseNotes {
                version: "1.12.1".to_owned(),
                released_at: Some("2026-11-01T00:00:00Z".parse().unwrap()),
                url: Some("https://github.com/longhorn/longhorn/issues/1".to_owned()),
                notes: Some(notes.to_owned()),
            },
        ],
        sections,
        data_backups: &[],
        not_covered: &[],
        last_way: Some(
            "As the last way, restore the volumes. The data for it: `gitops-updater backup restore b-1 --volume NAME`.",
        ),
    };
    proposal.write(templates).unwrap()
}

fn ours() -> Templates {
    Templates::new(Overrides::default()).unwrap()
}

fn seen(text: &str) -> String {
    text.replace(BREAK, "·")
}
