//! In whose name GitHub is asked, and the tokens that prove it.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

use super::jwt::{KeyError, Signer};

/// A token is replaced this long before it ends, so that no request meets its end.
const MARGIN: SignedDuration = SignedDuration::from_secs(5 * 60);

/// In whose name GitHub is asked.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A personal access token, the `GITHUB_TOKEN` of GitHub Actions, or an installation token that somebody else
    /// made.
    Token(SecretString),
    /// A GitHub App, installed on the repository.
    App {
        /// Client id or App id.
        id: String,
        /// Private key, PEM.
        private_key: SecretString,
        /// Installation; found by the repository where it is not given.
        installation: Option<u64>,
    },
}

/// Keeps what is needed to make tokens, and the token that was made last.
pub(super) enum Tokens {
    Given(SecretString),
    App { signer: Box<Signer>, installation: Option<u64>, made: Mutex<Option<Made>> },
}

/// An installation token.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) token: SecretString,
    pub(super) expires_at: Timestamp,
}

/// Why there is no usable token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The token has characters that no header can hold.
    #[error("the token has characters that no token can have")]
    Token,
    /// The key of the App.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Tokens {
    pub(super) fn new(auth: &Auth) -> Result<Self, AuthError> {
        match auth {
            Auth::Token(token) => {
                let text = token.expose_secret();
                let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
                is_token.then(|| Self::Given(token.clone())).ok_or(AuthError::Token)
            }
            Auth::App { id, private_key, installation } => Ok(Self::App {
                signer: Box::new(Signer::new(id, private_key)?),
                installation: *installation,
                made: Mutex::default(),
            }),
        }
    }

    /// The token to use at `now`; `None` where one must be made first.
    pub(super) fn current(&self, now: Timestamp) -> Option<SecretString> {
        match self {
            Self::Given(token) => Some(token.clone()),
            Self::App { made, .. } => {
                let made = made.lock().unwrap_or_else(PoisonError::into_inner);
                made.as_ref()
                    .filter(|made| made.expires_at.duration_since(now) > MARGIN)
                    .map(|made| made.token.clone())
            }
        }
    }

    /// Remembers a token that was made, or that there is none any more.
    pub(super) fn keep(&self, new: Option<Made>) {
        if let Self::App { made, .. } = self {
            *made.lock().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }

    /// Takes every secret that we know of out of a text of the server.
    pub(super) fn hide(&self, text: &str) -> String {
        let known = match self {
            Self::Given(token) => Some(token.clone()),
            Self::App { made, .. } => {
                made.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|made| made.token.clone())
            }
        };
        match known {
            Some(token) if text.contains(token.expose_secret()) => text.replace(token.expose_secret(), "…"),
            _ => text.to_owned(),
        }
    }

    /// Whether the token is one of an installation: GitHub Actions' own, or that of an App. Such tokens are nobody's
    /// who could be asked for at `/user` (GitHub docs, "GitHub's token formats").
    pub(super) fn is_installation(&self) -> bool {
        match self {
            Self::Given(token) => token.expose_secret().starts_with("ghs_"),
            Self::App { .. } => true,
        }
    }
}
