//! What follows a merge, over real repositories with the local forge: by the base branch, a scripted cluster and commit
//! statuses; stopped between effects, repeated and side by side.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod branch;
mod built;
mod careful;
mod charts;
mod judged;
mod just_before;
mod looked_on;
mod nodes;
mod proposed_stop;
mod recorded;
mod recovering;
mod reverting;
mod rollout;
mod scripted;
mod story;
mod tried;
mod world;
