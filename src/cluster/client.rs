//! How the API server is reached: kubeconfig, or the service account of the pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Longest time for the connection and for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Watches that want bookmarks are sent one about every minute (apiserver `pkg/storage/cacher`).
const BETWEEN_BOOKMARKS: Duration = Duration::from_secs(100);

/// Which cluster is asked, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// A kubeconfig; otherwise that of the environment, else the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it; otherwise its current one.
    pub context: Option<String>,
}

/// Why the cluster cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read, or lacks the context.
    #[error("cannot use the kubeconfig `{}`", .path.display())]
    Kubeconfig {
        /// As given.
        path: PathBuf,
        /// Why.
        source: Box<kube::config::KubeconfigError>,
    },
    /// The kubeconfig of the environment (`KUBECONFIG`, else `~/.kube/config`) cannot be used with this context.
    #[error("cannot use context `{context}` of the kubeconfig of the environment")]
    Context {
        /// Its name.
        context: String,
        /// Why.
        source: Box<kube::config::KubeconfigError>,
    },
    /// There is neither a kubeconfig nor a service account.
    #[error("cannot find a cluster")]
    Infer {
        /// What was tried.
        source: Box<kube::config::InferConfigError>,
    },
    /// Credentials or certificates cannot be used.
    #[error("cannot set up the connection to the cluster")]
    Client {
        /// Why.
        source: Box<kube::Error>,
    },
    /// The API server does not answer.
    #[error("cannot ask the API server at `{url}` for its version: {reason}")]
    Unreachable {
        /// Its URL, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
}

/// Two ways to the same API server.
pub(super) struct Clients {
    /// For questions.
    pub(super) short: Client,
    /// For watches, which are quiet between bookmarks.
    pub(super) long: Client,
    /// Without credentials.
    pub(super) url: String,
    /// The pod's own, or that of the kubeconfig's context.
    pub(super) namespace: String,
}

/// Sets up the connection; nothing is asked yet.
pub(super) async fn clients(access: &Access) -> Result<Clients, Error> {
    let mut config = match (&access.kubeconfig, &access.context) {
        (Some(path), context) => from_file(path, context.as_deref()).await?,
        (None, Some(context)) => {
            let options =
                KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options)
                .await
                .map_err(|source| Error::Context { context: context.clone(), source: Box::new(source) })?
        }
        (None, None) => Config::infer().await.map_err(|source| Error::Infer { source: Box::new(source) })?,
    };
    config.connect_timeout = Some(TIMEOUT);
    config.read_timeout = Some(TIMEOUT);
    // Fifteen tries with waits of up to a thousand seconds: whoever asks decides how long it may take.
    config.default_retry = false;
    // Without a user, which an authority may have.
    let authority = config.cluster_url.authority();
    let host = authority.map(|authority| authority.host()).unwrap_or_default();
    let port = authority.and_then(|authority| authority.port_u16());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let url = format!("{}://{host}{port}", config.cluster_url.scheme_str().unwrap_or("https"));
    let namespace = config.default_namespace.clone();
    let client =
        |config| Client::try_from(config).map_err(|source| Error::Client { source: Box::new(source) });
    let mut watching = config.clone();
    watching.read_timeout = Some(BETWEEN_BOOKMARKS);
    Ok(Clients { short: client(config)?, long: client(watching)?, url, namespace })
}

async fn from_file(path: &Path, context: Option<&str>) -> Result<Config, Error> {
    let wrong = |source| Error::Kubeconfig { path: path.to_path_buf(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)
}
