//! Promise: under chaos each item is still accounted for, and what was injected is counted.

use serde_json::Value;

use crate::support::{Ended, Scratch, run, sentences, slither, text_analysis};

fn chaotic(faults: &[&str]) -> Ended {
    let scratch = Scratch::new();
    let input = scratch.jsonl("lines.jsonl", sentences(1600));
    let args = [&["--json", "--workers", "2"], faults].concat();
    run(text_analysis(&input, &args))
}

#[test]
fn every_item_is_accounted_for_under_chaos_and_most_are_healed() {
    let ended = chaotic(&["--chaos", "kill=5%,hang=1%,garbage=1%,slow=5%:20ms,raise=2%", "--seed", "7"]);
    let report = ended.json();
    println!("{} {}", report["ledger"], report["chaos"]);
    let count = |of: &Value| of.as_u64().unwrap();
    assert_eq!(report["ledger"]["balanced"], true, "{ended}");
    let failed = count(&report["ledger"]["failed"]);
    assert_eq!(count(&report["ledger"]["in"]), 1600);
    assert_eq!(count(&report["ledger"]["emitted"]) + failed, 1600);
    assert!(failed < 16, "{failed} of 1600 items failed: {ended}");
    assert_eq!(ended.code(), Some(i32::from(failed > 0)), "items that fail are told by the code: {ended}");
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(check["ok"], true, "{check}");
    }
    let chaos = &report["chaos"];
    assert_eq!(chaos["faults"], "kill=5%,hang=1%,slow=5%:20ms,garbage=1%,raise=2%,seed=7");
    let injected = |fault: &str| count(&chaos["injected"][fault]);
    assert!(["kill", "slow", "raise"].iter().all(|fault| injected(fault) > 0), "{chaos}");
    assert_eq!(count(&chaos["deaths"]), injected("kill") + injected("hang") + injected("garbage"), "{chaos}");
    assert!(injected("again") >= injected("kill"), "{chaos}");
    // The one that died last may not have been replaced before the workers were asked.
    let rows = report["workers"].as_array().unwrap();
    let lost = rows.iter().filter(|worker| worker.get("lost").is_some()).count() as u64;
    assert_eq!(lost, count(&chaos["deaths"]), "{rows:?}");
    assert!((1..=2).contains(&(rows.len() as u64 - lost)), "workers were replaced: {rows:?}");
}

#[test]
fn without_chaos_nothing_is_said_of_it() {
    let ended = chaotic(&[]);
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert!(ended.json().get("chaos").is_none());
}

#[test]
fn faults_that_are_not_understood_are_refused_before_anything_is_run() {
    for (args, message) in [
        (&["--chaos", "kil=5%"][..], "error: unknown fault `kil`\n  hint: did you mean `kill`?\n"),
        (
            &["--chaos", "kill"],
            "error: chaos: `kill` has no value\n  hint: expected a share, as in `kill=5%` or `kill=0.05`\n",
        ),
        (
            &["--chaos", "kill=101%"],
            "error: chaos: `kill` is 101%, expected 0% to 100%\n  hint: a share is written as 5% or as 0.05\n",
        ),
    ] {
        let ended = run(slither(&[&["example", "text_analysis"], args].concat()));
        assert_eq!((ended.code(), ended.stdout.as_str(), ended.stderr.as_str()), (Some(2), "", message));
    }
    let seed = run(slither(&["example", "text_analysis", "--seed", "7"]));
    assert_eq!(seed.code(), Some(2));
    assert!(seed.stderr.contains("--chaos <FAULTS>"), "{seed}");
    let other = run(slither(&["example", "batch_stats", "--chaos", "kill=1%"]));
    assert_eq!(other.code(), Some(2));
    assert_eq!(
        other.stderr,
        "error: the example `batch_stats` takes no chaos\n  hint: leave --chaos out, or run text_analysis\n"
    );
}
