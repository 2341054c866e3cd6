//! People are told once, whoever runs the pass, however often, and wherever it is killed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gitops_updater::app::effects::{Effect, Go, Stopped, Witness};
use gitops_updater::app::notify::{Delivered, Error, Event, Kind, Messenger, NotSent, Telling};
use gitops_updater::config::{self, Config, Origin, Trust};
use gitops_updater::domain::notice::Acknowledged;
use gitops_updater::domain::state::{Stage, Update};
use gitops_updater::repo::write::{Person, Remote, WriteRepo};
use gitops_updater::state::{StateStore, Transition};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::git::Git;

const CONFIG: &str = "\
notifications:
  channels:
    ops: {type: webhook, url: 'https://hooks.example/ops', at_least: regular}
    pager: {type: webhook, url: 'https://hooks.example/pager', at_least: critical}
    boss: {type: webhook, url: 'https://hooks.example/boss', at_least: escalation}
    k3s: {type: webhook, url: 'https://hooks.example/k3s', at_least: critical, components: [k3s]}
";

fn at(minutes: i64) -> Timestamp {
    "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

/// Remembers what it was given.
#[derive(Default)]
struct Post {
    sent: Mutex<Vec<(String, Vec<String>)>>,
    broken: Mutex<Vec<&'static str>>,
}

impl Messenger for Post {
    async fn send(&self, channel: &str, _: &str, events: &[&Event]) -> Result<(), NotSent> {
        if self.broken.lock().unwrap().contains(&channel) {
            return Err(NotSent { reason: "it is broken".to_owned() });
        }
        let keys = events.iter().map(|event| event.key.clone()).collect();
        self.sent.lock().unwrap().push((channel.to_owned(), keys));
        Ok(())
    }
}

impl Post {
    /// Channel and kind of each message so far.
    fn taken(&self) -> Vec<String> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        let kind = |key: &String| key.split('/').next().unwrap().to_owned();
        let mut all: Vec<String> = sent
            .iter()
            .map(|(channel, keys)| {
                format!("{channel} {}", keys.iter().map(kind).collect::<Vec<_>>().join("+"))
            })
            .collect();
        all.sort();
        all
    }
}

/// Stops before or after one effect, counted from 0.
#[derive(Default)]
struct Killer {
    before: Option<usize>,
    after: Option<usize>,
    skip: bool,
    count: Mutex<usize>,
}

impl Witness for Killer {
    fn before(&self, _: &Effect) -> Result<Go, Stopped> {
        if self.skip {
            return Ok(Go::Skip);
        }
        if self.before == Some(*self.count.lock().unwrap()) { Err(Stopped) } else { Ok(Go::Do) }
    }

    fn after(&self, _: &Effect) -> Result<(), Stopped> {
        let mut count = self.count.lock().unwrap();
        *count += 1;
        if self.after.is_some_and(|after| after + 1 == *count) { Err(Stopped) } else { Ok(()) }
    }
}

struct World {
    _folder: tempfile::TempDir,
    git: Git,
    config: Config,
    post: Post,
    /// When the pass begins.
    begun: Timestamp,
}

fn update(id: &str, component: &str, stage: Stage) -> Update {
    serde_json::from_value(json!({
        "update_id": id, "status": stage.status(), "stage": stage, "started_at": at(0), "changed_at": at(0),
        "campaign": "campaign-1", "component": component, "from": "1.0.0", "to": "1.1.0", "update_type": "minor",
        "gate": "review", "policy_applied": "policy", "revert": {"safety": "safe", "why": "it is"},
        "backup_id": null, "branch": "gitops-updater/x", "base": null, "head": null, "pull_request": 7,
        "merge_commit": null, "merged_at": null, "current_phase": null, "completed_phases": [], "reason": "not ready",
    }))
    .unwrap()
}

fn parsed(text: &str) -> Config {
    let origin = Origin { name: "c", trust: Trust::Repository, folder: None, repository: None };
    config::parse(text, &origin).unwrap()
}

