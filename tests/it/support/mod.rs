//! What the tests share: a sandbox for the program, Git repositories, snapshot filters, broken input.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod broken;
pub(crate) mod git;
pub(crate) mod sandbox;
pub(crate) mod snapshot;
//! What the tests share: servers that behave like the real ones.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod fake_git;
pub(crate) mod fake_github;
pub(crate) mod fake_registry;
pub(crate) mod served;
