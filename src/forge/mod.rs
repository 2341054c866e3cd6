//! Where pull requests live: the implementations of [`crate::app::forge::Forge`].

pub mod github;
pub mod local;
