//! What the headline and the sections are both made of.

use maud::{Markup, html};

use crate::{chart::grouped, language::Language};

/// What the colours of a state mean; `short`: those alone that every report has.
pub(super) fn states_key(language: Language, short: bool) -> Markup {
    let words = language.words();
    html! {
        ul.key {
            li { i.measured {} (words.measured) }
            li { i.bridged {} (words.bridged_long) }
            @if !short {
                li { i.integrated {} (words.integrated) }
                li { i.estimated {} (words.estimated) }
                li { i.partial {} (words.partial) }
            }
            li { i.missing {} (words.missing) }
        }
    }
}

/// Full precision is in the JSON; on paper a tenth of a large amount is noise.
pub(super) fn amount(amount: Option<f64>, language: Language) -> String {
    amount.map_or_else(
        || language.words().not_known.to_owned(),
        |amount| grouped(amount, usize::from(amount.abs() < 10_000.0)),
    )
}
