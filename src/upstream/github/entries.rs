//! From GitHub's JSON to candidates. Pure: bytes in, values out.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::List;
use crate::domain::upstream::{Answer, Candidate};

/// Most bytes of the notes of one release.
const NOTES_LIMIT: usize = 64 << 10;
/// Most bytes of the notes of all releases together; the newest are first in the list and kept.
const ALL_NOTES_LIMIT: usize = 8 << 20;
/// Most bytes of a tag; Git itself has no bound, but nobody's version is longer.
const TAG_LIMIT: usize = 256;

#[derive(Deserialize)]
struct Release {
    tag_name: String,
    #[serde(default)]
    draft: bool,
    prerelease: Option<bool>,
    published_at: Option<String>,
    html_url: Option<String>,
    body: Option<String>,
    assets: Option<Vec<Asset>>,
}

#[derive(Deserialize)]
struct Asset {
    name: String,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
}

/// One element of the list; what is not of the wanted shape must not hide the others.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element<T> {
    Known(T),
    Unknown(IgnoredAny),
}

/// The answer while its pages come in.
pub(super) struct Listing {
    list: List,
    page_url: String,
    answer: Answer,
    seen: HashSet<String>,
    notes_size: usize,
    notes_dropped: usize,
    unreadable: usize,
}

impl Listing {
    pub(super) fn new(list: List, host: &str, owner: &str, name: &str) -> Self {
        let page_url = format!("https://{host}/{owner}/{name}");
        let changelog_url = Some(format!("{page_url}/releases"));
        Self {
            list,
            page_url,
            answer: Answer { changelog_url, ..Answer::default() },
            seen: HashSet::new(),
            notes_size: 0,
            notes_dropped: 0,
            unreadable: 0,
        }
    }

    /// Adds the entries of one page; how many it had that were not on an earlier page.
    pub(super) fn add_page(&mut self, json: &[u8]) -> Result<usize, serde_json::Error> {
        let before = self.seen.len() + self.unreadable;
        match self.list {
            List::Releases => {
                for element in serde_json::from_slice::<Vec<Element<Release>>>(json)? {
                    match element {
                        Element::Known(release) => self.add_release(release),
                        Element::Unknown(_) => self.unreadable += 1,
                    }
                }
            }
            List::Tags => {
                for element in serde_json::from_slice::<Vec<Element<Tag>>>(json)? {
                    match element {
                        Element::Known(tag) => self.add_tag(tag.name),
                        Element::Unknown(_) => self.unreadable += 1,
                    }
                }
            }
        }
        Ok(self.seen.len() + self.unreadable - before)
    }

    fn is_new(&mut self, tag: &str) -> bool {
        if tag.is_empty() || tag.len() > TAG_LIMIT || tag.chars().any(char::is_control) {
            self.unreadable += 1;
            return false;
        }
        self.seen.insert(tag.to_owned())
    }

    fn add_release(&mut self, release: Release) {
        // A draft counts as seen: a page of drafts is not the end of the list.
        if !self.is_new(&release.tag_name) || release.draft {
            return;
        }
        let notes = release.body.filter(|body| !body.is_empty()).map(|body| shortened(body, NOTES_LIMIT));
        let notes = match notes {
            Some(notes) if self.notes_size + notes.len() > ALL_NOTES_LIMIT => {
                self.notes_dropped += 1;
                None
            }
            other => other,
        };
        self.notes_size += notes.as_ref().map_or(0, String::len);
        self.answer.candidates.push(Candidate {
            released_at: release.published_at.and_then(|text| text.parse::<Timestamp>().ok()),
            notes_url: release
                .html_url
                .filter(|url| url.starts_with("https://") || url.starts_with("http://")),
            notes,
            prerelease: release.prerelease,
            assets: release.assets.map(|assets| assets.into_iter().map(|asset| asset.name).collect()),
            version: release.tag_name,
            ..Candidate::default()
        });
    }

    fn add_tag(&mut self, name: String) {
        if !self.is_new(&name) {
            return;
        }
        // Every tag has this page, release or not. A tag that would need encoding gets no link.
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+/".contains(&byte));
        let notes_url = plain.then(|| format!("{}/releases/tag/{}", self.page_url, name.replace('+', "%2B")));
        self.answer.candidates.push(Candidate { version: name, notes_url, ..Candidate::default() });
    }

    pub(super) fn contains(&self, tag: &str) -> bool {
        self.seen.contains(tag)
    }

    pub(super) fn note(&mut self, note: &str) {
        self.answer.notes.push(note.to_owned());
    }

    pub(super) fn cut_off(&mut self, entries: usize) {
        let unread = match self.list {
            List::Releases => "older ones were not read",
            List::Tags => "they come by their letters, so that newer ones may be among those not read",
        };
        self.answer
            .notes
            .push(format!("the list of {} was cut off after {entries} entries; {unread}", self.list.word()));
    }

    /// Notes why pages came from the cache and could not be checked.
    pub(super) fn stale(&mut self, why: String) {
        self.answer.stale.get_or_insert(why);
    }

    pub(super) fn finish(mut self) -> Answer {
        if self.unreadable > 0 {
            self.answer
                .notes
                .push(format!("{} entries could not be read and were left out", self.unreadable));
        }
        if self.notes_dropped > 0 {
            self.answer.notes.push(format!(
                "the release notes of {} older releases were left out: together they are too long",
                self.notes_dropped
            ));
        }
        self.answer
    }
}

