//! Who asks, and what they may.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Read,
    Write,
}

/// Who a token belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) login: String,
    /// An App, which asks by the token of an installation.
    pub(crate) is_bot: bool,
    pub(crate) permissions: BTreeMap<&'static str, Level>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What the bot needs, as GitHub's header has it.
const ALL: [(&str, Level); 6] = [
    ("contents", Level::Write),
    ("pull_requests", Level::Write),
    ("issues", Level::Write),
    ("statuses", Level::Write),
    ("checks", Level::Read),
    ("metadata", Level::Read),
];

impl Account {
    pub(crate) fn person(id: u64, login: &str) -> Self {
        Self {
            id,
            login: login.to_owned(),
            is_bot: false,
            permissions: ALL.into_iter().collect(),
            expires_at: None,
        }
    }

    pub(crate) fn bot(id: u64, login: &str) -> Self {
        Self { is_bot: true, ..Self::person(id, login) }
    }

    pub(crate) fn without(mut self, permission: &str) -> Self {
        assert!(self.permissions.remove(permission).is_some(), "{permission}");
        self
    }

    pub(super) fn may(&self, permission: &str, level: Level) -> bool {
        self.permissions.get(permission).is_some_and(|has| *has >= level)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"id": self.id, "login": self.login, "type": if self.is_bot { "Bot" } else { "User" }})
    }
}
