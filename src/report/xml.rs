//! XML 1.0: the same document as JSON. Lists have an element an item, maps one with `id` or `name`
//! per entry, and what nobody knows has `xsi:nil="true"`.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use serde_json::Value;

use super::Error;
use crate::domain::notes::is_unprintable;
use crate::domain::report::Report;

/// Lists and maps of the report, and what one of their entries is called.
const ENTRIES: [(&str, &str); 11] = [
    ("updates", "update"),
    ("components", "component"),
    ("pins", "pin"),
    ("problems", "problem"),
    ("span", "byte"),
    ("security_advisories", "advisory"),
    ("breaking_changes", "change"),
    ("warnings", "warning"),
    ("platforms", "platform"),
    ("by_type", "count"),
    ("by_status", "count"),
];

pub(super) fn render(report: &Report) -> Result<String, Error> {
    document("update_report", &serde_json::to_value(&report.update_report)?)
}

/// A document whose root has the fields of `value`.
pub(super) fn document(name: &str, value: &Value) -> Result<String, Error> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let mut root = BytesStart::new(name);
    root.push_attribute(("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"));
    writer.write_event(Event::Start(root))?;
    fields(value, &mut writer)?;
    writer.write_event(Event::End(BytesEnd::new(name)))?;
    let mut text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

fn fields(value: &Value, writer: &mut Writer<Vec<u8>>) -> Result<(), Error> {
    if let Value::Object(fields) = value {
        for (key, inner) in fields {
            element(BytesStart::new(key.as_str()), key, inner, writer)?;
        }
    }
    Ok(())
}

/// `value` within the element `start`; `key` says what the entries of a list or map are called.
fn element(
    mut start: BytesStart<'_>,
    key: &str,
    value: &Value,
    writer: &mut Writer<Vec<u8>>,
) -> Result<(), Error> {
    let entry = ENTRIES.iter().find(|(list, _)| *list == key).map_or("count", |(_, entry)| *entry);
    let end = BytesEnd::new(start.name().as_ref().to_owned());
    match value {
        Value::Null => {
            start.push_attribute(("xsi:nil", "true"));
            writer.write_event(Event::Empty(start))?;
        }
        Value::Array(items) => {
            writer.write_event(Event::Start(start))?;
            for item in items {
                element(BytesStart::new(entry), entry, item, writer)?;
            }
            writer.write_event(Event::End(end))?;
        }
        // The keys of these maps are data, and might not be names in XML.
        Value::Object(map) if matches!(key, "components" | "by_type" | "by_status" | "inventory") => {
            writer.write_event(Event::Start(start))?;
            for (name, item) in map {
                let mut one = BytesStart::new(entry);
                let attribute = if key == "components" { "id" } else { "name" };
                one.push_attribute((attribute, valid(name).replace(['\n', '\t'], " ").as_str()));
                element(one, entry, item, writer)?;
            }
            writer.write_event(Event::End(end))?;
        }
        Value::Object(_) => {
            writer.write_event(Event::Start(start))?;
            fields(value, writer)?;
            writer.write_event(Event::End(end))?;
        }
        Value::String(text) => {
            writer.write_event(Event::Start(start))?;
            writer.write_event(Event::Text(BytesText::new(&valid(text))))?;
            writer.write_event(Event::End(end))?;
        }
        Value::Bool(_) | Value::Number(_) => {
            writer.write_event(Event::Start(start))?;
            writer.write_event(Event::Text(BytesText::new(&value.to_string())))?;
            writer.write_event(Event::End(end))?;
        }
    }
    Ok(())
}

/// Without what XML 1.0 forbids and what a terminal would act upon.
fn valid(text: &str) -> String {
    text.chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !is_unprintable(*letter))
        .filter(|letter| !matches!(letter, '\u{fffe}' | '\u{ffff}'))
        .collect()
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;

    use super::super::samples;
    use super::*;

    #[test]
    fn documents_are_well_formed_and_hold_every_component() {
        for (name, report) in samples::all() {
            let text = render(&report).unwrap();
            let mut reader = Reader::from_str(&text);
            let mut ids = Vec::new();
            loop {
                match reader.read_event().unwrap() {
                    Event::Start(start) if start.name().as_ref() == "component" => {
                        let id = start.try_get_attribute("id").unwrap().unwrap();
                        ids.push(id.value.into_owned());
                    }
                    Event::Eof => break,
                    _ => {}
                }
            }
            assert_eq!(ids.len(), report.update_report.components.len(), "{name}");
            assert!(
                !text.contains("<img") && !text.chars().any(|letter| letter != '\n' && letter.is_control()),
                "{name}"
            );
        }
    }

    #[test]
    fn unknown_is_nil_and_not_empty() {
        let text = render(&samples::quiet()).unwrap();
        assert!(text.contains(r#"<available_version xsi:nil="true"/>"#), "{text}");
        assert!(text.contains(r#"<component id="helm/traefik/traefik">"#), "{text}");
        assert!(text.contains(r#"<count name="HelmRelease">3</count>"#), "{text}");
    }
}
