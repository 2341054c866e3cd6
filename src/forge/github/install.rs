//! Tokens of an installation of a GitHub App: found by the repository, made, and kept until shortly before they end.

use secrecy::SecretString;

use super::auth::{AuthError, Made, Tokens};
use super::client::{Ask, Client, Reply};
use super::refusal::Refusal;
use super::wire;
use crate::app::forge::{ForgeError, ForgeErrorClass};

impl Client {
    /// The token for the next request; an App's is made where there is none that lasts.
    pub(super) async fn token(&self) -> Result<SecretString, Refusal> {
        if let Some(token) = self.tokens.current(self.time.now()) {
            return Ok(token);
        }
        let Tokens::App { signer, installation, .. } = &*self.tokens else {
            return Err(self.unsigned(&AuthError::Token));
        };
        let token = signer.token(self.time.now()).map_err(|error| self.unsigned(&AuthError::Key(error)))?;
        let place = &self.options().place;
        let id = match installation {
            Some(id) => *id,
            None => {
                let ask = Ask::get(
                    format!("/repos/{}/{}/installation", place.owner, place.name),
                    format!("find the installation of the GitHub App on `{}`", place.full_name()),
                    "metadata: read",
                );
                let found = self.asked_as_app(&ask, &token).await.map_err(|mut refusal| {
                    if refusal.status == Some(404) {
                        refusal.error.hint =
                            Some("install the GitHub App on the repository, or correct its name".to_owned());
                    }
                    refusal
                })?;
                self.read::<wire::Installation>(&ask, &found).map_err(Refusal::of)?.id
            }
        };
        // For this repository alone: the App may be installed on many.
        let ask = Ask::post(
            format!("/app/installations/{id}/access_tokens"),
            serde_json::json!({"repositories": [place.name]}),
            format!("get a token of the GitHub App for `{}`", place.full_name()),
            "metadata: read",
        )
        .repeatable();
        let reply = self.asked_as_app(&ask, &token).await?;
        let made: wire::AccessToken = self.read(&ask, &reply).map_err(Refusal::of)?;
        let token = SecretString::from(made.token);
        self.tokens.keep(Some(Made { token: token.clone(), expires_at: made.expires_at }));
        Ok(token)
    }

    async fn asked_as_app(&self, ask: &Ask, token: &SecretString) -> Result<Reply, Refusal> {
        let mut tries = 0;
        loop {
            match self.attempt(ask, token, 0).await {
                Ok(reply) => return Ok(reply),
                Err(refusal) if refusal.is_unclear() && self.pause(tries).await => tries += 1,
                Err(mut refusal) => {
                    if refusal.status == Some(401) {
                        refusal.error.hint = Some(
                            "the id and the private key of the GitHub App do not fit, or the clock is wrong"
                                .to_owned(),
                        );
                    }
                    return Err(refusal);
                }
            }
        }
    }

    fn unsigned(&self, error: &AuthError) -> Refusal {
        Refusal::of(ForgeError {
            class: ForgeErrorClass::Denied { permission: None },
            message: format!("cannot ask the GitHub API of {}: {error}", self.host),
            hint: Some(self.remedy.clone()),
        })
    }
}
