//! The table of events in the operations guide is the catalogue's.

use super::Finding;
use crate::events::{self, GUIDE};
use crate::tree::Tree;

const WHY: &str = "operators build alerts on these names";
const MEND: &str = "run `cargo xtask events --write`";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(guide) = tree.file(GUIDE).and_then(|guide| guide.text.as_deref()) else {
        let mend = format!("write it with the lines `{}` and `{}`, and {MEND}", events::OPEN, events::CLOSE);
        return vec![Finding::new(GUIDE, 1, "the guide is missing", WHY, mend)];
    };
    match events::rewritten(guide) {
        Ok(fresh) if fresh == guide => Vec::new(),
        Ok(fresh) => {
            let same = guide.lines().zip(fresh.lines()).take_while(|(old, new)| old == new).count();
            vec![Finding::new(GUIDE, same + 1, "the table of events is not the catalogue's", WHY, MEND)]
        }
        Err(what) => vec![Finding::new(GUIDE, 1, what, WHY, format!("add them, and {MEND}"))],
    }
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn the_catalogue_passes() {
        let guide = events::rewritten("# Operations\n<!-- events -->\n<!-- /events -->\nMore.\n").unwrap();
        assert_eq!(found(check, &[(GUIDE, &guide)]), [""; 0]);
    }

    #[test]
    fn anything_else_fails() {
        let guide = events::rewritten("<!-- events -->\n<!-- /events -->\n").unwrap();
        let stale = guide.replacen("slither.", "slizzer.", 1);
        assert_eq!(
            found(check, &[(GUIDE, &stale)]),
            ["guides/operations.md:5: the table of events is not the catalogue's"]
        );
        assert_eq!(found(check, &[(GUIDE, "# Operations\n")]).len(), 1);
        assert_eq!(found(check, &[]), ["guides/operations.md:1: the guide is missing"]);
    }
}
