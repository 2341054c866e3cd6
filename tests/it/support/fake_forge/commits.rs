//! Git objects and refs through the API, and the two GraphQL requests that the bot makes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::Answer;
use super::people::Level;
use super::request::{Asked, Kind};
use super::routes::Caller;
use super::state::Github;

/// Stands for "no such ref" in `updateRefs`.
const ZEROS: &str = "0000000000000000000000000000000000000000";

impl Github {
    fn reference(&self, name: &str) -> Option<String> {
        self.git_line(&["rev-parse", "--verify", "--quiet", &format!("refs/{name}")])
    }

    fn object(&self, sha: &str, kind: &str) -> Option<String> {
        let is_id = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        let found = is_id.then(|| self.git_line(&["cat-file", "-t", sha])).flatten()?;
        (found == kind).then(|| sha.to_owned())
    }

    pub(super) fn get_ref(&self, name: &str, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Read)?;
        let sha = self.reference(name).ok_or_else(Answer::not_found)?;
        Ok(Answer::new(200, reference_json(&format!("refs/{name}"), &sha)))
    }

    pub(super) fn post_ref(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Write)?;
        let body = asked.body(&[("ref", Kind::Text, true), ("sha", Kind::Text, true)])?;
        let (name, sha) = (body["ref"].as_str().unwrap(), body["sha"].as_str().unwrap());
        let Some(short) = name.strip_prefix("refs/").filter(|short| short.contains('/')) else {
            return Err(Answer::refuse(
                422,
                "Reference name must contain at least three slash-separated components.",
            ));
        };
        if self.object(sha, "commit").is_none() {
            return Err(Answer::refuse(422, "Object does not exist"));
        }
        if self.reference(short).is_some() {
            return Err(Answer::refuse(422, "Reference already exists"));
        }
        self.git_line(&["update-ref", name, sha, ZEROS])
            .ok_or_else(|| Answer::refuse(422, "Reference update failed"))?;
        Ok(Answer::new(201, reference_json(name, sha)))
    }

    pub(super) fn patch_ref(&mut self, asked: &Asked, name: &str, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Write)?;
        let body = asked.body(&[("sha", Kind::Text, true), ("force", Kind::Flag, false)])?;
        let sha = body["sha"].as_str().unwrap();
        let old = self.reference(name).ok_or_else(|| Answer::refuse(422, "Reference does not exist"))?;
        if self.object(sha, "commit").is_none() {
            return Err(Answer::refuse(422, "Object does not exist"));
        }
        let is_forward = self.try_git(&["merge-base", "--is-ancestor", &old, sha], b"").is_some();
        if !is_forward && body["force"] != json!(true) {
            return Err(Answer::refuse(422, "Update is not a fast forward"));
        }
        let full = format!("refs/{name}");
        self.git_line(&["update-ref", &full, sha, &old]).unwrap();
        Ok(Answer::new(200, reference_json(&full, sha)))
    }

    pub(super) fn post_blob(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Write)?;
        let body = asked.body(&[("content", Kind::Text, true), ("encoding", Kind::Text, false)])?;
        let text = body["content"].as_str().unwrap();
        let content = match body["encoding"].as_str().unwrap_or("utf-8") {
            "utf-8" => text.as_bytes().to_vec(),
            "base64" => {
                STANDARD.decode(text).map_err(|_| Answer::refuse(422, "content is not valid Base64"))?
            }
            _ => return Err(Answer::refuse(422, "encoding is invalid")),
        };
        let sha = self.hashed(&["hash-object", "-w", "--stdin"], &content);
        Ok(Answer::new(201, json!({"sha": sha, "url": ""})))
    }

    fn hashed(&self, arguments: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.try_git(arguments, input).unwrap()).unwrap().trim_end().to_owned()
    }

    pub(super) fn post_tree(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Write)?;
        let body = asked.body(&[("tree", Kind::Any, true), ("base_tree", Kind::Text, false)])?;
        let refused = |words: &str| Answer::refuse(422, words);
        let mut files = std::collections::BTreeMap::new();
        if let Some(base) = body["base_tree"].as_str() {
            let base =
                self.object(base, "tree").ok_or_else(|| refused("base_tree is not a valid tree oid"))?;
            let listed = self.git_line(&["ls-tree", "-r", "--full-tree", &base]).unwrap();
            for line in listed.lines() {
                let (entry, path) = line.split_once('\t').unwrap();
                files.insert(path.to_owned(), entry.to_owned());
            }
        }
        for entry in body["tree"].as_array().ok_or_else(|| refused("Invalid tree info"))? {
            let known = ["path", "mode", "type", "sha", "content"];
            if entry.as_object().is_none_or(|entry| entry.keys().any(|key| !known.contains(&key.as_str()))) {
                return Err(refused("Invalid tree info"));
            }
            let path = entry["path"].as_str().ok_or_else(|| refused("tree.path is missing"))?;
            if path.starts_with('/') || path.split('/').any(|part| ["", ".", "..", ".git"].contains(&part)) {
                return Err(refused("tree.path contains a malformed path component"));
            }
            if path.starts_with(".github/workflows/") && !caller.account.may("workflows", Level::Write) {
                let words = format!(
                    "refusing to allow a GitHub App to create or update workflow `{path}` without `workflows` permission"
                );
                return Err(Answer::refuse(403, &words));
            }
            let mode = entry["mode"].as_str().unwrap_or_default();
            if !["100644", "100755", "120000"].contains(&mode) || entry["type"] != "blob" {
                return Err(refused("tree.mode is invalid"));
            }
            match (&entry["sha"], &entry["content"]) {
                (Value::Null, Value::Null) => _ = files.remove(path),
                (Value::String(sha), Value::Null) => {
                    let sha =
                        self.object(sha, "blob").ok_or_else(|| refused("tree.sha is not a valid blob"))?;
                    files.insert(path.to_owned(), format!("{mode} blob {sha}"));
                }
                _ => return Err(refused("Invalid tree info")),
            }
        }
        let sha = self.write_tree(&files);
        Ok(Answer::new(201, json!({"sha": sha, "truncated": false, "tree": []})))
    }

    /// Writes nested trees from a flat list.
    fn write_tree(&self, files: &std::collections::BTreeMap<String, String>) -> String {
        let mut here = String::new();
        let mut folders: std::collections::BTreeMap<&str, std::collections::BTreeMap<String, String>> =
            std::collections::BTreeMap::new();
        for (path, entry) in files {
            match path.split_once('/') {
                Some((folder, rest)) => {
                    folders.entry(folder).or_default().insert(rest.to_owned(), entry.clone());
                }
                None => here.push_str(&format!("{entry}\t{path}\n")),
            }
        }
        for (folder, below) in folders {
            here.push_str(&format!("040000 tree {}\t{folder}\n", self.write_tree(&below)));
        }
        self.hashed(&["mktree"], here.as_bytes())
    }

    pub(super) fn post_commit(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Write)?;
        let body = asked.body(&[
            ("message", Kind::Text, true),
            ("tree", Kind::Text, true),
            ("parents", Kind::Texts, false),
            ("author", Kind::Any, false),
            ("committer", Kind::Any, false),
            ("signature", Kind::Text, false),
        ])?;
        let tree = self.object(body["tree"].as_str().unwrap(), "tree");
        let tree = tree.ok_or_else(|| Answer::refuse(422, "Tree SHA does not exist"))?;
        let mut arguments = vec!["commit-tree".to_owned(), tree, "-F".to_owned(), "-".to_owned()];
        for parent in body["parents"].as_array().into_iter().flatten() {
            let parent = self.object(parent.as_str().unwrap(), "commit");
            let parent = parent
                .ok_or_else(|| Answer::refuse(422, "Parent SHA does not exist or is not a commit object"))?;
            arguments.extend(["-p".to_owned(), parent]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let sha = self.hashed(&arguments, body["message"].as_str().unwrap().as_bytes());
        // Commits of bots are signed where nobody else is said to be their author
        // (GitHub docs, "About commit signature verification").
        let is_custom = ["author", "committer", "signature"].iter().any(|name| body.get(name).is_some());
        let mut commit = self.commit_json(&sha);
        commit["verification"] = json!({"verified": caller.account.is_bot && !is_custom});
        Ok(Answer::new(201, commit))
    }

    pub(super) fn get_commit(&self, sha: &str, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["contents"], Level::Read)?;
        let sha = self.object(sha, "commit").ok_or_else(Answer::not_found)?;
        Ok(Answer::new(200, self.commit_json(&sha)))
    }

    fn commit_json(&self, sha: &str) -> Value {
        let tree = self.git_line(&["rev-parse", &format!("{sha}^{{tree}}")]).unwrap();
        let parents = self.git_line(&["log", "-1", "--format=%P", sha]).unwrap();
        let parents: Vec<Value> = parents.split_whitespace().map(|parent| json!({"sha": parent})).collect();
        let message = self.git_line(&["log", "-1", "--format=%B", sha]).unwrap();
        json!({
            "sha": sha, "message": message, "tree": {"sha": tree}, "parents": parents,
            "verification": {"verified": false},
        })
    }

    /// `viewer` and `updateRefs`.
    pub(super) fn graphql(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        let body = asked.body(&[("query", Kind::Text, true), ("variables", Kind::Any, false)])?;
        let query = body["query"].as_str().unwrap();
        let failed = |kind: &str, words: &str| {
            let errors = json!([{"type": kind, "path": ["updateRefs"], "message": words}]);
            Ok(Answer::new(200, json!({"data": {"updateRefs": null}, "errors": errors})))
        };
        if query.contains("viewer { login databaseId }") {
            let viewer = json!({"login": caller.account.login, "databaseId": caller.account.id});
            return Ok(Answer::new(200, json!({"data": {"viewer": viewer}})));
        }
        if query.contains("mergeQueueEntry") {
            let entry = self.queue_entry(body["variables"]["id"].as_str().unwrap());
            return Ok(Answer::new(200, json!({"data": {"node": entry}})));
        }
        let asks = ["enablePullRequestAutoMerge", "enqueuePullRequest"];
        let withdraws = ["disablePullRequestAutoMerge", "dequeuePullRequest"];
        let is_one_of = |names: [&str; 2]| names.iter().any(|name| query.contains(name));
        if is_one_of(asks) || is_one_of(withdraws) {
            let (kind, words) = if caller.account.may("contents", Level::Write)
                && caller.account.may("pull_requests", Level::Write)
            {
                let input = &body["variables"]["input"];
                let done = match is_one_of(asks) {
                    true => self.merge_later(query, input, &caller.account),
                    false => self.merge_not(query, input),
                };
                match done {
                    Ok(()) => {
                        return Ok(Answer::new(200, json!({"data": {"done": {"clientMutationId": null}}})));
                    }
                    Err(refused) => refused,
                }
            } else {
                ("FORBIDDEN", "Resource not accessible by integration".to_owned())
            };
            let errors = json!([{"type": kind, "message": words}]);
            return Ok(Answer::new(200, json!({"data": null, "errors": errors})));
        }
        assert!(query.contains("updateRefs(input: $input)"), "no such GraphQL here: {query}");
        if !caller.account.may("contents", Level::Write) {
            return failed("FORBIDDEN", "Resource not accessible by integration");
        }
        let input = &body["variables"]["input"];
        if input["repositoryId"] != json!(format!("R_{}", self.id)) {
            return failed("NOT_FOUND", "Could not resolve to a node with the global id");
        }
        for update in input["refUpdates"].as_array().unwrap() {
            let text = |name: &str| update[name].as_str().unwrap_or_default();
            let (name, before, after) = (text("name"), text("beforeOid"), text("afterOid"));
            let old = self.reference(name.strip_prefix("refs/").unwrap()).unwrap_or_else(|| ZEROS.to_owned());
            if !before.is_empty() && before != old {
                return failed("STALE_DATA", &format!("{name} does not match the expected oid"));
            }
            let is_forward = after == ZEROS
                || old == ZEROS
                || self.try_git(&["merge-base", "--is-ancestor", &old, after], b"").is_some();
            if !is_forward && update["force"] != json!(true) {
                return failed("UNPROCESSABLE", "Update is not a fast forward");
            }
            let arguments = if after == ZEROS {
                vec!["update-ref", "-d", name, old.as_str()]
            } else {
                vec!["update-ref", name, after, old.as_str()]
            };
            self.git_line(&arguments).unwrap();
        }
        Ok(Answer::new(200, json!({"data": {"updateRefs": {"clientMutationId": null}}})))
    }
}

fn reference_json(name: &str, sha: &str) -> Value {
    json!({"ref": name, "node_id": "", "url": "", "object": {"type": "commit", "sha": sha, "url": ""}})
}
