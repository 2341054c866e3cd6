//! `verify`: say of a merged update that it is good.

use clap::Args;

use super::GlobalArgs;
use super::error::{CommandError, Outcome};
use super::opened::block_on;
use super::workplace::{PlaceArgs, blocking};
use crate::app::pass::{delete_branch, mark_verified, may_be_verified};
use crate::domain::state::{Stage, State, Update};
use crate::repo::printable;

/// Say of merged updates that they are good, so that the sequence moves on
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: PlaceArgs,

    /// Update id, as `gitops-updater status` shows it (repeatable)
    #[arg(long = "accept", value_name = "ID", required = true)]
    accept: Vec<String>,

    /// Who says so [default: `user.name` of Git]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no update `{0}`")]
    Unknown(String),
    #[error("update `{id}` cannot be accepted: it is {stage}, and only what is merged can be good")]
    NotMerged { id: String, stage: &'static str },
}

pub(super) fn run(args: &VerifyArgs, global: &GlobalArgs) -> Result<Outcome, CommandError> {
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
        let mut told = String::new();
        for id in &args.accept {
            let update = check(&loaded.state, id)?;
            told.push_str(&format!(
                "{} {} → {} is verified: accepted by {}\n",
                printable(&update.component),
                printable(&update.from),
                printable(&update.to),
                printable(&by)
            ));
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
                    Ok(refs) => {
                        refs.branch(&update.branch).map_or(Ok(()), |head| delete_branch(&repo, &update, head))
                    }
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
        global.output().write(&told)?;
        Ok(Outcome::Done)
    })
}

fn check<'s>(state: &'s State, id: &str) -> Result<&'s Update, CommandError> {
    let update = state.updates.get(id).ok_or_else(|| {
        CommandError::failed(Error::Unknown(id.to_owned())).hint("`gitops-updater status` lists them")
    })?;
    if may_be_verified(update) {
        return Ok(update);
    }
    let stage = match update.stage {
        Stage::Merged | Stage::Rolling => "merged",
        // Accepting twice is no error.
        Stage::Verified => return Ok(update),
        Stage::Proposed => "proposed",
        Stage::Reverted => "reverted",
        Stage::Held => "held",
        Stage::Abandoned => "abandoned",
    };
    let error = CommandError::failed(Error::NotMerged { id: id.to_owned(), stage });
    Err(if update.stage == Stage::Proposed {
        error.hint("where its pull request is merged, `gitops-updater run` records that first")
    } else {
        error
    })
}
