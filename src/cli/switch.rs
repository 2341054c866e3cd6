//! The kill switch, asked by commands of a person: who wants to go on takes it off.

use super::error::CommandError;
use super::opened::configuration_of_base;
use super::workplace::{Workplace, kill_switch};
use crate::app::pass::STOP_LABEL;
use crate::domain::policy::circumstances::KillSwitch;
use crate::repo;
use crate::repo::write::Id;

#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}: everything is stopped by the kill switch ({by})")]
struct Stopped {
    doing: &'static str,
    by: &'static str,
}

/// What the configuration of the base branch, or the environment, stops.
pub(super) fn by_configuration(place: &Workplace, base: Id) -> Result<Option<KillSwitch>, CommandError> {
    let path = place.repo.work_dir().unwrap_or(place.repo.git_dir());
    let of_base = repo::open(path, Some(&base.to_string())).map_err(CommandError::failed)?;
    Ok(match configuration_of_base(path, &of_base)?.enabled {
        true => kill_switch(&place.config),
        false => Some(KillSwitch::Configuration),
    })
}

/// What the label on the dashboard stops.
pub(super) async fn by_dashboard(place: &Workplace) -> Result<Option<KillSwitch>, CommandError> {
    use crate::app::forge::Forge as _;
    if !place.config.dashboard.enabled {
        return Ok(None);
    }
    let dashboard = place.forge.dashboard().await?;
    let is_stopped =
        dashboard.is_some_and(|dashboard| dashboard.labels.iter().any(|label| label == STOP_LABEL));
    Ok(is_stopped.then_some(KillSwitch::Dashboard))
}

/// Refuses to do something while everything is stopped.
pub(super) async fn refuse(doing: &'static str, place: &Workplace, base: Id) -> Result<(), CommandError> {
    let switch = match by_configuration(place, base)? {
        Some(switch) => Some(switch),
        None => by_dashboard(place).await?,
    };
    switch.map_or(Ok(()), |switch| Err(refused(doing, switch)))
}

/// That something is not done, and how to go on.
pub(super) fn refused(doing: &'static str, switch: KillSwitch) -> CommandError {
    let by = match switch {
        KillSwitch::Configuration => "`enabled: false` on the base branch",
        KillSwitch::Environment => "`GITOPS_UPDATER_DISABLE`",
        KillSwitch::Dashboard => "the label `gitops-updater/stop` on the dashboard",
    };
    CommandError::failed(Stopped { doing, by }).hint(format!("{} first", switch.undo()))
}
