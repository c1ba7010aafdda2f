//! A site file with what stands beside it: profiles in `profiles/`, rule files in `rules/`.

use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use configs::{
    fault::{Fault, Source},
    library::Library,
    render,
    secret::Reference,
    site::Site,
    site_file::read_site,
};

/// Reads a configuration file.
pub(crate) fn source(path: &Path) -> anyhow::Result<Source> {
    let text =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(Source { name: path.display().to_string().into(), text: text.into() })
}

/// The shipped profiles and rule files, overlaid with those beside the file at `path`.
pub(crate) fn library_beside(path: &Path) -> anyhow::Result<Library> {
    let mut library = Library::shipped();
    let folder = path.parent().unwrap_or(Path::new("."));
    for (name, source) in toml_files(&folder.join("profiles"))? {
        library.add_profile(&name, source);
    }
    for (name, source) in toml_files(&folder.join("rules"))? {
        library.add_rules(&name, source);
    }
    for (name, source) in toml_files(&folder.join("limits"))? {
        library.add_limits(&name, source);
    }
    Ok(library)
}

/// Reads and checks a site, secrets included. All faults are in the error, ready to print.
pub(crate) fn load_site(path: &Path) -> anyhow::Result<Site> {
    let (source, library) = (source(path)?, library_beside(path)?);
    match read_site(&source, &library, &secret) {
        Ok(site) => Ok(site),
        Err(faults) => bail!("{} cannot be used\n{}", path.display(), explain(&faults)),
    }
}

/// Where a gateway keeps what it sees: what the command line says, or the site file, or the service manager; else the
/// user's own state folder.
pub(crate) fn data_directory(given: Option<&Path>, site: &Site) -> anyhow::Result<PathBuf> {
    let folder =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = || {
        let home = || folder("HOME").map(|home| home.join(".local/state"));
        let state = folder("XDG_STATE_HOME").or_else(home)?;
        Some(state.join("coldwatch").join(&site.info.id))
    };
    given
        .map(Path::to_path_buf)
        .or_else(|| site.storage.directory.clone())
        .or_else(|| folder("STATE_DIRECTORY"))
        .or_else(state)
        .context("nowhere to keep anything: name a folder with --data DIR")
}

/// Faults as text for stderr, styled where somebody looks at it.
pub(crate) fn explain(faults: &[Fault]) -> String {
    let styled = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    render::text(faults, styled)
}

/// Fetches a secret. The message names where, never what.
fn secret(reference: Reference<'_>) -> Result<String, String> {
    match reference {
        Reference::File(path) => fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| format!("failed to read {path}: {error}")),
        Reference::Environment(name) => {
            std::env::var(name).map_err(|_| format!("the environment has no text variable {name}"))
        }
    }
}

/// The `.toml` files of a folder by their stems, sorted. A folder that is not there is empty.
fn toml_files(folder: &Path) -> anyhow::Result<Vec<(String, Source)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = || format!("failed to list {}", folder.display());
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        // `NAME.test.toml` holds tests of rules, not rules.
        let ends_in = |path: &Path, word| path.extension().is_some_and(|ending| ending == word);
        let stem = path.file_stem().map_or(Path::new(""), Path::new);
        if ends_in(&path, "toml") && !ends_in(stem, "test") {
            paths.push(path);
        }
    }
    paths.sort();
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    paths
        .iter()
        .filter_map(|path| Some((stem(path)?, path)))
        .map(|(stem, path)| Ok((stem, source(path)?)))
        .collect()
}
