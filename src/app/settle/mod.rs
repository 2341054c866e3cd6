//! What follows a merge: look on until it is good, take it back, or hold it for a person.
//!
//! Pull requests that were merged are recorded; what the base branch, the cluster and the forge show of them goes to the
//! judge; and what the judge says is carried out. Everything that the next pass must know is in the state, so that a
//! pass may end, or be killed, at any moment. Nothing is reverted that somebody changed since, and never while the kill
//! switch is on; windows and maintenance hold no revert up.

mod act;
mod branch;
mod fetch;
mod follow;
mod land;
mod look;
mod recover;
mod revert;
mod stop_rollout;
mod tell;
mod trials;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::SignedDuration;

use self::act::Decision;
use self::branch::OnBranch;
use self::follow::Follow;
pub use self::look::Recorder;
use self::look::{Begin, Look, News};
use self::revert::Taken;
use self::trials::Trying;
use super::cluster::Cluster;
use super::effects::{Effect, Stopped};
use super::forge::Forge;
use super::pass::{Done, Error, Failure, Pass, UnderWay, Unfit, World};
use crate::domain::plan::RevertSafety;
use crate::domain::rule::Rule;
use crate::domain::rule::health::{health_for, runbook_for};
use crate::domain::settle::health::{self, HealthSettings, Moves, prechecks};
use crate::domain::settle::judge::Checks;
use crate::domain::settle::line::{Merged, Moment};
use crate::domain::settle::memory::Baseline;
use crate::domain::settle::settings::Settings;
use crate::domain::settle::verdict::{Action, Verdict};
use crate::domain::settle::world;
use crate::domain::state::{Stage, State, Update};

/// How often the branch and the forge are looked at while a pass looks on.
const POLL: Duration = Duration::from_secs(30);

/// Hours after its end in which the forge is told of an update that it was not told of.
const TOLD_FOR: i64 = 7 * 24;

/// How a pass settles.
pub struct Settle<'a, C> {
    /// The cluster; `None` where there is no way to it.
    pub cluster: Option<&'a C>,
    /// Why the cluster does not answer, where there is a way to it and it does not.
    pub away: Option<&'a str>,
    /// How long this pass looks on at most; `None` = as long as the windows of what it looks at.
    pub wait: Option<Duration>,
    /// Something may be proposed afterwards: how the cluster is before that has to be known.
    pub proposes: bool,
    /// Windows and thresholds.
    pub settings: Settings,
    /// The health checks.
    pub checks: &'a dyn Fn() -> Checks,
    /// Ends when the pass is asked to stop.
    pub stop: &'a dyn Fn() -> LocalBoxFuture<'static, ()>,
    /// Takes every line that a verdict is made from.
    pub recorder: Option<&'a dyn Recorder>,
    /// Which updates are settled, by id and component; the others are left as they are.
    pub selected: &'a dyn Fn(&str, &str) -> bool,
    /// What is known about components: how long they are watched, and what a person does about them.
    pub rules: &'a [Rule],
}

/// What settling came to.
#[derive(Debug)]
pub struct Settled {
    /// The state after it.
    pub state: State,
    /// What was done, in order.
    pub effects: Vec<Effect>,
    /// What each update waits for, by update id.
    pub waiting: BTreeMap<String, String>,
    /// What went wrong with single updates.
    pub failures: Vec<Failure>,
    /// The updates that were looked at, by id, and what became of them.
    pub outcomes: BTreeMap<String, Outcome>,
    /// What is wrong in the cluster now, where it was seen.
    pub baseline: Option<Baseline>,
    /// Why nothing may be merged as the cluster is; `None` where there is no way to it.
    pub unfit: Option<Unfit>,
    /// What did not go well and kept nothing from going on, such as a commit status that the forge refused.
    pub warnings: Vec<String>,
    /// Why the cluster was not seen.
    pub blind: Option<String>,
    /// Why the recording is not whole.
    pub unrecorded: Option<std::io::Error>,
}

