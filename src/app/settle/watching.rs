//! Looks on at what was merged, asks the judge, and carries out what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::SignedDuration;

use super::act::Decision;
use super::fetch::repository_name;
use super::follow::Follow;
use super::look::{Begin, Look, News};
use super::trials::Trying;
use super::{Outcome, Settle, Settled};
use crate::app::cluster::Cluster;
use crate::app::effects::Stopped;
use crate::app::forge::Forge;
use crate::app::pass::{Error, UnderWay, Unfit};
use crate::config::recorded_policy;
use crate::domain::backup::Saved;
use crate::domain::rule::health::{health_for, runbook_for};
use crate::domain::settle::health::{HealthSettings, Moves, prechecks};
use crate::domain::settle::line::{Merged, Moment};
use crate::domain::settle::record::Said;
use crate::domain::settle::verdict::{Action, Judgement, Verdict};
use crate::domain::settle::world;
use crate::domain::state::Stage;

/// How often the branch and the forge are looked at while a pass looks on.
const POLL: Duration = Duration::from_secs(30);

/// Hours after its end in which the forge is told of an update that it was not told of.
const TOLD_FOR: i64 = 7 * 24;

/// The judge's word for an update that nobody saw anything of (`domain::settle::case`).
const NO_ANSWER: &str = "no_answer_in_time";

/// What a person does about a component that no rule speaks of.
const RUNBOOK: &str = "\
1. Look at the objects above: their events, and the logs of their pods.
2. Repair forwards by a commit, or revert the change with `git revert` where nothing has been migrated.
";

/// Settling under way.
pub(super) struct Watching<'a, 'p: 'a, F, C> {
    pub(super) run: UnderWay<'p, F>,
    pub(super) settle: &'a Settle<'a, C>,
    pub(super) outcomes: BTreeMap<String, Outcome>,
    /// What is to be said of updates that are waited for, at the end.
    pub(super) newest: BTreeMap<String, Said>,
    /// What was said of each update when it was acted upon last.
    pub(super) acted: BTreeMap<String, (Verdict, Action, String)>,
    /// Updates that the judge is asked of, by the id that it knows them by.
    pub(super) followed: BTreeMap<String, Follow>,
    /// Commits of the base branch that the judge was told of.
    pub(super) told: BTreeSet<String>,
    /// Updates that were reverted, or replaced, and of which the judge says that the cluster follows.
    pub(super) back: BTreeSet<String>,
    /// Reverts that wait for what was tried before them, by the judge's id, and until when.
    pub(super) deferred: BTreeMap<String, (Moment, Decision)>,
    /// Nodes that this pass has asked for, each with the id of its update.
    pub(super) asked_nodes: BTreeSet<(String, String)>,
    /// Trials that are under way.
    pub(super) trying: Trying<'a>,
}

