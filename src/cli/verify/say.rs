//! What a person says of updates: that they are good, are to be judged anew, or that reverts were looked at.

use serde::Serialize;

use super::VerifyArgs;
use crate::app::pass::{close_breaker, delete_branch, mark_verified, may_be_verified, resume};
use crate::cli::GlobalArgs;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::form;
use crate::cli::markdown::folded;
use crate::cli::opened::block_on;
use crate::cli::updates::update;
use crate::cli::workplace::blocking;
use crate::domain::state::{Stage, State, Update};
use crate::repo::printable;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("update `{id}` cannot be accepted: it is {stage}, and only what is merged can be good")]
    NotMerged { id: String, stage: &'static str },
    #[error("update `{id}` cannot be taken up again: it is {stage}, and only what is held can be")]
    NotHeld { id: String, stage: &'static str },
}

/// What was done, as scripts read it.
#[derive(Serialize)]
struct Done<'a> {
    schema: &'static str,
    did: &'a [String],
}

/// Records what a person says; what was done, a sentence a line.
pub(super) fn say(args: &VerifyArgs, global: &GlobalArgs) -> Result<Vec<String>, CommandError> {
    block_on(async {
        let place = args.place.open(global).await?;
        let by = args.by.clone().unwrap_or_else(|| place.person().name);
        let (store, now) = (place.state(), place.now());
        let loaded = {
            let store = store.clone();
            blocking(move || store.load()).await?
        };
        loaded.may_build()?;
        // All or none, as far as can be known before.
        let mut told = Vec::new();
        for id in &args.accept {
            let update = check(&loaded.state, id)?;
            told.push(match update.stage {
                Stage::Verified => format!("{} was verified already", step(update)),
                _ => format!("{} is verified: accepted by {}", step(update), printable(&by)),
            });
        }
        for id in &args.resume {
            let update = update(&loaded.state, id)?;
            if update.stage != Stage::Held {
                let stage = stage_word(update.stage);
                return Err(CommandError::failed(Error::NotHeld { id: id.clone(), stage }));
            }
            told.push(format!("{} is taken up again by {}", step(update), printable(&by)));
        }
        for id in args.resume.clone() {
            let (store, by) = (store.clone(), by.clone());
            blocking(move || store.change(now, |state| resume(state, &id, &by, now))).await?;
        }
        for id in args.accept.clone() {
            let (store, by) = (store.clone(), format!("accepted by {by}"));
            let changed = {
                let id = id.clone();
                blocking(move || store.change(now, |state| mark_verified(state, &id, &by, now))).await?
            };
            let Some(update) = changed.loaded.state.updates.get(&id).cloned() else { continue };
            let repo = place.repo.clone();
            blocking(move || -> Result<(), CommandError> {
                let removed = match repo.refs() {
                    Ok(refs) => refs
                        .branch(&update.branch)
                        .map_or(Ok(false), |head| delete_branch(&repo, &update, head)),
                    Err(error) => Err(error),
                };
                // It is verified all the same.
                if let Err(error) = removed {
                    tracing::warn!(branch = update.branch, reason = %error, "branch not deleted");
                }
                Ok(())
            })
            .await?;
        }
        if args.close_breaker {
            let (store, by) = (store.clone(), by.clone());
            let changed = blocking(move || store.change(now, |state| close_breaker(state, &by))).await?;
            let closed = match changed.transition {
                Some(_) => "the circuit breaker is closed: proposing and merging go on",
                None => "the circuit breaker was not open",
            };
            told.push(closed.to_owned());
        }
        Ok(told)
    })
}

/// Tells what was done.
pub(super) fn tell(said: &[String], global: &GlobalArgs) -> Result<Outcome, CommandError> {
    let done = Done { schema: "gitops-updater/said/v1", did: said };
    form::write(global, &done, || said.iter().map(|line| folded(line, 0) + "\n").collect())
}

fn step(update: &Update) -> String {
    let Update { component, from, to, .. } = update;
    format!("{} {} → {}", printable(component), printable(from), printable(to))
}

fn check<'s>(state: &'s State, id: &str) -> Result<&'s Update, CommandError> {
    let update = update(state, id)?;
    // Accepting twice is no error.
    if may_be_verified(update) || update.stage == Stage::Verified {
        return Ok(update);
    }
    let stage = stage_word(update.stage);
    let error = CommandError::failed(Error::NotMerged { id: id.to_owned(), stage });
    Err(if update.stage == Stage::Proposed {
        error.hint("where its pull request is merged, `gitops-updater run` records that first")
    } else {
        error
    })
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Proposed => "proposed",
        Stage::Merged | Stage::Rolling => "merged",
        Stage::Verified => "verified",
        Stage::Reverted => "reverted",
        Stage::Held => "held",
        Stage::Abandoned => "abandoned",
    }
}
