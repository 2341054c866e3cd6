//! Telling people: the port through which a pass says what happened.
//!
//! A pass calls [`Notify::tell`] and goes on; nothing is sent while it works. At its end, what the state itself says
//! (proposed, merged, verified, reverted, held …) and what was told here are compared with what people were told
//! before, and the rest is delivered. So a pass that was killed loses nothing that the state knows.

use std::sync::{Mutex, PoisonError};

pub use crate::domain::notice::{Event, Kind, Severity, Subject};

/// Takes what people may want to know.
pub trait Notify: Sync {
    /// Takes an event. Never fails and never waits; the same key again in one pass changes nothing.
    fn tell(&self, event: Event);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Notify for Silent {
    fn tell(&self, _: Event) {}
}

/// Keeps events until the end of the pass.
#[derive(Debug, Default)]
pub struct Gathered(Mutex<Vec<Event>>);

impl Gathered {
    /// What was told so far, in order; it is not kept any longer.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Notify for Gathered {
    fn tell(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.iter().all(|known| known.key != event.key) {
            events.push(event);
        }
    }
}
