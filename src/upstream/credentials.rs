//! Credentials, each bound to one host.
//!
//! Plain data: who reads environment variables or docker's `config.json` builds this.

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
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
    credential: Credential,
}

/// Credentials by host, port and path prefix.
///
/// A key without port means the port of `https`. A key means `https` unless it begins with `http://`, so that
/// nothing secret is sent in the clear by accident.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    entries: Vec<Entry>,
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

    /// Binds a credential to `host`, `host:port` or either with a path prefix behind it, `http://` before it where
    /// it may be sent unencrypted; an entry for the same key that is there already wins.
    ///
    /// # Errors
    /// The key names no host.
    pub fn add(&mut self, key: &str, credential: Credential) -> Result<(), Error> {
        let refused = || Error::Key { key: super::redact::redact_text(key) };
        let (scheme, rest) = key.split_once("://").unwrap_or(("https", key));
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| refused())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(refused)?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(refused());
        }
        let entry = Entry {
            scheme: url.scheme().to_owned(),
            host: host.to_owned(),
            port: url.port_or_known_default(),
            path: url.path().trim_end_matches('/').to_owned(),
            credential,
        };
        let same = |known: &Entry| {
            (&known.scheme, &known.host, known.port, &known.path)
                == (&entry.scheme, &entry.host, entry.port, &entry.path)
        };
        if !self.entries.iter().any(same) {
            self.entries.push(entry);
        }
        Ok(())
    }

    /// The credential for exactly this host and port, the longest path prefix first.
    pub fn for_url(&self, url: &Url) -> Option<&Credential> {
        let host = url.host_str()?;
        let port = url.port_or_known_default();
        self.entries
            .iter()
            .filter(|entry| {
                entry.scheme == url.scheme()
                    && entry.host == host
                    && entry.port == port
                    && within(&entry.path, url.path())
            })
            .max_by_key(|entry| entry.path.len())
            .map(|entry| &entry.credential)
    }
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
        credentials.add("http://plain.lan:5000", bearer("d")).unwrap();
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
            ("http://plain.lan:5000/v2/", Some("Bearer d")),
            ("https://plain.lan:5000/v2/", None),
        ] {
            assert_eq!(chosen(&credentials, url).as_deref(), expected, "{url}");
        }
    }

    /// A key with a port was taken for any scheme, so that an `http://` URL with that port got the token in
    /// clear; and a host that may be asked by plain `http` got nothing on port 80.
    #[test]
    fn plain_http_needs_a_key_of_its_own() {
        let mut credentials = Credentials::new();
        for key in ["registry.lan:5000", "charts.lan", "http://clear.lan", "http://clear.lan:5000"] {
            credentials.add(key, bearer(key)).unwrap();
        }
        for (url, expected) in [
            ("http://registry.lan:5000/v2/", None),
            ("http://charts.lan/", None),
            ("http://charts.lan:443/", None),
            ("http://clear.lan/index.yaml", Some("Bearer http://clear.lan")),
            ("http://clear.lan:80/index.yaml", Some("Bearer http://clear.lan")),
            ("http://clear.lan:5000/", Some("Bearer http://clear.lan:5000")),
            ("http://clear.lan:5001/", None),
            ("https://clear.lan/", None),
        ] {
            assert_eq!(chosen(&credentials, url).as_deref(), expected, "{url}");
        }
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
