//! `cargo xtask fuzz`: the decoders under libFuzzer, seeded with the corpus and the golden frames.

use std::path::Path;
use std::time::Duration;

use crate::process::{cargo, has_cargo};

/// Golden frames: what both languages agree on is where mutation best begins.
const SEEDS: &str = "testdata/wire";

/// Runs each target for `time`.
///
/// # Errors
/// cargo-fuzz is missing, or an input broke a decoder; cargo-fuzz has then printed where it kept it.
pub(crate) fn run(root: &Path, time: Duration, targets: &[String]) -> Result<(), String> {
    if !has_cargo("fuzz") {
        return Err(
            "cargo-fuzz is not installed; `cargo install cargo-fuzz` (it needs a C++ compiler)".into()
        );
    }
    let all: Vec<String>;
    let targets = if targets.is_empty() {
        all = known(root)?;
        &all
    } else {
        targets
    };
    for target in targets {
        // What is new goes to the first folder; the others are only read.
        let (found, corpus) = (format!("fuzz/found/{target}"), format!("fuzz/corpus/{target}"));
        for folder in [&found, &corpus] {
            std::fs::create_dir_all(root.join(folder))
                .map_err(|error| format!("cannot make {folder}: {error}"))?;
        }
        let mut folders = vec![found, corpus];
        if target == "frame" && root.join(SEEDS).is_dir() {
            folders.push(SEEDS.into());
        }
        // Sanitizers are unstable options; this lets the stable compiler take them too.
        cargo(root, &["fuzz", "run", target])
            .args(folders)
            .args(["--", &format!("-max_total_time={}", time.as_secs())])
            .env("RUSTC_BOOTSTRAP", "1")
            .run()?;
    }
    Ok(())
}

/// The targets: one file each.
fn known(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let mut names: Vec<_> = entries
        .flatten()
        .filter_map(|entry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
}
