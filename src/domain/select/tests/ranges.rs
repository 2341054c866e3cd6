//! Ranges, channels and tags that move.

use super::*;

#[test]
fn tag_that_moves_is_not_pinned() {
    let answer = published(&["1.2.3", "latest"]);
    let selection = choose_from(&exact("latest"), Scheme::ImageTag, &Wish::default(), &answer);
    let reason = "Git does not say which version runs: the tag `latest` moves".to_owned();
    assert_eq!(selection.outcome, Outcome::NotPinned { resolves_to: None, reason });
}

#[test]
fn range_resolves_as_flux_resolves_it_and_names_what_is_outside() {
    for (range, versions, resolves_to, outside, kind) in [
        (
            "1.x",
            &["1.2.3", "1.9.0", "2.0.0", "3.0.0-rc1"][..],
            Some("1.9.0"),
            Some("2.0.0"),
            UpdateType::Major,
        ),
        ("1.x", &["1.2.3", "1.9.0"], Some("1.9.0"), None, UpdateType::None),
        ("*", &["1.2.3", "2.0.0", "3.0.0-rc1"], Some("2.0.0"), None, UpdateType::None),
        (">=1.0.0-0", &["1.2.3", "2.0.0-rc1"], Some("2.0.0-rc1"), None, UpdateType::None),
        ("~1.2", &["v1.2.3", "v1.3.0", "1.2"], Some("v1.2.3"), Some("v1.3.0"), UpdateType::Minor),
        ("4.x", &["1.2.3"], None, Some("1.2.3"), UpdateType::Unknown),
        ("1.2.3 - 1.4", &["1.3.0", "1.4.2", "1.5.0"], Some("1.4.2"), Some("1.5.0"), UpdateType::Minor),
    ] {
        let answer = published(versions);
        let given = Given::Range(range.to_owned());
        let selection = choose_from(&given, Scheme::Semver, &Wish::default(), &answer);
        let Outcome::NotPinned { resolves_to: resolved, .. } = &selection.outcome else {
            panic!("{range}: {:?}", selection.outcome)
        };
        assert_eq!(resolved.as_deref(), resolves_to, "{range}");
        assert_eq!(selection.target_text.as_deref(), outside, "{range}");
        assert_eq!(selection.update_type, kind, "{range}");
    }
}

#[test]
fn of_equal_versions_the_newest_by_date_is_taken() {
    let dated = |version: &str, date: &str| Candidate { released_at: Some(day(date)), ..candidate(version) };
    let candidates = vec![
        dated("1.2.3+up10", "2026-03-01"),
        dated("1.2.3+up9", "2026-04-01"),
        dated("1.2.3+up8", "2026-02-01"),
    ];
    let answer = Answer { candidates, ..Answer::default() };
    let wish = Wish::default();
    let range = choose_from(&Given::Range("1.x".to_owned()), Scheme::Semver, &wish, &answer);
    assert_eq!(range.current.unwrap().version, "1.2.3+up9");

    let given = exact("1.2.3+up8");
    let pinned = choose_from(&given, Scheme::Semver, &wish, &answer);
    assert_eq!(pinned.target_text.as_deref(), Some("1.2.3+up9"));
    assert_eq!(pinned.update_type, UpdateType::Build);

    let given = exact("1.2.3+up9");
    assert_eq!(choose_from(&given, Scheme::Semver, &wish, &answer).outcome, Outcome::UpToDate);
}

#[test]
fn malformed_range_is_unresolved() {
    let answer = published(&["1.2.3"]);
    let selection =
        choose_from(&Given::Range("latest".to_owned()), Scheme::Semver, &Wish::default(), &answer);
    assert_eq!(selection.outcome, Outcome::unresolved("cannot read `latest` as a version range"));
}

#[test]
fn channel_resolves_to_what_the_server_says() {
    let mut answer = published(&["v1.36.4+k3s1", "v1.37.1+k3s1", "v1.38.0-rc1+k3s1"]);
    let given = Given::Channel("stable".to_owned());
    let unknown = choose_from(&given, Scheme::K3s, &Wish::default(), &answer).outcome;
    assert_eq!(unknown, Outcome::unresolved("the upstream does not say what the channel `stable` points at"));

    answer.channel_latest = Some("v1.36.4+k3s1".to_owned());
    let selection = choose_from(&given, Scheme::K3s, &Wish::default(), &answer);
    let Outcome::NotPinned { resolves_to, .. } = selection.outcome else { panic!("{:?}", selection.outcome) };
    assert_eq!(resolves_to.as_deref(), Some("v1.36.4+k3s1"));
    assert_eq!(selection.target_text.as_deref(), Some("v1.37.1+k3s1"));
    assert_eq!(selection.update_type, UpdateType::Minor);
}
