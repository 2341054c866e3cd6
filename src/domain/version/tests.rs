use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn version(scheme: Scheme, text: &str) -> Version {
    scheme.parse(text).unwrap_or_else(|| panic!("`{text}` is a version"))
}

#[test]
fn newer_tags_of_the_same_form_compare() {
    for (lower, higher) in [
        ("1.2-alpine", "1.3-alpine"),
        ("1.27", "1.28"),
        ("16", "17"),
        ("3.19", "3.20"),
        ("v1.2.3", "v1.10.0"),
        ("v1.2.3-ls45", "v1.2.3-ls46"),
        ("v1.2.3-ls45", "v1.2.4-ls9"),
        ("2024.12.1", "2025.1.0"),
        ("20240105", "20240923"),
        ("RELEASE.2024-01-05T22-17-24Z", "RELEASE.2024-11-07T00-52-20Z"),
        ("2024-01-05", "2024-02-01"),
        ("version-v1.2", "version-v1.3"),
        ("8.0.40-debian-12-r1", "8.0.40-debian-12-r10"),
        ("8.0.40-debian-12-r3", "8.4.0-debian-12-r0"),
        ("1.3.0-alpha", "1.3.0-beta.2"),
        ("1.3.0-beta.2", "1.3.0-rc1"),
        ("1.3.0-rc2", "1.3.0-rc10"),
        ("1.3.0-rc10", "1.3.0"),
        ("1.3.0-rc1-alpine", "1.3.0-alpine"),
        ("3.13.0a9", "3.13.0a10"),
        ("3.13.0a10", "3.13.0b1"),
        ("1.40.2.8395-c67dce28e", "1.41.0.8992-8463ad060"),
        ("1.2.3-4-g1a2b3c4", "1.2.3-5-g5d6e7f8"),
        ("v1.33.4-k3s1", "v1.33.4-k3s2"),
        ("8u392-jdk", "8u402-jdk"),
        ("bookworm-20240110", "bookworm-20240211"),
        ("alpine3.19", "alpine3.20"),
        ("22.04", "24.04"),
    ] {
        let [one, other] = [lower, higher].map(|text| version(Scheme::ImageTag, text));
        assert!(one.comparable(&other), "{lower} compares with {higher}");
        assert!(one < other, "{lower} < {higher}");
    }
}

#[test]
fn tags_of_another_form_do_not_compare() {
    for (one, other) in [
        ("1.2-alpine", "1.3"),
        ("1.2-alpine", "1.3-bookworm"),
        ("1.2-alpine3.18", "1.3-alpine3.19"),
        ("1.27", "1.27.3"),
        ("16", "16.4"),
        ("1.2.3", "v1.2.4"),
        ("1.2.3", "1.2.4-ls45"),
        ("8.0.40-debian-11-r1", "8.0.40-debian-12-r1"),
        ("version-v1.2", "v1.3"),
        ("3", "20240923"),
        ("2024.1", "3.20"),
        ("20240105", "1716543210"),
        ("2024-01-05", "2024.1.6"),
        ("arm64v8-1.2.3", "amd64-1.2.4"),
        ("1.2.3-r1", "1.2.3-p2"),
    ] {
        let [left, right] = [one, other].map(|text| version(Scheme::ImageTag, text));
        assert!(!left.comparable(&right), "{one} and {other}");
        assert_eq!(left.update_type(&right), UpdateType::Unknown, "{one} and {other}");
    }
}

#[test]
fn names_that_move_and_commit_ids_are_not_versions() {
    for text in [
        "latest",
        "stable",
        "main",
        "edge-alpine",
        "sha-abc1234",
        "sha-1234567",
        "sha256-12",
        "git-7e3f2c1",
        "7e3f2c1",
        "deadbeef1",
        "main-abc1234",
        "pr-123",
        "0123456789abcdef0123456789abcdef01234567",
        "1234567890123456789012345678901234567890",
        "",
        "v",
        "1.2.3.4.5.6.7.8.9",
        "1.2-99999999999999999999",
        "einseins－1",
    ] {
        assert_eq!(Scheme::ImageTag.parse(text), None, "{text}");
    }
}

