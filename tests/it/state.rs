//! The state between passes and backup points, with real repositories.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backups;
mod transitions;

use std::sync::Arc;

use gitops_updater::domain::component::UpdateType;
use gitops_updater::domain::plan::{Approval, Revert, RevertSafety};
use gitops_updater::domain::state::{Stage, State, Update, fresh_id};
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};
use jiff::Timestamp;

use crate::support::git::Git;

/// A bare repository that is the remote, and clones of it.
struct World {
    folder: tempfile::TempDir,
    bare: Git,
}

fn time() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let here = Git::at(folder.path());
    here.run(["init", "--quiet", "--bare", "--initial-branch=main", "bare.git"]);
    let seed = Git::init(folder.path().join("seed"));
    seed.write("apps/a.yaml", "a: 1\n").write("apps/b.yaml", "b: 1\n");
    seed.commit_all("Start");
    let bare = Git::at(folder.path().join("bare.git"));
    seed.run(["push", "--quiet", "../bare.git", "main"]);
    World { folder, bare }
}

impl World {
    /// A fresh clone, as a pipeline makes it for each run.
    fn clone(&self, name: &str) -> Arc<WriteRepo> {
        Git::at(self.folder.path()).run(["clone", "--quiet", "bare.git", name]);
        Arc::new(WriteRepo::open(&self.folder.path().join(name), Remote::path(self.bare.dir())).unwrap())
    }

    /// A clone that is there already, as another run of the same machine opens it.
    fn again(&self, name: &str) -> Arc<WriteRepo> {
        Arc::new(WriteRepo::open(&self.folder.path().join(name), Remote::path(self.bare.dir())).unwrap())
    }

    fn store(&self, name: &str) -> StateStore {
        StateStore::new(self.clone(name), Person::bot())
    }
}

fn update(id: &str, component: &str) -> Update {
    Update {
        update_id: id.to_owned(),
        status: Stage::Proposed.status(),
        stage: Stage::Proposed,
        started_at: time(),
        changed_at: time(),
        campaign: "campaign-20261121-100000".to_owned(),
        component: component.to_owned(),
        chart: None,
        from: "1.8.2".to_owned(),
        to: "1.9.1".to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: "policy.semver_gates.minor".to_owned(),
        revert: Revert { safety: RevertSafety::Safe, why: "a chart without data".to_owned() },
        backup_id: None,
        branch: "gitops-updater/a".to_owned(),
        base: None,
        head: None,
        pull_request: Some(3),
        merge_commit: None,
        merged_at: None,
        current_phase: None,
        completed_phases: vec!["backup_creation".to_owned()],
        failure_stage: None,
        reason: None,
        verified_by: None,
        settling: Default::default(),
    }
}

/// Proposes a component unless it is recorded already: what a run does.
fn propose(component: &'static str) -> impl Fn(&mut State) -> Option<Transition> {
    move |state: &mut State| {
        if state.updates.values().any(|update| update.component == component) {
            return None;
        }
        let id = fresh_id("update", time(), |id| state.updates.contains_key(id));
        let update = update(&id, component);
        let transition = Transition::of(&update);
        state.updates.insert(id, update);
        Some(transition)
    }
}
