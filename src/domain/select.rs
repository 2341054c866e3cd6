//! Chooses the version that a component should move to, from what its upstream publishes.
//!
//! Knows nothing of manifests or of clients. What cannot be understood is said, never guessed.

mod form;
mod known;
mod newer;
mod warnings;
mod wish;

use super::component::{Given, UpdateType};
use super::upstream::{Answer, Candidate};
use super::version::range::{Range, strict_version};
use super::version::{Scheme, Version};
pub(crate) use form::{in_form_of, strip_prefix};
use known::{Known, Reading, common_reading, is_newer, listed_as, newest_release, read_candidates};
pub use newer::{Newer, newer, step_type};
use warnings::{warn_about_current, warn_about_dates, warn_about_deprecation};
pub use wish::{Ignored, Objection, Wish};
use wish::{Judge, is_prerelease};

/// What is asked: how Git gives the version, and what it may become.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How the version is given.
    pub given: &'a Given,
    /// Grammar and order of the versions.
    pub scheme: Scheme,
    /// The digest that stands beside the version.
    pub digest: Option<&'a str>,
    /// What may be chosen.
    pub wish: &'a Wish,
}

/// What was chosen, and what a person should know about the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection<'a> {
    /// Whether there is something to do.
    pub outcome: Outcome,
    /// The version to move to; for [`Outcome::NotPinned`] the newest one outside the range or channel.
    pub target: Option<&'a Candidate>,
    /// The text of the target in the form in which Git writes the version.
    pub target_text: Option<String>,
    /// The published version that is installed, where it is listed.
    pub current: Option<&'a Candidate>,
    /// What is published after the current version, up to and with the target, oldest first. Pre-releases only
    /// where the target is one.
    pub between: Vec<&'a Candidate>,
    /// What kind of step it is to the target.
    pub update_type: UpdateType,
    /// What is wrong with the current version, the chart or the target.
    pub warnings: Vec<String>,
    /// Newer than the target, but not to be offered; newest first.
    pub skipped: Vec<Skipped<'a>>,
    /// Published versions that cannot be understood, or are of another form than the current one.
    pub not_comparable: usize,
}

/// Whether there is something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing newer may be installed.
    UpToDate,
    /// The target is newer.
    Update,
    /// Git does not say which version runs.
    NotPinned {
        /// What the range or channel gives now.
        resolves_to: Option<String>,
        /// In which way it is not pinned.
        reason: String,
    },
    /// It cannot be known.
    Unresolved {
        /// Why.
        reason: String,
    },
}

/// A newer version that is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped<'a> {
    /// The version.
    pub candidate: &'a Candidate,
    /// Why it is not offered.
    pub objection: Objection,
}

/// Chooses the target.
pub fn select<'a>(request: &Request<'_>, answer: &'a Answer) -> Selection<'a> {
    if answer.candidates.is_empty() {
        return Selection::without_target(Outcome::unresolved("the upstream lists no versions"));
    }
    if let (Some(channel), None) = (&request.wish.channel, &answer.channel_latest) {
        return Selection::without_target(Outcome::unresolved(format!(
            "the upstream does not say what the channel `{channel}` points at"
        )));
    }
    match request.given {
        Given::Exact(text) => select_exact(request, text, answer),
        Given::Range(text) => select_range(request, text, answer),
        Given::Channel(name) => select_channel(request, name, answer),
        Given::Nothing(reason) => Selection::without_target(Outcome::NotPinned {
            resolves_to: None,
            reason: format!("Git does not say which version runs ({reason})"),
        }),
    }
}

fn select_exact<'a>(request: &Request<'_>, text: &str, answer: &'a Answer) -> Selection<'a> {
    let prefix = request.wish.tag_prefix.as_deref();
    let bare = strip_prefix(text, prefix).unwrap_or(text);
    let Some(current) = request.scheme.parse(bare) else {
        return select_unreadable(request, text, answer);
    };
    let scheme = request.scheme;
    let reading = common_reading(scheme, bare, &current, answer, prefix);
    let Some(current) = reading.read(bare) else {
        return select_unreadable(request, text, answer);
    };
    let known = read_candidates(reading, prefix, answer, |version| version.comparable(&current));
    let Some(newest) = newest_release(&known) else {
        let count = answer.candidates.len();
        return Selection::without_target(Outcome::unresolved(format!(
            "none of the {count} published versions compares with `{text}`"
        )));
    };
    let listed = listed_as(&known, &current, bare);
    let mut selection = Selection::without_target(Outcome::UpToDate);
    selection.current = listed.map(|known| known.candidate);
    selection.not_comparable = answer.candidates.len() - known.len();
    warn_about_current(&mut selection, text, &current, &known, newest, answer);
    warn_about_deprecation(&mut selection, newest);
    let judge = judge(
        request.wish,
        reading,
        Some(&current),
        request.wish.prereleases,
        answer.channel_latest.as_deref(),
        &mut selection,
    );
    let newer: Vec<_> = known.iter().filter(|known| is_newer(known, &current, listed)).collect();
    if let Some(target) = choose(newer, &judge, &mut selection) {
        selection.outcome = Outcome::Update;
        selection.update_type = current.update_type(&target.version);
        let listed_text = selection.current.map(|candidate| candidate.version.as_str());
        selection.target_text =
            Some(in_form_of(text, listed_text, &target.candidate.version, scheme, prefix));
        warn_about_dates(&mut selection, target.candidate);
    } else if selection.current.is_some_and(|listed| digest_moved(request.digest, listed)) {
        selection.offer_digest(text);
    }
    selection
}

