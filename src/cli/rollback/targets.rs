//! Which version a component goes back to, and how it was written then.

use std::collections::BTreeMap;

use super::{Error, Return, RollbackArgs};
use crate::app::detect::Found;
use crate::cli::backup::found_at;
use crate::cli::error::CommandError;
use crate::cli::workplace::Workplace;
use crate::config::Selector;
use crate::domain::backup::BackupPoint;
use crate::domain::component::{Component, Given};
use crate::domain::state::{Stage, State, Update};
use crate::repo::write::Id;

/// The version that Git has.
pub(in crate::cli) fn version(component: &Component) -> Result<&str, CommandError> {
    match &component.given {
        Given::Exact(text) => Ok(text),
        _ => Err(CommandError::failed(Error::NoVersion(component.id.clone()))
            .hint("`--backup ID` brings the files back as a backup point has them")),
    }
}

fn component<'f>(found: &'f Found, selector: &Selector) -> Result<&'f Component, CommandError> {
    let matching: Vec<&Component> = found
        .components
        .iter()
        .filter(|component| {
            component.id == selector.text() || selector.matches(&component.id, &component.kind)
        })
        .collect();
    if let Some(exact) = matching.iter().find(|component| component.id == selector.text()) {
        return Ok(exact);
    }
    match matching.as_slice() {
        [one] => Ok(one),
        [] => Err(CommandError::failed(Error::NoComponent(selector.text().to_owned()))
            .hint("`gitops-updater detect` lists them")),
        several => Err(CommandError::failed(Error::Several {
            selector: selector.text().to_owned(),
            ids: several.iter().map(|component| component.id.clone()).collect(),
        })
        .hint("name one of them")),
    }
}

/// The newest update that brought a version in.
pub(in crate::cli) fn update_to<'s>(state: &'s State, component: &str, version: &str) -> Option<&'s Update> {
    let merged = |update: &&Update| {
        matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Verified | Stage::Held)
            && update.merge_commit.is_some()
    };
    let of_component =
        state.updates.values().filter(|update| update.component == component && update.to == version);
    of_component.filter(merged).max_by_key(|update| update.merged_at)
}

/// The version that was asked for, or the one before the latest update.
pub(super) fn to_version<'a>(
    place: &Workplace,
    args: &RollbackArgs,
    found: &'a Found,
    state: &'a State,
) -> Result<Return<'a>, CommandError> {
    let Some(selector) = &args.component else {
        return Err(CommandError::usage("nothing is named that could be rolled back"));
    };
    let component = component(found, selector)?;
    let id = component.id.as_str();
    let from = version(component)?.to_owned();
    let update = update_to(state, id, &from);
    let Some(to) = args.to.clone().or_else(|| update.map(|update| update.from.clone())) else {
        // What an earlier run has taken back is found by what it recorded before.
        let newest = state
            .updates
            .values()
            .filter(|update| update.component == id && update.from == from && update.merge_commit.is_some());
        if let Some(update) = newest.max_by_key(|update| update.merged_at)
            && state.quarantine.iter().any(|known| known.update_id.as_ref() == Some(&update.update_id))
        {
            return Ok(Return {
                component,
                from: update.to.clone(),
                to: from,
                update: Some(update),
                then: None,
            });
        }
        let error = Error::NoUpdate { component: component.id.clone(), version: from };
        return Err(
            CommandError::failed(error).hint("name the version with `--to VERSION`, or `--backup ID`")
        );
    };
    if to == from {
        return Err(CommandError::failed(Error::AlreadyThere {
            component: component.id.clone(),
            version: to,
        }));
    }
    let then = then(place, component, &to, state)?;
    Ok(Return { component, from, to, update, then })
}

/// The component as it was at a version: before an update that left it, else in the newest backup point that has it.
fn then(
    place: &Workplace,
    component: &Component,
    to: &str,
    state: &State,
) -> Result<Option<(Component, Id)>, CommandError> {
    let of_update = state
        .updates
        .values()
        .filter(|update| update.component == component.id && update.from == to)
        .filter_map(|update| update.base.as_deref()?.parse::<Id>().ok());
    let mut commits: Vec<Id> = of_update.collect();
    if commits.is_empty() {
        let listed = place.backups().list()?;
        let points = listed.iter().filter_map(|listed| listed.point.as_ref().ok());
        let has = |point: &&BackupPoint| {
            point.components.get(&component.id).and_then(|known| known.version.as_deref()) == Some(to)
        };
        commits.extend(points.filter(has).filter_map(|point| point.commit.parse::<Id>().ok()));
    }
    for commit in commits.into_iter().filter(|commit| place.repo.has(*commit)).take(3) {
        let found = found_at(place, commit)?;
        if let Some(then) = found.components.into_iter().find(|known| known.id == component.id)
            && version(&then).is_ok_and(|version| version == to)
        {
            return Ok(Some((then, commit)));
        }
    }
    Ok(None)
}

/// The versions of a backup point that are not those of now.
pub(super) fn to_backup<'a>(
    place: &Workplace,
    args: &RollbackArgs,
    id: &str,
    found: &'a Found,
    state: &'a State,
) -> Result<Vec<Return<'a>>, CommandError> {
    let point = place.backups().show(id)?;
    let commit: Id = point.commit.parse().map_err(CommandError::failed)?;
    let mut then: BTreeMap<String, Component> =
        found_at(place, commit)?.components.into_iter().map(|known| (known.id.clone(), known)).collect();
    let only = args.component.as_ref().map(|selector| component(found, selector)).transpose()?;
    let mut returns = Vec::new();
    for component in &found.components {
        let Ok(from) = version(component) else { continue };
        if only.is_some_and(|only| only.id != component.id) {
            continue;
        }
        let Some(known) = then.remove(&component.id) else { continue };
        let Ok(to) = version(&known).map(str::to_owned) else { continue };
        if to != from {
            let update = update_to(state, &component.id, from);
            returns.push(Return {
                component,
                from: from.to_owned(),
                to,
                update,
                then: Some((known, commit)),
            });
        }
    }
    if returns.is_empty() {
        return Err(CommandError::failed(Error::NothingToDo(id.to_owned())));
    }
    Ok(returns)
}
