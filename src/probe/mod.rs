//! Asking addresses from where this program runs, and running the user's program.

mod certificate;
mod command;
mod here;

pub use here::{Here, HereError};
