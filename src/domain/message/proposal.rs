//! What is written about one step: commit message, title and body of its pull request.

use jiff::Timestamp;
use minijinja::value::Value;
use serde::Serialize;

use super::commit::Trailers;
use super::hidden::Marker;
use super::neutral::notes;
use super::section::Section;
use super::templates::{TemplateError, Templates, body_name};
use crate::domain::component::UpdateType;
use crate::domain::edit::LeftAlone;
use crate::domain::plan::{Revert, RevertSafety, Step};

/// Most characters of a body; GitHub takes 65,536, and people and the program must be able to add some.
pub const MAX_BODY: usize = 64_000;
/// Most characters of a title; GitHub takes 256.
const MAX_TITLE: usize = 250;
/// Most places that a commit message lists.
const MAX_COMMIT_ROWS: usize = 100;

/// A step that stands before or behind this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// Component id.
    pub component: String,
    /// Version before.
    pub from: String,
    /// Version after.
    pub to: String,
    /// Where it is, for people (`verified`, `open`, `not yet proposed`).
    pub state: String,
    /// Its pull request.
    pub pull_request: Option<u64>,
    /// Why the one comes before the other; empty where nothing more can be said.
    pub why: String,
}

/// What a gate said about the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateVerdict {
    /// Name of the gate (`release_age`, `compatibility`, …).
    pub gate: String,
    /// Whether it lets the step pass.
    pub passed: bool,
    /// What it looked at and found.
    pub reason: String,
    /// Configuration key, rule or default that decided.
    pub policy_applied: String,
}

/// The notes of one release on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseNotes {
    /// Version as published.
    pub version: String,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// Page with the notes.
    pub url: Option<String>,
    /// The notes: untrusted Markdown.
    pub notes: Option<String>,
}

/// Everything that is known about a step that is proposed.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// What the program must find again.
    pub marker: &'a Marker,
    /// The step.
    pub step: &'a Step,
    /// Name for people.
    pub name: &'a str,
    /// Why it is wanted, in one line, beside its being newer (`fixes CVE-…`); empty where there is nothing to add.
    pub why: &'a str,
    /// Number of its wave, and how many there are.
    pub wave: (usize, usize),
    /// What had to come first.
    pub before: &'a [Neighbour],
    /// What comes next because of it.
    pub after: &'a [Neighbour],
    /// What every gate said.
    pub gates: &'a [GateVerdict],
    /// Places that are not changed.
    pub left_alone: &'a [LeftAlone],
    /// Identifiers of the advisories that it fixes.
    pub advisories: &'a [String],
    /// Breaking changes on the way, as plain text.
    pub breaking: &'a [String],
    /// What a person should know.
    pub warnings: &'a [String],
    /// Where to read what changed.
    pub changelog_url: Option<&'a str>,
    /// Releases on the way, oldest first, with the target.
    pub releases: &'a [ReleaseNotes],
    /// Further findings, such as the comparison of two charts.
    pub sections: &'a [Section],
    /// Backups of data that its backup point has, a line each.
    pub data_backups: &'a [String],
    /// What its backup point does not cover.
    pub not_covered: &'a [String],
    /// What a person restores as the last way, and from where.
    pub last_way: Option<&'a str>,
}

/// The texts of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Title of the pull request, one line of at most 250 characters.
    pub title: String,
    /// Body of the pull request, at most [`MAX_BODY`] characters, with the hidden marker at its end.
    pub body: String,
    /// Message of the commit, with trailers.
    pub commit: String,
}

/// How much is said: the most that fits is taken.
struct Detail {
    /// Characters of all release notes together.
    notes: usize,
    /// Characters of each section; urgent ones get the double.
    section: usize,
    /// Rows of each table or list.
    rows: usize,
}

