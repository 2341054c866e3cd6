//! k3s release channels: what a channel points at now.
//!
//! A channel server answers in two ways: a list of all channels as JSON, and for each channel a
//! redirect to the page of its release, which is what system-upgrade-controller follows
//! (rancher/channelserver; rancher/system-upgrade-controller, `pkg/upgrade/plan`). The list is
//! asked first because it can be stored and mirrored.

use serde::Deserialize;
use url::Url;

use super::failure::{not_found, permanent};
use super::http::{Get, Http};
use super::mapping::decoded;
use super::redact::{redact, redact_text};
use crate::domain::upstream::{FailureClass, K3S_CHANNELS as CHANNELS, UpstreamFailure};

/// The list has a few kilobytes.
const LARGEST_LIST: u64 = 1024 * 1024;
/// Versions are short; anything longer is not one.
const LONGEST_VERSION: usize = 128;

#[derive(Deserialize)]
struct Channels {
    data: Vec<Channel>,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
    #[serde(default)]
    latest: Option<String>,
}

/// What `channel` points at: a channel URL of any server, or the bare name of one of k3s' own.
///
/// `None` where the server has the channel and says that nothing is in it.
///
/// # Errors
/// The server cannot be asked, has no such channel, or answers with something else.
pub async fn channel(http: &Http, channel: &str) -> Result<Option<String>, UpstreamFailure> {
    let url = channel_url(channel)?;
    if let Some((list, id)) = list_of(&url) {
        match listed(http, &list, &id).await {
            Ok(Some(latest)) => return Ok(latest),
            Ok(None) => {}
            // A server may have only the redirects.
            Err(failure) if matches!(failure.class, FailureClass::NotFound | FailureClass::Permanent) => {}
            Err(failure) => return Err(failure),
        }
    }
    redirected(http, &url).await
}

fn channel_url(channel: &str) -> Result<Url, UpstreamFailure> {
    let refused = || {
        permanent(format!("`{}` is not a release channel: neither a URL nor a name", redact_text(channel)))
    };
    let channel = channel.trim();
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    if !channel.is_empty() && channel.chars().all(plain) {
        return Url::parse(&format!("{CHANNELS}/{channel}")).map_err(|_| refused());
    }
    Url::parse(channel).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(refused)
}

/// The list that a channel's URL belongs to, and the channel's id there.
fn list_of(url: &Url) -> Option<(Url, String)> {
    let (list, id) = url.path().trim_end_matches('/').rsplit_once('/')?;
    if !list.ends_with("/channels") || id.is_empty() {
        return None;
    }
    let id = decoded(id)?;
    let mut all = url.clone();
    all.set_path(list);
    Some((all, id))
}

/// What the list says; the outer `None` where it does not have the channel.
async fn listed(http: &Http, list: &Url, id: &str) -> Result<Option<Option<String>>, UpstreamFailure> {
    let get = Get { accept: Some("application/json"), ..Get::new(list, LARGEST_LIST) };
    let got = http.get(get).await?;
    let body = got
        .body
        .bytes(LARGEST_LIST)
        .map_err(|cause| permanent(format!("cannot read `{}`: {cause}", redact(list))))?;
    let channels: Channels = serde_json::from_slice(&body)
        .map_err(|cause| permanent(format!("`{}` is not a list of channels: {cause}", redact(list))))?;
    match channels.data.into_iter().find(|channel| channel.id == id) {
        None => Ok(None),
        Some(Channel { latest, .. }) => latest
            .filter(|latest| !latest.is_empty())
            .map(|latest| version(list, &latest))
            .transpose()
            .map(Some),
    }
}

/// Where the channel's own URL redirects to, which is not followed.
async fn redirected(http: &Http, url: &Url) -> Result<Option<String>, UpstreamFailure> {
    let got = http.get_unfollowed(Get::new(url, LARGEST_LIST)).await?;
    let shown = redact(url);
    if got.status == 200 {
        let body = got.body.bytes(LARGEST_LIST).unwrap_or_default();
        return match serde_json::from_slice::<Channel>(&body) {
            Ok(Channel { latest: Some(latest), .. }) if !latest.is_empty() => version(url, &latest).map(Some),
            Ok(_) => Ok(None),
            // system-upgrade-controller would take the channel's name for a version here.
            Err(_) => {
                Err(permanent(format!("`{shown}` answered neither with a redirect nor with a channel")))
            }
        };
    }
    let target = got
        .headers
        .get(reqwest::header::LOCATION)
        .and_then(|location| url.join(location.to_str().ok()?).ok())
        .ok_or_else(|| {
            not_found(format!("`{shown}` answered {} without saying what it points at", got.status))
        })?;
    let last = target.path().rsplit('/').next().and_then(decoded).unwrap_or_default();
    version(url, &last).map(Some)
}

/// Refuses what cannot be a version, such as the name of a login page.
fn version(url: &Url, text: &str) -> Result<String, UpstreamFailure> {
    let digits = text.strip_prefix('v').unwrap_or(text);
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '+');
    if text.len() <= LONGEST_VERSION
        && digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.contains('.')
        && digits.chars().all(plain)
    {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().filter(|char| !char.is_control()).take(LONGEST_VERSION).collect();
    Err(permanent(format!("`{}` points at `{shown}`, which is not a version", redact(url))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_name_is_a_channel_of_k3s_and_other_words_are_refused() {
        for (given, url) in [
            ("stable", Some("https://update.k3s.io/v1-release/channels/stable")),
            ("v1.33", Some("https://update.k3s.io/v1-release/channels/v1.33")),
            ("https://channels.lan/x/channels/stable", Some("https://channels.lan/x/channels/stable")),
            ("", None),
            ("file:///etc/passwd", None),
            ("../stable", None),
        ] {
            assert_eq!(channel_url(given).ok().map(String::from).as_deref(), url, "{given}");
        }
    }

    #[test]
    fn list_is_found_only_above_a_channel() {
        let list = |url: &str| list_of(&Url::parse(url).unwrap()).map(|(list, id)| (list.to_string(), id));
        assert_eq!(
            list("https://update.k3s.io/v1-release/channels/v1.33-testing/"),
            Some(("https://update.k3s.io/v1-release/channels".to_owned(), "v1.33-testing".to_owned()))
        );
        assert_eq!(list("https://example.com/stable"), None);
        assert_eq!(list("https://example.com/channels"), None);
    }

    #[test]
    fn only_versions_are_taken_for_versions() {
        let url = Url::parse("https://update.k3s.io/x").unwrap();
        for (text, good) in [
            ("v1.33.4+k3s1", true),
            ("1.33.4", true),
            ("v1.36.1-rc1+k3s1", true),
            ("stable", false),
            ("login", false),
            ("v1", false),
            ("", false),
            ("v1.2<script>", false),
        ] {
            assert_eq!(version(&url, text).is_ok(), good, "{text}");
        }
    }
}
