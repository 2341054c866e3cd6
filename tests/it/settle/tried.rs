//! What is tried around an update: before its merge, when it is applied, and when its window is over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use gitops_updater::app::effects::Witness;
use gitops_updater::app::forge::MergeMethod;
use gitops_updater::app::pass::Error;
use gitops_updater::app::probes::{Order, Trial, Tried, Trier, Work};
use gitops_updater::app::settle::{self, Outcome, Settle, Settled};
use gitops_updater::domain::settle::health::HealthSettings;
use gitops_updater::domain::settle::health::probe::{
    CommandSpec, ProbeSpec, StorageSpec, Target, TestJob, Trials, Vantage,
};
use gitops_updater::domain::settle::record::KeptVolume;
use gitops_updater::domain::settle::settings::{Settings, Windows};
use gitops_updater::domain::state::{Stage, Update};

use super::scripted::Scripted;
use super::story::{Release, Story};
use super::world::{LATER, Lines, Settling, comes_to_the_same_end};
use crate::pass::world::Recording;

const OLD: &str = "6.5.0";
const NEW: &str = "6.5.1";
const MUCH_LATER: &str = "2026-11-21T13:00:00Z";

/// Says what it is told to say, each thing once and the last for ever, and writes down what it was asked.
#[derive(Default)]
struct Script {
    trials: Trials,
    says: Mutex<BTreeMap<&'static str, VecDeque<Tried>>>,
    asked: Mutex<Vec<String>>,
    volumes: Mutex<Vec<String>>,
    takes: Duration,
}

/// Whom a pass asks.
struct Scripting(Arc<Script>);

fn good() -> Tried {
    Tried::Good("fine".to_owned())
}

fn bad() -> Tried {
    Tried::Bad("broken".to_owned())
}

fn not() -> Tried {
    Tried::Not("forbidden".to_owned())
}

impl Script {
    fn new(trials: Trials) -> Self {
        Self { trials, ..Self::default() }
    }

    fn say(self, name: &'static str, says: impl IntoIterator<Item = Tried>) -> Self {
        self.says.lock().unwrap().insert(name, says.into_iter().collect());
        self
    }

    fn next(&self, name: &'static str) -> Tried {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut says = self.says.lock().unwrap();
        let left = says.entry(name).or_default();
        if left.len() > 1 { left.pop_front().unwrap() } else { left.front().cloned().unwrap_or_else(good) }
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == name).count()
    }

    fn volumes(&self) -> Vec<String> {
        self.volumes.lock().unwrap().clone()
    }
}

fn trial(name: impl Into<String>, tried: Tried) -> Vec<Trial> {
    vec![Trial { name: name.into(), tried }]
}

impl Trier for Scripting {
    fn trials(&self, update: &Update) -> Trials {
        // The other component of the repository has none.
        if update.component.ends_with("podinfo") { self.0.trials.clone() } else { Trials::default() }
    }

    fn ask(&self, trials: Trials) -> LocalBoxFuture<'_, Vec<Trial>> {
        let name = format!("probe/{}", trials.probes[0].name);
        Box::pin(async move { trial(name, self.0.next("probe")) })
    }

    fn work(&self, order: Order) -> LocalBoxFuture<'_, Vec<Trial>> {
        Box::pin(async move {
            tokio::time::sleep(self.0.takes).await;
            match order.work {
                Work::Job(job) => {
                    assert_eq!(job["metadata"]["name"], "smoke", "of the base branch");
                    trial("test_job", self.0.next("test_job"))
                }
                Work::Command => trial("command", self.0.next("command")),
                Work::ReadBack(volume) => {
                    let is_there = self.0.volumes().contains(&volume.claim);
                    let tried = if is_there { self.0.next("storage") } else { not() };
                    trial(format!("storage/{}", order.update), tried)
                }
                work => panic!("{work:?}"),
            }
        })
    }

    fn write(&self, update: String, _: Trials) -> LocalBoxFuture<'_, (Option<KeptVolume>, Vec<Trial>)> {
        Box::pin(async move {
            let tried = self.0.next("write");
            let told = trial(format!("storage/{update}"), tried.clone());
            if tried != good() {
                return (None, told);
            }
            let claim = format!("claim-of-{update}");
            let mut volumes = self.0.volumes.lock().unwrap();
            if !volumes.contains(&claim) {
                volumes.push(claim.clone());
            }
            let volume = KeptVolume {
                namespace: "gitops-updater".to_owned(),
                claim,
                sha256: "00".repeat(32),
                node: "n1".to_owned(),
                until: "2027-01-01T00:00:00Z".parse().unwrap(),
                backup: None,
            };
            (Some(volume), told)
        })
    }

    fn remove(&self, _: String, volume: KeptVolume) -> LocalBoxFuture<'_, Result<(), Tried>> {
        Box::pin(async move {
            self.0.volumes.lock().unwrap().retain(|claim| *claim != volume.claim);
            Ok(())
        })
    }
}

