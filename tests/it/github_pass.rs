//! Whole passes of the built program over a repository on GitHub: a forge that remembers, real Git over HTTP, and
//! people who merge, close, tick and push between the passes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod commands;
mod gates;
mod identity;
mod interrupted;
mod life;
mod lost;
mod merging;
mod people;
mod planning;
mod refusals;
mod settling;
mod stopped;
mod unfit;
pub(crate) mod world;
