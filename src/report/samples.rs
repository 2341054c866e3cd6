//! Reports for the tests: from nothing at all to a hostile repository.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::component::UpdateType;
use crate::domain::problem::{Category, Problem};
use crate::domain::report::{
    DeepChecks, DigestEntry, Entry, PinEntry, Report, Repository, SCHEMA, Status, Summary, UpdateReport,
    UpstreamEntry,
};

pub(super) fn now() -> Timestamp {
    "2026-11-21T03:12:00Z".parse().expect("a time")
}

pub(super) fn options() -> super::RenderOptions {
    super::RenderOptions::new(now())
}

pub(super) fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("empty", empty()),
        ("quiet", quiet()),
        ("twelve", twelve()),
        ("large", large()),
        ("hostile", hostile()),
    ]
}

/// A folder without anything to update.
pub(super) fn empty() -> Report {
    report(Vec::new(), Vec::new(), 3)
}

/// Everything is up to date.
pub(super) fn quiet() -> Report {
    let components = ["helm/monitoring/grafana", "helm/traefik/traefik", "k3s"]
        .map(|id| (id.to_owned(), entry(id, "1.2.3", Status::UpToDate)));
    report(components.to_vec(), Vec::new(), 41)
}

/// Every status, every mark.
pub(super) fn twelve() -> Report {
    let mut components = Vec::new();
    let mut add = |id: &str, entry: Entry| components.push((id.to_owned(), entry));

    let mut k3s = update("k3s", "v1.33.4+k3s1", "v1.33.6+k3s1", UpdateType::Patch, "2026-11-12T18:00:00Z");
    k3s.changelog_url = Some("https://github.com/k3s-io/k3s/releases/tag/v1.33.6%2Bk3s1".to_owned());
    k3s.pins.push(PinEntry {
        file: "ansible/group_vars/all.yml".to_owned(),
        line: 3,
        route: "/k3s_version".to_owned(),
        rule: "k3s-ansible".to_owned(),
        applied: false,
        ..k3s.pins[0].clone()
    });
    add("k3s", k3s);

    let mut flux = update("flux", "v2.6.0", "v2.7.1", UpdateType::Minor, "2026-10-02T09:00:00Z");
    flux.security_update = Some(true);
    flux.security_advisories = vec!["CVE-2026-31337".to_owned(), "GHSA-23cf-ghjm-pqrv".to_owned()];
    flux.changelog_url = Some("https://github.com/fluxcd/flux2/releases/tag/v2.7.1".to_owned());
    add("flux", flux);

    let mut longhorn = update("longhorn", "1.7.2", "1.12.1", UpdateType::Minor, "2026-08-19T07:00:00Z");
    longhorn.breaking_changes = vec![
        "longhorn.io/v1beta1 API: The v1beta1 Longhorn API version has been removed.".to_owned(),
        "V2 Backing Image Removal: V2 Backing Images are removed in Longhorn v1.12.0.".to_owned(),
    ];
    longhorn.namespace = Some("longhorn-system".to_owned());
    add("longhorn", longhorn);

    let mut stack = update(
        "helm/monitoring/kube-prometheus-stack",
        "58.2.1",
        "79.5.0",
        UpdateType::Major,
        "2026-11-18T10:00:00Z",
    );
    stack.breaking_changes = vec!["chart major 58 to 79".to_owned()];
    add("helm/monitoring/kube-prometheus-stack", stack);

    let mut grafana =
        update("helm/monitoring/grafana", "8.5.1", "8.6.3", UpdateType::Minor, "2026-11-20T20:00:00Z");
    grafana.warnings = vec!["chart grafana 8.5.1 is deprecated".to_owned()];
    grafana.security_update = None;
    add("helm/monitoring/grafana", grafana);

    let mut image = update(
        "image/ghcr.io/home-operations/radarr-develop",
        "6.0.1.10315",
        "6.0.4.10291",
        UpdateType::Patch,
        "2026-09-30T01:00:00Z",
    );
    image.deep = Some(DeepChecks {
        archive_available: None,
        platforms: Some(vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()]),
        image_created: Some("2026-09-30T00:58:00Z".parse().expect("a time")),
        source: Some("https://github.com/home-operations/containers".to_owned()),
        digest: Some(format!("sha256:{}", "ab".repeat(32))),
    });
    add("image/ghcr.io/home-operations/radarr-develop", image);

    add("helm/cert-manager/cert-manager", entry("cert-manager", "v1.19.1", Status::UpToDate));

    let mut traefik = entry("traefik", ">=30 <33", Status::NotPinned);
    traefik.resolves_to = Some("32.1.0".to_owned());
    traefik.available_version = Some("37.4.0".to_owned());
    traefik.reason = Some("the HelmRelease gives a range".to_owned());
    add("helm/traefik/traefik", traefik);

    let mut metallb = entry("metallb", "0.x", Status::NotPinned);
    metallb.resolves_to = Some("0.15.2".to_owned());
    metallb.reason = Some("the HelmRelease gives a range".to_owned());
    add("helm/metallb-system/metallb", metallb);

    let mut broken = entry("vault", "0.28.0", Status::Unresolved);
    broken.reason =
        Some("cannot ask https://charts.example.org: connection refused; check the address".to_owned());
    add("helm/vault/vault", broken);

    let mut managed = entry("podinfo", "6.5.1", Status::ManagedElsewhere);
    managed.reason = Some("Flux image automation sets it".to_owned());
    add("image/ghcr.io/stefanprodan/podinfo", managed);

    let mut ignored = entry("minio", "5.0.1", Status::Ignored);
    ignored.reason = Some("ignored by `detection.ignore`".to_owned());
    add("helm/storage/minio", ignored);

    let problems = vec![
        Problem::in_file(
            "apps/broken/release.yaml",
            Some(12),
            "cannot read the document as YAML: a tab indents",
        ),
        Problem {
            category: Category::Authentication,
            file: None,
            line: None,
            upstream: Some("ghcr.io".to_owned()),
            message: "the registry refused the request; log in with `docker login ghcr.io`".to_owned(),
        },
    ];
    report(components, problems, 212)
}

