//! Promise: what is typed wrongly is answered with what would be right, with exit code 2, before any work.

use insta::assert_snapshot;

use crate::support::{run, slither};

fn answer(args: &[&str]) -> String {
    run(slither(args)).to_string()
}

#[test]
fn help_says_what_there_is() {
    assert_snapshot!(answer(&["--help"]), @r"
    exit code: 0
    ----- stdout -----
    Rust owns concurrency, state and coordination; Python does the compute

    Usage: slither <COMMAND>

    Commands:
      example      List the examples, or run them
      baseline     Do an example's work in plain Python threads, and report what breaks
      setup        Provide what Python needs ahead of time, so that later runs need no network
      call         Call a tool of an adapter, or list the tools that it has
      check        Call an adapter's tools from many threads, and report what they write without a lock
      doctor       Say what was found, what is missing, and the command that mends it
      matrix       Say which Python libraries are safe in threads, with and without a GIL, and where
                   their calls belong
      probe        Run a function on a sample, alone, in processes and in threads, and say where it
                   belongs
      completions  Print a script that completes commands and options in a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Exit codes: 0 done, 1 items failed or a check did not hold, 2 could not run, 130 and 143 ended by a
    signal.

    Environment:
      SLITHER_PYTHON     the Python interpreter to use (3.10 or newer)
      SLITHER_FREE_THREADED_PYTHON
                         the interpreter without a GIL that baselines and probe use
      SLITHER_CACHE_DIR  where packages are kept, instead of ~/.cache/slither
      SLITHER_OFFLINE    never use the network
      SLITHER_LOG        what is logged on stderr, as `debug` or `slither=trace`
    ----- stderr -----
    ");
    assert_snapshot!(answer(&["example", "--help"]), @r"
    exit code: 0
    ----- stdout -----
    List the examples, or run them

    Without a name, lists them. Each example runs a real pipe over real data and proves what it shows by
    checks; one that does not hold makes the exit code 1. Then the same work is done by plain Python
    threads, and what breaks there stands beside it.

    Usage: slither example [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Which example

    Options:
          --all
              All examples but those that measure, one after the other, and a summary

          --stdlib
              Of all examples, those that need the standard library only

          --input <FILE|DIR>
              Your own file or folder, instead of the data that ships with the example

          --output <DIR>
              A folder for the files that the example makes: new, empty, or from an earlier run

          --workers <N>
              Python workers [default: one a core]

          --chaos <FAULTS>
              Faults that its workers have on purpose, by the share of batches, as in
              kill=5%,hang=1%,slow=10%:50ms,garbage=1%,raise=2%; batches that fail run again. ml_scoring
              takes slow and raise, batch_stats none

          --seed <N>
              Which batches have them: the same seed, the same faults [default: 0, or `seed=` in
              --chaos]

          --no-baseline
              Leave out the same work in plain Python

          --json
              Write one JSON object to stdout for each example, and nothing else

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

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

    For text_analysis a .txt file is one document; a .jsonl file is one document a line, an object with
    a `text` field or a bare string; a folder is all of them. batch_stats takes a .csv file, of which
    each column of numbers is described, or a .jsonl file of lists; data_etl a .csv file with a header;
    image_pipeline a picture or a folder of them; ml_scoring takes none.
    ----- stderr -----
    ");
    assert_snapshot!(answer(&["setup", "--help"]), @r"
    exit code: 0
    ----- stdout -----
    Provide what Python needs ahead of time, so that later runs need no network

    Packages go into a cache of Slither's own (see `slither doctor`); your own Python environments are
    never modified. What is there already is not fetched again.

    Usage: slither setup [EXAMPLE|REQUIREMENT]...

    Arguments:
      [EXAMPLE|REQUIREMENT]...
              Examples, or packages as pip writes requirements

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Examples:
      slither setup                         what every run needs
      slither setup text_analysis           what an example needs
      slither setup 'numpy>=2' pandas       packages of your own, for a pool with these requirements
    ----- stderr -----
    ");
    assert_snapshot!(answer(&["doctor", "-h"]), @r"
    exit code: 0
    ----- stdout -----
    Say what was found, what is missing, and the command that mends it

    Usage: slither doctor [OPTIONS]

    Options:
          --route <FUNCTION>  A function, as module:function
          --traits <LIST>     What the function is, beside what its source says
          --path <DIR>        A folder with modules of yours [default: the current one]
          --json              Write one JSON object to stdout, and nothing else
      -h, --help              Print help (see more with '--help')
      -V, --version           Print version

    Examples:
      slither doctor                            what runs need
      slither doctor --route my_model:score     where its calls go, by what its source says
      slither doctor --route my_model:score --traits cpu_bound,thread_safe
                                                where they would go if it were that, too

    Traits: cpu_bound or io_bound, thread_safe or not_thread_safe, stateful, unsafe_native
    ----- stderr -----
    ");
}

#[test]
fn no_command() {
    let ended = run(slither(&[]));
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("Usage: slither <COMMAND>"));
}

#[test]
fn an_unknown_example() {
    assert_snapshot!(answer(&["example", "text_analisys"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: unknown example `text_analisys`
      hint: did you mean `text_analysis`?
    ");
    assert_snapshot!(answer(&["example", "poetry", "--json"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: unknown example `poetry`
      hint: known: text_analysis, batch_stats, data_etl, ml_scoring, image_pipeline, hybrid_routing, failure_domains, shared_data
    ");
}

#[test]
fn no_workers() {
    assert_snapshot!(answer(&["example", "text_analysis", "--workers", "0"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '0' for '--workers <N>': expected 1 to 1024; leave the option out for one worker a core

    For more information, try '--help'.
    ");
    for bad in ["-1", "1025", "two", ""] {
        let ended = run(slither(&["example", "text_analysis", &format!("--workers={bad}")]));
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{bad}");
        assert!(ended.stderr.contains("expected 1 to 1024"), "{ended}");
    }
}

#[test]
fn options_of_an_example_without_one() {
    assert_snapshot!(answer(&["example", "--workers", "2"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the following required arguments were not provided:
      <NAME|--all|--stdlib>

    Usage: slither example --workers <N> <NAME|--all|--stdlib>

    For more information, try '--help'.
    ");
}

#[test]
fn a_mistyped_example_is_not_taken_for_a_package() {
    assert_snapshot!(answer(&["setup", "text-analysis"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: unknown example `text-analysis`
      hint: did you mean `text_analysis`? a package would be asked for with a version, as `text-analysis>=0`
    ");
}

#[test]
fn a_log_filter_that_is_none() {
    let mut command = slither(&["example"]);
    command.env("SLITHER_LOG", "slither=loud");
    assert_snapshot!(run(command), @r#"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: SLITHER_LOG=`slither=loud` is not a filter: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
      hint: for example `debug`, or `warn,slither=trace`
    "#);
}
