//! Somebody stops everything while a pass is under way: what was not done by then is not done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gitops_updater::domain::state::Maintenance;
use gitops_updater::repo::write::{Change, Person, RefUpdate, Remote, Words, WriteRepo};
use gitops_updater::state::{StateStore, Transition};
use rstest::rstest;

use super::world::{LATER, MUCH_LATER, NOW, World};
use crate::support::fake_forge::{Moment, Wish};

const STOP: &str = "gitops-updater/stop";
const APART: &str = "limits: {open_pull_requests: 5}\n";

/// The label is put on the dashboard when write number `at` of the next pass is done.
fn stop_after(world: &World, at: usize) {
    let dashboard = world.dashboard().number;
    world.forge.after_write(at, move |github| github.issue(dashboard).labels.push(STOP.to_owned()));
}

/// A world with an open pull request and another update that the next pass proposes: it records it, makes its backup
/// point, pushes its branch, opens the pull request, and notes it.
fn half_way() -> World {
    let mut world = World::new();
    world.configure(APART);
    world.pass(NOW);
    world.publish("legacy", &["1.0.0", "1.0.1"]);
    world
}

#[rstest]
#[case::recorded(0, 1, 1, 1)]
#[case::backed_up(1, 2, 1, 1)]
#[case::pushed(2, 2, 2, 1)]
#[case::opened(3, 2, 2, 2)]
fn label_that_comes_while_a_step_is_proposed_stops_what_is_left(
    #[case] at: usize,
    #[case] backups: usize,
    #[case] branches: usize,
    #[case] pulls: usize,
) {
    let world = half_way();
    let before = world.dashboard().body;
    stop_after(&world, at);
    let report = world.pass(LATER);
    let points = || {
        let refs = world.refs();
        refs.iter().filter(|name| name.starts_with("refs/gitops-updater/backups/")).count()
    };
    assert_eq!((points(), world.branches().len(), world.pulls().len()), (backups, branches, pulls));
    assert_eq!(world.dashboard().body, before);
    // It is no failure, and it is said.
    assert_eq!(report["failures"], serde_json::json!([]));
    assert_eq!(report["stopped_by"], STOP);
    let is_said = report["waiting"].to_string().contains("everything is stopped by the kill switch");
    assert_eq!(is_said, pulls == 1, "{}", report["waiting"]);

    world.forge.on_write(|_, _| Wish::GoOn);
    let dashboard = world.dashboard().number;
    world.forge.github().issue(dashboard).labels.clear();
    world.pass(MUCH_LATER);
    assert_eq!((points(), world.branches().len(), world.pulls().len()), (2, 2, 2));
    world.quiet(MUCH_LATER);
}

#[test]
fn label_that_comes_after_the_first_merge_stops_the_second() {
    let mut world = World::new();
    world.publish("legacy", &["1.0.0", "1.0.1"]);
    world.configure(&format!("policy: {{semver_gates: {{patch: auto}}}}\n{APART}"));
    world.pass(NOW);
    world.green("podinfo");
    world.green("legacy");
    stop_after(&world, 0);
    world.pass(LATER);
    let merged = world.updates().iter().filter(|update| update.ends_with(" merged")).count();
    assert_eq!(merged, 1, "{:?}", world.updates());
}

#[test]
fn label_that_comes_while_a_pull_request_is_replaced_leaves_the_old_one_open() {
    let mut world = World::new();
    world.pass(NOW);
    world.publish("podinfo", &["6.5.0", "6.5.1", "6.5.2"]);
    let old = world.open("podinfo").number;
    // Recorded, backed up, pushed, opened.
    stop_after(&world, 3);
    world.pass(LATER);
    assert_eq!(world.pulls().len(), 2);
    assert!(world.forge.github().issues[&old].open);
    assert!(world.forge.github().comments.is_empty());
}

