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

use super::git;
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
    /// Wants this password of any user, else answers 401.
    Token(&'static str),
    /// What this answers to a request whose target contains the first text is cut off after so many bytes.
    Cut(&'static str, usize),
    /// Answers 403 to whoever wants to push, and serves the rest.
    ReadOnly,
}

type Errand = Box<dyn FnOnce() + Send>;

struct Backend {
    root: PathBuf,
    manner: Mutex<Manner>,
    seen: Mutex<Vec<Seen>>,
    /// Done when a push arrives, before Git sees it.
    before_push: Mutex<Option<Errand>>,
    /// The list of refs of any repository is asked for there instead.
    redirect: Mutex<Option<url::Url>>,
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
            before_push: Mutex::default(),
            redirect: Mutex::default(),
        });
        let shared = backend.clone();
        let served = Served::start(|_| Router::new().fallback(answer).with_state(shared)).await;
        Self { served, folder, backend }
    }

    /// Makes a bare repository with one commit and these tags; the first is annotated.
    pub(crate) fn repository(&self, name: &str, tags: &[&str]) -> PathBuf {
        let path = self.folder.path().join(name);
        run(self.folder.path(), &["init", "-q", "--bare", path.to_str().unwrap()]);
        let tree = run(&path, &["hash-object", "-w", "-t", "tree", "/dev/null"]);
        let commit = run(&path, &["commit-tree", "-m", "first", tree.trim()]);
        run(&path, &["update-ref", "refs/heads/main", commit.trim()]);
        run(&path, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        run(&path, &["config", "http.receivepack", "true"]);
        for (i, tag) in tags.iter().enumerate() {
            let annotated: &[&str] = if i == 0 { &["-a", "-m", "annotated"] } else { &[] };
            run(&path, &[&["tag"], annotated, &[*tag, commit.trim()]].concat());
        }
        path
    }

    pub(crate) fn manner(&self, manner: Manner) {
        *self.backend.manner.lock().unwrap() = manner;
    }

    /// Lets `errand` be done when the next push arrives: somebody else was faster.
    pub(crate) fn before_push(&self, errand: impl FnOnce() + Send + 'static) {
        *self.backend.before_push.lock().unwrap() = Some(Box::new(errand));
    }

    /// Sends who asks for a list of refs to the same repository at `url`.
    pub(crate) fn redirect(&self, url: &url::Url) {
        *self.backend.redirect.lock().unwrap() = Some(url.clone());
    }

    /// A hook of a repository; `name` is such as `pre-receive`.
    pub(crate) fn hook(&self, repository: &str, name: &str, script: &str) {
        Self::hook_of(&self.folder.path().join(repository), name, script);
    }

    /// The same of any bare repository.
    pub(crate) fn hook_of(bare: &Path, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = bare.join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.backend.seen.lock().unwrap())
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(git::program());
    git::short_lived(&mut command);
    let output = command
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
        Manner::Token(password) if password_of(&seen).as_deref() != Some(password) => {
            return plain(401)
                .header("www-authenticate", "Basic realm=\"git\"")
                .body(Body::from("who are you?"))
                .unwrap();
        }
        Manner::ReadOnly if seen.target.contains("git-receive-pack") => {
            return plain(403).body(Body::from("you may not")).unwrap();
        }
        Manner::Token(_) | Manner::ReadOnly | Manner::Cut(..) => {}
    }
    let uri = request.uri().clone();
    let redirect = backend.redirect.lock().unwrap().clone();
    if let Some(mut target) = redirect.filter(|_| uri.path().ends_with("/info/refs")) {
        target.set_path(uri.path());
        target.set_query(uri.query());
        return plain(301).header("location", target.as_str()).body(Body::empty()).unwrap();
    }
    let body = axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap();
    let is_push = seen.method == "POST" && uri.path().ends_with("/git-receive-pack");
    let errand = if is_push { backend.before_push.lock().unwrap().take() } else { None };
    if let Some(errand) = errand {
        errand();
    }
    let (response, content) = http_backend(&backend.root, uri.path(), None, &seen, &body).await;
    match manner {
        Manner::Cut(target, length) if seen.target.contains(target) => {
            // The length promises more than comes.
            let part = content[..length.min(content.len())].to_vec();
            let chunks = [Ok(part), Err(std::io::Error::other("cut"))];
            response.body(Body::from_stream(futures_util::stream::iter(chunks))).unwrap()
        }
        _ => response.body(Body::from(content)).unwrap(),
    }
}

/// What Git answers for the repositories below `root`; `user` is who was let in, who then may push.
pub(crate) async fn http_backend(
    root: &Path,
    path: &str,
    user: Option<&str>,
    seen: &Seen,
    body: &[u8],
) -> (axum::http::response::Builder, Vec<u8>) {
    let query = seen.target.split_once('?').map_or("", |(_, query)| query);
    let mut command = Command::new(git::http_backend_program());
    git::short_lived(&mut command);
    let mut child = tokio::process::Command::from(command)
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &seen.method)
        .env("CONTENT_TYPE", seen.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("GIT_PROTOCOL", seen.header("git-protocol").unwrap_or_default())
        .envs(user.map(|user| ("REMOTE_USER", user)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(body).await.unwrap();
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
    (response, output[end + 4..].to_vec())
}

/// The password of basic authentication.
pub(crate) fn password_of(seen: &Seen) -> Option<String> {
    use base64::Engine as _;
    let encoded = seen.header("authorization")?.strip_prefix("Basic ")?;
    let pair = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    String::from_utf8(pair).ok()?.split_once(':').map(|(_, password)| password.to_owned())
}