/// A large repository with one dead index.
pub(super) fn large() -> Report {
    let mut components = Vec::new();
    for number in 0..300 {
        let id = format!("helm/team-{:02}/service-{number:03}", number % 20);
        let one = match number % 10 {
            0 => update(&id, "1.4.9", "2.0.0", UpdateType::Major, "2026-05-01T00:00:00Z"),
            1 | 2 => update(&id, "1.4.9", "1.10.0", UpdateType::Minor, "2026-11-01T00:00:00Z"),
            3 => update(&id, "1.4.9", "1.4.10", UpdateType::Patch, "2024-02-01T00:00:00Z"),
            4 if number < 250 => {
                let mut one = entry(&id, "1.4.9", Status::Unresolved);
                one.reason = Some("cannot ask https://charts.dead.example: no such host".to_owned());
                one
            }
            5 => {
                let mut one = entry(&id, "1.x", Status::NotPinned);
                one.resolves_to = Some("1.4.9".to_owned());
                one.available_version = (number % 20 == 5).then(|| "2.0.0".to_owned());
                one
            }
            6 => {
                let mut one = update(&id, "3.7.3", "4.4.0", UpdateType::Major, "2026-10-20T00:00:00Z");
                one.upstream = Some(UpstreamEntry {
                    kind: "oci".to_owned(),
                    url: "oci://ghcr.io/bjw-s-labs/helm/app-template".to_owned(),
                    name: "app-template".to_owned(),
                });
                one.breaking_changes = vec!["chart major 3 to 4".to_owned()];
                one.security_update = None;
                one
            }
            _ => entry(&id, "1.4.9", Status::UpToDate),
        };
        components.push((id, one));
    }
    let problems = (0..40)
        .map(|number| {
            Problem::in_file(format!("clusters/prod/file-{number:02}.yaml"), Some(number + 1), "not YAML")
        })
        .collect();
    report(components, problems, 2400)
}

/// What a stranger who can write any string would try.
pub(super) const ATTACK: &str = "\u{1b}[31m\u{1b}]0;x\u{7}<img src=x onerror=alert(1)>\n## @team #123 [x](javascript:alert(1)) ![y](http://evil.example/y.png) | `z` </details> =cmd|'/C calc'!A0 \u{202e}\u{0}\u{9b}2J 漢字";

