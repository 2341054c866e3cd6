//! Use cases, generic over the ports.

mod closer;
pub mod detect;
mod named;
pub mod ports;
pub mod rules;
