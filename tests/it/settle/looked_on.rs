//! `verify` by the built program: taken up again by a person, stopped by a signal, and with the circuit breaker open.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::sync::Arc;

use gitops_updater::app::effects::{Effect, Go, Stopped, Witness};
use gitops_updater::app::forge::MergeMethod;
use gitops_updater::domain::settle::record::{Breaker, Holding};
use gitops_updater::domain::state::{Stage, State};
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};

use super::built::Built;
use super::world::{LATER, Settling};
use crate::pass::world::World;
use crate::support::sandbox::Sandbox;

const CONFIG: &str = "\
forge: {kind: local}
validation: {sample: 1s, settle: 0s, window: 2s, good_samples: 1}
";

fn change(world: &World, change: impl Fn(&mut State) -> Option<Transition>) {
    let repo = WriteRepo::open(world.dir(), Remote::own()).unwrap();
    StateStore::new(Arc::new(repo), Person::bot()).change(LATER.parse().unwrap(), change).unwrap();
}

/// What was merged, and that is recorded; its id.
fn merged(built: &Built) -> String {
    built.applied(&built.world.git.run(["rev-parse", "main"]), "6.5.0");
    drop(built.verify("0s").exited(0));
    let pulls = built.world.pulls();
    built.world.merge(pulls.iter().find(|pull| pull.1.contains("podinfo")).unwrap().0);
    drop(built.verify("0s").exited(23));
    let id = built.update().lines().find_map(|line| line.strip_prefix("update_id: ").map(str::to_owned));
    id.unwrap()
}

fn hold(built: &Built, id: &str) {
    change(&built.world, |state| {
        let update = state.updates.get_mut(id)?;
        update.stage = Stage::Held;
        update.status = update.stage.status();
        update.reason = Some("somebody has to look".to_owned());
        update.settling.hold = Some(Holding { since: LATER.parse().unwrap(), clears_itself: false });
        Some(Transition::of(update))
    });
}

/// `--wait` and `--kubeconfig` were taken and did nothing.
#[test]
fn what_is_taken_up_again_is_looked_on_at_once_where_that_is_asked_for() {
    let built = Built::with(CONFIG, "");
    let id = merged(&built);
    hold(&built, &id);
    let path = built.world.dir().to_str().unwrap();
    let kubeconfig = built.sandbox.work().with_file_name("home").join("kubeconfig");
    let kubeconfig = kubeconfig.to_str().unwrap();
    let resume = |more: &[&str]| {
        built.sandbox.run(["verify", path, "--resume", &id, "--by", "Jane"].iter().chain(more).copied())
    };
    // The merge is not applied: it is looked on for as long as was said, and nothing is known.
    let told = resume(&["--kubeconfig", kubeconfig, "--wait", "1s"]).exited(23);
    let words = told.said();
    assert!(words.starts_with("helm/apps/podinfo 6.5.0 → 6.5.1 is taken up again by Jane "), "{told}");
    assert!(words.contains("not decided yet"), "{told}");
    hold(&built, &id);
    built.applied(&built.world.git.run(["rev-parse", "main"]), "6.5.1");
    let told = resume(&["--kubeconfig", kubeconfig, "--wait", "60s", "--format", "json"]).exited(0).json();
    assert_eq!(told["said"][0], "helm/apps/podinfo 6.5.0 → 6.5.1 is taken up again by Jane");
    let updates = told["updates"].as_array().unwrap();
    assert_eq!((updates.len(), &updates[0]["stage"]), (1, &"verified".into()), "{told}");
    assert!(built.update().contains("stage: verified"), "{}", built.update());
}

#[test]
fn what_is_taken_up_again_alone_is_for_the_next_run_and_says_so() {
    let built = Built::with(CONFIG, "");
    let id = merged(&built);
    hold(&built, &id);
    let path = built.world.dir().to_str().unwrap();
    let told = built.sandbox.run(["verify", path, "--resume", &id]).exited(0);
    assert!(
        told.said().ends_with("the next `gitops-updater run` or `gitops-updater verify` judges it"),
        "{told}"
    );
    assert!(built.update().contains("stage: merged"), "{}", built.update());
    // Whoever says that it is good does not look.
    for said in [&["--accept", &id][..], &["--close-breaker"], &["--replay", "x.jsonl"]] {
        for option in [&["--wait", "5m"][..], &["--kubeconfig", "x"], &["--cluster"], &["--record", "x"]] {
            let refused = built.sandbox.run([&["verify", path], said, option].concat()).exited(2);
            assert!(refused.stderr.contains("cannot be used with"), "{said:?} {option:?}: {refused}");
        }
    }
    assert!(built.update().contains("stage: merged"), "{}", built.update());
}

