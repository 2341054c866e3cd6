//! Trailers of commits, by which a commit of ours is known.

use jiff::Timestamp;

use super::hidden::{decoded, encoded};
use crate::domain::state::Update;

const PREFIX: &str = "Gitops-Updater-";

/// What the last paragraph of a commit message says to the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trailers {
    /// Update id.
    pub update_id: String,
    /// Component id.
    pub component: String,
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// Backup point.
    pub backup_id: Option<String>,
}

impl Trailers {
    /// The lines, each with its end.
    pub fn lines(&self) -> String {
        let known = [
            ("Update", Some(&self.update_id)),
            ("Component", Some(&self.component)),
            ("From", Some(&self.from)),
            ("To", Some(&self.to)),
            ("Backup", self.backup_id.as_ref()),
        ];
        let line = |(name, value): (&str, Option<&String>)| {
            value.map(|value| format!("{PREFIX}{name}: {}\n", encoded(value)))
        };
        known.into_iter().filter_map(line).collect()
    }

    /// The trailers of a commit message; `None` where one that every commit of ours has is missing.
    ///
    /// They may stand anywhere below the subject: a squash merge puts the messages of several commits together,
    /// and people add trailers of their own. The last of each name counts.
    pub fn parse(message: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut seen = [false; 4];
        for line in message.lines().skip(1) {
            let Some((name, value)) = line.trim().strip_prefix(PREFIX).and_then(|rest| rest.split_once(':'))
            else {
                continue;
            };
            let Some(value) = decoded(value.trim()) else { continue };
            let place = match name {
                "Update" => (&mut found.update_id, 0),
                "Component" => (&mut found.component, 1),
                "From" => (&mut found.from, 2),
                "To" => (&mut found.to, 3),
                "Backup" => {
                    found.backup_id = Some(value);
                    continue;
                }
                _ => continue,
            };
            *place.0 = value;
            seen[place.1] = true;
        }
        seen.iter().all(|seen| *seen).then_some(found)
    }
}

/// The commit by which an update is reverted.
#[derive(Debug, Clone, Copy)]
pub struct Reverts<'a> {
    /// The update.
    pub update: &'a Update,
    /// The commit of the base branch that it reverts, or the last of several, as people name it.
    pub commit: &'a str,
    /// Why, for people.
    pub reason: &'a str,
}

impl Reverts<'_> {
    /// The first line.
    pub fn title(&self) -> String {
        let Update { component, from, to, .. } = self.update;
        format!("Revert \"{}: {} -> {}\"", line(component), line(from), line(to))
    }

    /// The whole message. The sentence in it is the one that Git itself writes.
    pub fn message(&self) -> String {
        let mut text = format!(
            "{}\n\n{}\n\nThis reverts commit {}.\n\n",
            self.title(),
            paragraph(self.reason),
            self.commit
        );
        text.push_str(&format!("{PREFIX}Reverts: {}\n", encoded(&self.update.update_id)));
        text.push_str(&format!("{PREFIX}Component: {}\n", encoded(&self.update.component)));
        text
    }

    /// The id of the update that a commit says it reverts. It may stand anywhere below the subject, as squash
    /// merges leave it; the last one counts.
    pub fn parse(message: &str) -> Option<String> {
        let lines = message.lines().skip(1);
        let values = lines.filter_map(|line| line.trim().strip_prefix(PREFIX)?.strip_prefix("Reverts:"));
        decoded(values.last()?.trim())
    }
}

/// The commit by which a rollout is stopped: its Plans take no further node.
#[derive(Debug, Clone, Copy)]
pub struct Stops<'a> {
    /// The update.
    pub update: &'a Update,
    /// When it was decided: another decision is another commit.
    pub decided_at: Timestamp,
    /// Why, for people.
    pub reason: &'a str,
}

impl Stops<'_> {
    /// The first line.
    pub fn title(&self) -> String {
        let Update { component, to, .. } = self.update;
        format!("Stop the rollout of {} {}", line(component), line(to))
    }

    /// The whole message.
    pub fn message(&self) -> String {
        let mut text = format!(
            "{}\n\n{}\n\nWith concurrency 0 no further node is changed; the version stays as it is. Revert this \
             commit to go on.\n\n",
            self.title(),
            paragraph(self.reason)
        );
        text.push_str(&format!("{PREFIX}Stops: {} {}\n", encoded(&self.update.update_id), self.decided_at));
        text.push_str(&format!("{PREFIX}Component: {}\n", encoded(&self.update.component)));
        text
    }

    /// The update whose rollout a commit says it stops, and when that was decided.
    pub fn parse(message: &str) -> Option<(String, Timestamp)> {
        let lines = message.lines().skip(1);
        let values = lines.filter_map(|line| line.trim().strip_prefix(PREFIX)?.strip_prefix("Stops:"));
        let (id, decided_at) = values.last()?.trim().rsplit_once(' ')?;
        Some((decoded(id.trim())?, decided_at.parse().ok()?))
    }
}

