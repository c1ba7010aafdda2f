//! The languages of a report, and how numbers and lists are written in them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A language of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "zh-CN")]
    Chinese,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// As in HTML: `zh-CN`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }
}

/// `a, b and c`; a long list is cut.
pub(crate) fn list(names: &[Arc<str>], language: Language) -> String {
    const SHOWN: usize = 6;
    let (comma, and) = match language {
        Language::English => (", ", " and "),
        Language::Chinese => ("、", "和"),
    };
    match names {
        [] => String::new(),
        [one] => one.to_string(),
        _ if names.len() > SHOWN => {
            let more = names.len() - SHOWN;
            let shown = names[..SHOWN].join(comma);
            match language {
                Language::English => format!("{shown} and {more} more"),
                Language::Chinese => format!("{shown}等另外{more}个"),
            }
        }
        [most @ .., last] => format!("{}{and}{last}", most.join(comma)),
    }
}

/// A share as it is read; neither end is reached by rounding.
pub(crate) fn percent(share: f64) -> String {
    let rounded = (share * 1000.0).round() / 10.0;
    match rounded {
        _ if share > 0.0 && rounded <= 0.0 => "< 0.1 %".to_owned(),
        _ if share < 1.0 && rounded >= 100.0 => "> 99.9 %".to_owned(),
        _ => format!("{rounded:.1} %"),
    }
}
