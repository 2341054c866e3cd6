//! Credentials, each bound to one host.
//!
//! Plain data: who reads environment variables or docker's `config.json` builds this.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use url::Url;

/// What proves who we are to one host.
#[derive(Debug, Clone)]
pub enum Credential {
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name; not secret.
        username: String,
        /// Password or access token.
        password: SecretString,
    },
    /// HTTP Bearer (RFC 6750).
    Bearer(SecretString),
}

impl Credential {
    /// The user and password of a URL, decoded.
    pub(crate) fn from_url(url: &Url) -> Self {
        let decoded = |text: &str| super::mapping::decoded(text).unwrap_or_else(|| text.to_owned());
        Self::Basic {
            username: decoded(url.username()),
            password: SecretString::from(decoded(url.password().unwrap_or(""))),
        }
    }

    /// The whole value of the `Authorization` header.
    pub fn header(&self) -> SecretString {
        match self {
            Self::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                SecretString::from(format!("Basic {}", STANDARD.encode(pair)))
            }
            Self::Bearer(token) => SecretString::from(format!("Bearer {}", token.expose_secret())),
        }
    }
}

/// Tells apart answers to different credentials in the cache, without letting anyone confirm a
/// guessed secret: 32 bits of a digest fit four thousand million secrets as well.
pub(crate) fn identity(header: &SecretString) -> String {
    let digest = Sha256::digest(header.expose_secret().as_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug, Clone)]
struct Entry {
    host: String,
    port: Option<u16>,
    path: String,
    credential: Credential,
}

/// Credentials by host, port and path prefix.
///
/// A key without port means the port of `https`. Nothing secret goes by plain `http`, whatever port a key
/// names, unless [`Credentials::allow_http`] was told the host.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    entries: Vec<Entry>,
    /// Hosts and ports that may be told secrets over plain `http`.
    by_http: BTreeSet<(String, u16)>,
}

/// A key that names no host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not `host`, `host:port` or `host/path`.
    #[error("cannot read `{key}` as a host, `host:port` or `host/path`")]
    Key {
        /// The key as written.
        key: String,
    },
}

