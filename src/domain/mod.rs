//! Decisions about versions and manifests, as pure functions over plain data.
//!
//! Nothing here reads the network, the file system, the environment or the clock, and nothing here
//! knows a client library: values come in, values go out.

pub mod advisory;
pub mod apis;
pub mod assess;
pub mod backup;
pub mod chart_diff;
pub mod component;
pub mod cycles;
pub mod duration;
pub mod edit;
pub mod expression;
pub mod facts;
pub mod gotk;
pub mod ground;
pub mod history;
pub mod lifecycle;
pub mod manifest;
pub mod message;
pub mod near;
pub mod notes;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod problem;
pub mod report;
pub mod resolve;
pub mod rollback;
pub mod rule;
pub mod scan;
pub mod select;
pub mod selector;
pub mod settle;
pub mod state;
pub mod upstream;
pub mod version;
