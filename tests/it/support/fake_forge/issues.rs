//! Issues, and what they share with pull requests: comments, labels, assignees.

use gitops_updater::forge::github::Time as _;
use serde_json::{Value, json};

use super::answer::Answer;
use super::people::Level;
use super::pulls::too_long;
use super::request::{Asked, Kind};
use super::routes::Caller;
use super::state::{Comment, Github, Issue};

/// What labels and comments of an issue or a pull request take: either is enough.
const EITHER: [&str; 2] = ["issues", "pull_requests"];

impl Github {
    pub(super) fn list_issues(&self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["issues"], Level::Read)?;
        let state = asked.query("state").unwrap_or("open");
        let mut found: Vec<&Issue> = self
            .issues
            .values()
            .filter(|issue| state == "all" || issue.open == (state == "open"))
            .filter(|issue| asked.query("creator").is_none_or(|login| login == issue.author.login))
            .filter(|issue| self.has_issues || issue.pull.is_some())
            .collect();
        match asked.query("sort").unwrap_or("created") {
            "created" => found.sort_by_key(|issue| (issue.created_at, issue.number)),
            other => panic!("sort={other} is not written yet"),
        }
        if asked.query("direction").unwrap_or("desc") == "desc" {
            found.reverse();
        }
        let found: Vec<Value> = found.into_iter().map(|issue| self.issue_json(issue)).collect();
        Ok(self.plain_page(asked, &found))
    }

    fn known_issue(&self, number: u64) -> Result<&Issue, Answer> {
        self.issues.get(&number).ok_or_else(Answer::not_found)
    }

    fn issues_are_on(&self) -> Result<(), Answer> {
        if self.has_issues {
            return Ok(());
        }
        Err(Answer::refuse(410, "Issues has been disabled in this repository."))
    }

    pub(super) fn post_issue(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["issues"], Level::Write)?;
        self.issues_are_on()?;
        let body = asked.body(&[
            ("title", Kind::Text, true),
            ("body", Kind::Text, false),
            ("labels", Kind::Texts, false),
            ("assignees", Kind::Texts, false),
        ])?;
        let title = body["title"].as_str().unwrap().trim().to_owned();
        if title.is_empty() {
            return Err(Answer::invalid("Issue", "title", "missing_field", None));
        }
        let text = body["body"].as_str().unwrap_or_default();
        too_long("Issue", text)?;
        let number = self.add_issue(caller.account.clone(), &title, text);
        Ok(Answer::new(201, self.issue_json(&self.issues[&number])))
    }

    pub(super) fn get_issue(&self, number: u64, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&["issues"], Level::Read)?;
        Ok(Answer::new(200, self.issue_json(self.known_issue(number)?)))
    }

    pub(super) fn patch_issue(
        &mut self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&["issues"], Level::Write)?;
        self.issues_are_on()?;
        let body = asked.body(&[
            ("title", Kind::Text, false),
            ("body", Kind::Text, false),
            ("state", Kind::Text, false),
            ("state_reason", Kind::Text, false),
        ])?;
        self.known_issue(number)?;
        match body["state"].as_str() {
            Some(wanted @ ("open" | "closed")) => self.set_open(number, wanted == "open"),
            Some(_) => return Err(Answer::invalid("Issue", "state", "invalid", None)),
            None => {}
        }
        if body["state_reason"]
            .as_str()
            .is_some_and(|why| !["completed", "not_planned", "reopened"].contains(&why))
        {
            return Err(Answer::invalid("Issue", "state_reason", "invalid", None));
        }
        self.set_texts(number, &body)?;
        Ok(Answer::new(200, self.issue_json(&self.issues[&number])))
    }

    pub(super) fn list_comments(
        &self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Read)?;
        self.known_issue(number)?;
        let comments = self.comments.iter().filter(|comment| comment.issue == number);
        let comments: Vec<Value> = comments.map(comment_json).collect();
        Ok(self.plain_page(asked, &comments))
    }

    pub(super) fn post_comment(
        &mut self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Write)?;
        let body = asked.body(&[("body", Kind::Text, true)])?;
        self.known_issue(number)?;
        let text = body["body"].as_str().unwrap();
        too_long("IssueComment", text)?;
        if text.trim().is_empty() {
            return Err(Answer::invalid("IssueComment", "body", "missing_field", None));
        }
        let comment = self.add_comment(caller.account.clone(), number, text);
        Ok(Answer::new(201, comment_json(&comment)))
    }

    /// A comment of somebody.
    pub(crate) fn add_comment(&mut self, author: super::Account, number: u64, text: &str) -> Comment {
        let comment = Comment { id: self.next_id(), issue: number, author, body: text.to_owned() };
        self.comments.push(comment.clone());
        comment
    }

    pub(super) fn patch_comment(
        &mut self,
        asked: &Asked,
        id: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Write)?;
        let body = asked.body(&[("body", Kind::Text, true)])?;
        let comment =
            self.comments.iter_mut().find(|comment| comment.id == id).ok_or_else(Answer::not_found)?;
        if comment.author.id != caller.account.id {
            return Err(Answer::refuse(403, "Must have admin rights to Repository."));
        }
        comment.body = body["body"].as_str().unwrap().to_owned();
        Ok(Answer::new(200, comment_json(comment)))
    }

    pub(super) fn add_labels(
        &mut self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Write)?;
        let body = asked.body(&[("labels", Kind::Texts, true)])?;
        self.known_issue(number)?;
        for name in body["labels"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            // A label that is not there is made, in gray.
            let name = self.label(name).unwrap_or_else(|| {
                self.labels.insert(name.to_owned(), "ededed".to_owned());
                name.to_owned()
            });
            let issue = self.issue(number);
            if !issue.labels.contains(&name) {
                issue.labels.push(name);
            }
        }
        Ok(Answer::new(200, self.labels_json(number)))
    }

    fn labels_json(&self, number: u64) -> Value {
        self.issues[&number].labels.iter().map(|name| json!({"name": name})).collect()
    }

    /// The label as it is written; upper and lower case are the same.
    fn label(&self, name: &str) -> Option<String> {
        self.labels.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned()
    }

    pub(super) fn remove_label(
        &mut self,
        asked: &Asked,
        number: u64,
        name: &str,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Write)?;
        asked.no_body()?;
        self.known_issue(number)?;
        let labels = &mut self.issue(number).labels;
        let Some(at) = labels.iter().position(|label| label.eq_ignore_ascii_case(name)) else {
            return Err(Answer::refuse(404, "Label does not exist"));
        };
        labels.remove(at);
        Ok(Answer::new(200, self.labels_json(number)))
    }

    pub(super) fn get_label(&self, name: &str, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Read)?;
        let name = self.label(name).ok_or_else(Answer::not_found)?;
        Ok(Answer::new(200, json!({"name": name, "color": self.labels[&name]})))
    }

    pub(super) fn post_label(&mut self, asked: &Asked, caller: &Caller) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Write)?;
        let body = asked.body(&[
            ("name", Kind::Text, true),
            ("color", Kind::Text, false),
            ("description", Kind::Text, false),
        ])?;
        let (name, color) = (body["name"].as_str().unwrap(), body["color"].as_str().unwrap_or("ededed"));
        if self.label(name).is_some() {
            return Err(Answer::invalid("Label", "name", "already_exists", None));
        }
        if color.len() != 6 || !color.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Answer::invalid("Label", "color", "invalid", None));
        }
        if name.is_empty() || name.chars().count() > 50 {
            return Err(Answer::invalid("Label", "name", "invalid", None));
        }
        self.labels.insert(name.to_owned(), color.to_owned());
        Ok(Answer::new(201, json!({"name": name, "color": color})))
    }

    pub(super) fn add_assignees(
        &mut self,
        asked: &Asked,
        number: u64,
        caller: &Caller,
    ) -> Result<Answer, Answer> {
        caller.needs(&EITHER, Level::Write)?;
        let body = asked.body(&[("assignees", Kind::Texts, false)])?;
        self.known_issue(number)?;
        for login in body["assignees"].as_array().into_iter().flatten() {
            let login = login.as_str().unwrap().to_owned();
            // Who cannot be assigned is left out without a word.
            if self.collaborators.contains(&login) && !self.issue(number).assignees.contains(&login) {
                self.issue(number).assignees.push(login);
            }
        }
        Ok(Answer::new(201, self.issue_json(&self.issues[&number])))
    }

    fn issue_json(&self, issue: &Issue) -> Value {
        let named = |name: &String| json!({"name": name, "color": self.labels.get(name)});
        let user = |login: &String| json!({"id": 5, "login": login, "type": "User"});
        let mut json = json!({
            "number": issue.number, "title": issue.title, "body": issue.body,
            "html_url": format!("https://github.com/{}/{}/issues/{}", self.owner, self.name, issue.number),
            "state": if issue.open { "open" } else { "closed" }, "user": issue.author.to_json(),
            "created_at": issue.created_at.to_string(), "updated_at": issue.updated_at.to_string(),
            "labels": issue.labels.iter().map(named).collect::<Vec<_>>(),
            "assignees": issue.assignees.iter().map(user).collect::<Vec<_>>(),
        });
        if issue.pull.is_some() {
            json["pull_request"] = json!({"merged_at": null});
        }
        json
    }

    /// A person ticks the checkbox whose line contains `text`, in a browser: line ends change with it.
    pub(crate) fn tick(&mut self, number: u64, text: &str) {
        let now = self.time.now();
        let issue = self.issue(number);
        let ticked: Vec<String> = issue
            .body
            .lines()
            .map(|line| if line.contains(text) { line.replacen("[ ]", "[x]", 1) } else { line.to_owned() })
            .collect();
        let body = ticked.join("\r\n");
        assert_ne!(body.replace("\r\n", "\n"), issue.body.replace("\r\n", "\n"), "no checkbox `{text}`");
        issue.body = body;
        issue.updated_at = now;
    }
}

fn comment_json(comment: &Comment) -> Value {
    json!({"id": comment.id, "body": comment.body, "user": comment.author.to_json()})
}
