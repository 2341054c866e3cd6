//! A cluster as it is: the port of the use cases over the Kubernetes API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::ask::{Asker, Failure, Question};
use super::client::{Access, Error, clients};
use super::discovery::{Service, services};
use super::page::page;
use super::path::Path;
use super::reduce::Reducer;
use super::sight::Sight;
use super::watch::{First, Watcher};
use crate::app::cluster::{Cluster, ClusterError, ErrorClass, Resource, Scope, Watch};
use crate::clock::{MachineTime, Time};
use crate::domain::settle::health::{LOOKING, MISSING_RIGHT};
use crate::domain::settle::kind::Kind;

/// What is told before anybody takes it. Objects wait here, not in memory without bounds.
const WAITING: usize = 512;
/// Objects a page of [`Cluster::list`], which makes trees of them.
const PAGE: u32 = 100;
/// Most objects that are returned as JSON.
const MAX_OBJECTS: usize = 10_000;
/// Lines of a log that are asked for: the API cuts bytes only at the end.
const LOG_LINES: &str = "2000";
/// Most bytes of a log that are read.
const MAX_LOG: usize = 4 * 1024 * 1024;
/// Who is written into managed fields.
const MANAGER: &str = "gitops-updater";

/// A connection to a cluster.
#[derive(Clone)]
pub struct Live {
    asker: Arc<Asker>,
    version: String,
    namespace: String,
    quiet: Duration,
    reducer: Option<Reducer>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Why a kind was not seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// The cluster does not have it.
    Absent,
    /// Told to the reader.
    Because(String),
}

/// How a cluster is looked at.
#[derive(Clone)]
pub struct LiveOptions {
    /// How time passes between attempts.
    pub time: Arc<dyn Time>,
    /// Where nothing is heard for so long, the API server is asked whether it is there.
    pub quiet: Duration,
    /// Tells the JSON of objects as well, reduced so.
    pub recorded: Option<Reducer>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self { time: Arc::new(MachineTime), quiet: Duration::from_secs(10), recorded: None }
    }
}

impl Live {
    /// Connects, and asks the API server for its version.
    ///
    /// # Errors
    ///
    /// No way to a cluster is known, or it does not answer.
    pub async fn connect(access: &Access, options: LiveOptions) -> Result<Self, Error> {
        let clients = clients(access).await?;
        let asker = Asker::new(clients.short, clients.long, options.time);
        let version = asker.ask(&Question::get(Path::fixed("/version"))).await;
        let version = version.and_then(|body| {
            let version: Value = serde_json::from_slice(&body)
                .map_err(|error| Failure::strange(format!("the answer is no version: {error}")))?;
            Ok(version["gitVersion"].as_str().unwrap_or_default().to_owned())
        });
        let version =
            version.map_err(|failure| Error::Unreachable { url: clients.url, reason: failure.reason })?;
        Ok(Self {
            asker: Arc::new(asker),
            version,
            namespace: clients.namespace,
            quiet: options.quiet,
            reducer: options.recorded,
        })
    }

    /// The namespace of the pod that this program runs in, or of the kubeconfig's context.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Version of the API server (`v1.33.4+k3s1`).
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Calls `each` with every object of a kind that has these labels, in the served version that is preferred.
    pub(super) async fn each(
        &self,
        kind: Kind,
        labels: &str,
        mut each: impl FnMut(&Value) + Send,
    ) -> Result<(), Unseen> {
        let api = kind.api();
        for version in api.versions {
            let resource = Resource { version: (*version).to_owned(), ..Resource::of(kind) };
            let place = Place { kind: &resource, namespace: None, name: None };
            match self.pages(place, labels, &mut each).await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.class == ErrorClass::NotFound => {}
                Err(failure) => {
                    let error = place.refused(failure, "list", format!("list {}", place.full_name()));
                    let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
                    return Err(Unseen::Because(format!("{error}{hint}")));
                }
            }
        }
        Err(Unseen::Absent)
    }

    /// Lists a kind, page by page.
    async fn pages(
        &self,
        place: Place<'_>,
        labels: &str,
        each: &mut (impl FnMut(&Value) + Send),
    ) -> Result<(), Failure> {
        let path = place.path()?;
        let (mut token, mut count) = (String::new(), 0);
        loop {
            let mut wrong = None;
            let asked = page(&self.asker, &path, labels, PAGE, &token, |item| {
                count += 1;
                match json(item) {
                    Ok(item) => each(&item),
                    Err(failure) => wrong = Some(failure),
                }
            });
            let meta = asked.await?;
            if let Some(failure) = wrong {
                return Err(failure);
            }
            if count > MAX_OBJECTS {
                return Err(Failure::strange(format!("there are more than {MAX_OBJECTS}")));
            }
            if meta.r#continue.is_empty() {
                return Ok(());
            }
            token = meta.r#continue;
        }
    }

    async fn write(
        &self,
        verb: &'static str,
        method: Method,
        media: &'static str,
        place: Place<'_>,
        body: &Value,
    ) -> Result<Value, ClusterError> {
        let attempted = || format!("{verb} {}", place.title());
        let written = async {
            let bytes = serde_json::to_vec(body).map_err(|error| Failure::strange(error.to_string()))?;
            let path = place.path()?.with("fieldManager", MANAGER);
            let question =
                Question { method, body: Some((media, Bytes::from(bytes))), ..Question::get(path) };
            json(&self.asker.ask(&question).await?)
        };
        written.await.map_err(|failure| place.refused(failure, verb, attempted()))
    }
}

