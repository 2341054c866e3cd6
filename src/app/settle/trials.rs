//! Trials around an update: made before its merge, made again when it is applied and when its window is over, and told
//! to the judge as they end.
//!
//! What takes minutes runs while the pass looks on. Nothing of it is ever started while the kill switch is on. What went
//! badly is tried once more before it counts; what could not be tried is told as that, and tried again after a while.

mod before;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::look::Look;
use super::watching::Watching;
use crate::app::cluster::Cluster;
use crate::app::effects::Effect;
use crate::app::forge::Forge;
use crate::app::health::readiness;
use crate::app::pass::Error;
use crate::app::probes::{Order, Trial, Tried, Trier, Work};
use crate::domain::settle::health::API_SERVER;
use crate::domain::settle::health::probe::{RESTORE, STORAGE, Trials, Vantage};
use crate::domain::settle::judge::Judge;
use crate::domain::settle::record::KeptVolume;
use crate::domain::state::{Stage, Update};
use crate::state::Transition;

/// Time until what went badly is tried again.
const AFTER_BAD: Duration = Duration::from_secs(300);
/// Time until what could not be tried is tried again; it doubles each time.
const AFTER_NOT: Duration = Duration::from_secs(60);
/// The longest it becomes.
const AFTER_NOT_AT_MOST: Duration = Duration::from_secs(600);

/// What is tried in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Asked from where the program runs, in every sample.
    Here,
    Inside,
    Storage,
    Restore,
    Job,
    Command,
}

/// What is tried for an update, in the groups that are tried in one go, with the names of the results.
fn groups(trials: &Trials, update: &str) -> Vec<(Group, Trials, BTreeSet<String>)> {
    let of = |from| trials.probes.iter().filter(|probe| probe.from == from).cloned().collect();
    let none = || Trials { pods: trials.pods.clone(), ..Trials::default() };
    let storage = trials.storage.clone();
    let parts = [
        (Group::Here, Trials { probes: of(Vantage::Here), ..none() }),
        (Group::Inside, Trials { probes: of(Vantage::Cluster), network: trials.network.clone(), ..none() }),
        (Group::Storage, Trials { storage: storage.clone(), ..none() }),
        (Group::Restore, Trials { storage: storage.filter(|storage| storage.restore), ..none() }),
        (Group::Job, Trials { test_job: trials.test_job.clone(), ..none() }),
        (Group::Command, Trials { command: trials.command.clone(), ..none() }),
    ];
    parts
        .into_iter()
        .map(|(group, part)| {
            let mut names = part.names_for(update);
            let first = match group {
                Group::Storage => Some(STORAGE),
                Group::Restore => Some(RESTORE),
                _ => None,
            };
            names.retain(|name| first.is_none_or(|first| name.split('/').next() == Some(first)));
            (group, part, names)
        })
        .filter(|(_, _, names)| !names.is_empty())
        .collect()
}

/// Something that is to be tried now.
struct Due {
    group: Group,
    /// Update id.
    update: String,
    trials: Trials,
    names: BTreeSet<String>,
    volume: Option<KeptVolume>,
}

/// What is tried for an update that is watched.
struct Around {
    update: String,
    trials: Trials,
    volume: Option<KeptVolume>,
}

/// Trials under way while a pass looks on.
#[derive(Default)]
pub(super) struct Trying<'a> {
    /// By the id that the judge knows an update by.
    around: BTreeMap<String, Around>,
    running: FuturesUnordered<LocalBoxFuture<'a, Vec<Trial>>>,
    /// Names of what is being tried.
    busy: BTreeSet<String>,
    /// Not to be tried before this time, and how long was waited for that.
    later: BTreeMap<String, (Instant, Duration)>,
    /// When addresses are asked from here again.
    ask_at: Option<Instant>,
    /// When the API server is asked again whether it is ready; `None` while nothing is watched.
    ready_at: Option<Instant>,
    /// It said so last: one more of the same is no news.
    was_ready: bool,
}

impl<'a> Trying<'a> {
    /// Whether anything is being tried.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The next results.
    pub(super) async fn next(&mut self) -> Vec<Trial> {
        let mut ended = self.running.next().await.unwrap_or_default();
        let now = Instant::now();
        ended.retain(|trial| trial.name != API_SERVER || self.is_news(trial));
        for trial in ended.iter().filter(|trial| trial.name != API_SERVER) {
            self.busy.remove(&trial.name);
            match &trial.tried {
                Tried::Good(_) => _ = self.later.remove(&trial.name),
                Tried::Bad(_) => _ = self.later.insert(trial.name.clone(), (now + AFTER_BAD, AFTER_NOT)),
                Tried::Not(reason) => {
                    let before = self.later.get(&trial.name).map(|(_, pause)| *pause * 2);
                    if before.is_none() {
                        tracing::warn!(name = trial.name, reason, "could not be tried");
                    }
                    let pause = before.unwrap_or(AFTER_NOT).min(AFTER_NOT_AT_MOST);
                    self.later.insert(trial.name.clone(), (now + pause, pause));
                }
            }
        }
        ended
    }

