//! `run --watch`: passes until a signal, the endpoint, and what is pushed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use axum::Router;
use axum::routing::put;

use crate::support::sandbox::Sandbox;
use crate::support::served::Served;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_empty_repo();
    sandbox.write(".gitops-updater.yaml", "forge: {kind: local}\n").write("a.yaml", "a: 1\n");
    sandbox.git().commit_all("Start");
    sandbox
}

/// A program that runs until it is told to stop. It is killed where a test fails before.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _was_over = self.0.kill().is_err();
        let _was_over = self.0.wait().is_err();
    }
}

impl Running {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> (Self, impl Iterator<Item = String> + use<>) {
        let mut command = sandbox.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        (Self(child), stderr.lines().map(Result::unwrap))
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = std::process::Command::new("sh").args(["-c", &format!("kill -s {name} {id}")]).status();
        assert!(sent.unwrap().success());
    }

    fn exit_code(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

fn get(address: &str, path: &str) -> (u16, String) {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The value of a field of the first event with this message.
fn field(log: &mut impl Iterator<Item = String>, message: &str, name: &str) -> String {
    for line in log {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        if event["fields"]["message"] == message {
            return event["fields"][name]
                .as_str()
                .map_or_else(|| event["fields"][name].to_string(), str::to_owned);
        }
    }
    panic!("nothing said `{message}`")
}

#[test]
fn watch_repeats_answers_and_ends_well_on_sigterm() {
    let sandbox = sandbox();
    let (running, mut log) = Running::start(
        &sandbox,
        &[
            "run",
            "--offline",
            "--watch",
            "--interval",
            "1s",
            "--listen",
            "127.0.0.1:0",
            "-v",
            "--log-format",
            "json",
        ],
    );
    let address = field(&mut log, "listening", "address");
    for _ in 0..2 {
        // Two passes have ended.
        field(&mut log, "until the next pass", "seconds");
    }
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(get(&address, "/readyz").0, 200);
    assert_eq!(get(&address, "/").0, 404);
    let (status, page) = get(&address, "/metrics");
    assert_eq!(status, 200);
    let passes =
        page.lines().find_map(|line| line.strip_prefix("gitops_updater_passes_total{result=\"ok\"} "));
    assert!(passes.unwrap().parse::<u32>().unwrap() >= 2, "{page}");
    assert!(page.contains("gitops_updater_last_pass_age_seconds "), "{page}");
    running.signal("TERM");
    assert_eq!(field(&mut log, "stopping after the effect at hand", "signal"), "SIGTERM");
    assert_eq!(running.exit_code(), Some(0));
}

/// The configuration is read anew in each pass: a mistake in it ends nothing, and mending it is enough.
#[test]
fn watch_outlives_a_broken_configuration() {
    let sandbox = sandbox();
    sandbox.write(".gitops-updater.yaml", "nonsense: true\n");
    sandbox.git().commit_all("Break it");
    let (running, mut log) = Running::start(
        &sandbox,
        &["run", "--offline", "--watch", "--interval", "1s", "-v", "--log-format", "json"],
    );
    assert!(field(&mut log, "failed", "error").contains("configuration"));
    sandbox.write(".gitops-updater.yaml", "forge: {kind: local}\n");
    sandbox.git().commit_all("Mend it");
    // A pass may have begun before.
    let mended = (0..5).any(|_| field(&mut log, "until the next pass", "failures") == "0");
    assert!(mended, "it fails as before");
    running.signal("INT");
    assert_eq!(running.exit_code(), Some(0));
}

/// One pass that is asked to stop while it waits for an upstream says so by its exit code, and has recorded nothing.
#[tokio::test(flavor = "multi_thread")]
async fn single_pass_ends_on_sigterm_with_a_clean_record() {
    let (asked, was_asked) = tokio::sync::oneshot::channel::<()>();
    let asked = std::sync::Mutex::new(Some(asked));
    let upstream = Served::start(move |_| {
        let asked = std::sync::Arc::new(asked);
        Router::new().fallback(move || {
            let asked = asked.clone();
            async move {
                let first = asked.lock().unwrap().take();
                first.into_iter().for_each(|first| first.send(()).unwrap());
                std::future::pending::<String>().await
            }
        })
    })
    .await;
    let sandbox = sandbox();
    sandbox.write(
        "release.yaml",
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: x, namespace: a}}\n\
             spec: {{url: '{}'}}\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n\
             metadata: {{name: x, namespace: a}}\nspec: {{chart: {{spec: {{chart: x, version: 1.0.0, sourceRef: \
             {{kind: HelmRepository, name: x}}}}}}}}\n",
            upstream.url
        ),
    );
    sandbox.git().commit_all("Release");
    let before = sandbox.git().run(["for-each-ref"]);
    let (running, log) = Running::start(&sandbox, &["run", "--log-format", "json"]);
    was_asked.await.unwrap();
    running.signal("TERM");
    let code = tokio::task::spawn_blocking(move || {
        let log: Vec<String> = log.collect();
        assert!(log.iter().any(|line| line.contains("the next pass goes on from here")), "{log:#?}");
        running.exit_code()
    });
    assert_eq!(code.await.unwrap(), Some(143));
    assert_eq!(sandbox.git().run(["for-each-ref"]), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_pushed() {
    let (sender, mut pushed) = tokio::sync::mpsc::unbounded_channel::<(String, String)>();
    let gateway = Served::start(move |_| {
        let path = "/gate/metrics/job/{job}";
        Router::new().route(
            path,
            put(move |axum::extract::Path(job): axum::extract::Path<String>, body: String| async move {
                sender.send((job, body)).unwrap();
            }),
        )
    })
    .await;
    let sandbox = sandbox();
    let config = format!("forge: {{kind: local}}\nmetrics: {{push: '{}gate/', job: lab}}\n", gateway.url);
    sandbox.write(".gitops-updater.yaml", config);
    sandbox.git().commit_all("Push");
    let output = tokio::task::spawn_blocking(move || sandbox.run(["run", "--offline", "-q"])).await.unwrap();
    assert_eq!(output.exit_code, 0, "{output}");
    let (job, body) = pushed.recv().await.unwrap();
    assert_eq!(job, "lab");
    assert!(body.contains("gitops_updater_passes_total{result=\"ok\"} 1\n"), "{body}");
}

/// A container that was just started has an empty folder.
#[test]
fn run_clones_what_is_not_there_and_follows_it() {
    let sandbox = sandbox();
    let origin = sandbox.work().to_owned();
    let url = origin.to_str().unwrap().to_owned();
    let folder = sandbox.cache().join("clone");
    let arguments = [
        "run",
        folder.to_str().unwrap(),
        "--clone",
        &url,
        "--remote",
        &url,
        "--offline",
        "-q",
        "--format",
        "json",
    ];
    let output = sandbox.run(arguments);
    assert_eq!(output.exit_code, 0, "{output}");
    let clone = crate::support::git::Git::at(&folder);
    assert_eq!(clone.head(), sandbox.git().head());
    sandbox.write("b.yaml", "b: 1\n");
    sandbox.git().commit_all("More");
    let output = sandbox.run(arguments);
    assert_eq!(output.exit_code, 0, "{output}");
    assert_eq!(clone.head(), sandbox.git().head());
}
