//! An API server on loopback with a cluster of 100 nodes, 5,000 pods and 300 HelmReleases, counting what is asked.
//!
//! Objects are the same in every run and as long as real ones, managed fields included: 57 MB of pods.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;

pub(crate) const NODES: usize = 100;
pub(crate) const PODS: usize = 5_000;
pub(crate) const RELEASES: usize = 300;
/// Deployments, each with ten pods of one ReplicaSet and an old ReplicaSet.
const DEPLOYMENTS: usize = PODS / 10;
/// Length of a pod's JSON: 5,000 of them are 57 MB.
const POD_BYTES: usize = 11_400;
/// Every list and event says this version; nothing changes while it is measured.
const VERSION: &str = "424242";

struct Shared {
    requests: AtomicUsize,
    /// Path → items of the list, as JSON.
    lists: HashMap<String, Vec<String>>,
}

pub(crate) struct ApiServer {
    shared: Arc<Shared>,
    url: String,
    /// Serves until it is dropped.
    _runtime: tokio::runtime::Runtime,
}

impl ApiServer {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared { requests: AtomicUsize::new(0), lists: lists() });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, url, _runtime: runtime }
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Bytes of all objects.
    pub(crate) fn bytes(&self) -> usize {
        self.shared.lists.values().flatten().map(String::len).sum()
    }

    pub(crate) fn kubeconfig(&self) -> String {
        let url = &self.url;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: bench\n\
             clusters: [{{name: bench, cluster: {{server: \"{url}\"}}}}]\n\
             users: [{{name: bench, user: {{token: bench}}}}]\n\
             contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]\n"
        )
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let text = match path {
        "/version" => r#"{"gitVersion":"v1.33.4+k3s1"}"#.to_owned(),
        "/apis" => groups(&shared),
        "/readyz" | "/livez" => "[+]ping ok\n[+]etcd ok\nreadyz check passed\n".to_owned(),
        path => match shared.lists.get(path) {
            Some(_) if parameter("watch").is_some() => {
                // Nothing ever happens.
                return Response::new(Body::from_stream(futures_util::stream::pending::<
                    Result<String, std::io::Error>,
                >()));
            }
            Some(items) => {
                let number = |name: &str| parameter(name).and_then(|text| text.parse::<usize>().ok());
                let from = number("continue").unwrap_or(0);
                let to = (from + number("limit").unwrap_or(items.len())).min(items.len());
                let next = if to < items.len() { to.to_string() } else { String::new() };
                let items = items[from..to].join(",");
                format!(
                    r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"{VERSION}","continue":"{next}"}},"items":[{items}]}}"#
                )
            }
            None => {
                let mut missing = Response::new(Body::from(r#"{"kind":"Status","code":404}"#));
                *missing.status_mut() = axum::http::StatusCode::NOT_FOUND;
                return missing;
            }
        },
    };
    Response::new(Body::from(text))
}

/// All groups in one document, as API servers from Kubernetes 1.26 on answer.
fn groups(shared: &Shared) -> String {
    let items: Vec<String> = shared
        .lists
        .keys()
        .filter_map(|path| path.strip_prefix("/apis/"))
        .map(|path| {
            let parts: Vec<&str> = path.split('/').collect();
            format!(
                r#"{{"metadata":{{"name":"{}"}},"versions":[{{"version":"{}","resources":[{{"resource":"{}"}}]}}]}}"#,
                parts[0], parts[1], parts[2]
            )
        })
        .collect();
    format!(r#"{{"kind":"APIGroupDiscoveryList","items":[{}]}}"#, items.join(","))
}

fn lists() -> HashMap<String, Vec<String>> {
    let mut lists = HashMap::new();
    let mut add = |path: &str, count: usize, make: &dyn Fn(usize) -> String| {
        lists.insert(path.to_owned(), (0..count).map(make).collect::<Vec<_>>());
    };
    add("/api/v1/nodes", NODES, &node);
    add("/api/v1/namespaces", 60, &|number| {
        simple(&format!("team-{number}"), None, r#""status":{"phase":"Active"}"#)
    });
    add("/api/v1/pods", PODS, &pod);
    add("/api/v1/services", DEPLOYMENTS, &|number| {
        in_team(
            number,
            r#""spec":{"type":"ClusterIP","selector":{"app":"a"},"ports":[{"port":80}]},"status":{}"#,
        )
    });
    add("/apis/apps/v1/deployments", DEPLOYMENTS, &|number| workload(number, 10));
    add("/apis/apps/v1/replicasets", 2 * DEPLOYMENTS, &|number| {
        workload(number, if number % 2 == 0 { 10 } else { 0 })
    });
    add("/apis/apps/v1/statefulsets", 40, &|number| workload(number, 1));
    add("/apis/apps/v1/daemonsets", 12, &|number| workload(number, NODES));
    add("/apis/batch/v1/jobs", 50, &|number| {
        in_team(
            number,
            r#""spec":{"completions":1},"status":{"succeeded":1,"conditions":[{"type":"Complete","status":"True"}]}"#,
        )
    });
    add("/apis/discovery.k8s.io/v1/endpointslices", DEPLOYMENTS, &|number| {
        in_team(
            number,
            r#""addressType":"IPv4","endpoints":[{"addresses":["10.42.1.7"],"conditions":{"ready":true,"serving":true}}],"ports":[{"port":8080}]"#,
        )
    });
    add("/api/v1/persistentvolumeclaims", 200, &|number| {
        in_team(
            number,
            r#""spec":{"storageClassName":"longhorn","volumeName":"pvc"},"status":{"phase":"Bound"}"#,
        )
    });
    add("/api/v1/persistentvolumes", 200, &|number| {
        simple(
            &format!("pvc-{number}"),
            None,
            r#""spec":{"storageClassName":"longhorn"},"status":{"phase":"Bound"}"#,
        )
    });
    add("/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations", 40, &|number| {
        flux(number, r#""lastAppliedRevision":"main@sha1:0123456789abcdef0123456789abcdef01234567""#)
    });
    add("/apis/helm.toolkit.fluxcd.io/v2/helmreleases", RELEASES, &|number| {
        flux(
            number,
            r#""history":[{"chartName":"demo","chartVersion":"1.2.3","status":"deployed","version":3,"namespace":"apps","name":"demo","digest":"sha256:00"}]"#,
        )
    });
    add("/apis/source.toolkit.fluxcd.io/v1/gitrepositories", 1, &|number| {
        flux(number, r#""artifact":{"revision":"main@sha1:0123456789abcdef0123456789abcdef01234567"}"#)
    });
    add("/apis/source.toolkit.fluxcd.io/v1/helmrepositories", 100, &|number| {
        flux(number, r#""artifact":{"revision":"sha256:00"}"#)
    });
    add("/apis/longhorn.io/v1beta2/volumes", 200, &|number| {
        in_team(
            number,
            r#""spec":{"numberOfReplicas":3},"status":{"state":"attached","robustness":"healthy","currentImage":"longhornio/longhorn-engine:v1.9.1"}"#,
        )
    });
    add("/apis/storage.k8s.io/v1/storageclasses", 2, &|number| {
        simple(&format!("class-{number}"), None, r#""provisioner":"driver.longhorn.io""#)
    });
    lists
}

/// What API servers write beside the object itself.
fn managed(bytes: usize) -> String {
    let mut fields = String::from(r#"{"f:metadata":{"f:labels":{".":{}"#);
    let mut number = 0;
    while fields.len() < bytes {
        write!(fields, r#","f:field-{number}":{{".":{{}},"f:name":{{}},"f:value":{{}},"k:{{\"name\":\"VARIABLE_{number}\"}}":{{}}}}"#).unwrap();
        number += 1;
    }
    fields.push_str("}}}");
    format!(
        r#"[{{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-11-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{fields}}}]"#
    )
}

fn meta(name: &str, namespace: Option<&str>, managed_bytes: usize, more: &str) -> String {
    let namespace = namespace.map_or_else(String::new, |name| format!(r#""namespace":"{name}","#));
    format!(
        r#""metadata":{{"name":"{name}",{namespace}"uid":"0a1b2c3d-0000-4000-8000-{:012x}","resourceVersion":"{VERSION}","generation":1,"creationTimestamp":"2026-11-01T00:00:00Z","labels":{{"app.kubernetes.io/name":"{name}","app.kubernetes.io/managed-by":"Helm"}},{more}"managedFields":{}}}"#,
        name.bytes().fold(0u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
            & 0xffff_ffff_ffff,
        managed(managed_bytes)
    )
}

fn simple(name: &str, namespace: Option<&str>, rest: &str) -> String {
    format!("{{{},{rest}}}", meta(name, namespace, 600, ""))
}

fn team(number: usize) -> String {
    format!("team-{}", number % 60)
}

fn in_team(number: usize, rest: &str) -> String {
    simple(&format!("app-{number}"), Some(&team(number)), rest)
}

fn flux(number: usize, status: &str) -> String {
    let rest = format!(
        r#""spec":{{"interval":"10m","values":{{"image":{{"tag":"1.2.3"}},"replicas":3,"text":"{}"}}}},"status":{{"observedGeneration":1,{status},"conditions":[{{"type":"Ready","status":"True","reason":"Succeeded","message":"all is well","observedGeneration":1,"lastTransitionTime":"2026-11-01T00:00:00Z"}}]}}"#,
        "v".repeat(2_000)
    );
    in_team(number, &rest)
}

fn workload(number: usize, replicas: usize) -> String {
    let rest = format!(
        r#""spec":{{"replicas":{replicas},"selector":{{"matchLabels":{{"app":"a"}}}},"template":{{"metadata":{{"labels":{{"app":"a"}}}},"spec":{{"containers":[{{"name":"main","image":"registry.example.com/a:1.2.3","env":[{{"name":"A","value":"b"}}]}}]}}}}}},"status":{{"observedGeneration":1,"replicas":{replicas},"readyReplicas":{replicas},"availableReplicas":{replicas},"updatedReplicas":{replicas},"currentNumberScheduled":{replicas},"desiredNumberScheduled":{replicas},"numberReady":{replicas},"numberAvailable":{replicas},"updatedNumberScheduled":{replicas},"conditions":[{{"type":"Available","status":"True","reason":"MinimumReplicasAvailable","lastTransitionTime":"2026-11-01T00:00:00Z"}}]}}"#
    );
    let name = format!("app-{number}");
    format!("{{{},{rest}}}", meta(&name, Some(&team(number)), 2_500, ""))
}

fn node(number: usize) -> String {
    let images: Vec<String> = (0..50)
        .map(|image| format!(r#"{{"names":["registry.example.com/image-{image}@sha256:{}","registry.example.com/image-{image}:1.2.3"],"sizeBytes":123456789}}"#, "a".repeat(64)))
        .collect();
    let conditions: Vec<String> = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"]
        .iter()
        .map(|kind| {
            let status = if *kind == "Ready" { "True" } else { "False" };
            format!(r#"{{"type":"{kind}","status":"{status}","lastHeartbeatTime":"2026-11-21T00:00:00Z","lastTransitionTime":"2026-11-01T00:00:00Z","reason":"Kubelet","message":"fine"}}"#)
        })
        .collect();
    let rest = format!(
        r#""spec":{{"podCIDR":"10.42.0.0/24"}},"status":{{"capacity":{{"pods":"110"}},"allocatable":{{"pods":"110"}},"conditions":[{}],"nodeInfo":{{"kubeletVersion":"v1.33.4+k3s1"}},"images":[{}]}}"#,
        conditions.join(","),
        images.join(",")
    );
    format!("{{{},{rest}}}", meta(&format!("node-{number}"), None, 3_000, ""))
}

fn pod(number: usize) -> String {
    let (deployment, name) = (number / 10, format!("app-{}-7f9c6d5b8-{number:05}", number / 10));
    let owner = format!(
        r#""ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"app-{}","uid":"0a1b2c3d-0000-4000-8000-000000000000","controller":true,"blockOwnerDeletion":true}}],"#,
        2 * deployment
    );
    let environment: Vec<String> = (0..20).map(|number| format!(r#"{{"name":"VARIABLE_{number}","value":"some value that is as long as values are, number {number}"}}"#)).collect();
    let conditions: Vec<String> = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .iter()
        .map(|kind| format!(r#"{{"type":"{kind}","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-11-01T00:00:00Z"}}"#))
        .collect();
    let rest = format!(
        r#""spec":{{"volumes":[{{"name":"config","configMap":{{"name":"config","defaultMode":420}}}},{{"name":"kube-api-access","projected":{{"sources":[{{"serviceAccountToken":{{"expirationSeconds":3607,"path":"token"}}}}],"defaultMode":420}}}}],"containers":[{{"name":"main","image":"registry.example.com/a:1.2.3","env":[{}],"resources":{{"limits":{{"memory":"128Mi"}},"requests":{{"cpu":"10m","memory":"64Mi"}}}},"volumeMounts":[{{"name":"config","mountPath":"/etc/config"}}],"livenessProbe":{{"httpGet":{{"path":"/healthz","port":8080,"scheme":"HTTP"}},"periodSeconds":10}},"imagePullPolicy":"IfNotPresent"}}],"restartPolicy":"Always","nodeName":"node-{}","tolerations":[{{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}}]}},"status":{{"phase":"Running","conditions":[{}],"hostIP":"192.168.1.7","podIP":"10.42.1.7","startTime":"2026-11-01T00:00:00Z","containerStatuses":[{{"name":"main","state":{{"running":{{"startedAt":"2026-11-01T00:00:10Z"}}}},"lastState":{{}},"ready":true,"restartCount":0,"image":"registry.example.com/a:1.2.3","imageID":"registry.example.com/a@sha256:{}","containerID":"containerd://{}","started":true}}],"qosClass":"Burstable"}}"#,
        environment.join(","),
        number % NODES,
        conditions.join(","),
        "b".repeat(64),
        "c".repeat(64)
    );
    let without = rest.len() + owner.len() + 600;
    let meta = meta(&name, Some(&team(deployment)), POD_BYTES.saturating_sub(without), &owner);
    format!("{{{meta},{rest}}}")
}
