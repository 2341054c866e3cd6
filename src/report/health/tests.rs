//! What people and scripts see.

use insta::assert_snapshot;
use serde_json::Value;

use super::*;
use crate::domain::settle::finding::Category;
use crate::domain::settle::health::Unobserved;
use crate::domain::settle::health::report::{CategoryHealth, Compared, SCHEMA, TriedEntry, TriedResult};
use crate::domain::settle::health::{Comparison, report};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/health.v1.json");

fn finding(
    category: Category,
    subject: (&str, &str, &str),
    severity: Severity,
    reason: &str,
    message: &str,
) -> Finding {
    let (kind, namespace, name) = subject;
    Finding {
        check: "check".to_owned(),
        category,
        subject: Subject { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() },
        reason: reason.to_owned(),
        severity,
        message: message.to_owned(),
    }
}

fn faulted() -> Finding {
    let volume = ("Volume", "longhorn-system", "pvc-0b6ff1e2-8c1d-4d5e-9a31-3f1f7a5a2f10");
    finding(
        Category::Storage,
        volume,
        Severity::Critical,
        "faulted",
        "no replica is usable (claim apps/data)",
    )
}

fn crashing() -> Finding {
    let message = "container app, 12 restarts, last OOMKilled with 137, and it says more than goes into one line of text";
    finding(
        Category::Applications,
        ("Deployment", "apps", "web"),
        Severity::Failing,
        "CrashLoopBackOff",
        message,
    )
}

fn suspended() -> Finding {
    let message = "suspended: what Git says is not applied";
    finding(Category::Flux, ("HelmRelease", "apps", "shop"), Severity::Notice, "Suspended", message)
}

fn health(findings: &[Finding], unobserved: bool) -> HealthReport {
    let not_observed = if unobserved {
        let reason = "may not list it: the account needs `list` and `watch` of it".to_owned();
        ["Volume", "Node.longhorn.io"]
            .map(|what| Unobserved {
                category: Category::Storage,
                what: what.to_owned(),
                reason: reason.clone(),
            })
            .to_vec()
    } else {
        vec![]
    };
    let worst = findings.iter().map(|finding| finding.severity).max();
    let status = match worst {
        Some(Severity::Critical) => Status::Critical,
        Some(Severity::Failing) => Status::Failing,
        _ if unobserved => Status::Unknown,
        _ => Status::Healthy,
    };
    let categories = Category::ALL.map(|category| CategoryHealth {
        category,
        status: Status::Healthy,
        findings: findings.iter().filter(|finding| finding.category == category).cloned().collect(),
    });
    HealthReport {
        health: Health {
            schema: SCHEMA.to_owned(),
            taken_at: "2026-11-21T12:00:00Z".parse().unwrap(),
            status,
            objects: 4120,
            categories: categories.to_vec(),
            not_observed,
            tried: vec![],
            comparison: None,
        },
    }
}

fn text(report: &HealthReport, verbose: bool) -> String {
    let options = RenderOptions { verbose, ..RenderOptions::new(report.health.taken_at) };
    let text = render(report, HealthFormat::Text, &options).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    text
}

#[test]
fn all_well_is_one_line() {
    assert_snapshot!(text(&health(&[], false), false), @"Healthy: nothing is wrong in 4120 objects.");
}

