//! What people are told, as plain data: events, what was told already, and what is still to be told.
//!
//! Pure: values in, values out. Who delivers them is `notify`; what was told already is kept in the state.

mod due;
mod event;
mod of_state;
mod told;

pub use due::{Audience, Due, due};
pub use event::{Event, Kind, Severity, Subject, kind_of};
pub use of_state::{Found, Reminders, found, of_state, together};
pub use told::{Acknowledged, Attempt, Ended, Told, ToldEvent};

#[cfg(test)]
mod tests;
