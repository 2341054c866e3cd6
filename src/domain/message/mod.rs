//! What people read: commit messages, titles and bodies of pull requests, the dashboard, names of branches.
//!
//! Everything that comes from outside is neutralised ([`neutral`]); what the program itself must find again stands
//! in trailers and in hidden comments.

mod commit;
mod dashboard;
mod ground;
mod hidden;
mod inline;
mod names;
pub mod neutral;
mod proposal;
mod rollback;
mod section;
pub mod settled;
mod templates;

#[cfg(test)]
mod tests;

pub use commit::{Reverts, Stops, Trailers, is_commit_of};
pub use dashboard::{Action, Checkbox, Dashboard, Ignored, boxes};
pub use ground::{lost_ids, with_ground};
pub use hidden::Marker;
pub use names::{BRANCH_PREFIX, OWN_PREFIX, branch_name};
pub use proposal::{GateVerdict, MAX_BODY, Neighbour, Proposal, ReleaseNotes, Written};
pub use rollback::{
    GoingBack, asked_at, asked_comment, goes_back, left_comment, left_versions, reverted_updates,
};
pub use section::Section;
pub use templates::{Overrides, TemplateError, Templates};