#[test]
fn what_is_wrong_comes_by_category_and_the_worst_first() {
    let report = health(&[faulted(), crashing(), suspended()], false);
    assert_snapshot!(text(&report, false), @r"
    2 things are wrong, 1 critical.
    1 notice with -v.

    Storage
      critical  Volume longhorn-system/pvc-0b6ff1e2-8c1d-4d5e-9a31-3f1f7a5a2f10
                faulted
                no replica is usable (claim apps/data)

    Applications
      failing   Deployment apps/web  CrashLoopBackOff
                container app, 12 restarts, last OOMKilled with 137, and it says
                more than goes into one line of text
    ");
}

#[test]
fn notices_are_shown_on_request() {
    assert_snapshot!(text(&health(&[suspended()], false), true), @r"
    Healthy: nothing is wrong in 4120 objects.

    Flux
      notice    HelmRelease apps/shop  Suspended
                suspended: what Git says is not applied
    ");
}

#[test]
fn what_could_not_be_looked_at_is_never_healthy() {
    assert_snapshot!(text(&health(&[], true), false), @r"
    Nothing that could be looked at is wrong, but not everything could be.

    Not observed
      Volume, Node.longhorn.io
        may not list it: the account needs `list` and `watch` of it
    ");
}

/// Of an account that may read little, all kinds were listed: a screenful of names.
#[test]
fn many_kinds_that_may_not_be_read_are_counted_and_named_with_v() {
    let mut report = health(&[], false);
    report.health.status = Status::Unknown;
    for (category, count) in [(Category::Flux, 10), (Category::Storage, 9), (Category::Network, 1)] {
        report.health.not_observed.extend((0..count).map(|at| Unobserved {
            category,
            what: format!("{}Kind{at}", category.as_str()),
            reason: "grant the account {resources: [kinds], verbs: [get, list, watch]}".to_owned(),
        }));
    }
    report.health.not_observed.push(Unobserved {
        category: Category::Network,
        what: "network/dns".to_owned(),
        reason: "grant the account {resources: [pods], verbs: [create]}".to_owned(),
    });
    let folded = text(&report, false);
    assert_snapshot!(folded, @r"
    Nothing that could be looked at is wrong, but not everything could be.

    Not observed
      20 kinds (-v names them): flux 10, storage 9, network 1
        the API server answered 403: grant the account get, list and watch of these,
        as the component `observe` of deploy/ does
      network/dns
        grant the account {resources: [pods], verbs: [create]}
    ");
    let named = text(&report, true);
    assert!(report.health.not_observed.iter().all(|one| named.contains(&one.what)), "{named}");
}

fn compared() -> HealthReport {
    let mut report = health(&[faulted(), crashing()], false);
    report.health.comparison = Some(Compared {
        baseline: Some("2026-11-21T09:00:00Z".parse().unwrap()),
        findings: Comparison {
            new: vec![crashing()],
            worse: vec![faulted()],
            known: vec![crashing()],
            gone: vec![suspended()],
        },
    });
    report.health.tried = vec![
        TriedEntry {
            name: "storage".to_owned(),
            result: TriedResult::Good,
            detail: "written on n1, read back on n2".to_owned(),
        },
        TriedEntry {
            name: "network/dns".to_owned(),
            result: TriedResult::NotTried,
            detail: "the Pod was not put on a node".to_owned(),
        },
    ];
    report
}

#[test]
fn comparison_shows_only_what_is_new() {
    assert_snapshot!(text(&compared(), false), @r"
    2 things are new or worse since 2026-11-21 09:00 UTC, 1 critical.
    1 as wrong as before, 1 well again.

    Storage
      worse     Volume longhorn-system/pvc-0b6ff1e2-8c1d-4d5e-9a31-3f1f7a5a2f10
                faulted
                no replica is usable (claim apps/data)

    Applications
      failing   Deployment apps/web  CrashLoopBackOff
                container app, 12 restarts, last OOMKilled with 137, and it says
                more than goes into one line of text

    Tried
      good      storage
                written on n1, read back on n2
      not tried network/dns
                the Pod was not put on a node
    ");
}

#[test]
fn markdown_has_one_table() {
    let options = RenderOptions::new(compared().health.taken_at);
    assert_snapshot!(render(&compared(), HealthFormat::Markdown, &options).unwrap(), @r"
    **2 things are new or worse since 2026-11-21 09:00 UTC, 1 critical.**

    1 as wrong as before, 1 well again.

    | category | severity | object | reason | |
    |---|---|---|---|---|
    | storage | worse, critical | `Volume longhorn-system/pvc-0b6ff1e2-8c1d-4d5e-9a31-3f1f7a5a2f10` | `faulted` | no replica is usable \(claim apps/data\) |
    | applications | new, failing | `Deployment apps/web` | `CrashLoopBackOff` | container app, 12 restarts, last OOMKilled with 137, and it says more than goes into one line of text |

    | tried | | |
    |---|---|---|
    | `storage` | good | written on n1, read back on n2 |
    | `network/dns` | not tried | the Pod was not put on a node |
    ");
}

#[test]
fn nothing_of_an_object_is_acted_upon() {
    let mut hostile = crashing();
    hostile.message = "\u{1b}[2J | <script> @everyone".to_owned();
    hostile.subject.name = "a|b".to_owned();
    let report = health(&[hostile], false);
    assert!(!text(&report, false).contains('\u{1b}'));
    let options = RenderOptions::new(report.health.taken_at);
    let markdown = render(&report, HealthFormat::Markdown, &options).unwrap();
    assert!(!markdown.contains("<script>") && !markdown.contains(" @everyone"), "{markdown}");
}

#[test]
fn committed_schema_is_the_one_of_the_code() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == schema(),
        "schema/health.v1.json is out of date: run \
         `cargo test --lib report::health::tests::schema_is_written -- --ignored`"
    );
}

#[test]
#[ignore = "writes schema/health.v1.json"]
fn schema_is_written() {
    std::fs::write(COMMITTED, schema()).unwrap();
}

#[test]
fn json_matches_the_schema_and_is_read_back() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for report in [health(&[], false), health(&[faulted()], true), compared()] {
        let options = RenderOptions::new(report.health.taken_at);
        let json = render(&report, HealthFormat::Json, &options).unwrap();
        let value: Value = serde_json::from_str(&json).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(serde_json::from_str::<report::HealthReport>(&json).unwrap(), report);
        let yaml = render(&report, HealthFormat::Yaml, &options).unwrap();
        assert_eq!(serde_yaml::from_str::<Value>(&yaml).unwrap(), value);
    }
    assert!(!validator.is_valid(&serde_json::json!({"health": {}})));
}
