//! Backups of data that belong to a backup point: made in a cluster, awaited, found again, recorded, removed.

mod killed;
mod making;
mod proposing;
mod retention;
mod served;

use std::collections::BTreeSet;

use gitops_updater::app::data::{DataError, DataKeeper, Keeper, Made, Request};
use gitops_updater::app::effects::{Acting, Effect, Witness};
use gitops_updater::config::{self, Config, Origin, Trust};

use crate::support::scripted_cluster::ScriptedCluster;

const ID: &str = "backup-20261121-095500-6ea68369";
const NOW: &str = "2026-11-21T10:00:00Z";

fn settings(text: &str) -> Config {
    let origin = Origin { name: "config.yaml", trust: Trust::User, folder: None, repository: None };
    config::parse(text, &origin).unwrap()
}

/// The program's part in a cluster, with a clock that goes on by itself.
struct Room {
    cluster: ScriptedCluster,
    config: Config,
    runtime: tokio::runtime::Runtime,
}

impl Room {
    fn new(cluster: ScriptedCluster, config: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        Self { cluster, config: settings(config), runtime }
    }

    fn keeper(&self) -> Keeper<'_, ScriptedCluster> {
        Keeper { cluster: &self.cluster, settings: &self.config.data_backups, runtime: &self.runtime }
    }

    fn make(&self, component: &str) -> Result<Made, DataError> {
        self.make_with(component, &Acting)
    }

    fn make_with(&self, component: &str, witness: &dyn Witness) -> Result<Made, DataError> {
        self.keeper().make(&request(component), witness)
    }

    fn prune(&self, in_use: &[&str], now: &str) -> Vec<Effect> {
        let in_use: BTreeSet<String> = in_use.iter().map(|&id| id.to_owned()).collect();
        self.keeper().prune(&in_use, now.parse().unwrap(), &Acting).unwrap()
    }
}

fn request(component: &str) -> Request<'_> {
    let mut parts = component.split('/');
    let kind = parts.next().unwrap_or_default();
    Request { backup_id: ID, component, kind, namespace: parts.next(), now: NOW.parse().unwrap() }
}
