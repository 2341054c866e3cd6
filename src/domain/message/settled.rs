//! What people are told of an update after its merge: commit status, label and comment with the evidence.
//!
//! All of it follows from the record, so that a pass that was killed says the same again, and nothing twice.

use sha2::{Digest as _, Sha256};

use super::neutral::{code, prose};
use crate::domain::settle::record::{Evidence, Said};
use crate::domain::settle::verdict::{Action, Verdict};
use crate::domain::state::{Stage, Update};

/// Context of the commit status.
pub const STATUS_CONTEXT: &str = "gitops-updater/verify";
/// Label of the pull request of what is held.
pub const HOLD_LABEL: &str = "gitops-updater/hold";
/// Longest description of a commit status, in characters.
const MAX_DESCRIPTION: usize = 140;
/// Rows of the table of evidence.
const MAX_ROWS: usize = 40;
/// Longest text in a cell, in characters.
const MAX_CELL: usize = 400;
/// Longest runbook, in characters.
const MAX_RUNBOOK: usize = 4_000;

/// State of the commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// Under way.
    Pending,
    /// Good.
    Success,
    /// Bad, or held.
    Failure,
}

/// What is told of one update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// State of the status on the merge commit.
    pub light: Light,
    /// Its description, at most 140 characters.
    pub description: String,
    /// Whether the pull request is labelled as held.
    pub label: bool,
    /// The comment on the pull request; `None` where there is nothing to say yet.
    pub comment: Option<String>,
    /// Changes whenever anything of it does.
    pub digest: String,
}

/// By which a comment is found again.
pub fn marker(update_id: &str) -> String {
    format!("<!-- gitops-updater:settled {update_id} -->")
}

/// What is told of an update; `None` before its merge.
pub fn told(update: &Update, evidence: Option<&Evidence>, runbook: Option<&str>) -> Option<Told> {
    let said = evidence.and_then(|evidence| evidence.judgements.last());
    let first = said.and_then(|said| said.reasons.first()).map(|reason| reason.text.as_str());
    let why = update.reason.as_deref().or(first).unwrap_or_default();
    let short = |commit: &str| commit.get(..7).unwrap_or(commit).to_owned();
    let reversal = update.settling.reversal.as_ref();
    let reverted_by = reversal.and_then(|reversal| reversal.commit.as_deref()).map(short);
    let (light, headline) = match (update.stage, &reverted_by) {
        (Stage::Proposed | Stage::Abandoned, _) => return None,
        // Nobody has seen anything of it yet.
        (Stage::Merged, None) if reversal.is_none() => return None,
        (Stage::Verified, _) => {
            let by = update.verified_by.as_deref().unwrap_or("the cluster");
            (Light::Success, format!("verified: {by}"))
        }
        (Stage::Reverted, Some(commit)) => match reversal.and_then(|reversal| reversal.back_at) {
            Some(_) => (Light::Failure, format!("reverted by {commit}; healthy again at {}", update.from)),
            None => (Light::Failure, format!("reverted by {commit}")),
        },
        (Stage::Reverted, None) if why.is_empty() => (Light::Failure, "reverted".to_owned()),
        (Stage::Reverted, None) => (Light::Failure, format!("reverted: {why}")),
        (Stage::Held, _) => (Light::Failure, format!("held: {why}")),
        (Stage::Merged | Stage::Rolling, Some(commit)) => (
            Light::Failure,
            format!("reverted by {commit}; watching the cluster come back to {}", update.from),
        ),
        (Stage::Merged | Stage::Rolling, None) => match reversal.and_then(|reversal| reversal.pull_request) {
            Some(number) => (Light::Failure, format!("regressed; the revert is proposed in #{number}")),
            None => (Light::Pending, format!("watching {} be applied", update.to)),
        },
    };
    let description = shortened(&headline, MAX_DESCRIPTION);
    let comment = (light != Light::Pending).then(|| comment(update, &headline, evidence, runbook));
    let label = update.stage == Stage::Held;
    let digest =
        Sha256::digest(format!("{light:?}\n{description}\n{label}\n{}", comment.as_deref().unwrap_or("")));
    let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Some(Told { light, description, label, comment, digest })
}

