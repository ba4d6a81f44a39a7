//! The terminal: taken over, and given back whatever happens.

use std::io::{self, Stdout, Write, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the mouse is heard.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// Whether some thread panicked: its words stand on the terminal, and nothing may be drawn over them.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours. Given back when dropped.
pub(super) struct OwnTerminal(Terminal<CrosstermBackend<Stdout>>);

impl OwnTerminal {
    /// Takes it over.
    pub fn take() -> io::Result<OwnTerminal> {
        static HOOK: Once = Once::new();
        HOOK.call_once(give_back_on_panic);
        enter()?;
        Ok(OwnTerminal(Terminal::new(CrosstermBackend::new(stdout()))?))
    }

    /// Draws what has changed.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if PANICKED.load(Ordering::SeqCst) {
            return Err(io::Error::other("a thread panicked"));
        }
        self.0.draw(render).map(|_| ())
    }

    /// Draws everything with the next [`OwnTerminal::draw`].
    pub fn redraw(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`, which asks the terminal where its cursor is: the answer would come as an event.
        let size = self.0.size()?;
        self.0.resize(Rect { x: 0, y: 0, width: size.width, height: size.height })
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.0.size().map_or((80, 24), |size| (size.width, size.height))
    }

    /// Hears the mouse, or no longer.
    pub fn mouse(&mut self, heard: bool) -> io::Result<()> {
        MOUSE.store(heard, Ordering::SeqCst);
        if heard { execute!(stdout(), EnableMouseCapture) } else { execute!(stdout(), DisableMouseCapture) }
    }

    /// Gives it back until [`OwnTerminal::resume`].
    pub fn suspend(&mut self) {
        give_back();
    }

    /// Takes it over again.
    pub fn resume(&mut self) -> io::Result<()> {
        enter()?;
        self.redraw()
    }
}

impl Drop for OwnTerminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Puts text into the clipboard of whoever sits at the terminal, also over ssh (OSC 52). There is no answer.
pub(super) fn copy(text: &str) -> io::Result<()> {
    let mut out = stdout();
    write!(out, "\x1b]52;c;{}\x07", STANDARD.encode(text))?;
    out.flush()
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(stdout(), EnterAlternateScreen, Hide)?;
    if MOUSE.load(Ordering::SeqCst) { execute!(stdout(), EnableMouseCapture) } else { Ok(()) }
}

/// As often as one likes: only the first time does something.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // The terminal may be gone: then there is nothing to give back.
        if MOUSE.load(Ordering::SeqCst) {
            let _ = execute!(stdout(), DisableMouseCapture);
        }
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// The words of a panic belong on the screen that the person comes back to.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.store(true, Ordering::SeqCst);
        give_back();
        before(panic);
    }));
}