impl Settled {
    /// Puts what was settled in front of what was done after it.
    pub fn put_before(self, done: &mut Done) {
        done.effects.splice(..0, self.effects);
        done.failures.splice(..0, self.failures);
        for (id, why) in self.waiting {
            // Who looked at the cluster knows more of what was merged than who did not.
            if done.state.updates.get(&id).is_some_and(|update| update.merge_commit.is_some()) {
                done.waiting.insert(id, why);
            }
        }
        done.warnings.extend(self.warnings);
        done.warnings.extend(self.blind.map(|why| format!("the cluster was not seen: {why}")));
    }
}

/// Why nothing may be merged as the cluster is.
fn unfit(world: &world::World) -> Unfit {
    let why = |moves| {
        let concerns = prechecks(world, &HealthSettings::default(), moves);
        let told = concerns.into_iter().map(|concern| match concern.object {
            Some(object) => format!("{object}: {}", concern.text),
            None => concern.text,
        });
        told.collect()
    };
    Unfit {
        anything: why(Moves::default()),
        nodes: why(Moves { nodes: true, drains: true, longhorn: false }),
        longhorn: why(Moves { longhorn: true, ..Moves::default() }),
    }
}

/// What became of an update in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is verified, or a person has ended it.
    Over,
    /// Nothing is decided yet.
    Undecided,
    /// Held; it did not regress, as far as is known.
    HeldUnknown,
    /// It regressed and is held for a person.
    HeldRegressed,
    /// It regressed, and was taken back or is proposed to be.
    Reverted,
    /// It regressed, and taking it back failed.
    RevertFailed,
}

impl<F: Forge> Pass<'_, F> {
    /// Settles what was merged.
    ///
    /// # Errors
    ///
    /// The pass as a whole cannot go on; what concerns one update alone is among the failures.
    pub fn settle<C: Cluster>(&self, world: World, settle: &Settle<'_, C>) -> Result<Settled, Error> {
        let mut run = UnderWay::new(self, world);
        run.adopt()?;
        run.obey()?;
        run.record_merges()?;
        let course = Course {
            run,
            settle,
            outcomes: BTreeMap::new(),
            acted: BTreeMap::new(),
            followed: BTreeMap::new(),
            told: BTreeSet::new(),
            back: BTreeSet::new(),
            deferred: BTreeMap::new(),
            trying: Trying::default(),
        };
        course.go()
    }
}

/// Settling under way.
struct Course<'a, 'p, F, C> {
    run: UnderWay<'p, F>,
    settle: &'a Settle<'a, C>,
    outcomes: BTreeMap<String, Outcome>,
    /// What was said of each update when it was acted upon last.
    acted: BTreeMap<String, (Verdict, Action, String)>,
    /// Updates that the judge is asked of, by the id that it knows them by.
    followed: BTreeMap<String, Follow>,
    /// Commits of the base branch that the judge was told of.
    told: BTreeSet<String>,
    /// Updates that were taken back, or replaced, and of which the judge says that the cluster follows.
    back: BTreeSet<String>,
    /// Reverts that wait for what was tried before them, by the judge's id, and until when.
    deferred: BTreeMap<String, (Moment, Decision)>,
    /// Trials that are under way.
    trying: Trying<'p>,
}

