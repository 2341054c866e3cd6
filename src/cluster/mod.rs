//! The Kubernetes API: what runs, read with kube.
//!
//! What the account may not read is said as a problem and left out; an absent kind is no problem.

mod ask;
mod client;
mod discovery;
mod facts;
mod lines;
mod live;
mod page;
mod path;
mod reduce;
mod sight;
mod split;
mod watch;

pub use client::{Access, Error};
pub use facts::observe;
pub use live::{Live, LiveOptions};
pub use reduce::Reducer;
