//! Renders charts with the `helm` program, where a person chose that and it is at hand.
//!
//! A chart is a program of strangers. It is run by Helm's own template engine, which gives it neither files nor
//! network; the process gets an empty environment, folders of its own, and an end.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::domain::chart_diff::Chart;
use crate::domain::duration::in_words;

/// Most bytes that are read of what Helm prints.
const OUTPUT_LIMIT: u64 = 16 << 20;
/// Most bytes that are read of what Helm complains.
const COMPLAINT_LIMIT: u64 = 4 << 10;
/// How often it is looked whether Helm is done.
const LOOK: Duration = Duration::from_millis(20);

/// Why there is nothing rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The files of the chart cannot be laid out.
    #[error("cannot write the chart to `{path}`")]
    Write {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no such program, or it cannot be started.
    #[error("cannot run `{program}`; install Helm or switch rendering off")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("`{program} template` took more than {} and was stopped", in_words(*timeout))]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// The time that it had.
        timeout: Duration,
    },
    /// It printed too much.
    #[error("`{program} template` printed more than {OUTPUT_LIMIT} bytes")]
    TooLarge {
        /// The program.
        program: PathBuf,
    },
    /// It did not like the chart or the values.
    #[error("`{program} template` failed: {complaint}")]
    Failed {
        /// The program.
        program: PathBuf,
        /// The first line of what it said.
        complaint: String,
    },
}

/// The program, and how long it may take.
#[derive(Debug, Clone)]
pub struct HelmProgram {
    /// Path, or a name to be looked for in `path`.
    pub program: PathBuf,
    /// Time for one chart.
    pub timeout: Duration,
}

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(cause) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(path = %self.0.display(), reason = %cause, "temporary folder not removed");
        }
    }
}

impl Folder {
    fn new() -> Result<Self, RenderError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gitops-updater-helm-{}-{number}", std::process::id()));
        // Not `create_dir_all`: somebody else's folder of that name is not ours to use.
        std::fs::create_dir(&path).map_err(|source| RenderError::Write { path: path.clone(), source })?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, RenderError> {
        let path = self.0.join(name);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
            std::fs::File::create(&path)?.write_all(bytes)
        };
        write().map_err(|source| RenderError::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

impl HelmProgram {
    /// What the chart makes of the values. Blocks; the caller gives it a thread.
    ///
    /// # Errors
    ///
    /// Helm is not there, refuses the chart or the values, takes too long or prints too much.
    pub fn template(
        &self,
        chart: &Chart,
        values: &Value,
        (namespace, name): (&str, &str),
    ) -> Result<String, RenderError> {
        let folder = Folder::new()?;
        // Paths were checked when the archive was unpacked: none leads out of the folder.
        for (path, text) in chart.files() {
            folder.write(&format!("chart/{path}"), text.as_bytes())?;
        }
        // JSON is YAML.
        let values = folder.write("values.json", values.to_string().as_bytes())?;
        let start = |source| RenderError::Start { program: self.program.clone(), source };
        let mut child = Command::new(&self.program)
            .args(["template", "--include-crds", "--namespace", namespace, "--values"])
            .arg(&values)
            .args(["--", name])
            .arg(folder.0.join("chart"))
            .env_clear()
            .env("HOME", &folder.0)
            .env("HELM_CACHE_HOME", folder.0.join("cache"))
            .env("HELM_CONFIG_HOME", folder.0.join("config"))
            .env("HELM_DATA_HOME", folder.0.join("data"))
            // Helm has no reason to ask anybody; if it does, nobody answers.
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("KUBECONFIG", folder.0.join("none"))
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        self.finish(&mut child, &folder.0)
    }

    fn finish(&self, child: &mut Child, folder: &Path) -> Result<String, RenderError> {
        let printed = child.stdout.take().map(|pipe| reader(pipe, OUTPUT_LIMIT + 1));
        let said = child.stderr.take().map(|pipe| reader(pipe, COMPLAINT_LIMIT));
        let deadline = Instant::now() + self.timeout;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
                Ok(None) => {
                    stop(child);
                    let timeout = self.timeout;
                    return Err(RenderError::TimedOut { program: self.program.clone(), timeout });
                }
                Err(source) => {
                    stop(child);
                    return Err(RenderError::Start { program: self.program.clone(), source });
                }
            }
        };
        let output = printed.and_then(|reading| reading.join().ok()).unwrap_or_default();
        let said = said.and_then(|reading| reading.join().ok()).unwrap_or_default();
        if output.len() as u64 > OUTPUT_LIMIT {
            return Err(RenderError::TooLarge { program: self.program.clone() });
        }
        if !status.success() {
            let said = String::from_utf8_lossy(&said);
            let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
            let complaint = line.replace(&*folder.to_string_lossy(), ".").trim().to_owned();
            return Err(RenderError::Failed { program: self.program.clone(), complaint });
        }
        Ok(String::from_utf8_lossy(&output).into_owned())
    }
}

/// Reads a pipe to its end, and keeps so many bytes: who writes must not be held up.
fn reader(mut pipe: impl Read + Send + 'static, limit: u64) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let read = pipe.by_ref().take(limit).read_to_end(&mut kept);
        if read.is_ok()
            && let Err(cause) = std::io::copy(&mut pipe, &mut std::io::sink())
        {
            tracing::debug!(reason = %cause, "output of helm not read to its end");
        }
        kept
    })
}

fn stop(child: &mut Child) {
    if let Err(cause) = child.kill().and_then(|()| child.wait()) {
        tracing::debug!(reason = %cause, "helm not stopped");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(folder: &Path, script: &str) -> HelmProgram {
        let path = folder.join("helm");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        HelmProgram { program: path, timeout: Duration::from_secs(60) }
    }

    fn render(helm: &HelmProgram) -> Result<String, RenderError> {
        let files = [("Chart.yaml", "name: app\nversion: 1.0.0\n"), ("templates/a.yaml", "kind: A\n")];
        let files: BTreeMap<String, String> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        helm.template(&Chart::new(files).unwrap(), &serde_json::json!({"a": 1}), ("apps", "app"))
    }

    #[test]
    fn helm_gets_the_chart_and_the_values_and_nothing_of_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo \"$1 $2 $3 $4 $5 $7 $8\"; /bin/cat \"$6\"; echo; /bin/cat \"$9/templates/a.yaml\"; echo \"home=$HOME cargo=$CARGO\"";
        let output = render(&program(folder.path(), script)).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(
            lines[..3],
            ["template --include-crds --namespace apps --values -- app", "{\"a\":1}", "kind: A"]
        );
        assert!(lines[3].ends_with(" cargo="), "{output}");
        let home = lines[3].strip_prefix("home=").and_then(|rest| rest.split(' ').next()).unwrap();
        assert!(!Path::new(home).exists(), "{home} is left");
    }

    #[test]
    fn a_helm_that_fails_never_ends_or_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let failed = render(&program(folder.path(), "echo 'Error: no such value' >&2; exit 1")).unwrap_err();
        assert!(failed.to_string().ends_with("template` failed: Error: no such value"), "{failed}");
        let endless = HelmProgram {
            timeout: Duration::from_millis(50),
            ..program(folder.path(), "while :; do :; done")
        };
        assert!(matches!(render(&endless), Err(RenderError::TimedOut { .. })));
        let missing = HelmProgram { program: folder.path().join("none"), ..endless };
        assert!(matches!(render(&missing), Err(RenderError::Start { .. })));
    }
}