impl<'s, F: Forge, C: Cluster> Watching<'s, '_, F, C> {
    pub(super) fn go(mut self) -> Result<Settled, Error> {
        let mut look = None;
        match self.look_on(&mut look) {
            Ok(()) => Ok(self.settled(look, false)),
            Err(Error::Stopped(_)) => {
                if let Some(look) = &mut look {
                    look.ends();
                    self.look_how_it_is(look);
                }
                Ok(self.settled(look, true))
            }
            Err(error) => Err(error),
        }
    }

    /// Looks on for as long as there is anything to wait for; `kept` is what was looked with.
    fn look_on(&mut self, kept: &mut Option<Look<'s>>) -> Result<(), Error> {
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
            return self.tell_all();
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
        let followed = self.followed.values().map(|follow| &follow.merged);
        let policy =
            recorded_policy(&settings, followed.map(|one| (one.component.as_str(), one.kind.as_str())));
        let remote = self.run.pass.git.remote().shown();
        let with = Begin {
            settings,
            policy,
            repository: repository_name(&remote),
            checks: (self.settle.checks)(),
            away,
            memory: self.memory(),
            started_at: begun,
            recorder: self.settle.recorder,
            name: remote,
            poll_every: POLL,
        };
        let look = kept.insert(self.run.pass.runtime.block_on(Look::begin(self.settle.cluster, with)));
        let deadline = look.begun() + self.wait();
        self.keep_baselines(look)?;
        self.introduce(look)?;
        self.remember(look, SignedDuration::ZERO)?;
        loop {
            self.act_upon(look)?;
            self.look_after_nodes(look)?;
            look.follow_only(|judged| self.followed.contains_key(judged));
            if self.followed.values().all(|follow| follow.attended) {
                break;
            }
            self.start_trials(look, deadline)?;
            let trying = &mut self.trying;
            match self.run.pass.runtime.block_on(look.on(deadline, (self.settle.stop)(), trying)) {
                News::Said => {}
                // What waits for its time is acted upon when the loop comes round.
                News::Poll => self.poll(look)?,
                // What is known is recorded; the next pass goes on from there.
                News::Stop => {
                    self.remember(look, SignedDuration::ZERO)?;
                    return Err(Stopped.into());
                }
                News::Deadline => {
                    self.act_upon(look)?;
                    self.look_after_nodes(look)?;
                    look.follow_only(|judged| self.followed.contains_key(judged));
                    break;
                }
            }
        }
        look.ends();
        self.look_how_it_is(look);
        self.remember(look, SignedDuration::ZERO)?;
        self.remove_volumes()?;
        self.tell_all()
    }

    /// `look` is `None` where nobody had to look at the cluster.
    fn settled(self, look: Option<Look<'_>>, stopped: bool) -> Settled {
        let UnderWay { world, effects, found, waiting, failures, warnings, .. } = self.run;
        let away = || Unfit {
            anything: vec!["it does not answer".to_owned()],
            nodes: vec!["it does not answer".to_owned()],
            longhorn: vec!["it does not answer".to_owned()],
        };
        let sees = look.as_ref().is_some_and(Look::sees);
        let pulls = world.pulls.into_iter().filter(|pull| !pull.url.is_empty());
        Settled {
            links: pulls.map(|pull| (pull.number, pull.url)).collect(),
            state: world.state,
            effects,
            found,
            waiting,
            failures,
            warnings,
            outcomes: self.outcomes,
            newest: self.newest,
            baseline: look.as_ref().filter(|_| sees).map(|look| look.judge().baseline()),
            unfit: match &look {
                Some(look) if sees => Some(unfit(look.judge().world())),
                // It was asked, or would have been, and did not answer.
                Some(_) if self.settle.cluster.is_some() => Some(away()),
                _ => self.settle.away.map(|_| away()),
            },
            blind: look.as_ref().and_then(|look| look.blind.clone()),
            unrecorded: look.and_then(|look| look.unrecorded),
            stopped,
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

    /// What is waited for is not what was waited for when that was said first. It is no news for the record.
    fn look_how_it_is(&mut self, look: &Look<'_>) {
        for (judged, follow) in self.followed.iter().filter(|(_, follow)| !follow.attended) {
            let waits = |said: &Judgement| said.action == Action::Wait;
            let Some(judgement) = look.judge().opinion(judged).filter(waits) else { continue };
            if !matches!(self.acted.get(judged), Some((_, Action::Wait, _))) {
                continue;
            }
            let decision = Decision::of(&judgement, &follow.update, follow.of_the_way_back, look.wall());
            self.run.waiting.insert(follow.update.clone(), decision.why());
            self.newest.insert(follow.update.clone(), decision.said());
        }
    }

    /// Tries what was chosen to be tried before a revert, or waits for it to help; `true` = the revert waits.
    fn is_recovering(&mut self, decision: &Decision, judged: &str, look: &Look<'_>) -> Result<bool, Error> {
        let Some(Merged { component, kind, .. }) = self.followed.get(judged).map(|one| one.merged.clone())
        else {
            return Ok(false);
        };
        self.recover(decision, &kind, look)?;
        let update = self.run.world.state.updates.get(&decision.update);
        // Nobody waits for what the cluster did not take.
        let recovery = update.and_then(|update| update.settling.recovery.clone());
        let Some(recovery) = recovery.filter(|recovery| !recovery.done.is_empty()) else { return Ok(false) };
        let Some(asked_at) = recovery.asked_at else { return Ok(false) };
        // As long as anything that fails and is tried again is waited for.
        let patience = self.settle.settings.window(&component, &kind);
        let until = SignedDuration::try_from(patience).ok().and_then(|wait| asked_at.checked_add(wait).ok());
        let left = match until.filter(|until| *until > look.wall()) {
            Some(until) => until.duration_since(look.wall()).unsigned_abs(),
            // It helped, and has to hold for as long as after a merge.
            None if look.judge().is_mending(judged) => self.settle.settings.sample,
            None => return Ok(false),
        };
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
                    // A record that was rebuilt says what a person can do.
                    let said = self.run.world.state.updates.get(&id).and_then(|update| update.reason.clone());
                    let text = "the cluster, or a person, has to say that it is healthy";
                    self.run.waiting.insert(id.clone(), said.unwrap_or_else(|| text.to_owned()));
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

    /// Whether there is no way to the cluster.
    pub(super) fn is_remote(&self) -> bool {
        self.settle.cluster.is_none() && self.settle.away.is_none()
    }

    fn undecided(&self, decision: &Decision) -> Outcome {
        if decision.of_the_way_back { Outcome::Reverted } else { Outcome::Undecided }
    }

    pub(super) fn hold(&mut self, decision: &Decision, judged: &str) -> Result<(), Error> {
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

    pub(super) fn tell(&mut self, id: &str) -> Result<(), Error> {
        let Some(update) = self.run.world.state.updates.get(id).cloned() else { return Ok(()) };
        let runbook = (update.stage == Stage::Held).then(|| {
            let point = self.run.point_of(&update);
            let data = point.as_ref().map(|point| point.data.as_slice());
            let saved = Saved { id: update.backup_id.as_deref(), data };
            runbook_for(self.settle.rules, &update.component, update.chart.as_deref(), &saved)
                .unwrap_or_else(|| RUNBOOK.to_owned())
        });
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
                    && !(over && (!update.settling.has_begun() || age.as_hours() > TOLD_FOR))
            })
            .map(|update| update.update_id.clone())
            .collect();
        for id in ids {
            self.tell(&id)?;
        }
        Ok(())
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
