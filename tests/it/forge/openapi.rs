//! Every request that the client makes is one that GitHub's published OpenAPI description knows.
//!
//! `GITOPS_UPDATER_GITHUB_OPENAPI` names the description (`api.github.com.json` of the npm package
//! `@octokit/openapi`). Without it the test says so and passes.

use std::collections::BTreeMap;

use gitops_updater::app::forge::{
    CommitStatus, Forge as _, MergeMethod, NewPullRequest, PullRequestChange, StatusState,
};
use gitops_updater::forge::github::{ApiCommit, Auth, FileChange};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{BRANCH, World, proposal};
use crate::support::fake_forge::{APP_KEY, App, Recorded};

/// The parts of the description that are needed.
struct Description {
    document: Value,
}

impl Description {
    #[expect(clippy::disallowed_methods, reason = "tests read the environment")]
    fn given() -> Option<Self> {
        let path = std::env::var("GITOPS_UPDATER_GITHUB_OPENAPI").ok()?;
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read `{path}`: {error}"));
        Some(Self { document: serde_json::from_slice(&text).unwrap() })
    }

    /// Replaces references by what they are for, and OpenAPI's `nullable` by a type.
    fn resolved(&self, value: &Value, depth: usize) -> Value {
        assert!(depth < 64, "references without end");
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                    let target = self.document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
                    return self.resolved(target, depth + 1);
                }
                let mut new: serde_json::Map<_, _> = object
                    .iter()
                    .map(|(key, value)| (key.clone(), self.resolved(value, depth + 1)))
                    .collect();
                if let (Some(Value::Bool(true)), Some(kind)) = (object.get("nullable"), object.get("type")) {
                    new.insert("type".to_owned(), json!([kind, "null"]));
                }
                new.into()
            }
            Value::Array(list) => list.iter().map(|value| self.resolved(value, depth + 1)).collect(),
            other => other.clone(),
        }
    }

    /// The operation of a request, and the values of the path's parameters.
    fn operation(&self, method: &str, path: &str) -> Option<(&Value, BTreeMap<String, String>)> {
        let parts: Vec<&str> = path.split('/').collect();
        let mut best: Option<(usize, &Value, BTreeMap<String, String>)> = None;
        for (template, item) in self.document["paths"].as_object().unwrap() {
            let Some(operation) = item.get(method.to_lowercase()) else { continue };
            let names: Vec<&str> = template.split('/').collect();
            // A ref is the rest of the path, with its slashes.
            let is_ref = *names.last().unwrap() == "{ref}" && template.contains("/git/");
            if names.len() != parts.len() && !(is_ref && parts.len() > names.len()) {
                continue;
            }
            let mut values = BTreeMap::new();
            let mut literal = 0;
            let fits = names.iter().enumerate().all(|(i, name)| {
                match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) => {
                        let value =
                            if i + 1 == names.len() { parts[i..].join("/") } else { parts[i].to_owned() };
                        values.insert(name.to_owned(), value);
                        true
                    }
                    None => {
                        literal += 1;
                        *name == parts[i]
                    }
                }
            });
            if fits && best.as_ref().is_none_or(|(known, ..)| literal > *known) {
                best = Some((literal, operation, values));
            }
        }
        best.map(|(_, operation, values)| (operation, values))
    }

    /// What is wrong with a request.
    fn faults(&self, request: &Recorded) -> Vec<String> {
        let Some((operation, in_path)) = self.operation(&request.method, &request.path) else {
            return vec!["no such operation".to_owned()];
        };
        let mut faults = Vec::new();
        let parameters = self.resolved(&operation["parameters"], 0);
        let parameters: Vec<&Value> = parameters.as_array().into_iter().flatten().collect();
        let find = |place: &str, name: &str| {
            parameters.iter().find(|parameter| parameter["in"] == place && parameter["name"] == name)
        };
        let mut check = |place: &str, name: &str, text: &str| match find(place, name) {
            None => faults.push(format!("{place} parameter `{name}` is unknown")),
            Some(parameter) => {
                let value = typed(text, &parameter["schema"]);
                let schema = validator(&parameter["schema"]);
                faults.extend(schema.iter_errors(&value).map(|error| format!("{place} `{name}`: {error}")));
            }
        };
        for (name, value) in &in_path {
            check("path", name, value);
        }
        for (name, value) in &request.query {
            check("query", name, value);
        }
        let wanted = &operation["requestBody"];
        match (&request.body, wanted.is_null()) {
            (None, true) => {}
            (None, false) if wanted["required"] == true => faults.push("the body is missing".to_owned()),
            (None, false) => {}
            (Some(_), true) => faults.push("there is no body in the description".to_owned()),
            (Some(body), false) => {
                let schema = self.resolved(&wanted["content"]["application/json"]["schema"], 0);
                faults.extend(validator(&schema).iter_errors(body).map(|error| format!("body: {error}")));
                faults.extend(unknown_fields(body, &schema));
            }
        }
        faults
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().with_draft(jsonschema::Draft::Draft4).build(schema).unwrap()
}

