//! One POST with JSON, asked again where that may help.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::text;
use crate::app::notify::NotSent;
use crate::upstream::failure::permanent;
use crate::upstream::http::Http;
use crate::upstream::retry::{self, Again, Refused};

/// Most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 4 << 10;
/// Most characters of an answer that are shown.
const SHOWN: usize = 120;
/// Header with the id of a message, by which a receiver can tell one that is sent again.
const ID_HEADER: &str = "x-gitops-updater-id";

/// How to post.
pub(super) struct Post<'a> {
    pub(super) http: &'a Http,
    pub(super) authorization: Option<SecretString>,
    pub(super) id: &'a str,
}

/// Scheme, host and port: all of an address that may be shown.
pub fn origin(url: &Url) -> Url {
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    crate::upstream::redact::strip(&mut origin);
    origin
}

impl Post<'_> {
    /// Posts `body` with these headers beside the usual ones.
    pub(super) async fn json(
        &self,
        url: &Url,
        body: &[u8],
        headers: &[(&'static str, String)],
    ) -> Result<(), NotSent> {
        let headers = self.headers(headers)?;
        let client = self.http.client().map_err(|failure| NotSent { reason: failure.message })?;
        let shown = origin(url);
        let attempt = || self.once(client, url, &shown, body, &headers);
        // The loop logs what it asks: it is given no more than may be shown.
        retry::run(self.http, &shown, self.http.retry(), attempt)
            .await
            .map_err(|failure| NotSent { reason: failure.message })
    }

    fn headers(&self, more: &[(&'static str, String)]) -> Result<HeaderMap, NotSent> {
        let unfit = || NotSent { reason: "a secret has characters that no header can have".to_owned() };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            let mut value = HeaderValue::from_str(authorization.expose_secret()).map_err(|_| unfit())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let own = [(ID_HEADER, self.id.to_owned())];
        for (name, value) in own.iter().chain(more) {
            let value = HeaderValue::from_str(value).map_err(|_| unfit())?;
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    async fn once(
        &self,
        client: &reqwest::Client,
        url: &Url,
        shown: &Url,
        body: &[u8],
        headers: &HeaderMap,
    ) -> Result<(), Refused> {
        let request = client
            .post(url.clone())
            .headers(headers.clone())
            .timeout(self.http.timeout())
            .body(body.to_vec())
            .send();
        let mut response = request.await.map_err(|error| {
            let connect = error.is_connect();
            // The error of the client names the whole address.
            let error = error.without_url();
            let message = format!("cannot send to `{shown}`: {}", root(&error));
            if connect { Refused::unconnected(message, root(&error)) } else { Refused::for_now(message) }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let headers = response.headers().clone();
        let answer = answer(&mut response).await;
        if let Some(mut refused) = Refused::passing(shown, status.as_u16(), &headers, self.http.now()) {
            // Discord says the time in its answer, and in fractions of a second.
            if status.as_u16() == 429
                && let Some(wait) = retry_after(&answer)
            {
                refused.again = Again::After(wait);
            }
            return Err(refused);
        }
        let said = said(&answer);
        let code = status.as_u16();
        Err(Refused::for_good(permanent(match code {
            300..=399 => {
                format!("`{shown}` answered {code}: redirects are not followed; name the address it leads to")
            }
            401 | 403 => format!(
                "`{shown}` answered {code}{said}: it refuses the credentials, or wants some; set them under `upstreams.hosts`"
            ),
            404 | 410 => format!(
                "`{shown}` answered {code}{said}: there is no such channel any more; look at its address"
            ),
            _ => format!("`{shown}` answered {code}{said}"),
        })))
    }
}

fn root(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = next.to_string();
        cause = next.source();
    }
    text
}

/// The beginning of an answer; what cannot be read is left out.
async fn answer(response: &mut reqwest::Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_LIMIT.saturating_sub(bytes.len());
        bytes.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    bytes
}

/// What a service answered, in quotes; nothing where it said nothing.
fn said(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let json: Option<Value> = serde_json::from_str(&text).ok();
    let of_json =
        json.as_ref().and_then(|json| ["message", "error"].iter().find_map(|key| json.get(*key)?.as_str()));
    let text = text::line(of_json.unwrap_or(&text), SHOWN);
    if text.is_empty() || text.starts_with('<') { String::new() } else { format!(" (`{text}`)") }
}

/// `retry_after` of a JSON answer, in seconds.
fn retry_after(answer: &[u8]) -> Option<std::time::Duration> {
    let json: Value = serde_json::from_slice(answer).ok()?;
    let seconds = json.get("retry_after")?.as_f64()?;
    std::time::Duration::try_from_secs_f64(seconds.ceil()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_and_port_of_an_address_are_shown() {
        let url =
            Url::parse("https://me:pw@hooks.example.com:8443/services/T0/B0/secret?x=secret#f").unwrap();
        assert_eq!(origin(&url).as_str(), "https://hooks.example.com:8443/");
    }

    #[test]
    fn waits_of_discord_are_read_in_fractions() {
        for (answer, expected) in [
            (r#"{"message": "x", "retry_after": 0.64, "global": false}"#, Some(1)),
            (r#"{"retry_after": 12}"#, Some(12)),
            (r#"{"retry_after": -1}"#, None),
            (r#"{"retry_after": "soon"}"#, None),
            (r#"{"retry_after": 1e300}"#, None),
            ("ok", None),
        ] {
            let wait = retry_after(answer.as_bytes()).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{answer}");
        }
    }

    #[test]
    fn what_a_service_says_is_one_harmless_line() {
        for (answer, expected) in [
            ("no_service", " (`no_service`)"),
            ("", ""),
            ("<html>x", ""),
            ("{\"message\": \"Unknown \\u001b[31mWebhook\\n\", \"code\": 10015}", " (`Unknown [31mWebhook`)"),
        ] {
            assert_eq!(said(answer.as_bytes()), expected);
        }
    }
}