/// It said nothing at all.
#[test]
fn verify_that_is_stopped_says_what_it_saw_and_how_to_go_on() {
    let built = Built::with(CONFIG, "");
    let id = merged(&built);
    let path = built.world.dir().to_str().unwrap();
    let arguments = ["verify", path, "--cluster", "--wait", "10m", "--log-format", "json"];
    let mut command = built.sandbox.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    // It looks on as soon as it has said something of the update.
    assert!(log.any(|line| line.unwrap().contains("\"judged\"")), "it ended before");
    let signalled = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(signalled.success());
    assert!(
        log.any(|line| line.unwrap().contains("stopping after the effect at hand")),
        "it ended otherwise"
    );
    log.for_each(drop);
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words
            .starts_with("Stopped by SIGTERM; seen until then: helm/apps/podinfo 6.5.0 → 6.5.1: not decided"),
        "{said}"
    );
    assert!(words.contains(&id), "{said}");
    let last = "Nothing is lost: `gitops-updater verify`, or the next run, goes on from here.";
    assert!(words.ends_with(last), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    {
        let leases = built.cluster.cluster();
        let lease = leases.of("leases.coordination.k8s.io").next().unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], "", "it is given back: {lease}");
    }
    // The record is as it should be, and what it says is true.
    drop(built.sandbox.run(["status", path]).exited(0));
    built.applied(&built.world.git.run(["rev-parse", "main"]), "6.5.1");
    drop(built.verify("60s").exited(0));
    assert!(built.update().contains("stage: verified"), "{}", built.update());
}

/// Nobody was told how to go on.
#[test]
fn run_with_an_open_circuit_breaker_says_what_closes_it_and_that_does() {
    let world = World::new();
    world.git.write(".gitops-updater.yaml", "forge: {kind: local}\n").commit_all("Configure");
    let since = LATER.parse().unwrap();
    change(&world, |state| {
        let reverted = vec!["update-1".to_owned(), "update-2".to_owned()];
        state.breaker = Some(Breaker { since, reverted });
        Some(Transition::new("Open the circuit breaker"))
    });
    let sandbox = Sandbox::empty();
    let path = world.dir().to_str().unwrap();
    let run = || sandbox.run(["run", path, "--offline", "--quiet", "--now", LATER]).said();
    let open = "The circuit breaker is open: 2 updates were reverted within 24 hours (update-1, update-2)";
    let hint = "`gitops-updater verify --close-breaker`, or its box on the dashboard";
    let (told, verified) = (run(), sandbox.run(["verify", path, "--now", LATER]).said());
    assert!(told.contains(open) && told.contains(hint), "{told}");
    assert!(verified.contains(open) && verified.contains(hint), "{verified}");
    let json = sandbox.run(["run", path, "--offline", "--quiet", "--now", LATER, "--format", "json"]).json();
    assert_eq!(json["breaker"]["reverted"][1], "update-2", "{json}");
    let typed = hint.split('`').nth(1).unwrap().split(' ').skip(1);
    let closed = sandbox.run(typed.chain([path])).exited(0);
    assert!(closed.stdout.contains("the circuit breaker is closed"), "{closed}");
    assert!(!run().contains("circuit breaker"));
}

/// Stops before the second effect.
#[derive(Default)]
struct One(std::sync::atomic::AtomicUsize);

impl Witness for One {
    fn before(&self, _: &Effect) -> Result<Go, Stopped> {
        match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Ok(Go::Do),
            _ => Err(Stopped),
        }
    }
}

/// What a pass does that is killed before it tells is told by the next one: the channels are known by then.
#[test]
fn channels_are_noted_before_anything_happens() {
    let mut settling = Settling::merged(MergeMethod::Merge);
    settling.decide_to_revert();
    settling.world.config =
        "notifications: {channels: {ops: {type: webhook, url: 'https://hooks.example/ops'}}}\n".to_owned();
    let stopped = settling.settle_by(&One::default(), LATER);
    assert!(stopped.is_err());
    assert_eq!(settling.state().told.channels["ops"], LATER.parse().unwrap());
    let subject = settling.world.git.run(["log", "-1", "--format=%s", "refs/gitops-updater/state"]);
    assert_eq!(subject, "Tell people by ops from now on");
    settling.settle_by(&crate::pass::world::Recording::default(), "2026-11-21T13:00:00Z").unwrap();
    assert_eq!(settling.state().told.channels["ops"], LATER.parse().unwrap());
}
