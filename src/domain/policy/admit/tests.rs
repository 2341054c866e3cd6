use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::domain::policy::Gates;
use crate::domain::select::Ignored;
use crate::domain::upstream::Candidate;
use crate::domain::version::range::Range;

const NOW: &str = "2026-11-21T12:00:00Z";

fn applied<T>(value: T, by: &str) -> Applied<T> {
    Applied { value, by: by.to_owned() }
}

fn candidate(version: &str) -> Candidate {
    Candidate { version: version.to_owned(), ..Candidate::default() }
}

/// Gate or hold in one line: `review by default`, `held: skip by default`.
fn asked(policy: &ComponentPolicy, scheme: Scheme, from: &str, candidate: &Candidate) -> String {
    let step = Considered {
        component: "x",
        from,
        candidate,
        update_type: step_type(scheme, None, from, &candidate.version),
        scheme,
        tag_prefix: None,
    };
    shown(admit(policy, &step, NOW.parse().unwrap()))
}

fn shown(admission: Admission) -> String {
    match admission {
        Admission::Allow { approval, policy_applied, .. } => {
            format!("{} by {policy_applied}", approval.as_str())
        }
        Admission::Hold(Hold { gate, policy_applied, until: None, .. }) => {
            format!("held: {gate} by {policy_applied}")
        }
        Admission::Hold(Hold { gate, policy_applied, until: Some(until), .. }) => {
            format!("held: {gate} by {policy_applied} until {until}")
        }
    }
}

#[rstest]
#[case::patch_is_reviewed(Scheme::Semver, "1.2.3", "1.2.4", "review by default")]
#[case::minor_is_reviewed(Scheme::Semver, "1.2.3", "1.3.0", "review by default")]
#[case::major_is_manual(Scheme::Semver, "1.2.3", "2.0.0", "manual by default")]
#[case::prerelease_is_skipped(Scheme::Semver, "1.2.3", "1.3.0-rc.1", "held: skip by default")]
#[case::next_prerelease_is_skipped(Scheme::Semver, "1.3.0-rc.1", "1.3.0-rc.2", "held: skip by default")]
#[case::release_after_its_prerelease_is_a_patch(Scheme::Semver, "1.3.0-rc.1", "1.3.0", "review by default")]
#[case::build_counts_as_patch(Scheme::K3s, "v1.33.4+k3s1", "v1.33.4+k3s2", "review by default")]
#[case::build_ten_is_after_build_two(Scheme::K3s, "v1.33.4+k3s2", "v1.33.4+k3s10", "review by default")]
#[case::patch_of_k3s(Scheme::K3s, "v1.33.4+k3s1", "v1.33.5+k3s1", "review by default")]
#[case::release_candidate_of_k3s(Scheme::K3s, "v1.33.4+k3s1", "v1.33.5-rc1+k3s1", "held: skip by default")]
#[case::tag_of_the_same_form(Scheme::ImageTag, "1.2-alpine", "1.3-alpine", "review by default")]
#[case::tag_of_another_form_is_held(
    Scheme::ImageTag,
    "1.2-alpine",
    "1.3-debian",
    "held: unknown by built in"
)]
#[case::dates_are_held(Scheme::ImageTag, "20260101", "20260201", "held: unknown by built in")]
#[case::lower_version_is_held(Scheme::Semver, "1.2.3", "1.2.2", "held: not_an_upgrade by built in")]
#[case::lower_build_is_held(Scheme::K3s, "v1.33.4+k3s2", "v1.33.4+k3s1", "held: not_an_upgrade by built in")]
#[case::same_version_is_held(Scheme::Semver, "1.2.3", "1.2.3", "held: not_an_upgrade by built in")]
#[case::same_version_in_another_form_is_held(
    Scheme::Semver,
    "v1.2.3",
    "1.2.3",
    "held: not_an_upgrade by built in"
)]
#[case::leading_zeros_are_read(Scheme::Semver, "2024.10.1", "2024.11.01", "review by default")]
#[case::word_is_held(Scheme::Semver, "1.2.3", "latest", "held: unparsable by built in")]
#[case::unreadable_current_version_is_held(
    Scheme::K3s,
    "stable",
    "v1.33.4+k3s1",
    "held: unparsable by built in"
)]
#[case::nothing_is_held(Scheme::Semver, "", "1.0.0", "held: unparsable by built in")]
fn step_is_approved_by_its_kind(
    #[case] scheme: Scheme,
    #[case] from: &str,
    #[case] to: &str,
    #[case] expected: &str,
) {
    assert_eq!(asked(&ComponentPolicy::default(), scheme, from, &candidate(to)), expected);
}

