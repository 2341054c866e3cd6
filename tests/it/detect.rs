//! `detect` from the outside: the built program, a small repository, and upstreams on this machine.

mod actions;
mod cache;
mod configuration;
mod formats;
mod paths;
mod patience;
mod refusals;
mod scenarios;
mod trust;
mod unreachable;
pub(crate) mod world;
