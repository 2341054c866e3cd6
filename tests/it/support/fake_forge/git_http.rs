//! The same repository for Git, as GitHub serves it: with a token for password.

use std::sync::Mutex;

use axum::body::Body;
use axum::response::Response;

use super::people::Level;
use super::request::Asked;
use super::state::Github;
use crate::support::fake_git::{http_backend, password_of};
use crate::support::served::Seen;

/// Whether a path is Git's, and not the API's.
pub(super) fn is_git(path: &str) -> bool {
    path.contains(".git/")
}

pub(super) async fn answer(github: &Mutex<Github>, asked: &Asked, seen: &Seen) -> Response {
    let plain = |status: u16, text: String| {
        Response::builder()
            .status(status)
            .header("content-type", "text/plain")
            .body(Body::from(text))
            .unwrap()
    };
    let path = asked.recorded().path;
    let push = path.ends_with("/git-receive-pack") || asked.query("service") == Some("git-receive-pack");
    let (root, name, login) = {
        let github = github.lock().unwrap();
        let Some(below) = path.strip_prefix(&format!("/{}/{}.git/", github.owner, github.name)) else {
            return plain(404, "Repository not found.".to_owned());
        };
        let account = password_of(seen).and_then(|token| github.accounts.get(&token));
        let Some(account) = account else {
            let refused =
                Response::builder().status(401).header("www-authenticate", "Basic realm=\"GitHub\"");
            return refused.body(Body::from("Invalid username or token.")).unwrap();
        };
        if !account.may("contents", Level::Read) {
            return plain(403, "Write access to repository not granted.".to_owned());
        }
        if push && (!account.may("contents", Level::Write) || github.archived) {
            let repository = format!("{}/{}.git", github.owner, github.name);
            return plain(403, format!("Permission to {repository} denied to {}.", account.login));
        }
        let bare = github.git.dir();
        let folder = bare.file_name().unwrap().to_str().unwrap();
        (bare.parent().unwrap().to_owned(), format!("/{folder}/{below}"), account.login.clone())
    };
    let (response, content) = http_backend(&root, &name, Some(&login), seen, &asked.body).await;
    response.body(Body::from(content)).unwrap()
}
