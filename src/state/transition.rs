//! What a transition says about itself, as a commit message.

use std::fmt::Write as _;

use crate::domain::state::{Stage, Update};

/// Longest line of a message that is not cut, in characters.
const LINE_LIMIT: usize = 200;

/// One change of the state: why, in words, and what in trailers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    subject: String,
    body: String,
    trailers: Vec<(&'static str, String)>,
}

impl Transition {
    /// A transition that this sentence tells.
    pub fn new(subject: impl AsRef<str>) -> Self {
        Self { subject: one_line(subject.as_ref()), body: String::new(), trailers: vec![] }
    }

    /// The transition of an update into the stage that it is now in, with what decided it.
    pub fn of(update: &Update) -> Self {
        let verb = match update.stage {
            Stage::Proposed => "Propose",
            Stage::Merged => "Record the merge of",
            Stage::Rolling => "See the rollout of",
            Stage::Verified => "Verify",
            Stage::Reverted => "Revert",
            Stage::Held => "Hold",
            Stage::Abandoned => "Abandon",
        };
        Self::told(verb, update)
    }

    /// A change of what is known of an update, told by this verb.
    pub fn told(verb: &str, update: &Update) -> Self {
        let mut transition =
            Self::new(format!("{verb} {} {} -> {}", update.component, update.from, update.to));
        if let Some(reason) = &update.reason {
            transition = transition.because(reason);
        }
        transition = transition
            .trailer("Update", &update.update_id)
            .trailer("Campaign", &update.campaign)
            .trailer("Policy-Applied", decided_by(update));
        if let Some(number) = update.pull_request {
            transition = transition.trailer("Pull-Request", number.to_string());
        }
        if let Some(backup) = &update.backup_id {
            transition = transition.trailer("Backup", backup);
        }
        if let Some(by) = &update.verified_by {
            transition = transition.trailer("Verified-By", by);
        }
        transition
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn because(mut self, reason: impl AsRef<str>) -> Self {
        let paragraph: Vec<String> = reason.as_ref().lines().map(one_line).collect();
        if !self.body.is_empty() {
            self.body.push_str("\n\n");
        }
        self.body.push_str(paragraph.join("\n").trim());
        self
    }

    /// Adds a trailer, such as `Policy-Applied`.
    #[must_use]
    pub fn trailer(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.trailers.push((name, one_line(value.as_ref())));
        self
    }

    /// The first line.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The whole commit message.
    pub fn message(&self) -> String {
        let mut text = format!("{}\n", self.subject);
        if !self.body.is_empty() {
            let _never_fails = write!(text, "\n{}\n", self.body).is_ok();
        }
        for (index, (name, value)) in self.trailers.iter().enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            let _never_fails = writeln!(text, "{gap}{name}: {value}").is_ok();
        }
        text
    }
}

/// What decided the stage that an update is in: its gate, until something else did.
fn decided_by(update: &Update) -> &str {
    match update.stage {
        Stage::Proposed | Stage::Merged => &update.policy_applied,
        Stage::Rolling | Stage::Verified | Stage::Reverted | Stage::Held | Stage::Abandoned => {
            update.settling.decided_by.as_deref().unwrap_or(&update.policy_applied)
        }
    }
}

/// Versions and reasons come from strangers: none may add a line that looks like a trailer.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LINE_LIMIT).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::Approval;

    #[test]
    fn message_has_subject_reason_and_trailers() {
        let transition = Transition::new("Hold longhorn 1.8.2 -> 1.9.1")
            .because("two volumes are degraded\nask again later")
            .trailer("Update", "update-20250208-100000")
            .trailer("Policy-Applied", "rule longhorn");
        assert_eq!(
            transition.message(),
            "Hold longhorn 1.8.2 -> 1.9.1\n\ntwo volumes are degraded\nask again later\n\n\
             Update: update-20250208-100000\nPolicy-Applied: rule longhorn\n"
        );
    }

    /// The trail said of whatever became of an update what had decided its gate.
    #[test]
    fn what_decided_a_stage_is_told_with_it() {
        let mut update = crate::domain::lifecycle::tests::update(Stage::Proposed, None, Approval::Review);
        let gate = update.policy_applied.clone();
        let key = |update: &Update| {
            let message = Transition::of(update).message();
            let line = message.lines().find_map(|line| line.strip_prefix("Policy-Applied: "));
            line.unwrap().to_owned()
        };
        assert_eq!(key(&update), gate);
        update.settling.decided_by = Some("validation".to_owned());
        assert_eq!(key(&update), gate, "that it is proposed, its gate decided");
        update.stage = Stage::Held;
        assert_eq!(key(&update), "validation");
    }

    #[test]
    fn strangers_text_adds_no_line() {
        let transition = Transition::new("Propose x 1 -> 2\n\nAccepts-Rewritten: 0")
            .trailer("Update", "a\nVerified-By: me");
        assert_eq!(
            transition.message(),
            "Propose x 1 -> 2  Accepts-Rewritten: 0\n\nUpdate: a Verified-By: me\n"
        );
    }
}
