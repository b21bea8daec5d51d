//! What can be typed; the help is made from it.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgGroup, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
Exit codes: 0 done, 1 items failed or a check did not hold, 2 could not run, 130 and 143 ended by a signal.

Environment:
  SLITHER_PYTHON     the Python interpreter to use (3.10 or newer)
  SLITHER_FREE_THREADED_PYTHON
                     the interpreter without a GIL that baselines and probe use
  SLITHER_CACHE_DIR  where packages are kept, instead of ~/.cache/slither
  SLITHER_OFFLINE    never use the network
  SLITHER_LOG        what is logged on stderr, as `debug` or `slither=trace`";

/// Rust owns concurrency, state and coordination; Python does the compute.
#[derive(Debug, Parser)]
#[command(name = "slither", version, styles = STYLES, after_help = AFTER)]
#[command(
    max_term_width = 100,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Example(Example),
    Baseline(Baseline),
    Setup(Setup),
    Call(Call),
    Check(Check),
    Doctor(Doctor),
    Matrix(Matrix),
    Probe(Probe),
    /// Print a script that completes commands and options in a shell
    #[command(
        after_help = "Example: slither completions bash > ~/.local/share/bash-completion/completions/slither"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// List the examples, or run them
///
/// Without a name, lists them. Each example runs a real pipe over real data and proves what it shows by
/// checks; one that does not hold makes the exit code 1. Then the same work is done by plain Python threads, and
/// what breaks there stands beside it.
#[derive(Debug, Parser)]
#[command(group = ArgGroup::new("which").multiple(true).args(["name", "all", "stdlib"]))]
#[command(after_help = "\
Examples:
  slither example                                     list them
  slither example text_analysis                       run one on the documents that ship with it
  slither example --all                               run all of them, and sum up
  slither example --stdlib --no-baseline              those without packages, and no plain Python
  slither example text_analysis --input ~/notes       on your own: .txt and .jsonl files
  slither example text_analysis --json | jq .checks   for programs
  slither example image_pipeline --output thumbnails  keep the files that it makes
  slither example text_analysis --chaos kill=5%,hang=1% --seed 7
                                                      kill and hang workers on purpose

For text_analysis a .txt file is one document; a .jsonl file is one document a line, an object with a `text` \
field or a bare string; a folder is all of them. batch_stats takes a .csv file, of which each column of numbers is \
described, or a .jsonl file of lists; data_etl a .csv file with a header; image_pipeline a picture or a folder of \
them; ml_scoring takes none.")]
pub(crate) struct Example {
    /// Which example
    pub(crate) name: Option<String>,
    /// All examples but those that measure, one after the other, and a summary
    #[arg(long, conflicts_with = "name")]
    pub(crate) all: bool,
    /// Of all examples, those that need the standard library only
    #[arg(long, conflicts_with = "name")]
    pub(crate) stdlib: bool,
    /// Your own file or folder, instead of the data that ships with the example
    #[arg(long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath, requires = "name")]
    pub(crate) input: Option<PathBuf>,
    /// A folder for the files that the example makes: new, empty, or from an earlier run
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "name")]
    pub(crate) output: Option<PathBuf>,
    /// Python workers [default: one a core]
    #[arg(long, value_name = "N", value_parser = workers, requires = "which")]
    pub(crate) workers: Option<usize>,
    /// Faults that its workers have on purpose, by the share of batches, as in
    /// kill=5%,hang=1%,slow=10%:50ms,garbage=1%,raise=2%; batches that fail run again. ml_scoring takes slow and
    /// raise, batch_stats none
    #[arg(long, value_name = "FAULTS", requires = "name")]
    pub(crate) chaos: Option<String>,
    /// Which batches have them: the same seed, the same faults [default: 0, or `seed=` in --chaos]
    #[arg(long, value_name = "N", requires = "chaos")]
    pub(crate) seed: Option<u64>,
    /// Leave out the same work in plain Python
    #[arg(long)]
    pub(crate) no_baseline: bool,
    /// Write one JSON object to stdout for each example, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// Do an example's work in plain Python threads, and report what breaks
///
/// Once with shared state and no lock, once with locks wherever they belong; on a free-threaded interpreter, if
/// one is found, and on one with a GIL. What breaks is found by running it: that a process dies or hangs is an
/// outcome, and no error of this command.
#[derive(Debug, Parser)]
#[command(group = ArgGroup::new("which").required(true).args(["name", "all"]))]
#[command(after_help = "\
Examples:
  slither baseline text_analysis                      on the interpreters that are found
  slither baseline --all --json                       all of them, a line each
  slither baseline batch_stats --python python3.13t   on this interpreter only

