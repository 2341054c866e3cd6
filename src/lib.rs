//! gitops-updater: detects new versions in a Flux repository and owns each update until the
//! cluster is proven healthy.
//!
//! The library exists for the program and its tests; it is not a public API.

pub mod app;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod domain;
pub mod forge;
pub mod metrics;
pub mod notify;
pub mod probe;
pub mod repo;
pub mod report;
pub mod rules;
pub mod state;
mod strict;
pub mod telemetry;
pub mod upstream;