impl World {
    fn new(updates: &[Update]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Git::init(folder.path().join("repo"));
        git.write("a.yaml", "a: 1\n");
        git.commit_all("Start");
        let config = parsed(CONFIG);
        let world = Self { _folder: folder, git, config, post: Post::default(), begun: at(0) };
        let updates: BTreeMap<String, Update> =
            updates.iter().map(|update| (update.update_id.clone(), update.clone())).collect();
        world
            .store()
            .change(at(0), |state| {
                state.updates = updates.clone();
                Some(Transition::new("Start"))
            })
            .unwrap();
        world
    }

    fn store(&self) -> StateStore {
        let repo = Arc::new(WriteRepo::open(self.git.dir(), Remote::own()).unwrap());
        StateStore::new(repo, Person::bot())
    }

    fn tell_with(
        &self,
        witness: &dyn Witness,
        extra: Vec<Event>,
        now: Timestamp,
    ) -> Result<Delivered, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = self.store();
        let state = store.load().unwrap().state;
        let telling = Telling {
            config: &self.config.notifications,
            messenger: &self.post,
            store: &store,
            witness,
            runtime: &runtime,
            begun: self.begun,
            now,
        };
        telling.tell(&state, extra, &BTreeMap::new())
    }

    fn tell(&self, minutes: i64) -> Delivered {
        self.tell_with(&Killer::default(), vec![], at(minutes)).unwrap()
    }
}

fn held_and_proposed() -> World {
    World::new(&[
        update("update-1", "helm/apps/podinfo", Stage::Held),
        update("update-2", "helm/apps/website", Stage::Proposed),
    ])
}

const CLEAN: [&str; 3] = ["ops held", "ops proposed", "pager held"];

#[test]
fn each_channel_gets_what_it_is_for_once() {
    let world = held_and_proposed();
    let delivered = world.tell(1);
    assert_eq!(world.post.taken(), CLEAN);
    assert_eq!(delivered.sent, BTreeMap::from([("ops".to_owned(), 2), ("pager".to_owned(), 1)]));
    for minutes in [1, 2, 60, 23 * 60] {
        assert_eq!(world.tell(minutes), Delivered::default());
    }
    assert_eq!(world.post.taken(), [""; 0]);
}

#[test]
fn pass_that_is_killed_anywhere_tells_everything_in_the_end() {
    for stop in 0..5 {
        for killer in [
            Killer { before: Some(stop), ..Killer::default() },
            Killer { after: Some(stop), ..Killer::default() },
        ] {
            let world = held_and_proposed();
            let ended = world.tell_with(&killer, vec![], at(1));
            assert!(ended.is_err(), "effect {stop} was not stopped");
            let first = world.post.taken();
            // Another pass at once leaves it to the one that may be at it still.
            let delivered = world.tell(2);
            let second = world.post.taken();
            let claimed = stop > 0 || killer.after.is_some();
            assert_eq!(second.is_empty(), claimed, "{stop}: {delivered:?}");
            world.tell(12);
            let mut all: Vec<String> = [first, second, world.post.taken()].concat();
            // What was sent and not recorded is sent again: better twice than never.
            all.sort();
            all.dedup();
            assert_eq!(all, CLEAN, "stopped at effect {stop}");
            world.tell(13);
            assert_eq!(world.post.taken(), [""; 0]);
        }
    }
}

#[test]
fn of_two_passes_at_once_one_tells() {
    let world = held_and_proposed();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // The slower one may find the state moved too often under it; it leaves the rest to the next pass.
                let _ended = world.tell_with(&Killer::default(), vec![], at(1)).is_ok();
            });
        }
    });
    assert_eq!(world.post.taken(), CLEAN);
}

#[test]
fn channel_that_fails_is_told_later_and_keeps_no_other_from_its_messages() {
    let world = held_and_proposed();
    world.post.broken.lock().unwrap().push("ops");
    let delivered = world.tell(1);
    assert_eq!(world.post.taken(), ["pager held"]);
    assert_eq!(delivered.failed, BTreeMap::from([("ops".to_owned(), (2, "it is broken".to_owned()))]));
    assert_eq!(world.tell(2), Delivered::default(), "not in every pass");
    world.post.broken.lock().unwrap().clear();
    world.tell(7);
    assert_eq!(world.post.taken(), ["ops held", "ops proposed"]);
    assert_eq!(world.tell(8), Delivered::default());
}

