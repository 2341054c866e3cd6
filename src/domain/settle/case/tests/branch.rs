//! What people did to an update's pins on the branch, in every order.

use rstest::rstest;
use serde_json::json;

use super::*;

/// What a commit did to the pins, as the observer found out.
#[derive(Debug, Clone, Copy)]
enum Did {
    /// Back at the old text.
    Old,
    /// Another version.
    Other,
    /// At the new text again.
    New,
    /// It says that it reverts the commit before it.
    Back,
    /// Something else in the same file.
    Else,
}

use Did::{Back, Else, New, Old, Other};

/// What is said of an update after these commits, and of which one, counted from 1.
fn said_after(commits: &[Did]) -> (String, String) {
    let mut judge = judge(None);
    let id = |at: usize| format!("{:02}{:038}", at + 3, 0);
    let tip = if commits.is_empty() { MERGE.to_owned() } else { id(commits.len() - 1) };
    added(&mut judge, &kustomization(BASE));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    for (at, did) in commits.iter().enumerate() {
        let parent = if at == 0 { MERGE.to_owned() } else { id(at - 1) };
        let mut commit =
            json!({"id": id(at), "parents": [parent.as_str()], "files": ["apps/web/deployment.yaml"]});
        match did {
            Old => commit["reverts"] = json!(["u"]),
            Other => commit["replaces"] = json!(["u"]),
            New => commit["restores"] = json!(["u"]),
            Back => commit["message"] = json!(format!("Revert\n\nThis reverts commit {parent}.\n")),
            Else => {}
        }
        said.extend(tell(&mut judge, 1.5, json!({"commit": commit})));
    }
    said.extend(tell(&mut judge, 2.0, json!({"type": "MODIFIED", "object": kustomization(&tip)})));
    said.extend(judge.advance(Moment(2_500)));
    let last = said.pop().unwrap();
    let by = (0..commits.len()).find(|at| last.reasons[0].text.contains(&id(*at)[..12]));
    let of = by.map(|at| (at + 1).to_string()).unwrap_or_default();
    (last.reasons[0].code.clone(), of)
}

#[rstest]
#[case::nothing_happened(&[], "applied")]
#[case::something_else_in_the_file(&[Else], "applied")]
#[case::taken_back(&[Old], "reverted")]
#[case::reverted_by_git(&[Back], "reverted")]
#[case::replaced(&[Other], "superseded")]
#[case::taken_back_and_put_in_again_by_hand(&[Old, New], "applied")]
#[case::reverted_by_git_and_put_in_again_by_hand(&[Back, New], "applied")]
#[case::reverted_and_that_reverted(&[Back, Back], "applied")]
#[case::taken_back_twice(&[Old, New, Old], "reverted")]
#[case::taken_back_and_touched_again(&[Old, Old], "reverted")]
#[case::replaced_and_put_in_again(&[Other, New], "applied")]
#[case::replaced_and_then_taken_back(&[Other, Old], "reverted")]
#[case::taken_back_and_then_replaced(&[Old, Other], "superseded")]
#[case::something_else_after_it_was_taken_back(&[Old, Else], "reverted")]
#[case::put_in_again_and_touched(&[Old, New, Else], "applied")]
fn after_what_people_did(#[case] commits: &[Did], #[case] code: &str) {
    assert_eq!(said_after(commits).0, code, "{commits:?}");
}

#[test]
fn commit_that_put_another_version_in_place_is_named() {
    assert_eq!(said_after(&[Else, Other, Else]), ("superseded".to_owned(), "2".to_owned()));
}

/// Flux may have fetched what was pushed since the branch was looked at: that is newer, and was said to be old.
#[test]
fn commit_that_nobody_knows_is_not_said_to_be_old() {
    let unknown = "9999999999999999999999999999999999999999";
    let mut judge = judge(None);
    added(&mut judge, &kustomization(unknown));
    added(&mut judge, &deployment(2, true));
    let mut said = merge(&mut judge);
    said.extend(judge.advance(Moment(2_500)));
    let why = &said.last().unwrap().reasons[0];
    assert_eq!(why.code, "not_applied", "{said:?}");
    assert_eq!(why.text, format!("is at {}, which was not seen on the branch", &unknown[..12]));
}
