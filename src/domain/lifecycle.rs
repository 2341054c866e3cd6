//! What a pass does next for one update: pure, one action at a time, the same whoever asks and how often.
//!
//! A pass observes (the record, the pull request, the base branch), asks [`next`] and carries out the one action; the
//! next pass asks again. Nothing here remembers anything.

use jiff::Timestamp;

use super::duration::in_words;
use super::plan::Approval;
use super::policy::Verification;
use super::settle::verdict::Verdict;
use super::state::{Stage, Update};

/// The pull request of an update, as the forge has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPullRequest {
    /// Number.
    pub number: u64,
    /// State.
    pub state: SeenState,
    /// Commit at its head.
    pub head: String,
    /// What checks and statuses of the head say.
    pub checks: SeenChecks,
}

/// State of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenState {
    /// Open.
    Open,
    /// Merged.
    Merged {
        /// Commit on the base branch.
        commit: String,
        /// When.
        at: Timestamp,
    },
    /// Closed without being merged.
    Closed,
}

/// What checks say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeenChecks {
    /// Reported success.
    pub succeeded: usize,
    /// Not done.
    pub pending: usize,
    /// Failed.
    pub failed: usize,
}

/// Whether the plan made now still wants the update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// As it is; an identical change would be made today.
    Same,
    /// The same step, but what it is made of changed on the base branch: its files, or the bytes of the edit.
    Rebuilt,
    /// Another version takes its place.
    Superseded {
        /// That version.
        by: String,
    },
    /// The base branch has the version, or a newer one, already.
    Done,
    /// The plan has no such step any more.
    Gone {
        /// Why.
        reason: String,
    },
    /// The plan has no such step as things are, which is no decision against it: leave everything as it is.
    Held {
        /// Why.
        reason: String,
    },
    /// Nobody can say (an upstream failed, a file cannot be read): leave everything as it is.
    Unknown,
}

/// All that [`next`] looks at.
#[derive(Debug, Clone)]
pub struct Situation<'a> {
    /// The record.
    pub update: &'a Update,
    /// The pull request; `None` where there is none with the update's branch.
    pub seen: Option<&'a SeenPullRequest>,
    /// Somebody else has committed to the branch.
    pub foreign: bool,
    /// The forge and the repository do not agree on what the branch is at: somebody is moving it right now.
    pub moving: bool,
    /// The branch that the pull request is for, where that is not the base branch: somebody has given it another one.
    pub elsewhere: Option<&'a str>,
    /// A person asked for the change to be made anew.
    pub asked_anew: bool,
    /// Whether the plan wants it.
    pub wanted: Wanted,
    /// How a merged step becomes a verified one.
    pub verification: Verification,
    /// Who said that it is verified.
    pub accepted_by: Option<&'a str>,
    /// How the policy of today has the step approved, and the key that says so; `None` where the plan has no such step.
    pub gate: Option<(Approval, &'a str)>,
    /// Why nobody may merge it now, whatever its gate: what had to come first was taken back.
    pub groundless: Option<&'a str>,
    /// Why nothing may be merged now (window, maintenance, what is held), for `auto`.
    pub merge_hold: Option<&'a str>,
    /// An `auto` step may be merged without any check having reported.
    pub checks_optional: bool,
    /// Now.
    pub now: Timestamp,
}

/// The one thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing, and what it waits for.
    Wait {
        /// For people.
        reason: String,
    },
    /// Nothing, for good: the update is over.
    Over,
    /// Finish the proposal: backup point, branch, pull request, whatever is missing.
    Propose,
    /// Make the change again on the base branch as it is now.
    Rebuild,
    /// A person works on the branch.
    HandsOff,
    /// A person has taken the pull request elsewhere: nothing is done to it, nor proposed beside it.
    LeaveAlone {
        /// For people.
        reason: String,
    },
    /// Record that it was merged.
    RecordMerge {
        /// Commit on the base branch.
        commit: String,
        /// When.
        at: Timestamp,
    },
    /// Record that a person does not want this version.
    RecordClosed,
    /// Close the pull request; `reason` is told there.
    Close {
        /// For people.
        reason: String,
    },
    /// Forget that the bot was about to close it: it is wanted again.
    KeepOpen,
    /// Merge it.
    Merge,
    /// Record that it is verified.
    RecordVerified {
        /// Who says so.
        by: String,
    },
}

/// Phase of an update whose pull request the bot itself is closing.
pub const CLOSING: &str = "closing";

/// How the reason to wait begins where the policy verifies what is merged after a time.
pub const BY_TIME: &str = "`verification: merged` takes it for good at";

const UNKNOWN: &str = "it cannot be known whether it is still wanted";
const MOVING: &str = "its branch is being moved; the next pass looks at it again";