#[test]
fn hold_is_repeated_escalated_and_acknowledged() {
    let world = World::new(&[update("update-1", "helm/apps/podinfo", Stage::Held)]);
    let day = 24 * 60;
    world.tell(1);
    assert_eq!(world.post.taken(), ["ops held", "pager held"]);
    world.tell(day);
    assert_eq!(world.post.taken(), ["ops hold_unacknowledged", "pager hold_unacknowledged"]);
    world.tell(day + 60);
    assert_eq!(world.post.taken(), [""; 0]);
    world.tell(2 * day);
    assert_eq!(
        world.post.taken(),
        ["boss hold_unacknowledged", "ops hold_unacknowledged", "pager hold_unacknowledged"]
    );
    world
        .store()
        .change(at(2 * day + 1), |state| {
            let acknowledged = Acknowledged { by: "jane".to_owned(), at: at(2 * day + 1) };
            state.told.acknowledged.insert("update-1".to_owned(), acknowledged);
            Some(Transition::new("Acknowledge"))
        })
        .unwrap();
    world.tell(9 * day);
    assert_eq!(world.post.taken(), [""; 0]);
}

#[test]
fn channel_for_components_gets_theirs_and_what_is_about_none() {
    let world = World::new(&[update("update-1", "staging:k3s", Stage::Held)]);
    let breaker = Event::new(Kind::CircuitBreaker, "x", "two reverts", at(0));
    world.tell_with(&Killer::default(), vec![breaker], at(1)).unwrap();
    assert_eq!(
        world.post.taken(),
        [
            "k3s circuit_breaker",
            "k3s held",
            "ops circuit_breaker",
            "ops held",
            "pager circuit_breaker",
            "pager held"
        ]
    );
}

#[test]
fn flood_of_news_is_one_message() {
    let world = World::new(&[]);
    let news = (0..40).map(|number| Event::new(Kind::UpdateFound, &number.to_string(), "x", at(0)));
    world.tell_with(&Killer::default(), news.collect(), at(1)).unwrap();
    assert_eq!(world.post.taken(), [format!("ops {}", vec!["update_found"; 40].join("+"))]);
}

#[test]
fn dry_run_tells_what_it_would_and_nobody_else() {
    let world = held_and_proposed();
    let tip = world.store().load().unwrap().tip;
    let dry = Killer { skip: true, ..Killer::default() };
    let delivered = world.tell_with(&dry, vec![], at(1)).unwrap();
    let told: Vec<String> = delivered.effects.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    record: Tell people
    tell ops: Update held: helm/apps/podinfo 1.0.0 -> 1.1.0
    tell ops: Update proposed: helm/apps/website 1.0.0 -> 1.1.0
    tell pager: Update held: helm/apps/podinfo 1.0.0 -> 1.1.0
    ");
    assert_eq!(world.post.taken(), [""; 0]);
    assert_eq!(world.store().load().unwrap().tip, tip);
}

/// Whoever added a channel got all that had happened in the week before.
#[test]
fn new_channel_hears_of_what_is_so_still_and_of_what_happens_from_then_on() {
    let mut world = World::new(&[
        update("update-1", "helm/apps/a", Stage::Verified),
        update("update-2", "helm/apps/b", Stage::Reverted),
        update("update-3", "helm/apps/c", Stage::Held),
        update("update-4", "helm/apps/d", Stage::Proposed),
        update("update-5", "helm/apps/e", Stage::Merged),
    ]);
    world.begun = at(60);
    world.tell(61);
    assert_eq!(world.post.taken(), CLEAN);
    let one_more = "    late: {type: webhook, url: 'https://hooks.example/late', at_least: regular}\n";
    world.config = parsed(&format!("{CONFIG}{one_more}"));
    world.begun = at(120);
    world.tell(121);
    assert_eq!(world.post.taken(), ["late held", "late proposed"]);
    let reverted = |state: &mut gitops_updater::domain::state::State| {
        let update = state.updates.get_mut("update-5")?;
        (update.stage, update.changed_at) = (Stage::Reverted, at(122));
        Some(Transition::new("Revert"))
    };
    world.store().change(at(122), reverted).unwrap();
    world.begun = at(123);
    world.tell(123);
    assert_eq!(world.post.taken(), ["late reverted", "ops reverted", "pager reverted"]);
    assert_eq!(world.tell(124), Delivered::default());
}
