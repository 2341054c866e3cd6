//! What people are told, as plain data: events, whom they concern, and how they read in each place.
//!
//! Pure: values in, values out. Who delivers them is `notify`; what was told already is in the state.

mod event;

pub use event::{Event, Kind, Severity, Subject};
