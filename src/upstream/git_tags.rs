//! Tags of Git repositories anywhere, by listing the refs of the remote through gix.
//!
//! Nothing is fetched. No helper is run and nobody is prompted: credentials are the configured ones of
//! exactly the host that asks for them. A repository that the configuration maps to a local folder is
//! read there.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::bstr::{BString, ByteSlice as _};
use gix::protocol::credentials::helper::Action;
use gix::protocol::credentials::protocol::Outcome;
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::TransportWithoutIO as _;
use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http as GitHttp, Options, PostBodyDataKind, PostResponse, connect_http, reqwest as backend,
};
use gix::protocol::{LsRefsCommand, handshake};
use secrecy::ExposeSecret as _;
use url::Url;

use super::context::{Context, GitOptions};
use super::credentials::{Credential, Credentials};
use super::failure::{denied, failure, not_found, permanent, transient};
use super::http::{Http, OFFLINE};
use super::mapping::Resolved;
use super::redact::{redact, redact_text};
use super::retry::{self, Again, Refused};
use crate::domain::upstream::{Answer, Candidate, FailureClass, UpstreamFailure};

const PREFIX: &str = "refs/tags/";
/// What listings are kept as.
const KEPT_AS: &str = "git tags";
/// Most bytes of one answer; 100,000 tags take about 8 MB.
const ANSWER_LIMIT: u64 = 32 << 20;
/// Most tags of one repository; the rest is cut off and noted.
const MOST_TAGS: usize = 50_000;
/// Longest tag that can be a version.
const TAG_LIMIT: usize = 256;

/// The tags of the repository at `url`, an http or https clone URL.
///
/// Git keeps no date that could be listed, so there is none. A remote answers no conditional requests, so
/// what is kept of a listing serves only while it is young enough, with `--offline`, and when nobody answers.
///
/// # Errors
///
/// [`FailureClass::Permanent`] for other schemes (`ssh`, `git`, `file`), [`FailureClass::Offline`] with
/// `--offline`, [`FailureClass::Denied`], [`FailureClass::NotFound`] and [`FailureClass::Transient`] as
/// the server answers.
pub async fn tags(context: &Context, url: &str) -> Result<Answer, UpstreamFailure> {
    let shown = redact_text(url);
    let parsed = Url::parse(url).map_err(|_| refused_scheme(&shown))?;
    match context.http.mapping().resolve(&parsed) {
        Resolved::File(folder) => {
            let listed = blocking(&shown, move |shown| local_tags(&folder, shown).map_err(Refused::for_good));
            let listed = async { listed.await.map_err(|refused| refused.failure) };
            within(context.git.timeout, &shown, listed).await
        }
        Resolved::Url(target) => {
            if !matches!(target.scheme(), "http" | "https") {
                return Err(refused_scheme(&shown));
            }
            let kept = kept_tags(&context.http, &target);
            if context.http.offline() {
                let old = |(kept, _)| Answer { stale: Some(OFFLINE.to_owned()), ..kept };
                return kept.map(old).ok_or_else(|| {
                    let told =
                        "are not in the cache, and `--offline` forbids to ask for them; run once without it";
                    failure(FailureClass::Offline, format!("tags of `{shown}` {told}"))
                });
            }
            match kept {
                Some((kept, age)) if age < context.http.fresh_for() => {
                    return Ok(kept);
                }
                _ => {}
            }
            let asked = ask(context, &target, &shown);
            match (within(context.git.timeout, &shown, asked).await, kept) {
                (Err(failed), Some((kept, _)))
                    if matches!(failed.class, FailureClass::Transient | FailureClass::RateLimited { .. }) =>
                {
                    tracing::warn!(url = %shown, reason = %failed, "answer from the cache could not be checked");
                    Ok(Answer { stale: Some(failed.message), ..kept })
                }
                (answer, _) => answer,
            }
        }
    }
}

