//! The judge: folds what is seen into a world, and says a verdict and an action whenever either changes.

use jiff::Timestamp;

use super::finding::Finding;
use super::line::{Line, Moment};
use super::memory::{Baseline, Memory};
use super::object::Object;
use super::settings::Settings;
use super::verdict::Judgement;
use super::world::World;

/// The health checks: everything that is wrong in a world now.
pub type Checks = Box<dyn Fn(&World) -> Vec<Finding> + Send + Sync>;

/// Judges merged updates by what is seen.
pub struct Judge {
    settings: Settings,
    world: World,
    checks: Checks,
    memory: Memory,
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
        Self { settings, world: World::new(started_at), checks, memory }
    }

    /// Takes in what was seen. Timers up to its time fire before.
    pub fn take(&mut self, line: Line<Object>) -> Vec<Judgement> {
        let said = self.advance(line.t);
        self.world.take(line);
        said
    }

    /// Lets time go on: everything that was seen until now is judged, and timers fire.
    pub fn advance(&mut self, to: Moment) -> Vec<Judgement> {
        self.world.advance(to);
        Vec::new()
    }

    /// When the next timer fires.
    pub fn next_timer(&self) -> Option<Moment> {
        (!self.memory.updates.is_empty()).then(|| self.world.now().after(self.settings.sample))
    }

    /// What the next judge must know.
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// What is wrong now, as a baseline of what comes.
    pub fn baseline(&self) -> Baseline {
        Baseline { taken_at: Some(self.world.wall()), findings: self.findings(), ..Baseline::default() }
    }

    /// What is wrong now.
    pub fn findings(&self) -> Vec<Finding> {
        (self.checks)(&self.world)
    }

    /// What is known now.
    pub fn world(&self) -> &World {
        &self.world
    }
}
