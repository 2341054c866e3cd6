//! Says what the `forge`, `pull_requests`, `commits`, `dashboard` and `backup` blocks mean, and what a configuration
//! that lies in the repository may not ask for.

use super::Trust;
use super::hosts::Host;
use super::overrides::Repository;
use super::proposal::{Backup, Commits, Dashboard, Forge, ForgeKind, Identity, PullRequests, Templates};
use super::raw_proposal::{
    RawApp, RawBackup, RawCommits, RawDashboard, RawForge, RawForgeKind, RawMergeMethod, RawPullRequests,
    RawTemplates,
};
use super::tree::{Path, Step};
use super::upstreams::web_url;
use super::validate::{Checker, key};
use super::validate_upstreams::OUTSIDE;
use crate::domain::policy::MergeMethod;

/// Most labels, reviewers or assignees; GitHub takes 100 labels and 15 reviewers.
const MAX_NAMES: usize = 100;
/// Longest template, in bytes.
const MAX_TEMPLATE: usize = 64 << 10;

impl Checker<'_> {
    pub(super) fn forge(&mut self, raw: RawForge) -> Forge {
        let top = key(&[], "forge");
        let defaults = Forge::default();
        let api_url = self.api_url(&key(&top, "api_url"), raw.api_url);
        let host = api_url.as_ref().map_or_else(|| Host::read("api.github.com").ok(), Host::of);
        let usual = api_url.as_ref().is_none_or(|url| {
            url.scheme() == "https" && url.host_str() == Some("api.github.com") && url.port().is_none()
        });
        let variable = self.variable(&key(&top, "token_env"), raw.token_env, host.as_ref(), &["TOKEN"]);
        let identity = match raw.app {
            None => Identity::Token { variable },
            Some(app) => {
                if variable.is_some() {
                    self.wrong(&key(&top, "token_env"), "give `token_env` or `app`, not both");
                }
                self.app(&key(&top, "app"), app, host.as_ref())
            }
        };
        let remote = raw.remote.filter(|name| {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            let fine = plain && !name.is_empty() && name.len() <= 100 && !name.starts_with(['-', '.']);
            if !fine {
                self.wrong(&key(&top, "remote"), "not the name of a Git remote such as `origin`");
            }
            fine
        });
        let base_branch = raw.base_branch.filter(|name| {
            let fine = is_branch(name);
            if !fine {
                self.wrong(&key(&top, "base_branch"), "not the name of a branch such as `main`");
            }
            fine
        });
        Forge {
            kind: raw.kind.map_or(defaults.kind, |kind| match kind {
                RawForgeKind::Auto => ForgeKind::Auto,
                RawForgeKind::Github => ForgeKind::Github,
                RawForgeKind::Local => ForgeKind::Local,
            }),
            remote_is_named: remote.is_some(),
            remote: remote.unwrap_or(defaults.remote),
            base_branch,
            repository: self.forge_repository(&key(&top, "repository"), raw.repository),
            api_url,
            trusts_api_url: usual || self.origin.trust == Trust::User,
            identity,
        }
    }

    fn forge_repository(&mut self, path: &[Step], text: Option<String>) -> Option<(String, String)> {
        let text = text?;
        // With the operator's credentials, pull requests would be opened wherever these reach.
        if self.origin.trust == Trust::Repository {
            self.wrong(path, format!("chooses what credentials are used on; {OUTSIDE}"));
            return None;
        }
        match Repository::read(&text) {
            Ok(Repository::Github { owner, name }) => Some((owner, name)),
            _ => {
                self.wrong(path, "not `owner/name`");
                None
            }
        }
    }

    fn app(&mut self, path: &Path, raw: RawApp, host: Option<&Host>) -> Identity {
        for (field, number) in [("id", Some(raw.id)), ("installation", raw.installation)] {
            if number == Some(0) {
                self.wrong(&key(path, field), "not a number from 1");
            }
        }
        let private_key =
            self.variable(&key(path, "private_key_env"), raw.private_key_env, host, &["PRIVATE_KEY"]);
        Identity::App { id: raw.id, installation: raw.installation, private_key }
    }

    pub(super) fn pull_requests(&mut self, raw: RawPullRequests) -> PullRequests {
        let top = key(&[], "pull_requests");
        let defaults = PullRequests::default();
        let labels = raw.labels.map(|labels| {
            let path = key(&top, "labels");
            self.names(&path, labels, "not a label of 1 to 50 characters", |label| {
                !label.trim().is_empty()
                    && label.chars().count() <= 50
                    && !label.chars().any(char::is_control)
            })
        });
        let reviewer = |name: &str| match name.split_once('/') {
            Some((organisation, team)) => is_login(organisation) && is_slug(team),
            None => is_login(name),
        };
        let reviewers = self.names(
            &key(&top, "reviewers"),
            raw.reviewers,
            "not a login or `organisation/team`",
            reviewer,
        );
        let assignees = self.names(&key(&top, "assignees"), raw.assignees, "not a login", is_login);
        PullRequests {
            labels: labels.unwrap_or(defaults.labels),
            reviewers,
            assignees,
            draft: raw.draft.unwrap_or(defaults.draft),
            merge_method: raw.merge_method.map_or(defaults.merge_method, |method| match method {
                RawMergeMethod::Merge => MergeMethod::Merge,
                RawMergeMethod::Squash => MergeMethod::Squash,
                RawMergeMethod::Rebase => MergeMethod::Rebase,
            }),
            require_checks: raw.require_checks.unwrap_or(defaults.require_checks),
            render_charts: raw.render_charts.unwrap_or(defaults.render_charts),
            templates: self.templates(&key(&top, "templates"), raw.templates),
        }
    }

    fn names(
        &mut self,
        path: &[Step],
        names: Vec<String>,
        wrong: &str,
        fine: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        if names.len() > MAX_NAMES {
            self.wrong(path, format!("more than {MAX_NAMES}"));
            return vec![];
        }
        let paths = self.item_paths(path, names.len());
        let mut kept: Vec<String> = vec![];
        for (name, path) in names.into_iter().zip(paths) {
            if !fine(&name) {
                self.wrong(&path, wrong);
            } else if kept.contains(&name) {
                self.wrong(&path, "given twice");
            } else {
                kept.push(name);
            }
        }
        kept
    }

    fn templates(&mut self, path: &Path, raw: RawTemplates) -> Templates {
        let mut template = |field: &str, text: Option<String>| {
            self.checked(&key(path, field), template_syntax(text.as_deref()?))?;
            text
        };
        Templates {
            title: template("title", raw.title),
            body: template("body", raw.body),
            commit: template("commit", raw.commit),
        }
    }

    pub(super) fn commits(&mut self, raw: RawCommits) -> Commits {
        let top = key(&[], "commits");
        let defaults = Commits::default();
        let through_api = raw.through_api.unwrap_or(defaults.through_api);
        let plain = |text: &str| {
            !text.trim().is_empty()
                && text.len() <= 200
                && !text.contains(['<', '>'])
                && !text.chars().any(char::is_control)
        };
        if let Some(name) = raw.name.as_deref().filter(|name| !plain(name)) {
            self.wrong(&key(&top, "name"), format!("`{}` is not a name", super::tree::shorten(name)));
        }
        let address = |text: &str| {
            plain(text)
                && !text.contains(char::is_whitespace)
                && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        };
        if let Some(email) = raw.email.as_deref().filter(|email| !address(email)) {
            self.wrong(
                &key(&top, "email"),
                format!("`{}` is not an e-mail address", super::tree::shorten(email)),
            );
        }
        // GitHub signs only commits that name no author and committer of their own.
        for (field, given) in [("name", raw.name.is_some()), ("email", raw.email.is_some())] {
            if given && through_api {
                self.wrong(&key(&top, field), "has no effect with `through_api: true`");
            }
        }
        Commits {
            name: raw.name.unwrap_or(defaults.name),
            email: raw.email.unwrap_or(defaults.email),
            through_api,
        }
    }

    pub(super) fn dashboard(&mut self, raw: RawDashboard) -> Dashboard {
        let defaults = Dashboard::default();
        let title = raw.title.filter(|title| {
            let fine = !title.trim().is_empty()
                && title.chars().count() <= 200
                && !title.chars().any(char::is_control);
            if !fine {
                self.wrong(&key(&key(&[], "dashboard"), "title"), "not a title of 1 to 200 characters");
            }
            fine
        });
        let template = raw.template.and_then(|text| {
            let path = key(&key(&[], "dashboard"), "template");
            self.checked(&path, template_syntax(&text))?;
            Some(text)
        });
        Dashboard {
            enabled: raw.enabled.unwrap_or(defaults.enabled),
            title: title.unwrap_or(defaults.title),
            template,
        }
    }

    pub(super) fn backup(&mut self, raw: &RawBackup) -> Backup {
        let top = key(&[], "backup");
        let defaults = Backup::default();
        let keep_last = match raw.keep_last {
            Some(number @ 1..=1_000) => number as usize,
            Some(_) => {
                self.wrong(&key(&top, "keep_last"), "not between 1 and 1000");
                defaults.keep_last
            }
            None => defaults.keep_last,
        };
        let keep_for = self.duration(&key(&top, "keep_for"), raw.keep_for.as_deref(), "3650d");
        Backup { keep_last, keep_for: keep_for.unwrap_or(defaults.keep_for) }
    }

    /// The base URL of an API that is sent credentials.
    pub(super) fn api_url(&mut self, path: &[Step], text: Option<String>) -> Option<url::Url> {
        let mut url = self.checked(path, web_url(&text?))?;
        if self.origin.trust == Trust::Repository && url.scheme() == "http" {
            self.wrong(path, format!("not `https://`, so a token would go unencrypted; {OUTSIDE}"));
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
        }
        Some(url)
    }
}

fn template_syntax(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEMPLATE {
        return Err("longer than 64 KiB".to_owned());
    }
    if text.trim().is_empty() {
        return Err("an empty template; leave the key out for the built-in one".to_owned());
    }
    let environment = minijinja::Environment::new();
    environment.template_from_str(text).map(drop).map_err(|error| {
        let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        format!("not a template{line}: {detail}")
    })
}

/// Whether Git takes the text as the name of a branch (`git check-ref-format --branch`).
fn is_branch(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    text.len() <= 200
        && text.split('/').all(part)
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "@"
        && text != "HEAD"
        && !text.contains([' ', '~', '^', ':', '?', '*', '[', '\\'])
        && !text.chars().any(char::is_control)
}

/// Whether GitHub takes the text as a login (apps' logins end with `[bot]`).
fn is_login(text: &str) -> bool {
    let name = text.strip_suffix("[bot]").unwrap_or(text);
    name.len() <= 100 && is_slug(name) && !name.contains('.')
}

fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && !text.starts_with('-')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
