//! Promise: an example runs to its end, proves what it shows, and says so to people and to programs.

use std::collections::BTreeSet;
use std::path::Path;

use insta::assert_snapshot;

use crate::support::{Ended, Scratch, actual, broken, run, sentences, slither, text_analysis};

fn corpus(args: &[&str]) -> Ended {
    run(slither(&[&["example", "text_analysis"], args].concat()))
}

#[test]
fn the_list_names_every_example() {
    assert_snapshot!(run(slither(&["example"])), @r"
    exit code: 0
    ----- stdout -----
      example          what it shows                                                                                   needs
      text_analysis    documents through a pipe; every worker counts for itself, and Rust merges the counts            the standard library
      batch_stats      good datasets among bad ones, one of which kills its worker; what each policy loses is counted  the standard library
      data_etl         rows checked by a schema that is reloaded while they flow; none meets half a change             the standard library
      ml_scoring       two sessions with models of their own, one of which loses its worker and has to train again     scikit-learn>=1.3
      image_pipeline   thumbnails of small and large pictures, in memory bounded by their pixels and measured          Pillow>=10
      hybrid_routing   work that waits, computes or crashes, each routed to its kind of pool; beside one kind for all  the standard library
      failure_domains  a crash, recycling, sessions and a large model, in processes and in threads; what each costs    the standard library
      shared_data      values asked of a store, carried with items, and shared by threads; what a read costs, and why  the standard library

    Run one: slither example NAME
    ----- stderr -----
    ");
    let list = run(slither(&["example", "--json"])).json();
    assert_eq!(list[0]["name"], "text_analysis");
}

#[test]
fn the_report_is_for_people() {
    let ended = corpus(&["--workers", "1"]);
    // The pid, and how long it took.
    let stable: Vec<&str> = ended
        .stdout
        .lines()
        .map(|line| match line {
            pid if pid.ends_with("2901") && !pid.contains("together") => "  PID …",
            pace if pace.contains(" documents a second") => "  PACE",
            other => other,
        })
        .collect();
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(stable.join("\n"), @r#"
    Workers: 81 of 81 documents analysed, each counted by the worker that had it
           pid  documents  words  vocabulary
      PID …
      together         81  12336        2901

    Readability of 12336 words in 913 sentences
      measure               mean  least  greatest
      Flesch reading ease   80.4   62.4      95.5
      Flesch-Kincaid grade   5.5    2.0       9.1

    Commonest words, merged from all workers, stopwords left out
      word     times
      left        26
      people      25
      came        22
      said        22
      never       21
      told        21
      first       20
      minutes     20
      water       18
      asked       17
      like        17
      man         17

    negative: 26 documents, for example
      -0.79  a-bad-review-for-a-worse-film.txt: Some films fail nobly. "Crater" fails like a shopping trolley with a stuck…
      -0.54  a-dinner-to-forget.txt: There is a special sadness in an expensive restaurant that has stopped trying.…
      -0.29  allotment-theft.txt: Somebody has had the pumpkins. All nine, including the big one the infants…

    neutral: 32 documents, for example
      +0.00  a-note-on-parish-boundaries.txt: Once a year, in the days before Ascension, the parish used to walk round its…
      +0.00  a-short-history-of-the-pencil.txt: In 1564, or thereabouts, a tree came down in Borrowdale and shepherds found…
      +0.00  auction-report-farm-implements.txt: Some four hundred lots went under the hammer at Sykes Farm on Saturday…

    positive: 23 documents, for example
      +0.36  a-birthday-at-one-hundred-and-one.txt: What do you give a woman who remembers the first wireless in the street? We…
      +0.67  a-good-day-on-the-allotment.txt: Up early, dew everywhere. Picked the first peas and ate most of them standing.…
      +0.50  a-small-bookshop-reopens.txt: After fourteen months of dust sheets, the Corner Shelf opened its doors on…

    Pace
      PACE

    Ledger
      81 in + 0 expanded = 81 emitted + 0 dropped + 0 failed + 0 cancelled

    Checks
      ok documents_accounted: 81
      ok worker_counts_sum: 81
      ok merged_equals_serial: 5686 occurrences, 2901 words
      ok workers_distinct: 1
      ok ledger_balanced: true
    "#);
}

#[test]
fn the_report_is_one_object_for_programs() {
    let ended = corpus(&["--json", "--workers", "2"]);
    let report = ended.json();
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = ["example", "exit", "ledger", "outputs", "workers", "checks", "failures", "elapsed_s"];
    expected.sort_unstable();
    assert_eq!(BTreeSet::from_iter(keys), BTreeSet::from(expected));
    let ledger: BTreeSet<&String> = report["ledger"].as_object().unwrap().keys().collect();
    let expected =
        ["in", "expanded", "emitted", "dropped", "failed", "cancelled", "balanced"].map(str::to_owned);
    assert_eq!(ledger, expected.iter().collect());
    for check in report["checks"].as_array().unwrap() {
        let keys: BTreeSet<&String> = check.as_object().unwrap().keys().collect();
        let expected = ["name", "expected", "actual", "ok"].map(str::to_owned);
        assert_eq!(keys, expected.iter().collect());
    }
    assert_eq!((ended.code(), &report["exit"], ended.stderr.as_str()), (Some(0), &0.into(), ""));
    assert_eq!(broken(&report), [&0; 0]);
    let names: Vec<_> = report["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert_eq!(
        names,
        [
            "documents_accounted",
            "worker_counts_sum",
            "merged_equals_serial",
            "workers_distinct",
            "ledger_balanced"
        ]
    );
    let workers = report["workers"].as_array().unwrap();
    let busy = workers.iter().filter(|worker| worker["documents"].as_u64() > Some(0));
    let pids: BTreeSet<_> = busy.map(|worker| worker["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids.len(), 2, "{workers:?}");
    let outputs = report["outputs"].as_object().unwrap();
    assert_eq!(outputs.values().filter_map(|count| count.as_u64()).sum::<u64>(), 81);
}

#[test]
fn the_number_of_workers_does_not_change_the_result() {
    let merged = |workers: &str| {
        let ended = corpus(&["--json", "--workers", workers]);
        assert_eq!(ended.code(), Some(0), "{ended}");
        actual(&ended.json(), "merged_equals_serial").clone()
    };
    let one = merged("1");
    assert_eq!(one["top"][0], serde_json::json!(["left", 26]));
    assert_eq!(one, merged("8"));
}

#[test]
fn a_text_file_is_one_document_and_a_folder_all_of_them() {
    let scratch = Scratch::new();
    let text = scratch.file("one.txt", "The bread was good. The river was high.");
    scratch.jsonl("many.jsonl", sentences(20));
    for (input, documents) in
        [(text.as_path(), 1), (&scratch.path().join("many.jsonl"), 20), (scratch.path(), 21)]
    {
        let ended = run(text_analysis(input, &["--json"]));
        assert_eq!(ended.code(), Some(0), "{ended}");
        assert_eq!(ended.json()["ledger"]["in"], documents);
        assert_eq!(broken(&ended.json()), [&0; 0]);
    }
}

#[test]
fn ten_thousand_lines_add_up() {
    let scratch = Scratch::new();
    let input = scratch.jsonl("lines.jsonl", sentences(10_000));
    let ended = run(text_analysis(&input, &["--json"]));
    assert_eq!(ended.code(), Some(0), "{ended}");
    let report = ended.json();
    assert_eq!(report["ledger"]["emitted"], 10_000);
    assert_eq!(broken(&report), [&0; 0]);
}

#[test]
fn documents_without_a_word_to_count_are_documents() {
    let scratch = Scratch::new();
    let empty = ["", "the and of", "\u{0}\u{1b}[2J", "12 + 3"].map(str::to_owned);
    let input = scratch.jsonl("empty.jsonl", empty);
    let ended = run(text_analysis(&input, &["--json"]));
    assert_eq!(ended.code(), Some(0), "{ended}");
    let report = ended.json();
    assert_eq!(report["outputs"]["neutral"], 4);
    assert_eq!(actual(&report, "merged_equals_serial")["top"], serde_json::json!([["j", 1]]));
    assert_eq!(run(text_analysis(&scratch.file("empty.txt", ""), &[])).code(), Some(0));
}

#[test]
fn nothing_of_a_document_reaches_the_terminal_raw() {
    let scratch = Scratch::new();
    let bad = "\u{0}\u{7}\u{1b}[31mred\u{1b}]0;title\u{7} \u{9b}2J \u{202e}turned\u{7f} good";
    scratch.file("evil\u{1b}[2J\u{9b}.txt", bad);
    for (args, escaped) in [(&[][..], "\\u{1b}[31mred"), (&["--json"], "\\u001b[2J")] {
        let ended = run(text_analysis(scratch.path(), args));
        assert_eq!(ended.code(), Some(0), "{ended}");
        let raw = |text: &str| text.chars().any(|found| found != '\n' && found.is_control());
        assert!(!raw(&ended.stdout) && !raw(&ended.stderr), "{ended:?}", ended = ended.to_string());
        assert!(args == ["--json"] || ended.stdout.contains(escaped), "{ended}");
    }
    let ended = run(text_analysis(Path::new("/no/\u{1b}[2J"), &[]));
    assert_eq!(ended.stderr.lines().next(), Some("error: there is no file or folder /no/\\u{1b}[2J"));
}