/// One line of at most `limit` characters.
fn shortened(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|letter| !letter.is_control()).collect();
    if line.chars().count() <= limit {
        return line;
    }
    let start: String = line.chars().take(limit - 1).collect();
    format!("{}…", start.trim_end())
}

fn comment(update: &Update, headline: &str, evidence: Option<&Evidence>, runbook: Option<&str>) -> String {
    let Update { component, from, to, .. } = update;
    let mut text =
        format!("**{} {} → {}: {}**\n", code(component), code(from), code(to), prose(headline, MAX_CELL));
    // A verdict that was given before a hold says more than the last one alone.
    let judgements = evidence.map(|evidence| evidence.judgements.as_slice()).unwrap_or_default();
    if let Some(last) = judgements.last() {
        // Of what a person took out of Git it says nothing any more.
        let is_past =
            update.stage == Stage::Reverted && last.verdict == Verdict::Healthy && !last.of_the_way_back;
        text.push_str(&format!(
            "\n{}: {}, since {}.\n\n",
            if is_past { "Verdict before it was reverted" } else { "Verdict" },
            word(last),
            last.at.strftime("%Y-%m-%d %H:%M:%S UTC")
        ));
        text.push_str(&table(last));
    }
    if judgements.len() > 1 {
        text.push_str("\n<details><summary>What was said before</summary>\n\n| when | verdict | action | why |\n|---|---|---|---|\n");
        for said in judgements.iter().rev().skip(1).take(MAX_ROWS) {
            let why = said.reasons.first().map(|reason| prose(&reason.text, MAX_CELL)).unwrap_or_default();
            text.push_str(&format!(
                "| {} | {} | {} | {} |\n",
                said.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                word(said),
                action(said.action),
                cell(&why)
            ));
        }
        text.push_str("\n</details>\n");
    }
    text.push_str(&nodes(update));
    if update.stage == Stage::Held {
        text.push_str(&next_step(update));
        if let Some(runbook) = runbook {
            text.push_str("\n**What to do**\n\n");
            for line in runbook.chars().take(MAX_RUNBOOK).collect::<String>().lines() {
                // What is not numbered is a list all the same.
                let (sign, plain) = match line.trim().split_once(". ") {
                    Some((number, step)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                        (format!("{number}."), step)
                    }
                    _ => ("-".to_owned(), line.trim()),
                };
                if !plain.is_empty() {
                    text.push_str(&format!("{sign} {}\n", prose(plain, 1_000)));
                }
            }
        }
    }
    text.push_str(&format!("\n{}\n", marker(&update.update_id)));
    text
}

/// What was done about the nodes of a k3s update.
fn nodes(update: &Update) -> String {
    let mut text = String::new();
    if let Some(stop) = &update.settling.stop {
        text.push_str(&format!("\n**Rollout**: {}\n\n", prose(&stop.words(), MAX_CELL)));
        for (plan, before) in &stop.plans {
            text.push_str(&format!("- Plan {}, concurrency {before} before\n", code(plan)));
        }
        for refused in &stop.refused {
            text.push_str(&format!("- not stopped in Git: {}\n", prose(refused, MAX_CELL)));
        }
        if !stop.refused.is_empty() {
            text.push_str(
                "\nWhat is not stopped in Git is stopped by hand: suspend the Kustomization that applies the Plan, and set its \
                 `concurrency` to 0 in the cluster.\n",
            );
        }
        if update.stage == Stage::Held && (stop.commit.is_some() || stop.pull_request.is_some()) {
            text.push_str(&format!(
                "\nThe controller says `Complete` while the rollout is stopped; that proves nothing. To go on, revert the commit \
                 that stopped it, then say `gitops-updater verify --resume` {}.\n",
                code(&update.update_id)
            ));
        }
    }
    if !update.settling.uncordoned.is_empty() {
        text.push_str("\n**Nodes that its Jobs left cordoned**\n\n");
        for (node, noted) in &update.settling.uncordoned {
            let outcome = match &noted.refused {
                Some(refused) => format!("not let have pods again: {}", prose(refused, MAX_CELL)),
                None if noted.is_due() => {
                    format!("to be let have pods again; Job {} left it cordoned", code(&noted.job))
                }
                None => format!("has pods again; Job {} had left it cordoned", code(&noted.job)),
            };
            text.push_str(&format!("- {}: {outcome}\n", code(node)));
        }
    }
    text
}