fn storage() -> Trials {
    let storage = StorageSpec { storage_class: None, size: 1 << 30, data: 1 << 20, restore: false };
    Trials { storage: Some(storage), ..Trials::default() }
}

fn job() -> Trials {
    let job = TestJob {
        manifest: "tests/smoke.yaml".to_owned(),
        namespace: "smoke".to_owned(),
        timeout: Duration::from_secs(60),
    };
    Trials { test_job: Some(job), ..Trials::default() }
}

fn probe() -> Trials {
    let probe = ProbeSpec {
        name: "shop".to_owned(),
        target: Target::Tcp { host: "shop.example.com".to_owned(), port: 443 },
        from: Vantage::Here,
        timeout: Duration::from_secs(1),
    };
    Trials { probes: vec![probe], ..Trials::default() }
}

fn command() -> Trials {
    let command = CommandSpec { run: vec!["true".to_owned()], timeout: Duration::from_secs(1), pass: vec![] };
    Trials { command: Some(command), ..Trials::default() }
}

/// Windows of seconds: applied after 14 s, settled after 16, over after 36.
fn settings() -> Settings {
    Settings {
        sample: Duration::from_secs(1),
        settle: Duration::from_secs(2),
        windows: Windows::all(Duration::from_secs(20)),
        good: 3,
        cap: Duration::from_secs(600),
        ..Settings::default()
    }
}

/// A merged update with trials, and its commits.
struct Merged {
    settling: Settling,
    script: Arc<Script>,
    base: String,
    merge: String,
}

impl Merged {
    fn new(script: Script) -> Self {
        let script = Arc::new(script);
        let settling = Settling::merged_by(MergeMethod::Merge, "", Some(Box::new(Scripting(script.clone()))));
        let merge = settling.main();
        let base = settling.world.git.run(["rev-parse", "main^1"]);
        Self { settling, script, base, merge }
    }

    /// Flux applies the merge while it is looked on.
    fn story(&self) -> Story {
        let (base, merge) = (&self.base, &self.merge);
        let mut story = Story::begin(base, OLD);
        story
            .source(5.0, merge)
            .applied(5.5, merge, base, false)
            .release(6.0, 2, Release::Upgrading(OLD, NEW))
            .release(12.0, 2, Release::Deployed(NEW))
            .applied(14.0, merge, merge, true);
        story
    }

    fn watch(&self, wait: u64, witness: &dyn Witness, now: &str) -> Result<Settled, Error> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let cluster = Scripted::of(&self.story().text(), 0.0);
        let (lines, settings) = (Lines::default(), settings());
        let patience = HealthSettings::default().within(settings.windows.other);
        let before = self.settling.state().evidence;
        let settled = self.settling.world.with_pass(witness, now, &runtime, |pass| {
            let world = pass.observe()?;
            pass.settle(
                world,
                &Settle {
                    cluster: Some(&cluster),
                    away: None,
                    wait: Some(Duration::from_secs(wait)),
                    proposes: false,
                    settings,
                    checks: &|| settle::checks(patience.clone()),
                    stop: &|| Box::pin(std::future::pending()),
                    recorder: Some(&lines),
                    selected: &|_, _| true,
                    rules: &[],
                },
            )
        })?;
        comes_to_the_same_end(&lines.0.borrow(), &settled, &before);
        Ok(settled)
    }

    fn look(&self, wait: u64) -> Settled {
        let settled = self.watch(wait, &Recording::default(), LATER).unwrap();
        assert!(settled.failures.is_empty(), "{:?}", settled.failures);
        settled
    }

    /// Two passes, of which the second is beyond the longest time for an update.
    fn look_until_held(&self) -> Settled {
        self.look(600);
        self.watch(600, &Recording::default(), MUCH_LATER).unwrap()
    }

    fn stage(&self) -> Stage {
        self.settling.update().stage
    }
}

