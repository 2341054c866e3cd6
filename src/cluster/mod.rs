//! The Kubernetes API: what runs, read with kube.
//!
//! What the account may not read is said as a problem and left out; an absent kind is no problem.

mod client;
mod facts;
mod list;

pub use client::{Access, Error, connect};
pub use facts::observe;
