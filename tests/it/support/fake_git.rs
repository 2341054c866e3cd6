//! Real Git repositories behind the real `git http-backend`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::io::AsyncWriteExt as _;

use super::served::{Seen, Served};

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Git,
    Unauthorized,
    Status(u16),
    WebPage,
    Silent,
    /// This status once, then as Git.
    Once(u16),
}

struct Backend {
    root: PathBuf,
    manner: Mutex<Manner>,
    seen: Mutex<Vec<Seen>>,
}

/// The running server and its folder of repositories.
pub(crate) struct FakeGit {
    pub(crate) served: Served,
    folder: tempfile::TempDir,
    backend: Arc<Backend>,
}

impl FakeGit {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = Arc::new(Backend {
            root: folder.path().to_owned(),
            manner: Mutex::new(Manner::Git),
            seen: Mutex::default(),
        });
        let shared = backend.clone();
        let served = Served::start(|_| Router::new().fallback(answer).with_state(shared)).await;
        Self { served, folder, backend }
    }

    /// Makes a bare repository with one commit and these tags; the first is annotated.
    pub(crate) fn repository(&self, name: &str, tags: &[&str]) -> PathBuf {
        let path = self.folder.path().join(name);
        git(self.folder.path(), &["init", "-q", "--bare", path.to_str().unwrap()]);
        let tree = git(&path, &["hash-object", "-w", "-t", "tree", "/dev/null"]);
        let commit = git(&path, &["commit-tree", "-m", "first", tree.trim()]);
        git(&path, &["update-ref", "refs/heads/main", commit.trim()]);
        for (i, tag) in tags.iter().enumerate() {
            let annotated: &[&str] = if i == 0 { &["-a", "-m", "annotated"] } else { &[] };
            git(&path, &[&["tag"], annotated, &[*tag, commit.trim()]].concat());
        }
        path
    }

    pub(crate) fn manner(&self, manner: Manner) {
        *self.backend.manner.lock().unwrap() = manner;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.backend.seen.lock().unwrap())
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .envs(["AUTHOR", "COMMITTER"].into_iter().flat_map(|who| {
            [
                (format!("GIT_{who}_NAME"), "Test"),
                (format!("GIT_{who}_EMAIL"), "test@example.com"),
                (format!("GIT_{who}_DATE"), "2026-11-21T10:00:00Z"),
            ]
        }))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn answer(State(backend): State<Arc<Backend>>, request: Request) -> Response {
    let seen = Seen::of(&request);
    backend.seen.lock().unwrap().push(seen.clone());
    let manner = *backend.manner.lock().unwrap();
    let plain = |status: u16| Response::builder().status(status);
    match manner {
        Manner::Git => {}
        Manner::Unauthorized => {
            return plain(401)
                .header("www-authenticate", "Basic realm=\"git\"")
                .body(Body::from("who are you?"))
                .unwrap();
        }
        Manner::Once(code) => {
            *backend.manner.lock().unwrap() = Manner::Git;
            return plain(code).body(Body::from("not now")).unwrap();
        }
        Manner::Status(code) => return plain(code).body(Body::from("no")).unwrap(),
        Manner::WebPage => {
            return plain(200).header("content-type", "text/html").body(Body::from("<html></html>")).unwrap();
        }
        Manner::Silent => std::future::pending().await,
    }
    let uri = request.uri().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &backend.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", &seen.method)
        .env("CONTENT_TYPE", seen.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", seen.header("git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&body).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output[end + 4..].to_vec())).unwrap()
}
