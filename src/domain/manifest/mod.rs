//! YAML and JSON manifests as text with places: documents, nodes, routes and byte spans.
//!
//! Nothing here knows Kubernetes or Flux. A value is always addressed by the bytes that hold it, so
//! that an edit can replace exactly these.

pub mod document;
pub mod keys;
pub mod place;
pub mod route;
pub mod split;
