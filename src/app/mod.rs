//! Use cases, generic over the ports.

mod closer;
pub mod detect;
pub mod effects;
pub mod forge;
pub mod hour;
pub mod named;
pub mod pass;
pub mod plan;
pub mod ports;
pub mod rules;
