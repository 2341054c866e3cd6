//! Whole passes over real repositories with the local forge, stopped between effects, repeated and run side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod again;
mod course;
mod ground;
mod hands;
mod interrupted;
pub(crate) mod world;