/// A text that is no version: it can still be known whether the digest beside it moved.
fn select_unreadable<'a>(request: &Request<'_>, text: &str, answer: &'a Answer) -> Selection<'a> {
    let listed = answer.candidates.iter().find(|candidate| candidate.version == text);
    if let (Some(_), Some(listed)) = (request.digest, listed.filter(|listed| listed.digest.is_some())) {
        let mut selection = Selection::without_target(Outcome::UpToDate);
        selection.current = Some(listed);
        if digest_moved(request.digest, listed) {
            selection.offer_digest(text);
        }
        return selection;
    }
    let is_name = !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_digit());
    Selection::without_target(if request.scheme == Scheme::ImageTag && request.digest.is_none() && is_name {
        Outcome::NotPinned {
            resolves_to: None,
            reason: format!("Git does not say which version runs: the tag `{text}` moves"),
        }
    } else {
        Outcome::unresolved(format!("the version `{text}` cannot be understood"))
    })
}

fn select_range<'a>(request: &Request<'_>, text: &str, answer: &'a Answer) -> Selection<'a> {
    let range = match Range::parse(text) {
        Ok(range) => range,
        Err(error) => return Selection::without_target(Outcome::unresolved(error.to_string())),
    };
    let prefix = request.wish.tag_prefix.as_deref();
    let known = read_candidates(Reading::Plain(Scheme::Semver), prefix, answer, |version| {
        matches!(version, Version::Semantic(_))
    });
    let in_range =
        |known: &Known<'_>| strict_version(known.text).is_some_and(|version| range.matches(&version));
    // source-controller looks for the text itself before it reads it as a range.
    let resolved = known
        .iter()
        .find(|known| known.text == text)
        .or_else(|| known.iter().filter(|known| in_range(known)).max_by(|one, other| one.order(other)));
    let resolves_to = resolved.map(|known| known.candidate.version.clone());
    let reason = match &resolves_to {
        Some(_) => format!("the range `{text}` is resolved when Flux applies it"),
        None => format!("no published version matches the range `{text}`"),
    };
    let mut selection = Selection::without_target(Outcome::NotPinned { resolves_to, reason });
    selection.current = resolved.map(|known| known.candidate);
    selection.not_comparable = answer.candidates.len() - known.len();
    if let Some(resolved) = selection.current
        && let Some(reason) = &resolved.unusable
    {
        let version = &resolved.version;
        selection
            .warnings
            .push(format!("the range resolves to `{version}`, which cannot be installed: {reason}"));
    }
    if let Some(newest) = newest_release(&known) {
        warn_about_deprecation(&mut selection, newest);
    }
    let prereleases = request.wish.prereleases || range.names_prerelease();
    let current = resolved.map(|known| &known.version);
    let judge =
        judge(request.wish, Reading::Plain(Scheme::Semver), current, prereleases, None, &mut selection);
    let outside = |known: &&Known<'_>| {
        current.is_none_or(|current| known.version > *current) && !range.matches(&known.version.for_range())
    };
    offer_outside(&known, outside, current, &judge, &mut selection);
    selection
}