/// Asks the remote, at the address as it is and, where there is nothing, with `.git` behind it: the manifests'
/// addresses were made alike, and not every server serves both.
async fn ask(context: &Context, target: &Url, shown: &str) -> Result<Answer, UpstreamFailure> {
    let answer = match ask_at(context, target.clone(), shown).await {
        Err(failed) if failed.class == FailureClass::NotFound && !target.path().ends_with(".git") => {
            let mut other = target.clone();
            other.set_path(&format!("{}.git", target.path().trim_end_matches('/')));
            ask_at(context, other, shown).await.map_err(|_| failed)?
        }
        answer => answer?,
    };
    let tags: Vec<&str> = answer.candidates.iter().map(|candidate| candidate.version.as_str()).collect();
    context.http.remember(target, KEPT_AS, tags.join("\n").into_bytes());
    Ok(answer)
}

async fn ask_at(context: &Context, target: Url, shown: &str) -> Result<Answer, UpstreamFailure> {
    let (http, url) = (&context.http, &target);
    let attempt = || {
        let (target, options, credentials) =
            (target.clone(), context.git.clone(), http.credentials().clone());
        blocking(shown, move |_| remote_tags(target, &credentials, &options))
    };
    retry::run(http, url, http.retry(), attempt).await
}

/// The listing of an earlier run, and how old it is.
fn kept_tags(http: &Http, target: &Url) -> Option<(Answer, Duration)> {
    let kept = http.kept(target, KEPT_AS, ANSWER_LIMIT)?;
    let text = std::str::from_utf8(&kept.bytes).ok()?;
    let candidates =
        text.lines().map(|tag| Candidate { version: tag.to_owned(), ..Candidate::default() }).collect();
    Some((Answer { candidates, ..Answer::default() }, kept.age))
}

fn refused_scheme(shown: &str) -> UpstreamFailure {
    permanent(format!(
        "cannot list the tags of `{shown}`: only http and https remotes are asked; map its base URL to one in \
         `upstreams.map`"
    ))
}

/// Runs `work` where it may block. Where nobody waits for it any more, its thread ends by the client's
/// own time-outs.
async fn blocking(
    shown: &str,
    work: impl FnOnce(&str) -> Result<Answer, Refused> + Send + 'static,
) -> Result<Answer, Refused> {
    let owned = shown.to_owned();
    tokio::task::spawn_blocking(move || work(&owned)).await.unwrap_or_else(|_| {
        let told = format!("cannot list the tags of `{shown}`: the listing was given up");
        Err(Refused::for_good(permanent(told)))
    })
}

async fn within(
    timeout: Duration,
    shown: &str,
    asked: impl Future<Output = Result<Answer, UpstreamFailure>>,
) -> Result<Answer, UpstreamFailure> {
    tokio::time::timeout(timeout, asked).await.unwrap_or_else(|_| {
        Err(transient(format!("cannot list the tags of `{shown}`: no answer within {timeout:?}")))
    })
}

fn remote_tags(mut target: Url, credentials: &Credentials, options: &GitOptions) -> Result<Answer, Refused> {
    // A user in the URL would otherwise be sent before anybody asks.
    if target.set_username("").is_err() || target.set_password(None).is_err() {
        return Err(Refused::for_good(refused_scheme(&redact(&target))));
    }
    let shown = redact(&target);
    let unusable =
        |why: &str| Refused::for_good(permanent(format!("cannot list the tags of `{shown}`: {why}")));
    let git_url = gix::url::parse(target.as_str()).map_err(|_| unusable("Git cannot read that URL"))?;
    let mut transport =
        connect_http(Bounded { inner: backend::Remote::default() }, git_url, Protocol::V2, false);
    let timeouts = (options.timeout, options.connect_timeout);
    let client = backend::Options {
        configure_client: Some(Box::new(move |builder| {
            Ok(builder.timeout(timeouts.0).connect_timeout(timeouts.1))
        })),
        configure_request: None,
    };
    transport
        .configure(&Options { backend: Some(Arc::new(Mutex::new(client))), ..Options::default() })
        .map_err(|_| unusable("the client cannot be set up"))?;

    let mut asked_for_credentials = None;
    let mut progress = gix::progress::Discard;
    let shaken = handshake(
        &mut transport,
        gix::protocol::transport::Service::UploadPack,
        |action| {
            let outcome = answer_for(&action, credentials);
            if let Action::Get(_) = action {
                asked_for_credentials = Some(outcome.is_some());
            }
            Ok(outcome)
        },
        Vec::new(),
        &mut progress,
    );
    let judge = |error: &gix::Error, asked: Option<bool>| {
        // The chain ends in gix's own type; what reqwest said is only in its text.
        let unconnected = asked.is_none() && format!("{error:?}").contains("Error(Connect,");
        let failure = judge(error, asked, &target);
        // gix keeps the headers of a refusal to itself, so what the server wishes is not known.
        let passes = matches!(failure.class, FailureClass::Transient | FailureClass::RateLimited { .. });
        Refused {
            failure,
            again: if passes { Again::Soon } else { Again::Never },
            unconnected: unconnected.then(|| "no connection".to_owned()),
        }
    };
    let shaken = shaken.map_err(|error| judge(&error, asked_for_credentials))?;
    let refs = match shaken.refs {
        // Old servers list everything with the first answer.
        Some(refs) => refs,
        None => {
            let mut prefixes = RefPrefixes::new();
            prefixes.extend([BString::from(PREFIX)]);
            let agent = ("agent", Some(concat!("gitops-updater/", env!("CARGO_PKG_VERSION")).into()));
            LsRefsCommand::new(Some(prefixes), &shaken.capabilities, agent)
                .invoke_blocking(&mut transport, &mut progress, false)
                .map_err(|error| judge(&error, asked_for_credentials))?
        }
    };
    Ok(answer(refs.iter().map(ref_name)))
}

