//! Telling people: what channels get, once, whatever happens in between.

mod channels;
mod commands;
mod once;
mod watch;
