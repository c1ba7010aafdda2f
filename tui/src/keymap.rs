//! The only place that knows keys.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::screen::Screen;

/// What an operator can ask of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmd {
    Show(Screen),
    NextPane,
    PreviousPane,
    Up,
    Down,
    Left,
    Right,
    Top,
    Bottom,
    PageUp,
    PageDown,
    /// Details of what is selected, or a jump to where it comes from.
    Open,
    Back,
    PreviousUnit,
    NextUnit,
    Filter,
    AbnormalOnly,
    Acknowledge,
    AcknowledgeAll,
    /// Releases a latched alarm.
    Reset,
    Freeze,
    Help,
    Redraw,
    Quit,
    /// While something is typed or asked.
    Type(char),
    Erase,
    Confirm,
}

/// What the keys mean at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Browsing,
    /// Letters go into a line of text.
    Typing,
    /// A question waits for yes or no.
    Asking,
}

/// One line of the help palette.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    pub keys: &'static str,
    pub what: &'static str,
    pub cmd: Cmd,
}

const fn help(keys: &'static str, what: &'static str, cmd: Cmd) -> Help {
    Help { keys, what, cmd }
}

/// Everything the palette lists and can run, in the order of daily use.
pub const HELP: &[Help] = &[
    help("1", "Overview: is the hall safe?", Cmd::Show(Screen::Overview)),
    help("2", "Loops: one CDU with its pipes, pumps and racks", Cmd::Show(Screen::Loops)),
    help("3", "Racks: power and density by rack and row", Cmd::Show(Screen::Racks)),
    help("5", "Alarms: the list, and all about one of them", Cmd::Show(Screen::Alarms)),
    help("a", "acknowledge the selected alarm", Cmd::Acknowledge),
    help("A", "acknowledge all listed alarms (asks first)", Cmd::AcknowledgeAll),
    help("r", "reset the latch of the selected alarm, once acknowledged", Cmd::Reset),
    help("Enter", "details, or jump to the source", Cmd::Open),
    help("Esc", "clear the filter, or go back", Cmd::Back),
    help("Tab", "next pane", Cmd::NextPane),
    help("Shift-Tab", "previous pane", Cmd::PreviousPane),
    help("j Down", "next line", Cmd::Down),
    help("k Up", "previous line", Cmd::Up),
    help("h Left", "to the left", Cmd::Left),
    help("l Right", "to the right", Cmd::Right),
    help("g Home", "first line", Cmd::Top),
    help("G End", "last line", Cmd::Bottom),
    help("Ctrl-d PgDn", "ten lines on", Cmd::PageDown),
    help("Ctrl-u PgUp", "ten lines back", Cmd::PageUp),
    help("[", "previous CDU", Cmd::PreviousUnit),
    help("]", "next CDU", Cmd::NextUnit),
    help("/", "filter by name or title", Cmd::Filter),
    help("v", "only what is abnormal", Cmd::AbnormalOnly),
    help("f", "freeze the picture; alarm counts go on", Cmd::Freeze),
    help("Ctrl-l", "draw everything anew", Cmd::Redraw),
    help("?", "this list", Cmd::Help),
    help("q", "quit", Cmd::Quit),
];

/// What a key means; `None` for a key without a meaning and for the release of one.
pub fn command(key: KeyEvent, context: Context) -> Option<Cmd> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Cmd::Quit),
            KeyCode::Char('l') => Some(Cmd::Redraw),
            KeyCode::Char('d') => Some(Cmd::PageDown),
            KeyCode::Char('u') => Some(Cmd::PageUp),
            KeyCode::Char('h') if context == Context::Typing => Some(Cmd::Erase),
            _ => None,
        };
    }
    match context {
        Context::Browsing => browse(key.code),
        Context::Typing => typed(key.code),
        Context::Asking => answer(key.code),
    }
}

fn browse(code: KeyCode) -> Option<Cmd> {
    Some(match code {
        KeyCode::Char('1') => Cmd::Show(Screen::Overview),
        KeyCode::Char('2') => Cmd::Show(Screen::Loops),
        KeyCode::Char('3') => Cmd::Show(Screen::Racks),
        KeyCode::Char('5') => Cmd::Show(Screen::Alarms),
        KeyCode::Char('a') => Cmd::Acknowledge,
        KeyCode::Char('A') => Cmd::AcknowledgeAll,
        KeyCode::Char('r') => Cmd::Reset,
        KeyCode::Char('j') => Cmd::Down,
        KeyCode::Char('k') => Cmd::Up,
        KeyCode::Char('h') => Cmd::Left,
        KeyCode::Char('l') => Cmd::Right,
        KeyCode::Char('g') => Cmd::Top,
        KeyCode::Char('G') => Cmd::Bottom,
        KeyCode::Char('[') => Cmd::PreviousUnit,
        KeyCode::Char(']') => Cmd::NextUnit,
        KeyCode::Char('/') => Cmd::Filter,
        KeyCode::Char('v') => Cmd::AbnormalOnly,
        KeyCode::Char('f') => Cmd::Freeze,
        KeyCode::Char('?') => Cmd::Help,
        KeyCode::Char('q') => Cmd::Quit,
        code => return moves(code),
    })
}

