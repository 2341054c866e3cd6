//! The HTTP client and what stands on it, against servers on this machine.

mod bounds;
mod cache;
mod charts;
mod credentials;
mod everything;

use crate::support::fake_upstream::{FakeUpstream, Fault, raw};
use gitops_updater::app::ports::{Clock, Progress, Upstreams as _, Wanted};
use gitops_updater::domain::upstream::{FailureClass, UpstreamFailure, UpstreamRef};
use gitops_updater::upstream::client::UpstreamClient;
use gitops_updater::upstream::context::{Context, GitOptions, GithubOptions, OciOptions, OsvOptions};
use gitops_updater::upstream::credentials::{Credential, Credentials};
use gitops_updater::upstream::helm_index;
use gitops_updater::upstream::http::{Get, Got, Http, HttpOptions};
use gitops_updater::upstream::k3s;
use gitops_updater::upstream::mapping::{Mapping, Target};
use gitops_updater::upstream::retry::Policy;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use url::Url;

const LIMIT: u64 = 8 * 1024 * 1024;

fn options(cache: Option<&Path>) -> HttpOptions {
    HttpOptions {
        cache_dir: cache.map(Path::to_path_buf),
        timeout: Duration::from_secs(5),
        retry: Policy::times(2),
        ..HttpOptions::default()
    }
}

fn http(cache: Option<&Path>) -> Http {
    Http::new(options(cache)).unwrap()
}

fn offline(cache: &Path) -> Http {
    Http::new(HttpOptions { offline: true, ..options(Some(cache)) }).unwrap()
}

async fn text(http: &Http, url: &Url) -> Result<String, UpstreamFailure> {
    http.get(Get::new(url, LIMIT)).await.map(|got| body(&got))
}

fn body(got: &Got) -> String {
    String::from_utf8(got.body.bytes(LIMIT).unwrap().to_vec()).unwrap()
}

fn bearer(token: &str) -> SecretString {
    SecretString::from(format!("Bearer {token}"))
}

struct Watch(Mutex<Timestamp>);

impl Watch {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-21T10:00:00Z".parse().unwrap())))
    }

    fn wait(&self, time: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(time).unwrap();
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn index(charts: usize, versions: usize) -> String {
    let mut text = "apiVersion: v1\nentries:\n".to_owned();
    for chart in 0..charts {
        text.push_str(&format!("  chart-{chart}:\n"));
        for version in (0..versions).rev() {
            text.push_str(&format!(
                "  - apiVersion: v2\n    created: \"2026-01-01T00:00:00Z\"\n    name: chart-{chart}\n    urls:\n    - chart-{chart}-1.{version}.0.tgz\n    version: 1.{version}.0\n"
            ));
        }
    }
    text.push_str("generated: \"2026-01-01T00:00:00Z\"\n");
    text
}
