//! What a run did, in numbers: [`Report`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::item::Ledger;

/// What a run did, in numbers. `Display` prints it for people.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Where every item ended.
    pub ledger: Ledger,
    /// Items of each output, in the order of the plan; those without any too.
    pub outputs: Vec<(Arc<str>, u64)>,
    /// What went through each stage, in the order of the flow.
    pub stages: Vec<StageReport>,
    /// From the start of the run to its end, or to now.
    pub elapsed: Duration,
}

/// What went through one stage.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StageReport {
    /// Its name.
    pub name: Arc<str>,
    /// Items it took.
    pub items_in: u64,
    /// Items it handed on; more than it took if it expands.
    pub items_out: u64,
    /// Items that failed in it.
    pub failed: u64,
    /// Items it left out, by reason.
    pub drops: BTreeMap<String, u64>,
}

impl Report {
    /// Items left out by all stages, by reason.
    pub fn drops(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.stages.iter().flat_map(|stage| &stage.drops) {
            *all.entry(reason.as_str()).or_default() += count;
        }
        all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({:.3} s)", self.ledger, self.elapsed.as_secs_f64())?;
        for stage in &self.stages {
            let StageReport { name, items_in, items_out, failed, drops } = stage;
            write!(f, "  {name}: {items_in} in, {items_out} out, {failed} failed")?;
            for (reason, count) in drops {
                write!(f, ", {count} dropped ({reason})")?;
            }
            writeln!(f)?;
        }
        let outputs: Vec<String> =
            self.outputs.iter().map(|(output, count)| format!("{output} {count}")).collect();
        write!(f, "  outputs: {}", outputs.join(", "))
    }
}