/// A parameter is text; its schema says what it stands for.
fn typed(text: &str, schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("integer" | "number") => {
            text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
        }
        Some("boolean") => text.parse::<bool>().map_or_else(|_| json!(text), |flag| json!(flag)),
        _ => json!(text),
    }
}

/// Fields that the description does not name: GitHub may ignore them, and we should not send them.
fn unknown_fields(body: &Value, schema: &Value) -> Vec<String> {
    let mut known: Vec<&str> = Vec::new();
    let mut pending = vec![schema];
    while let Some(schema) = pending.pop() {
        known.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()));
        for many in ["oneOf", "anyOf", "allOf"] {
            pending.extend(schema[many].as_array().into_iter().flatten());
        }
    }
    let fields = body.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, _)| format!("body: `{name}` is not in the description"))
        .collect()
}

/// Does everything that the client can do, as an App.
async fn everything(world: &World) {
    {
        let mut github = world.fake.github();
        github.app = Some(App::new());
        github.collaborators.extend(["jane".to_owned(), "joe".to_owned()]);
        github.teams.insert("platform".to_owned());
    }
    let auth =
        Auth::App { id: "Iv23app".to_owned(), private_key: APP_KEY.to_owned().into(), installation: None };
    let forge = world.forge_with(world.options(auth));
    let commit = |seen: Option<&str>, base: String, text: &str| ApiCommit {
        branch: BRANCH.to_owned(),
        base,
        files: vec![
            FileChange {
                path: "apps/podinfo.yaml".to_owned(),
                content: Some(text.as_bytes().to_vec()),
                executable: false,
            },
            FileChange { path: "gone.yaml".to_owned(), content: None, executable: false },
        ],
        message: "podinfo 6.0.0 -> 6.1.0".to_owned(),
        seen: seen.map(str::to_owned),
    };
    let first = forge.commit_through_api(&commit(None, world.tree.head(), "version: 6.1.0\n")).await.unwrap();
    let second = forge
        .commit_through_api(&commit(Some(&first.id), first.id.clone(), "version: 6.1.1\n"))
        .await
        .unwrap();
    let new = NewPullRequest {
        labels: vec!["gitops-updater/update".to_owned()],
        reviewers: vec!["jane".to_owned(), "acme/platform".to_owned()],
        assignees: vec!["joe".to_owned()],
        draft: true,
        ..proposal()
    };
    let opened = forge.open(&new).await.unwrap();
    world.fake.github().issue(1).pull.as_mut().unwrap().reviewers.clear();
    forge.open(&new).await.unwrap();
    let change = PullRequestChange {
        title: Some("Another".to_owned()),
        body: Some("Another.".to_owned()),
        add_labels: vec!["hold".to_owned()],
        remove_labels: vec!["gitops-updater/update".to_owned()],
    };
    forge.change(&opened, &change).await.unwrap();
    for text in ["one", "two"] {
        forge.comment(1, "<!-- mark -->", text).await.unwrap();
    }
    forge.checks(&second.id).await.unwrap();
    let status = CommitStatus {
        state: StatusState::Pending,
        context: "gitops-updater/verify".to_owned(),
        description: "waiting".to_owned(),
        url: Some("https://example.com".to_owned()),
    };
    forge.set_status(&second.id, &status).await.unwrap();
    forge.write_dashboard(None, "Updates", "- [ ] one").await.unwrap();
    let seen = forge.dashboard().await.unwrap();
    forge.write_dashboard(seen.as_ref(), "Updates!", "- [ ] two").await.unwrap();
    world.fake.github().set_open(2, false);
    forge.write_dashboard(None, "Updates", "- [ ] three").await.unwrap();
    forge.close(1).await.unwrap();
    world.fake.github().set_open(1, true);
    world.fake.github().issue(1).pull.as_mut().unwrap().draft = false;
    forge.merge(1, &second.id, MergeMethod::Squash, "podinfo 6.1.1\n\nWhy").await.unwrap();
    forge.pull_requests().await.unwrap();
    forge.pull_requests_of(BRANCH).await.unwrap();
    let person = world.forge();
    person.identity().await.unwrap();
}

