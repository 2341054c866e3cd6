//! What comes of bringing the files of a backup point back: which versions are left, and whether that does harm.

use std::collections::{BTreeMap, BTreeSet};

use super::found_at;
use crate::app::detect::Found;
use crate::app::rollback::{self, Left, said_by};
use crate::backup::Scope;
use crate::cli::error::CommandError;
use crate::cli::rollback::{Return, judged, refuse, update_to, version};
use crate::cli::workplace::{Workplace, blocking};
use crate::domain::backup::{BackupPoint, Saved};
use crate::domain::component::Component;
use crate::repo::write::Id;

/// A version that goes back, for people and scripts.
#[derive(Debug, serde::Serialize)]
pub(super) struct Going {
    pub(super) component: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// What a reviewer is told, once it is known that it may be done.
#[derive(Default)]
pub(super) struct Told {
    pub(super) versions: Vec<Going>,
    pub(super) notes: Vec<String>,
    /// Versions that are left.
    left: Vec<Left>,
}

/// Refuses what does harm that was not taken on, as `rollback` does.
pub(super) async fn judge(
    place: &Workplace,
    point: &BackupPoint,
    scope: &Scope,
    base: Id,
    accepted: &[String],
) -> Result<Told, CommandError> {
    let store = place.state();
    let loaded = blocking(move || store.load()).await?;
    loaded.may_build()?;
    let commit: Id = point.commit.parse().map_err(CommandError::failed)?;
    let (found, then) = (found_at(place, base)?, found_at(place, commit)?);
    let mut then: BTreeMap<String, Component> =
        then.components.into_iter().map(|known| (known.id.clone(), known)).collect();
    let mut returns = Vec::new();
    for component in found.components.iter().filter(|component| comes_back(component, point, scope)) {
        let Some(known) = then.remove(&component.id) else { continue };
        let (Ok(from), Ok(to)) = (version(component), version(&known).map(str::to_owned)) else { continue };
        if to != from {
            let (from, update) = (from.to_owned(), update_to(&loaded.state, &component.id, from));
            returns.push(Return { component, from, to, update, then: Some((known, commit)) });
        }
    }
    let notes = refuse_harm(place, point, &returns, &found, accepted)?;
    let left: Vec<Left> = returns
        .iter()
        .map(|one| Left {
            component: one.component.id.clone(),
            version: one.from.clone(),
            update_id: one.update.map(|update| update.update_id.clone()),
        })
        .collect();
    let versions = returns
        .into_iter()
        .map(|one| Going { component: one.component.id.clone(), from: one.from, to: one.to })
        .collect();
    Ok(Told { versions, notes, left })
}

/// Records that the versions that are left are not proposed again, so that no run proposes them while the pull request is
/// open, or at once when it is merged. Where none is open yet it is a new wish, which the end of an earlier one does not
/// end.
pub(super) async fn leave(
    place: &Workplace,
    point: &BackupPoint,
    told: &Told,
    is_open: bool,
) -> Result<(), CommandError> {
    if told.left.is_empty() {
        return Ok(());
    }
    let said = said_by(&place.person().name, &format!("backup point {}", point.backup_id));
    let (store, now, left) = (place.state(), place.now(), told.left.clone());
    let leave = if is_open { rollback::leave } else { rollback::leave_again };
    blocking(move || store.change(now, |state| leave(state, &left, &said, now))).await?;
    Ok(())
}

fn refuse_harm(
    place: &Workplace,
    point: &BackupPoint,
    returns: &[Return<'_>],
    found: &Found,
    accepted: &[String],
) -> Result<Vec<String>, CommandError> {
    let saved = Saved { id: Some(&point.backup_id), data: Some(&point.data) };
    let answers = returns.iter().map(|one| {
        let answer = judged(one, found, None, saved, place.now());
        (one.component.id.as_str(), answer)
    });
    refuse(answers.collect(), accepted)
}

/// Whether a component is in a file that comes back: files come back whole, with all that stands in them.
fn comes_back(component: &Component, point: &BackupPoint, scope: &Scope) -> bool {
    let Scope::Components(named) = scope else { return true };
    let files: BTreeSet<&str> = named
        .iter()
        .filter_map(|id| point.components.get(id))
        .flat_map(|known| known.files.iter().map(String::as_str))
        .collect();
    component.pins.iter().any(|pin| files.contains(pin.file.as_str()))
}
