use super::*;
use crate::domain::select::Ignored;
use crate::domain::upstream::FailureClass;
use crate::domain::version::Scheme;
use crate::domain::version::range::Range;

fn chart(current: &str) -> Component {
    Component {
        id: "helm/longhorn-system/longhorn".to_owned(),
        kind: "longhorn".to_owned(),
        name: "longhorn".to_owned(),
        namespace: Some("longhorn-system".to_owned()),
        cluster: None,
        given: Given::Exact(current.to_owned()),
        scheme: Scheme::Semver,
        upstream: Ok(UpstreamRef::HelmChart {
            repository: "https://charts.longhorn.io".to_owned(),
            chart: "longhorn".to_owned(),
        }),
        digest: None,
        managed_elsewhere: None,
        warnings: Vec::new(),
        tag_prefix: None,
        images: Default::default(),
        pins: vec![Pin {
            file: "apps/longhorn.yaml".to_owned(),
            line: 10,
            column: 16,
            document: 0,
            route: "/spec/chart/spec/version".to_owned(),
            span: (120, 125),
            text: current.to_owned(),
            rule: "helm-release".to_owned(),
            applied: true,
            generated: false,
            digest: None,
        }],
    }
}

fn release(version: &str, kube_version: &str) -> Candidate {
    Candidate {
        version: version.to_owned(),
        kube_version: Some(kube_version.to_owned()),
        notes_url: Some(format!("https://example.org/{version}")),
        released_at: Some("2026-07-01T00:00:00Z".parse().unwrap()),
        ..Candidate::default()
    }
}

fn answer(candidates: Vec<Candidate>) -> Answer {
    Answer { candidates, changelog_url: Some("https://example.org/all".to_owned()), ..Answer::default() }
}

