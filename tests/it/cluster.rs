//! The cluster, asked over HTTP: first whether the fake API server is as strict as the real one, then what the
//! program makes of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod asking;
mod facts;
mod fake;
mod leases;
mod recorded;
mod remedies;
mod turns;
mod watching;

use std::time::Duration;

use futures_util::future::BoxFuture;
use gitops_updater::clock::Time;
use gitops_updater::cluster::{Access, Live, LiveOptions, Reducer};
use jiff::Timestamp;

use crate::support::fake_cluster::{FakeCluster, START};

/// Time that stands still; who sleeps only lets others go first.
struct NoTime;

impl Time for NoTime {
    fn now(&self) -> Timestamp {
        START.parse().unwrap()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::task::yield_now())
    }
}

fn options() -> LiveOptions {
    LiveOptions { time: std::sync::Arc::new(NoTime), quiet: Duration::from_millis(200), recorded: None }
}

async fn connect(cluster: &FakeCluster, token: &str, recorded: Option<Reducer>) -> Live {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, cluster.kubeconfig(token)).unwrap();
    let access = Access { kubeconfig: Some(path), context: None };
    Live::connect(&access, LiveOptions { recorded, ..options() }).await.unwrap()
}

/// The role of a component of `deploy/`.
fn role(component: &str) -> serde_json::Value {
    use serde::Deserialize as _;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/components").join(component);
    let text = std::fs::read_to_string(folder.join("role.yaml")).unwrap();
    let first = serde_yaml::Deserializer::from_str(&text).next().unwrap();
    serde_json::Value::deserialize(first).unwrap()
}
