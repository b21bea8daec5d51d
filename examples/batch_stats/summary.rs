//! The report: what a person reads, and what a program does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::NAME;
use super::checks::checks;
use super::evidence::{Evidence, Played};
use super::flow::Batches;
use super::straight::Figures;
use crate::report::{Report, Section, exit_code};

/// Bad datasets and groups that are shown.
const SHOWN: usize = 20;

/// Turns the evidence into the report.
pub(super) fn report(workers: usize, evidence: Evidence) -> Report {
    let checks = checks(workers, &evidence);
    Report {
        example: NAME,
        exit: exit_code(&checks, &evidence.failures, evidence.end.as_deref()),
        ledger: evidence.ledger().into(),
        outputs: evidence
            .acts
            .iter()
            .map(|played| (played.act.name(), played.described.len() as u64))
            .collect(),
        workers: worker_rows(&evidence),
        sections: sections(&evidence),
        elapsed_s: evidence.acts.iter().map(|played| played.elapsed.as_secs_f64()).sum(),
        checks,
        failed: evidence.failures.count,
        chaos: None,
        failures: evidence.failures.named,
    }
}

fn worker_rows(evidence: &Evidence) -> Vec<BTreeMap<&'static str, Value>> {
    let row = |played: &Played| {
        let act = played.act.name();
        let accounts = played.accounts.iter();
        let rows = accounts.map(move |account| {
            BTreeMap::from([
                ("act", act.clone().into()),
                ("pid", account.pid.into()),
                ("datasets", account.datasets.into()),
                ("values", account.count.into()),
                ("mean", account.mean.into()),
                ("m2", account.m2.into()),
            ])
        });
        rows.collect::<Vec<_>>()
    };
    evidence.acts.iter().flat_map(row).collect()
}

fn sections(evidence: &Evidence) -> Vec<Section> {
    let mut sections = vec![groups(evidence), costs(evidence)];
    sections.extend(culprits(evidence));
    sections.push(workers(evidence));
    if !evidence.silent.is_empty() {
        sections.push(Section::Lines("Workers that did not answer".to_owned(), evidence.silent.clone()));
    }
    sections.extend(streaming(evidence));
    if let Some(end) = &evidence.end {
        sections.push(Section::Lines("The run ended early".to_owned(), vec![end.clone()]));
    }
    sections
}

