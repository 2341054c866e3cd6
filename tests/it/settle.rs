//! What follows a merge, over real repositories with the local forge: by the base branch, a scripted cluster and commit
//! statuses; stopped between effects, repeated and side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod branch;
mod charts;
mod careful;
mod judged;
mod nodes;
mod reverting;
mod scripted;
mod story;
mod tried;
mod world;
