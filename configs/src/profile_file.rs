//! Reads a profile file: TOML in, a checked [`Profile`] or every fault of the text out.
//!
//! `configs/profiles/orv3-rpu.toml` shows the Modbus form, `generic-room-sensor.toml` MQTT topics, `dsx-exchange.toml`
//! MQTT with metadata.

mod meaning;
mod modbus;
mod mqtt;
mod register;

use std::{path::Path, sync::Arc};

use crate::{
    fault::{Fault, Source},
    profile::{Map, Profile},
    table::{self, Faults, Table},
};

#[derive(Clone, Copy)]
enum Protocol {
    Modbus,
    Mqtt,
}

const PROTOCOLS: &[(&str, Protocol)] = &[("modbus", Protocol::Modbus), ("mqtt", Protocol::Mqtt)];

/// Reads and checks one profile. The file stem of the source's name becomes the profile's id.
///
/// # Errors
/// Every fault of the text, in its order; never an empty list.
pub fn read(source: &Source) -> Result<Profile, Vec<Fault>> {
    let faults = Faults::new(source);
    let document = table::parse(source, &faults);
    let profile = read_root(source, &Table::new(&faults, document.get_ref(), 0..0, "the profile"));
    match profile {
        Some(profile) if faults.is_empty() => Ok(profile),
        _ => Err(faults.into_vec()),
    }
}

fn read_root(source: &Source, root: &Table<'_>) -> Option<Profile> {
    let title = root.required_text("title", "Rack PDU, three-phase");
    let origin = root.required_text("source", "the maker's register list, edition 3");
    let protocol = root.required_choice("protocol", PROTOCOLS);
    let map = match protocol {
        Some(Protocol::Modbus) => modbus::read(root).map(Map::Modbus),
        Some(Protocol::Mqtt) => mqtt::read(root).map(Map::Mqtt),
        // Which keys belong here is not known without the protocol.
        None => return None,
    };
    root.finish();
    Some(Profile {
        id: stem(&source.name),
        title: title?.value.to_owned(),
        source: origin?.value.to_owned(),
        map: map?,
    })
}

fn stem(name: &str) -> Arc<str> {
    Path::new(name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(name).into()
}
