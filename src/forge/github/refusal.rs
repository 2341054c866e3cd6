//! What it means when GitHub does not do what it was asked.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::app::forge::{ForgeError, ForgeErrorClass};
use crate::domain::duration::in_words;

/// GitHub asks to wait at least a minute where it names no time for a secondary limit
/// (GitHub docs, "Rate limits for the REST API").
const SECONDARY_WAIT: Duration = Duration::from_secs(60);
/// Most characters of the server's words that are repeated.
const WORDS_LIMIT: usize = 400;

/// What was asked, for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// `open a pull request for ``x`` in ``acme/home-ops`` `: what comes after "cannot".
    pub(super) doing: &'a str,
    /// `POST /repos/acme/home-ops/pulls`, without query.
    pub(super) request: &'a str,
    /// The permission that it takes, as GitHub's settings name it: `pull-requests: write`.
    pub(super) needs: &'static str,
    /// Host that was asked.
    pub(super) host: &'a str,
    /// The setting that gives a token for the host.
    pub(super) remedy: &'a str,
}

/// An answer that is no success, or none at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For who asked.
    pub(super) error: ForgeError,
    /// The status; `None` where nothing was answered.
    pub(super) status: Option<u16>,
    /// The server's words, redacted, on one line.
    pub(super) words: Box<str>,
    /// How long the server wants us to wait before anything else is asked.
    pub(super) wait: Option<Duration>,
}

impl From<Refusal> for ForgeError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Refusal {
    /// A failure that no status says more about.
    pub(super) fn of(error: ForgeError) -> Self {
        Self { error, status: None, words: Box::default(), wait: None }
    }

    /// Nothing came back, or not all of it.
    pub(super) fn unanswered(about: About<'_>, why: &str) -> Self {
        Self {
            error: ForgeError {
                class: ForgeErrorClass::Transient,
                message: format!("cannot {}: no answer from {}: {why}", about.doing, about.host),
                hint: None,
            },
            status: None,
            words: Box::default(),
            wait: None,
        }
    }

    /// Whether GitHub answered with this status and these words.
    pub(super) fn says(&self, status: u16, words: &str) -> bool {
        self.status == Some(status) && self.words.to_ascii_lowercase().contains(words)
    }

    /// Whether it may have been done all the same.
    pub(super) fn is_unclear(&self) -> bool {
        self.error.class == ForgeErrorClass::Transient
    }
}

/// An answer that is not what it should be.
pub(super) fn not_understood(about: About<'_>, what: &str) -> ForgeError {
    ForgeError {
        class: ForgeErrorClass::Permanent,
        message: format!(
            "cannot {}: the answer of {} to `{}` {what}",
            about.doing, about.host, about.request
        ),
        hint: None,
    }
}

/// What a status that is no success means (GitHub docs, "Troubleshooting the REST API"). `before` counts the
/// secondary limits met in a row, `hide` takes secrets out of the server's words.
pub(super) fn refusal(
    about: About<'_>,
    (status, headers, body): (StatusCode, &HeaderMap, &[u8]),
    now: Timestamp,
    before: u32,
    hide: impl Fn(&str) -> String,
) -> Refusal {
    let code = status.as_u16();
    let words = hide(&words(body));
    let lower = words.to_ascii_lowercase();
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    let message =
        format!("cannot {}: {} answered {code} to `{}`{said}", about.doing, about.host, about.request);
    let asked_wait = number(headers, "retry-after").map(Duration::from_secs);
    let mut wait = None;
    let slow_down = lower.contains("secondary rate limit")
        || lower.contains("abuse detection")
        || lower.contains("submitted too quickly");

    let (class, hint) = match code {
        403 | 429 if number(headers, "x-ratelimit-remaining") == Some(0) && !slow_down => {
            let reset = number(headers, "x-ratelimit-reset")
                .and_then(|seconds| Timestamp::from_second(i64::try_from(seconds).ok()?).ok());
            wait = Some(reset.map_or(SECONDARY_WAIT, |at| until(at, now)));
            let hint = match reset {
                Some(at) => format!("the requests of this token are used up until {at}; run again then"),
                None => "the requests of this token are used up; run again in an hour".to_owned(),
            };
            (ForgeErrorClass::RateLimited { reset }, Some(hint))
        }
        403 | 422 | 429 if code == 429 || slow_down || (code == 403 && asked_wait.is_some()) => {
            let growing = SECONDARY_WAIT.saturating_mul(1 << before.min(4));
            let pause = asked_wait.unwrap_or(growing);
            wait = Some(pause);
            let reset = SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_add(pause).ok());
            (
                ForgeErrorClass::RateLimited { reset },
                Some(format!("{} asks to slow down for {}", about.host, in_words(pause))),
            )
        }
        401 => (
            ForgeErrorClass::Denied { permission: None },
            Some(format!("the token is missing, expired, revoked or mistyped: {}", about.remedy)),
        ),
        403 => denied(about, headers, &lower),
        404 => (
            ForgeErrorClass::NotFound,
            Some(format!(
                "it is not there, or the token cannot see it or lacks `{}`",
                permission(about, headers)
            )),
        ),
        405 | 409 => (ForgeErrorClass::Conflict, None),
        410 if lower.contains("issues") => (
            ForgeErrorClass::Permanent,
            Some("turn on Issues in the settings of the repository, or turn off the dashboard".to_owned()),
        ),
        408 | 500..=599 => {
            wait = asked_wait;
            (ForgeErrorClass::Transient, None)
        }
        301 | 302 | 307 | 308 => (
            ForgeErrorClass::Permanent,
            Some("the repository has moved: correct its name in the remote or the configuration".to_owned()),
        ),
        _ => (ForgeErrorClass::Permanent, None),
    };
    Refusal { error: ForgeError { class, message, hint }, status: Some(code), words: words.into(), wait }
}