#[test]
fn prerelease_words_are_not_flavours() {
    for (text, expected) in [
        ("1.2.3-rc1", true),
        ("1.2.3-beta.2", true),
        ("1.2.3-alpha", true),
        ("3.13.0a1", true),
        ("1.2.3-RC.1-alpine", true),
        ("1.2.3-alpine", false),
        ("2023a", false),
        ("1.2.3-dev", false),
        ("1.2.3-b12", false),
        ("1.2.3-r1", false),
    ] {
        assert_eq!(version(Scheme::ImageTag, text).is_prerelease(), expected, "{text}");
    }
}

#[test]
fn loose_versions_compare_whatever_their_parts() {
    for (one, order, other) in [
        ("1.2.3.4", Ordering::Less, "1.2.3.10"),
        ("v1.2", Ordering::Equal, "1.2.0"),
        ("2024.01.05", Ordering::Less, "2024.10.5"),
        ("1.2.3-rc1", Ordering::Less, "1.2.3"),
        ("release-v1.2", Ordering::Less, "release-1.10"),
    ] {
        let [left, right] = [one, other].map(|text| version(Scheme::Loose, text));
        assert!(left.comparable(&right), "{one} and {other}");
        assert_eq!(left.cmp(&right), order, "{one} and {other}");
    }
}

#[test]
fn what_is_not_semver_is_kept_apart() {
    for text in ["1.2.3.4", "2024.01.05", "20240105", "2024-01-05"] {
        let loose = version(Scheme::Semver, text);
        assert!(matches!(loose, Version::Loose(_)), "{text}");
        assert!(!loose.comparable(&version(Scheme::Semver, "1.2.3")), "{text}");
    }
    for text in ["latest", "main", "v", "", "sha-1234567"] {
        assert_eq!(Scheme::Semver.parse(text), None, "{text}");
    }
}

#[test]
fn update_type_is_named_by_the_scheme() {
    for (scheme, from, to, expected) in [
        (Scheme::Semver, "1.2.3", "1.2.4", UpdateType::Patch),
        (Scheme::Semver, "v1.2.3", "1.3.0", UpdateType::Minor),
        (Scheme::Semver, "0.1.0", "0.2.0", UpdateType::Minor),
        (Scheme::Semver, "1.2.3", "2.0.0", UpdateType::Major),
        (Scheme::Semver, "1.2.3", "2.0.0-rc.1", UpdateType::Prerelease),
        (Scheme::Semver, "2.0.0-rc.1", "2.0.0-rc.2", UpdateType::Prerelease),
        (Scheme::Semver, "2.0.0-rc.1", "2.0.0", UpdateType::Patch),
        (Scheme::Semver, "1.2.3", "1.2.3", UpdateType::None),
        (Scheme::Semver, "1.2.3", "v1.2.3", UpdateType::None),
        (Scheme::Semver, "1.2.3", "1.2.2", UpdateType::None),
        (Scheme::Semver, "1.2.3+up1", "1.2.3+up2", UpdateType::Build),
        (Scheme::Semver, "1.2.3", "latest", UpdateType::Unknown),
        (Scheme::Semver, "1.2.3.4", "1.2.3.5", UpdateType::Patch),
        (Scheme::K3s, "v1.33.4+k3s1", "v1.33.4+k3s2", UpdateType::Build),
        (Scheme::K3s, "v1.33.4+k3s2", "v1.33.4-k3s1", UpdateType::None),
        (Scheme::K3s, "v1.33.4+k3s1", "v1.33.5+k3s1", UpdateType::Patch),
        (Scheme::K3s, "v1.33.4+k3s1", "v1.34.1+k3s1", UpdateType::Minor),
        (Scheme::K3s, "v1.33.4+k3s1", "v1.34.1-rc1+k3s1", UpdateType::Prerelease),
        (Scheme::ImageTag, "16", "17", UpdateType::Major),
        (Scheme::ImageTag, "1.27-alpine", "1.28-alpine", UpdateType::Minor),
        (Scheme::ImageTag, "1.2.3-ls45", "1.2.3-ls46", UpdateType::Build),
        (Scheme::ImageTag, "1.2.3", "1.2.4-rc1", UpdateType::Prerelease),
        (Scheme::ImageTag, "20240105", "20240923", UpdateType::Unknown),
        (
            Scheme::ImageTag,
            "RELEASE.2024-01-05T22-17-24Z",
            "RELEASE.2024-01-06T00-00-00Z",
            UpdateType::Unknown,
        ),
        (Scheme::Loose, "2024.1", "2024.2.1", UpdateType::Minor),
    ] {
        assert_eq!(scheme.update_type(from, to), expected, "{scheme:?}: {from} to {to}");
    }
}

