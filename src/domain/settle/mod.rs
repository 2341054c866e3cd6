//! What becomes of a merged update: pure, fed with what was seen, in the order in which it was seen.
//!
//! Lines come in ([`mod@line`]), live from the cluster or from a recording; they make a world ([`world`]); the judge
//! looks at the world as time goes on and says a verdict and an action whenever either changes ([`verdict`]).

mod case;
mod commits;
pub mod cordon;
pub mod finding;
pub mod health;
pub mod judge;
pub mod kind;
pub mod line;
pub mod memory;
pub mod object;
pub mod pins;
#[cfg(test)]
mod properties;
mod radius;
mod readiness;
pub mod record;
pub mod recording;
pub mod recovery;
pub mod redact;
pub mod reversal;
mod rollout;
mod safety;
pub mod settings;
mod statuses;
pub mod stop;
mod symptoms;
pub mod verdict;
mod window;
pub mod world;