    fn is_news(&mut self, trial: &Trial) -> bool {
        self.busy.remove(&trial.name);
        let is_ready = matches!(trial.tried, Tried::Good(_));
        !(std::mem::replace(&mut self.was_ready, is_ready) && is_ready)
    }

    /// Whether anything is to be tried now.
    pub(super) fn is_due(&self, judge: &Judge, now: Instant) -> bool {
        self.is_ready_due(now) || !self.due(judge, now).is_empty()
    }

    fn is_ready_due(&self, now: Instant) -> bool {
        self.ready_at.is_some_and(|at| at <= now) && !self.busy.contains(API_SERVER)
    }

    fn due(&self, judge: &Judge, now: Instant) -> Vec<Due> {
        let mut taken = self.busy.clone();
        let mut due = Vec::new();
        for (judged, around) in &self.around {
            let Some(wanted) = judge.wants_tried(judged) else { continue };
            for (group, trials, names) in groups(&around.trials, &around.update) {
                let is_due = match group {
                    // In every sample, whatever they said before.
                    Group::Here => self.ask_at.is_none_or(|at| at <= now),
                    _ => {
                        names.iter().any(|name| wanted.contains(&name.as_str()))
                            && !names.iter().any(|name| self.later.get(name).is_some_and(|(at, _)| *at > now))
                    }
                };
                if is_due && names.is_disjoint(&taken) {
                    taken.extend(names.iter().cloned());
                    let (update, volume) = (around.update.clone(), around.volume.clone());
                    due.push(Due { group, update, trials, names, volume });
                }
            }
        }
        due
    }

    fn start(&mut self, names: BTreeSet<String>, trial: LocalBoxFuture<'a, Vec<Trial>>) {
        self.busy.extend(names.iter().cloned());
        self.running.push(Box::pin(async move {
            let mut ended = trial.await;
            ended.retain(|trial| names.contains(&trial.name));
            // Whoever waits for a name is told of it in any case.
            for name in names {
                if ended.iter().all(|trial| trial.name != name) {
                    ended.push(not(name, "nothing was said of it"));
                }
            }
            ended
        }));
    }

    fn start_not(&mut self, names: BTreeSet<String>, why: &'static str) {
        self.start(names, Box::pin(async move { Vec::from([not(String::new(), why)]) }));
    }
}

fn not(name: String, why: &str) -> Trial {
    Trial { name, tried: Tried::Not(why.to_owned()) }
}

/// Does a piece of work, and what went badly of it once more: only what goes badly twice did.
async fn confirmed(trier: &dyn Trier, order: Order) -> Vec<Trial> {
    let is_bad = |trial: &Trial| matches!(trial.tried, Tried::Bad(_));
    let first = trier.work(order.clone()).await;
    if !first.iter().any(is_bad) {
        return first;
    }
    let second = trier.work(order).await;
    let again = |trial: Trial| match second.iter().find(|other| other.name == trial.name) {
        Some(other) if is_bad(&trial) => other.clone(),
        _ => trial,
    };
    first.into_iter().map(again).collect()
}

impl<F: Forge, C: Cluster> Watching<'_, '_, F, C> {
    /// Tries what is open and was not tried for a while. While something is rolling, nothing is learned by it.
    pub(super) fn try_open(&mut self) -> Result<(), Error> {
        if self.settle.cluster.is_none() || !self.followed.is_empty() {
            return Ok(());
        }
        let updates = self.run.world.state.updates.values();
        let open = updates.filter(|update| {
            update.stage == Stage::Proposed && (self.settle.selected)(&update.update_id, &update.component)
        });
        let open: Vec<String> = open.map(|update| update.update_id.clone()).collect();
        self.run.try_before(&open)
    }

    /// What the judge is told to expect: everything that is tried for an update, and how it went before.
    pub(super) fn trials_of(&self, update: &Update) -> BTreeMap<String, Option<bool>> {
        let before = update.settling.trials.as_ref().map(|before| &before.results);
        let names = self.run.pass.trials.trials(update).names_for(&update.update_id);
        let known = |name: &String| before.and_then(|results| results.get(name)).and_then(|result| result.ok);
        names
            .into_iter()
            .map(|name| {
                let ok = known(&name);
                (name, ok)
            })
            .collect()
    }