fn select_channel<'a>(request: &Request<'_>, name: &str, answer: &'a Answer) -> Selection<'a> {
    let Some(latest) = &answer.channel_latest else {
        return Selection::without_target(Outcome::unresolved(format!(
            "the upstream does not say what the channel `{name}` points at"
        )));
    };
    let Some(current) = request.scheme.parse(latest) else {
        return Selection::without_target(Outcome::unresolved(format!(
            "the channel `{name}` points at `{latest}`, which cannot be understood"
        )));
    };
    let prefix = request.wish.tag_prefix.as_deref();
    let known = read_candidates(Reading::Plain(request.scheme), prefix, answer, |version| {
        version.comparable(&current)
    });
    let mut selection = Selection::without_target(Outcome::NotPinned {
        resolves_to: Some(latest.clone()),
        reason: format!("the channel `{name}` is resolved in the cluster"),
    });
    selection.current = listed_as(&known, &current, latest).map(|known| known.candidate);
    selection.not_comparable = answer.candidates.len() - known.len();
    let prereleases = request.wish.prereleases;
    let judge = judge(
        request.wish,
        Reading::Plain(request.scheme),
        Some(&current),
        prereleases,
        None,
        &mut selection,
    );
    offer_outside(&known, |known| known.version > current, Some(&current), &judge, &mut selection);
    selection
}

/// Records the newest acceptable version that the range or channel does not give.
fn offer_outside<'a, 'k>(
    known: &'k [Known<'a>],
    outside: impl Fn(&&'k Known<'a>) -> bool,
    current: Option<&Version>,
    judge: &Judge<'_>,
    selection: &mut Selection<'a>,
) {
    let newer = known.iter().filter(outside).collect();
    if let Some(target) = choose(newer, judge, selection) {
        selection.target_text = Some(target.candidate.version.clone());
        selection.update_type =
            current.map_or(UpdateType::Unknown, |current| current.update_type(&target.version));
    }
}

fn judge<'a>(
    wish: &'a Wish,
    reading: Reading,
    current: Option<&'a Version>,
    prereleases: bool,
    channel_latest: Option<&str>,
    selection: &mut Selection<'_>,
) -> Judge<'a> {
    let minimum = wish.minimum_version.as_deref().and_then(|text| {
        let minimum = reading.read(strip_prefix(text, wish.tag_prefix.as_deref()).unwrap_or(text));
        if minimum.is_none() {
            selection
                .warnings
                .push(format!("the minimum version `{text}` cannot be understood and was not applied"));
        }
        minimum
    });
    let is_marked = selection.current.is_some_and(|listed| listed.prerelease == Some(true));
    let installed_prerelease = current.filter(|current| is_marked || current.is_prerelease());
    let channel_latest = channel_latest.and_then(|text| reading.read(text));
    Judge { reading, wish, installed_prerelease, minimum, prereleases, channel_latest }
}

/// Takes the highest version without an objection, and records what lies on the way and above.
fn choose<'k, 'a>(
    mut newer: Vec<&'k Known<'a>>,
    judge: &Judge<'_>,
    selection: &mut Selection<'a>,
) -> Option<&'k Known<'a>> {
    newer.sort_by(|one, other| one.order(other));
    let place = newer.iter().rposition(|known| {
        let objection = judge.objection(&known.version, known.text, known.candidate);
        selection
            .skipped
            .extend(objection.clone().map(|objection| Skipped { candidate: known.candidate, objection }));
        objection.is_none()
    });
    let defect = selection.skipped.iter().find(|skipped| skipped.objection.is_defect());
    if let Some(Skipped { candidate, objection }) = defect {
        selection.warnings.push(format!("the newer `{}` {objection}", candidate.version));
    }
    let target = newer[place?];
    let wants_prerelease = is_prerelease(&target.version, target.candidate);
    selection.target = Some(target.candidate);
    selection.between = newer[..=place?]
        .iter()
        .filter(|known| wants_prerelease || !is_prerelease(&known.version, known.candidate))
        .map(|known| known.candidate)
        .collect();
    Some(target)
}

/// Whether the upstream has another digest for the tag; `false` where it does not say.
fn digest_moved(digest: Option<&str>, listed: &Candidate) -> bool {
    let plain = |text: &str| text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    match (digest, &listed.digest) {
        (Some(pinned), Some(published)) => plain(pinned) != plain(published),
        _ => false,
    }
}

impl Outcome {
    fn unresolved(reason: impl Into<String>) -> Self {
        Self::Unresolved { reason: reason.into() }
    }
}

impl Selection<'_> {
    fn without_target(outcome: Outcome) -> Self {
        Self {
            outcome,
            target: None,
            target_text: None,
            current: None,
            between: Vec::new(),
            update_type: UpdateType::None,
            warnings: Vec::new(),
            skipped: Vec::new(),
            not_comparable: 0,
        }
    }

    /// The target is the current version itself, with another digest.
    fn offer_digest(&mut self, text: &str) {
        self.outcome = Outcome::Update;
        self.update_type = UpdateType::Digest;
        self.target = self.current;
        self.target_text = Some(text.to_owned());
    }
}

#[cfg(test)]
mod tests;
