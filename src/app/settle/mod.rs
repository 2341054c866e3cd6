//! What follows a merge: look on until it is good, revert it, or hold it for a person.
//!
//! Pull requests that were merged are recorded; what the base branch, the cluster and the forge show of them goes to the
//! judge; and what the judge says is carried out. Everything that the next pass must know is in the state, so that a
//! pass may end, or be killed, at any moment. Nothing is reverted that somebody changed since, and never while the kill
//! switch is on; windows and maintenance hold no revert up.

mod act;
mod back;
mod branch;
mod ended;
mod fetch;
mod follow;
mod land;
mod look;
mod recover;
mod revert;
mod stop_rollout;
mod stopped;
mod tell;
mod trials;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

pub use self::look::Recorder;
use self::trials::Trying;
use self::watching::Watching;
use super::cluster::Cluster;
use super::effects::{Effect, Stopped};
use super::forge::Forge;
use super::pass::{Done, Error, Failure, Pass, UnderWay, Unfit, World};
use crate::domain::lifecycle::BY_TIME;
use crate::domain::rule::Rule;
use crate::domain::settle::health;
use crate::domain::settle::health::HealthSettings;
use crate::domain::settle::judge::Checks;
use crate::domain::settle::memory::Baseline;
use crate::domain::settle::record::Said;
use crate::domain::settle::settings::Settings;
use crate::domain::state::State;
use crate::repo::write::Id;

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
    /// What another run had done when this one was about to.
    pub found: Vec<Effect>,
    /// What each update waits for, by update id.
    pub waiting: BTreeMap<String, String>,
    /// What went wrong with single updates.
    pub failures: Vec<Failure>,
    /// The updates that were looked at, by id, and what became of them.
    pub outcomes: BTreeMap<String, Outcome>,
    /// What was to be said at the end of those that are waited for, by id.
    pub newest: BTreeMap<String, Said>,
    /// What is wrong in the cluster now, where it was seen.
    pub baseline: Option<Baseline>,
    /// Why nothing may be merged as the cluster is; `None` where there is no way to it.
    pub unfit: Option<Unfit>,
    /// What did not go well and kept nothing from going on, such as a commit status that the forge refused.
    pub warnings: Vec<String>,
    /// Pages of pull requests, by number.
    pub links: BTreeMap<u64, String>,
    /// Why the cluster was not seen.
    pub blind: Option<String>,
    /// Why the recording is not whole.
    pub unrecorded: Option<std::io::Error>,
    /// It was asked to stop before everything was decided, and this is what was seen and done until then.
    pub stopped: bool,
}

impl Settled {
    /// Puts what was settled in front of what was done after it.
    pub fn put_before(self, done: &mut Done) {
        done.effects.splice(..0, self.effects);
        done.found.splice(..0, self.found);
        // What is wrong with a pull request is found twice.
        let told: Vec<(String, String)> = done
            .failures
            .iter()
            .map(|failure| (failure.component.clone(), failure.error.to_string()))
            .collect();
        let is_news =
            |failure: &Failure| !told.contains(&(failure.component.clone(), failure.error.to_string()));
        done.failures.splice(..0, self.failures.into_iter().filter(is_news));
        for (id, why) in self.waiting {
            // Who looked at the cluster knows more of what was merged than who did not.
            if done.state.updates.get(&id).is_some_and(|update| update.merge_commit.is_some()) {
                // That it goes on by itself all the same is not for the cluster to say.
                let by_time = done.waiting.remove(&id).filter(|known| known.starts_with(BY_TIME));
                let why = by_time.map_or_else(|| why.clone(), |by_time| format!("{why}; {by_time}"));
                done.waiting.insert(id, why);
            }
        }
        done.warnings.extend(self.warnings);
        done.warnings.extend(self.blind.map(|why| format!("the cluster was not seen: {why}")));
    }
}

/// What is recorded when nobody settles anything yet.
#[derive(Debug)]
pub struct Recorded {
    /// Branch that pull requests are for.
    pub base_branch: String,
    /// Where it is.
    pub base: Id,
    /// The state after it.
    pub state: State,
    /// What was done, in order; in a dry run what would have been.
    pub effects: Vec<Effect>,
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
    /// It regressed, and was reverted or is proposed to be.
    Reverted,
    /// It regressed, and reverting it failed.
    RevertFailed,
}

impl<F: Forge> Pass<'_, F> {
    /// Records what was merged and nobody has recorded yet, with records that were lost; nothing is judged. Recording goes
    /// on whatever is stopped.
    ///
    /// # Errors
    ///
    /// The state cannot be moved; what concerns one pull request alone is logged.
    pub fn record_merged(&self, world: World) -> Result<Recorded, Error> {
        let mut run = UnderWay::new(self, world);
        run.adopt()?;
        run.record_merges()?;
        let UnderWay { world: World { base_branch, base, state, .. }, effects, .. } = run;
        Ok(Recorded { base_branch, base, state, effects })
    }

    /// Settles what was merged.
    ///
    /// # Errors
    ///
    /// The pass as a whole cannot go on; what concerns one update alone is among the failures.
    pub fn settle<C: Cluster>(&self, world: World, settle: &Settle<'_, C>) -> Result<Settled, Error> {
        let settled = self.look_on(world, settle)?;
        if settled.stopped { Err(Stopped.into()) } else { Ok(settled) }
    }

    /// The same for who goes on with nothing after it: where it is asked to stop while it looks on, what was seen and done
    /// until then is told.
    ///
    /// # Errors
    ///
    /// As [`Pass::settle`]; it was asked to stop before it began to look on.
    pub fn look_on<C: Cluster>(&self, world: World, settle: &Settle<'_, C>) -> Result<Settled, Error> {
        let mut run = UnderWay::new(self, world);
        // Before anything happens: it is told where somebody asked for it by then.
        run.meet_channels()?;
        run.adopt()?;
        run.obey()?;
        run.record_merges()?;
        let course = Watching {
            run,
            settle,
            outcomes: BTreeMap::new(),
            newest: BTreeMap::new(),
            acted: BTreeMap::new(),
            followed: BTreeMap::new(),
            told: BTreeSet::new(),
            back: BTreeSet::new(),
            deferred: BTreeMap::new(),
            asked_nodes: BTreeSet::new(),
            trying: Trying::default(),
        };
        course.go()
    }
}

/// The health checks, with this patience.
pub fn checks(patience: HealthSettings) -> Checks {
    Box::new(move |world| health::findings(world, &patience))
}
