//! Assets that several tests build their plants from.

use rules::{
    messages::SiteInfo,
    plant::{Carrier, Meter, Rack, Role, Supply},
};

/// Where the tests play.
pub(crate) fn site_info() -> SiteInfo {
    SiteInfo {
        id: "site".into(),
        name: "Site".into(),
        time_zone: "UTC".into(),
        gateway: "gw".into(),
        simulated: false,
    }
}

/// A rack of 100 kW design on so many feeds.
pub(crate) fn rack(feeds: u32) -> Rack {
    Rack {
        row: "A".into(),
        position: 1,
        footprint_m2: Some(0.72),
        design_power_kw: 100.0,
        feeds,
        supply: Supply::Ac,
    }
}

/// An electricity meter with a register of 1 Wh steps that does not wrap.
pub(crate) fn meter(role: Role, max_power_kw: f64) -> Meter {
    Meter {
        role,
        carrier: Carrier::Electricity,
        category: None,
        feed: None,
        serial: None,
        model: None,
        twin: None,
        share: None,
        accuracy_percent: None,
        ct_ratio: None,
        ct_accuracy_percent: None,
        register_step_kwh: 0.001,
        register_modulus_kwh: None,
        register_float32: false,
        max_power_kw,
        calibrated_on: None,
    }
}
