//! Addresses that are asked by a Pod of the cluster.

use super::pod::{self, Limits, Task};
use super::{Bench, Trial, Tried, plain};
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
    bench: &Bench<'_, C, K>,
    probes: &[ProbeSpec],
) -> Vec<Trial> {
    let probes: Vec<&ProbeSpec> = probes.iter().filter(|probe| probe.from == Vantage::Cluster).collect();
    let arguments = probes.iter().flat_map(|probe| question(probe)).collect();
    let results = run(bench, "asks", arguments, probes.len()).await;
    let named = probes.iter().zip(results);
    named.map(|(probe, tried)| Trial::new(format!("probe/{}", probe.name), tried)).collect()
}

/// Whether names resolve in a Pod.
pub(super) async fn resolved<C: Cluster, K: Clock + Sync>(
    bench: &Bench<'_, C, K>,
    names: &[String],
) -> Vec<Tried> {
    let arguments = names
        .iter()
        .flat_map(|name| ["dns".to_owned(), "5".to_owned(), name.clone(), String::new()])
        .collect();
    run(bench, "names", arguments, names.len()).await
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
    bench: &Bench<'_, C, K>,
    what: &str,
    arguments: Vec<String>,
    count: usize,
) -> Vec<Tried> {
    if count == 0 {
        return vec![];
    }
    let name = bench.name(what);
    let task = Task { name: &name, script: SCRIPT, arguments, ..Task::default() };
    let ended = pod::run(bench, &task, Limits::within(bench.pods.timeout)).await;
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
