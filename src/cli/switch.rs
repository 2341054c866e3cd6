//! The kill switch, wherever it can be pulled: told in the same words by every command, which name the place.

use std::path::Path;

use super::GlobalArgs;
use super::environment;
use super::error::CommandError;
use super::opened::configuration_of_base;
use super::workplace::Workplace;
use crate::app::forge::Forge as _;
use crate::app::pass::stopped_by;
use crate::config::{self, Config};
use crate::domain::policy::circumstances::KillSwitch;
use crate::repo;
use crate::repo::write::Id;

#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: everything is stopped by the kill switch ({by})")]
struct Stopped {
    doing: &'static str,
    by: &'static str,
}

/// What the configuration, or the environment, stops. `read_from` is where the configuration lies unless `--config` named
/// it.
pub(super) fn pulled(config: &Config, global: &GlobalArgs, read_from: KillSwitch) -> Option<KillSwitch> {
    let read_from = if global.config.is_some() { KillSwitch::NamedFile } else { read_from };
    if config.enabled { by_environment() } else { Some(read_from) }
}

/// What the configuration that lies in the work tree stops, beside the one that was named. Who cannot be understood may
/// have meant to stop it; what only reads goes on.
pub(super) fn by_work_tree(top: &Path) -> Option<KillSwitch> {
    let file = config::find(&[top])?;
    match config::load(&file, Some(top)) {
        Ok(config) => (!config.enabled).then_some(KillSwitch::WorkTree),
        Err(error) => {
            let first = CommandError::from(error).details.into_iter().next().unwrap_or_default();
            tracing::warn!(file = %file.display(), error = first, "cannot read the configuration of the work tree");
            Some(KillSwitch::UnreadableWorkTree)
        }
    }
}

/// What the environment stops.
pub(super) fn by_environment() -> Option<KillSwitch> {
    // `GITOPS_UPDATER_DISABLE=0` is what people write who mean that it is on.
    let disabled = environment::read("GITOPS_UPDATER_DISABLE")
        .is_some_and(|value| !matches!(value.trim(), "" | "0" | "false" | "no" | "off"));
    disabled.then_some(KillSwitch::Environment)
}

/// What the configuration of the base branch, that of this clone, or the environment stops.
pub(super) fn by_configuration(place: &Workplace, base: Id) -> Result<Option<KillSwitch>, CommandError> {
    let path = place.repo.work_dir().unwrap_or(place.repo.git_dir());
    let of_base = repo::open(path, Some(&base.to_string())).map_err(CommandError::failed)?;
    Ok(match configuration_of_base(path, &of_base)?.enabled {
        true => place.stopped,
        false => Some(KillSwitch::BaseBranch),
    })
}

/// The same, or the label on the dashboard.
pub(super) async fn by_anything(place: &Workplace, base: Id) -> Result<Option<KillSwitch>, CommandError> {
    if let Some(switch) = by_configuration(place, base)? {
        return Ok(Some(switch));
    }
    if !place.config.dashboard.enabled {
        return Ok(None);
    }
    Ok(stopped_by(place.forge.dashboard().await?.as_ref()))
}

/// Refuses to do something while everything is stopped: the kill switch is for a person at the keyboard, too. Who wants
/// to go on takes it off.
pub(super) async fn refuse(doing: &'static str, place: &Workplace, base: Id) -> Result<(), CommandError> {
    by_anything(place, base).await?.map_or(Ok(()), |switch| Err(refused(doing, switch)))
}

/// That something is not done, and how to go on.
pub(super) fn refused(doing: &'static str, switch: KillSwitch) -> CommandError {
    CommandError::failed(Stopped { doing, by: switch.place() }).hint(format!("{} first", switch.undo()))
}
