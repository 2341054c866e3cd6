use super::super::samples;
use super::*;

fn page(report: &Report) -> String {
    render(report, &samples::options()).unwrap()
}

/// The tags of `html` in order, without their text; also proves that every `<` opens a tag.
fn tags(html: &str) -> Vec<String> {
    let style_start = html.find("<style>").unwrap();
    let style_end = html.find("</style>").unwrap();
    let without_style = format!("{}{}", &html[..style_start + 7], &html[style_end..]);
    without_style
        .split('<')
        .skip(1)
        .map(|rest| rest.split_once('>').expect("every tag is closed").0.to_owned())
        .collect()
}

#[test]
fn tags_are_balanced_and_only_those_of_the_template() {
    const VOID: [&str; 4] = ["meta", "br", "!doctype", "circle"];
    const KNOWN: &[&str] = &[
        "html", "head", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "p",
        "ul", "li", "details", "summary", "span", "code", "dl", "dt", "dd", "a", "b", "svg", "rect", "text",
        "div",
    ];
    for (name, report) in samples::all() {
        let mut open = Vec::new();
        for tag in tags(&page(&report)) {
            let word = tag.trim_start_matches('/').split([' ', '/']).next().unwrap().to_lowercase();
            if VOID.contains(&word.as_str()) || tag.ends_with('/') {
                continue;
            }
            assert!(KNOWN.contains(&word.as_str()), "{name}: <{tag}>");
            if tag.starts_with('/') {
                assert_eq!(open.pop().as_deref(), Some(word.as_str()), "{name}");
            } else {
                open.push(word);
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

#[test]
fn links_lead_only_to_the_web_and_leave_no_trace() {
    for (name, report) in samples::all() {
        for tag in tags(&page(&report)) {
            if tag.starts_with("a ") {
                assert!(
                    tag.starts_with("a href=\"https:&#x2f;&#x2f;") || tag.starts_with("a href=\"https://"),
                    "{name}: {tag}"
                );
                assert!(tag.ends_with("rel=\"noopener noreferrer\""), "{name}: {tag}");
            } else {
                assert!(
                    !tag.contains("href=") && !tag.contains(" src=") && !tag.contains(" on"),
                    "{name}: {tag}"
                );
            }
        }
    }
}

#[test]
fn page_forbids_everything_but_its_own_style() {
    let page = page(&samples::hostile());
    assert!(page.contains(
        "content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\""
    ));
    let style = &page[page.find("<style>").unwrap()..page.find("</style>").unwrap()];
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(!page.chars().any(|letter| letter != '\n' && letter.is_control()));
}

#[test]
fn page_shows_every_component_and_the_headline_first() {
    let report = samples::twelve();
    let page = page(&report);
    for id in report.update_report.components.keys() {
        assert!(page.contains(&id.replace('/', "&#x2f;")) || page.contains(id.as_str()), "{id}");
    }
    assert!(page.contains("<h1>1 security update: flux v2.6.0 → v2.7.1</h1>"));
    assert!(page.contains("<title>1 security update: flux v2.6.0 → v2.7.1</title>"));
}

#[test]
fn ring_is_whole() {
    let report = samples::large();
    let arcs = ring(&View::new(&report));
    assert_eq!(arcs.iter().map(|arc| arc.count).sum::<usize>(), 300);
    assert_eq!(arcs[0].length, "50.00");
    assert_eq!(arcs[1].offset, "50.00");
    assert!(ring(&View::new(&samples::empty())).is_empty());
}
