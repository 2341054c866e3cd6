//! What the tests share: a sandbox for the program, servers that behave like the real ones, Git repositories,
//! snapshot filters and broken input.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod broken;
pub(crate) mod corpus;
pub(crate) mod fake_channels;
pub(crate) mod fake_cluster;
pub(crate) mod fake_forge;
pub(crate) mod fake_git;
pub(crate) mod fake_github;
pub(crate) mod fake_registry;
pub(crate) mod fake_upstream;
pub(crate) mod git;
pub(crate) mod manifests;
pub(crate) mod sandbox;
pub(crate) mod scripted_cluster;
pub(crate) mod served;
pub(crate) mod snapshot;