A free-threaded interpreter is looked for under python3.Nt on PATH and among those of uv; \
SLITHER_FREE_THREADED_PYTHON names another. To have one: uv python install 3.14t")]
pub(crate) struct Baseline {
    /// Whose work
    pub(crate) name: Option<String>,
    /// That of all examples
    #[arg(long)]
    pub(crate) all: bool,
    /// Only this interpreter: a path, or a name to look up on PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::ExecutablePath)]
    pub(crate) python: Option<PathBuf>,
    /// Write one JSON object to stdout for each example, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

impl Example {
    /// Whether batches and workers fail on purpose.
    pub(crate) fn means_failures(&self) -> bool {
        let meant = [
            slither_examples::batch_stats::NAME,
            slither_examples::ml_scoring::NAME,
            slither_examples::hybrid_routing::NAME,
            slither_examples::failure_domains::NAME,
        ];
        let named = self.name.as_deref().is_some_and(|name| meant.contains(&name));
        self.chaos.is_some() || self.input.is_none() && (self.all || self.stdlib || named)
    }
}

/// Provide what Python needs ahead of time, so that later runs need no network
///
/// Packages go into a cache of Slither's own (see `slither doctor`); your own Python environments are never
/// modified. What is there already is not fetched again.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  slither setup                         what every run needs
  slither setup text_analysis           what an example needs
  slither setup 'numpy>=2' pandas       packages of your own, for a pool with these requirements")]
pub(crate) struct Setup {
    /// Examples, or packages as pip writes requirements
    #[arg(value_name = "EXAMPLE|REQUIREMENT")]
    pub(crate) what: Vec<String>,
}

/// Call a tool of an adapter, or list the tools that it has
///
/// Builds the adapter in a worker, as a pool does, and prints what the tool returns as JSON; of a streaming tool each
/// value on a line, as soon as it has been made. Without a tool it lists those that there are.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  slither call my_adapter:Scorer                             list its tools
  slither call my_adapter:Scorer score '{\"text\": \"good\"}'    keyword arguments
  slither call my_adapter:Scorer score '[\"good\"]'            positional ones
  slither call my_adapter:Scorer score_each '[[\"a\", \"b\"]]' --path python --requirement 'numpy>=2'

The module is looked for in the current folder, unless --path names others.")]
pub(crate) struct Call {
    /// The adapter's class, as `package.module:Class` or `package.module.Class`
    #[arg(value_name = "MODULE:CLASS")]
    pub(crate) adapter: String,
    /// Which tool
    pub(crate) tool: Option<String>,
    /// Its arguments, as JSON: an object of keyword arguments, an array of positional ones, or the only one
    #[arg(requires = "tool")]
    pub(crate) args: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How long it may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub(crate) timeout: std::time::Duration,
    /// List the tools as one JSON object
    #[arg(long, conflicts_with = "tool")]
    pub(crate) json: bool,
}

/// Call an adapter's tools from many threads, and report what they write without a lock
///
/// Builds the adapter, has the threads call its tools together, and names attribute, line and threads of what no lock
/// protects, whether or not they met. Arguments are made up from type hints and defaults, unless calls are given.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  slither check my_adapter:Scorer
  slither check my_adapter:Scorer --threads 32 --calls 5000 --call \"score('some text')\"
  slither check my_adapter:Scorer --sample calls.jsonl --python python3.14t

A file of samples has lines like {\"tool\": \"score\", \"args\": [\"some text\"]}.
Exit codes: 0 nothing was found, 1 there were violations, 2 it could not be run.")]
pub(crate) struct Check {
    /// The adapter's class, as `package.module:Class` or `package.module.Class`
    #[arg(value_name = "MODULE:CLASS")]
    pub(crate) adapter: String,
    /// How many threads call it at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = workers)]
    pub(crate) threads: usize,
    /// How many calls they make together
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) calls: std::num::NonZeroU32,
    /// A call to make, in place of those that are made up; may be given repeatedly
    #[arg(long = "call", value_name = "TOOL(ARG…)")]
    pub(crate) given: Vec<String>,
    /// A file of calls to make; may be given repeatedly
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sample: Vec<PathBuf>,
    /// Refuse a class that does not say `__thread_safe__`
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where an adapter is, and what it needs.
#[derive(Debug, Parser)]
pub(crate) struct Place {
    /// A folder to import from; may be given repeatedly [default: the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) path: Vec<PathBuf>,
    /// A package that it needs, as pip writes requirements; may be given repeatedly
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) requirement: Vec<String>,
    /// The interpreter: a path, or a name to look up on PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::ExecutablePath)]
    pub(crate) python: Option<PathBuf>,
}

/// Say what was found, what is missing, and the command that mends it
///
/// With --route it says instead where a function's calls would go that leave the choice of the pool to Slither, and
/// why: to processes, to threads (of a Python without a GIL, if there is one), or to coroutines. Its source is read,
/// and nothing of it is imported.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  slither doctor                            what runs need
  slither doctor --route my_model:score     where its calls go, by what its source says
  slither doctor --route my_model:score --traits cpu_bound,thread_safe
                                            where they would go if it were that, too

Traits: cpu_bound or io_bound, thread_safe or not_thread_safe, stateful, unsafe_native")]
pub(crate) struct Doctor {
    /// A function, as module:function
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) route: Option<String>,
    /// What the function is, beside what its source says
    #[arg(long, value_name = "LIST", requires = "route")]
    pub(crate) traits: Option<String>,
    /// A folder with modules of yours [default: the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "route")]
    pub(crate) path: Vec<PathBuf>,
    /// Write one JSON object to stdout, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// Say which Python libraries are safe in threads, with and without a GIL, and where their calls belong
///
/// What is known is data that ships with Slither, each claim with its source. With --python each library that is
/// installed there is imported, in a process of its own, to see what it does to the GIL.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  slither matrix                              all libraries
  slither matrix pandas sqlite3               conditions and sources of these
  slither matrix --python python3.14t         what is installed there, and what importing it does to the GIL
  slither matrix --file ours.toml --json      with claims of your own in place of, or beside, those that ship

A file holds tables [[library]] with the fields that --json shows: name, import, thread_safety (safe, conditional, \
unsafe), without_gil (stays_off, turns_on, no_wheel, unknown), native_threads, memory, recommend (threads, processes, \
either), because, conditions, sources.")]
pub(crate) struct Matrix {
    /// Libraries to show in full, by their distribution or by a module of theirs
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Look what this interpreter has: a path, or a name to look up on PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::ExecutablePath)]
    pub(crate) python: Option<PathBuf>,
    /// Claims of your own, as TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Write one JSON object to stdout, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// Run a function on a sample, alone, in processes and in threads, and say where it belongs
