//! Addresses that are asked by a Pod of the cluster.

use super::pod::{self, Limits, Task};
use super::{Testbed, Trial, Tried, plain};
use crate::app::cluster::Cluster;
use crate::app::ports::Clock;
use crate::domain::settle::health::probe::{ProbeSpec, Target, Vantage};

/// Asks each address three times at most, and prints a line about it: number, `ok` or `bad`, what was seen.
///
/// Arguments come in fours: kind, seconds, address, what is expected. The names are resolved by the C library, with
/// the search domains of the Pod.
const SCRIPT: &str = r#"
set -uf
number=0
while [ "$#" -ge 4 ]; do
  kind=$1; seconds=$2; address=$3; expected=$4; shift 4
  number=$((number + 1)); try=0; good=bad; seen=
  while [ "$try" -lt 3 ] && [ "$good" = bad ]; do
    try=$((try + 1))
    case $kind in
    dns)
      seen=$(wget -T "$seconds" -q -O /dev/null "http://$address:1/" 2>&1 | head -c 300)
      case $seen in *"bad address"*) ;; *) good=ok; seen=resolved ;; esac
      if [ "$good" = ok ] && [ -n "$expected" ]; then
        seen=$(nslookup "$address" 2>&1 | sed -n 's/^Address[^:]*:[[:space:]]*\([^[:space:]#]*\).*/\1/p' | tr '\n' ' ' | head -c 300)
        for wanted in $expected; do
          case " $seen " in *" $wanted "*) ;; *) good=bad ;; esac
        done
      fi ;;
    tcp)
      if nc -z -w "$seconds" "${address%:*}" "${address##*:}" 2>/data/said; then good=ok; seen=connected
      else seen="no connection $(head -c 300 /data/said)"; fi ;;
    http)
      wget -S -T "$seconds" -O /data/body "$address" 2>/data/said >/dev/null
      code=$(sed -n 's/^ *HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' /data/said | head -n 1)
      seen="answered ${code:-nothing}"
      for range in ${expected%%;*}; do
        if [ -n "$code" ] && [ "$code" -ge "${range%-*}" ] && [ "$code" -le "${range#*-}" ]; then good=ok; fi
      done
      text=${expected#*;}
      if [ "$good" = ok ] && [ -n "$text" ]; then
        if ! head -c 65536 /data/body 2>/dev/null | grep -q -F -e "$text"; then good=bad; seen="$seen without the text"; fi
      fi ;;
    esac
    if [ "$good" = bad ] && [ "$try" -lt 3 ]; then sleep 1; fi
  done
  printf '%s %s %s\n' "$number" "$good" "$(printf %s "$seen" | tr '\n\t' '  ')"
done
"#;

/// Asks those of the probes that are asked from inside, by one Pod.
pub(super) async fn asked<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    probes: &[ProbeSpec],
) -> Vec<Trial> {
    let probes: Vec<&ProbeSpec> = probes.iter().filter(|probe| probe.from == Vantage::Cluster).collect();
    let arguments = probes.iter().flat_map(|probe| question(probe)).collect();
    let results = run(testbed, "asks", arguments, probes.len()).await;
    let named = probes.iter().zip(results);
    named.map(|(probe, tried)| Trial::new(format!("probe/{}", probe.name), tried)).collect()
}

/// Whether names resolve in a Pod.
pub(super) async fn resolved<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    names: &[String],
) -> Vec<Tried> {
    let arguments = names
        .iter()
        .flat_map(|name| ["dns".to_owned(), "5".to_owned(), name.clone(), String::new()])
        .collect();
    run(testbed, "names", arguments, names.len()).await
}

fn question(probe: &ProbeSpec) -> [String; 4] {
    let (kind, address, expected) = match &probe.target {
        Target::Dns { name, expect } => {
            let expect: Vec<String> = expect.iter().map(ToString::to_string).collect();
            ("dns", name.clone(), expect.join(" "))
        }
        Target::Tcp { host, port } => ("tcp", format!("{host}:{port}"), String::new()),
        Target::Http(http) => {
            let ranges: Vec<String> =
                http.status.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect();
            let text = http.contains.as_deref().unwrap_or_default();
            ("http", http.url.to_string(), format!("{};{text}", ranges.join(" ")))
        }
    };
    [kind.to_owned(), probe.timeout.as_secs().max(1).to_string(), address, expected]
}

