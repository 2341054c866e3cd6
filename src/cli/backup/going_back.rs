//! What comes of bringing the files of a backup point back: which versions are left, and whether that does harm.

use std::collections::{BTreeMap, BTreeSet};

use super::found_at;
use crate::app::detect::Found;
use crate::app::forge::Forge as _;
use crate::app::pass::STOP_LABEL;
use crate::app::rollback::{Left, leave, said_by};
use crate::backup::Scope;
use crate::cli::error::CommandError;
use crate::cli::opened::configuration_of_base;
use crate::cli::rollback::{Return, judged, refuse, update_to, version};
use crate::cli::workplace::{Workplace, blocking, kill_switch};
use crate::domain::backup::BackupPoint;
use crate::domain::component::Component;
use crate::repo;
use crate::repo::write::Id;

#[derive(Debug, thiserror::Error)]
#[error("cannot restore: everything is stopped by the kill switch ({0})")]
struct Stopped(&'static str);

/// A version that goes back, for people and scripts.
#[derive(Debug, serde::Serialize)]
pub(super) struct Going {
    pub(super) component: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// What a reviewer is told, once it is known that it may be done and the versions are out of what is proposed.
#[derive(Default)]
pub(super) struct Told {
    pub(super) versions: Vec<Going>,
    pub(super) notes: Vec<String>,
}

/// The kill switch is for a person at the keyboard, too: who wants to go on takes it off.
pub(super) async fn refuse_when_stopped(place: &Workplace, base: Id) -> Result<(), CommandError> {
    let by = |text| CommandError::failed(Stopped(text)).hint("take the kill switch off first");
    let of_base = repo::open(&place.path, Some(&base.to_string())).map_err(CommandError::failed)?;
    if !configuration_of_base(&place.path, &of_base)?.enabled {
        return Err(by("`enabled: false` on the base branch"));
    }
    if kill_switch(&place.config).is_some() {
        return Err(by("`enabled: false`, or `GITOPS_UPDATER_DISABLE` in the environment"));
    }
    if place.config.dashboard.enabled
        && let Some(dashboard) = place.forge.dashboard().await?
        && dashboard.labels.iter().any(|label| label == STOP_LABEL)
    {
        return Err(by("the label on the dashboard"));
    }
    Ok(())
}

/// Refuses what does harm that was not taken on, as `rollback` does; then records that the versions that are left are not
/// proposed again, so that no run proposes them while the pull request is open, or at once when it is merged.
pub(super) async fn judge(
    place: &Workplace,
    point: &BackupPoint,
    scope: &Scope,
    base: Id,
    accepted: &[String],
) -> Result<Told, CommandError> {
    let store = place.state();
    let loaded = {
        let store = store.clone();
        blocking(move || store.load()).await?
    };
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
    if !left.is_empty() {
        let said = said_by(&place.person().name, &format!("backup point {}", point.backup_id));
        let now = place.now();
        blocking(move || store.change(now, |state| leave(state, &left, &said, now))).await?;
    }
    let versions = returns
        .into_iter()
        .map(|one| Going { component: one.component.id.clone(), from: one.from, to: one.to })
        .collect();
    Ok(Told { versions, notes })
}

fn refuse_harm(
    place: &Workplace,
    point: &BackupPoint,
    returns: &[Return<'_>],
    found: &Found,
    accepted: &[String],
) -> Result<Vec<String>, CommandError> {
    let answers = returns.iter().map(|one| {
        let answer = judged(one, found, None, Some(&point.backup_id), place.now());
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