///
/// What threads do to its results is found by holding them against those of one call after the other: threads meet
/// before each call, and are made to give way in the middle of it. Then pools are measured. It is done on the Python
/// that is used otherwise, and on one without a GIL, if there is one. What was found is kept, and calls that leave
/// their pool to Slither go by it, until the file that defines the function changes.
///
/// The function is run for real, thousands of times: give it a sample that does no harm.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  slither probe my_model:score --sample inputs.jsonl                  on the interpreters that are found
  slither probe my_model:score --sample inputs.jsonl --python python3.14t
                                                                      on this one only
  slither probe my_model:score --sample inputs.jsonl --json | jq .pythons[].advice

A sample is a file of inputs, one JSON value a line: what the function gets in its list.")]
pub(crate) struct Probe {
    /// A function that takes a list of items and returns a list of results, as module:function
    pub(crate) function: String,
    /// Inputs, one JSON value a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sample: PathBuf,
    /// Only these interpreters: paths, or names to look up on PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::ExecutablePath)]
    pub(crate) python: Vec<PathBuf>,
    /// An interpreter without a GIL, beside the one that is used otherwise
    #[arg(long, value_name = "PATH", value_hint = ValueHint::ExecutablePath, conflicts_with = "python")]
    pub(crate) free_threaded: Option<PathBuf>,
    /// A folder with modules of yours [default: the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) path: Vec<PathBuf>,
    /// A package that they need, as pip writes requirements
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) requirement: Vec<String>,
    /// How long threads are put to the test, and each pool is measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) time: std::time::Duration,
    /// How long everything may take that is one step, in seconds; beyond it threads count as stuck
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub(crate) timeout: std::time::Duration,
    /// Write one JSON object to stdout, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// More processes than this are a slip of the finger.
const MOST_WORKERS: usize = 1024;

fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=MOST_WORKERS) => Ok(count),
        _ => Err(format!("expected 1 to {MOST_WORKERS}; leave the option out for one worker a core")),
    }
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        super::Args::command().debug_assert();
    }
}