    /// Begins what is to be tried now. Nothing is begun after `deadline`; what is under way then is waited for.
    pub(super) fn start_trials(&mut self, look: &Look<'_>, deadline: Instant) -> Result<(), Error> {
        let Some(cluster) = self.settle.cluster else { return Ok(()) };
        let trier = self.run.pass.trials;
        let updates = &self.run.world.state.updates;
        let followed = self.followed.iter().filter(|(_, follow)| !follow.attended);
        let around = followed.filter_map(|(judged, follow)| {
            let update = updates.get(&follow.update)?;
            let volume = update.settling.trials.as_ref().and_then(|before| before.volume.clone());
            let trials = trier.trials(update);
            Some((judged.clone(), Around { update: follow.update.clone(), trials, volume }))
        });
        self.trying.around = around.filter(|(_, around)| !around.trials.names().is_empty()).collect();
        let now = look.instant_now();
        if now >= deadline {
            return Ok(());
        }
        for due in self.trying.due(look.judge(), now) {
            self.start_trial(due, now)?;
        }
        // Less than a sample, as for addresses.
        let again = now + self.settle.settings.sample / 2;
        if self.followed.values().all(|follow| follow.attended) {
            self.trying.ready_at = None;
        } else if self.trying.ready_at.is_none() {
            // It was asked when looking began.
            self.trying.ready_at = Some(again);
        } else if self.trying.is_ready_due(now) {
            self.trying.ready_at = Some(again);
            let asked = async move { vec![readiness(cluster).await] };
            self.trying.start(BTreeSet::from([API_SERVER.to_owned()]), Box::pin(asked));
        }
        Ok(())
    }

    fn start_trial(&mut self, due: Due, now: Instant) -> Result<(), Error> {
        let trier = self.run.pass.trials;
        let Due { group, update, trials, names, volume } = due;
        if group == Group::Here {
            // Less than a sample: the next timer of the judge may come a little early, and is to find it due.
            self.trying.ask_at = Some(now + self.settle.settings.sample / 2);
            self.trying.start(names, trier.ask(trials));
            return Ok(());
        }
        let work = match (group, volume) {
            (Group::Storage | Group::Restore, None) => {
                self.trying.start_not(names, "nothing was written before the update");
                return Ok(());
            }
            (Group::Storage, Some(volume)) => Work::ReadBack(volume),
            (Group::Restore, Some(volume)) => Work::Restore(volume),
            (Group::Job, _) => match self.run.job(&trials) {
                Ok(work) => work,
                Err(tried) => {
                    let told = names.iter().map(|name| Trial { name: name.clone(), tried: tried.clone() });
                    let told: Vec<Trial> = told.collect();
                    self.trying.start(names, Box::pin(async move { told }));
                    return Ok(());
                }
            },
            (Group::Command, _) => Work::Command,
            (Group::Inside | Group::Here, _) => Work::Inside,
        };
        if self.run.is_stopped()? {
            self.trying.start_not(names, "everything is stopped by the kill switch");
            return Ok(());
        }
        let what = format!("try {}", list(&names));
        match self.run.effect(Effect::Ask { what }, |_| Ok(()))? {
            Some(()) => {
                let order = Order { work, update, trials };
                self.trying.start(names, Box::pin(confirmed(trier, order)));
            }
            None => self.trying.start_not(names, "a dry run tries nothing"),
        }
        Ok(())
    }

    /// Removes the volumes of updates that are over.
    pub(super) fn remove_volumes(&mut self) -> Result<(), Error> {
        if self.settle.cluster.is_none() {
            return Ok(());
        }
        let over = |stage| matches!(stage, Stage::Verified | Stage::Reverted | Stage::Abandoned);
        let updates = self.run.world.state.updates.values().filter(|update| over(update.stage));
        let kept: Vec<(String, KeptVolume)> = updates
            .filter_map(|update| {
                Some((update.update_id.clone(), update.settling.trials.as_ref()?.volume.clone()?))
            })
            .collect();
        for (id, volume) in kept {
            if self.run.is_stopped()? {
                return Ok(());
            }
            let what = format!("remove the volume {}/{} of a trial", volume.namespace, volume.claim);
            let removed = self.run.effect(Effect::Ask { what }, |run| {
                Ok(run.pass.wait(run.pass.trials.remove(id.clone(), volume.clone())))
            })?;
            match removed {
                Some(Err(Tried::Good(why) | Tried::Bad(why) | Tried::Not(why))) => {
                    tracing::warn!(
                        reason = why,
                        "the volume of a trial is not removed; the next pass tries again"
                    );
                }
                Some(Ok(())) => {
                    self.run.record_update_as(
                        &id,
                        |update| Transition::told("Note that the trial volume is removed of", update),
                        |update| {
                            if let Some(before) = &mut update.settling.trials {
                                before.volume = None;
                            }
                        },
                    )?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
