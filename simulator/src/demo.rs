//! The site that the demo runs, as it ships.

use configs::{
    fault::{Fault, Source},
    library::Library,
    secret,
    site::Site,
    site_file,
};

/// The name under which faults of the demo site are reported, and its text.
const DEMO: (&str, &str) = ("sites/demo.toml", include_str!("../../configs/sites/demo.toml"));

/// The demo hall, with the profiles and rules of the library.
///
/// # Errors
/// Only a library whose profiles do not fit: the shipped one does.
pub fn demo_site(library: &Library) -> Result<Site, Vec<Fault>> {
    site_file::read_site(&demo_source(), library, &secret::unresolved)
}

/// The text of the demo site, as it ships.
pub fn demo_source() -> Source {
    Source { name: DEMO.0.into(), text: DEMO.1.into() }
}
