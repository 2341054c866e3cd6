//! Tests against real processes, files and sockets, without a network.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;
mod upstream;