async fn run<C: Cluster, K: Clock + Sync>(
    testbed: &Testbed<'_, C, K>,
    what: &str,
    arguments: Vec<String>,
    count: usize,
) -> Vec<Tried> {
    if count == 0 {
        return vec![];
    }
    let name = testbed.name(what);
    let task = Task { name: &name, script: SCRIPT, arguments, ..Task::default() };
    let ended = pod::run(testbed, &task, Limits::within(testbed.pods.timeout)).await;
    match ended.or_not() {
        Err(tried) => vec![tried; count],
        Ok((_, log, _)) => (1..=count).map(|number| result(&log, number)).collect(),
    }
}

/// What the line with a number says.
fn result(log: &str, number: usize) -> Tried {
    let line = log.lines().find_map(|line| {
        let (first, rest) = line.split_once(' ')?;
        (first == number.to_string()).then_some(rest)
    });
    match line.and_then(|rest| rest.split_once(' ')) {
        Some(("ok", seen)) => Tried::Good(plain(seen)),
        Some(("bad", seen)) => Tried::Bad(plain(&format!("3 of 3 tries: {seen}"))),
        _ => Tried::Not("the Pod said nothing about it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    /// What BusyBox' programs say, as far as the script reads it.
    const PROGRAMS: [(&str, &str); 4] = [
        (
            "wget",
            r#"for last in "$@"; do :; done
case $last in
*bad.example*) echo "wget: bad address 'bad.example:1'" >&2; exit 1 ;;
*:1/) echo "wget: can't connect to remote host: Connection refused" >&2; exit 1 ;;
esac
printf '  HTTP/1.1 302 Found\n  Location: /\n  HTTP/1.1 200 OK\n' >&2
before=; for now in "$@"; do if [ "$before" = -O ]; then echo "it is ok" > "$now"; fi; before=$now; done"#,
        ),
        (
            "nslookup",
            r"printf 'Server:\t\t10.43.0.10\nAddress:\t10.43.0.10:53\n\nName:\tgood.example\nAddress: 192.0.2.10\nAddress 2: 2001:db8::1 good.example\n'",
        ),
        ("nc", r#"if [ "$5" = 25 ]; then exit 0; fi; echo refused >&2; exit 1"#),
        ("sleep", "exit 0"),
    ];

    fn said(arguments: &[[&str; 4]]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in PROGRAMS {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let script = SCRIPT.replace("/data/", &format!("{}/", data.display()));
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output = Command::new("/bin/sh")
            .args(["-c", &script, "probe"])
            .args(arguments.concat())
            .env_clear()
            .env("PATH", path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn script_tells_each_answer_on_a_line_of_its_own() {
        let log = said(&[
            ["dns", "5", "good.example", ""],
            ["dns", "5", "bad.example", ""],
            ["dns", "5", "good.example", "192.0.2.10 2001:db8::1"],
            ["dns", "5", "good.example", "192.0.2.99"],
            ["tcp", "3", "mail.example:25", ""],
            ["tcp", "3", "mail.example:26", ""],
            ["http", "5", "http://web.example/", "200-299;"],
            ["http", "5", "http://web.example/", "400-499 300-399;is ok"],
            ["http", "5", "http://web.example/", "300-399;another"],
        ]);
        let good: Vec<bool> = (1..=9).map(|number| matches!(result(&log, number), Tried::Good(_))).collect();
        assert_eq!(good, [true, false, true, false, true, false, false, true, false], "{log}");
        assert_eq!(
            result(&log, 7),
            Tried::Bad("3 of 3 tries: answered 302".to_owned()),
            "not where it leads"
        );
        assert_eq!(result(&log, 10), Tried::Not("the Pod said nothing about it".to_owned()));
    }

    #[test]
    fn nothing_configured_is_read_as_code() {
        let log = said(&[
            ["tcp", "3", "$(touch /tmp/owned):`id`", ""],
            ["http", "5", "http://web.example/", "300-399;$(id) \"; exit 7; \""],
            ["dns", "5", "good.example", "* $(id)"],
        ]);
        assert_eq!(log.lines().count(), 3, "{log}");
        assert!(!log.contains("uid="), "{log}");
    }
}