fn next_step(update: &Update) -> String {
    let id = code(&update.update_id);
    let clears_itself = update.settling.hold.as_ref().is_some_and(|hold| hold.clears_itself);
    if clears_itself {
        return format!(
            "\nThis hold ends by itself when what is missing is seen. A person who has looked may say \
             `gitops-updater verify --accept` {id}, or tick the box on the dashboard.\n"
        );
    }
    format!(
        "\nOnly a person ends this hold: `gitops-updater verify --accept` {id} where all is good, \
         `gitops-updater verify --resume` {id} to have it judged anew, or the boxes on the dashboard.\n\
         \nWhether it can be reverted: {} ({}).\n",
        update.revert.safety.as_str(),
        prose(&update.revert.why, MAX_CELL)
    )
}

fn table(said: &Said) -> String {
    if said.reasons.is_empty() {
        return String::new();
    }
    let mut text = "| what | object | why |\n|---|---|---|\n".to_owned();
    for reason in said.reasons.iter().take(MAX_ROWS) {
        let object = reason.object.as_deref().map(code).unwrap_or_default();
        text.push_str(&format!(
            "| {} | {object} | {} |\n",
            code(&reason.code),
            cell(&prose(&reason.text, MAX_CELL))
        ));
    }
    text
}

/// Markdown of one line as a cell of a table, which ends at a bar.
fn cell(markdown: &str) -> String {
    markdown.replace("\\|", "|").replace('|', "\\|")
}

fn word(said: &Said) -> &'static str {
    match (said.verdict, said.of_the_way_back) {
        (Verdict::Healthy, false) => "healthy",
        (Verdict::Regressed, false) => "regressed",
        (Verdict::Unknown, false) => "unknown",
        (Verdict::Inconclusive, false) => "inconclusive",
        (Verdict::Healthy, true) => "healthy again after the revert",
        (Verdict::Regressed, true) => "regressed after the revert",
        (Verdict::Unknown, true) => "unknown after the revert",
        (Verdict::Inconclusive, true) => "inconclusive after the revert",
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Wait => "wait",
        Action::Complete => "complete",
        Action::Revert => "revert",
        Action::Hold => "hold",
        Action::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lifecycle::tests::update;
    use crate::domain::plan::Approval;
    use crate::domain::settle::record::{RolloutStop, Uncordoned};

    #[test]
    fn comment_says_how_far_a_rollout_is_stopped_and_how_to_go_on() {
        let at = || "2026-11-21T12:00:00Z".parse().unwrap();
        let mut held = update(Stage::Held, Some(3), Approval::Review);
        let refused = "system-upgrade/agent: a variable sets it".to_owned();
        held.settling.stop = Some(RolloutStop {
            decided_at: at(),
            decided_on: None,
            reason: "a Job failed".to_owned(),
            plans: [("system-upgrade/agent".to_owned(), 2), ("system-upgrade/server".to_owned(), 1)].into(),
            refused: vec![refused],
            branch: None,
            pull_request: None,
            commit: Some("0123456789".to_owned()),
            in_force_at: None,
        });
        let job = "system-upgrade/apply-n0".to_owned();
        let noted =
            |done_at, refused| Uncordoned { at: at(), job: job.clone(), since: Some(at()), done_at, refused };
        let refused = Some("somebody changed it meanwhile".to_owned());
        held.settling.uncordoned = [
            ("n0".to_owned(), noted(Some(at()), None)),
            ("n1".to_owned(), noted(None, None)),
            ("n2".to_owned(), noted(None, refused)),
        ]
        .into();
        let comment = told(&held, None, None).unwrap().comment.unwrap();
        for expected in [
            "no further node follows when Flux has applied",
            "- Plan `system-upgrade/server`, concurrency 1 before",
            "- not stopped in Git: ",
            "stopped by hand",
            "To go on, revert the commit that stopped it, then say `gitops-updater verify --resume` `update-20261121-100000`",
            "- `n0`: has pods again; Job `system-upgrade/apply-n0` had left it cordoned",
            "- `n1`: to be let have pods again; Job `system-upgrade/apply-n0` left it cordoned",
            "- `n2`: not let have pods again: somebody changed it meanwhile",
        ] {
            assert!(comment.contains(expected), "{expected}\n{comment}");
        }
    }
}
