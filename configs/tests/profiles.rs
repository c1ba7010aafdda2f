//! The shipped profiles: every one is read without a fault.

#![expect(clippy::unwrap_used, reason = "a test without its files fails")]

use std::{fs, path::Path};

use configs::{fault::Source, profile::Profile, profile_file};

fn shipped() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (format!("profiles/{name}"), fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn read(name: &str, text: &str) -> Result<Profile, String> {
    let source = Source { name: name.into(), text: text.into() };
    profile_file::read(&source).map_err(|faults| {
        let line = |fault: &configs::fault::Fault| {
            let (line, column) = fault.line_and_column();
            format!("{name}:{line}:{column}: {}; {}", fault.message, fault.remedy)
        };
        faults.iter().map(line).collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn every_shipped_profile_is_read_without_a_fault() {
    let files = shipped();
    assert!(files.len() >= 10, "{} profiles", files.len());
    for (name, text) in files {
        match read(&name, &text) {
            Ok(profile) => assert!(!profile.offered().is_empty(), "{name} offers nothing"),
            Err(faults) => panic!("{faults}"),
        }
    }
}