#[tokio::test]
async fn every_request_is_in_githubs_description() {
    let Some(description) = Description::given() else {
        eprintln!(
            "note: GITOPS_UPDATER_GITHUB_OPENAPI is not set; requests are not compared with the description"
        );
        return;
    };
    let world = World::new().await;
    everything(&world).await;
    let mut faults = Vec::new();
    let mut compared = std::collections::BTreeSet::new();
    for request in world.fake.seen() {
        assert!(request.status < 500, "{}", request.line());
        assert_eq!(request.headers["accept"], "application/vnd.github+json", "{}", request.line());
        assert_eq!(request.headers["x-github-api-version"], "2022-11-28", "{}", request.line());
        if request.path == "/graphql" || request.path.starts_with("/repositories/") {
            continue;
        }
        let found = description.faults(&request);
        faults.extend(found.into_iter().map(|fault| format!("{}: {fault}", request.line())));
        let (operation, _) = description.operation(&request.method, &request.path).unwrap();
        compared.insert(operation["operationId"].as_str().unwrap().to_owned());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(compared.len() >= 30, "only {compared:?}");
}

/// The comparison itself must be able to fail.
#[test]
fn wrong_requests_are_not_in_githubs_description() {
    let Some(description) = Description::given() else { return };
    let request = |method: &str, path: &str, query: &[(&str, &str)], body: Option<Value>| Recorded {
        method: method.to_owned(),
        path: format!("/repos/acme/home-ops{path}"),
        query: query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body,
        headers: axum::http::HeaderMap::new(),
        status: 200,
    };
    for wrong in [
        request("GET", "/pull", &[], None),
        request("POST", "/pulls", &[], None),
        request("POST", "/pulls", &[], Some(json!({"title": "t", "head": "h"}))),
        request("POST", "/pulls", &[], Some(json!({"title": "t", "head": "h", "base": "b", "draft": "yes"}))),
        request("POST", "/pulls", &[], Some(json!({"title": "t", "head": "h", "base": "b", "labels": []}))),
        request("GET", "/pulls", &[("state", "merged")], None),
        request("GET", "/pulls", &[("colour", "red")], None),
        request("GET", "/pulls/x", &[], None),
    ] {
        assert!(!description.faults(&wrong).is_empty(), "{}", wrong.line());
    }
    let right = request("GET", "/git/ref/heads/gitops-updater/x", &[], None);
    assert_eq!(description.faults(&right), [""; 0]);
}
