//! Sends messages: a generic webhook, Slack, Discord, ntfy and, where it is built in, e-mail.
//!
//! An address is often a secret itself (Slack, Discord), so nothing here shows more of it than its host, neither in
//! errors nor in the log. Redirects are not followed. Texts of events come from strangers: each channel makes them
//! harmless in its own way, see [`text`].

mod discord;
#[cfg(feature = "email")]
mod email;
mod ntfy;
mod post;
mod slack;
mod text;
mod webhook;

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use post::origin;

use crate::app::notify::{Event, Messenger, NotSent};
use crate::upstream::credentials::Credentials;
use crate::upstream::http::{Http, HttpOptions};
use crate::upstream::retry::Policy;

/// The longest wait that a channel may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A place that messages go to, with its secrets.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// What is there.
    pub kind: ChannelKind,
    /// Where it is; not to be shown.
    pub address: Address,
}

/// An address that does not show itself.
#[derive(Clone)]
pub struct Address(Url);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&origin(&self.0).as_str()).finish()
    }
}

impl From<Url> for Address {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

/// What is at the other end.
#[derive(Debug, Clone)]
pub enum ChannelKind {
    /// JSON by POST.
    Webhook {
        /// Key for signing.
        secret: Option<SecretString>,
    },
    /// Slack, or what takes the same.
    Slack,
    /// Discord.
    Discord,
    /// ntfy.
    Ntfy,
    /// E-mail.
    #[cfg(feature = "email")]
    Email {
        /// Sender.
        from: String,
        /// Recipients.
        to: Vec<String>,
    },
}

/// What is told, before it is made fit for a channel.
#[derive(Debug, Clone, Copy)]
struct Message<'a> {
    /// The same for the same events, so that a receiver can tell a repeated message.
    id: &'a str,
    /// The most urgent first; never empty.
    events: &'a [&'a Event],
    /// What it is about, for people who have several.
    repository: &'a str,
}

/// All channels.
pub struct Channels {
    list: Vec<Channel>,
    http: Http,
    credentials: Credentials,
    repository: String,
}

impl Channels {
    /// Channels that are sent to with these credentials of hosts. `repository` is named in each message. `timeout` is
    /// for one request.
    ///
    /// # Errors
    ///
    /// HTTP cannot be set up.
    pub fn new(
        list: Vec<Channel>,
        credentials: Credentials,
        repository: String,
        timeout: Duration,
        retry: Option<Policy>,
    ) -> Result<Self, crate::upstream::http::Error> {
        let retry = retry.unwrap_or(Policy { longest_pause: LONGEST_PAUSE, ..Policy::default() });
        let http = Http::new(HttpOptions { timeout, per_host: 2, retry, ..HttpOptions::default() })?;
        Ok(Self { list, http, credentials, repository })
    }

    async fn deliver(&self, channel: &Channel, message: Message<'_>) -> Result<(), NotSent> {
        let url = &channel.address.0;
        let post = post::Post {
            http: &self.http,
            // What the operator set for this host; never for another one.
            authorization: self
                .credentials
                .for_url(url)
                .map(crate::upstream::credentials::Credential::header),
            id: message.id,
        };
        match &channel.kind {
            ChannelKind::Webhook { secret } => {
                let body = webhook::body(message);
                post.json(url, &body, &webhook::headers(&body, secret.as_ref())).await
            }
            ChannelKind::Slack => post.json(url, &slack::body(message), &[]).await,
            ChannelKind::Discord => post.json(url, &discord::body(message), &[]).await,
            ChannelKind::Ntfy => {
                let (server, topic) = ntfy::server_and_topic(url);
                post.json(&server, &ntfy::body(message, &topic), &[]).await
            }
            #[cfg(feature = "email")]
            ChannelKind::Email { from, to } => {
                email::send(url, email::Envelope { from, to }, message, &self.credentials, &self.http).await
            }
        }
    }
}

impl Messenger for Channels {
    async fn send(&self, channel: &str, id: &str, events: &[&Event]) -> Result<(), NotSent> {
        let known = self.list.iter().find(|known| known.name == channel);
        let Some(channel) = known else {
            return Err(NotSent { reason: "it has no address".to_owned() });
        };
        if events.is_empty() {
            return Ok(());
        }
        self.deliver(channel, Message { id, events, repository: &self.repository }).await
    }
}