/// Every string is an attack.
pub(super) fn hostile() -> Report {
    let attack = || ATTACK.to_owned();
    let statuses = [
        Status::UpToDate,
        Status::UpdateAvailable,
        Status::NotPinned,
        Status::Unresolved,
        Status::ManagedElsewhere,
        Status::Ignored,
    ];
    let components = statuses
        .into_iter()
        .enumerate()
        .map(|(number, status)| {
            let one = Entry {
                kind: attack(),
                name: attack(),
                namespace: Some(attack()),
                cluster: Some(attack()),
                status,
                reason: Some(attack()),
                current_version: Some(attack()),
                available_version: Some(attack()),
                resolves_to: Some(attack()),
                update_type: UpdateType::Unknown,
                security_update: Some(true),
                security_advisories: vec![attack()],
                breaking_changes: vec![attack(), attack()],
                changelog_url: Some("javascript:alert(1)".to_owned()),
                released_at: None,
                warnings: vec![attack()],
                deep: Some(DeepChecks {
                    archive_available: Some(false),
                    platforms: Some(vec![attack()]),
                    image_created: None,
                    source: Some("javascript:alert(1)".to_owned()),
                    digest: Some(attack()),
                }),
                upstream: Some(UpstreamEntry {
                    kind: attack(),
                    url: "javascript:alert(1)".to_owned(),
                    name: attack(),
                }),
                pins: vec![PinEntry {
                    file: attack(),
                    route: attack(),
                    text: attack(),
                    rule: attack(),
                    digest: Some(DigestEntry {
                        line: 15,
                        column: 1,
                        route: attack(),
                        span: [0, 1],
                        text: attack(),
                    }),
                    ..pin("x", "x")
                }],
            };
            (format!("={number}{ATTACK}"), one)
        })
        .collect();
    let problems = vec![Problem {
        category: Category::Upstream,
        file: Some(attack()),
        line: Some(1),
        upstream: Some(attack()),
        message: attack(),
    }];
    let mut report = report(components, problems, 1);
    report.update_report.repository = Repository { path: attack(), revision: Some(attack()) };
    report.update_report.scan_duration = attack();
    report.update_report.summary.inventory = BTreeMap::from([(attack(), 1)]);
    report
}

pub(super) fn report(components: Vec<(String, Entry)>, problems: Vec<Problem>, files: usize) -> Report {
    let components: BTreeMap<String, Entry> = components.into_iter().collect();
    let inventory =
        BTreeMap::from([("HelmRelease".to_owned(), components.len()), ("HelmRepository".to_owned(), 9)]);
    let summary = Summary::of(&components, files, inventory, &problems);
    Report {
        update_report: UpdateReport {
            schema: SCHEMA.to_owned(),
            timestamp: now(),
            scan_duration: "1.2s".to_owned(),
            repository: Repository {
                path: "home-ops".to_owned(),
                revision: Some("3f2c1ab09d4e5f60718293a4b5c6d7e8f9012345".to_owned()),
            },
            components,
            summary,
            problems,
        },
    }
}

/// A component with one pin.
pub(super) fn entry(id: &str, current: &str, status: Status) -> Entry {
    let name = id.rsplit('/').next().unwrap_or(id);
    let kind = id.split('/').next().unwrap_or(id);
    Entry {
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: (kind == "helm").then(|| id.split('/').nth(1).unwrap_or("-").to_owned()),
        cluster: None,
        status,
        reason: None,
        current_version: Some(current.to_owned()),
        available_version: None,
        resolves_to: None,
        update_type: UpdateType::None,
        security_update: None,
        security_advisories: Vec::new(),
        breaking_changes: Vec::new(),
        changelog_url: None,
        released_at: None,
        warnings: Vec::new(),
        deep: None,
        upstream: Some(UpstreamEntry {
            kind: "helm".to_owned(),
            url: "https://charts.example.org".to_owned(),
            name: name.to_owned(),
        }),
        pins: vec![pin(id, current)],
    }
}

/// A component with a newer version.
pub(super) fn update(id: &str, current: &str, available: &str, kind: UpdateType, released: &str) -> Entry {
    Entry {
        available_version: Some(available.to_owned()),
        update_type: kind,
        security_update: Some(false),
        released_at: Some(released.parse().expect("a time")),
        ..entry(id, current, Status::UpdateAvailable)
    }
}

fn pin(id: &str, text: &str) -> PinEntry {
    PinEntry {
        file: format!("apps/{id}/release.yaml"),
        line: 14,
        column: 16,
        document: 0,
        route: "/spec/chart/spec/version".to_owned(),
        span: [310, 310 + text.len()],
        text: text.to_owned(),
        rule: "helm-release".to_owned(),
        applied: true,
        digest: None,
    }
}
