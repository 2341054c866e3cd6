//! Who we are to a registry: challenges, tokens, and who is told the credentials.
//!
//! The registry names the service that hands out tokens (its *realm*), often on another host, and
//! docker sends the registry's credentials there. So do we, because a registry that we reach over TLS
//! could as well ask for them itself. What we do not do: send them over plain HTTP where the registry
//! itself was asked over HTTPS, send credentials that are configured for another host, follow a
//! redirect of the realm, or write a token to disk.

use std::collections::HashMap;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::Repository;
use super::challenge::{Challenge, may_ask_realm, read_challenge};
use super::docker::{Login, docker_login};
use crate::domain::upstream::{FailureClass, UpstreamFailure};
use crate::upstream::credentials::Credential;
use crate::upstream::exchange::{small, unsent};
use crate::upstream::failure::{denied, failure, permanent};
use crate::upstream::http::{Get, Got};
use crate::upstream::mapping::Resolved;
use crate::upstream::redact::redact;
use crate::upstream::retry::{self, Refused};

/// Most bytes of a token's answer; tokens with many scopes reach some 10 KB.
const TOKEN_LIMIT: usize = 256 << 10;

/// What was learnt of registries in this run. Never written anywhere.
#[derive(Debug, Default)]
pub struct Tokens {
    /// By origin of the registry.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// By origin and repository: the whole `Authorization` header.
    headers: Mutex<HashMap<(String, String), SecretString>>,
    /// By registry: what docker's configuration has for it. The lock is held while a helper runs, so
    /// that it runs once.
    docker: Mutex<HashMap<String, Option<Login>>>,
}

