//! What a commit says by which a person goes back.

use jiff::Timestamp;

use super::hidden::{decoded, encoded};

const PREFIX: &str = "Gitops-Updater-";
/// Longest reason, in characters.
const MAX_REASON: usize = 2_000;

/// What is said of going back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoingBack {
    /// Components with the version that they leave and the one they go back to.
    pub components: Vec<(String, String, String)>,
    /// Who asks for it.
    pub by: String,
    /// Why, where that was said.
    pub reason: Option<String>,
    /// Commit that is reverted, where it is one.
    pub commit: Option<String>,
    /// Backup point that is gone back to.
    pub backup_id: Option<String>,
    /// Updates that are reverted.
    pub updates: Vec<String>,
}

const ASKED: &str = "<!-- gitops-updater/rollback-asked/v1 ";
const LEFT: &str = "<!-- gitops-updater/rollback/v1 ";
const END: &str = " -->";

/// The hidden comment by which a pull request that goes back says which versions, by component id, are left.
pub fn left_comment<'a>(versions: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let words: Vec<String> = versions
        .into_iter()
        .flat_map(|(component, version)| [encoded(component), encoded(version)])
        .collect();
    format!("{LEFT}{}{END}", words.join(" "))
}

/// Whether a pull request says that it goes back, be it that no version goes with it.
pub fn goes_back(body: &str) -> bool {
    body.contains(LEFT)
}

/// The versions that [`left_comment`] named, of the last such comment: texts of others stand above it.
pub fn left_versions(body: &str) -> Vec<(String, String)> {
    let Some(start) = body.rfind(LEFT) else { return Vec::new() };
    let rest = &body[start + LEFT.len()..];
    let words = rest.find(END).map(|end| &rest[..end]).unwrap_or_default();
    let words: Vec<String> = words.split(' ').map_while(decoded).collect();
    words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// The hidden comment by which a pull request that goes back says which wish it is for: that which was recorded at
/// `at`, by the clock that the record has its time from.
pub fn asked_comment(at: Timestamp) -> String {
    format!("{ASKED}{at}{END}")
}

/// When what a pull request is for was asked for, as [`asked_comment`] says it; texts of others stand above it.
pub fn asked_at(body: &str) -> Option<Timestamp> {
    let rest = &body[body.rfind(ASKED)? + ASKED.len()..];
    rest[..rest.find(END)?].parse().ok()
}

impl GoingBack {
    /// The first line.
    pub fn title(&self) -> String {
        match (self.components.as_slice(), &self.backup_id) {
            ([(component, from, to)], _) => {
                format!("Roll {} back from {} to {}", line(component), line(from), line(to))
            }
            (several, Some(id)) => format!("Roll {} components back to {}", several.len(), line(id)),
            (several, None) => format!("Roll {} components back", several.len()),
        }
    }

    /// The whole message. The trailers are what later passes know it by.
    pub fn message(&self) -> String {
        let mut text = format!("{}\n\nAsked for by {}", self.title(), line(&self.by));
        match &self.reason {
            Some(reason) => {
                let reason: String = reason
                    .chars()
                    .map(|letter| if letter.is_control() { ' ' } else { letter })
                    .take(MAX_REASON)
                    .collect();
                text.push_str(&format!(":\n{}\n", reason.trim()));
            }
            None => text.push_str(".\n"),
        }
        if self.components.len() > 1 {
            text.push('\n');
            for (component, from, to) in &self.components {
                text.push_str(&format!("- {}: {} -> {}\n", line(component), line(from), line(to)));
            }
        }
        if let Some(commit) = &self.commit {
            // As Git itself says it.
            text.push_str(&format!("\nThis reverts commit {commit}.\n"));
        }
        text.push('\n');
        for (component, ..) in &self.components {
            text.push_str(&format!("{PREFIX}Component: {}\n", encoded(component)));
        }
        if let Some(id) = &self.backup_id {
            text.push_str(&format!("{PREFIX}Backup: {}\n", encoded(id)));
        }
        for update in &self.updates {
            text.push_str(&format!("{PREFIX}Reverts: {}\n", encoded(update)));
        }
        text
    }
}

/// Ids of the updates that a commit says it reverts, by whoever it was made.
pub fn reverted_updates(message: &str) -> Vec<String> {
    let lines = message.lines().skip(1);
    let values = lines.filter_map(|line| line.trim().strip_prefix(PREFIX)?.strip_prefix("Reverts:"));
    values.filter_map(|value| decoded(value.trim())).collect()
}

fn line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_wish_is_the_last_that_the_body_names() {
        let at: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let earlier = asked_comment("2025-01-01T00:00:00Z".parse().unwrap());
        let body =
            format!("{earlier}\nGoes back.\n{}\n{}\n", asked_comment(at), left_comment([("k3s", "1")]));
        assert_eq!(asked_at(&body), Some(at));
        assert_eq!(left_versions(&body), [("k3s".to_owned(), "1".to_owned())]);
        assert_eq!(asked_at("Goes back."), None);
        assert_eq!(asked_at(&body.replace("2026-", "soon-")), None);
    }

    #[test]
    fn message_says_what_why_and_by_what_it_is_known() {
        let back = GoingBack {
            components: vec![("helm/apps/web".to_owned(), "2.0.0".to_owned(), "1.9.0".to_owned())],
            by: "Jane\nDoe".to_owned(),
            reason: Some("orders fail\nsince noon".to_owned()),
            commit: Some("0123456".to_owned()),
            backup_id: None,
            updates: vec!["update-20261121-100000".to_owned()],
        };
        assert_eq!(reverted_updates(&back.message()), ["update-20261121-100000"]);
        insta::assert_snapshot!(back.message(), @r"
        Roll helm/apps/web back from 2.0.0 to 1.9.0

        Asked for by JaneDoe:
        orders fail since noon

        This reverts commit 0123456.

        Gitops-Updater-Component: helm/apps/web
        Gitops-Updater-Reverts: update-20261121-100000
        ");
    }
}
