//! Use cases, generic over the ports.

pub mod detect;
mod named;
pub mod ports;
pub mod rules;