fn strict() -> ComponentPolicy {
    ComponentPolicy {
        gates: Gates {
            patch: applied(Approval::Auto, "patch key"),
            digest: applied(Approval::Auto, "digest key"),
            build: Some(applied(Approval::Manual, "build key")),
            ..Gates::default()
        },
        minimum_release_age: applied(Duration::from_secs(3 * 86_400), "age key"),
        allowed: vec![applied(Range::parse("<1.30").unwrap(), "allowed key")],
        denied: ["1.2.9", "~1.4", "v1.33.4+k3s1"]
            .map(|text| applied(Ignored::parse(text).unwrap(), "denied key"))
            .into(),
        ..ComponentPolicy::default()
    }
}

#[rstest]
#[case::old_enough("1.2.4", Some("2026-11-18T12:00:00Z"), "auto by patch key")]
#[case::a_moment_too_young(
    "1.2.4",
    Some("2026-11-18T12:00:01Z"),
    "held: release_age by age key until 2026-11-21T12:00:01Z"
)]
#[case::released_in_the_future(
    "1.2.4",
    Some("2026-12-01T00:00:00Z"),
    "held: release_age by age key until 2026-12-04T00:00:00Z"
)]
#[case::without_a_date("1.2.4", None, "held: release_age by age key")]
#[case::denied_version("1.2.9", Some("2026-01-01T00:00:00Z"), "held: denied by denied key")]
#[case::denied_range("1.4.7", Some("2026-01-01T00:00:00Z"), "held: denied by denied key")]
#[case::prerelease_in_a_denied_range("1.4.7-rc.1", Some("2026-01-01T00:00:00Z"), "held: skip by default")]
#[case::not_allowed("1.30.0", Some("2026-01-01T00:00:00Z"), "held: allowed by allowed key")]
fn version_must_be_allowed_not_denied_and_old_enough(
    #[case] to: &str,
    #[case] released_at: Option<&str>,
    #[case] expected: &str,
) {
    let candidate = Candidate { released_at: released_at.map(|at| at.parse().unwrap()), ..candidate(to) };
    assert_eq!(asked(&strict(), Scheme::Semver, "1.2.3", &candidate), expected);
}

#[test]
fn one_build_of_k3s_is_denied_and_the_next_is_not() {
    let policy = ComponentPolicy {
        allowed: vec![],
        minimum_release_age: Applied::default_of(Duration::ZERO),
        ..strict()
    };
    let to = |version| asked(&policy, Scheme::K3s, "v1.33.4+k3s0", &candidate(version));
    assert_eq!(to("v1.33.4+k3s1"), "held: denied by denied key");
    assert_eq!(to("v1.33.4-k3s1"), "held: denied by denied key", "the same version in another form");
    assert_eq!(to("v1.33.4+k3s2"), "manual by build key");
}

#[test]
fn moved_digest_is_a_step_and_its_age_is_unknown() {
    let moved = Candidate {
        digest: Some("sha256:0".to_owned()),
        released_at: Some("2020-01-01T00:00:00Z".parse().unwrap()),
        ..candidate("latest")
    };
    let scheme = Scheme::ImageTag;
    assert_eq!(asked(&ComponentPolicy::default(), scheme, "latest", &moved), "review by default");
    assert_eq!(asked(&strict(), scheme, "latest", &moved), "held: release_age by age key");
    let young = ComponentPolicy { minimum_release_age: Applied::default_of(Duration::ZERO), ..strict() };
    assert_eq!(asked(&young, scheme, "latest", &moved), "auto by digest key");
}

#[test]
fn what_cannot_be_installed_is_held_and_what_is_deprecated_waits_for_a_person() {
    let broken = Candidate { unusable: Some("no archive".to_owned()), ..candidate("1.2.4") };
    let deprecated = Candidate { deprecated: true, ..candidate("1.2.4") };
    let policy = ComponentPolicy::default();
    assert_eq!(asked(&policy, Scheme::Semver, "1.2.3", &broken), "held: unusable by built in");
    assert_eq!(asked(&policy, Scheme::Semver, "1.2.3", &deprecated), "manual by built in");
    let deprecated = Candidate { deprecated: true, ..candidate("1.3.0-rc.1") };
    assert_eq!(asked(&policy, Scheme::Semver, "1.2.3", &deprecated), "held: skip by default");
}

#[test]
fn publishers_mark_makes_a_prerelease() {
    let marked = Candidate { prerelease: Some(true), ..candidate("1.3.0") };
    assert_eq!(asked(&ComponentPolicy::default(), Scheme::Semver, "1.2.3", &marked), "held: skip by default");
}

