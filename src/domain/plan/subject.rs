//! What planning knows of one component.

use crate::domain::advisory::Advisory;
use crate::domain::component::Component;
use crate::domain::report::Entry;
use crate::domain::upstream::Candidate;

/// A component with the versions that it may move to.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The component and its pins.
    pub component: Component,
    /// What the report says about it.
    pub entry: Entry,
    /// The published version that is installed, where it is listed.
    pub current: Option<Candidate>,
    /// Every published version that is newer than the installed one and that the configuration's `detection` admits,
    /// oldest first. Empty where there is nothing to do or nothing is known.
    pub candidates: Vec<Candidate>,
    /// Known vulnerabilities that the newest of them no longer has.
    pub advisories: Vec<Advisory>,
}
