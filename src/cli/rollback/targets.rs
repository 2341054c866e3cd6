//! Which version a component goes back to, and how it was written then.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Return, RollbackArgs};
use crate::app::detect::Found;
use crate::cli::backup::found_at;
use crate::cli::error::CommandError;
use crate::cli::workplace::Workplace;
use crate::config::Selector;
use crate::domain::backup::BackupPoint;
use crate::domain::component::{Component, Given};
use crate::domain::select::strip_prefix;
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
        [] => Err(CommandError::usage(Error::NoComponent(selector.text().to_owned()))
            .hint("`gitops-updater detect` lists them")),
        several => Err(CommandError::usage(Error::Several {
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
    base: Id,
) -> Result<Return<'a>, CommandError> {
    let Some(selector) = &args.component else {
        return Err(CommandError::usage("nothing is named that could be rolled back"));
    };
    let component = component(found, selector)?;
    let id = component.id.as_str();
    let from = version(component)?.to_owned();
    let update = update_to(state, id, &from);
    let Some(to) = args.to.clone().or_else(|| update.map(|update| update.from.clone())) else {
        // What an earlier run has reverted is found by what it recorded before.
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
    if is_newer(component, &to, &from) {
        let error = Error::Newer { component: component.id.clone(), from, to };
        return Err(CommandError::failed(error)
            .hint("what is newer is proposed: `gitops-updater propose --component ID`"));
    }
    let then = match then(place, component, &to, state)? {
        Some(then) => Some(then),
        None => in_history(place, base, component, &to)?,
    };
    // What an update left was there, also where the history that this clone has does not reach back to it.
    let was_left = state.updates.values().any(|known| known.component == component.id && known.from == to);
    if then.is_none() && !was_left {
        let error = Error::NeverThere { component: component.id.clone(), to };
        let files: Vec<&str> = component.pins.iter().map(|pin| pin.file.as_str()).take(1).collect();
        return Err(CommandError::failed(error).hint(format!(
            "`git log -p {}` shows the versions that it had; a shallow clone may not reach back to them",
            files.join(" ")
        )));
    }
    Ok(Return { component, from, to, update, then })
}

fn is_newer(component: &Component, to: &str, from: &str) -> bool {
    let read = |text| component.scheme.parse(strip_prefix(text, component.tag_prefix.as_deref())?);
    matches!((read(to), read(from)), (Some(to), Some(from)) if to.comparable(&from) && to > from)
}

/// Most commits of the branch that are looked through.
const MOST_COMMITS: usize = 2_000;
/// Most commits in whose files the version stands somewhere and that are read whole.
const MOST_READ: usize = 5;
/// Largest file that is looked through, in bytes.
const FILE_LIMIT: usize = 16 << 20;

/// The component as the history of the branch last had it at a version.
fn in_history(
    place: &Workplace,
    base: Id,
    component: &Component,
    to: &str,
) -> Result<Option<(Component, Id)>, CommandError> {
    let files: BTreeSet<&str> = component.pins.iter().map(|pin| pin.file.as_str()).collect();
    let mut seen: BTreeSet<Vec<Option<Id>>> = BTreeSet::new();
    let (mut next, mut read) = (Some(base), 0);
    for _ in 0..MOST_COMMITS {
        // A shallow clone ends somewhere.
        let Some(commit) = next.filter(|commit| place.repo.has(*commit)) else { break };
        next = place.repo.commit_info(commit)?.parents.first().copied();
        let mut entries = Vec::new();
        for file in &files {
            entries.push(place.repo.entry(commit, file)?.map(|entry| entry.id));
        }
        if !seen.insert(entries) {
            continue;
        }
        let mut has = false;
        for file in &files {
            let bytes = place.repo.read_file(commit, file, FILE_LIMIT).ok().flatten().unwrap_or_default();
            has |= String::from_utf8_lossy(&bytes).contains(to);
        }
        if !has {
            continue;
        }
        if read == MOST_READ {
            break;
        }
        read += 1;
        let found = found_at(place, commit)?;
        if let Some(then) = found.components.into_iter().find(|known| known.id == component.id)
            && version(&then).is_ok_and(|version| version == to)
        {
            return Ok(Some((then, commit)));
        }
    }
    Ok(None)
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