const LADDER: [Detail; 6] = [
    Detail { notes: 30_000, section: 12_000, rows: 200 },
    Detail { notes: 16_000, section: 6_000, rows: 100 },
    Detail { notes: 8_000, section: 3_000, rows: 60 },
    Detail { notes: 3_000, section: 1_000, rows: 40 },
    Detail { notes: 0, section: 400, rows: 20 },
    Detail { notes: 0, section: 0, rows: 8 },
];

#[derive(Serialize)]
struct Context<'a> {
    component: &'a str,
    name: &'a str,
    from: &'a str,
    to: &'a str,
    update_type: &'static str,
    digest_only: bool,
    why: &'a str,
    gate: &'static str,
    policy_applied: &'a str,
    update_id: &'a str,
    campaign: &'a str,
    backup_id: Option<&'a str>,
    wave: usize,
    waves: usize,
    before: &'a [Neighbour],
    after: &'a [Neighbour],
    gates: &'a [GateVerdict],
    reasons: &'a [String],
    edits: Vec<Edit<'a>>,
    more_edits: usize,
    left_alone: Vec<Left<'a>>,
    advisories: &'a [String],
    breaking: &'a [String],
    warnings: &'a [String],
    revert: Going<'a>,
    if_it_fails: &'static str,
    changelog_url: Option<&'a str>,
    releases: Vec<Release>,
    more_releases: usize,
    sections: Vec<Value>,
    data_backups: &'a [String],
    more_data_backups: usize,
    not_covered: &'a [String],
    last_way: Option<&'a str>,
}

#[derive(Serialize)]
struct Edit<'a> {
    file: &'a str,
    line: usize,
    old: &'a str,
    new: &'a str,
}

#[derive(Serialize)]
struct Left<'a> {
    file: &'a str,
    line: usize,
    text: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Going<'a> {
    safety: &'static str,
    why: &'a str,
}

#[derive(Serialize)]
struct Release {
    version: String,
    released: Option<String>,
    /// Ready to be printed.
    link: Option<Value>,
    notes: Option<Value>,
    cut: bool,
}