impl Credentials {
    /// No credentials at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a credential to `host`, `host:port` or either with a path prefix behind it; an entry
    /// for the same key that is there already wins.
    ///
    /// # Errors
    /// The key names no host.
    pub fn add(&mut self, key: &str, credential: Credential) -> Result<(), Error> {
        let refused = || Error::Key { key: super::redact::redact_text(key) };
        let url = key_url(key).ok_or_else(refused)?;
        let entry = Entry {
            host: url.host_str().unwrap_or_default().to_owned(),
            // The URL leaves out the port of `https`, which the key may have named.
            port: url.port(),
            path: url.path().trim_end_matches('/').to_owned(),
            credential,
        };
        if !self
            .entries
            .iter()
            .any(|known| known.host == entry.host && known.port == entry.port && known.path == entry.path)
        {
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Lets credentials for `host` (port 80) or `host:port` go by plain `http`, where everybody on the way can
    /// read them. What is configured for the host without port counts for port 80, too.
    ///
    /// # Errors
    /// The key names no host.
    pub fn allow_http(&mut self, key: &str) -> Result<(), Error> {
        let refused = || Error::Key { key: super::redact::redact_text(key) };
        let url = key_url(key).filter(|url| url.path() == "/").ok_or_else(refused)?;
        self.by_http.insert((url.host_str().unwrap_or_default().to_owned(), url.port().unwrap_or(80)));
        Ok(())
    }

    /// Whether anything secret may be sent to `url`: it is `https`, or its host is one of
    /// [`Credentials::allow_http`].
    pub fn may_go_to(&self, url: &Url) -> bool {
        match (url.scheme(), url.host_str(), url.port_or_known_default()) {
            ("https", ..) => true,
            ("http", Some(host), Some(port)) => self.by_http.contains(&(host.to_owned(), port)),
            _ => false,
        }
    }

    /// The credential for exactly this host and port, the longest path prefix first.
    pub fn for_url(&self, url: &Url) -> Option<&Credential> {
        let host = url.host_str()?;
        if !self.may_go_to(url) {
            return None;
        }
        let named = |port| port == url.port() || port == url.port_or_known_default();
        self.entries
            .iter()
            .filter(|entry| entry.host == host && named(entry.port) && within(&entry.path, url.path()))
            .max_by_key(|entry| entry.path.len())
            .map(|entry| &entry.credential)
    }
}

/// A key as the URL that it stands for; `None` if it names no host, or holds more than one.
fn key_url(key: &str) -> Option<Url> {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let url = Url::parse(&format!("https://{rest}")).ok()?;
    let is_plain = url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none();
    is_plain.then_some(url)
}

/// Whether `path` is `prefix` or lies under it, by whole path elements.
fn within(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(token: &str) -> Credential {
        Credential::Bearer(SecretString::from(token.to_owned()))
    }

    fn chosen(credentials: &Credentials, url: &str) -> Option<String> {
        credentials
            .for_url(&Url::parse(url).unwrap())
            .map(|credential| credential.header().expose_secret().to_owned())
    }

    #[test]
    fn credential_is_for_exactly_its_host_port_and_path() {
        let mut credentials = Credentials::new();
        credentials.add("charts.example.com", bearer("a")).unwrap();
        credentials.add("charts.example.com/team", bearer("b")).unwrap();
        credentials.add("registry.lan:5000", bearer("c")).unwrap();
        for (url, expected) in [
            ("https://charts.example.com/index.yaml", Some("Bearer a")),
            ("https://charts.example.com:443/index.yaml", Some("Bearer a")),
            ("https://CHARTS.example.com/x", Some("Bearer a")),
            ("https://charts.example.com/team/index.yaml", Some("Bearer b")),
            ("https://charts.example.com/teams/index.yaml", Some("Bearer a")),
            ("http://charts.example.com/index.yaml", None),
            ("https://charts.example.com:8443/", None),
            ("https://charts.example.com.evil.org/", None),
            ("https://evil-charts.example.com/", None),
            ("https://registry.lan:5000/v2/", Some("Bearer c")),
            ("http://registry.lan:5000/v2/", None),
            ("https://registry.lan/v2/", None),
        ] {
            assert_eq!(chosen(&credentials, url).as_deref(), expected, "{url}");
        }
    }

    /// A key with a port was taken for any scheme, so that an `http://` URL with that port got the token in
    /// clear; and a host that may be asked by plain `http` got nothing on port 80.
    #[test]
    fn plain_http_needs_to_be_allowed_for_host_and_port() {
        let mut credentials = Credentials::new();
        credentials.add("registry.lan:5000", bearer("c")).unwrap();
        credentials.add("charts.lan", bearer("d")).unwrap();
        credentials.add("other.lan", bearer("e")).unwrap();
        for url in ["http://registry.lan:5000/", "http://charts.lan/", "http://charts.lan:443/"] {
            assert_eq!(chosen(&credentials, url), None, "{url}");
        }
        credentials.allow_http("registry.lan:5000").unwrap();
        credentials.allow_http("charts.lan").unwrap();
        credentials.add("eighty.lan:80", bearer("f")).unwrap();
        credentials.allow_http("eighty.lan:80").unwrap();
        for (url, expected) in [
            ("http://registry.lan:5000/v2/", Some("Bearer c")),
            ("http://registry.lan:5001/v2/", None),
            ("http://registry.lan/v2/", None),
            ("http://charts.lan/index.yaml", Some("Bearer d")),
            ("https://charts.lan/index.yaml", Some("Bearer d")),
            ("http://charts.lan:8080/index.yaml", None),
            ("http://other.lan/index.yaml", None),
            ("http://eighty.lan/index.yaml", Some("Bearer f")),
        ] {
            assert_eq!(chosen(&credentials, url).as_deref(), expected, "{url}");
        }
        assert!(credentials.allow_http("me:secret@example.com").is_err());
    }

    #[test]
    fn first_entry_for_a_key_wins() {
        let mut credentials = Credentials::new();
        credentials.add("ghcr.io", bearer("configured")).unwrap();
        credentials.add("https://ghcr.io/", bearer("docker")).unwrap();
        assert_eq!(chosen(&credentials, "https://ghcr.io/v2/").as_deref(), Some("Bearer configured"));
    }

    #[test]
    fn key_with_a_password_is_refused_without_showing_it() {
        let message = Credentials::new().add("me:secret@example.com", bearer("x")).unwrap_err().to_string();
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn debug_output_hides_secrets() {
        let mut credentials = Credentials::new();
        credentials.add("ghcr.io", bearer("hunter2")).unwrap();
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
