use proptest::prelude::*;

use super::super::{RenderOptions, samples};
use super::*;
use crate::domain::component::UpdateType;
use crate::domain::notes::is_unprintable;
use crate::domain::report::Status;

fn text(report: &Report) -> String {
    render(report, &samples::options())
}

fn verbose(report: &Report) -> String {
    render(report, &RenderOptions { verbose: true, ..samples::options() })
}

#[test]
fn empty_folder_is_told_in_three_lines() {
    insta::assert_snapshot!(text(&samples::empty()), @r"
    Nothing found that has a version
    home-ops @ 3f2c1ab09d4e: 0 components in 3 files, 1.2s
    No file here matches a rule; `gitops-updater rules list` shows them.
    ");
}

#[test]
fn nothing_new_is_told_in_three_lines() {
    insta::assert_snapshot!(text(&samples::quiet()), @r"
    Everything is up to date
    home-ops @ 3f2c1ab09d4e: 3 components in 41 files, 1.2s
    Nothing to do.
    ");
}

#[test]
fn report_is_sorted_by_what_matters() {
    insta::assert_snapshot!(text(&samples::twelve()), @r"
    1 security update: flux v2.6.0 → v2.7.1
    home-ops @ 3f2c1ab09d4e: 12 components in 212 files, 1.2s

    Security (1)
    ! flux                           v2.6.0 → v2.7.1        minor   49d
        fixes CVE-2026-31337, GHSA-23cf-ghjm-pqrv

    Cluster (2)
    * longhorn                        1.7.2 → 1.12.1        minor   3mo
        breaks: longhorn.io/v1beta1 API: The v1beta1 Longhorn API version… (+1 more)
      k3s                      v1.33.4+k3s1 → v1.33.6+k3s1  patch    8d

    Major (1)
    * helm/monitoring/kube-prometheus-stack  58.2.1 → 79.5.0  major    2d
        breaks: chart major 58 to 79

    Minor (1)
      helm/monitoring/grafana         8.5.1 → 8.6.3         minor   new
        note: chart grafana 8.5.1 is deprecated

    Patch (1)
      image/ghcr.io/home-operations/radarr-develop
                                6.0.1.10315 → 6.0.4.10291   patch   52d

    Not pinned (2)
      helm/traefik/traefik         >=30 <33  now 32.1.0, newer outside: 37.4.0
      helm/metallb-system/metallb  0.x       now 0.15.2

    Unresolved (1): nobody can say what is newer
       1  cannot ask https://charts.example.org: connection refused; check the
          address
          helm/vault/vault

    Not shown: 1 up to date, 1 managed elsewhere, 1 ignored; -v lists them

    Problems (2)
      apps/broken/release.yaml:12: cannot read the document as YAML: a tab indents
      ghcr.io: the registry refused the request; log in with
        `docker login ghcr.io`

    Update now: 6 updates (1 security, 2 breaking), 1 unresolved, 2 problems.
    ");
}

#[test]
fn gathered_and_grouped_in_a_large_repository() {
    let text = text(&samples::large());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "150 updates: 60 major, 60 minor, 30 patch");
    assert!(text.contains("* 30 × app-template         3.7.3 → 4.4.0   major   32d\n"), "{text}");
    assert!(text.contains("\n  25  cannot ask https://charts.dead.example: no such host\n"));
    assert!(text.contains("\n  40 places: not YAML\n"));
    assert!(!text.contains("service-007"), "what is up to date is a count");
    assert!(lines.len() < 180, "{}", lines.len());
}

#[test]
fn verbose_names_every_component_and_place() {
    let report = samples::twelve();
    let text = verbose(&report);
    for (id, entry) in &report.update_report.components {
        assert!(text.contains(id.as_str()), "{id}");
        for pin in &entry.pins {
            assert!(text.contains(&format!("{}:{}", pin.file, pin.line)), "{id}");
        }
    }
    assert!(text.contains("at ansible/group_vars/all.yml:3 (copy, not applied)"), "{text}");
}

#[test]
fn last_line_says_what_to_do() {
    let report = samples::twelve();
    let shown = text(&report);
    assert_eq!(
        shown.lines().last(),
        Some("Update now: 6 updates (1 security, 2 breaking), 1 unresolved, 2 problems.")
    );
}

#[test]
fn lines_fit_and_hold_nothing_that_a_terminal_acts_upon() {
    for (name, report) in samples::all() {
        for shown in [text(&report), verbose(&report)] {
            for line in shown.lines() {
                assert!(clean::width(line) <= 80, "{name}: {line}");
                assert!(!line.chars().any(is_unprintable), "{name}: {line:?}");
                assert_eq!(line.trim_end(), line, "{name}");
            }
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    for (name, report) in samples::all() {
        let coloured = render(&report, &RenderOptions { color: true, ..samples::options() });
        assert!(coloured.contains("\u{1b}["), "{name}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), text(&report), "{name}");
    }
}

#[test]
fn long_versions_are_shown_whole_where_they_differ_at_the_end() {
    let id = "image/docker.io/library/something";
    let update = samples::update(
        id,
        "2026.11.1-alpine3.22-slim-build1",
        "2026.11.1-alpine3.22-slim-build2",
        UpdateType::Unknown,
        "2026-11-01T00:00:00Z",
    );
    let report = samples::report(vec![(id.to_owned(), update)], Vec::new(), 1);
    let shown = text(&report);
    assert!(
        shown.contains("2026.11.1-alpine3.22-slim-build1\n")
            && shown.contains("2026.11.1-alpine3.22-slim-build2\n"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_strings_fit(
        id in "[a-z/]{0,100}|[\\PC漢]{0,60}",
        from in "[0-9.a-z]{0,40}|\\PC{0,60}",
        to in "[0-9.a-z]{0,40}|\\PC{0,60}",
        width in 0_usize..200,
        verbose: bool,
    ) {
        let statuses = [Status::UpdateAvailable, Status::NotPinned, Status::Unresolved, Status::UpToDate];
        let components = statuses.iter().enumerate().map(|(number, status)| {
            let mut entry = samples::update(&id, &from, &to, UpdateType::Minor, "2026-11-01T00:00:00Z");
            entry.status = *status;
            entry.reason = Some(to.clone());
            entry.warnings = vec![from.clone()];
            (format!("{id}{number}"), entry)
        });
        let report = samples::report(components.collect(), Vec::new(), 1);
        let options = RenderOptions { width, verbose, ..samples::options() };
        for line in render(&report, &options).lines() {
            let most = width.clamp(60, 160);
            // A path that is too long for a line of its own stays in one piece all the same.
            let is_path = |word: &str| word.contains('/') && clean::width(word) + 12 > most;
            prop_assert!(clean::width(line) <= most || line.split(' ').any(is_path), "{line}");
            prop_assert!(!line.chars().any(is_unprintable), "{line:?}");
        }
    }
}
