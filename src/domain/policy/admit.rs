//! Whether a step may be taken at all, whatever the hour: what cannot be judged is held.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Admission, Applied, BUILT_IN, ComponentPolicy, Considered, Hold};
use crate::domain::component::UpdateType;
use crate::domain::duration::in_words;
use crate::domain::plan::Approval;
use crate::domain::select::{step_type, strip_prefix};
use crate::domain::state::Quarantined;
use crate::domain::version::{Scheme, Version};

/// What policy says about a step.
///
/// Held: what is no upgrade, what cannot be read or compared, what cannot be installed as published, the gate `skip`,
/// what is denied or not allowed, and what is too young or of unknown age where an age is demanded. Otherwise the
/// gate of its kind of step says who approves it; a deprecated version is proposed only when a person asks.
pub fn admit(policy: &ComponentPolicy, step: &Considered<'_>, now: Timestamp) -> Admission {
    match judge(policy, step, now) {
        Ok((approval, reasons)) => {
            Admission::Allow { approval: approval.value, policy_applied: approval.by, reasons }
        }
        Err(hold) => Admission::Hold(hold),
    }
}

fn judge(
    policy: &ComponentPolicy,
    step: &Considered<'_>,
    now: Timestamp,
) -> Result<(Applied<Approval>, Vec<String>), Hold> {
    let candidate = step.candidate;
    let kind = kind_of(step)?;
    if let Some(reason) = &candidate.unusable {
        return Err(hold("unusable", format!("cannot be installed as published: {reason}"), BUILT_IN));
    }
    let mut reasons = vec![];
    let approval = approval(policy, step, kind, &mut reasons)?;
    if kind != UpdateType::Digest {
        let text = bare(step, &candidate.version);
        let version = readable(step.scheme, text, &candidate.version)?;
        versions(policy, step.scheme, text, &version, &mut reasons)?;
    }
    age(&policy.minimum_release_age, kind, candidate.released_at, now, &mut reasons)?;
    Ok((approval, reasons))
}

/// What keeps a version from being taken that was declined or reverted: that one, and older patches of it, which lack
/// what it brought.
pub fn quarantined(step: &Considered<'_>, entries: &[Quarantined]) -> Option<Hold> {
    let of_it = |text: &str| {
        let (to, entry) = (bare(step, &step.candidate.version), bare(step, text));
        let is_as_old = || {
            let (Some(to), Some(entry)) = (step.scheme.parse(to), step.scheme.parse(entry)) else {
                return false;
            };
            let is_patch = matches!(to.update_type(&entry), UpdateType::Patch | UpdateType::Build);
            to == entry || to.comparable(&entry) && to < entry && is_patch
        };
        to == entry || is_as_old()
    };
    let found = entries.iter().find(|entry| entry.component == step.component && of_it(&entry.version))?;
    let reason = format!("{} is in quarantine since {}: {}", found.version, found.since, found.reason);
    Some(hold("quarantine", reason, found.update_id.as_deref().unwrap_or("quarantine")))
}

/// What kind of step it is. A candidate of the same text with a digest is that digest.
fn kind_of(step: &Considered<'_>) -> Result<UpdateType, Hold> {
    let (from, to) = (step.from, step.candidate.version.as_str());
    if bare(step, from) == bare(step, to) {
        return match &step.candidate.digest {
            Some(_) => Ok(UpdateType::Digest),
            None => Err(hold("not_an_upgrade", format!("`{to}` is what is installed"), BUILT_IN)),
        };
    }
    for text in [from, to] {
        readable(step.scheme, bare(step, text), text)?;
    }
    match step_type(step.scheme, step.tag_prefix, from, to) {
        UpdateType::None => {
            Err(hold("not_an_upgrade", format!("`{to}` is not newer than `{from}`"), BUILT_IN))
        }
        UpdateType::Unknown | UpdateType::Digest => Err(unknown(step)),
        // Marked by its publisher, whatever its text looks like.
        _ if step.candidate.prerelease == Some(true) => Ok(UpdateType::Prerelease),
        kind => Ok(kind),
    }
}

