//! What the body of an open pull request says of the steps that had to come first.
//!
//! It is changed in place, so that it is told whether or not there is a plan to write the whole body from, and so that
//! what people have written there stays.

use super::hidden::{decoded, encoded};
use super::neutral::{code, prose};
use super::proposal::{GateVerdict, Neighbour};
use crate::domain::ground::{Lost, Standing, reason};

const OPEN: &str = "<!-- gitops-updater/ground/v1 ";
const CLOSE: &str = " -->";
/// Longest text, in characters.
const MAX_TEXT: usize = 1_000;
/// Most steps that the hidden comment names.
const MAX_IDS: usize = 8;

/// Words that may stand behind a step that had to come first.
const WORDS: [Standing; 3] = [Standing::Stands, Standing::Leaving, Standing::Reverted];

/// The body with what is lost of the ground of its update said at its top, in the rows of `before` and in the row of the
/// gate `order`; where nothing is lost, as it was before that was said. What it says already is not changed.
pub fn with_ground(body: &str, lost: &[Lost], before: &[Neighbour], order: &GateVerdict) -> String {
    let reason = reason(lost);
    if reason.is_none() && !body.lines().any(is_ours) {
        return body.to_owned();
    }
    let mut text = String::with_capacity(body.len());
    if let Some(reason) = reason {
        let ids: Vec<String> = lost.iter().take(MAX_IDS).map(|lost| encoded(&lost.id)).collect();
        let said = prose(&reason, MAX_TEXT);
        text.push_str(&format!("> **Do not merge this now:** {said}. {OPEN}{}{CLOSE}\n\n", ids.join(" ")));
    }
    let mut is_behind_it = false;
    for line in body.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        if is_ours(line) || is_blank && is_behind_it {
            is_behind_it = !is_blank;
            continue;
        }
        is_behind_it = false;
        let (line, end) = line.split_at(line.trim_end_matches(['\r', '\n']).len());
        let told = before.iter().find_map(|other| row(line, other)).or_else(|| order_row(line, order));
        text.push_str(&told.unwrap_or_else(|| line.to_owned()));
        text.push_str(end);
    }
    text
}

/// Ids of the steps that a body says are lost.
pub fn lost_ids(body: &str) -> Vec<String> {
    let Some(line) = body.lines().find(|line| is_ours(line)) else { return Vec::new() };
    let words = line.split_once(OPEN).and_then(|(_, rest)| rest.split_once(CLOSE));
    words.map(|(words, _)| words.split(' ').filter_map(decoded).take(MAX_IDS).collect()).unwrap_or_default()
}

fn is_ours(line: &str) -> bool {
    line.starts_with('>') && line.contains(OPEN)
}

/// The row of a step that had to come first, with how it is with it now.
fn row(line: &str, other: &Neighbour) -> Option<String> {
    let rest = line.strip_prefix(&format!("- {} ", code(&other.component)))?;
    let (versions, rest) = rest.split_once(&format!("→ {}: ", code(&other.to)))?;
    let word = WORDS.iter().map(|standing| standing.word()).find(|word| rest.starts_with(word))?;
    let begin = &line[..line.len() - rest.len()];
    (!versions.contains('→')).then(|| format!("{begin}{}{}", other.state, &rest[word.len()..]))
}

fn order_row(line: &str, order: &GateVerdict) -> Option<String> {
    let gate = code(&order.gate);
    line.starts_with(&format!("| {gate} |")).then(|| {
        let verdict = if order.passed { "passed" } else { "holds" };
        let (said, by) = (prose(&order.reason, MAX_TEXT), code(&order.policy_applied));
        format!("| {gate} | {verdict} | {said} | {by} |")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(id: &str) -> Lost {
        Lost { id: id.to_owned(), standing: Standing::Reverted }
    }

    fn neighbour(state: Standing) -> Neighbour {
        Neighbour {
            component: "helm/apps/db".to_owned(),
            from: "1.0".to_owned(),
            to: "2.0".to_owned(),
            state: state.word().to_owned(),
            pull_request: Some(3),
            why: "needs db >=2".to_owned(),
        }
    }

    fn order(passed: bool, reason: &str) -> GateVerdict {
        GateVerdict {
            gate: "order".to_owned(),
            passed,
            reason: reason.to_owned(),
            policy_applied: "rules, dependsOn".to_owned(),
        }
    }

    const BODY: &str = "Moves app.\r\n\nHad to come first:\n\n- `helm/apps/db` `1.0` → `2.0`: verified (#3); needs db >=2\n\n\
                        | `order` | passed | `helm/apps/db@2.0` had to come first and is verified | `rules, dependsOn` |\n\
                        | `fetch` | passed | it can be had | `built in` |\n- verified by jane\n<!-- marker -->\n";

    #[test]
    fn ground_that_is_lost_is_told_everywhere_and_once_and_taken_back() {
        let bad = order(false, "`helm/apps/db@2.0`, which had to come first, was taken back since");
        let ids = [lost("helm/apps/db@2.0")];
        let told = with_ground(BODY, &ids, &[neighbour(Standing::Reverted)], &bad);
        insta::assert_snapshot!(told.replace('\r', "␍"), @r"
        > **Do not merge this now:** `helm/apps/db@2.0`, which had to come first, was taken back since. <!-- gitops-updater/ground/v1 helm/apps/db%402.0 -->

        Moves app.␍

        Had to come first:

        - `helm/apps/db` `1.0` → `2.0`: reverted (#3); needs db >=2

        | `order` | holds | `helm/apps/db@2.0`, which had to come first, was taken back since | `rules, dependsOn` |
        | `fetch` | passed | it can be had | `built in` |
        - verified by jane
        <!-- marker -->
        ");
        assert_eq!(lost_ids(&told), ["helm/apps/db@2.0"]);
        assert_eq!(with_ground(&told, &ids, &[neighbour(Standing::Reverted)], &bad), told);
        let good = order(true, "`helm/apps/db@2.0` had to come first and is verified");
        assert_eq!(with_ground(&told, &[], &[neighbour(Standing::Stands)], &good), BODY);
        // What was said is what is lost now, not what was before.
        let others = with_ground(&told, &[lost("k3s@1")], &[], &bad);
        assert_eq!((lost_ids(&others), others.matches(OPEN).count()), (vec!["k3s@1".to_owned()], 1));
    }

    #[test]
    fn body_of_which_nothing_is_lost_stays_as_it_is() {
        let good = order(true, "something else");
        assert_eq!(with_ground(BODY, &[], &[neighbour(Standing::Reverted)], &good), BODY);
    }

    #[test]
    fn body_without_rows_is_told_at_its_top() {
        let bad = order(false, "taken back");
        let told = with_ground("Mine.\n", &[lost("db@2")], &[neighbour(Standing::Reverted)], &bad);
        assert!(told.starts_with("> **Do not merge this now:** `db@2`, which had to come first"), "{told}");
        assert_eq!(with_ground(&told, &[], &[], &bad), "Mine.\n");
    }

    #[test]
    fn words_of_people_are_not_taken_for_ours() {
        for body in ["a > b <!-- gitops-updater/ground/v1 db@2 -->\n", "> quoted\n\ntext\n"] {
            assert_eq!(lost_ids(body), [""; 0]);
            assert_eq!(with_ground(body, &[], &[], &order(true, "")), body);
        }
        assert_eq!(lost_ids("> <!-- gitops-updater/ground/v1 db@2"), [""; 0]);
    }
}