fn json(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::strange(format!("the answer is no JSON: {error}")))
}

/// An object, or all of a kind.
#[derive(Clone, Copy)]
struct Place<'a> {
    kind: &'a Resource,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl Place<'_> {
    fn path(&self) -> Result<Path, Failure> {
        let path = Path::of(&self.kind.group, &self.kind.version, self.namespace, &self.kind.plural)?;
        self.name.map_or_else(|| Ok(path.clone()), |name| path.clone().below(name))
    }

    /// `HelmRelease/apps/demo`.
    fn title(&self) -> String {
        let parts = [Some(self.kind.kind.as_str()), self.namespace, self.name];
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    /// `helmreleases.helm.toolkit.fluxcd.io`.
    fn full_name(&self) -> String {
        let Resource { group, plural, .. } = self.kind;
        if group.is_empty() { plural.clone() } else { format!("{plural}.{group}") }
    }

    fn refused(&self, failure: Failure, verb: &str, attempted: String) -> ClusterError {
        let denied = failure.code == 403;
        let hint = denied.then(|| rule(&self.kind.group, &self.kind.plural, &[verb], self.namespace));
        failure.attempting(attempted, hint)
    }
}

/// The RBAC rule that is missing.
fn rule(group: &str, plural: &str, verbs: &[&str], namespace: Option<&str>) -> String {
    let place = namespace.map_or_else(String::new, |namespace| format!(" in the namespace `{namespace}`"));
    let verbs = verbs.join(", ");
    format!("{MISSING_RIGHT} {{apiGroups: [\"{group}\"], resources: [{plural}], verbs: [{verbs}]}}{place}")
}

/// A watcher that was not started yet.
struct Started {
    kind: Kind,
    namespace: Option<String>,
    first: oneshot::Receiver<First>,
}

impl Cluster for Live {
    async fn watch(&self, scope: &Scope) -> Result<Watch, ClusterError> {
        let failed = |failure: Failure| failure.attempting("look at the cluster", None);
        let mut absent = Vec::new();
        let mut unseen = Vec::new();
        let mut places = Vec::new();
        for (kind, service) in services(&self.asker, &scope.kinds).await.map_err(failed)? {
            let version = match service {
                Service::In(version) => version,
                Service::Strange(versions) => {
                    let api = kind.api();
                    let versions = versions.join(", ");
                    unseen
                        .push((kind, format!("`{}.{}` is served only in {versions}", api.plural, api.group)));
                    continue;
                }
                Service::Absent => {
                    absent.push(kind);
                    continue;
                }
            };
            let namespaces = scope.namespaces.as_ref().filter(|_| kind.api().namespaced);
            match namespaces {
                None => places.push((kind, version, None)),
                Some(namespaces) => {
                    places.extend(namespaces.iter().map(|name| (kind, version, Some(name.clone()))));
                }
            }
        }
        let (out, seen) = mpsc::channel(WAITING);
        let kinds: Vec<Kind> = places.iter().map(|(kind, ..)| *kind).collect();
        let sight = Arc::new(Sight::new(out.clone(), &kinds));
        let mut started = Vec::new();
        for (kind, version, namespace) in places {
            let api = kind.api();
            let mut path = Path::of(api.group, version, namespace.as_deref(), api.plural).map_err(failed)?;
            if let Some(selector) = kind.field_selector() {
                path = path.with("fieldSelector", selector);
            }
            let (sender, first) = oneshot::channel();
            let watcher = Watcher {
                asker: self.asker.clone(),
                kind,
                version,
                path,
                follow: !scope.once,
                reducer: self.reducer.clone(),
                sight: sight.clone(),
                first: Some(sender),
            };
            tokio::spawn(watcher.run());
            started.push(Started { kind, namespace, first });
        }
        let (asker, quiet) = (self.asker.clone(), self.quiet);
        if !scope.once {
            tokio::spawn(async move {
                tokio::select! {
                    () = out.closed() => {}
                    _ = sight.report(&asker) => {}
                    () = sight.listen(&asker, quiet) => {}
                }
            });
        }
        let mut watching: BTreeMap<Kind, ()> = BTreeMap::new();
        for Started { kind, namespace, first } in started {
            let api = kind.api();
            // A watcher that ended without a word was stopped with the program.
            match first.await.unwrap_or(First::Seen) {
                First::Seen => drop(watching.insert(kind, ())),
                First::Absent => absent.push(kind),
                First::Denied(reason) => {
                    let rule = rule(api.group, api.plural, &LOOKING, namespace.as_deref());
                    unseen.push((kind, format!("{reason}; {rule}")));
                }
            }
        }
        // Seen in one namespace, a kind may be missing in another; that is what must be known.
        watching.retain(|kind, ()| !unseen.iter().any(|(other, _)| other == kind));
        Ok(Watch { watching: watching.into_keys().collect(), absent, unseen, seen })
    }

    async fn readiness(&self) -> Result<Vec<(String, bool)>, ClusterError> {
        let path = Path::fixed("/readyz").with("verbose", "true");
        let question = Question { accept: "text/plain, */*", ..Question::get(path) };
        match self.asker.once(&question).await {
            Ok(body) => Ok(checks(&String::from_utf8_lossy(&body))),
            // Not ready is an answer, too: the body names the checks.
            Err(failure) if failure.code == 500 && !failure.text.is_empty() => Ok(checks(&failure.text)),
            Err(failure) => Err(failure.attempting("ask the API server whether it is ready", None)),
        }
    }

    async fn get(&self, kind: &Resource, namespace: Option<&str>, name: &str) -> Result<Value, ClusterError> {
        let place = Place { kind, namespace, name: Some(name) };
        let got = async { json(&self.asker.ask(&Question::get(place.path()?)).await?) };
        got.await.map_err(|failure| place.refused(failure, "get", format!("read {}", place.title())))
    }

    async fn list(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        labels: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let place = Place { kind, namespace, name: None };
        let listed = async {
            let mut all = Vec::new();
            match self.pages(place, labels, &mut |item| all.push(item.clone())).await {
                // It took longer than the API server remembers.
                Err(failure) if failure.is_expired() => {
                    all.clear();
                    self.pages(place, labels, &mut |item| all.push(item.clone())).await?;
                }
                listed => listed?,
            }
            Ok(all)
        };
        listed.await.map_err(|failure| place.refused(failure, "list", format!("list {}", place.title())))
    }

    async fn create(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ClusterError> {
        let place = Place { kind, namespace, name: None };
        self.write("create", Method::POST, "application/json", place, object).await
    }

    async fn replace(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
        object: &Value,
    ) -> Result<Value, ClusterError> {
        let place = Place { kind, namespace, name: Some(name) };
        self.write("update", Method::PUT, "application/json", place, object).await
    }

    async fn patch(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ClusterError> {
        let place = Place { kind, namespace, name: Some(name) };
        self.write("patch", Method::PATCH, "application/merge-patch+json", place, patch).await
    }

    async fn delete(&self, kind: &Resource, namespace: Option<&str>, name: &str) -> Result<(), ClusterError> {
        let place = Place { kind, namespace, name: Some(name) };
        // Jobs leave their pods behind otherwise.
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
        self.write("delete", Method::DELETE, "application/json", place, &options).await.map(drop)
    }

    async fn log(&self, namespace: &str, pod: &str, limit: usize) -> Result<String, ClusterError> {
        let kind = Resource::of(Kind::Pod);
        let place = Place { kind: &kind, namespace: Some(namespace), name: Some(pod) };
        let read = async {
            let path = place.path()?.below("log")?.with("tailLines", LOG_LINES);
            let path = path.with("limitBytes", &MAX_LOG.to_string());
            let question = Question { accept: "text/plain, */*", ..Question::get(path) };
            let mut bytes = self.asker.ask(&question).await?;
            bytes.drain(..bytes.len().saturating_sub(limit));
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read.await.map_err(|failure: Failure| {
            let denied = failure.code == 403;
            let hint = denied.then(|| rule("", "pods/log", &["get"], Some(namespace)));
            failure.attempting(format!("read the log of {}", place.title()), hint)
        })
    }
}

/// The checks of `/readyz?verbose`: `[+]etcd ok`, `[-]etcd failed: reason withheld`.
fn checks(text: &str) -> Vec<(String, bool)> {
    let check = |line: &str| {
        let (passes, rest) = match line.split_at_checked(3)? {
            ("[+]", rest) => (true, rest),
            ("[-]", rest) => (false, rest),
            _ => return None,
        };
        Some((rest.split_whitespace().next()?.to_owned(), passes))
    };
    text.lines().filter_map(check).collect()
}
