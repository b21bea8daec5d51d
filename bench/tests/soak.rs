//! The soak, for twenty seconds: what takes an hour elsewhere at least runs, loses nothing and leaves nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::process::Command;

#[test]
fn twenty_seconds_of_mixed_load_lose_nothing_and_leave_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_slither-bench"))
        .args(["soak", "--minutes", "0.33"])
        .output()
        .unwrap();
    let [page, lines] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{page}\n{lines}");
    for row in ["| items lost | 0 |", "| items doubled | 0 |", "| wrong answers, ledgers or errors | 0 |"] {
        assert!(page.contains(row), "{page}");
    }
    let count = |name: &str| -> u64 {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {name} | "))).unwrap();
        row.trim_end_matches(" |").parse().unwrap()
    };
    for busy in [
        "items that came back",
        "of these, failed",
        "deaths of workers",
        "items that these gave up, and counted",
        "dead letters, as many as failed in their run",
        "workers recycled",
    ] {
        assert!(count(busy) > 0, "{page}");
    }
}
