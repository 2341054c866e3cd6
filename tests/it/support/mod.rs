//! What the tests share: servers that behave like the real ones.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod fake_git;
pub(crate) mod fake_github;
pub(crate) mod fake_registry;
pub(crate) mod served;
