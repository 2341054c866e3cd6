//! CSV: one row a component, for spreadsheets.

use super::{Error, clean};
use crate::domain::report::{Report, UpdateReport};

const HEADER: [&str; 20] = [
    "id",
    "kind",
    "name",
    "namespace",
    "cluster",
    "status",
    "reason",
    "current_version",
    "available_version",
    "resolves_to",
    "update_type",
    "security_update",
    "security_advisories",
    "breaking_changes",
    "warnings",
    "released_at",
    "changelog_url",
    "upstream_type",
    "upstream_url",
    "pins",
];

pub(super) fn csv(report: &Report) -> Result<String, Error> {
    let UpdateReport { components, .. } = &report.update_report;
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for (id, entry) in components {
        let optional = |text: &Option<String>| text.clone().unwrap_or_default();
        let upstream = entry.upstream.as_ref();
        let pins: Vec<String> = entry.pins.iter().map(|pin| format!("{}:{}", pin.file, pin.line)).collect();
        let record = [
            id.clone(),
            entry.kind.clone(),
            entry.name.clone(),
            optional(&entry.namespace),
            optional(&entry.cluster),
            entry.status.as_str().to_owned(),
            optional(&entry.reason),
            optional(&entry.current_version),
            optional(&entry.available_version),
            optional(&entry.resolves_to),
            entry.update_type.as_str().to_owned(),
            entry.security_update.map(|known| known.to_string()).unwrap_or_default(),
            entry.security_advisories.join(" "),
            entry.breaking_changes.join("; "),
            entry.warnings.join("; "),
            entry.released_at.map(|time| time.to_string()).unwrap_or_default(),
            optional(&entry.changelog_url),
            upstream.map(|upstream| upstream.kind.clone()).unwrap_or_default(),
            upstream.map(|upstream| upstream.url.clone()).unwrap_or_default(),
            pins.join(" "),
        ];
        writer.write_record(record.iter().map(|cell| guarded(cell)))?;
    }
    writer.flush().map_err(csv::Error::from)?;
    let bytes =
        writer.into_inner().map_err(|failed| csv::Error::from(std::io::Error::other(failed.to_string())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection"): a leading sign of one is
/// preceded by an apostrophe. Full-width signs count, as some spreadsheets fold them. Scripts that
/// need the exact text (a range such as `=1.2.3`) read JSON.
pub(super) fn guarded(text: &str) -> String {
    let text = clean::line(text);
    if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) {
        format!("'{text}")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::samples;
    use super::*;

    #[rstest]
    #[case::version("v1.33.4+k3s1", "v1.33.4+k3s1")]
    #[case::formula("=1+1", "'=1+1")]
    #[case::behind_a_blank("\t =1+1", "'=1+1")]
    #[case::behind_an_escape("\u{1b}[0m=1+1", "'=1+1")]
    #[case::minus("-2", "'-2")]
    #[case::full_width("＝1", "'＝1")]
    #[case::range(">=1.2", ">=1.2")]
    fn formulas_are_text(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(guarded(text), expected);
    }

    #[test]
    fn every_component_is_one_row_of_the_same_width() {
        for (name, report) in samples::all() {
            let text = csv(&report).unwrap();
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
            assert_eq!(rows.len(), report.update_report.components.len(), "{name}");
            assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{name}");
            assert!(!text.chars().any(|letter| letter != '\n' && letter.is_control()), "{name}");
        }
    }

    #[test]
    fn a_row_says_what_is_newer() {
        let text = csv(&samples::twelve()).unwrap();
        let row = text.lines().find(|line| line.starts_with("flux,")).unwrap();
        assert_eq!(
            row,
            "flux,flux,flux,,,update_available,,v2.6.0,v2.7.1,,minor,true,\
             CVE-2026-31337 GHSA-23cf-ghjm-pqrv,,,2026-10-02T09:00:00Z,\
             https://github.com/fluxcd/flux2/releases/tag/v2.7.1,helm,https://charts.example.org,\
             apps/flux/release.yaml:14"
        );
    }
}
