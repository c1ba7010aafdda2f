//! The screens and their panes.

/// The screens that there are. Their numbers are those of the keys; a number in between is free for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Overview,
    Loops,
    Racks,
    Alarms,
}

impl Screen {
    pub const ALL: [Self; 4] = [Self::Overview, Self::Loops, Self::Racks, Self::Alarms];

    pub fn panes(self) -> &'static [Pane] {
        match self {
            Self::Overview => &[Pane::Alarms, Pane::Loops, Pane::Rows, Pane::Events],
            Self::Loops => &[Pane::Loops, Pane::Branches],
            Self::Racks => &[Pane::Grid],
            Self::Alarms => &[Pane::Alarms, Pane::Events],
        }
    }
}

/// A part of a screen that can have the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    Alarms,
    Loops,
    Rows,
    Events,
    /// The racks of one loop.
    Branches,
    /// Racks by row and place.
    Grid,
}
