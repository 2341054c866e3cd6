//! Pull requests on GitHub and GitHub Enterprise Server, through octocrab.
//!
//! Knows nothing of versions or clusters: it does what the port says, finds again what it did before, and explains
//! refusals. Bodies of answers are read into small shapes of our own, so that a field more or less does no harm.

mod auth;
mod checks;
mod client;
mod commits;
mod furnish;
mod install;
mod issues;
mod jwt;
mod kept;
mod merging;
mod port;
mod pulls;
mod refusal;
mod remote;
mod supply;
mod time;
mod wire;
mod withdrawing;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use url::Url;

pub use self::auth::{Auth, AuthError};
use self::client::{Ask, Client, segment};
pub use self::commits::{ApiCommit, Committed, FileChange};
pub use self::issues::DASHBOARD_MARKER;
pub use self::jwt::KeyError;
use self::refusal::plain;
pub use self::remote::Place;
pub use self::supply::TokenSupply;
pub use self::time::{MachineTime, Time};
use crate::app::forge::{ForgeError, ForgeErrorClass, ForgeResult};

/// What a GitHub forge needs to know.
#[derive(Debug, Clone)]
pub struct GithubOptions {
    /// The repository.
    pub place: Place,
    /// Base of the REST API, such as `https://api.github.com`.
    pub api: Url,
    /// In whose name.
    pub auth: Auth,
    /// Longest time for one request.
    pub timeout: Duration,
    /// How often a request that failed for a passing reason is sent again.
    pub retries: u32,
    /// First wait between tries; doubles with every try.
    pub first_wait: Duration,
    /// Longest time that may be spent waiting for GitHub in all; what needs more fails with the time at which it can
    /// be tried again.
    pub patience: Duration,
}

impl GithubOptions {
    /// 30 s a request, 3 retries from 1 s, 5 minutes of waiting in all; the API in the usual place of the host
    /// (GitHub Enterprise Server docs, "Using the REST API").
    ///
    /// `None` where the host is no host name.
    pub fn new(place: Place, auth: Auth) -> Option<Self> {
        let api = match place.host.as_str() {
            "github.com" => Url::parse("https://api.github.com").ok()?,
            host => {
                Url::parse(&format!("https://{host}/api/v3")).ok().filter(|url| url.path() == "/api/v3")?
            }
        };
        Some(Self {
            place,
            api,
            auth,
            timeout: Duration::from_secs(30),
            retries: 3,
            first_wait: Duration::from_secs(1),
            patience: Duration::from_secs(300),
        })
    }
}

/// Who the token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Such as `jane` or `github-actions[bot]`.
    pub login: String,
    /// Number of the account; unlike the login it never changes.
    pub id: u64,
}

impl Identity {
    /// The address by which commits are shown as this account's (GitHub docs, "Setting your commit email address").
    pub fn email(&self, host: &str) -> String {
        format!("{}+{}@users.noreply.{host}", self.id, self.login)
    }
}

/// What is known of the repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Owner, as GitHub spells it.
    pub owner: String,
    /// Name, as GitHub spells it.
    pub name: String,
    /// Branch that pull requests go to where nothing else is said.
    pub default_branch: String,
    id: u64,
    node_id: String,
}

impl Repository {
    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// The path of something in the repository.
    fn path(&self, below: &str) -> String {
        format!("/repos/{}/{}/{below}", segment(&self.owner), segment(&self.name))
    }
}

/// What a forge is asked with.
///
/// # Errors
/// Certificates of this machine cannot be used.
pub fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .build()
}

/// Pull requests of one repository on GitHub.
pub struct GithubForge {
    client: Client,
    repository: OnceCell<Repository>,
    identity: OnceCell<Identity>,
    /// What was not worth failing for.
    warnings: Mutex<Vec<String>>,
}

impl GithubForge {
    /// A forge that asks nothing yet. `http` is as [`http()`] makes it: it follows no redirect and has bounds on connecting.
    ///
    /// # Errors
    /// The token or the key cannot be used.
    pub fn new(http: &reqwest::Client, time: Arc<dyn Time>, options: GithubOptions) -> ForgeResult<Self> {
        let client = Client::new(http, time, options)?;
        Ok(Self {
            client,
            repository: OnceCell::new(),
            identity: OnceCell::new(),
            warnings: Mutex::default(),
        })
    }

