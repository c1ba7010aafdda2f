//! The terminal, taken and given back: on return, on error and on panic.

use std::io;

use ratatui::DefaultTerminal;

/// Holds the terminal in raw mode on the alternate screen until dropped. A panic gives it back first (the hook is
/// ratatui's), so that its message can be read.
pub(crate) struct Guard {
    pub(crate) terminal: DefaultTerminal,
}

impl Guard {
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()? })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = ratatui::try_restore();
    }
}