impl Proposal<'_> {
    /// Writes the texts, with as much detail as fits.
    ///
    /// # Errors
    ///
    /// A template of the user is wrong, or makes more than a forge takes even with the least detail.
    pub fn write(&self, templates: &Templates) -> Result<Written, TemplateError> {
        let marker = self.marker.comment();
        let room = MAX_BODY.saturating_sub(marker.chars().count() + 2);
        let mut body = None;
        let mut characters = 0;
        for detail in &LADDER {
            let text = templates.body(&self.context(detail))?;
            characters = text.chars().count();
            if characters <= room {
                body = Some(text);
                break;
            }
        }
        let body = body.ok_or(TemplateError::TooLong { name: body_name(), characters, limit: room })?;
        let brief = self.context(&Detail { notes: 0, section: 0, rows: MAX_COMMIT_ROWS });
        let mut title = templates.title(&brief)?;
        if let Some((cut, _)) = title.char_indices().nth(MAX_TITLE - 1) {
            title.truncate(cut);
            title = format!("{}…", title.trim_end());
        }
        let trailers = Trailers {
            update_id: self.marker.update_id.clone(),
            component: self.step.component.clone(),
            from: self.step.from.clone(),
            to: self.step.to.clone(),
            backup_id: self.marker.backup_id.clone(),
        };
        let below = templates.commit(&brief)?;
        let below = if below.is_empty() { below } else { format!("{below}\n\n") };
        Ok(Written {
            commit: format!("{title}\n\n{below}{}", trailers.lines()),
            body: format!("{body}\n\n{marker}\n"),
            title,
        })
    }

    fn context(&self, detail: &Detail) -> Context<'_> {
        let step = self.step;
        let rows = detail.rows;
        let (releases, more_releases) = self.releases(detail);
        Context {
            component: &step.component,
            name: self.name,
            from: &step.from,
            to: &step.to,
            update_type: step.update_type.as_str(),
            digest_only: step.update_type == UpdateType::Digest,
            why: self.why,
            gate: step.gate.as_str(),
            policy_applied: &step.policy_applied,
            update_id: &self.marker.update_id,
            campaign: &self.marker.campaign,
            backup_id: self.marker.backup_id.as_deref(),
            wave: self.wave.0,
            waves: self.wave.1,
            before: first(self.before, rows),
            after: first(self.after, rows),
            gates: first(self.gates, rows),
            reasons: first(&step.reasons, rows),
            edits: first(&step.edits, rows)
                .iter()
                .map(|edit| Edit { file: &edit.file, line: edit.line, old: &edit.old, new: &edit.new })
                .collect(),
            more_edits: step.edits.len().saturating_sub(rows),
            left_alone: first(self.left_alone, rows)
                .iter()
                .map(|left| Left {
                    file: &left.file,
                    line: left.line,
                    text: &left.text,
                    reason: &left.reason,
                })
                .collect(),
            advisories: first(self.advisories, rows),
            breaking: first(self.breaking, rows),
            warnings: first(self.warnings, rows),
            revert: Going { safety: step.revert.safety.as_str(), why: &step.revert.why },
            if_it_fails: if_it_fails(&step.revert),
            changelog_url: self.changelog_url,
            releases,
            more_releases,
            data_backups: first(self.data_backups, rows),
            more_data_backups: self.data_backups.len().saturating_sub(rows),
            not_covered: first(self.not_covered, rows),
            last_way: self.last_way,
            sections: self
                .sections
                .iter()
                .filter(|section| section.urgent || detail.section > 0)
                .take(rows)
                .map(|section| {
                    let room = if section.urgent { 2 * detail.section.max(400) } else { detail.section };
                    Value::from_safe_string(section.markdown(room))
                })
                .collect(),
        }
    }

    /// Releases newest first, as many notes as there is room for.
    fn releases(&self, detail: &Detail) -> (Vec<Release>, usize) {
        let mut room = detail.notes;
        let shown = self.releases.iter().rev().take(detail.rows);
        let releases: Vec<Release> = shown
            .map(|release| {
                // A long text of one release must not take the room of all others.
                let share = (room / 2).max(room.min(2_000));
                let (text, cut) = match &release.notes {
                    Some(text) if share > 0 => notes(text, share),
                    Some(text) => (String::new(), !text.trim().is_empty()),
                    None => (String::new(), false),
                };
                room = room.saturating_sub(text.chars().count());
                Release {
                    version: release.version.clone(),
                    released: release.released_at.map(|at| at.strftime("%Y-%m-%d").to_string()),
                    link: release.url.as_deref().map(|url| Value::from_safe_string(super::inline::link(url))),
                    notes: (!text.is_empty()).then(|| Value::from_safe_string(text)),
                    cut,
                }
            })
            .collect();
        let more = self.releases.len() - releases.len();
        (releases, more)
    }
}

/// What a person does where the cluster does not take the change well.
/// What the program does when validation fails, and what a person may do.
fn if_it_fails(revert: &Revert) -> &'static str {
    match revert.safety {
        RevertSafety::Safe => {
            "Where the cluster is watched and validation fails, gitops-updater reverts the merged commit, sees the cluster \
             come back, and proposes this version no more. By hand, a revert of the merged commit brings the old version \
             back."
        }
        RevertSafety::Conditional => {
            "Where the cluster is watched and validation fails, gitops-updater reverts the merged commit only if it sees that \
             the condition above holds; else it holds: the queue stops, and a person is called here with the evidence. By \
             hand, a revert is safe only under the condition above; look before you revert."
        }
        RevertSafety::Unsafe => {
            "Where the cluster is watched and validation fails, gitops-updater never reverts this: the queue stops, and a \
             person is called here with the evidence. Do not revert the merged commit: that does harm. Keep what can be \
             seen and repair forwards."
        }
    }
}

fn first<T>(items: &[T], count: usize) -> &[T] {
    &items[..items.len().min(count)]
}