fn unknown(step: &Considered<'_>) -> Hold {
    let (from, to) = (step.from, &step.candidate.version);
    hold("unknown", format!("what kind of step it is from `{from}` to `{to}` cannot be said"), BUILT_IN)
}

/// The gate: of what the step is, and of what the caller takes it for, the stricter.
fn approval(
    policy: &ComponentPolicy,
    step: &Considered<'_>,
    kind: UpdateType,
    reasons: &mut Vec<String>,
) -> Result<Applied<Approval>, Hold> {
    let own = policy.gates.of(kind).ok_or_else(|| unknown(step))?;
    let stated = match step.update_type {
        // Where only a digest moves, the texts say nothing.
        UpdateType::None | UpdateType::Unknown if kind == UpdateType::Digest => own,
        stated => policy.gates.of(stated).ok_or_else(|| unknown(step))?,
    };
    let (gate, kind) = if stated.value > own.value { (stated, step.update_type) } else { (own, kind) };
    let word = gate.value.as_str();
    if gate.value == Approval::Skip {
        let reason = format!("{} updates are not proposed", kind.as_str());
        return Err(hold("skip", reason, &gate.by));
    }
    reasons.push(format!("{} updates: `{word}` ({})", kind.as_str(), gate.by));
    if step.candidate.deprecated && gate.value < Approval::Manual {
        reasons.push("its publisher marks it as deprecated: look for what takes its place".to_owned());
        return Ok(Applied { value: Approval::Manual, by: BUILT_IN.to_owned() });
    }
    Ok(gate.clone())
}

fn versions(
    policy: &ComponentPolicy,
    scheme: Scheme,
    text: &str,
    version: &Version,
    reasons: &mut Vec<String>,
) -> Result<(), Hold> {
    if let Some(denied) = policy.denied.iter().find(|denied| denied.value.names(scheme, text, version)) {
        return Err(hold("denied", format!("denied by `{}`", denied.value), &denied.by));
    }
    for allowed in &policy.allowed {
        let range = &allowed.value;
        if !range.matches_with_prereleases(&version.for_range()) {
            return Err(hold("allowed", format!("outside the allowed versions `{range}`"), &allowed.by));
        }
        reasons.push(format!("within the allowed versions `{range}` ({})", allowed.by));
    }
    Ok(())
}

fn age(
    demanded: &Applied<Duration>,
    kind: UpdateType,
    released_at: Option<Timestamp>,
    now: Timestamp,
    reasons: &mut Vec<String>,
) -> Result<(), Hold> {
    if demanded.value.is_zero() {
        return Ok(());
    }
    let least = in_words(demanded.value);
    // The date is that of the version; when the tag was moved, nobody says.
    let Some(released_at) = released_at.filter(|_| kind != UpdateType::Digest) else {
        let reason = format!("its age is unknown, because it has no date; at least {least} is demanded");
        return Err(hold("release_age", reason, &demanded.by));
    };
    let old_enough =
        SignedDuration::try_from(demanded.value).ok().and_then(|age| released_at.checked_add(age).ok());
    if old_enough.is_none_or(|time| now < time) {
        let reason = format!("released at {released_at}; at least {least} is demanded");
        return Err(Hold { until: old_enough, ..hold("release_age", reason, &demanded.by) });
    }
    reasons.push(format!("released at {released_at}, at least {least} ago ({})", demanded.by));
    Ok(())
}

fn bare<'a>(step: &Considered<'_>, text: &'a str) -> &'a str {
    strip_prefix(text, step.tag_prefix).unwrap_or(text)
}

fn readable(scheme: Scheme, text: &str, shown: &str) -> Result<Version, Hold> {
    let wrong = || hold("unparsable", format!("the version `{shown}` cannot be understood"), BUILT_IN);
    scheme.parse(text).ok_or_else(wrong)
}

fn hold(gate: &'static str, reason: String, by: &str) -> Hold {
    Hold { gate, reason, policy_applied: by.to_owned(), until: None, is_asked_again: false }
}

#[cfg(test)]
mod tests;