fn typed(code: KeyCode) -> Option<Cmd> {
    match code {
        KeyCode::Char(letter) => Some(Cmd::Type(letter)),
        KeyCode::Backspace => Some(Cmd::Erase),
        KeyCode::Enter => Some(Cmd::Confirm),
        code => moves(code),
    }
}

fn answer(code: KeyCode) -> Option<Cmd> {
    match code {
        KeyCode::Char('y') | KeyCode::Enter => Some(Cmd::Confirm),
        KeyCode::Char('n' | 'q') => Some(Cmd::Back),
        KeyCode::Char('j') => Some(Cmd::Down),
        KeyCode::Char('k') => Some(Cmd::Up),
        code => moves(code),
    }
}

fn moves(code: KeyCode) -> Option<Cmd> {
    Some(match code {
        KeyCode::Enter => Cmd::Open,
        KeyCode::Esc => Cmd::Back,
        KeyCode::Tab => Cmd::NextPane,
        KeyCode::BackTab => Cmd::PreviousPane,
        KeyCode::Up => Cmd::Up,
        KeyCode::Down => Cmd::Down,
        KeyCode::Left => Cmd::Left,
        KeyCode::Right => Cmd::Right,
        KeyCode::Home => Cmd::Top,
        KeyCode::End => Cmd::Bottom,
        KeyCode::PageUp => Cmd::PageUp,
        KeyCode::PageDown => Cmd::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a key as the palette writes it: `Ctrl-u`, `PgUp`, `j`.
    fn key(text: &str) -> KeyEvent {
        let (modifiers, name) = match text.strip_prefix("Ctrl-") {
            Some(name) => (KeyModifiers::CONTROL, name),
            None => (KeyModifiers::NONE, text),
        };
        let code = match name {
            "Enter" => KeyCode::Enter,
            "Esc" => KeyCode::Esc,
            "Tab" => KeyCode::Tab,
            "Shift-Tab" => KeyCode::BackTab,
            "Up" => KeyCode::Up,
            "Down" => KeyCode::Down,
            "Left" => KeyCode::Left,
            "Right" => KeyCode::Right,
            "Home" => KeyCode::Home,
            "End" => KeyCode::End,
            "PgUp" => KeyCode::PageUp,
            "PgDn" => KeyCode::PageDown,
            letter => KeyCode::Char(letter.chars().next().unwrap()),
        };
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn every_key_of_the_palette_does_what_the_palette_says() {
        for help in HELP {
            for name in help.keys.split(' ') {
                assert_eq!(command(key(name), Context::Browsing), Some(help.cmd), "{name}");
            }
        }
    }

    #[test]
    fn letters_are_letters_while_typing() {
        for letter in ['q', 'a', 'A', 'j', '1', '/', '?'] {
            let pressed = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
            assert_eq!(command(pressed, Context::Typing), Some(Cmd::Type(letter)));
        }
        assert_eq!(command(key("Enter"), Context::Typing), Some(Cmd::Confirm));
        assert_eq!(command(key("Esc"), Context::Typing), Some(Cmd::Back));
        assert_eq!(command(key("Down"), Context::Typing), Some(Cmd::Down));
    }

    #[test]
    fn a_question_takes_yes_or_no() {
        assert_eq!(command(key("y"), Context::Asking), Some(Cmd::Confirm));
        assert_eq!(command(key("n"), Context::Asking), Some(Cmd::Back));
        assert_eq!(command(key("a"), Context::Asking), None);
    }

    #[test]
    fn ctrl_c_quits_everywhere_and_a_release_does_nothing() {
        for context in [Context::Browsing, Context::Typing, Context::Asking] {
            assert_eq!(command(key("Ctrl-c"), context), Some(Cmd::Quit));
        }
        let mut released = key("q");
        released.kind = KeyEventKind::Release;
        assert_eq!(command(released, Context::Browsing), None);
    }

    #[test]
    fn what_is_not_built_has_no_key() {
        for name in ["4", "6", "7", "8", "s", "o", "t", "T", "S", "y"] {
            assert_eq!(command(key(name), Context::Browsing), None, "{name}");
        }
    }
}
