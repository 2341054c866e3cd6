//! GitHub Apps: JSON Web Tokens, installations, and the tokens of installations.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gitops_updater::forge::github::Time as _;
use jiff::SignedDuration;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::answer::Answer;
use super::people::Account;
use super::request::{Asked, Kind};
use super::state::Github;

/// A private key for tests alone.
pub(crate) const APP_KEY: &str = include_str!("../../../../testdata/github/app-key-for-tests.pem");

/// An App.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) installation: u64,
    /// Whether it is installed on the repository.
    pub(crate) installed: bool,
    /// In whose name its tokens act.
    pub(crate) account: Account,
    /// How many tokens were made.
    pub(crate) tokens: u32,
    /// How long they last: an hour at GitHub.
    pub(crate) lifetime: SignedDuration,
    /// A new token ends those before it, so that whoever keeps one is found out.
    pub(crate) one_at_a_time: bool,
}

impl App {
    pub(crate) fn new() -> Self {
        let account = Account::bot(4001, "acme-updater[bot]");
        Self {
            id: "Iv23app".to_owned(),
            installation: 77,
            installed: true,
            account,
            tokens: 0,
            lifetime: SignedDuration::from_hours(1),
            one_at_a_time: false,
        }
    }
}

impl Github {
    /// Whether the request proves to be the App's: GitHub answers 401 otherwise.
    fn as_app(&self, asked: &Asked) -> Result<App, Answer> {
        let refused = |message: &str| Answer::refuse(401, message);
        let token = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let app = self.app.clone().ok_or_else(|| refused("Integration not found"))?;
        let token = token.ok_or_else(|| refused("A JSON web token could not be decoded"))?;
        let parts: Vec<&str> = token.split('.').collect();
        let [head, claims, signature] = parts[..] else {
            return Err(refused("A JSON web token could not be decoded"));
        };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let head: Value = serde_json::from_slice(&decoded(head)).unwrap_or_default();
        let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap_or_default();
        let public = public_key();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        let text = token.rsplit_once('.').unwrap().0;
        if head["alg"] != "RS256" || key.verify(text.as_bytes(), &decoded(signature)).is_err() {
            return Err(refused("A JSON web token could not be decoded"));
        }
        let now = self.time.now().as_second();
        let (Some(issued), Some(expires)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) else {
            return Err(refused("Missing 'issued at' claim ('iat') in assertion"));
        };
        if issued > now {
            return Err(refused(
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            ));
        }
        if expires <= now || expires > now + 600 {
            return Err(refused("'Expiration time' claim ('exp') is too far in the future"));
        }
        if claims["iss"] != json!(app.id) {
            return Err(refused("Integration not found"));
        }
        Ok(app)
    }

    pub(super) fn installation(&self, asked: &Asked) -> Result<Answer, Answer> {
        let app = self.as_app(asked)?;
        if !app.installed {
            return Err(Answer::not_found());
        }
        Ok(Answer::new(200, json!({"id": app.installation, "app_slug": "acme-updater"})))
    }

    pub(super) fn access_token(&mut self, asked: &Asked, installation: &str) -> Result<Answer, Answer> {
        let app = self.as_app(asked)?;
        if installation != app.installation.to_string() || !app.installed {
            return Err(Answer::not_found());
        }
        let fields = [
            ("repositories", Kind::Texts, false),
            ("repository_ids", Kind::Any, false),
            ("permissions", Kind::Any, false),
        ];
        let body = asked.body(&fields)?;
        if body["repositories"] != json!([self.name]) {
            return Err(Answer::refuse(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            ));
        }
        let expires_at = self.time.now() + app.lifetime;
        let made = self.app.as_mut().unwrap();
        made.tokens += 1;
        let name = |number: u32| format!("ghs_installation{number}");
        let token = name(made.tokens);
        if app.one_at_a_time {
            self.accounts.remove(&name(app.tokens));
        }
        self.accounts.insert(token.clone(), Account { expires_at: Some(expires_at), ..app.account });
        Ok(Answer::new(201, json!({"token": token, "expires_at": expires_at.to_string(), "permissions": {}})))
    }
}

/// The public half of [`APP_KEY`], as ring wants it.
fn public_key() -> Vec<u8> {
    let body: String = APP_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let key = RsaKeyPair::from_der(&der).unwrap();
    key.public_key().as_ref().to_vec()
}