impl<F: Forge, C: Cluster> Course<'_, '_, F, C> {
    fn go(mut self) -> Result<Settled, Error> {
        let begun = self.run.pass.now;
        self.check_branches(begun)?;
        self.go_on_reverting(begun)?;
        self.go_on_stopping()?;
        self.followed = self.find_followed()?;
        self.remove_volumes()?;
        self.try_open()?;
        let open = self.run.world.state.updates.values().any(|update| update.stage == Stage::Proposed);
        let away = self.settle.away.map(str::to_owned);
        let wants_baseline = (open || self.settle.proposes) && self.settle.cluster.is_some();
        if self.followed.is_empty() && self.settle.recorder.is_none() && !wants_baseline {
            self.tell_all()?;
            return Ok(self.settled(None));
        }
        let mut settings = self.settle.settings.clone();
        for follow in self.followed.values() {
            let Merged { component, kind, .. } = &follow.merged;
            let update = self.run.world.state.updates.get(&follow.update);
            let chart = update.and_then(|update| update.chart.as_deref());
            let rule = health_for(self.settle.rules, component, chart).map(|(rule, _)| rule);
            let own = self.run.pass.config.validation.own(component, kind, rule);
            settings.components.insert(component.clone(), own);
        }
        let with = Begin {
            settings,
            checks: (self.settle.checks)(),
            away,
            memory: self.memory(),
            started_at: begun,
            recorder: self.settle.recorder,
            name: self.run.pass.git.remote().shown(),
            poll_every: POLL,
        };
        let mut look = self.run.pass.runtime.block_on(Look::begin(self.settle.cluster, with));
        let deadline = look.begun() + self.wait();
        self.keep_baselines(&look)?;
        self.introduce(&mut look)?;
        self.remember(&look, SignedDuration::ZERO)?;
        loop {
            self.act_upon(&mut look)?;
            self.look_after_nodes(&look)?;
            let lingers = self.settle.recorder.is_some() && self.settle.wait.is_some();
            if self.followed.values().all(|follow| follow.attended) && !lingers {
                break;
            }
            self.start_trials(&look, deadline)?;
            let trying = &mut self.trying;
            match self.run.pass.runtime.block_on(look.on(deadline, (self.settle.stop)(), trying)) {
                News::Said => {}
                // What waits for its time is acted upon when the loop comes round.
                News::Poll => self.poll(&mut look)?,
                // What is known is recorded; the next pass goes on from there.
                News::Stop => return Err(Stopped.into()),
                News::Deadline => {
                    self.act_upon(&mut look)?;
                    self.look_after_nodes(&look)?;
                    break;
                }
            }
        }
        look.ends();
        self.remember(&look, SignedDuration::ZERO)?;
        self.remove_volumes()?;
        self.tell_all()?;
        Ok(self.settled(Some(look)))
    }

    /// `look` is `None` where nobody had to look at the cluster.
    fn settled(self, look: Option<Look<'_>>) -> Settled {
        let UnderWay { world, effects, waiting, failures, warnings, .. } = self.run;
        let away = || Unfit {
            anything: vec!["it does not answer".to_owned()],
            nodes: vec!["it does not answer".to_owned()],
            longhorn: vec!["it does not answer".to_owned()],
        };
        let sees = look.as_ref().is_some_and(Look::sees);
        Settled {
            state: world.state,
            effects,
            waiting,
            failures,
            warnings,
            outcomes: self.outcomes,
            baseline: look.as_ref().filter(|_| sees).map(|look| look.judge().baseline()),
            unfit: match &look {
                Some(look) if sees => Some(unfit(look.judge().world())),
                // It was asked, or would have been, and did not answer.
                Some(_) if self.settle.cluster.is_some() => Some(away()),
                _ => self.settle.away.map(|_| away()),
            },
            blind: look.as_ref().and_then(|look| look.blind.clone()),
            unrecorded: look.and_then(|look| look.unrecorded),
        }
    }

    /// How long this pass looks on.
    fn wait(&self) -> Duration {
        let settings = &self.settle.settings;
        // What Flux has not told the forge by now it tells in its own time, for a later pass to see.
        let by_default = || match self.settle.cluster {
            None => Duration::ZERO,
            Some(_) => {
                let needs = self.followed.values().filter(|follow| !follow.attended).map(|follow| {
                    let Merged { component, kind, .. } = &follow.merged;
                    // Once for Flux to apply it, once to watch it.
                    let window = settings.window(component, kind);
                    settings.settle(component).saturating_add(window.saturating_mul(2))
                });
                needs.max().unwrap_or_default()
            }
        };
        self.settle.wait.unwrap_or_else(by_default).min(settings.cap)
    }

