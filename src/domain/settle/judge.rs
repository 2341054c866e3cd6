//! The judge: folds what is seen into a world, and says a verdict and an action whenever either changes.
//!
//! What happens at the same moment is judged together, when time goes on: the order of what is seen at one moment does
//! not matter. Timers fire between what is seen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::case::{Case, Opinion};
use super::cordon::LeftCordoned;
use super::finding::Finding;
use super::line::{Line, Merged, Moment, Seen};
use super::memory::{Baseline, Memory, Remembered};
use super::object::Object;
use super::settings::{Own, Settings};
use super::stop::RollingPlan;
use super::symptoms;
use super::verdict::Judgement;
use super::world::World;

/// The health checks: everything that is wrong in a world now.
pub type Checks = Box<dyn Fn(&World) -> Vec<Finding> + Send + Sync>;

/// Most timers that fire between two things that are seen: time that passes without anything being seen is not
/// sampled more finely than that.
const TICKS: i64 = 20_000;

/// Judges merged updates by what is seen.
pub struct Judge {
    settings: Settings,
    world: World,
    checks: Checks,
    /// Of earlier passes, for updates that were not told yet.
    memory: Memory,
    cases: BTreeMap<String, (Case, Option<Opinion>)>,
    /// Something was seen since it was judged last.
    stirred: bool,
    tick: Option<Moment>,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("settings", &self.settings)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge that begins at a time and goes on from what an earlier one remembered.
    pub fn new(settings: Settings, checks: Checks, started_at: Timestamp, memory: Memory) -> Self {
        Self {
            settings,
            world: World::new(started_at),
            checks,
            memory,
            cases: BTreeMap::new(),
            stirred: false,
            tick: None,
        }
    }

    /// Judges by other settings from now on.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Looks at health by other checks from now on.
    pub fn check_by(&mut self, checks: Checks) {
        self.checks = checks;
    }

    /// Judges updates of one component by settings of its own.
    pub fn configure_own(&mut self, component: &str, own: Own) {
        self.settings.components.insert(component.to_owned(), own);
    }

    /// Takes in what was seen. What was seen before its time is judged before, and timers up to its time fire.
    pub fn take(&mut self, line: Line<Object>) -> Vec<Judgement> {
        let said = self.advance(line.t);
        if let Seen::Update(update) = &line.seen {
            self.begin(update.clone());
        }
        self.world.take(line);
        self.stirred = true;
        said
    }

    /// Lets time go on: what was seen until now is judged, and timers fire.
    pub fn advance(&mut self, to: Moment) -> Vec<Judgement> {
        let mut said = Vec::new();
        if to <= self.world.now() {
            return said;
        }
        said.extend(self.conclude());
        if let Some(tick) = self.tick {
            let step = i64::try_from(self.settings.sample.as_millis()).unwrap_or(i64::MAX).max(1);
            // A recording may say any time: what would fire too often between two lines fires at its end.
            let due = to.0.saturating_sub(tick.0) / step;
            let mut next =
                if due > TICKS { Moment(to.0.saturating_sub(TICKS.saturating_mul(step))) } else { tick };
            while next <= to {
                self.world.advance(next);
                said.extend(self.sample());
                next = Moment(next.0.saturating_add(step));
                if next.0 == i64::MAX {
                    break;
                }
            }
            self.tick = Some(next);
        }
        self.world.advance(to);
        said
    }

    /// Judges what was seen until now, the present moment included: nothing more comes.
    pub fn conclude(&mut self) -> Vec<Judgement> {
        if !std::mem::take(&mut self.stirred) {
            return Vec::new();
        }
        self.look()
    }

    /// When the next timer fires; `None` while nothing is judged.
    pub fn next_timer(&self) -> Option<Moment> {
        self.tick
    }

    /// What the next judge must know.
    pub fn memory(&self) -> Memory {
        let mut memory = self.memory.clone();
        for (id, (case, _)) in &self.cases {
            memory.updates.insert(id.clone(), case.remembered.clone());
        }
        memory
    }

    /// Stops judging an update: it is over.
    pub fn forget(&mut self, update: &str) {
        self.cases.remove(update);
        self.memory.updates.remove(update);
        if self.cases.is_empty() {
            self.tick = None;
        }
    }

    /// Plans of an update that go on to further nodes though nodes failed, or though it is `held` for a person; empty
    /// where nothing is to be stopped.
    pub fn rollout_to_stop(&self, update: &str, held: bool) -> Vec<RollingPlan> {
        let Some((case, opinion)) = self.cases.get(update) else { return Vec::new() };
        case.rollout_to_stop(&self.world, opinion.as_ref(), held)
    }

