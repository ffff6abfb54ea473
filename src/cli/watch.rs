//! `spiketrain watch`: a run on the terminal while another process trains it.

use std::io::{IsTerminal, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::args::WatchArgs;
use super::print;
use crate::error::{Error, Result};
use crate::watch::{Run, View, to_text};

/// Between looks at the folder.
const EVERY: Duration = Duration::from_secs(1);
/// Between looks at signals while no key is pressed.
const PATIENCE: Duration = Duration::from_millis(200);
/// Size of a frame that is printed.
const FRAME: (u16, u16) = (100, 32);

/// Draws until q or Ctrl-C; prints one frame with `--once` or into a pipe.
pub fn run(a: &WatchArgs) -> Result<u8> {
    let first = Run::read(&a.run)?;
    if a.once || !stdout().is_terminal() {
        let (width, height) = FRAME;
        print(to_text(&View { run: &first, footer: "" }, width, height));
        return Ok(0);
    }
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&asked)).map_err(|e| Error::bug(format!("signal handler: {e}")))?;
    }
    // Also on a panic, the terminal is put back as it was.
    let mut terminal = ratatui::try_init().map_err(|e| Error::storage(format!("the terminal cannot be drawn on: {e}")))?;
    let outcome = follow(&mut terminal, first, &asked);
    ratatui::restore();
    outcome.map(|()| 0)
}

fn follow(terminal: &mut DefaultTerminal, mut run: Run, asked: &AtomicBool) -> Result<()> {
    let broken = |e: std::io::Error| Error::storage(format!("the terminal is gone: {e}"));
    while !asked.load(Ordering::Relaxed) {
        let drawn = Instant::now();
        let footer = "q leaves; a training goes on without it";
        terminal.draw(|frame| frame.render_widget(&View { run: &run, footer }, frame.area())).map_err(broken)?;
        while drawn.elapsed() < EVERY && !asked.load(Ordering::Relaxed) {
            if !event::poll(PATIENCE.min(EVERY.saturating_sub(drawn.elapsed()))).map_err(broken)? {
                continue;
            }
            match event::read().map_err(broken)? {
                Event::Key(key) if key.kind == KeyEventKind::Press => {
                    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                    if control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                        return Ok(());
                    }
                }
                Event::Resize(..) => break,
                _ => {}
            }
        }
        run = run.again()?;
    }
    Ok(())
}