#[test]
fn update_carries_what_a_person_needs_to_judge() {
    let mut middle = release("1.8.0", ">=1.25");
    middle.notes = Some("## Breaking changes\n\n- the old API is gone\n\nFixes CVE-2026-12345.".to_owned());
    let answer = answer(vec![release("1.7.2", ">=1.25"), middle, release("2.0.0", " >=1.34\n")]);
    let entry = assess(&chart("1.7.2"), Ok(&answer), &Settings::default());
    insta::assert_snapshot!(serde_json::to_string_pretty(&entry).unwrap(), @r#"
    {
      "kind": "longhorn",
      "name": "longhorn",
      "namespace": "longhorn-system",
      "cluster": null,
      "status": "update_available",
      "reason": null,
      "current_version": "1.7.2",
      "available_version": "2.0.0",
      "resolves_to": null,
      "update_type": "major",
      "security_update": true,
      "security_advisories": [
        "CVE-2026-12345"
      ],
      "breaking_changes": [
        "chart major 1 -> 2",
        "needs Kubernetes >=1.34, was >=1.25",
        "1.8.0: the old API is gone"
      ],
      "changelog_url": "https://example.org/2.0.0",
      "released_at": "2026-07-01T00:00:00Z",
      "warnings": [],
      "deep": null,
      "upstream": {
        "type": "helm",
        "url": "https://charts.longhorn.io",
        "name": "longhorn"
      },
      "pins": [
        {
          "file": "apps/longhorn.yaml",
          "line": 10,
          "column": 16,
          "document": 0,
          "route": "/spec/chart/spec/version",
          "span": [
            120,
            125
          ],
          "text": "1.7.2",
          "rule": "helm-release",
          "applied": true,
          "digest": null
        }
      ]
    }
    "#);
}

#[test]
fn security_is_denied_only_where_every_release_has_notes() {
    for (notes, expected) in [
        ([Some("fixes"), Some("more fixes")], Some(false)),
        ([Some("fixes"), None], None),
        ([Some("fixes"), Some(" \n")], None),
        ([None, None], None),
        ([Some("fixes GHSA-2345-6789-cfgh"), None], Some(true)),
        ([None, Some("see CVE-2026-0001")], Some(true)),
    ] {
        let mut candidates = vec![release("1.7.2", ""), release("1.7.3", ""), release("1.7.4", "")];
        for (candidate, notes) in candidates[1..].iter_mut().zip(notes) {
            candidate.notes = notes.map(str::to_owned);
        }
        candidates[0].notes = Some("CVE-2020-0001 was fixed long ago".to_owned());
        let entry = assess(&chart("1.7.2"), Ok(&answer(candidates)), &Settings::default());
        assert_eq!(entry.security_update, expected, "{notes:?}");
    }
}

#[test]
fn kubernetes_need_is_told_only_where_it_changed() {
    for (before, after, expected) in [
        (Some(">=1.25"), Some(">=1.34"), Some("needs Kubernetes >=1.34, was >=1.25")),
        (Some(">=1.25"), Some(" >=1.25 "), None),
        (None, Some(">=1.34"), Some("needs Kubernetes >=1.34")),
        (Some(">=1.25"), None, None),
    ] {
        let with =
            |need: Option<&str>| Candidate { kube_version: need.map(str::to_owned), ..Candidate::default() };
        let told = kubernetes_need(Some(&with(before)), &with(after));
        assert_eq!(told.as_deref(), expected, "{before:?} to {after:?}");
    }
    assert_eq!(kubernetes_need(None, &release("1.0.0", ">=1.34")), None);
    assert_eq!(quoted(&"x ".repeat(500)).chars().count(), MAX_QUOTED);
    assert_eq!(quoted("a\u{1b}[31m\nb"), "a [31m b");
}

#[test]
fn components_that_are_not_ours_keep_pins_and_version_and_are_not_assessed() {
    let answer = answer(vec![release("1.7.2", ""), release("1.8.0", "")]);
    let ignored = Settings { ignored: Some("by configuration".to_owned()), ..Settings::default() };
    let managed = Component { managed_elsewhere: Some("image automation".to_owned()), ..chart("1.7.2") };
    let unknown = Component { upstream: Err("no source of that name".to_owned()), ..chart("1.7.2") };
    for (component, settings, status, reason) in [
        (&chart("1.7.2"), &ignored, Status::Ignored, "by configuration"),
        (&managed, &Settings::default(), Status::ManagedElsewhere, "image automation"),
        (&managed, &ignored, Status::Ignored, "by configuration"),
        (&unknown, &Settings::default(), Status::Unresolved, "no source of that name"),
    ] {
        assert!(!needs_answer(component, settings));
        let entry = assess(component, Ok(&answer), settings);
        assert_eq!((entry.status, entry.reason.as_deref()), (status, Some(reason)));
        assert_eq!(entry.current_version.as_deref(), Some("1.7.2"));
        assert_eq!(entry.available_version, None);
        assert_eq!(entry.pins.len(), 1);
    }
    assert!(needs_answer(&chart("1.7.2"), &Settings::default()));
}

#[test]
fn failure_of_the_upstream_is_the_reason() {
    let failure = UpstreamFailure {
        class: FailureClass::NotFound,
        message: "cannot read `https://charts.longhorn.io/index.yaml`: 404".to_owned(),
    };
    let entry = assess(&chart("1.7.2"), Err(&failure), &Settings::default());
    assert_eq!(entry.status, Status::Unresolved);
    assert_eq!(entry.reason.as_deref(), Some("cannot read `https://charts.longhorn.io/index.yaml`: 404"));
    assert_eq!(entry.security_update, None);
}

#[test]
fn chart_without_version_resolves_to_the_newest_release() {
    let component = Component { given: Given::Nothing("no version is given".to_owned()), ..chart("") };
    let answer = answer(vec![release("1.7.2", ""), release("1.8.0", ""), release("1.9.0-rc1", "")]);
    let entry = assess(&component, Ok(&answer), &Settings::default());
    assert_eq!(entry.status, Status::NotPinned);
    assert_eq!(entry.current_version, None);
    assert_eq!(entry.resolves_to.as_deref(), Some("1.8.0"));
    assert_eq!(entry.available_version, None);
    assert_eq!(entry.reason.as_deref(), Some("Git does not say which version runs (no version is given)"));

    let branch = Component {
        given: Given::Nothing("branch `main`".to_owned()),
        upstream: Ok(UpstreamRef::GitTags { url: "https://example.org/app.git".to_owned() }),
        ..chart("")
    };
    assert_eq!(assess(&branch, Ok(&answer), &Settings::default()).resolves_to, None);
}

#[test]
fn range_reports_what_it_gives_and_what_lies_outside() {
    let component = Component { given: Given::Range("1.x".to_owned()), ..chart("") };
    let answer =
        answer(vec![release("1.7.2", ">=1.25"), release("1.8.0", ">=1.25"), release("2.0.0", ">=1.25")]);
    let entry = assess(&component, Ok(&answer), &Settings::default());
    assert_eq!(entry.status, Status::NotPinned);
    assert_eq!(entry.current_version.as_deref(), Some("1.x"));
    assert_eq!(entry.resolves_to.as_deref(), Some("1.8.0"));
    assert_eq!(entry.available_version.as_deref(), Some("2.0.0"));
    assert_eq!(entry.update_type, UpdateType::Major);
    assert_eq!(entry.breaking_changes, ["chart major 1 -> 2"]);
}

#[test]
fn settings_and_component_both_shape_the_wish() {
    let answer =
        answer(vec![release("app-1.7.2", ""), release("app-1.8.0", ""), release("app-2.0.0-rc1", "")]);
    let component = Component { tag_prefix: Some("app-".to_owned()), ..chart("1.7.2") };
    let mut settings = Settings::default();
    let target = |component: &Component, settings: &Settings| {
        assess(component, Ok(&answer), settings).available_version
    };
    assert_eq!(target(&component, &settings).as_deref(), Some("1.8.0"));
    settings.wish.ignored = vec![Ignored::parse("1.8.x").unwrap()];
    assert_eq!(target(&component, &settings), None);
    settings.wish.prereleases = true;
    assert_eq!(target(&component, &settings).as_deref(), Some("2.0.0-rc1"));
    settings.wish.allowed = Some(Range::parse("1.x").unwrap());
    assert_eq!(target(&component, &settings), None);
}

#[test]
fn changelog_of_the_settings_wins_and_that_of_the_upstream_is_last() {
    let mut plain = release("1.8.0", "");
    plain.notes_url = None;
    let answer = answer(vec![release("1.7.2", ""), plain]);
    let entry = assess(&chart("1.7.2"), Ok(&answer), &Settings::default());
    assert_eq!(entry.changelog_url.as_deref(), Some("https://example.org/all"));
    let settings =
        Settings { changelog_url: Some("https://example.org/mine".to_owned()), ..Settings::default() };
    let entry = assess(&chart("1.7.2"), Ok(&answer), &settings);
    assert_eq!(entry.changelog_url.as_deref(), Some("https://example.org/mine"));
}

/// The notes of `+k3s2` repeat what those of `+k3s1` say, and the update was told to fix what was fixed already.
#[test]
fn later_build_of_what_is_installed_fixes_only_what_its_notes_say_anew() {
    let k3s = |current: &str| Component {
        id: "k3s".to_owned(),
        kind: "k3s".to_owned(),
        scheme: Scheme::K3s,
        upstream: Ok(UpstreamRef::K3s { channel: None }),
        ..chart(current)
    };
    let build = |version: &str, notes: &str| Candidate {
        version: version.to_owned(),
        notes: Some(notes.to_owned()),
        ..Candidate::default()
    };
    let first = build("v1.33.4+k3s1", "Fixes CVE-2026-10001.");
    let found = |current: &str, candidates: Vec<Candidate>| {
        let entry = assess(&k3s(current), Ok(&answer(candidates)), &Settings::default());
        (entry.security_update, entry.security_advisories)
    };
    let again = build("v1.33.4+k3s2", "Fixes CVE-2026-10001. Rebuilt.");
    assert_eq!(found("v1.33.4+k3s1", vec![first.clone(), again.clone()]), (Some(false), vec![]));
    let more = build("v1.33.4+k3s2", "Fixes CVE-2026-10001 and CVE-2026-10002.");
    let (is_security, names) = found("v1.33.4+k3s1", vec![first.clone(), more]);
    assert_eq!((is_security, names), (Some(true), vec!["CVE-2026-10002".to_owned()]));
    // From an older release both count.
    let older = build("v1.33.3+k3s1", "Nothing.");
    assert_eq!(found("v1.33.3+k3s1", vec![older, first, again]).1, ["CVE-2026-10001"]);
}
