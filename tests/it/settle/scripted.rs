//! A cluster that shows what a recording has, at its times.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gitops_updater::app::cluster::{Cluster, ClusterError, ErrorClass, Looked, Resource, Scope, Watch};
use gitops_updater::domain::settle::kind::Kind;
use gitops_updater::domain::settle::line::{Change, Seen};
use gitops_updater::domain::settle::object::Object;
use serde_json::Value;
use tokio::sync::Notify;

/// Plays lines of a recording.
pub(super) struct Scripted {
    lines: Vec<Value>,
    /// Seconds of the recording at which the watch begins.
    from: f64,
    /// What happens elsewhere while everything is listed.
    pub(super) meanwhile: Option<Box<dyn Fn() + Send + Sync>>,
    /// What happens elsewhere right before the first line at or after this second.
    pub(super) then: Option<(f64, Arc<dyn Fn() + Send + Sync>)>,
    /// From this second after it was first asked on, a check of `/readyz` fails.
    pub(super) unready_from: Option<f64>,
    begun: std::sync::OnceLock<tokio::time::Instant>,
    /// It takes no patches, for this reason.
    pub(super) refuses: Option<ErrorClass>,
    /// What follows when it is asked for something: times are from then.
    pub(super) answer: Vec<Value>,
    /// It is asked, here or before the watch began.
    pub(super) is_asked: Arc<Notify>,
    /// What was asked of it.
    pub(super) asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub(super) fn of(text: &str, from: f64) -> Self {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Self {
            lines,
            from,
            meanwhile: None,
            then: None,
            unready_from: None,
            begun: std::sync::OnceLock::new(),
            refuses: None,
            answer: Vec::new(),
            is_asked: Arc::default(),
            asked: Mutex::default(),
        }
    }

    fn watching(&self) -> Vec<Kind> {
        let labels = self.lines[0]["header"]["watching"].as_array().unwrap();
        labels.iter().filter_map(|label| Kind::of_label(label.as_str().unwrap())).collect()
    }
}

/// What a line shows; `None` for what is no matter of the cluster.
fn looked(line: &Value) -> Option<Looked> {
    let seen = if let Some(object) = line.get("object") {
        let kind = Kind::of(object["apiVersion"].as_str()?, object["kind"].as_str()?)?;
        let change = match line["type"].as_str()? {
            "ADDED" => Change::Added,
            "MODIFIED" => Change::Modified,
            _ => Change::Deleted,
        };
        let kept = Object::from_slice(kind, &serde_json::to_vec(object).unwrap()).unwrap();
        Seen::Event { change, object: kept, initial: line["initial"] == true }
    } else {
        let view = line.get("view")?;
        let kinds = line["kinds"]
            .as_array()
            .map(|kinds| kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect());
        Seen::View { back: view == "back", kinds }
    };
    Some(Looked::Seen(Box::new(seen), line.get("object").cloned().map(Box::new)))
}

impl Cluster for Scripted {
    async fn watch(&self, _: &Scope) -> Result<Watch, ClusterError> {
        if let Some(meanwhile) = &self.meanwhile {
            meanwhile();
        }
        let (send, seen) = tokio::sync::mpsc::channel(64);
        let lines = self.lines.clone();
        let from = self.from;
        let mut then = self.then.clone();
        let (answer, is_asked) = (self.answer.clone(), self.is_asked.clone());
        tokio::spawn(async move {
            let begun = tokio::time::Instant::now();
            let mut complete = false;
            for line in &lines {
                let t = line["t"].as_f64().unwrap();
                if t > from && !complete {
                    complete = true;
                    if send.send(Looked::Complete).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep_until(begun + Duration::from_secs_f64((t - from).max(0.0))).await;
                if let Some((_, happens)) = then.take_if(|(at, _)| t >= *at) {
                    happens();
                }
                if let Some(looked) = looked(line)
                    && send.send(looked).await.is_err()
                {
                    return;
                }
            }
            if !complete {
                let _gone = send.send(Looked::Complete).await.is_err();
            }
            if !answer.is_empty() {
                is_asked.notified().await;
            }
            let asked = tokio::time::Instant::now();
            for line in &answer {
                let t = Duration::from_secs_f64(line["t"].as_f64().unwrap());
                tokio::time::sleep_until(asked + t).await;
                if let Some(looked) = looked(line)
                    && send.send(looked).await.is_err()
                {
                    return;
                }
            }
            // A cluster does not end with its recording.
            std::future::pending::<()>().await;
        });
        Ok(Watch { watching: self.watching(), absent: vec![], unseen: vec![], seen })
    }

    async fn readiness(&self) -> Result<Vec<(String, bool)>, ClusterError> {
        let now = tokio::time::Instant::now();
        let since = now.duration_since(*self.begun.get_or_init(|| now)).as_secs_f64();
        Ok(vec![("etcd".to_owned(), self.unready_from.is_none_or(|from| since < from))])
    }

    async fn get(&self, kind: &Resource, _: Option<&str>, name: &str) -> Result<Value, ClusterError> {
        let is_it = |object: &&Value| object["kind"] == *kind.kind && object["metadata"]["name"] == *name;
        let found = self.lines.iter().rev().filter_map(|line| line.get("object")).find(is_it);
        found.cloned().ok_or_else(|| missing(&format!("get {}/{name}", kind.kind)))
    }

    async fn list(&self, _: &Resource, _: Option<&str>, _: &str) -> Result<Vec<Value>, ClusterError> {
        Ok(vec![])
    }

    async fn create(&self, kind: &Resource, _: Option<&str>, _: &Value) -> Result<Value, ClusterError> {
        Err(missing(&format!("create {}", kind.kind)))
    }

    async fn replace(
        &self,
        kind: &Resource,
        _: Option<&str>,
        name: &str,
        _: &Value,
    ) -> Result<Value, ClusterError> {
        Err(missing(&format!("replace {}/{name}", kind.kind)))
    }

    async fn patch(
        &self,
        kind: &Resource,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ClusterError> {
        let namespace = namespace.unwrap_or("-");
        if let Some(class) = self.refuses {
            let attempted = format!("patch {}/{namespace}/{name}", kind.kind);
            let reason = "the account may not".to_owned();
            return Err(ClusterError { attempted, reason, class, hint: None });
        }
        self.asked.lock().unwrap().push(format!("{}/{namespace}/{name} {patch}", kind.kind));
        self.is_asked.notify_one();
        Ok(Value::Null)
    }

    async fn delete(&self, kind: &Resource, _: Option<&str>, name: &str) -> Result<(), ClusterError> {
        Err(missing(&format!("delete {}/{name}", kind.kind)))
    }

    async fn log(&self, _: &str, pod: &str, _: usize) -> Result<String, ClusterError> {
        Err(missing(&format!("read the log of {pod}")))
    }
}

fn missing(attempted: &str) -> ClusterError {
    ClusterError {
        attempted: attempted.to_owned(),
        reason: "a recording does nothing".to_owned(),
        class: ErrorClass::NotFound,
        hint: None,
    }
}
