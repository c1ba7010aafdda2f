//! How things look: what the terminal can show decides, and nothing is told by colour alone.

use std::borrow::Cow;

use ratatui::style::{Color, Modifier, Style};
use rules::alarm::Priority;

/// What may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// ASCII only: serial consoles and terminals without UTF-8.
    Ascii,
    /// Any text, but lines and bars in ASCII: those glyphs are two cells wide on many CJK terminals.
    Text,
    /// Thin lines and eighth blocks as well.
    Full,
}

/// Colours and letters of one terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    pub letters: Letters,
    /// False with `NO_COLOR`: priority is then told by digit, shape and weight.
    pub colour: bool,
}

impl Looks {
    /// ASCII without colour: what a log, a pipe or a serial console can take.
    pub const PLAIN: Self = Self { letters: Letters::Ascii, colour: false };

    /// Asks the environment (`NO_COLOR`, `TERM`, the locale); `ascii` forces the ASCII letters.
    pub fn detect(ascii: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|text| !text.is_empty());
        let terminal = set("TERM").unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_lowercase();
        let simple = matches!(terminal.as_str(), "linux" | "dumb" | "vt100" | "vt220");
        let letters = if ascii || simple || !(locale.contains("utf-8") || locale.contains("utf8")) {
            Letters::Ascii
        } else if ["zh", "ja", "ko"].iter().any(|language| locale.starts_with(language)) {
            Letters::Text
        } else {
            Letters::Full
        };
        let colour = set("NO_COLOR").is_none() && !matches!(terminal.as_str(), "dumb" | "vt100");
        Self { letters, colour }
    }

    /// Text from outside as it may reach the terminal: no control characters, ASCII where nothing else is possible.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let fine = |c: char| match self.letters {
            Letters::Ascii => (' '..='~').contains(&c),
            Letters::Text | Letters::Full => !c.is_control(),
        };
        if text.chars().all(fine) {
            return Cow::Borrowed(text);
        }
        let mut plain = String::with_capacity(text.len());
        for c in text.chars() {
            if fine(c) {
                plain.push(c);
            } else {
                plain.push_str(spelled(c));
            }
        }
        Cow::Owned(plain)
    }

    /// The dash of the rule above each pane.
    pub fn rule(&self) -> &'static str {
        if self.letters == Letters::Full { "─" } else { "-" }
    }

    /// Empty part and marker of a bar.
    pub fn bar(&self) -> (&'static str, &'static str) {
        if self.letters == Letters::Full { ("·", "█") } else { (".", "#") }
    }

    /// The heights of a sparkline, lowest first.
    pub fn spark(&self) -> &'static [&'static str] {
        if self.letters == Letters::Full {
            &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        } else {
            &["_", ".", "-", ":", "=", "+", "*", "#"]
        }
    }

    /// Okabe-Ito on the sixteen colours of the terminal's own palette: vermillion, orange, sky blue, reddish purple.
    pub fn priority(&self, priority: Priority) -> Style {
        let style = Style::new();
        match (priority, self.colour) {
            (Priority::P1, true) => style.fg(Color::Red).add_modifier(Modifier::REVERSED),
            (Priority::P2, true) => style.fg(Color::Yellow),
            (Priority::P3, true) => style.fg(Color::Cyan),
            (Priority::P4, true) => style.fg(Color::Magenta),
            (Priority::P1, false) => style.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            (Priority::P2, false) => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            (Priority::P3, false) => style.add_modifier(Modifier::UNDERLINED),
            (Priority::P4, false) => style,
        }
    }

    /// Labels, rules, hints: there when looked for.
    pub fn quiet(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Where the eye should rest: headings, what waits for someone.
    pub fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A state of the screen itself that must not be overlooked: simulated, frozen, no connection.
    pub fn notice(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// What a character becomes where only ASCII can be shown. The degree sign goes: `C` says it.
fn spelled(c: char) -> &'static str {
    match c {
        '°' => "",
        'µ' | 'μ' => "u",
        '²' => "2",
        '³' => "3",
        '·' | '×' => "*",
        '≥' => ">=",
        '≤' => "<=",
        '≠' => "!=",
        '±' => "+-",
        'Δ' => "d",
        'ρ' => "rho",
        'η' => "eta",
        '–' | '—' | '−' => "-",
        '→' => "->",
        '←' => "<-",
        '…' => "...",
        '‘' | '’' => "'",
        '“' | '”' => "\"",
        '\t' | '\n' | '\r' | '\u{a0}' => " ",
        c if c.is_control() => "",
        _ => "_",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)]) -> Looks {
        let found = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        Looks::detect(false, found)
    }

    #[test]
    fn the_locale_and_the_terminal_decide_the_letters() {
        let utf8 = ("LANG", "en_GB.UTF-8");
        assert_eq!(detect(&[utf8, ("TERM", "xterm-256color")]).letters, Letters::Full);
        assert_eq!(detect(&[("LANG", "zh_CN.utf8")]).letters, Letters::Text);
        assert_eq!(detect(&[utf8, ("LC_ALL", "C")]).letters, Letters::Ascii);
        assert_eq!(detect(&[utf8, ("TERM", "linux")]).letters, Letters::Ascii);
        assert_eq!(detect(&[]).letters, Letters::Ascii);
    }

    #[test]
    fn no_color_takes_the_colours_away() {
        assert!(detect(&[("TERM", "xterm")]).colour);
        assert!(detect(&[("NO_COLOR", "")]).colour);
        assert!(!detect(&[("NO_COLOR", "1")]).colour);
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        let full = Looks { letters: Letters::Full, colour: true };
        assert_eq!(full.text("rack\u{1b}[2J\u{7}7"), "rack[2J7");
        assert_eq!(Looks::PLAIN.text("46.2 °C ≥ 45 °C"), "46.2 C >= 45 C");
        assert_eq!(Looks::PLAIN.text("机柜"), "__");
    }
}
