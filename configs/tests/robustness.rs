//! Whatever a file holds, reading it ends with a site or with faults that can be shown.

use std::sync::LazyLock;

use configs::{fault::Source, library::Library, render, secret, site_file::read_site};
use proptest::prelude::*;

static LIBRARY: LazyLock<Library> = LazyLock::new(Library::shipped);

const SITES: [&str; 4] = [
    include_str!("../sites/cold-plate-hall.toml"),
    include_str!("../sites/dsx-hall.toml"),
    include_str!("../sites/orv3-rpu.toml"),
    include_str!("../sites/two-phase-cabinet.toml"),
];

/// One careless edit of a text.
#[derive(Clone, Debug)]
enum Edit {
    Remove { at: usize, length: usize },
    Insert { at: usize, text: String },
    Repeat { at: usize, length: usize },
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let place = 0_usize..12_000;
    let words = prop::sample::select(vec![
        "\"",
        "[",
        "]]",
        "= ",
        "{",
        "\n[[rack]]\n",
        "\n[[device]]\nid = 3\n",
        "-",
        "1e999",
        "°",
        "\\u0000",
        "${env:",
        "@",
        "99999999999999999999",
        " kW",
        "feeds = [\"utility\"]\n",
    ]);
    let edit = prop_oneof![
        (place.clone(), 0_usize..80).prop_map(|(at, length)| Edit::Remove { at, length }),
        (place.clone(), words).prop_map(|(at, text)| Edit::Insert { at, text: text.to_owned() }),
        (place.clone(), "\\PC{0,8}").prop_map(|(at, text)| Edit::Insert { at, text }),
        (place, 0_usize..400).prop_map(|(at, length)| Edit::Repeat { at, length }),
    ];
    prop::collection::vec(edit, 1..6)
}

fn apply(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        match edit {
            Edit::Remove { at, length } => {
                let start = at % (chars.len() + 1);
                let end = (start + length).min(chars.len());
                chars.drain(start..end);
            }
            Edit::Insert { at, text } => {
                let at = at % (chars.len() + 1);
                chars.splice(at..at, text.chars());
            }
            Edit::Repeat { at, length } => {
                let start = at % (chars.len() + 1);
                let end = (start + length).min(chars.len());
                let again: Vec<char> = chars[start..end].to_vec();
                chars.splice(end..end, again);
            }
        }
    }
    chars.into_iter().collect()
}

fn read_and_show(text: &str) -> Result<(), TestCaseError> {
    let source = Source { name: "site.toml".into(), text: text.into() };
    if let Err(faults) = read_site(&source, &LIBRARY, &secret::unresolved) {
        prop_assert!(!faults.is_empty(), "refused without a reason");
        for fault in &faults {
            prop_assert!(!fault.message.is_empty() && !fault.remedy.is_empty());
        }
        prop_assert!(!render::text(&faults, false).is_empty());
        prop_assert!(!render::text(&faults, true).is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_with_reasons(text in "(?s).{0,400}") {
        read_and_show(&text)?;
    }

    #[test]
    fn any_edit_of_a_site_is_read_or_refused_with_reasons(site in 0..SITES.len(), edits in edits()) {
        read_and_show(&apply(SITES[site], &edits))?;
    }
}
