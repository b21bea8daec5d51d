//! Progress on stderr: a bar when a terminal is there, else nothing.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use slither::python::Progress;
use slither_examples::Observer;

use crate::print;

/// The bar that is shown now, for those who write to the terminal meanwhile.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// How wide a bar is at most, and what stands beside it needs at most.
const BAR: usize = 32;
const BESIDE: usize = 60;

/// Runs `write` while no bar is in the way.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    let shown = SHOWN.lock().ok().and_then(|shown| shown.clone());
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Shows a bar instead of the one before. That is cleared first: two bars that draw at once leave traces.
fn show(bar: impl FnOnce() -> Option<ProgressBar>) {
    if let Ok(mut shown) = SHOWN.lock() {
        if let Some(before) = shown.take() {
            before.finish_and_clear();
        }
        *shown = bar();
    }
}

/// Takes the bar away, before something is printed.
pub(crate) fn clear() {
    show(|| None);
}

/// Shows the steps of a command.
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
        show(|| None);
    }
}

impl Observer for Bars {
    fn step(&self, what: &str, items: Option<u64>) {
        if !self.terminal {
            return;
        }
        show(|| {
            let bar = match items {
                Some(items) => ProgressBar::new(items).with_style(counted()),
                None => ProgressBar::new_spinner().with_style(style("{spinner:.cyan} {msg}")),
            };
            let bar = bar.with_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            Some(bar)
        });
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
        print::note(line);
    }
}

/// A bar with counts beside it; on a narrow terminal the counts alone.
fn counted() -> ProgressStyle {
    let width = console::Term::stderr().size_checked().map_or(80, |(_, columns)| usize::from(columns));
    let bar = match width.saturating_sub(BESIDE).min(BAR) {
        0..8 => String::new(),
        columns => format!("{{bar:{columns}.cyan/dim}} "),
    };
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
    };
    style(&format!("{{msg}} {bar}{{human_pos}}/{{human_len}} {{rate:.dim}} {{eta:.dim}}"))
        .with_key("rate", rate)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Lines about packages that are installed; asked ten times a second whether to give up.
#[derive(Debug)]
pub(crate) struct Lines;

impl Progress for Lines {
    fn line(&self, line: &str) {
        print::note(line);
    }

    fn cancelled(&self) -> bool {
        crate::signals::seen().is_some()
    }
}
