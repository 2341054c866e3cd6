use rstest::rstest;

use super::super::samples;
use super::*;

#[rstest]
#[case::unknown(None, "")]
#[case::today(Some("2026-11-21T00:00:00Z"), "new")]
#[case::clock_ahead(Some("2026-12-24T00:00:00Z"), "new")]
#[case::days(Some("2026-11-12T00:00:00Z"), "9d")]
#[case::months(Some("2026-08-19T07:00:00Z"), "3mo")]
#[case::years(Some("2024-02-01T00:00:00Z"), "2y")]
fn age_is_counted_from_the_given_time(#[case] released: Option<&str>, #[case] expected: &str) {
    assert_eq!(age(released.map(|time| time.parse().unwrap()), samples::now()), expected);
}

#[rstest]
#[case::commit("3f2c1ab09d4e5f60718293a4b5c6d7e8f9012345", "3f2c1ab09d4e")]
#[case::dirty("3f2c1ab09d4e5f60718293a4b5c6d7e8f9012345-dirty", "3f2c1ab09d4e-dirty")]
#[case::other("main", "main")]
#[case::wide("漢漢漢漢漢漢漢漢漢漢漢漢", "漢漢漢漢漢漢漢漢漢…")]
fn revision_is_shortened(#[case] revision: &str, #[case] expected: &str) {
    assert_eq!(short_revision(revision), expected);
}

#[rstest]
#[case::none(None, "?")]
#[case::plain(Some("1.2.3"), "1.2.3")]
#[case::digest(
    Some("1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
    "1.2@sha256:01234567…"
)]
#[case::no_digest(Some("sha256:漢字"), "sha256:漢字")]
fn digest_is_shortened(#[case] text: Option<&str>, #[case] expected: &str) {
    assert_eq!(version(text), expected);
}

fn shown(components: Vec<(String, Entry)>) -> (String, String) {
    let report = samples::report(components, Vec::new(), 1);
    let view = View::new(&report);
    (view.headline(), view.verdict())
}

fn one(id: &str, status: Status) -> (String, Entry) {
    (id.to_owned(), samples::entry(id, "1.0.0", status))
}

#[test]
fn headline_says_what_could_not_be_checked_rather_than_that_all_is_well() {
    let (headline, verdict) = shown(vec![one("a", Status::UpToDate), one("b", Status::Unresolved)]);
    assert_eq!(headline, "No update found, but 1 component could not be checked");
    assert_eq!(verdict, "Review what could not be read: 1 unresolved");
}

#[test]
fn headline_names_what_is_newer_outside_a_range() {
    let mut range = one("helm/a/b", Status::NotPinned);
    range.1.available_version = Some("2.0.0".to_owned());
    assert_eq!(shown(vec![range]).0, "No update for what is pinned; 1 outside a range");
}

#[test]
fn headline_counts_the_cluster_before_the_rest() {
    let cluster = samples::update("k3s", "v1", "v2", UpdateType::Patch, "2026-11-01T00:00:00Z");
    let chart = samples::update("helm/a/b", "1", "2", UpdateType::Major, "2026-11-01T00:00:00Z");
    let (headline, _) = shown(vec![("helm/a/b".to_owned(), chart), ("k3s".to_owned(), cluster)]);
    assert_eq!(headline, "2 updates: 1 of the cluster itself, 1 major");
}

#[test]
fn verdict_admits_that_nobody_knows_about_security() {
    let mut update = samples::update("helm/a/b", "1", "2", UpdateType::Patch, "2026-11-01T00:00:00Z");
    update.security_update = None;
    let (_, verdict) = shown(vec![("helm/a/b".to_owned(), update)]);
    assert_eq!(verdict, "Update when it suits: 1 update (security unknown)");
}

#[test]
fn components_behind_one_dead_index_are_one_cause() {
    let report = samples::large();
    let view = View::new(&report);
    assert_eq!(view.unresolved.len(), 1);
    assert_eq!(view.unresolved[0].rows.len(), 25);
}

#[test]
fn own_name_in_the_reason_does_not_part_a_cause() {
    let components = ["helm/x/one", "helm/x/two"].map(|id| {
        let (id, mut entry) = one(id, Status::Unresolved);
        entry.reason = Some(format!("chart `{}` is not in the index", entry.name));
        (id, entry)
    });
    let report = samples::report(components.to_vec(), Vec::new(), 1);
    let view = View::new(&report);
    assert_eq!(view.unresolved.len(), 1);
    assert_eq!(view.unresolved[0].text, "chart `…` is not in the index");
}

#[test]
fn problem_that_repeats_a_cause_is_shown_once() {
    let mut component = one("helm/x/one", Status::Unresolved);
    component.1.reason = Some("cannot ask it".to_owned());
    let problem = Problem {
        category: crate::domain::problem::Category::Upstream,
        file: None,
        line: None,
        upstream: Some("https://charts.example.org".to_owned()),
        message: "cannot ask it".to_owned(),
    };
    let report = samples::report(vec![component], vec![problem], 1);
    assert!(View::new(&report).problems.is_empty());
}
