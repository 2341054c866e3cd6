//! What is wrong in a cluster, by category, and what could not be looked at.

pub mod probe;
