//! The terminal, taken and given back: on return, on error and on panic.

use std::{
    io::{self, Stdout, stdout},
    panic::{self, PanicHookInfo},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crossterm::{
    cursor::Show,
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, backend::CrosstermBackend};

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// Panics of other threads that are kept for after the screen; more would only repeat themselves.
const KEPT: usize = 20;

/// Holds the terminal in raw mode on the alternate screen until dropped, on the thread that took it.
///
/// A panic on this thread gives the terminal back first, so that its message can be read. A panic on another thread,
/// which somebody there restarts, must not scribble over a living screen: its message waits until the screen is gone.
pub(crate) struct Guard {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
    hook_before: Arc<Hook>,
    kept: Arc<Mutex<Vec<String>>>,
}

impl Guard {
    pub(crate) fn take() -> io::Result<Self> {
        let terminal = enter().inspect_err(|_| give_back())?;
        let hook_before: Arc<Hook> = Arc::from(panic::take_hook());
        let kept = Arc::new(Mutex::new(Vec::new()));
        panic::set_hook(hook(Arc::clone(&hook_before), Arc::clone(&kept)));
        Ok(Self { terminal, hook_before, kept })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // While panicking, the hook has given the terminal back and must not be changed.
        if !thread::panicking() {
            give_back();
            let before = Arc::clone(&self.hook_before);
            panic::set_hook(Box::new(move |info| before(info)));
        }
        for message in self.kept.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            eprintln!("{message}");
        }
    }
}

fn enter() -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen)?;
    Terminal::new(CrosstermBackend::new(stdout()))
}

/// Nothing can be done about a terminal that is gone.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
}

fn hook(before: Arc<Hook>, kept: Arc<Mutex<Vec<String>>>) -> Box<Hook> {
    let drawing = thread::current().id();
    Box::new(move |info| {
        if thread::current().id() == drawing {
            give_back();
            before(info);
            return;
        }
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(info.to_string());
        }
    })
}