/// What to do next for one update.
pub fn next(situation: &Situation<'_>) -> Action {
    match situation.update.stage {
        Stage::Verified | Stage::Reverted | Stage::Abandoned => Action::Over,
        Stage::Held => match situation.accepted_by {
            Some(who) if situation.update.merge_commit.is_some() => {
                Action::RecordVerified { by: format!("accepted by {who}") }
            }
            _ => Action::Wait {
                reason: situation.update.reason.clone().unwrap_or_else(|| "held for a person".to_owned()),
            },
        },
        Stage::Merged | Stage::Rolling => verified(situation),
        Stage::Proposed => proposed(situation),
    }
}

fn proposed(situation: &Situation<'_>) -> Action {
    let update = situation.update;
    let Some(seen) = situation.seen else {
        // A pull request that was never opened, or whose run was killed before it could be.
        return match (&situation.wanted, update.pull_request) {
            // A forge that loses pull requests is not to be trusted with a second one.
            (_, Some(number)) => Action::Wait { reason: format!("pull request #{number} cannot be found") },
            (Wanted::Same | Wanted::Rebuilt, None) => situation.groundless.map_or(Action::Propose, wait),
            (Wanted::Held { reason }, None) => wait(reason),
            (Wanted::Unknown, None) => wait(UNKNOWN),
            (wanted, None) => Action::Close { reason: farewell(wanted) },
        };
    };
    if let Some(branch) = situation.elsewhere
        && let Some(action) = elsewhere(situation, seen, branch)
    {
        return action;
    }
    match &seen.state {
        SeenState::Merged { commit, at } => Action::RecordMerge { commit: commit.clone(), at: *at },
        SeenState::Closed if is_closing(update) => {
            Action::Close { reason: update.reason.clone().unwrap_or_else(|| farewell(&situation.wanted)) }
        }
        SeenState::Closed => Action::RecordClosed,
        // Who closes it from now on does not want it.
        SeenState::Open if is_closing(update) && stays(situation) => Action::KeepOpen,
        SeenState::Open if situation.foreign => Action::HandsOff,
        SeenState::Open if situation.moving => wait(MOVING),
        SeenState::Open if update.pull_request.is_none() => Action::Propose,
        SeenState::Open => match &situation.wanted {
            Wanted::Held { reason } => unmerged(situation, seen).unwrap_or_else(|| wait(reason)),
            Wanted::Unknown => unmerged(situation, seen).unwrap_or_else(|| wait(UNKNOWN)),
            Wanted::Rebuilt => Action::Rebuild,
            Wanted::Same => open(situation, seen),
            wanted => Action::Close { reason: farewell(wanted) },
        },
    }
}

/// What is done about a pull request for another branch than the base branch; `None` where that makes no difference. Its
/// merge is none into the base branch: nothing of it may be recorded, watched or reverted there.
fn elsewhere(situation: &Situation<'_>, seen: &SeenPullRequest, branch: &str) -> Option<Action> {
    let number = seen.number;
    match (&seen.state, &situation.wanted) {
        // Closed by a person, it says the same wherever it is for.
        (SeenState::Closed, _) => None,
        (SeenState::Open, _) if is_closing(situation.update) => None,
        (SeenState::Open, _) => Some(Action::LeaveAlone {
            reason: format!(
                "pull request #{number} is for the branch `{branch}` now; it is left alone until it is for the base branch \
                 again, or closed"
            ),
        }),
        // It came to the base branch in another way, or nobody waits for it any more.
        (SeenState::Merged { .. }, Wanted::Done | Wanted::Gone { .. }) => {
            Some(Action::Close { reason: farewell(&situation.wanted) })
        }
        (SeenState::Merged { .. }, _) if situation.asked_anew => Some(Action::Close {
            reason: format!("merged into `{branch}`; a person asked for it to be proposed anew"),
        }),
        (SeenState::Merged { .. }, _) => Some(Action::LeaveAlone {
            reason: format!(
                "pull request #{number} was merged into the branch `{branch}`; it goes on when the base branch has the \
                 version, or with its box `rebuild` on the dashboard"
            ),
        }),
    }
}

fn is_closing(update: &Update) -> bool {
    update.current_phase.as_deref() == Some(CLOSING)
}

/// Whether an open pull request is not to be closed by the bot.
fn stays(situation: &Situation<'_>) -> bool {
    situation.foreign
        || situation.elsewhere.is_some()
        || matches!(situation.wanted, Wanted::Same | Wanted::Rebuilt | Wanted::Unknown)
}

/// Why a person has to merge it; `None` under the gate `auto`. The stricter counts of what was decided when it was
/// proposed and what policy says now: a policy is changed to be obeyed, and what a look at the target made stricter
/// stays so.
fn needs_a_person(situation: &Situation<'_>) -> Option<String> {
    let stricter = situation.gate.filter(|(gate, _)| *gate > situation.update.gate);
    match stricter {
        Some((gate, by)) => Some(format!("its gate is `{}` now ({by})", gate.as_str())),
        None if situation.update.gate == Approval::Auto => None,
        None => Some(format!("its gate is `{}`", situation.update.gate.as_str())),
    }
}

