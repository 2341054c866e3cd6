//! Where pull requests live: the implementations of [`crate::app::forge::Forge`].

mod any;
pub mod github;
pub mod local;

pub use any::AnyForge;