/// Whether a commit says of itself that it was made for this update: its change, its revert, or the stop of its rollout.
///
/// The change is known by component and version: the record may have been lost, and have another id since.
pub fn is_commit_of(message: &str, update: &Update) -> bool {
    let is_change = |trailers: Trailers| trailers.component == update.component && trailers.to == update.to;
    Trailers::parse(message).is_some_and(is_change)
        || Reverts::parse(message).is_some_and(|id| id == update.update_id)
        || Stops::parse(message).is_some_and(|(id, _)| id == update.update_id)
}

/// A part of a first line.
fn line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(120).collect()
}

fn paragraph(text: &str) -> String {
    let text: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(2_000).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::lifecycle::tests::update;
    use crate::domain::plan::Approval;
    use crate::domain::state::Stage;

    #[test]
    fn trailers_are_found_below_other_text() {
        let trailers = Trailers {
            update_id: "update-20261121-100000".to_owned(),
            component: "image/docker.io/library/nginx#12".to_owned(),
            from: "v1.33.4+k3s1".to_owned(),
            to: "v1.34.1+k3s1".to_owned(),
            backup_id: Some("backup-20261121-095500".to_owned()),
        };
        let message = format!("k3s: a -> b (#7)\n\n* k3s\n\n{}Signed-off-by: A <a@b.c>\n", trailers.lines());
        assert!(message.contains("Gitops-Updater-Component: image/docker.io/library/nginx%2312\n"));
        assert_eq!(Trailers::parse(&message), Some(trailers));
        assert_eq!(Trailers::parse("Gitops-Updater-Update: x\n\nnothing"), None);
    }

    #[test]
    fn commit_is_of_an_update_by_what_it_says_and_not_by_who_made_it() {
        let update = update(Stage::Proposed, None, Approval::Review);
        let trailers = |component: &str, to: &str| {
            let trailers = Trailers {
                update_id: "update-20250101-000000".to_owned(),
                component: component.to_owned(),
                from: "6.7.0".to_owned(),
                to: to.to_owned(),
                backup_id: None,
            };
            format!("Title\n\n{}", trailers.lines())
        };
        assert!(is_commit_of(&trailers("helm/apps/podinfo", "6.7.1"), &update));
        assert!(!is_commit_of(&trailers("helm/apps/podinfo", "6.7.2"), &update));
        assert!(!is_commit_of(&trailers("helm/apps/website", "6.7.1"), &update));
        assert!(!is_commit_of("Format the files\n", &update));
        let revert = Reverts { update: &update, commit: "0123", reason: "it failed" }.message();
        assert!(is_commit_of(&revert, &update));
        let stop = Stops { update: &update, decided_at: update.started_at, reason: "it failed" }.message();
        assert!(is_commit_of(&stop, &update));
        let other = Update { update_id: "update-20250101-000000".to_owned(), ..update };
        assert!(!is_commit_of(&revert, &other) && !is_commit_of(&stop, &other));
    }

    proptest! {
        #[test]
        fn decision_to_stop_is_found_in_its_commit(id in "\\PC{1,40}", reason in "\\PC{0,80}|(\n|\r|Gitops-Updater-Stops: x)*") {
            let mut update = update(Stage::Held, None, Approval::Review);
            update.update_id = id.clone();
            let decided_at: Timestamp = "2026-11-21T12:00:00.25Z".parse().unwrap();
            let message = Stops { update: &update, decided_at, reason: &reason }.message();
            prop_assert_eq!(Stops::parse(&message), Some((id, decided_at)));
            prop_assert_eq!(Reverts::parse(&message), None);
            prop_assert_eq!(message.lines().next().unwrap(), "Stop the rollout of helm/apps/podinfo 6.7.1");
        }

        #[test]
        fn every_value_is_read_as_it_was(component in "\\PC{1,40}", to in "\\PC{1,40}") {
            let trailers = Trailers { component, to, ..Trailers::default() };
            prop_assert_eq!(Trailers::parse(&format!("subject\n\n{}", trailers.lines())), Some(trailers));
        }
    }
}