    /// Carries out what was said since the last time.
    fn act_upon(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        for judgement in look.said() {
            let Some(follow) = self.followed.get(&judgement.update).cloned() else { continue };
            if follow.attended {
                continue;
            }
            let at = look.wall_at(judgement.t);
            let decision = Decision::of(&judgement, &follow.update, follow.of_the_way_back, at);
            let code = judgement.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default();
            let said = (decision.verdict, decision.action, code);
            if self.acted.get(&judgement.update) == Some(&said) {
                self.run.waiting.insert(follow.update, decision.why());
                continue;
            }
            self.acted.insert(judgement.update.clone(), said);
            self.deferred.remove(&judgement.update);
            tracing::info!(
                component = follow.merged.component, verdict = ?decision.verdict, action = ?decision.action,
                reason = decision.why(), "judged"
            );
            self.try_act(&decision, &judgement.update, &follow.merged.component, look)?;
        }
        let now = look.now();
        let due = |(until, _): &&(Moment, Decision)| *until <= now;
        let due: Vec<String> =
            self.deferred.iter().filter(|(_, one)| due(one)).map(|(judged, _)| judged.clone()).collect();
        for judged in due {
            let Some((_, decision)) = self.deferred.remove(&judged) else { continue };
            let Some(follow) = self.followed.get(&judged).cloned() else { continue };
            let decision = Decision { at: look.wall(), ..decision };
            self.try_act(&decision, &judged, &follow.merged.component, look)?;
        }
        Ok(())
    }

    /// Acts upon a decision; what goes wrong ends this update alone.
    fn try_act(
        &mut self,
        decision: &Decision,
        judged: &str,
        component: &str,
        look: &mut Look<'_>,
    ) -> Result<(), Error> {
        if let Err(error) = self.act(decision, judged, look) {
            if decision.action == Action::Revert {
                self.outcomes.insert(decision.update.clone(), Outcome::RevertFailed);
                self.run.tell_revert_failed(&decision.update, &error, decision.at);
            }
            self.followed.remove(judged);
            self.run.failed(component, error)?;
        }
        self.tell(&decision.update)
    }

    /// Tries what was chosen to be tried before a revert, or waits for it to help; `true` = the revert waits.
    fn is_recovering(&mut self, decision: &Decision, judged: &str, look: &Look<'_>) -> Result<bool, Error> {
        let Some(Merged { component, kind, .. }) = self.followed.get(judged).map(|one| one.merged.clone())
        else {
            return Ok(false);
        };
        self.recover(decision, &kind, decision.at)?;
        let update = self.run.world.state.updates.get(&decision.update);
        // Nobody waits for what the cluster did not take.
        let recovery = update.and_then(|update| update.settling.recovery.clone());
        let Some(recovery) = recovery.filter(|recovery| !recovery.done.is_empty()) else { return Ok(false) };
        // As long as anything that fails and is tried again is waited for.
        let patience = self.settle.settings.window(&component, &kind);
        let until =
            SignedDuration::try_from(patience).ok().and_then(|wait| recovery.at.checked_add(wait).ok());
        let Some(until) = until.filter(|until| *until > look.wall()) else { return Ok(false) };
        let left = until.duration_since(look.wall()).unsigned_abs();
        self.deferred.insert(judged.to_owned(), (look.now().after(left), decision.clone()));
        let tried = format!("{}; tried first: {}", decision.why(), recovery.done.join(", "));
        self.run.waiting.insert(decision.update.clone(), tried);
        self.outcomes.insert(decision.update.clone(), Outcome::Undecided);
        Ok(true)
    }

