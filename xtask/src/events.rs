//! `cargo xtask events`: the operations guide's table of telemetry events, made from the catalogue in the code.

use std::path::Path;

/// The guide with the table.
pub(crate) const GUIDE: &str = "guides/operations.md";
/// The line before the table.
pub(crate) const OPEN: &str = "<!-- events -->";
/// The line after it.
pub(crate) const CLOSE: &str = "<!-- /events -->";

/// Prints the table, or writes it into the guide.
///
/// # Errors
/// The guide is missing or has no place for it.
pub(crate) fn run(root: &Path, write: bool) -> Result<(), String> {
    if !write {
        print!("{}", slither::telemetry::catalogue_table());
        return Ok(());
    }
    let path = root.join(GUIDE);
    let guide = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {GUIDE}: {error}"))?;
    let fresh = rewritten(&guide).map_err(|what| format!("{GUIDE}: {what}"))?;
    if fresh != guide {
        std::fs::write(&path, fresh).map_err(|error| format!("cannot write {GUIDE}: {error}"))?;
        println!("wrote the events into {GUIDE}");
    }
    Ok(())
}

/// `guide` with the catalogue's table between the two lines.
///
/// # Errors
/// The lines are not there, once each and in order.
pub(crate) fn rewritten(guide: &str) -> Result<String, String> {
    let missing = || format!("no lines `{OPEN}` and `{CLOSE}`");
    let (before, rest) = guide.split_once(OPEN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(CLOSE).ok_or_else(missing)?;
    let table = slither::telemetry::catalogue_table();
    // Blank lines around it: without them Markdown takes the table for more of the comment.
    Ok(format!("{before}{OPEN}\n\n{}\n\n{CLOSE}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewriting_replaces_what_stands_between_and_is_stable() {
        let guide = format!("a\n{OPEN}\nstale line\n{CLOSE}\nb\n");
        let fresh = rewritten(&guide).unwrap();
        assert!(fresh.starts_with("a\n") && fresh.ends_with("\nb\n") && !fresh.contains("stale line"));
        assert!(fresh.contains("`slither.pool.worker.ready`"));
        assert_eq!(rewritten(&fresh).unwrap(), fresh);
    }

    #[test]
    fn a_guide_without_the_lines_is_refused() {
        assert!(rewritten(CLOSE).is_err());
    }
}
