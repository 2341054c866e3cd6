//! Numbers about passes, for Prometheus: the text format, what a pass says in it, and how it is pushed.

mod page;
mod pass;
pub mod push;

pub use page::{CONTENT_TYPE, Kind, Page};
pub use pass::{Numbers, Result, Totals, page};
