//! What `probe` found.

use std::fmt::Write as _;
use std::io;

use slither::routing::{Finding, Profile, Work};

use super::{Paint, Printed, data, json, table, wrapped};
use crate::probe::{Advice, Failing, Measured, Probed, Tried};
use crate::text;

/// Each interpreter with what was measured, and the advice.
pub(crate) fn probe(probed: &Probed, as_json: bool) -> Printed {
    if as_json {
        return json(probed);
    }
    let paint = Paint::of(&io::stdout());
    let mut out = String::new();
    let cores = if probed.cores == 1 { "core" } else { "cores" };
    let function = text::line(&probed.function);
    let _ = writeln!(out, "{} on {} inputs, {} {cores}", paint.bold(&function), probed.sample, probed.cores);
    for tried in &probed.pythons {
        let _ = writeln!(out, "\n{}", paint.bold(&title(tried)));
        facts(&mut out, tried);
        let rows: Vec<Vec<String>> = tried.measured.iter().map(row).collect();
        table(&mut out, &paint, &["pool", "items/s", "undisturbed", "p50", "p99", "memory", "failed"], &rows);
        let _ = writeln!(out, "  {}", paint.green(&format!("best in {}", pool(&tried.advice))));
        for reason in &tried.advice.because {
            wrapped(&mut out, "    ", &text::line(reason));
        }
    }
    for failure in &probed.failed {
        let _ = writeln!(out, "\n{}: {}", paint.yellow("not tried"), text::lines(failure));
    }
    let busy = |it: &Measured| it.undisturbed > 1.2 * it.per_second;
    if probed.pythons.iter().flat_map(|tried| &tried.measured).any(busy) {
        out.push('\n');
        let busy = "The machine was busy with other things: `undisturbed` leaves out the time in which threads \
                    waited for a processor, as far as that can be told; run it again when nothing else runs";
        wrapped(&mut out, "", busy);
    }
    if let Some(best) = probed.best.and_then(|best| probed.pythons.get(best)) {
        let _ = writeln!(out, "\nMost was done by {} on python {}", pool(&best.advice), best.python.version);
    }
    data(&out)
}

fn title(tried: &Tried) -> String {
    let python = &tried.python;
    let gil = match (tried.import.gil_before, tried.import.gil_after) {
        (true, _) => "with a GIL".to_owned(),
        (false, false) => "without a GIL".to_owned(),
        (false, true) => match &tried.import.gil_by {
            Some(by) => format!("without a GIL, until {by} turned it on"),
            None => "without a GIL, until an import turned it on".to_owned(),
        },
    };
    format!("python {} {gil}", python.version)
}

fn facts(out: &mut String, tried: &Tried) {
    let import = &tried.import;
    let _ = writeln!(out, "  import   {}, {} MiB", time(import.seconds), import.memory >> 20);
    let kind = match tried.work {
        Work::Cpu => "computes",
        Work::Io => "waits",
    };
    let share = 100.0 * tried.cpu_share;
    let _ =
        writeln!(out, "  a call   {}, {share:.0}% of it on a processor: it {kind}", time(tried.call_seconds));
    if let Some(failing) = &tried.failing {
        let Failing { items, item, error } = failing;
        let all = tried.items;
        let told = format!("on {items} of {all} inputs, as item {item}: {error}; pools had the others");
        wrapped(out, "  ", &format!("fails    {}", text::line(&told)));
    }
    let hunted = match &tried.hunted {
        Some(hunted) => format!(" ({} calls in {} threads)", hunted.calls, hunted.threads),
        None => String::new(),
    };
    let threads = match &tried.finding {
        Finding::Same => format!("make no difference to its results{hunted}"),
        Finding::Race(what) => format!("spoil its results: {what}"),
        Finding::Stateful(what) => {
            format!("show no loss{hunted}, but it depends on earlier calls: {what}")
        }
        Finding::Unrepeatable(what) => {
            format!("cannot be put to the test, its results differ each time: {what}")
        }
    };
    wrapped(out, "  ", &format!("threads  {}", text::line(&threads)));
}

fn row(measured: &Measured) -> Vec<String> {
    let Measured { profile, workers, at_once, per_second, undisturbed, p50, p99, memory, failed, .. } =
        measured;
    let name = match profile {
        Profile::Processes if *workers == 1 => "one process".to_owned(),
        Profile::Processes => format!("{workers} processes"),
        Profile::Threads => format!("{at_once} threads"),
        Profile::Async => format!("{at_once} coroutines"),
    };
    vec![
        name,
        format!("{per_second:.0}"),
        format!("{undisturbed:.0}"),
        time(*p50),
        time(*p99),
        format!("{} MiB", memory >> 20),
        failed.to_string(),
    ]
}

fn pool(advice: &Advice) -> String {
    match advice.profile {
        Profile::Processes => format!("{} processes", advice.workers),
        Profile::Threads => format!("a process with {} threads", advice.at_once),
        Profile::Async => format!("a process with {} coroutines", advice.at_once),
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}
