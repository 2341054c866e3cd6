//! Use cases, generic over the ports.

pub mod detect;
pub mod ports;
pub mod rules;