#[test]
fn prefix_of_tags_is_not_part_of_the_version() {
    let to = candidate("chart-1.3.0");
    let step = Considered {
        component: "x",
        from: "chart-1.2.0",
        candidate: &to,
        update_type: UpdateType::Minor,
        scheme: Scheme::Semver,
        tag_prefix: Some("chart-"),
    };
    let now = NOW.parse().unwrap();
    assert_eq!(shown(admit(&ComponentPolicy::default(), &step, now)), "review by default");
    let denied = vec![applied(Ignored::parse("1.3.0").unwrap(), "key")];
    let policy = ComponentPolicy { denied, ..ComponentPolicy::default() };
    assert_eq!(shown(admit(&policy, &step, now)), "held: denied by key");
}

#[test]
fn of_what_a_step_is_and_is_taken_for_the_stricter_gate_holds() {
    let to = candidate("2.0.0");
    let step = |update_type| Considered {
        component: "x",
        from: "1.0.0",
        candidate: &to,
        update_type,
        scheme: Scheme::Semver,
        tag_prefix: None,
    };
    let now = NOW.parse().unwrap();
    let policy = ComponentPolicy::default();
    assert_eq!(shown(admit(&policy, &step(UpdateType::Patch), now)), "manual by default");
    assert_eq!(shown(admit(&policy, &step(UpdateType::Prerelease), now)), "held: skip by default");
    assert_eq!(shown(admit(&policy, &step(UpdateType::Unknown), now)), "held: unknown by built in");
}

#[test]
fn reviewer_is_told_every_gate_that_was_passed() {
    let to = Candidate { released_at: Some("2026-11-01T00:00:00Z".parse().unwrap()), ..candidate("1.2.4") };
    let step = Considered {
        component: "x",
        from: "1.2.3",
        candidate: &to,
        update_type: UpdateType::Patch,
        scheme: Scheme::Semver,
        tag_prefix: None,
    };
    let admission = admit(&strict(), &step, NOW.parse().unwrap());
    let Admission::Allow { reasons, .. } = &admission else { panic!("{admission:?}") };
    assert_eq!(
        reasons,
        &[
            "patch updates: `auto` (patch key)",
            "within the allowed versions `<1.30` (allowed key)",
            "released at 2026-11-01T00:00:00Z, at least 3 days ago (age key)",
        ]
    );
}

proptest! {
    /// What is allowed is newer, of a known kind, and neither skipped nor denied; anything else is held.
    #[test]
    fn nothing_is_allowed_that_is_not_newer(
        from in "(v?[0-2]\\.[0-2]\\.[0-2](-rc\\.[12])?(\\+k3s[12])?|[a-z]{1,3}|)",
        to in "(v?[0-2]\\.[0-2]\\.[0-2](-rc\\.[12])?(\\+k3s[12])?|[a-z]{1,3}|)",
        scheme in proptest::sample::select(vec![Scheme::Semver, Scheme::K3s, Scheme::ImageTag, Scheme::Loose]),
    ) {
        let verdict = asked(&ComponentPolicy::default(), scheme, &from, &candidate(&to));
        if !verdict.starts_with("held") {
            let (from, to) = (scheme.parse(&from).unwrap(), scheme.parse(&to).unwrap());
            prop_assert!(to > from || from.update_type(&to) == UpdateType::Build);
            // Another build of the pre-release that is installed is no step to a pre-release.
            let build = from.update_type(&to) == UpdateType::Build;
            prop_assert!(from.comparable(&to) && (build || !to.is_prerelease()));
        }
    }
}

#[rstest]
#[case::the_one_that_was_declined("6.5.0", "6.5.2", true)]
#[case::older_patch_that_lacks_what_it_brought("6.5.0", "6.5.1", true)]
#[case::newer_patch("6.5.0", "6.5.3", false)]
#[case::older_minor_was_not_declined("6.4.0", "6.4.9", false)]
#[case::same_version_without_its_v("6.5.0", "v6.5.2", true)]
fn quarantine_keeps_a_version_and_older_patches_of_it_from_being_taken(
    #[case] from: &str,
    #[case] to: &str,
    #[case] is_held: bool,
) {
    let candidate = candidate(to);
    let step = Considered {
        component: "x",
        from,
        candidate: &candidate,
        update_type: UpdateType::Patch,
        scheme: Scheme::Semver,
        tag_prefix: None,
    };
    let declined = |component: &str| Quarantined {
        component: component.to_owned(),
        version: "6.5.2".to_owned(),
        reason: "closed".to_owned(),
        since: NOW.parse().unwrap(),
        update_id: None,
    };
    let hold = quarantined(&step, &[declined("y"), declined("x")]);
    assert_eq!(hold.as_ref().map(|hold| hold.gate), is_held.then_some("quarantine"));
    assert_eq!(quarantined(&step, &[declined("y")]).map(|hold| hold.gate), None);
}
