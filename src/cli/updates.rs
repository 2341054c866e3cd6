//! Updates that are named on the command line.

use super::error::CommandError;
use crate::domain::near::near;
use crate::domain::settle::record::{Breaker, Said};
use crate::domain::settle::verdict::Verdict;
use crate::domain::state::{Stage, State, Update};

#[derive(Debug, thiserror::Error)]
#[error("there is no update `{0}`")]
struct Unknown(String);

/// The update with this id, or the ids that may have been meant: those like it, and those of the component that was
/// named in its place.
pub(super) fn update<'s>(state: &'s State, id: &str) -> Result<&'s Update, CommandError> {
    if let Some(update) = state.updates.get(id) {
        return Ok(update);
    }
    let of_component = |update: &&Update| update.component == id;
    let mut like: Vec<&Update> = state.updates.values().filter(of_component).collect();
    // The newest is the one that people speak of.
    like.sort_by_key(|update| std::cmp::Reverse(update.started_at));
    if like.is_empty() {
        let ids = near(id, state.updates.keys().map(String::as_str));
        like = ids.into_iter().filter_map(|id| state.updates.get(id)).collect();
    }
    let named = |update: &Update| format!("`{}` ({} {})", update.update_id, update.component, update.to);
    let like: Vec<String> = like.into_iter().take(3).map(named).collect();
    let error = CommandError::failed(Unknown(id.to_owned()));
    Err(match like.as_slice() {
        [] => error.hint("`gitops-updater status` lists them"),
        like => error.hint(format!("did you mean {}?", like.join(" or "))),
    })
}

/// That too many reverts have stopped proposing and merging, and what lets it go on: a sentence each.
pub(super) fn breaker_is_open(breaker: &Breaker) -> [String; 2] {
    [
        format!("The circuit breaker is open: {}.", breaker.reason()),
        "Whoever has looked lets it go on by `gitops-updater verify --close-breaker`, or its box on the dashboard."
            .to_owned(),
    ]
}

/// What a person may do for an update that is held for one, or is merged and nobody says anything of; `said` is what was
/// said last.
pub(super) fn next_for_a_person(update: &Update, said: Option<&Said>) -> Option<String> {
    let id = &update.update_id;
    if update.stage == Stage::Held && update.settling.hold.as_ref().is_none_or(|hold| !hold.clears_itself) {
        let good = "a person ends this: where it is good by `gitops-updater verify --accept";
        return Some(format!(
            "{good} {id}`, to have it judged anew by `gitops-updater verify --resume {id}`"
        ));
    }
    // Nobody can say that what cannot be seen is good.
    if said.is_some_and(|said| said.reasons.iter().any(|reason| reason.code == "out_of_sight")) {
        return None;
    }
    let is_open = matches!(update.stage, Stage::Merged | Stage::Rolling)
        && update.settling.hold.is_none()
        && update.settling.reversal.is_none();
    let is_unseen = said.is_none_or(|said| said.verdict == Verdict::Unknown);
    (is_open && is_unseen)
        .then(|| format!("where it is good, say so: `gitops-updater verify --accept {}`", update.update_id))
}