/// `text` cut to at most `limit` bytes, between characters.
fn shortened(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(list: List) -> Listing {
        Listing::new(list, "github.com", "k3s-io", "k3s")
    }

    fn releases(json: &str) -> Answer {
        let mut listing = listing(List::Releases);
        listing.add_page(json.as_bytes()).unwrap();
        listing.finish()
    }

    #[test]
    fn a_release_keeps_what_a_person_needs() {
        let answer = releases(
            r##"[{"tag_name": "v1.33.4+k3s1", "prerelease": false, "draft": false,
                "published_at": "2025-08-21T10:00:00Z", "body": "# Notes",
                "html_url": "https://github.com/k3s-io/k3s/releases/tag/v1.33.4%2Bk3s1",
                "assets": [{"name": "k3s", "size": 1}, {"name": "k3s-arm64"}], "author": {"login": 7}}]"##,
        );
        assert_eq!(
            answer.candidates,
            [Candidate {
                version: "v1.33.4+k3s1".to_owned(),
                released_at: Some("2025-08-21T10:00:00Z".parse().unwrap()),
                notes_url: Some("https://github.com/k3s-io/k3s/releases/tag/v1.33.4%2Bk3s1".to_owned()),
                notes: Some("# Notes".to_owned()),
                prerelease: Some(false),
                assets: Some(vec!["k3s".to_owned(), "k3s-arm64".to_owned()]),
                ..Candidate::default()
            }]
        );
        assert_eq!(answer.notes, [""; 0]);
    }

    #[test]
    fn drafts_are_left_out() {
        let answer = releases(r#"[{"tag_name": "v2", "draft": true}, {"tag_name": "v1"}]"#);
        assert_eq!(answer.candidates.len(), 1);
        assert_eq!(answer.candidates[0].version, "v1");
    }

    #[test]
    fn what_is_not_said_is_not_guessed() {
        let answer = releases(r#"[{"tag_name": "v1", "published_at": "soon", "html_url": "javascript:x"}]"#);
        assert_eq!(answer.candidates, [Candidate { version: "v1".to_owned(), ..Candidate::default() }]);
    }

    #[test]
    fn no_assets_is_not_the_same_as_not_told() {
        let answer = releases(r#"[{"tag_name": "v1", "assets": []}, {"tag_name": "v0"}]"#);
        assert_eq!(answer.candidates[0].assets, Some(Vec::new()));
        assert_eq!(answer.candidates[1].assets, None);
    }

    #[test]
    fn an_entry_of_another_shape_does_not_hide_the_rest() {
        let answer = releases(
            r#"[{"tag_name": 7}, "v1", null, {"tag_name": ""}, {"tag_name": "v1\n"}, {"tag_name": "v2"}]"#,
        );
        assert_eq!(answer.candidates.len(), 1);
        assert_eq!(answer.notes, ["5 entries could not be read and were left out"]);
    }

    #[test]
    fn an_answer_that_is_no_list_is_an_error() {
        for json in ["{}", "<html>", "", "[{\"tag_name\": \"v1\"}", "null"] {
            assert!(listing(List::Releases).add_page(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn long_notes_are_cut_between_characters() {
        let body = "ä".repeat(NOTES_LIMIT);
        let json = serde_json::json!([{"tag_name": "v1", "body": body}]).to_string();
        let notes = releases(&json).candidates[0].notes.clone().unwrap();
        assert_eq!(notes.len(), NOTES_LIMIT);
        assert!(notes.chars().all(|c| c == 'ä'));
        assert_eq!(shortened("aä".to_owned(), 2), "a");
    }

    #[test]
    fn all_notes_together_are_bounded_and_the_newest_are_kept() {
        let body = "x".repeat(NOTES_LIMIT);
        let count = ALL_NOTES_LIMIT / NOTES_LIMIT + 3;
        let list: Vec<_> =
            (0..count).map(|i| serde_json::json!({"tag_name": format!("v{i}"), "body": body})).collect();
        let answer = releases(&serde_json::Value::from(list).to_string());
        assert_eq!(answer.candidates.iter().filter(|candidate| candidate.notes.is_none()).count(), 3);
        assert!(answer.candidates[0].notes.is_some());
        assert_eq!(
            answer.notes,
            ["the release notes of 3 older releases were left out: together they are too long"]
        );
    }

    #[test]
    fn a_tag_has_a_page_where_its_name_is_plain() {
        let mut listing = listing(List::Tags);
        let json =
            br#"[{"name": "v1.0.0+k3s1", "commit": {"sha": "x"}}, {"name": "a#b"}, {"name": "v1.0.0+k3s1"}]"#;
        assert_eq!(listing.add_page(json).unwrap(), 2);
        let answer = listing.finish();
        let pages: Vec<_> =
            answer.candidates.iter().map(|c| (c.version.as_str(), c.notes_url.as_deref())).collect();
        assert_eq!(
            pages,
            [
                ("v1.0.0+k3s1", Some("https://github.com/k3s-io/k3s/releases/tag/v1.0.0%2Bk3s1")),
                ("a#b", None)
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn cutting_never_exceeds_the_limit_and_never_breaks_a_character(text in "\\PC{0,60}", limit in 0usize..80) {
            let cut = shortened(text.clone(), limit);
            proptest::prop_assert!(cut.len() <= limit);
            proptest::prop_assert!(text.starts_with(&cut));
            proptest::prop_assert!(text.len() <= limit || limit - cut.len() < 4);
        }
    }
}
