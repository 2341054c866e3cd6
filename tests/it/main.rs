//! Tests of the built program and of the parts together.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod config;
mod exit_codes;
mod help;
