//! Checks and statuses.

use serde_json::{Value, json};

use super::answer::Answer;
use super::people::Level;
use super::request::{Asked, Kind};
use super::routes::Caller;
use super::state::Github;

impl Github {
    /// The commit that a name in a path is.
    fn commit(&self, name: &str) -> Result<String, Answer> {
        let commit = format!("{name}^{{commit}}");
        self.git_line(&["rev-parse", "--verify", "--quiet", &commit])
            .ok_or_else(|| Answer::refuse(422, &format!("No commit found for SHA: {name}")))
    }

    pub(super) fn list_check_runs(
        &self,
        asked: &Asked,
        name: &str,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&["checks"], Level::Read)?;
        let sha = self.commit(name)?;
        let run = |(name, status, conclusion): &(String, String, Option<String>)| json!({"id": 1, "name": name, "head_sha": sha, "status": status, "conclusion": conclusion});
        let runs: Vec<Value> = self.check_runs.get(&sha).into_iter().flatten().map(run).collect();
        Ok(self.page(asked, &runs, |page, all| json!({"total_count": all, "check_runs": page})))
    }

    pub(super) fn combined_status(
        &self,
        asked: &Asked,
        name: &str,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&["statuses"], Level::Read)?;
        let sha = self.commit(name)?;
        let all = self.statuses.get(&sha).cloned().unwrap_or_default();
        let mut latest: Vec<Value> = Vec::new();
        for status in all.iter().rev() {
            if !latest.iter().any(|known| known["context"] == status["context"]) {
                latest.push(status.clone());
            }
        }
        let states: Vec<&str> = latest.iter().map(|status| status["state"].as_str().unwrap()).collect();
        let state = if states.iter().any(|state| ["failure", "error"].contains(state)) {
            "failure"
        } else if states.is_empty() || states.contains(&"pending") {
            "pending"
        } else {
            "success"
        };
        Ok(self.page(
            asked,
            &latest,
            |page, all| json!({"state": state, "sha": sha, "total_count": all, "statuses": page}),
        ))
    }

    pub(super) fn post_status(
        &mut self,
        asked: &Asked,
        sha: &str,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&["statuses"], Level::Write)?;
        let body = asked.body(&[
            ("state", Kind::Text, true),
            ("target_url", Kind::Text, false),
            ("description", Kind::Text, false),
            ("context", Kind::Text, false),
        ])?;
        if sha.len() != 40 {
            return Err(Answer::not_found());
        }
        let sha = self.commit(sha)?;
        if !["error", "failure", "pending", "success"].contains(&body["state"].as_str().unwrap()) {
            return Err(Answer::invalid("Status", "state", "inclusion", None));
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        if text("description").chars().count() > 140 {
            let words = "description is too long (maximum is 140 characters)";
            return Err(Answer::invalid("Status", "description", "custom", Some(words)));
        }
        let url = text("target_url");
        if !url.is_empty() && !url.starts_with("http") {
            return Err(Answer::custom("Status", "target_url must use http(s) scheme"));
        }
        let all = self.statuses.entry(sha).or_default();
        if all.len() >= 1000 {
            return Err(Answer::custom(
                "Status",
                "This SHA and context has reached the maximum number of statuses.",
            ));
        }
        let context = if text("context").is_empty() { "default" } else { text("context") };
        let status = json!({
            "id": all.len(), "state": text("state"), "context": context,
            "description": body["description"], "target_url": body["target_url"],
        });
        all.push(status.clone());
        Ok(Answer::new(201, status))
    }

    /// A status of somebody else.
    pub(crate) fn add_status(&mut self, sha: &str, context: &str, state: &str) {
        let status = json!({"state": state, "context": context, "description": null, "target_url": null});
        self.statuses.entry(sha.to_owned()).or_default().push(status);
    }

    /// A check run, `status` or the conclusion of a completed one.
    pub(crate) fn add_check(&mut self, sha: &str, name: &str, outcome: &str) {
        let is_running = ["queued", "in_progress", "waiting", "requested", "pending"].contains(&outcome);
        let (status, conclusion) =
            if is_running { (outcome, None) } else { ("completed", Some(outcome.to_owned())) };
        let run = (name.to_owned(), status.to_owned(), conclusion);
        self.check_runs.entry(sha.to_owned()).or_default().push(run);
    }
}