#[test]
fn ranges_see_numbers_and_prerelease() {
    for (scheme, text, expected) in [
        (Scheme::K3s, "v1.33.4-rc2+k3s1", "1.33.4-rc.2"),
        (Scheme::ImageTag, "17-alpine", "17.0.0"),
        (Scheme::ImageTag, "1.2.3-beta4", "1.2.3-beta.4"),
        (Scheme::Semver, "v1.2.3-x.7+b", "1.2.3-x.7"),
        (Scheme::Loose, "1.2.3.4", "1.2.3"),
    ] {
        assert_eq!(version(scheme, text).for_range().to_string(), expected, "{text}");
    }
}

/// Texts near to versions, so that forms meet.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "v?[0-9]{1,2}(\\.[0-9]{1,2}){0,3}(-(rc|beta|alpine|ls|r)\\.?[0-9]{0,2}){0,2}",
        "v?1\\.[0-9]{1,2}\\.[0-9](-rc[0-9]{1,2})?[+-]k3s[0-9]{1,2}",
        "(2024-0[1-9]-1[0-9]|2024\\.[0-9]{1,2}|2024011[0-9])(-alpine)?",
        "\\PC{0,20}",
        "[a-z0-9._+-]{0,20}",
    ]
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(vec![Scheme::Semver, Scheme::K3s, Scheme::ImageTag, Scheme::Loose])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn order_is_total_and_agrees_with_equality(
        scheme in scheme(), one in text(), two in text(), three in text(),
    ) {
        let parsed: Vec<_> = [one, two, three].iter().filter_map(|text| scheme.parse(text)).collect();
        for left in &parsed {
            for right in &parsed {
                prop_assert_eq!(left.cmp(right), right.cmp(left).reverse());
                prop_assert_eq!(left == right, left.cmp(right).is_eq());
                prop_assert_eq!(left.comparable(right), right.comparable(left));
                if left == right {
                    prop_assert!(left.comparable(right));
                }
                for third in &parsed {
                    if left <= right && right <= third {
                        prop_assert!(left <= third);
                    }
                    if left.comparable(right) && right.comparable(third) {
                        prop_assert!(left.comparable(third));
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_an_update_of_itself_or_of_something_newer(scheme in scheme(), one in text(), two in text()) {
        if let (Some(left), Some(right)) = (scheme.parse(&one), scheme.parse(&two)) {
            prop_assert_eq!(left.update_type(&left), UpdateType::None);
            let is_newer = left.comparable(&right) && left < right;
            let kind = left.update_type(&right);
            if is_newer {
                prop_assert_ne!(kind, UpdateType::None);
            } else if left.comparable(&right) {
                prop_assert!(matches!(kind, UpdateType::None | UpdateType::Build));
            }
        }
    }

    #[test]
    fn k3s_forms_are_equal(major in 0u64..3, minor in 0u64..40, patch in 0u64..20, revision in 0u64..12) {
        let plus = format!("v{major}.{minor}.{patch}+k3s{revision}");
        let munged = format!("{major}.{minor}.{patch}-k3s{revision}");
        prop_assert_eq!(Scheme::K3s.parse(&plus), Scheme::K3s.parse(&munged));
        prop_assert!(Scheme::K3s.parse(&plus).is_some());
    }
}