/// What a 403 that is no limit asks for.
fn denied(about: About<'_>, headers: &HeaderMap, words: &str) -> (ForgeErrorClass, Option<String>) {
    if words.contains("not permitted to create or approve pull requests") {
        let hint = "allow GitHub Actions to create pull requests (Settings, Actions, General), or use the token of a \
                    GitHub App";
        return (ForgeErrorClass::Denied { permission: None }, Some(hint.to_owned()));
    }
    if words.contains("archived") {
        let hint = "the repository is archived: nothing can be proposed in it";
        return (ForgeErrorClass::Permanent, Some(hint.to_owned()));
    }
    if headers.contains_key("x-github-sso") || words.contains("saml") {
        let hint = "authorize the token for the single sign-on of the organization";
        return (ForgeErrorClass::Denied { permission: None }, Some(hint.to_owned()));
    }
    let permission = if words.contains("workflow") && words.contains("permission") {
        "workflows: write".to_owned()
    } else {
        permission(about, headers)
    };
    let hint = format!("the token needs `{permission}`");
    (ForgeErrorClass::Denied { permission: Some(permission) }, Some(hint))
}

/// The permission that GitHub says is needed, else the one that we know of.
///
/// The header has alternatives between `;`, each of them `name=level` between `,`
/// (GitHub docs, "Permissions required for fine-grained personal access tokens").
fn permission(about: About<'_>, headers: &HeaderMap) -> String {
    let named = headers
        .get("x-accepted-github-permissions")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').map(str::trim).find(|text| !text.is_empty()))
        .filter(|text| {
            text.len() <= 200
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=, ".contains(&byte))
        });
    named.map_or_else(
        || about.needs.to_owned(),
        |text| {
            let each = text.split(',').map(|one| one.trim().replace('_', "-").replace('=', ": "));
            each.collect::<Vec<_>>().join(", ")
        },
    )
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
    /// A list of objects or texts; a text or an object at some places.
    #[serde(default)]
    errors: serde_json::Value,
}

/// The server's message and its `errors`, on one line.
fn words(body: &[u8]) -> String {
    let Ok(said) = serde_json::from_slice::<Said>(body) else { return String::new() };
    let errors = match &said.errors {
        serde_json::Value::Array(errors) => errors.iter().take(5).filter_map(one_error).collect(),
        other => one_error(other).into_iter().collect::<Vec<_>>(),
    };
    let parts: Vec<String> =
        std::iter::once(said.message).chain(errors).filter(|part| !part.trim().is_empty()).collect();
    plain(&parts.join("; "))
}

fn one_error(error: &serde_json::Value) -> Option<String> {
    if let Some(text) = error.as_str() {
        return Some(text.to_owned());
    }
    let field = |name| error.get(name).and_then(serde_json::Value::as_str);
    match (field("message"), field("field"), field("code")) {
        (Some(message), ..) => Some(message.to_owned()),
        (None, Some(name), Some(code)) => Some(format!("`{name}` is {}", code.replace('_', " "))),
        (None, None, Some(code)) => Some(code.replace('_', " ")),
        _ => None,
    }
}

/// On one line, without control characters, and not longer than a message may be.
pub(super) fn plain(text: &str) -> String {
    let clean: String =
        text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let joined = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    let joined = joined.trim_end_matches('.');
    match joined.char_indices().nth(WORDS_LIMIT) {
        Some((end, _)) => format!("{}…", &joined[..end]),
        None => joined.to_owned(),
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
