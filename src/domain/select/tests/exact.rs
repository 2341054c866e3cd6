//! Versions that Git gives exactly.

use std::collections::BTreeSet;

use super::*;

#[test]
fn newest_acceptable_version_is_the_target() {
    let stable = Wish::default();
    let early = Wish { prereleases: true, ..Wish::default() };
    let minimum = Wish { minimum_version: Some("2.0.0".to_owned()), ..Wish::default() };
    let tag_minimum = Wish { minimum_version: Some("1.30".to_owned()), ..Wish::default() };
    let allowed = Wish { allowed: Some(Range::parse("<2").unwrap()), ..Wish::default() };
    let ignored = |texts: &[&str]| Wish {
        ignored: texts.iter().map(|text| Ignored::parse(text).unwrap()).collect(),
        ..Wish::default()
    };
    let prefixed = Wish { tag_prefix: Some("kube-prometheus-stack-".to_owned()), ..Wish::default() };
    for (scheme, current, versions, wish, target, kind) in [
        (
            Scheme::Semver,
            "1.7.2",
            &["1.12.1", "1.13.0-rc1", "1.12.0", "1.7.2", "1.8.0"][..],
            &stable,
            "1.12.1",
            UpdateType::Minor,
        ),
        (
            Scheme::Semver,
            "1.7.2",
            &["1.12.1", "1.13.0-rc1", "1.7.2"],
            &early,
            "1.13.0-rc1",
            UpdateType::Prerelease,
        ),
        (Scheme::Semver, "1.12.1", &["1.12.1", "1.12.0"], &stable, "-", UpdateType::None),
        (Scheme::Semver, "1.12.1", &["1.12.1", "1.13.0-rc1"], &stable, "-", UpdateType::None),
        // On a pre-release: later ones of the same release, and any newer release.
        (
            Scheme::Semver,
            "1.3.0-rc.1",
            &["1.3.0-rc.1", "1.3.0-rc.3", "1.4.0-rc.1", "1.2.9"],
            &stable,
            "1.3.0-rc.3",
            UpdateType::Prerelease,
        ),
        (
            Scheme::Semver,
            "1.3.0-rc.1",
            &["1.3.0-rc.1", "1.3.0-rc.3", "1.3.0"],
            &stable,
            "1.3.0",
            UpdateType::Patch,
        ),
        (
            Scheme::Semver,
            "1.3.0-rc.1",
            &["1.3.0-rc.2", "1.4.0", "1.5.0-rc.1"],
            &stable,
            "1.4.0",
            UpdateType::Minor,
        ),
        (Scheme::Semver, "1.2.3", &["1.2.3", "1.5.0", "2.5.0"], &minimum, "2.5.0", UpdateType::Major),
        (Scheme::Semver, "1.2.3", &["1.2.3", "1.5.0"], &minimum, "-", UpdateType::None),
        (Scheme::Semver, "1.2.3", &["1.2.3", "1.5.0", "2.0.0"], &allowed, "1.5.0", UpdateType::Minor),
        (
            Scheme::Semver,
            "1.2.3",
            &["1.2.3", "1.2.4", "1.3.0", "2.0.0"],
            &ignored(&["2.x", "1.3.0"]),
            "1.2.4",
            UpdateType::Patch,
        ),
        (
            Scheme::Semver,
            "1.2.3",
            &["v1.2.3", "v1.2.4", "nightly", "1.2.5.1"],
            &stable,
            "1.2.4",
            UpdateType::Patch,
        ),
        (
            Scheme::Semver,
            "kube-prometheus-stack-41.5.1",
            &["kube-prometheus-stack-41.5.1", "kube-prometheus-stack-41.6.0", "alertmanager-99.0.0"],
            &prefixed,
            "kube-prometheus-stack-41.6.0",
            UpdateType::Minor,
        ),
        (
            Scheme::Semver,
            "41.5.1",
            &["kube-prometheus-stack-41.5.1", "kube-prometheus-stack-41.6.0", "99.0.0"],
            &prefixed,
            "41.6.0",
            UpdateType::Minor,
        ),
        (
            Scheme::Semver,
            "2024.10.15",
            &["2024.10.15", "2024.11.05", "2024.9.1"],
            &stable,
            "2024.11.05",
            UpdateType::Minor,
        ),
        (
            Scheme::Semver,
            "0.2.000",
            &["0.2.000", "100.0.0+up0.2.0", "0.2.1.9"],
            &stable,
            "100.0.0+up0.2.0",
            UpdateType::Major,
        ),
        (Scheme::Semver, "1.0.001", &["1.0.000", "1.0.001", "1.0.2"], &stable, "1.0.2", UpdateType::Patch),
        (
            Scheme::Semver,
            "1.2.3.4",
            &["1.2.3.4", "1.2.3.10", "1.2.3"],
            &stable,
            "1.2.3.10",
            UpdateType::Patch,
        ),
        (
            Scheme::K3s,
            "v1.33.4+k3s1",
            &["v1.33.4+k3s1", "v1.33.4+k3s2", "v1.33.5-rc1+k3s1", "v1.33.4+rke2r9"],
            &stable,
            "v1.33.4+k3s2",
            UpdateType::Build,
        ),
        (
            Scheme::K3s,
            "v1.33.4-k3s2",
            &["v1.33.4+k3s2", "v1.33.4+k3s10"],
            &stable,
            "v1.33.4-k3s10",
            UpdateType::Build,
        ),
        (
            Scheme::K3s,
            "v1.33.4+k3s1",
            &["v1.33.4+k3s1", "v1.33.4+k3s2"],
            &ignored(&["v1.33.4+k3s2"]),
            "-",
            UpdateType::None,
        ),
        (
            Scheme::K3s,
            "v1.33.4+k3s1",
            &["v1.33.4+k3s1", "v1.33.9+k3s1", "v1.34.1+k3s1"],
            &ignored(&[">=1.34"]),
            "v1.33.9+k3s1",
            UpdateType::Patch,
        ),
        (
            Scheme::ImageTag,
            "1.27-alpine",
            &["1.27-alpine", "1.28-alpine", "1.29", "1.28.3-alpine", "latest"],
            &stable,
            "1.28-alpine",
            UpdateType::Minor,
        ),
        (
            Scheme::ImageTag,
            "16",
            &["16", "16.4", "17", "18rc1", "18beta2", "latest"],
            &stable,
            "17",
            UpdateType::Major,
        ),
        (
            Scheme::ImageTag,
            "1.27-alpine",
            &["1.27-alpine", "1.28-alpine"],
            &tag_minimum,
            "-",
            UpdateType::None,
        ),
        (
            Scheme::ImageTag,
            "1.27-alpine",
            &["1.27-alpine", "1.30-alpine"],
            &tag_minimum,
            "1.30-alpine",
            UpdateType::Minor,
        ),
        (
            Scheme::ImageTag,
            "17-alpine",
            &["17-alpine", "18-alpine", "19-alpine"],
            &ignored(&["19-alpine"]),
            "18-alpine",
            UpdateType::Major,
        ),
    ] {
        let expected = (target.to_owned(), kind);
        assert_eq!(step(scheme, current, versions, wish), expected, "{current} of {versions:?}");
    }
}