    fn act(&mut self, decision: &Decision, judged: &str, look: &mut Look<'_>) -> Result<(), Error> {
        let id = decision.update.clone();
        match decision.action {
            Action::Wait => {
                self.run.go_on(decision)?;
                self.outcomes.insert(id, self.undecided(decision));
            }
            Action::Complete => {
                self.run.complete(decision)?;
                self.followed.remove(judged);
                let outcome = if decision.of_the_way_back { Outcome::Reverted } else { Outcome::Over };
                self.outcomes.insert(id, outcome);
            }
            // Without a way to the cluster evidence never comes by itself; a person, or the policy, has the last word.
            Action::Hold
                if decision.clears_itself && decision.verdict == Verdict::Unknown && self.is_remote() =>
            {
                let waiting = Decision { action: Action::Wait, ..decision.clone() };
                self.run.go_on(&waiting)?;
                if decision.reasons.first().is_some_and(|reason| reason.code == NO_ANSWER) {
                    let text = "the cluster, or a person, has to say that it is healthy";
                    self.run.waiting.insert(id.clone(), text.to_owned());
                }
                self.outcomes.insert(id, self.undecided(decision));
            }
            Action::Hold => {
                // What was seen of nodes and data must be known to whoever takes it up again.
                self.remember(look, SignedDuration::ZERO)?;
                self.hold(decision, judged)?;
            }
            Action::Revert if decision.of_the_way_back => {
                let text = "the revert did not bring the cluster back".to_owned();
                self.hold(&decision.held("not_back", text), judged)?;
            }
            Action::Revert if self.is_recovering(decision, judged, look)? => {}
            Action::Revert => self.revert(decision, judged, Some(look))?,
            Action::None => {
                self.back.insert(id.clone());
                self.followed.remove(judged);
                self.outcomes.insert(id.clone(), Outcome::Over);
                self.run.look_at_base()?;
                self.check_branches(decision.at)?;
                let state = &self.run.world.state;
                let ours = state.updates.get(&id).is_some_and(|update| {
                    matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held)
                        && update.settling.reversal.is_none()
                });
                if ours {
                    self.supersede(decision, judged)?;
                }
            }
        }
        Ok(())
    }

    /// The cluster shows another version than the one that was merged. Where Git still asks for that one, it comes
    /// again, and somebody has to look on.
    fn supersede(&mut self, decision: &Decision, judged: &str) -> Result<(), Error> {
        let update = self.run.world.state.updates.get(&decision.update).cloned();
        let stands = match update.map(|update| self.run.on_branch(&update)).transpose()? {
            Some(OnBranch::Landed { changed, .. }) => changed.is_empty(),
            _ => false,
        };
        if !stands {
            return self.run.record_superseded(decision);
        }
        let text = format!("{}; the base branch asks for the new version still", decision.why());
        let mut held = decision.held("contradicts_git", text);
        held.clears_itself = true;
        self.hold(&held, judged)
    }

    /// Whether the judge has seen the cluster go back, in this pass.
    fn is_back(&self, id: &str) -> bool {
        self.back.contains(id)
    }

    /// Whether there is no way to the cluster.
    pub(super) fn is_remote(&self) -> bool {
        self.settle.cluster.is_none() && self.settle.away.is_none()
    }

    fn undecided(&self, decision: &Decision) -> Outcome {
        if decision.of_the_way_back { Outcome::Reverted } else { Outcome::Undecided }
    }

    fn hold(&mut self, decision: &Decision, judged: &str) -> Result<(), Error> {
        self.run.hold(decision)?;
        self.run.waiting.insert(decision.update.clone(), decision.why());
        if !decision.clears_itself {
            self.followed.remove(judged);
        }
        let outcome = match decision.verdict {
            Verdict::Regressed => Outcome::HeldRegressed,
            _ => Outcome::HeldUnknown,
        };
        self.outcomes.insert(decision.update.clone(), outcome);
        Ok(())
    }

    fn revert(
        &mut self,
        decision: &Decision,
        judged: &str,
        look: Option<&mut Look<'_>>,
    ) -> Result<(), Error> {
        let id = decision.update.clone();
        let taken = self.run.take_back(decision, decision.at)?;
        self.followed.remove(judged);
        match taken {
            Taken::Back => {
                self.outcomes.insert(id.clone(), Outcome::Reverted);
                let Some(look) = look else { return Ok(()) };
                look.forget(judged);
                if let Some((judged, follow)) = self.follow(&id)? {
                    self.followed.insert(judged, follow);
                    self.introduce(look)?;
                }
            }
            Taken::Proposed => _ = self.outcomes.insert(id, Outcome::Reverted),
            Taken::Stopped => _ = self.outcomes.insert(id, Outcome::HeldRegressed),
            Taken::Held(decision) => self.hold(&decision, judged)?,
        }
        Ok(())
    }

    /// Reverts that were decided and are not made yet, by a pass that was killed or by a pull request.
    fn go_on_reverting(&mut self, now: jiff::Timestamp) -> Result<(), Error> {
        let decided: Vec<Update> = self
            .run
            .world
            .state
            .updates
            .values()
            .filter(|update| matches!(update.stage, Stage::Merged | Stage::Rolling))
            .filter(|update| {
                update.settling.reversal.as_ref().is_some_and(|reversal| reversal.commit.is_none())
            })
            .filter(|update| (self.settle.selected)(&update.update_id, &update.component))
            .cloned()
            .collect();
        for update in decided {
            let decision = Decision::to_revert(&update, now);
            // Decided by an earlier pass, which saw the cluster; this one has not looked yet. Where a revert may do
            // harm, a node may have moved or a version been recorded since.
            if update.revert.safety != RevertSafety::Safe {
                let text =
                    "a revert was decided and not carried out at once; whether it is still safe is for a \
                            person to say"
                        .to_owned();
                self.hold(&decision.held("revert_unsure", text), &update.update_id)?;
                continue;
            }
            if let Err(error) = self.revert(&decision, &update.update_id, None) {
                self.outcomes.insert(update.update_id.clone(), Outcome::RevertFailed);
                self.run.tell_revert_failed(&update.update_id, &error, now);
                self.run.failed(&update.component, error)?;
            }
        }
        Ok(())
    }

    /// What became of updates on the base branch without us.
    fn check_branches(&mut self, now: jiff::Timestamp) -> Result<(), Error> {
        let merged: Vec<Update> = self
            .run
            .world
            .state
            .updates
            .values()
            .filter(|update| matches!(update.stage, Stage::Merged | Stage::Rolling | Stage::Held))
            .filter(|update| update.merge_commit.is_some())
            .filter(|update| {
                update.settling.reversal.as_ref().is_none_or(|reversal| reversal.commit.is_none())
            })
            .cloned()
            .collect();
        for update in merged {
            let id = &update.update_id;
            let done = match self.run.on_branch(&update) {
                // Git is back, and nodes or data are not: it is over when the cluster has gone back, too.
                Ok(OnBranch::TakenBack { commit, ours: false })
                    if update.settling.reversal.is_none() && self.cannot_go_back(id) && !self.is_back(id) =>
                {
                    match self.run.record_person_revert(id, &commit.to_string(), now) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
                Ok(OnBranch::TakenBack { commit, ours }) => {
                    // A person may merge a revert of ours under other words.
                    let ours = ours || update.settling.reversal.is_some();
                    self.run.record_taken_back(id, &commit.to_string(), ours, now)
                }
                Ok(OnBranch::Lost) => self.run.record_lost(id, now),
                Ok(OnBranch::Landed { .. } | OnBranch::Unclear { .. }) => continue,
                Err(error) => Err(error),
            };
            self.followed.remove(id);
            match done {
                Ok(()) => _ = self.outcomes.insert(id.clone(), Outcome::Over),
                Err(error) => self.run.failed(&update.component, error)?,
            }
        }
        Ok(())
    }

    fn tell(&mut self, id: &str) -> Result<(), Error> {
        let Some(update) = self.run.world.state.updates.get(id).cloned() else { return Ok(()) };
        let runbook = runbook_for(self.settle.rules, &update.component, update.chart.as_deref())
            .or_else(|| (update.stage == Stage::Held).then(|| RUNBOOK.to_owned()));
        match self.run.tell(id, runbook.as_deref()) {
            Ok(()) => Ok(()),
            Err(error) => self.run.failed(&update.component, error),
        }
    }

    /// Says on the forge what a pass that was killed could not say any more.
    fn tell_all(&mut self) -> Result<(), Error> {
        let ids: Vec<String> = self
            .run
            .world
            .state
            .updates
            .values()
            .filter(|update| {
                let over = matches!(update.stage, Stage::Verified | Stage::Reverted);
                let age = self.run.pass.now.duration_since(update.changed_at);
                !matches!(update.stage, Stage::Proposed | Stage::Abandoned)
                    && !(over && (update.settling.is_empty() || age.as_hours() > TOLD_FOR))
            })
            .map(|update| update.update_id.clone())
            .collect();
        for id in ids {
            self.tell(&id)?;
        }
        Ok(())
    }
}

/// The judge's word for an update that nobody saw anything of (`domain::settle::case`).
const NO_ANSWER: &str = "no_answer_in_time";

/// What a person does about a component that no rule speaks of.
const RUNBOOK: &str = "\
1. Look at the objects above: their events, and the logs of their pods.
2. Repair forwards by a commit, or take the change back with `git revert` where nothing has been migrated.
";

/// The health checks, with the patience that each has of its own.
pub fn checks() -> Checks {
    Box::new(|world| health::findings(world, &HealthSettings::default()))
}
