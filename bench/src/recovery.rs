//! From a kill to the first good result of the replacement, with and without a heavy import, beside a pool of Python's own.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use slither::python::{Environment, EnvironmentSpec, Traced};
use slither::{ErrorKind, Pool, RestartBudget, Slither};

use crate::table::note;
use crate::{Fallible, Page, machine, python_folder};

/// What the pools with a heavy import need.
const REQUIREMENT: &str = "scikit-learn";
/// With that import preloaded, half of the recoveries have to be as quick.
const BAR: Duration = Duration::from_millis(20);

/// Kills so many workers of each pool, and makes the table.
pub(crate) fn run(kills: usize) -> Fallible<Page> {
    let heavy = EnvironmentSpec { requirements: vec![REQUIREMENT.into()], ..EnvironmentSpec::default() };
    let environment = Environment::prepare(&heavy, &Traced)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let pool = || {
        // No budget may end it.
        let soon = Duration::from_millis(1);
        let budget = RestartBudget { deaths: usize::MAX, period: soon, backoff: soon };
        Pool::processes("default").size(1).python_path(python_folder()).restart_budget(budget)
    };
    let preloaded = |module: &str| pool().requirements([REQUIREMENT]).preload(module);
    let (who, predict) = ("recovery:who", "recovery_model:predict");
    let rows = [
        ("an empty worker", recover(&runtime, pool(), who, kills)?),
        (
            "scikit-learn preloaded, a call that does not use it",
            recover(&runtime, preloaded("sklearn.linear_model"), who, kills)?,
        ),
        (
            "scikit-learn and a model preloaded, a prediction",
            recover(&runtime, preloaded("recovery_model"), predict, kills)?,
        ),
        ("ProcessPoolExecutor made anew, an empty worker", peer(&environment, who, kills.min(50))?),
        (
            "ProcessPoolExecutor made anew, which imports and fits the model, a prediction",
            peer(&environment, predict, kills.min(10))?,
        ),
    ];
    let mut text = format!(
        "# From a kill to the first good result\n\n{}; one worker, SIGKILLed while it runs a call; the next call is made at once, and its answer comes from the replacement.\n\n",
        machine::line(&environment.interpreter)
    );
    text.push_str("| | kills | p50 | p99 | worst |\n|---|---|---|---|---|\n");
    for (name, took) in &rows {
        let ms = |share: usize| {
            let at = (took.len() * share).div_ceil(100).saturating_sub(1);
            took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
        };
        writeln!(
            text,
            "| {name} | {} | {:.1} ms | {:.1} ms | {:.1} ms |",
            took.len(),
            ms(50),
            ms(99),
            ms(100)
        )?;
    }
    let slowest = rows[1..3].iter().filter_map(|(_, took)| took.get(took.len() / 2)).max();
    let bars_hold = slowest.is_some_and(|middle| *middle <= BAR);
    writeln!(
        text,
        "\nBar: p50 of at most {} ms with scikit-learn preloaded: {}.",
        BAR.as_millis(),
        if bars_hold { "holds" } else { "**broken**" }
    )?;
    Ok(Page { name: "recovery", text, bars_hold })
}

fn recover(
    runtime: &tokio::runtime::Runtime,
    pool: Pool,
    function: &str,
    kills: usize,
) -> Fallible<Vec<Duration>> {
    let mut took = runtime.block_on(async {
        let slither = Slither::builder().pool(pool).start().await?;
        let mut took = Vec::new();
        // The first imports what all need.
        for round in 0..=kills {
            let each = once(&slither, function).await?;
            if round > 0 {
                took.push(each);
            }
        }
        slither.shutdown(Duration::from_secs(5)).await;
        Fallible::Ok(took)
    })?;
    took.sort_unstable();
    note(&format!("{function}: p50 {:?}, worst {:?}", took.get(took.len() / 2), took.last()));
    Ok(took)
}

/// Kills the worker in the middle of a call, and takes the time to the next answer.
async fn once(slither: &Slither, function: &str) -> Fallible<Duration> {
    let victim: u32 = slither.execute("default", function, &()).await?;
    let mut begun = slither.progress("default")?;
    let running = tokio::spawn({
        let slither = slither.clone();
        async move { slither.execute::<_, u32>("default", "recovery:hang", &()).await }
    });
    begun.next().await.ok_or("the pool has ended")?;
    let pid = i32::try_from(victim).ok().and_then(Pid::from_raw).ok_or("no pid")?;
    kill_process(pid, Signal::KILL)?;
    let killed = Instant::now();
    let answered: u32 = slither.execute("default", function, &()).await?;
    let took = killed.elapsed();
    match running.await? {
        Err(error) if error.kind() == ErrorKind::Crash && answered != victim => Ok(took),
        other => {
            Err(format!("worker {victim} was killed, {answered} answered, the running call got {other:?}")
                .into())
        }
    }
}

/// Python's own pool breaks as a whole, and has to be made anew.
fn peer(environment: &Environment, function: &str, kills: usize) -> Fallible<Vec<Duration>> {
    let path = environment.sys_path().map(|folder| folder.to_path_buf()).chain([python_folder()]);
    let output = Command::new(&environment.interpreter.executable)
        .arg(python_folder().join("peer_recovery.py"))
        .args([function, &kills.to_string()])
        .env("PYTHONPATH", std::env::join_paths(path)?)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let seconds: Result<Vec<f64>, _> = std::str::from_utf8(&output.stdout)?.lines().map(str::parse).collect();
    let mut took: Vec<Duration> = seconds?.into_iter().map(Duration::from_secs_f64).collect();
    took.sort_unstable();
    note(&format!(
        "ProcessPoolExecutor, {function}: p50 {:?}, worst {:?}",
        took.get(took.len() / 2),
        took.last()
    ));
    Ok(took)
}
