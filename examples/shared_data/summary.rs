//! What a person reads, and what a program is given.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use slither::Ledger;
use slither::python::Interpreter;

use super::{Costs, NAME, THREADS, TOGETHER};
use crate::report::{Check, Report, Section};

/// Turns what was measured into the report. What holds of any machine is checked; times are for reading.
pub(super) fn report(free: Option<&Interpreter>, costs: &[Costs], elapsed: Duration) -> Report {
    let all = |is_so: fn(&Costs) -> bool| costs.iter().all(is_so);
    let small = &costs[0];
    let checks = vec![
        Check::equal(
            "every_size_was_measured_in_every_way",
            true,
            all(|it| {
                [it.view, it.view_many, it.carried, it.dict_read, it.dict_write, it.store_write]
                    .iter()
                    .all(|seconds| seconds.is_finite() && *seconds > 0.0)
            }),
        ),
        Check::equal(
            "finding_a_value_is_a_small_part_of_asking_for_it",
            true,
            all(|it| it.lookup * 2.0 < it.view),
        ),
        Check::equal("asking_for_many_at_once_saves_exchanges", true, small.view_many < small.view),
        Check::equal("threads_that_share_a_dict_read_it_fastest", true, all(|it| it.dict_read < it.view)),
    ];
    Report {
        example: NAME,
        exit: u8::from(checks.iter().any(|check| !check.ok)),
        ledger: Ledger::default().into(),
        outputs: BTreeMap::new(),
        workers: costs.iter().map(row).collect(),
        sections: sections(free, costs),
        elapsed_s: elapsed.as_secs_f64(),
        checks,
        failed: 0,
        failures: Vec::new(),
        chaos: None,
    }
}

fn row(costs: &Costs) -> BTreeMap<&'static str, Value> {
    let each = |seconds: f64| Value::from(1.0 / seconds.max(f64::MIN_POSITIVE));
    BTreeMap::from([
        ("bytes", costs.size.into()),
        ("view_reads_per_s", each(costs.view)),
        ("view_many_reads_per_s", each(costs.view_many)),
        ("carried_per_s", each(costs.carried)),
        ("dict_reads_per_s", each(costs.dict_read)),
        ("dict_writes_per_s", each(costs.dict_write)),
        ("store_writes_per_s", each(costs.store_write)),
        ("lookup_s", costs.lookup.into()),
        ("view_s", costs.view.into()),
    ])
}

fn sections(free: Option<&Interpreter>, costs: &[Costs]) -> Vec<Section> {
    let python = match free {
        Some(python) => format!("python {} without a GIL", python.version),
        None => "a Python with a GIL".to_owned(),
    };
    let rate = |seconds: f64| format!("{:.0}", 1.0 / seconds.max(f64::MIN_POSITIVE));
    let micro = |seconds: f64| format!("{:.1}", seconds.max(0.0) * 1e6);
    let rates = costs.iter().map(|it| {
        vec![
            it.size.to_string(),
            rate(it.view),
            rate(it.view_many),
            rate(it.carried),
            rate(it.dict_read),
            rate(it.dict_write),
            rate(it.store_write),
        ]
    });
    let heads = vec!["bytes", "view", "view_many", "carried", "dict", "dict writes", "store writes"];
    // A value of next to no size costs the exchange and the lookup; what a larger one costs beyond is its travel.
    let exchange = costs.first().map_or(0.0, |it| it.view - it.lookup);
    let parts = costs.iter().map(|it| {
        let travel = it.view - it.lookup - exchange;
        vec![it.size.to_string(), micro(it.view), micro(it.lookup), micro(exchange), micro(travel)]
    });
    vec![
        Section::Table(
            format!(
                "Reads a second on {python}: by views, {TOGETHER} at once, carried with the item, of a dict by {THREADS} threads; and writes"
            ),
            heads,
            rates.collect(),
        ),
        Section::Table(
            "A read by a view, in microseconds, and what it consists of".to_owned(),
            vec!["bytes", "whole", "lookup", "callback", "serialisation"],
            parts.collect(),
        ),
    ]
}