    /// The Plans of a k3s update as they are now; empty where they are not seen.
    pub fn plans(&self, update: &str) -> Vec<RollingPlan> {
        self.cases.get(update).map(|(case, _)| case.plans(&self.world)).unwrap_or_default()
    }

    /// Nodes that an update of k3s has left cordoned, though they are back.
    pub fn left_cordoned(&self, update: &str) -> Vec<LeftCordoned> {
        self.cases
            .get(update)
            .map(|(case, _)| case.left_cordoned(&self.world, &self.settings))
            .unwrap_or_default()
    }

    /// Until when an update that regressed, and is applied with nothing wrong now, is looked on before that counts.
    pub fn mends_until(&self, update: &str) -> Option<Moment> {
        self.cases.get(update).and_then(|(case, _)| case.mends_until(&self.world, &self.settings))
    }

    /// What would be said of an update now, whether or not it is news: reasons change under the same verdict.
    pub fn opinion(&self, update: &str) -> Option<Judgement> {
        let (_, opinion) = self.cases.get(update)?;
        let opinion = opinion.as_ref()?;
        Some(Judgement {
            t: self.world.now(),
            update: update.to_owned(),
            verdict: opinion.verdict,
            action: opinion.action,
            reasons: opinion.reasons.clone(),
            clears_itself: opinion.clears_itself,
        })
    }

    /// What is wrong now, as a baseline of what comes.
    pub fn baseline(&self) -> Baseline {
        symptoms::baseline(&self.world, (self.checks)(&self.world))
    }

    /// What is wrong now.
    pub fn findings(&self) -> Vec<Finding> {
        (self.checks)(&self.world)
    }

    /// Names of what is to be tried now for an update; `None` while it is not the time for any of it.
    pub fn wants_tried(&self, update: &str) -> Option<Vec<&str>> {
        let (case, _) = self.cases.get(update)?;
        case.wanted(&self.world, &self.settings)
    }

    /// What is known now.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What an update would begin with that is told now: what an earlier pass remembered of it, or what is seen now.
    pub fn known_of(&self, update: &str) -> Remembered {
        let mut remembered = self.memory.updates.get(update).cloned().unwrap_or_default();
        let first = remembered.merged_at.is_none();
        remembered.merged_at.get_or_insert(self.world.wall());
        // What is there now was there before, where this is the first that is heard of the update.
        if first && remembered.baseline.is_none() && self.sees_anything() {
            remembered.baseline = Some(self.baseline());
        }
        remembered
    }

    fn begin(&mut self, mut update: Merged) {
        if self.cases.contains_key(&update.id) {
            return;
        }
        let known = self.memory.updates.contains_key(&update.id);
        let remembered = match update.remembered.take() {
            Some(recorded) if !known => *recorded,
            _ => self.known_of(&update.id),
        };
        self.memory.updates.remove(&update.id);
        self.open(update, remembered);
    }

    fn sees_anything(&self) -> bool {
        use super::kind::Kind;
        use super::world::Sight;
        Kind::ALL.iter().any(|kind| self.world.sees(*kind) == Sight::Seen)
    }

    fn open(&mut self, update: Merged, remembered: Remembered) {
        let case = Case::new(update.clone(), remembered, &self.world);
        self.cases.insert(update.id, (case, None));
        if self.tick.is_none() {
            self.tick = Some(self.world.now().after(self.settings.sample));
        }
    }

    /// A timer fired: what was seen is judged, and health is looked at.
    fn sample(&mut self) -> Vec<Judgement> {
        self.stirred = false;
        // Whether everything is applied must be known before health counts.
        let mut said = self.look();
        let mut findings = (self.checks)(&self.world);
        findings.extend(symptoms::symptoms(&self.world));
        for (case, _) in self.cases.values_mut() {
            case.sample(&self.world, &self.settings, &findings);
        }
        said.extend(self.look());
        said
    }

    fn look(&mut self) -> Vec<Judgement> {
        let mut said = Vec::new();
        for (id, (case, last)) in &mut self.cases {
            let opinion = case.look(&self.world, &self.settings);
            case.remembered.said = Some(opinion.said());
            let changed = last.as_ref().is_none_or(|last| {
                (last.verdict, last.action, last.clears_itself)
                    != (opinion.verdict, opinion.action, opinion.clears_itself)
            });
            if changed {
                said.push(Judgement {
                    t: self.world.now(),
                    update: id.clone(),
                    verdict: opinion.verdict,
                    action: opinion.action,
                    reasons: opinion.reasons.clone(),
                    clears_itself: opinion.clears_itself,
                });
            }
            *last = Some(opinion);
        }
        said
    }
}