    /// Tells of something that is not worth failing for.
    fn warn(&self, message: String) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    /// The repository under its present name: one that was renamed is found by its old name, too.
    ///
    /// # Errors
    /// It is not there or not to be seen, it is archived, or the token may only read it.
    pub async fn repository(&self) -> ForgeResult<&Repository> {
        self.repository
            .get_or_try_init(|| async {
                let place = &self.client.options().place;
                let ask = Ask::get(
                    format!("/repos/{}/{}", segment(&place.owner), segment(&place.name)),
                    format!("look at the repository `{}`", place.full_name()),
                    "metadata: read",
                );
                let found: wire::Repository = self.client.json(&ask).await?;
                let refused = |class, message: &str, hint: &str| ForgeError {
                    class,
                    message: format!("cannot propose anything in `{}`: {message}", found.full_name),
                    hint: Some(hint.to_owned()),
                };
                if found.archived {
                    return Err(refused(
                        ForgeErrorClass::Permanent,
                        "the repository is archived",
                        "unarchive it in its settings, or stop the bot",
                    ));
                }
                // Of installation tokens GitHub does not tell it reliably: there the first write shows it.
                if !self.client.tokens.is_installation()
                    && found.permissions.as_ref().is_some_and(|may| !may.push)
                {
                    let permission = Some("contents: write".to_owned());
                    return Err(refused(
                        ForgeErrorClass::Denied { permission },
                        "the token may only read it",
                        "the token needs `contents: write` and `pull-requests: write`",
                    ));
                }
                let (owner, name) = found.full_name.split_once('/').ok_or_else(|| {
                    refused(
                        ForgeErrorClass::Permanent,
                        "GitHub gives it no name",
                        "check the address of the API",
                    )
                })?;
                Ok(Repository {
                    owner: owner.to_owned(),
                    name: name.to_owned(),
                    default_branch: found.default_branch.clone(),
                    id: found.id,
                    node_id: found.node_id.clone(),
                })
            })
            .await
    }

    /// Whose comments and issues are ours.
    ///
    /// # Errors
    /// GitHub does not say it.
    pub async fn identity(&self) -> ForgeResult<&Identity> {
        self.identity
            .get_or_try_init(|| async {
                let doing = "find out in whose name the token acts".to_owned();
                if !self.client.tokens.is_installation() {
                    let ask = Ask::get("/user".to_owned(), doing.clone(), "metadata: read");
                    let user: Result<wire::User, _> = self.client.json(&ask).await;
                    match user {
                        Ok(user) => return Ok(Identity { login: user.login, id: user.id }),
                        // A token of an installation that does not look like one.
                        Err(refusal) if matches!(refusal.status, Some(403 | 404)) => {}
                        Err(refusal) => return Err(refusal.into()),
                    }
                }
                let query = "query { viewer { login databaseId } }";
                let data: wire::Viewer =
                    self.graphql(query, serde_json::json!({}), doing, "metadata: read").await?;
                Ok(Identity { login: data.viewer.login, id: data.viewer.database_id })
            })
            .await
    }

    /// Asks the GraphQL API, which answers failures with 200.
    async fn graphql<T: serde::de::DeserializeOwned>(
        &self,
        query: &str,
        variables: serde_json::Value,
        doing: String,
        needs: &'static str,
    ) -> ForgeResult<T> {
        let body = serde_json::json!({"query": query, "variables": variables});
        let ask = Ask::set(http::Method::POST, self.client.graphql(), Some(body), doing, needs);
        let graph: wire::Graph<T> = self.client.json(&ask).await?;
        if let (Some(data), true) = (graph.data, graph.errors.is_empty()) {
            return Ok(data);
        }
        let kinds: Vec<&str> = graph.errors.iter().filter_map(|error| error.kind.as_deref()).collect();
        let words: Vec<&str> = graph.errors.iter().map(|error| error.message.as_str()).take(3).collect();
        let has = |kind| kinds.contains(&kind);
        let (class, hint) = if has("RATE_LIMITED") {
            (ForgeErrorClass::RateLimited { reset: None }, None)
        } else if has("FORBIDDEN") || has("INSUFFICIENT_SCOPES") {
            let permission = Some(needs.to_owned());
            (ForgeErrorClass::Denied { permission }, Some(format!("the token needs `{needs}`")))
        } else if has("NOT_FOUND") {
            (ForgeErrorClass::NotFound, None)
        } else if has("STALE_DATA") {
            (ForgeErrorClass::Conflict, None)
        } else {
            (ForgeErrorClass::Permanent, None)
        };
        let words = plain(&self.client.tokens.hide(&words.join("; ")));
        let host = &self.client.options().place.host;
        Err(ForgeError { class, message: format!("cannot {}: {host} answered: {words}", ask.doing), hint })
    }
}