#[test]
fn what_cannot_be_understood_is_unresolved() {
    for (scheme, current, versions, expected) in [
        (Scheme::Semver, "1.2.3", &[][..], "the upstream lists no versions"),
        (Scheme::Semver, "sha-abc1234", &["1.2.3"], "the version `sha-abc1234` cannot be understood"),
        (Scheme::K3s, "v1.33.4", &["v1.33.4+k3s1"], "the version `v1.33.4` cannot be understood"),
        (
            Scheme::ImageTag,
            "1.27-foo",
            &["1.28", "latest"],
            "none of the 2 published versions compares with `1.27-foo`",
        ),
        (Scheme::ImageTag, "", &["1.28"], "the version `` cannot be understood"),
    ] {
        let answer = published(versions);
        let selection = choose_from(&exact(current), scheme, &Wish::default(), &answer);
        assert_eq!(selection.outcome, Outcome::unresolved(expected), "{current}");
        assert_eq!(selection.target, None);
    }
}

#[test]
fn version_without_archive_is_skipped_with_the_reason() {
    let mut answer = published(&["1.12.2", "1.12.1", "1.12.0"]);
    answer.candidates[0].unusable = Some("the index names no archive".to_owned());
    let selection = choose_from(&exact("1.12.0"), Scheme::Semver, &Wish::default(), &answer);
    assert_eq!(selection.target_text.as_deref(), Some("1.12.1"));
    assert_eq!(selection.skipped.len(), 1);
    insta::assert_snapshot!(selection.warnings.join("\n"), @"the newer `1.12.2` cannot be installed: the index names no archive");
}

#[test]
fn k3s_release_needs_a_binary_for_every_architecture() {
    let with = |version: &str, assets: &[&str]| Candidate {
        assets: Some(assets.iter().map(|asset| (*asset).to_owned()).collect()),
        ..candidate(version)
    };
    let answer = Answer {
        candidates: vec![
            with("v1.33.4+k3s1", &["k3s", "k3s-arm64", "k3s-armhf"]),
            with("v1.33.5+k3s1", &["k3s", "k3s-arm64", "k3s-images.txt"]),
            with("v1.33.6+k3s1", &["k3s-arm64", "sha256sum-arm64.txt"]),
            with("v1.33.3+k3s1", &[]),
        ],
        ..Answer::default()
    };
    for (architectures, expected) in [
        (&["arm64"][..], Some("v1.33.6+k3s1")),
        (&["amd64", "arm64"], Some("v1.33.5+k3s1")),
        (&["amd64", "arm"], Some("v1.33.4+k3s1")),
        // A release that lists no files says nothing about them.
        (&["riscv64"], Some("v1.33.3+k3s1")),
        (&[], Some("v1.33.6+k3s1")),
    ] {
        let architectures: BTreeSet<_> = architectures.iter().map(|name| (*name).to_owned()).collect();
        let wish = Wish { architectures, ..Wish::default() };
        let selection = choose_from(&exact("v1.32.1+k3s1"), Scheme::K3s, &wish, &answer);
        assert_eq!(selection.target_text.as_deref(), expected, "{:?}", wish.architectures);
    }
}

