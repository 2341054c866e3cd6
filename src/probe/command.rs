//! The user's program: no shell, an empty environment but for what is passed, bounded in time and output.

use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::app::probes::Tried;
use crate::domain::settle::health::probe::CommandSpec;

/// Most of what it writes that is kept, in bytes; the rest is read and dropped, so that it does not block.
const OUTPUT: usize = 16 << 10;

/// Runs it. `read` gives variables of the environment.
pub(super) async fn run(spec: &CommandSpec, read: &(dyn Fn(&str) -> Option<String> + Sync)) -> Tried {
    let Some((program, arguments)) = spec.run.split_first() else {
        return Tried::Not("no program is given".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    for name in spec.pass.iter().map(String::as_str).chain(["PATH"]) {
        if let Some(value) = read(name) {
            command.env(name, value);
        }
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Tried::Not(format!("cannot run `{program}`: {error}")),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::time::timeout(spec.timeout, async {
        let (said, complained, status) = tokio::join!(kept(stdout), kept(stderr), child.wait());
        (said, complained, status)
    });
    match ended.await {
        Err(_) => {
            // Its children may go on; the program itself does not.
            if let Err(error) = child.kill().await {
                tracing::warn!(program = program.as_str(), reason = %error, "cannot end the program");
            }
            Tried::Bad(format!("`{program}` did not end within {} s", spec.timeout.as_secs()))
        }
        Ok((_, _, Err(error))) => Tried::Not(format!("cannot wait for `{program}`: {error}")),
        Ok((said, _, Ok(status))) if status.success() => Tried::Good(last_line(&said)),
        Ok((said, complained, Ok(status))) => {
            let last = [last_line(&complained), last_line(&said)].into_iter().find(|line| !line.is_empty());
            let last = last.map(|line| format!(": {line}")).unwrap_or_default();
            Tried::Bad(format!(
                "`{program}` ended with {}{last}",
                status.code().map_or_else(|| status.to_string(), |code| code.to_string())
            ))
        }
    }
}

async fn kept(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        // Its last words tell most.
        if kept.len() > 2 * OUTPUT {
            kept.drain(..kept.len() - OUTPUT);
        }
    }
    kept
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn ran(script: &str, pass: &[&str], timeout: Duration) -> Tried {
        let run = ["sh", "-c", script].map(str::to_owned).to_vec();
        let pass = pass.iter().map(|&name| name.to_owned()).collect();
        let read = |name: &str| match name {
            "PATH" => Some("/usr/bin:/bin".to_owned()),
            "SECRET" => Some("hunter2".to_owned()),
            "PASSED" => Some("yes".to_owned()),
            _ => None,
        };
        super::run(&CommandSpec { run, timeout, pass }, &read).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn end_of_the_program_is_the_result() {
        assert_eq!(
            ran("echo first; echo all well; echo", &[], LONG).await,
            Tried::Good("all well".to_owned())
        );
        assert_eq!(
            ran("echo said; echo why >&2; exit 3", &[], LONG).await,
            Tried::Bad("`sh` ended with 3: why".to_owned())
        );
    }

    #[tokio::test]
    async fn environment_is_empty_but_for_what_is_passed() {
        let said = ran("echo \"[$SECRET][$PASSED]\"", &["PASSED"], LONG).await;
        assert_eq!(said, Tried::Good("[][yes]".to_owned()));
    }

    #[tokio::test]
    async fn program_that_does_not_end_is_ended() {
        let said = ran("while :; do :; done", &[], Duration::from_millis(50)).await;
        assert_eq!(said, Tried::Bad("`sh` did not end within 0 s".to_owned()));
    }

    #[tokio::test]
    async fn endless_words_are_dropped_and_do_not_block() {
        let script = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo last";
        assert_eq!(ran(script, &[], LONG).await, Tried::Good("last".to_owned()));
    }

    #[tokio::test]
    async fn program_that_is_not_there_says_nothing_about_the_cluster() {
        let spec = CommandSpec { run: vec!["/no/such/program".to_owned()], timeout: LONG, pass: vec![] };
        assert!(matches!(super::run(&spec, &|_| None).await, Tried::Not(_)));
    }
}