/// Why a pull request must not be merged by the forge of itself, where that was asked for; `None` while it may.
///
/// What is only pending is no reason: the forge was asked when everything was green, and its own rules wait.
pub fn forbids_merge(situation: &Situation<'_>) -> Option<String> {
    let unwanted = match &situation.wanted {
        Wanted::Same => None,
        Wanted::Rebuilt => Some("its branch is made anew on the base branch of today".to_owned()),
        Wanted::Unknown => Some(UNKNOWN.to_owned()),
        wanted => Some(farewell(wanted)),
    };
    let failed = situation.seen.map_or(0, |seen| seen.checks.failed);
    let foreign = situation.foreign.then(|| "somebody else has committed to its branch".to_owned());
    let elsewhere = situation.elsewhere.map(|branch| format!("it is for the branch `{branch}` now"));
    elsewhere
        .or(foreign)
        .or_else(|| situation.moving.then(|| MOVING.to_owned()))
        .or_else(|| needs_a_person(situation))
        .or(unwanted)
        .or_else(|| situation.merge_hold.map(str::to_owned))
        .or_else(|| (failed > 0).then(|| format!("{failed} of its checks failed")))
}

/// Waiting with an open pull request that nobody may merge now.
fn unmerged(situation: &Situation<'_>, seen: &SeenPullRequest) -> Option<Action> {
    let why = situation.groundless?;
    Some(wait(&format!("pull request #{} must not be merged now: {why}", seen.number)))
}

/// An open pull request that is as it should be.
fn open(situation: &Situation<'_>, seen: &SeenPullRequest) -> Action {
    if let Some(action) = unmerged(situation, seen) {
        return action;
    }
    if let Some(why) = needs_a_person(situation) {
        return wait(&format!("pull request #{} waits for a person to merge it: {why}", seen.number));
    }
    let checks = seen.checks;
    match situation.merge_hold {
        Some(reason) => wait(reason),
        None if checks.failed > 0 => {
            wait(&format!("{} of the checks of pull request #{} failed", checks.failed, seen.number))
        }
        None if checks.pending > 0 => {
            wait(&format!("{} of the checks of pull request #{} are not done", checks.pending, seen.number))
        }
        None if checks.succeeded == 0 && !situation.checks_optional => wait(&format!(
            "no check of pull request #{} has reported success; `pull_requests: {{require_checks: false}}` merges \
                 without one",
            seen.number
        )),
        None => Action::Merge,
    }
}

fn verified(situation: &Situation<'_>) -> Action {
    if let Some(who) = situation.accepted_by {
        return Action::RecordVerified { by: format!("accepted by {who}") };
    }
    let update = situation.update;
    let reversal = update.settling.reversal.as_ref();
    let reverted_at = reversal.and_then(|reversal| reversal.made_at);
    let is_bad = reversal.is_some() || update.settling.verdict == Some(Verdict::Regressed);
    if is_bad && reverted_at.is_none() {
        return wait(update.reason.as_deref().unwrap_or("it regressed"));
    }
    let Verification::Merged { settle } = situation.verification else {
        // Who looked at it, or made its record anew, said more.
        return wait(
            update.reason.as_deref().unwrap_or("the cluster, or a person, has to say that it is healthy"),
        );
    };
    // What was reverted has as much time to come back as it would have had to settle.
    let Some(merged_at) = reverted_at.or(update.merged_at) else {
        return wait("it is not known when it was merged");
    };
    let what = if reverted_at.is_some() { "its revert" } else { "its merge" };
    let after = format!("{} after {what}", in_words(settle));
    let settled =
        jiff::SignedDuration::try_from(settle).ok().and_then(|settle| merged_at.checked_add(settle).ok());
    match settled {
        Some(settled) if settled <= situation.now => {
            Action::RecordVerified { by: format!("policy `verification: merged`, {after}") }
        }
        Some(settled) => wait(&format!("{BY_TIME} {settled}, {after}, unless it is held or reverted before")),
        None => wait("the time to settle has no end"),
    }
}

fn wait(reason: &str) -> Action {
    Action::Wait { reason: reason.to_owned() }
}

/// Why a pull request is closed.
fn farewell(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Superseded { by } => format!("{by} takes its place"),
        Wanted::Done => "the base branch has this version already".to_owned(),
        Wanted::Gone { reason } | Wanted::Held { reason } => reason.clone(),
        Wanted::Same | Wanted::Rebuilt | Wanted::Unknown => "it is not wanted any more".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