/// Who records maintenance while a pass looks at the checks of a pull request has it not merged.
#[test]
fn maintenance_that_begins_before_the_merge_stops_it() {
    let world = World::new();
    world.configure("policy: {semver_gates: {patch: auto}}\n");
    world.pass(NOW);
    world.green("podinfo");
    let (bare, once) = (world.bare.clone(), AtomicBool::new(false));
    world.forge.on_request(move |moment, asked| {
        if moment == Moment::After
            && asked.path.ends_with("/check-runs")
            && !once.swap(true, Ordering::SeqCst)
        {
            begin_maintenance(&bare);
        }
        Wish::GoOn
    });
    let report = world.pass(LATER);
    assert_eq!(world.updates(), ["helm/apps/podinfo 6.5.1 proposed"]);
    assert!(report["waiting"].to_string().contains("maintenance"), "{}", report["waiting"]);
}

/// Who pushes `enabled: false` to the base branch while a pass is at work was heard by what settles alone: the proposing
/// half looked at the commit that it had begun with.
#[rstest]
#[case::recorded(0, 1, 1, 1)]
#[case::pushed(2, 2, 2, 1)]
#[case::opened(3, 2, 2, 2)]
fn switch_that_is_pushed_while_a_step_is_proposed_stops_what_is_left(
    #[case] at: usize,
    #[case] backups: usize,
    #[case] branches: usize,
    #[case] pulls: usize,
) {
    let world = half_way();
    let before = world.dashboard().body;
    let bare = world.bare.clone();
    world.forge.after_write(at, move |_| push_configuration(&bare, "enabled: false\n"));
    let report = world.pass(LATER);
    let points = world.refs().iter().filter(|name| name.starts_with("refs/gitops-updater/backups/")).count();
    assert_eq!((points, world.branches().len(), world.pulls().len()), (backups, branches, pulls));
    assert_eq!(world.dashboard().body, before);
    assert_eq!((&report["stopped_by"], &report["failures"]), (&"enabled".into(), &serde_json::json!([])));
    let text = world.run(&["run", "--now", LATER]).exited(0);
    assert!(text.stdout.contains("set `enabled: true` on the base branch"), "{text}");
}

/// Whoever breaks the configuration may have meant to stop everything, and was told of an `enabled: false` that is not there.
#[test]
fn configuration_that_breaks_while_a_step_is_proposed_stops_what_is_left_and_is_named() {
    let world = half_way();
    let bare = world.bare.clone();
    world.forge.after_write(0, move |_| push_configuration(&bare, "enabled: [false\n"));
    let told = world.run(&["run", "--now", LATER]).exited(0);
    assert_eq!((world.branches().len(), world.pulls().len()), (1, 1), "{told}");
    let text = told.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("mend `.gitops-updater.yaml` of the base branch, which cannot be read"), "{told}");
    assert!(!told.said().contains("enabled: true"), "{told}");
}

pub(super) fn pull_the_switch(bare: &std::path::Path) {
    push_configuration(bare, "enabled: false\n");
}

fn push_configuration(bare: &std::path::Path, text: &str) {
    let repo = WriteRepo::open(bare, Remote::own()).unwrap();
    let base = repo.refs().unwrap().branch("main").unwrap();
    let off = Change::Write(text.as_bytes().to_vec());
    let changes = BTreeMap::from([(".gitops-updater.yaml".to_owned(), off)]);
    let words = Words { message: "Stop\n", author: &Person::bot(), time: LATER.parse().unwrap() };
    let commit = repo.commit(base, &changes, words).unwrap();
    repo.push(&[RefUpdate::replace("refs/heads/main", Some(base), commit)]).unwrap();
}

fn begin_maintenance(bare: &std::path::Path) {
    let repo = Arc::new(WriteRepo::open(bare, Remote::own()).unwrap());
    let changed = StateStore::new(repo, Person::bot()).change(LATER.parse().unwrap(), |state| {
        state.maintenance = Some(Maintenance {
            by: "Ada".to_owned(),
            reason: None,
            since: LATER.parse().unwrap(),
            until: None,
        });
        Some(Transition::new("Begin maintenance"))
    });
    changed.unwrap();
}
