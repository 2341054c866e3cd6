//! What is known about a chart holds for its release, whatever that is called.

use gitops_updater::app::effects::Witness;
use gitops_updater::app::forge::{CommitStatus, Forge as _, StatusState};
use gitops_updater::domain::settle::settings::Settings;
use gitops_updater::domain::state::Stage;

use super::world::{LATER, MERGED, settle};
use crate::pass::world::{Recording, World};

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
    // Without a way to the cluster a failed status of Flux holds it.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failed = CommitStatus {
        state: StatusState::Failure,
        context: "kustomization/apps/0a1b2c3d".to_owned(),
        description: "health check failed after 30s".to_owned(),
        url: None,
    };
    let merge = world.git.run(["rev-parse", "main"]);
    runtime.block_on(world.forge().set_status(&merge, &failed)).unwrap();
    look(&world, LATER);
    let state = world.at(LATER).state;
    let update = state.updates.values().find(|update| update.component == "helm/apps/issuer").unwrap();
    assert_eq!(update.stage, Stage::Held, "{:?}", update.reason);
    let details = runtime.block_on(world.forge().details(number)).unwrap();
    let told: Vec<String> = details.comments.into_iter().map(|comment| comment.body).collect();
    assert!(told.iter().any(|comment| comment.contains("there is time to think")), "{told:?}");
}
