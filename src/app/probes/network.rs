//! The network from inside: names, and the way from a Pod to one on another node, directly and through a Service.

use std::time::Duration;

use serde_json::json;

use super::pod::{self, Ended, Limits, Task};
use super::{EXPIRES, LABEL, Testbed, Trial, Tried, inside, not, plain};
use crate::app::cluster::{Cluster, ErrorClass, Resource};
use crate::app::ports::Clock;
use crate::domain::settle::health::probe::NetworkSpec;
use crate::domain::settle::kind::Kind;

/// Port of the Pod that answers and of its Service.
const PORT: u16 = 8080;

/// Answers every request with a text until it is removed.
const SERVER: &str = r#"
set -eu
mkdir -p /data/www
printf '%s' "$1" > /data/www/index.html
exec httpd -f -p 8080 -h /data/www
"#;

/// Asks each address up to five times for the text; prints `ok` or `bad` and the address.
const CLIENT: &str = r#"
set -u
text=$1; shift
for address in "$@"; do
  good=bad
  for try in 1 2 3 4 5; do
    if [ "$(wget -T 5 -q -O - "http://$address/" 2>/dev/null)" = "$text" ]; then good=ok; break; fi
    sleep 1
  done
  printf '%s %s\n' "$good" "$address"
done
"#;

pub(super) async fn tried<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    spec: &NetworkSpec,
) -> Vec<Trial> {
    let mut trials = vec![];
    if !spec.names.is_empty() {
        let results = inside::resolved(testbed, &spec.names).await;
        trials.push(Trial::new("network/dns", names(&spec.names, &results)));
    }
    if spec.pods {
        trials.push(Trial::new("network/pods", pods(testbed).await));
    }
    trials
}

/// One result about all names: bad when one of them is.
fn names(names: &[String], results: &[Tried]) -> Tried {
    let (mut bad, mut not_tried) = (vec![], None);
    for (name, result) in names.iter().zip(results) {
        match result {
            Tried::Good(_) => {}
            Tried::Bad(seen) => bad.push(format!("`{name}` does not resolve: {seen}")),
            Tried::Not(why) => not_tried = Some(why.clone()),
        }
    }
    match (bad.is_empty(), not_tried) {
        (false, _) => Tried::Bad(plain(&bad.join("; "))),
        (true, Some(why)) => Tried::Not(why),
        (true, None) => Tried::Good(plain(&format!("{} resolve in a Pod", names.join(", ")))),
    }
}

async fn pods<C: Cluster, K: Clock + Sync>(testbed: &Testbed<'_, C, K>) -> Tried {
    let server = testbed.name("answers");
    let limits = Limits::within(testbed.pods.timeout);
    let task = Task {
        name: &server,
        script: SERVER,
        arguments: vec![server.clone()],
        port: Some(PORT),
        serves: Some(&server),
        ..Task::default()
    };
    match pod::run(testbed, &task, limits).await {
        Ended::Serves { address, node, uid } => {
            let tried = served(testbed, &server, &Server { address, node, uid }, limits).await;
            pod::remove(testbed, Kind::Pod, &server).await;
            tried
        }
        Ended::Said { log, .. } => Tried::Not(plain(&format!("the Pod that is to answer ended: {log}"))),
        ended => match ended.or_not() {
            Err(tried) => tried,
            Ok(_) => Tried::Not("the Pod that is to answer ended".to_owned()),
        },
    }
}

struct Server {
    address: String,
    node: String,
    uid: String,
}

/// Puts a Service before the Pod that answers, asks both, and removes the Service.
async fn served<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    name: &str,
    server: &Server,
    limits: Limits,
) -> Tried {
    let namespace = testbed.pods.namespace.as_str();
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "gitops-updater", LABEL: "true"},
            "annotations": {EXPIRES: testbed.expires(testbed.pods.timeout * 4)},
            // It goes with the Pod, should nobody be left to remove it.
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": server.uid}],
        },
        "spec": {
            "selector": {"gitops-updater.io/serves": name},
            "ports": [{"port": PORT, "targetPort": PORT}],
        },
    });
    let resource = Resource::of(Kind::Service);
    let tried = match testbed.cluster.create(&resource, Some(namespace), &service).await {
        // There is none to be removed, which would be refused in the same way.
        Err(error) if error.class == ErrorClass::Denied => return not(&error),
        Err(error) if error.class != ErrorClass::Conflict => not(&error),
        Ok(_) | Err(_) => reached(testbed, name, server, limits).await,
    };
    pod::remove(testbed, Kind::Service, name).await;
    tried
}

async fn reached<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    name: &str,
    server: &Server,
    limits: Limits,
) -> Tried {
    let namespace = testbed.pods.namespace.as_str();
    let elsewhere = pod::usable_nodes(testbed.cluster).await.iter().any(|node| *node != server.node);
    let address = if server.address.contains(':') {
        format!("[{}]:{PORT}", server.address)
    } else {
        format!("{}:{PORT}", server.address)
    };
    let client = testbed.name("reaches");
    let task = Task {
        name: &client,
        script: CLIENT,
        arguments: vec![name.to_owned(), address.clone(), format!("{name}.{namespace}.svc:{PORT}")],
        not_on: if elsewhere { vec![server.node.clone()] } else { vec![] },
        ..Task::default()
    };
    let limits = Limits { finished: limits.finished.max(Duration::from_secs(90)), ..limits };
    match pod::run(testbed, &task, limits).await.or_not() {
        Err(tried) => tried,
        Ok((_, log, node)) => said(&log, &address, &server.node, &node),
    }
}

fn said(log: &str, address: &str, from: &str, to: &str) -> Tried {
    let lines: Vec<(&str, &str)> = log.lines().filter_map(|line| line.split_once(' ')).collect();
    if lines.len() != 2 {
        return Tried::Not("the Pod said nothing about it".to_owned());
    }
    let way = if from == to {
        format!("on node {from}, the only one that takes Pods")
    } else {
        format!("from node {to} to node {from}")
    };
    let bad: Vec<&str> = lines
        .iter()
        .filter(|(good, _)| *good != "ok")
        .map(|(_, asked)| if *asked == address { "a Pod" } else { "a Service" })
        .collect();
    if bad.is_empty() {
        Tried::Good(plain(&format!("Pod and Service reached {way}")))
    } else {
        Tried::Bad(plain(&format!("{} not reached {way}", bad.join(" and "))))
    }
}
