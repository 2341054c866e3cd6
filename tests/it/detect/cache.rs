//! What a second run costs, and what there is without upstreams.

use super::world::{World, problems, reduced};
use crate::support::fake_upstream::Fault;

#[test]
fn second_run_transfers_nothing_that_did_not_change() {
    let world = World::home();
    let first = world.report(&[]);
    let asked = world.requests();
    let second = world.report(&[]);
    assert_eq!(second, first);
    let again = world.requests();
    assert_eq!(again.len(), asked.len(), "{again:#?}");
    assert!(again.contains(&"304 /charts/index.yaml".to_owned()), "{again:#?}");
}

/// Git remotes answer no conditional requests, so their tags were not kept, and `--offline` lost them.
#[test]
fn offline_gives_the_same_report_and_asks_nobody() {
    let world = World::home();
    let online = world.report(&[]);
    world.requests();
    let offline = world.report(&["--offline"]);
    assert_eq!(reduced(&offline), reduced(&online));
    assert_eq!(offline["components"], online["components"]);
    assert!(world.requests().is_empty());
}

#[test]
fn offline_without_a_cache_says_what_to_do() {
    let world = World::home();
    let report = world.report(&["--offline"]);
    assert!(world.requests().is_empty());
    let count = report["components"].as_object().unwrap().len();
    assert_eq!(report["summary"]["unresolved"], count);
    for problem in report["problems"].as_array().unwrap() {
        assert!(problem["message"].as_str().unwrap().contains("--offline"), "{problem}");
    }
}

#[test]
fn no_cache_keeps_nothing_and_uses_nothing() {
    let world = World::home();
    world.report(&["--no-cache"]);
    assert_eq!(std::fs::read_dir(world.sandbox.cache()).unwrap().count(), 0);
    world.report(&[]);
    world.requests();
    world.report(&["--no-cache"]);
    assert!(world.requests().contains(&"200 /charts/index.yaml".to_owned()));
}

#[test]
fn answer_from_before_an_outage_is_used_and_said_to_be_old() {
    let world = World::home();
    world.configure("  retries: 0\n");
    let before = world.report(&[]);
    world.web.fail("/charts/index.yaml", Fault::Status(503, vec![]));
    let during = world.report(&[]);
    assert_eq!(during["components"], before["components"]);
    insta::assert_snapshot!(problems(&during), @"problem (upstream) https://charts.example.com: an earlier answer was used: `http://web.test/charts/index.yaml` answered 503");
    assert_eq!(problems(&world.report(&[])), "", "the next run is whole again");
}

#[test]
fn cache_of_a_run_that_was_killed_is_as_good_as_any() {
    let world = World::home();
    let undisturbed = world.report(&["--no-cache"]);
    world.web.pause(std::time::Duration::from_secs(60));
    let mut child = world
        .sandbox
        .command(["detect", "--config", world.config_path().to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Killed with some answers in, and one that never comes.
    while world.registry.seen().is_empty() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.web.pause(std::time::Duration::ZERO);
    assert_eq!(world.report(&[])["components"], undisturbed["components"]);
    // Whatever a cut write leaves behind is no answer.
    for entry in walk(&world.sandbox.cache()) {
        let bytes = std::fs::read(&entry).unwrap();
        std::fs::write(&entry, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(world.report(&[])["components"], undisturbed["components"]);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    assert!(!files.is_empty());
    files
}