/// The configured credentials of exactly the host that asks, which after a redirect is another one.
fn answer_for(action: &Action, credentials: &Credentials) -> Option<Outcome> {
    let Action::Get(asked) = action else { return None };
    let url = Url::parse(asked.url.as_ref()?.to_str().ok()?).ok()?;
    let (username, password) = match credentials.for_url(&url)? {
        Credential::Basic { username, password } => (username.clone(), password),
        // Forges take a token as the password of any user.
        Credential::Bearer(token) => ("token".to_owned(), token),
    };
    Some(Outcome {
        identity: gix::sec::identity::Account {
            username,
            password: password.expose_secret().to_owned(),
            oauth_refresh_token: None,
        },
        next: asked.clone().into(),
    })
}

/// What gix's failure means. Its text may hold what the server said, so it is matched and not repeated.
fn judge(error: &gix::Error, asked_for_credentials: Option<bool>, target: &Url) -> UpstreamFailure {
    if let Some(had) = asked_for_credentials {
        return denied(target, 401, had);
    }
    let shown = redact(target);
    let text = format!("{error:?}");
    let status =
        text.split("Received HTTP status ").nth(1).and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
    match status {
        Some(403) => denied(target, 403, false),
        Some(404 | 410) => {
            not_found(format!("cannot list the tags of `{shown}`: there is no such repository"))
        }
        Some(429) => failure(
            FailureClass::RateLimited { reset: None },
            format!("cannot list the tags of `{shown}`: too many requests"),
        ),
        Some(code @ (408 | 500..=599)) => {
            transient(format!("cannot list the tags of `{shown}`: it answered {code}"))
        }
        Some(code) => permanent(format!("cannot list the tags of `{shown}`: it answered {code}")),
        None if text.contains("'smart' protocol") => {
            permanent(format!("cannot list the tags of `{shown}`: that is no Git repository"))
        }
        None => transient(format!("cannot list the tags of `{shown}`: the connection or the answer failed")),
    }
}

fn ref_name(reference: &Ref) -> &BString {
    match reference {
        Ref::Peeled { full_ref_name, .. }
        | Ref::Direct { full_ref_name, .. }
        | Ref::Symbolic { full_ref_name, .. }
        | Ref::Unborn { full_ref_name, .. } => full_ref_name,
    }
}

/// The tags of a repository in a folder that the configuration names.
fn local_tags(folder: &Path, shown: &str) -> Result<Answer, UpstreamFailure> {
    let place = format!("`{shown}`, mapped to `{}`", folder.display());
    let repository = gix::open_opts(folder, gix::open::Options::isolated())
        .map_err(|_| not_found(format!("cannot list the tags of {place}: there is no Git repository")))?;
    let unreadable = || permanent(format!("cannot list the tags of {place}: its refs cannot be read"));
    let references = repository.references().map_err(|_| unreadable())?;
    let tags = references.prefixed(PREFIX).map_err(|_| unreadable())?;
    let mut broken = 0;
    let names: Vec<BString> = tags
        .filter_map(|tag| match tag {
            Ok(tag) => Some(tag.name().as_bstr().to_owned()),
            Err(_) => {
                broken += 1;
                None
            }
        })
        .collect();
    let mut answer = answer(names.iter());
    if broken > 0 {
        answer.notes.push(format!("{broken} tags could not be read and were left out"));
    }
    Ok(answer)
}

