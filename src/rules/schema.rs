//! The JSON Schema of rule files.

use super::raw::RawRule;

/// The JSON Schema of a rule file (draft 2020-12), as committed in `schema/rule.v1.json`.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(RawRule);
    schema.insert("$id".to_owned(), "urn:gitops-updater:rule:v1".into());
    schema.insert("title".to_owned(), "Rule of gitops-updater".into());
    format!("{:#}\n", schema.to_value())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::rules::Registry;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/rule.v1.json");
    const REFERENCE: &str = include_str!("../../rules/README.md");

    #[test]
    fn committed_schema_is_the_one_of_the_code() {
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(
            committed == schema(),
            "schema/rule.v1.json is out of date: run \
             `cargo test --lib rules::schema::tests::schema_is_written -- --ignored`"
        );
    }

    #[test]
    #[ignore = "writes schema/rule.v1.json"]
    fn schema_is_written() {
        std::fs::write(COMMITTED, schema()).unwrap();
    }

    #[test]
    fn embedded_rules_match_the_schema() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let (registry, _) = Registry::load([]);
        for (rule, source) in registry.with_sources() {
            let file: Value = serde_saphyr::from_str(&source.text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&file).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", rule.id);
        }
        assert!(!validator.is_valid(&serde_json::json!({"id": "a"})));
    }

    /// Names of fields, values of enums and types of upstreams, wherever they stand in the schema.
    fn words(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value) {
                        ("properties", Value::Object(fields)) => found.extend(fields.keys().cloned()),
                        ("const", Value::String(word)) => {
                            found.insert(word.clone());
                        }
                        ("enum", Value::Array(words)) => {
                            found.extend(words.iter().filter_map(Value::as_str).map(str::to_owned));
                        }
                        _ => {}
                    }
                    words(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| words(item, found)),
            _ => {}
        }
    }

    #[test]
    fn reference_names_every_field_and_every_word() {
        let mut found = BTreeSet::new();
        words(&serde_json::from_str(&schema()).unwrap(), &mut found);
        assert!(found.len() > 40, "{found:?}");
        let missing: Vec<_> = found.iter().filter(|word| !REFERENCE.contains(&format!("`{word}`"))).collect();
        assert!(missing.is_empty(), "rules/README.md does not explain {missing:?}");
    }

    /// Every YAML block of the reference that is a whole rule works as it stands.
    #[test]
    fn worked_examples_of_the_reference_find_what_they_say() {
        let rules: Vec<&str> = REFERENCE
            .split("```yaml\n")
            .skip(1)
            .filter_map(|block| block.split("```").next())
            .filter(|block| block.lines().any(|line| line.starts_with("id: ")))
            .collect();
        assert!(!rules.is_empty());
        for text in rules {
            let (registry, problems) = Registry::load([("own.yaml", text)]);
            assert_eq!(problems, []);
            let rule = &registry.rules()[0];
            assert!(!rule.examples.is_empty() || rule.pins.is_empty(), "{}", rule.id);
            for example in &rule.examples {
                let scan =
                    crate::domain::scan::scan_file(&example.file, example.text.as_bytes(), registry.rules());
                for (pin, expected) in &example.finds {
                    let found = scan.found.iter().any(|found| {
                        rule.pins.get(found.pin).is_some_and(|spec| found.rule == 0 && spec.id == *pin)
                            && found.site.as_ref().is_some_and(|site| site.text == *expected)
                    });
                    assert!(found, "{} {pin}", rule.id);
                }
            }
        }
    }
}