#[test]
fn volume_is_written_before_the_merge_and_read_back_twice_after_it_and_removed() {
    let merged = Merged::new(Script::new(storage()));
    assert_eq!(merged.script.asked("write"), 1, "when it was proposed");
    let before = merged.settling.update().settling.trials.unwrap();
    let id = &merged.settling.id;
    assert_eq!(before.results[&format!("storage/{id}")].ok, Some(true));
    assert_eq!(before.volume.unwrap().claim, format!("claim-of-{id}"));
    merged.look(600);
    assert_eq!(merged.stage(), Stage::Verified, "{:?}", merged.settling.update().reason);
    assert_eq!((merged.script.asked("write"), merged.script.asked("storage")), (1, 2));
    assert_eq!(merged.script.volumes(), [] as [&str; 0]);
    assert_eq!(merged.settling.update().settling.trials.unwrap().volume, None);
}

#[test]
fn volume_that_is_not_read_back_as_it_was_reverts_the_update() {
    let merged = Merged::new(Script::new(storage()).say("storage", [bad()]));
    let settled = merged.look(120);
    assert_eq!(settled.outcomes[&merged.settling.id], Outcome::Reverted, "{:?}", settled.waiting);
    assert_ne!(merged.settling.main(), merged.merge);
    assert_eq!(merged.script.volumes().len(), 1, "it is kept until the cluster is back");
}

#[test]
fn what_fails_once_is_tried_again_before_it_counts() {
    let merged = Merged::new(Script::new(command()).say("command", [good(), bad(), good()]));
    merged.look(600);
    assert_eq!(merged.stage(), Stage::Verified);
    assert_eq!(merged.script.asked("command"), 4, "before; bad and good when applied; good in the end");
}

#[test]
fn what_failed_before_the_update_is_not_its_fault() {
    let merged = Merged::new(Script::new(command()).say("command", [bad()]));
    merged.look(600);
    assert_eq!(merged.stage(), Stage::Verified);
}

#[test]
fn what_cannot_be_tried_is_never_a_regression_and_never_healthy() {
    let merged = Merged::new(Script::new(command()).say("command", [good(), not()]));
    let settled = merged.look_until_held();
    assert_eq!(settled.outcomes[&merged.settling.id], Outcome::HeldUnknown);
    let update = merged.settling.update();
    assert_eq!(update.stage, Stage::Held);
    assert!(update.settling.hold.unwrap().clears_itself, "until it can be tried");
    let said = merged.settling.state().evidence[&merged.settling.id].clone();
    let reasons: Vec<String> =
        said.judgements.last().unwrap().reasons.iter().map(|r| r.text.clone()).collect();
    assert!(reasons.contains(&"`command` could not be tried: forbidden".to_owned()), "{reasons:?}");
    assert_eq!(merged.settling.main(), merged.merge);
    let asked = merged.script.asked("command");
    assert!((3..14).contains(&asked), "again after a while, and not without end: {asked}");
}

#[test]
fn what_nobody_could_try_before_is_not_blamed_on_the_update() {
    let merged = Merged::new(Script::new(command()).say("command", [not(), bad()]));
    let settled = merged.look_until_held();
    assert_eq!(settled.outcomes[&merged.settling.id], Outcome::HeldUnknown);
    assert_eq!(merged.settling.main(), merged.merge);
}

