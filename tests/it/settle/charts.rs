//! What is known about a chart holds for its release, whatever that is called.

use gitops_updater::app::effects::Witness;
use gitops_updater::app::forge::{CommitStatus, Forge as _, StatusState};
use gitops_updater::domain::settle::settings::Settings;
use gitops_updater::domain::state::Stage;

use rstest::rstest;

use super::world::{LATER, MERGED, settle};
use crate::pass::world::{Recording, World};
use crate::support::manifests::release;
use crate::support::scripted_cluster::ScriptedCluster;

const RELEASE: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: issuer, namespace: apps}
spec:
  chart:
    spec:
      chart: cert-manager
      version: 1.18.1
      sourceRef: {kind: HelmRepository, name: example}
";

fn look(world: &World, now: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let witness: &dyn Witness = &Recording::default();
    let settled = world
        .with_pass(witness, now, &runtime, |pass| settle(pass, None, None, Settings::default()))
        .unwrap();
    assert!(settled.failures.is_empty(), "{:?}", settled.failures);
}

#[test]
fn runbook_of_a_chart_is_told_though_its_release_has_another_name() {
    let mut world = World::new();
    world.git.write("issuer.yaml", RELEASE);
    world.git.commit_all("Add an issuer");
    world.published.0.insert("cert-manager".to_owned(), vec!["1.18.1", "1.18.2"]);
    let state = world.run().state;
    let update = state.updates.values().find(|update| update.component == "helm/apps/issuer").unwrap();
    assert_eq!(update.chart.as_deref(), Some("cert-manager"));
    let number = update.pull_request.unwrap();
    world.merge(number);
    look(&world, MERGED);
    let told = held(&world, "helm/apps/issuer", number);
    assert!(told.contains("there is time to think"), "{told}");
}

/// Without a way to the cluster a failed status of Flux holds an update. Returns what is said of it on its pull request.
fn held(world: &World, component: &str, number: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failed = CommitStatus {
        state: StatusState::Failure,
        context: "kustomization/apps/0a1b2c3d".to_owned(),
        description: "health check failed after 30s".to_owned(),
        url: None,
    };
    let merge = world.git.run(["rev-parse", "main"]);
    runtime.block_on(world.forge().set_status(&merge, &failed)).unwrap();
    look(world, LATER);
    let state = world.at(LATER).state;
    let update = state.updates.values().find(|update| update.component == component).unwrap();
    assert_eq!(update.stage, Stage::Held, "{:?}", update.reason);
    let details = runtime.block_on(world.forge().details(number)).unwrap();
    details.comments.into_iter().map(|comment| comment.body).collect()
}

/// Pull request and comment spoke of a backup of the data from before, which nobody had made.
#[rstest]
#[case::backed_up(true)]
#[case::not_backed_up(false)]
fn backups_of_data_are_spoken_of_only_where_there_are_any(#[case] is_backed_up: bool) {
    let mut world = World::new();
    world.git.write("db.yaml", release("postgresql", "16.0.0", ""));
    world.git.commit_all("Add a database");
    world.published.0.clear();
    world.published.0.insert("postgresql".to_owned(), vec!["16.0.0", "16.1.0"]);
    if is_backed_up {
        world.config = "backup: {data: {longhorn: {}}}\n".to_owned();
        world.cluster = Some(ScriptedCluster::new().target(true).volume("pvc-1", "apps", "data", "attached"));
    }
    let state = world.run().state;
    let update = state.updates.values().find(|update| update.component == "helm/apps/postgresql").unwrap();
    let (number, point) = (update.pull_request.unwrap(), update.backup_id.clone().unwrap());
    let last = match is_backed_up {
        true => format!("The data for it: `gitops-updater backup restore {point} --volume NAME --as NEW`"),
        false => {
            format!("from a backup of your own, because backup point `{point}` holds no backup of a volume.")
        }
    };
    let body = world.bodies().remove(0);
    assert!(
        body.contains("Revert: **unsafe**") && body.contains("As the last way, scale it to nothing"),
        "{body}"
    );
    assert!(body.contains(&last) && !body.contains("backup of the data"), "{body}");
    world.cluster = None;
    world.merge(number);
    look(&world, MERGED);
    let told = held(&world, "helm/apps/postgresql", number);
    assert!(told.contains("**What to do**") && told.contains(&last), "{told}");
}