#[test]
fn mark_of_the_upstream_makes_a_prerelease() {
    let mut answer = published(&["v1.33.4+k3s1", "v1.33.4+k3s2", "v1.34.0+k3s1"]);
    answer.candidates[1].prerelease = Some(true);
    answer.candidates[2].prerelease = Some(true);
    let wish = Wish::default();
    let on_release = choose_from(&exact("v1.33.4+k3s1"), Scheme::K3s, &wish, &answer);
    assert_eq!(on_release.outcome, Outcome::UpToDate);
    assert_eq!(on_release.skipped.len(), 2);

    answer.candidates[0].prerelease = Some(true);
    let on_prerelease = choose_from(&exact("v1.33.4+k3s1"), Scheme::K3s, &wish, &answer);
    assert_eq!(on_prerelease.target_text.as_deref(), Some("v1.33.4+k3s2"));
}

#[test]
fn other_digest_of_the_same_tag_is_an_update() {
    let mut answer = published(&["1.2.3", "1.2.2", "latest"]);
    answer.candidates[0].digest = Some("sha256:bb".to_owned());
    answer.candidates[2].digest = Some("sha256:cc".to_owned());
    for (tag, digest, outcome, kind) in [
        ("1.2.3", Some("sha256:aa"), Outcome::Update, UpdateType::Digest),
        ("1.2.3", Some("sha256:bb"), Outcome::UpToDate, UpdateType::None),
        ("1.2.3", Some("BB"), Outcome::UpToDate, UpdateType::None),
        ("1.2.3", None, Outcome::UpToDate, UpdateType::None),
        ("1.2.2", Some("sha256:aa"), Outcome::Update, UpdateType::Patch),
        ("latest", Some("sha256:aa"), Outcome::Update, UpdateType::Digest),
        ("latest", Some("sha256:cc"), Outcome::UpToDate, UpdateType::None),
        (
            "edge",
            Some("sha256:cc"),
            Outcome::unresolved("the version `edge` cannot be understood"),
            UpdateType::None,
        ),
    ] {
        let given = exact(tag);
        let wish = Wish::default();
        let request = Request { given: &given, scheme: Scheme::ImageTag, digest, wish: &wish };
        let selection = select(&request, &answer);
        assert_eq!((selection.outcome, selection.update_type), (outcome, kind), "{tag}@{digest:?}");
    }
}

#[test]
fn releases_on_the_way_are_listed_from_old_to_new() {
    let answer = published(&["1.2.0", "1.0.0", "1.1.0", "1.2.0-rc1", "1.0.5", "0.9.0", "1.3.0-rc1"]);
    let selection = choose_from(&exact("1.0.0"), Scheme::Semver, &Wish::default(), &answer);
    let between: Vec<_> = selection.between.iter().map(|candidate| candidate.version.as_str()).collect();
    assert_eq!(between, ["1.0.5", "1.1.0", "1.2.0"]);
    assert_eq!(selection.current.unwrap().version, "1.0.0");
}

#[test]
fn a_wished_channel_holds_an_exact_version_back() {
    let versions = ["v1.35.1+k3s1", "v1.36.4+k3s1", "v1.37.1+k3s1"];
    let mut answer = published(&versions);
    let given = Given::Exact("v1.35.1+k3s1".to_owned());
    let wish = Wish { channel: Some("stable".to_owned()), ..Wish::default() };
    let request = Request { given: &given, scheme: Scheme::K3s, digest: None, wish: &wish };
    let unknown = select(&request, &answer).outcome;
    assert_eq!(unknown, Outcome::unresolved("the upstream does not say what the channel `stable` points at"));
    answer.channel_latest = Some("v1.36.4+k3s1".to_owned());
    let selection = select(&request, &answer);
    assert_eq!(selection.target_text.as_deref(), Some("v1.36.4+k3s1"));
    assert_eq!(selection.skipped[0].objection, Objection::BeyondChannel("stable".to_owned()));
}

#[test]
fn ignored_text_with_the_signs_of_a_range_must_be_one() {
    for text in ["", ">>1", "<1.2.3.4", "1,2,"] {
        assert!(Ignored::parse(text).is_err(), "{text}");
    }
    for text in ["1.x", "v1.33.4+k3s1", "RELEASE.2024-01-05T22-17-24Z", "1.2-alpine", "*"] {
        assert!(Ignored::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn minimum_version_that_cannot_be_understood_is_said() {
    let wish = Wish { minimum_version: Some("newest".to_owned()), ..Wish::default() };
    let answer = published(&["1.0.0", "1.1.0"]);
    let selection = choose_from(&exact("1.0.0"), Scheme::Semver, &wish, &answer);
    assert_eq!(selection.target_text.as_deref(), Some("1.1.0"));
    insta::assert_snapshot!(selection.warnings.join("\n"), @"the minimum version `newest` cannot be understood and was not applied");
}