fn answer<'a>(names: impl Iterator<Item = &'a BString>) -> Answer {
    let mut answer = Answer::default();
    for name in names {
        let tag = name.to_str().ok().and_then(|name| name.strip_prefix(PREFIX));
        let Some(tag) = tag.filter(|tag| !tag.is_empty() && tag.len() <= TAG_LIMIT && !tag.ends_with("^{}"))
        else {
            continue;
        };
        if answer.candidates.len() == MOST_TAGS {
            answer.notes.push(format!("the list of tags was cut off after {MOST_TAGS} tags"));
            break;
        }
        answer.candidates.push(Candidate { version: tag.to_owned(), ..Candidate::default() });
    }
    answer
}

/// gix's own HTTP backend with a bound on every answer.
struct Bounded {
    inner: backend::Remote,
}

type Inner = backend::Remote;
type Limited<R> = std::io::Take<R>;

impl GitHttp for Bounded {
    type Headers = <Inner as GitHttp>::Headers;
    type ResponseBody = Limited<<Inner as GitHttp>::ResponseBody>;
    type PostBody = <Inner as GitHttp>::PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<GetResponse<Self::Headers, Self::ResponseBody>, gix::Error> {
        use std::io::Read as _;
        let GetResponse { headers, body } = self.inner.get(url, base_url, headers)?;
        Ok(GetResponse { headers, body: body.take(ANSWER_LIMIT) })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        kind: PostBodyDataKind,
    ) -> Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>, gix::Error> {
        use std::io::Read as _;
        let PostResponse { post_body, headers, body } = self.inner.post(url, base_url, headers, kind)?;
        Ok(PostResponse { post_body, headers, body: body.take(ANSWER_LIMIT) })
    }

    fn configure(&mut self, config: &dyn std::any::Any) -> Result<(), gix::Error> {
        self.inner.configure(config)
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.inner.redirected_base_url()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(url: &str) -> Action {
        Action::get_for_url(url)
    }

    #[test]
    fn credentials_answer_only_the_host_they_are_for() {
        let mut credentials = Credentials::new();
        credentials.add("git.example.com", Credential::Bearer("secret".to_owned().into())).unwrap();
        let found = answer_for(&asked("https://git.example.com/a/b"), &credentials).unwrap();
        assert_eq!(found.identity.username, "token");
        assert_eq!(found.identity.password, "secret");
        for other in [
            "https://evil.example/a/b",
            "http://git.example.com/a/b",
            "https://git.example.com:8443/a/b",
            "not a url",
        ] {
            assert!(answer_for(&asked(other), &credentials).is_none(), "{other}");
        }
        assert!(
            answer_for(&Action::Store("url=https://git.example.com/a/b\n".into()), &credentials).is_none()
        );
    }

    #[test]
    fn only_tags_with_a_name_of_sane_length_are_candidates() {
        let names = [
            "refs/tags/v1.0.0",
            "refs/tags/v1.0.0^{}",
            "refs/heads/main",
            "refs/tags/",
            "HEAD",
            "refs/tags/charts/app-1.2.3",
        ]
        .map(BString::from);
        let long = BString::from(format!("{PREFIX}{}", "a".repeat(TAG_LIMIT + 1)));
        let broken = BString::from(b"refs/tags/\xff".to_vec());
        let answer = answer(names.iter().chain([&long, &broken]));
        let versions: Vec<_> = answer.candidates.iter().map(|candidate| candidate.version.as_str()).collect();
        assert_eq!(versions, ["v1.0.0", "charts/app-1.2.3"]);
    }

    #[test]
    fn too_many_tags_are_cut_off_with_a_note() {
        let names: Vec<BString> = (0..=MOST_TAGS).map(|i| format!("{PREFIX}v{i}").into()).collect();
        let answer = answer(names.iter());
        assert_eq!(answer.candidates.len(), MOST_TAGS);
        assert_eq!(answer.notes, ["the list of tags was cut off after 50000 tags"]);
    }
}
