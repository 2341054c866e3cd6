//! What a person should know beside the choice.

use super::*;

#[test]
fn warnings_say_what_is_wrong_with_the_installed_version() {
    let warnings = |current: &str, answer: &Answer| {
        choose_from(&exact(current), Scheme::Semver, &Wish::default(), answer).warnings.join("\n")
    };
    let mut answer = published(&["1.0.0", "1.1.0", "1.2.0"]);
    insta::assert_snapshot!(warnings("1.0.0", &answer), @"");
    insta::assert_snapshot!(warnings("0.9.0", &answer), @"");
    insta::assert_snapshot!(warnings("1.0.5", &answer), @"the upstream does not list the installed version `1.0.5`: it was withdrawn or never published");
    insta::assert_snapshot!(warnings("1.3.0", &answer), @"the installed version `1.3.0` is newer than every published one (newest: `1.2.0`)");

    answer.candidates[0].unusable = Some("it was withdrawn".to_owned());
    insta::assert_snapshot!(warnings("1.0.0", &answer), @"the installed version `1.0.0` cannot be installed any more: it was withdrawn");

    answer.notes.push("the list was cut off".to_owned());
    insta::assert_snapshot!(warnings("1.0.5", &answer), @"");
}

#[test]
fn chart_is_deprecated_when_its_newest_version_says_so() {
    let mut answer = published(&["1.0.0", "1.1.0", "2.0.0-rc.1"]);
    answer.candidates[0].deprecated = true;
    let given = exact("1.0.0");
    assert!(choose_from(&given, Scheme::Semver, &Wish::default(), &answer).warnings.is_empty());
    answer.candidates[1].deprecated = true;
    let selection = choose_from(&given, Scheme::Semver, &Wish::default(), &answer);
    insta::assert_snapshot!(selection.warnings.join("\n"), @"the chart is deprecated: its newest version `1.1.0` says so");
}

#[test]
fn date_that_runs_against_the_number_is_a_warning() {
    let dated = |version: &str, date: &str| Candidate { released_at: Some(day(date)), ..candidate(version) };
    let candidates = vec![dated("v1.33.9+k3s1", "2026-08-03"), dated("v1.34.1+k3s1", "2026-07-30")];
    let answer = Answer { candidates, ..Answer::default() };
    let selection = choose_from(&exact("v1.33.9+k3s1"), Scheme::K3s, &Wish::default(), &answer);
    insta::assert_snapshot!(selection.warnings.join("\n"), @"`v1.34.1+k3s1` was released on 2026-07-30, before the lower `v1.33.9+k3s1` on 2026-08-03");
}
