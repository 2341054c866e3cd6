//! The report as a document for scripts: JSON, YAML and their schema.

use super::{Error, yaml as yaml_text};
use crate::domain::notes::is_unprintable;
use crate::domain::report::Report;

pub(super) fn json(report: &Report) -> Result<String, Error> {
    let mut text = printable(&serde_json::to_string_pretty(report)?);
    text.push('\n');
    Ok(text)
}

pub(super) fn yaml(report: &Report) -> Result<String, Error> {
    Ok(yaml_text::render(&serde_json::to_value(report)?))
}

pub(super) fn schema() -> String {
    // As written, not as read: what nobody knows is there as null.
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Report>();
    schema.insert("$id".to_owned(), "urn:gitops-updater:report:v1".into());
    schema.insert("title".to_owned(), "Update report of gitops-updater".into());
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Escapes what JSON allows but a terminal would act upon; outside strings there is no such character.
pub(super) fn printable(json: &str) -> String {
    let mut units = [0; 2];
    escaped(json, |letter, out| {
        for unit in letter.encode_utf16(&mut units) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    })
}

/// The same for JSON that is read as YAML, which knows no pairs of surrogates (YAML 1.2, 5.7).
pub(super) fn printable_yaml(json: &str) -> String {
    escaped(json, |letter, out| {
        let code = u32::from(letter);
        out.push_str(&if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") });
    })
}

fn escaped(json: &str, mut escape: impl FnMut(char, &mut String)) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    // Nearly all of a report is plain ASCII, which is copied as it stands.
    while let Some(at) = rest.bytes().position(|byte| !matches!(byte, b'\n' | b' '..=b'~')) {
        let (plain, odd) = rest.split_at(at);
        out.push_str(plain);
        let mut letters = odd.chars();
        if let Some(letter) = letters.next() {
            if is_unprintable(letter) {
                escape(letter, &mut out);
            } else {
                out.push(letter);
            }
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::samples;
    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/report.v1.json");

    #[test]
    fn committed_schema_is_the_one_of_the_code() {
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(
            committed == schema(),
            "schema/report.v1.json is out of date: run \
             `cargo test --lib report::data::tests::schema_is_written -- --ignored`, and raise the version \
             in `domain::report::SCHEMA` if a reader of the old shape would break"
        );
    }

    #[test]
    #[ignore = "writes schema/report.v1.json"]
    fn schema_is_written() {
        std::fs::write(COMMITTED, schema()).unwrap();
    }

    #[test]
    fn rendered_reports_match_the_schema() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (name, report) in samples::all() {
            let from_json: Value = serde_json::from_str(&json(&report).unwrap()).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&from_json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
            let from_yaml: Value = serde_yaml::from_str(&yaml(&report).unwrap()).unwrap();
            assert_eq!(from_yaml, from_json, "{name}");
        }
    }

    #[test]
    fn schema_refuses_another_shape() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut report: Value = serde_json::from_str(&json(&samples::quiet()).unwrap()).unwrap();
        report["update_report"]["components"]["k3s"]["status"] = "fine".into();
        assert!(!validator.is_valid(&report));
        report["update_report"]["components"]["k3s"]["status"] = "up_to_date".into();
        assert!(validator.is_valid(&report));
        report["update_report"]["components"]["k3s"].as_object_mut().unwrap().remove("available_version");
        assert!(!validator.is_valid(&report), "what nobody knows is null, not absent");
    }

    #[test]
    fn reports_are_read_back_as_they_were() {
        for (name, report) in samples::all() {
            let again: Report = serde_json::from_str(&json(&report).unwrap()).unwrap();
            assert_eq!(again, report, "{name}");
            assert_eq!(json(&again).unwrap(), json(&report).unwrap(), "{name}: the order is stable");
        }
    }

    #[test]
    fn neither_json_nor_yaml_holds_what_a_terminal_acts_upon() {
        for (name, report) in samples::all() {
            for text in [json(&report).unwrap(), yaml(&report).unwrap()] {
                assert!(!text.chars().any(|letter| letter != '\n' && is_unprintable(letter)), "{name}");
            }
        }
    }

    #[test]
    fn unknown_is_null() {
        let report: Value = serde_json::from_str(&json(&samples::twelve()).unwrap()).unwrap();
        let grafana = &report["update_report"]["components"]["helm/monitoring/grafana"];
        assert_eq!(grafana["security_update"], Value::Null);
        assert_eq!(grafana["upstream"]["type"], "helm");
        assert_eq!(report["update_report"]["summary"]["recommended_action"], "update_now");
    }
}
