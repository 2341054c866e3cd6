//! Every adapter keeps the limits of the configuration: how often it asks again, how long it waits, and how
//! many requests it has on the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::runtime::Runtime;

use super::world::{problems, reduced};
use crate::support::fake_github::release;
use crate::support::sandbox::Sandbox;
use crate::support::served::Served;

/// What one server saw that stands for all upstreams.
#[derive(Default)]
struct Seen {
    /// Requests by method and path.
    asked: BTreeMap<String, usize>,
    in_flight: usize,
    most_in_flight: usize,
}

/// Refuses everything but the releases of k3s, without which advisories are not asked for.
struct Busy {
    served: Served,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    seen: Mutex<Seen>,
    status: u16,
    pause: Duration,
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let host = request.headers()["host"].to_str().unwrap().to_owned();
    {
        let mut seen = shared.seen.lock().unwrap();
        *seen.asked.entry(format!("{} {path}", request.method())).or_default() += 1;
        seen.in_flight += 1;
        seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
    }
    // What leads on to the token service and to advisories comes at once.
    if !path.contains("k3s-io") && !path.starts_with("/v2/") {
        tokio::time::sleep(shared.pause).await;
    }
    shared.seen.lock().unwrap().in_flight -= 1;
    let response = Response::builder();
    if path.contains("k3s-io") {
        let releases = ["v1.34.1+k3s1", "v1.33.4+k3s1"].map(release).to_vec();
        response.body(Body::from(serde_json::Value::from(releases).to_string())).unwrap()
    } else if path.starts_with("/v2/") {
        let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"busy\"");
        response.status(401).header("www-authenticate", challenge).body(Body::empty()).unwrap()
    } else {
        response.status(shared.status).body(Body::empty()).unwrap()
    }
}

impl Busy {
    fn start(status: u16, pause: Duration) -> Self {
        let shared = Arc::new(Shared { seen: Mutex::default(), status, pause });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let served = runtime.block_on(Served::start(|_| router));
        Self { served, shared, _runtime: runtime }
    }

    /// Looks at the scenario `home` with every upstream led to this server.
    fn detect(&self, settings: &str) -> serde_json::Value {
        let sandbox = Sandbox::with_repo("home");
        let config = sandbox.work().with_file_name("mirror.yaml");
        let url = &self.served.url;
        let mut text = "upstreams:\n  map:\n".to_owned();
        for (from, folder) in [
            ("https://api.github.com", "github"),
            ("https://ghcr.io", ""),
            ("https://registry-1.docker.io", ""),
            ("https://charts.example.com", "charts"),
            ("https://api.osv.dev", "osv"),
            ("https://git.example.com", "git"),
        ] {
            text.push_str(&format!("    - {{from: {from}, to: '{url}{folder}'}}\n"));
        }
        std::fs::write(&config, text + settings).unwrap();
        let arguments = ["detect", "--config", config.to_str().unwrap(), "--no-cache", "--format", "json"];
        sandbox.run(arguments).exited(0).json()["update_report"].clone()
    }

    fn asked(&self) -> BTreeMap<String, usize> {
        self.shared.seen.lock().unwrap().asked.clone()
    }
}

/// What is asked of each kind of upstream, by the beginning of method and path.
const ADAPTERS: [(&str, &str); 5] = [
    ("a chart repository", "GET /charts/index.yaml"),
    ("GitHub", "GET /github/repos/fluxcd/"),
    ("Git", "GET /git/site"),
    ("the token service of a registry", "GET /token"),
    ("advisories", "POST /osv/v1/query"),
];

/// The token service, OSV and Git gave up at a 429 that named no time.
#[test]
fn every_adapter_asks_again_as_often_as_is_configured_and_no_more() {
    for status in [429, 503] {
        let busy = Busy::start(status, Duration::ZERO);
        let report = busy.detect("  retries: 1\n");
        let told = problems(&report);
        assert!(told.contains(") OSV: advisories of k3s are not known: "), "{told}");
        let asked = busy.asked();
        for (adapter, path) in ADAPTERS {
            let counts: Vec<_> = asked.iter().filter(|(asked, _)| asked.starts_with(path)).collect();
            // GitHub asks for a minute of peace, which is longer than a run waits.
            let each = if (adapter, status) == ("GitHub", 429) { 1 } else { 2 };
            // Several repositories of one registry need a token each.
            let right = |count: usize| count >= each && count.is_multiple_of(each);
            assert!(!counts.is_empty(), "{adapter} was not asked: {asked:#?}");
            assert!(counts.iter().all(|(_, count)| right(**count)), "{adapter} with {status}: {counts:?}");
            if adapter != "the token service of a registry" {
                assert!(
                    counts.iter().all(|(_, count)| **count == each),
                    "{adapter} with {status}: {counts:?}"
                );
            }
        }
    }
}

#[test]
fn no_adapter_waits_longer_than_is_configured() {
    let busy = Busy::start(503, Duration::from_secs(60));
    let started = Instant::now();
    let report = busy.detect("  timeout: 1s\n  retries: 0\n");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let asked = busy.asked();
    for (adapter, path) in ADAPTERS {
        assert!(asked.keys().any(|asked| asked.starts_with(path)), "{adapter} was not asked: {asked:#?}");
    }
    assert_eq!(report["components"]["k3s"]["status"], "update_available", "{}", reduced(&report));
    assert!(!problems(&report).contains("503"), "{}", problems(&report));
}

#[test]
fn all_adapters_together_have_no_more_on_the_way_to_a_host_than_is_configured() {
    let busy = Busy::start(503, Duration::from_millis(100));
    busy.detect("  concurrency: 2\n  retries: 0\n");
    let most = busy.shared.seen.lock().unwrap().most_in_flight;
    assert_eq!(most, 2);
}
