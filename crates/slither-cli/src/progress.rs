//! Progress on stderr: a bar when a terminal is there, else nothing.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use slither::python::Progress;
use slither_examples::Observer;

/// The bar that is shown now, for those who write to the terminal meanwhile.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Runs `write` while no bar is in the way.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().ok().and_then(|shown| shown.clone());
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn show(bar: Option<ProgressBar>) {
    if let Ok(mut shown) = SHOWN.lock()
        && let Some(before) = std::mem::replace(&mut *shown, bar)
    {
        before.finish_and_clear();
    }
}

/// Shows the steps of an example.
#[derive(Debug)]
pub(crate) struct Bars {
    terminal: bool,
}

impl Bars {
    pub(crate) fn new() -> Self {
        Self { terminal: stderr().is_terminal() }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        show(None);
    }
}

impl Observer for Bars {
    fn step(&self, what: &str, items: Option<u64>) {
        if !self.terminal {
            return;
        }
        let bar = match items {
            Some(items) => ProgressBar::new(items).with_style(style(
                "{msg} {bar:32.cyan/dim} {human_pos}/{human_len} {per_sec:.dim} {eta:.dim}",
            )),
            None => ProgressBar::new_spinner().with_style(style("{spinner:.cyan} {msg}")),
        };
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        show(Some(bar));
    }

    fn advance(&self, items: u64) {
        if !self.terminal {
            return;
        }
        if let Ok(shown) = SHOWN.lock()
            && let Some(bar) = &*shown
        {
            bar.inc(items);
        }
    }

    fn note(&self, line: &str) {
        above(|| crate::print::note(line));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Lines about packages that are installed; asked ten times a second whether to give up.
#[derive(Debug)]
pub(crate) struct Lines;

impl Progress for Lines {
    fn line(&self, line: &str) {
        above(|| crate::print::note(line));
    }

    fn cancelled(&self) -> bool {
        crate::signals::seen().is_some()
    }
}
