//! What flows in a loop: `coolant = { fluid = "propylene_glycol", concentration = "25 %", basis = "volume" }`.

use rules::{
    coolant::{Coolant, Fluid},
    plant::Technology,
};

use crate::table::Table;

const EXAMPLE: &str = "{ fluid = \"water\" }";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Water,
    PropyleneGlycol,
    EthyleneGlycol,
    Dielectric,
}

#[derive(Clone, Copy)]
enum Basis {
    Volume,
    Mass,
}

/// What a loop carries.
#[derive(Clone, Copy)]
pub(super) enum Liquid {
    /// Has no property fit: heat is taken from the facility side.
    Dielectric,
    Mixture(Coolant),
}

impl Liquid {
    pub(super) fn coolant(self) -> Option<Coolant> {
        match self {
            Self::Dielectric => None,
            Self::Mixture(coolant) => Some(coolant),
        }
    }
}

/// The liquid on the IT side; a two-phase loop carries a dielectric where nothing is said.
pub(super) fn inside(table: &Table<'_>, technology: Option<Technology>) -> Option<Liquid> {
    if !table.has("coolant") && technology == Some(Technology::TwoPhase) {
        return Some(Liquid::Dielectric);
    }
    if !table.has("coolant") {
        table.fault(
            table.span(),
            format!("{} has no \"coolant\"", table.title()),
            format!("add it, for example: coolant = {EXAMPLE}"),
        );
        return None;
    }
    let liquid = read(table, "coolant")?;
    if technology == Some(Technology::TwoPhase) && liquid.coolant().is_some() {
        table.fault(
            table.place("coolant"),
            "a two-phase loop boils a dielectric, not water or glycol",
            "write coolant = { fluid = \"dielectric\" }; the water side is facility_coolant",
        );
        return None;
    }
    Some(liquid)
}

/// The coolant of the facility side; water where nothing is said.
pub(super) fn facility(table: &Table<'_>) -> Option<Coolant> {
    if !table.has("facility_coolant") {
        return Some(Coolant::WATER);
    }
    let coolant = read(table, "facility_coolant")?.coolant();
    if coolant.is_none() {
        table.fault(
            table.place("facility_coolant"),
            "the facility side cannot carry a dielectric",
            format!("write facility_coolant = {EXAMPLE}"),
        );
    }
    coolant
}

fn read(parent: &Table<'_>, key: &'static str) -> Option<Liquid> {
    let table = parent.table(key, EXAMPLE)?;
    let word = table.required_choice(
        "fluid",
        &[
            ("water", Word::Water),
            ("propylene_glycol", Word::PropyleneGlycol),
            ("ethylene_glycol", Word::EthyleneGlycol),
            ("dielectric", Word::Dielectric),
        ],
    );
    let coolant = match word {
        Some(Word::Water) => Some(Liquid::Mixture(Coolant::WATER)),
        Some(Word::Dielectric) => Some(Liquid::Dielectric),
        Some(Word::PropyleneGlycol | Word::EthyleneGlycol) => {
            glycol(&table, word).map(Liquid::Mixture)
        }
        None => {
            table.ask(&["concentration", "basis"]);
            None
        }
    };
    table.finish();
    coolant
}

fn glycol(table: &Table<'_>, word: Option<Word>) -> Option<Coolant> {
    /// The property fits end here (domain facts §6.1).
    const FRACTION_MAX: f64 = 0.6;
    let percent = table.required_quantity("concentration", "25 %");
    let basis = table.required_choice("basis", &[("volume", Basis::Volume), ("mass", Basis::Mass)]);
    let fluid = match (word, basis?) {
        (Some(Word::EthyleneGlycol), Basis::Mass) => Fluid::Meg,
        (Some(Word::EthyleneGlycol), Basis::Volume) => {
            table.fault(
                table.place("basis"),
                "the concentration of ethylene glycol is needed by mass",
                "take the mass fraction from the supplier's data sheet and write basis = \"mass\"",
            );
            return None;
        }
        (_, Basis::Volume) => Fluid::Apg,
        (_, Basis::Mass) => Fluid::Mpg,
    };
    let fraction = percent? / 100.0;
    if fraction > 0.0 && fraction <= FRACTION_MAX {
        return Some(Coolant { fluid, fraction });
    }
    table.fault(
        table.place("concentration"),
        "the concentration must lie above 0 % and at most at 60 %",
        "write concentration = \"25 %\"; for none at all fluid = \"water\"",
    );
    None
}
