use gitops_updater::domain::notes::{
    MAX_ADVISORIES, MAX_BREAKING, MAX_ITEM, advisories, breaking, is_advisory,
};

/// Notes of strangers come out as bounded plain text and canonical identifiers.
pub fn notes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let ids = advisories(&text);
    assert!(ids.len() <= MAX_ADVISORIES);
    for id in ids {
        assert!(is_advisory(&id), "{id}");
    }
    // The second form makes most inputs an item at all.
    for notes in [text.as_ref(), &format!("## Breaking\n- {text}")] {
        let items = breaking(notes);
        assert!(items.len() <= MAX_BREAKING);
        for item in items {
            item_holds(&item);
        }
    }
}

fn item_holds(item: &str) {
    assert!(item.chars().count() <= MAX_ITEM, "{item:?}");
    assert!(!item.contains("](") && !item.contains("://") && !item.contains('`'), "{item:?}");
    assert!(!item.chars().any(char::is_control), "{item:?}");
    assert!(!item.starts_with('@'), "{item:?}");
    let letters: Vec<char> = item.chars().collect();
    for pair in letters.windows(2) {
        assert!(!(pair[0] == '<' && pair[1].is_ascii_alphabetic()), "{item:?}");
        assert!(pair[0].is_alphanumeric() || pair[1] != '@', "{item:?}");
    }
}