impl Repository<'_> {
    /// Asks the registry, as nobody first, and then as it wants.
    pub(super) async fn get(
        &self,
        url: &Url,
        accept: Option<&str>,
        limit: u64,
    ) -> Result<Got, UpstreamFailure> {
        let http = &self.context.http;
        let asked = match http.mapping().resolve(url) {
            Resolved::Url(other) if other.origin() != url.origin() => other,
            // A file, or the registry itself: mapping comes out the same when the client does it.
            Resolved::Url(_) | Resolved::File(_) => url.clone(),
        };
        let mut authorization = self.known_header(&asked).await?;
        for is_last in [false, true] {
            let got = http
                .get(Get {
                    accept,
                    authorization: authorization.as_ref(),
                    anonymous: authorization.is_none(),
                    short_lived: authorization.is_some(),
                    challenge: true,
                    ..Get::new(&asked, limit)
                })
                .await?;
            if got.status != 401 {
                return Ok(got);
            }
            let challenge = read_challenge(&got.headers, &asked);
            let (Some(challenge), false) = (challenge, is_last) else {
                return Err(denied(&asked, 401, authorization.is_some()));
            };
            let origin = asked.origin().ascii_serialization();
            authorization = Some(self.authenticate(&challenge, &asked).await?);
            self.context.tokens.challenges.lock().await.insert(origin, challenge);
        }
        Err(denied(&asked, 401, true))
    }

    /// The header for this repository, where the registry's challenge is known from another one.
    async fn known_header(&self, asked: &Url) -> Result<Option<SecretString>, UpstreamFailure> {
        let origin = asked.origin().ascii_serialization();
        let key = (origin, self.path.to_owned());
        if let Some(header) = self.context.tokens.headers.lock().await.get(&key) {
            return Ok(Some(header.clone()));
        }
        let challenge = self.context.tokens.challenges.lock().await.get(&key.0).cloned();
        match challenge {
            Some(challenge) => self.authenticate(&challenge, asked).await.map(Some),
            None => Ok(None),
        }
    }

    /// A header that answers the challenge.
    async fn authenticate(
        &self,
        challenge: &Challenge,
        asked: &Url,
    ) -> Result<SecretString, UpstreamFailure> {
        let login = self.login(asked).await?;
        let header = match challenge {
            Challenge::Basic => match login {
                Some(Login::Header(header)) => header,
                Some(Login::Identity(_)) | None => return Err(denied(asked, 401, false)),
            },
            Challenge::Bearer { realm, service } => {
                self.token(realm, service.as_deref(), login, asked).await?
            }
        };
        let key = (asked.origin().ascii_serialization(), self.path.to_owned());
        self.context.tokens.headers.lock().await.insert(key, header.clone());
        Ok(header)
    }

    /// The credentials for the host that is really asked: configured ones first, then docker's. A
    /// mirror gets nothing that docker keeps for the registry it stands for.
    async fn login(&self, asked: &Url) -> Result<Option<Login>, UpstreamFailure> {
        if let Some(login) = self.configured_login(asked) {
            return Ok(Some(login));
        }
        let is_home = asked.origin() == self.base.origin();
        let Some(config) = self.context.oci.docker_config.clone().filter(|_| is_home && self.is_private())
        else {
            return Ok(None);
        };
        let mut known = self.context.tokens.docker.lock().await;
        if let Some(login) = known.get(self.registry) {
            return Ok(login.clone());
        }
        let helpers = self.context.oci.credential_helpers;
        let server = match self.registry {
            "docker.io" | "index.docker.io" => "https://index.docker.io/v1/".to_owned(),
            other => other.to_owned(),
        };
        let login = tokio::task::spawn_blocking(move || docker_login(&config, &server, helpers))
            .await
            .unwrap_or_else(|_| Err("reading it was given up".to_owned()))
            .map_err(|detail| {
                failure(
                    FailureClass::Denied,
                    format!("cannot read docker's credentials for `{}`: {detail}", self.registry),
                )
            })?;
        known.insert(self.registry.to_owned(), login.clone());
        Ok(login)
    }

    /// The credentials that are configured for the host of `url`.
    fn configured_login(&self, url: &Url) -> Option<Login> {
        Some(Login::Header(match self.context.http.credentials().for_url(url)? {
            // Token services take a token as a password of any user (GitHub docs, "Working with
            // the Container registry").
            Credential::Bearer(token) => {
                Credential::Basic { username: "token".to_owned(), password: token.clone() }.header()
            }
            basic @ Credential::Basic { .. } => basic.header(),
        }))
    }

    /// Whether credentials may be sent: nobody on the way reads them, or the user does not mind.
    fn is_private(&self) -> bool {
        self.base.scheme() == "https" || self.context.oci.credentials_by_http.contains(self.registry)
    }

    /// One token for pulling from this repository.
    ///
    /// Where the realm is mapped, the service that is really asked is a stranger to the registry: it gets what
    /// is configured for itself and not the registry's login.
    async fn token(
        &self,
        realm: &Url,
        service: Option<&str>,
        login: Option<Login>,
        asked: &Url,
    ) -> Result<SecretString, UpstreamFailure> {
        let http = &self.context.http;
        if http.offline() {
            return Err(failure(
                FailureClass::Offline,
                format!(
                    "`{}` is not in the cache, and `--offline` forbids to ask; run once without it",
                    self.shown
                ),
            ));
        }
        let Resolved::Url(target) = http.mapping().resolve(realm) else {
            return Err(permanent(format!("cannot log in to `{}`: it is mapped to a file", redact(realm))));
        };
        may_ask_realm(&target, asked).map_err(|why| {
            permanent(format!("cannot log in to `{}` for `{}`: {why}", redact(&target), self.shown))
        })?;
        let login = if target.origin() == realm.origin() { login } else { self.configured_login(&target) };
        let realm = target;
        let (realm, login) = (&realm, login.as_ref());
        let limit = http.timeout();
        let attempt = || async move {
            tokio::time::timeout(limit, self.ask_token(realm, service, login, asked)).await.unwrap_or_else(
                |_| Err(Refused::for_now(format!("`{}` gave no token within {limit:?}", redact(realm)))),
            )
        };
        retry::run(http, realm, http.retry(), attempt).await
    }

    async fn ask_token(
        &self,
        realm: &Url,
        service: Option<&str>,
        login: Option<&Login>,
        asked: &Url,
    ) -> Result<SecretString, Refused> {
        let http = &self.context.http;
        let shown = redact(realm);
        let scope = format!("repository:{}:pull", self.path);
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.map(|service| ("service", service)));
        let client = http.client().map_err(Refused::for_good)?;
        let request = match login {
            Some(Login::Identity(refresh)) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "gitops-updater"),
                    ("refresh_token", refresh.expose_secret()),
                ]);
                client.post(realm.clone()).form(&fields)
            }
            Some(Login::Header(header)) => {
                let mut value = HeaderValue::from_str(header.expose_secret()).map_err(|_| {
                    let told = format!("the credentials for `{}` fit in no header", self.registry);
                    Refused::for_good(permanent(told))
                })?;
                value.set_sensitive(true);
                client.get(realm.clone()).query(&fields).header(AUTHORIZATION, value)
            }
            None => client.get(realm.clone()).query(&fields),
        };
        let response = request.send().await.map_err(|cause| unsent(realm, &cause))?;
        let status = response.status().as_u16();
        if let Some(passing) = Refused::passing(realm, status, response.headers(), http.now()) {
            return Err(passing);
        }
        match status {
            200 => {}
            401 | 403 => return Err(Refused::for_good(denied(asked, status, login.is_some()))),
            _ => {
                let told = format!("`{shown}` gave no token but answered {status}");
                return Err(Refused::for_good(permanent(told)));
            }
        }
        let body = small(realm, response, TOKEN_LIMIT, "the token").await?;
        read_token(&body)
            .ok_or_else(|| Refused::for_good(permanent(format!("`{shown}` answered without a token"))))
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// The header made of a token's answer.
fn read_token(body: &[u8]) -> Option<SecretString> {
    let answer: TokenAnswer = serde_json::from_slice(body).ok()?;
    let token = answer.token.or(answer.access_token)?;
    let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then(|| SecretString::from(format!("Bearer {token}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_fits_in_a_header_is_taken() {
        let token = |json: &str| read_token(json.as_bytes()).map(|token| token.expose_secret().to_owned());
        assert_eq!(token(r#"{"token": "a"}"#).as_deref(), Some("Bearer a"));
        assert_eq!(token(r#"{"access_token": "b", "expires_in": 300}"#).as_deref(), Some("Bearer b"));
        for bad in ["", "{}", r#"{"token": ""}"#, r#"{"token": "a\r\nb"}"#, r#"{"token": 7}"#, "<html>"] {
            assert_eq!(token(bad), None, "{bad}");
        }
    }
}
