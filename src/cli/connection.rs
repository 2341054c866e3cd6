//! How commands reach the cluster.

use std::path::{Path, PathBuf};

use clap::Args;

use super::environment;
use super::error::CommandError;
use crate::cluster::{self, Access, Live, LiveOptions};

/// Where a pod has the token of its service account (Kubernetes, "Accessing the API from a Pod").
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Which cluster.
#[derive(Debug, Args)]
pub(super) struct ConnectionArgs {
    /// Ask the cluster of this kubeconfig [default: that of the environment, or the pod's account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Ask the cluster of this context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ConnectionArgs {
    /// The cluster that is named, or that of the environment.
    pub(super) fn access(&self) -> Access {
        Access { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() }
    }
}

/// Whether the cluster is asked, and which.
#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    /// Ask the cluster: by the kubeconfig of the environment, or the service account of the pod (the default in a pod)
    #[arg(long)]
    cluster: bool,

    #[command(flatten)]
    connection: ConnectionArgs,
}

impl ClusterArgs {
    /// Whether it was written that the cluster is to be asked.
    pub(super) fn is_asked(&self) -> bool {
        let access = self.connection.access();
        self.cluster || access.kubeconfig.is_some() || access.context.is_some()
    }

    /// How the cluster is reached; `None` where nobody asked for it and the program does not run in one as an account
    /// of it.
    pub(super) fn access(&self) -> Option<Access> {
        (self.is_asked() || is_in_pod()).then(|| self.connection.access())
    }
}

/// A pod without an account has no way to its cluster: `automountServiceAccountToken: false`, or a runner in a pod.
fn is_in_pod() -> bool {
    environment::read("KUBERNETES_SERVICE_HOST").is_some() && Path::new(ACCOUNT).exists()
}

/// The way to a cluster that must be there.
pub(super) async fn connect(access: &Access) -> Result<Live, CommandError> {
    Live::connect(access, LiveOptions::default()).await.map_err(not_connected)
}

/// The error with what to do next.
pub(super) fn not_connected(error: cluster::Error) -> CommandError {
    let hint = match &error {
        cluster::Error::Unreachable { .. } => {
            "check that the address can be reached from here and the credentials are valid"
        }
        _ => "name a kubeconfig with `--kubeconfig FILE`, or one of its contexts with `--context NAME`",
    };
    CommandError::failed(error).hint(hint)
}
