//! Use cases, generic over the ports.

pub mod cluster;
pub mod data;
pub mod detect;
pub mod effects;
pub mod forge;
pub mod gates;
pub mod health;
mod inspect;
pub mod lease;
pub mod named;
pub mod notify;
pub mod pass;
pub mod plan;
pub mod ports;
pub mod probes;
pub mod remedy;
pub mod replay;
pub mod rollback;
pub mod rules;
pub mod settle;
