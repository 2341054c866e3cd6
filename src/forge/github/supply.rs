//! The token for Git's own conversations, where no asynchronous task is at hand to ask for it.

use std::sync::Arc;

use secrecy::SecretString;

use super::auth::Tokens;
use super::client::Client;
use super::{GithubForge, GithubOptions, Time, http};
use crate::app::forge::{ForgeError, ForgeErrorClass, ForgeResult};

/// Gives the token of a forge, and makes a new one where the last is about to end: one of a GitHub App lasts an hour,
/// which a pass that watches a cluster outlasts.
pub struct TokenSupply {
    tokens: Arc<Tokens>,
    time: Arc<dyn Time>,
    options: GithubOptions,
}

impl GithubForge {
    /// The tokens that the forge itself asks with.
    pub fn token_supply(&self) -> TokenSupply {
        TokenSupply {
            tokens: self.client.tokens.clone(),
            time: self.client.time.clone(),
            options: self.client.options().clone(),
        }
    }
}

impl TokenSupply {
    /// The token, as the password of any user (`x-access-token`). Blocks; not to be called from a thread that drives
    /// asynchronous tasks.
    ///
    /// # Errors
    /// A GitHub App gets none.
    pub fn token(&self) -> ForgeResult<SecretString> {
        if let Some(token) = self.tokens.current(self.time.now()) {
            return Ok(token);
        }
        let unusable = |detail: String| ForgeError {
            class: ForgeErrorClass::Permanent,
            message: format!("cannot ask the GitHub API of {}: {detail}", self.options.place.host),
            hint: None,
        };
        // Of its own, with connections of its own: nobody may be driving the one that the forge is asked on.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        runtime.block_on(async {
            let http = http().map_err(|error| unusable(error.to_string()))?;
            let client =
                Client::sharing(&http, self.time.clone(), self.options.clone(), self.tokens.clone())?;
            Ok(client.token().await?)
        })
    }
}