fn count(number: u64, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

/// What the datasets came to: those of a group together, and so the blocks of a column.
fn groups(evidence: &Evidence) -> Section {
    let played = evidence.isolated();
    let row = |group: &str| {
        let members = || {
            let described = played.into_iter().flat_map(|played| played.described.values());
            described.filter(|described| {
                evidence.at(described.number).is_some_and(|expected| expected.group == group)
            })
        };
        let figures = members().fold(Figures::default(), |sum, described| {
            let m2 = described.stdev.powi(2) * described.count.saturating_sub(1) as f64;
            sum.and(Figures { count: described.count, mean: described.mean, m2 })
        });
        let least = members().map(|described| described.least).fold(f64::INFINITY, f64::min);
        let greatest = members().map(|described| described.greatest).fold(f64::NEG_INFINITY, f64::max);
        let mut cells = vec![group.to_owned(), members().count().to_string(), figures.count.to_string()];
        let numbers = [figures.mean, figures.deviation(), least, greatest];
        cells.extend(numbers.map(|number| if figures.count > 0 { short(number) } else { "-".to_owned() }));
        cells
    };
    let rows = evidence.groups().into_iter().take(SHOWN).map(row).collect();
    let title = format!(
        "{} described, by group",
        count(evidence.expected.len() as u64 - evidence.bad(), "good dataset")
    );
    let heads = vec!["group", "datasets", "values", "mean", "deviation", "least", "greatest"];
    Section::Table(title, heads, rows)
}

/// Numbers of any size, in a few digits.
fn short(number: f64) -> String {
    match number.abs() {
        size if size != 0.0 && !(1e-3..1e9).contains(&size) => format!("{number:.3e}"),
        size if size >= 1000.0 => format!("{number:.0}"),
        _ => format!("{number:.3}"),
    }
}

fn costs(evidence: &Evidence) -> Section {
    let row = |played: &Played| {
        let batches = played.batches();
        vec![
            played.act.description(),
            played.act.policy().to_owned(),
            batches.len().to_string(),
            batches.iter().map(|(_, times)| times).sum::<u64>().to_string(),
            played.described.len().to_string(),
            evidence.lost(played).count().to_string(),
            played.deaths.to_string(),
            format!("{:.2}", played.elapsed.as_secs_f64()),
        ]
    };
    let rows = evidence.acts.iter().map(row).collect();
    let good = evidence.expected.len() as u64 - evidence.bad();
    let title = format!(
        "What {} cost {}, under each policy",
        count(evidence.bad(), "bad dataset"),
        count(good, "good one")
    );
    let heads = vec![
        "batches of",
        "policy",
        "batches",
        "dispatches",
        "described",
        "good lost",
        "restarts",
        "seconds",
    ];
    Section::Table(title, heads, rows)
}

/// Those that failed alone, with what they did.
fn culprits(evidence: &Evidence) -> Option<Section> {
    let played = evidence.isolated()?;
    let row = |(number, fell): (&u64, &super::evidence::Fell)| {
        let name = evidence.at(*number).map_or_else(|| number.to_string(), |it| it.name.clone());
        let end = match (fell.pid, fell.death) {
            (Some(pid), Some(death)) => {
                format!("{death}; pid {pid} {}", if fell.alive { "is still there" } else { "is gone" })
            }
            (Some(pid), None) => format!("pid {pid} survived it"),
            (None, _) => String::new(),
        };
        vec![name, fell.message.clone(), end]
    };
    let rows: Vec<_> = played.fell.iter().take(SHOWN).map(row).collect();
    let title = match played.fell.len() {
        0 => return None,
        more if more > SHOWN => format!("The first {SHOWN} of {more} that failed alone under isolate"),
        _ => "Those that failed alone under isolate".to_owned(),
    };
    Some(Section::Table(title, vec!["dataset", "error", "its worker"], rows))
}

/// Running figures beside their recomputation.
fn workers(evidence: &Evidence) -> Section {
    let row = |played: &Played| {
        let accounts = played.accounts.iter().filter(|account| account.datasets > 0);
        let rows = accounts.map(|account| {
            let figures = Figures { count: account.count, mean: account.mean, m2: account.m2 };
            let (_, again) = evidence.recomputed(played, account.pid);
            vec![
                played.act.name(),
                account.pid.to_string(),
                account.datasets.to_string(),
                account.count.to_string(),
                format!("{:.6}", figures.mean),
                format!("{:.6}", again.mean),
                format!("{:.6}", figures.deviation()),
                format!("{:.6}", again.deviation()),
            ]
        });
        rows.collect::<Vec<_>>()
    };
    let rows = evidence.acts.iter().flat_map(row).collect();
    let heads = vec!["act", "pid", "datasets", "values", "mean", "recomputed", "deviation", "recomputed"];
    let title =
        "Living workers' own Welford figures, and the same from the datasets that came back from them";
    Section::Table(title.to_owned(), heads, rows)
}

fn streaming(evidence: &Evidence) -> Option<Section> {
    let streams = evidence.acts.iter().filter(|played| played.act.batches == Batches::Streaming);
    let line = |played: &Played| {
        let pulled = played.pulled_at_first?;
        let (first, all) = (1e3 * played.first_after.as_secs_f64(), 1e3 * played.elapsed.as_secs_f64());
        let of = evidence.expected.len();
        Some(format!(
            "{}: first result after {first:.0} ms, when {pulled} of {of} had been pulled; all after {all:.0} ms",
            played.act.policy()
        ))
    };
    let lines: Vec<_> = streams.filter_map(line).collect();
    (!lines.is_empty()).then(|| Section::Lines("Streaming, as completed".to_owned(), lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_stats::trial::sound;

    #[test]
    fn failures_that_are_meant_do_not_make_the_exit_code() {
        let report = report(2, sound());
        assert_eq!((report.exit, report.failures.len()), (0, 0));
        assert!(report.ledger.ledger.failed > 0);
        let mut users = sound();
        users.failures.count = 1;
        assert_eq!(super::report(2, users).exit, 1);
    }

    #[test]
    fn the_costs_of_both_policies_stand_beside_each_other() {
        let evidence = sound();
        let Section::Table(title, _, rows) = costs(&evidence) else { panic!("a table") };
        assert_eq!(title, "What 6 bad datasets cost 50 good ones, under each policy");
        let lost: Vec<_> = rows.iter().map(|row| (row[1].as_str(), row[5].as_str())).collect();
        assert_eq!(lost, [("skip", "34"), ("isolate", "0"), ("isolate", "0")]);
    }

    #[test]
    fn numbers_of_any_size_are_short() {
        assert_eq!(
            [0.0, 0.25, 12345.6, 1e12, 2.5e-7].map(short),
            ["0.000", "0.250", "12346", "1.000e12", "2.500e-7"]
        );
    }
}