#[test]
fn volume_that_was_not_written_before_is_not_called_proven() {
    let merged = Merged::new(Script::new(storage()).say("write", [not()]));
    let settled = merged.look_until_held();
    assert_eq!(settled.outcomes[&merged.settling.id], Outcome::HeldUnknown);
    assert_eq!(merged.script.asked("storage"), 0);
}

#[test]
fn job_of_the_base_branch_is_run_before_and_after() {
    let mut world = Merged::new(Script::new(job()).say("test_job", [good()]));
    // It is not in the repository yet: that is no failure of the update.
    world.look(60);
    assert_ne!(world.stage(), Stage::Verified);
    assert_eq!(world.script.asked("test_job"), 0);
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: smoke}\nspec: {}\n";
    world.settling.world.git.write("tests/smoke.yaml", job);
    world.settling.world.git.commit_all("Add a test");
    world.merge = world.settling.main();
    world.look(600);
    assert_eq!(world.stage(), Stage::Verified, "{:?}", world.settling.update().reason);
    assert_eq!(world.script.asked("test_job"), 2);
}

#[test]
fn address_is_asked_in_every_sample_and_what_comes_and_goes_is_held() {
    let merged = Merged::new(Script::new(probe()));
    merged.look(600);
    assert_eq!(merged.stage(), Stage::Verified);
    assert!((18..30).contains(&merged.script.asked("probe")), "{}", merged.script.asked("probe"));
    let turns = [good(), good(), good(), bad(), bad(), good(), good(), bad(), bad(), good(), good(), good()];
    let merged = Merged::new(Script::new(probe()).say("probe", turns));
    let settled = merged.look(60);
    assert_eq!(settled.outcomes[&merged.settling.id], Outcome::HeldUnknown, "{:?}", settled.waiting);
    assert_eq!(merged.settling.main(), merged.merge);
}

#[test]
fn address_that_stops_answering_reverts_the_update() {
    let merged = Merged::new(Script::new(probe()).say("probe", [good(), good(), bad()]));
    let settled = merged.look(60);
    assert_eq!(settled.outcomes[&merged.settling.id], Outcome::Reverted, "{:?}", settled.waiting);
}

#[test]
fn trial_that_is_under_way_when_the_pass_would_end_is_waited_for() {
    let merged = Merged::new(Script { takes: Duration::from_secs(30), ..Script::new(storage()) });
    merged.look(38);
    assert_eq!(merged.stage(), Stage::Verified, "{:?}", merged.settling.update().reason);
    assert_eq!(merged.script.asked("storage"), 1, "it ended after the window, and so counts for its end");
}

#[test]
fn nothing_is_tried_while_everything_is_stopped() {
    let merged = Merged::new(Script::new(command()));
    merged.settling.world.git.write(".gitops-updater.yaml", "enabled: false\n");
    merged.settling.world.git.commit_all("Stop");
    let before = merged.script.asked("command");
    merged.look(120);
    assert_eq!(merged.script.asked("command"), before);
    assert_ne!(merged.stage(), Stage::Verified);
}

#[test]
fn dry_run_tries_nothing() {
    let merged = Merged::new(Script::new(storage()));
    let skipping = Recording { skip: true, ..Recording::default() };
    merged.watch(120, &skipping, LATER).unwrap();
    assert_eq!((merged.script.asked("storage"), merged.script.volumes().len()), (0, 1));
}

#[test]
fn pass_that_is_killed_between_any_two_effects_comes_to_the_same_end() {
    let clean = Merged::new(Script::new(storage()));
    let counting = Recording::default();
    clean.watch(100, &counting, LATER).unwrap();
    let count = counting.count();
    assert!(count > 5, "{count}");
    for stop in 0..count {
        let merged = Merged::new(Script::new(storage()));
        let stopped = Recording { stop_after: Some(stop), ..Recording::default() };
        assert!(merged.watch(100, &stopped, LATER).is_err(), "effect {stop}");
        merged.watch(100, &Recording::default(), MUCH_LATER).unwrap();
        let end = (merged.stage(), merged.settling.main(), merged.script.volumes());
        assert_eq!(end, (Stage::Verified, merged.merge.clone(), vec![]), "killed after effect {stop}");
        assert_eq!(merged.script.asked("write"), 1);
    }
}
